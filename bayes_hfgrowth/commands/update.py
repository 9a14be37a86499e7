"""The command `hfgrowth update`: what months that came later say, without a new fit."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.fits import (
    FitFile,
    Intervals,
    KnownAt,
    Months,
    OfRelation,
    ReadSeed,
    Until,
    levels_of,
)
from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_sections, show_verdict
from bayes_hfgrowth.support.errors import ForecastError

MONTHS = 12
"""How far ahead a new forecast goes unless something else is asked for."""


def update(
    *,
    fit_file: FitFile,
    panel: Annotated[
        Path,
        typer.Argument(metavar="PANEL", help="Later panel, with the months of the fit and newer."),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Table to write, .csv or .parquet.")
    ],
    draws_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.nc", help="Draws of the new forecasts to write as well."),
    ] = None,
    months: Months = None,
    until: Until = None,
    as_of: KnownAt = None,
    intervals: Intervals = "50,80,95",
    relation: OfRelation = None,
    seed: ReadSeed = None,
) -> None:
    """Condition a fit on months that came later, forecast again, and score the old forecasts.

    Nothing is fitted again: draws of the fit are weighed by the new months, base model by base
    model. Those for which the fit's draws are too few are named. Without --months or --until the
    new forecasts go twelve months ahead.
    """
    from bayes_hfgrowth.evaluation.updates import (
        scores_of_update,
        summary_of_update,
        table_of_update,
    )
    from bayes_hfgrowth.fit import load_fit
    from bayes_hfgrowth.panel.table import read_panel
    from bayes_hfgrowth.support.files import write_table
    from bayes_hfgrowth.support.horizon import until_date

    check_file(out, (".csv", ".parquet"), ForecastError)
    check_file(draws_out, (".nc",), ForecastError)
    levels = levels_of(intervals)
    months = MONTHS if months is None and until is None else months
    last = until_date(months, until)
    fit = load_fit(fit_file)
    later = read_panel(panel, relation=relation)
    if later.counted.metric != fit.counted.metric:
        later = later.counting(fit.counted.metric)  # one file may hold both counts
    if as_of is not None:
        later = later.as_of(as_of)
    found = fit.update(later, seed)
    predicted = found.forecast(months, until=last, progress=True)
    scores = scores_of_update(found)
    write_table(table_of_update(found, predicted, scores, levels), out, ForecastError)
    announce(f"wrote {out}: {predicted.draws.sizes['base_model']} base models")
    if draws_out is not None:
        predicted.save(draws_out)
        announce(f"wrote {draws_out}")
    show_sections(summary_of_update(found, scores))
    show_verdict(fit.convergence, only_bad=True)
