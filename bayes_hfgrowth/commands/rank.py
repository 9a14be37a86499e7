"""The command `hfgrowth rank`: who leads by when, and who overtakes whom."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_hfgrowth.commands.fits import (
    AsOf,
    FitOrNone,
    Months,
    NewPanel,
    OfRelation,
    ReadSeed,
    TableFile,
    Until,
    check_fit_alone,
    population_of,
    tell_shipped,
    tell_strangers,
)
from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_table, show_verdict
from bayes_hfgrowth.panel.counted import Relation
from bayes_hfgrowth.support.errors import ForecastError

if TYPE_CHECKING:
    import pandas as pd

    from bayes_hfgrowth.forecast.paths import Forecast
    from bayes_hfgrowth.posterior.convergence import Convergence

MOST_SHOWN = 20
"""Rows of the table on the screen."""


def rank(
    *,
    fit_file: FitOrNone = None,
    months: Months = None,
    until: Until = None,
    panel: NewPanel = None,
    as_of: AsOf = None,
    relation: OfRelation = None,
    base_model: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Rank this base model among the others named; repeatable."),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="base_model|organization", help="What is ranked: base models, or their sums."
        ),
    ] = "base_model",
    top: Annotated[
        int | None, typer.Option(metavar="N", help="Ranks from 1 to N; all by default, up to 20.")
    ] = None,
    overtakes: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Tell whether A overtakes B, by each date."),
    ] = None,
    out: TableFile = None,
    seed: ReadSeed = None,
) -> None:
    """Rank base models or organizations by their fine-tunes at each date up to the last one.

    The table has the probability of each rank at dates a month apart and the last one; with
    --overtakes, that A is ahead of B and has overtaken it by each. The last date is printed.
    """
    from bayes_hfgrowth.forecast.dated_series import DatedSeries
    from bayes_hfgrowth.forecast.races import overtaking, rank_table
    from bayes_hfgrowth.support.files import write_table
    from bayes_hfgrowth.support.horizon import until_date

    check_file(out, (".csv", ".parquet"), ForecastError)
    last = until_date(months, until)
    if by not in ("base_model", "organization"):
        raise ForecastError(f"nothing is ranked by {by!r}; take base_model or organization")
    if top is not None and top < 1:
        raise ForecastError(f"top is {top}; give a number from 1 on")
    if by == "base_model" and overtakes is None and base_model and len(set(base_model)) == 1:
        raise ForecastError("a rank is one among several, and there is one alone; name more")
    wanted = base_model or None  # None for all
    if overtakes is not None:
        if top is not None or base_model:
            option = "--base-model" if base_model else "--top"
            raise ForecastError(
                f"{option} is of ranks, and --overtakes tells of two alone; leave one out"
            )
        if overtakes[0] == overtakes[1]:
            raise ForecastError(f"{overtakes[0]!r} cannot overtake itself; name two {by}s")
        if by == "base_model":  # the others do not matter
            wanted = list(overtakes)
    source = (panel, as_of, relation)
    predicted, convergence = _predicted(fit_file, source, months, last, wanted, seed)
    series = DatedSeries.of(predicted.draws, by)
    if overtakes is not None:
        race = overtaking(series, *overtakes)
        table = race.by_date()
        typer.echo(race.sentence())
    else:
        table = rank_table(series, None, top)
        _show(table, by)
    if out is not None:
        write_table(table, out, ForecastError)
        announce(f"wrote {out}: {len(series.names)} {by.replace('_', ' ')}s")
    show_verdict(convergence, only_bad=True)


def _predicted(
    fit_file: Path | None,
    source: tuple[Path | None, str | None, Relation | None],
    months: int | None,
    until: "pd.Timestamp | None",
    base_models: Iterable[str] | None,
    seed: int | None,
) -> "tuple[Forecast, Convergence]":
    """Forecast from a fit, or the base models of a panel from a population."""
    panel, as_of, relation = source
    if panel is None:
        from bayes_hfgrowth.fit import load_fit

        if fit_file is None:
            raise ForecastError(
                "there is nothing to rank; give a fit file, or new base models with --panel PANEL"
            )
        check_fit_alone(as_of, relation, ForecastError)
        fit = load_fit(fit_file)
        return fit.forecast(months, base_models, seed, until=until), fit.convergence
    from bayes_hfgrowth.forecast.paths import forecast_new
    from bayes_hfgrowth.panel.table import read_panel

    known = read_panel(panel, relation=relation)
    if as_of is not None:
        known = known.as_of(as_of)
    if base_models is not None:
        known = known.select(base_models=base_models)
    population = population_of(fit_file)
    found = forecast_new(population, known, months, seed, until=until)
    if fit_file is None:
        tell_shipped(population)
    strangers = set(known.base_models["organization"]) - set(population.organizations)
    tell_strangers(sorted(strangers))
    return found, population.convergence


def _show(table: "pd.DataFrame", by: str) -> None:
    """Print who leads at the last date."""
    last = table[table["date"] == table["date"].max()]
    wide = last.loc[last["rank"] == 1, [by, "observed"]].reset_index(drop=True)
    wide["observed"] = wide["observed"].map("{:,}".format)
    for place, column in ((1, "first"), (2, "top_2"), (3, "top_3")):
        if place in set(last["rank"]):
            wide[column] = last.loc[last["rank"] == place, "at_least"].to_numpy()
    number = len(wide)
    title = f"Probability of leading on {last['date'].iloc[0]:%Y-%m-%d}"
    show_table(wide.head(MOST_SHOWN), title, list(wide.columns[2:]))
    if number > MOST_SHOWN:
        announce(f"these are the likeliest {MOST_SHOWN} of {number:,}")
