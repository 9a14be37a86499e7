"""The commands that ask a fit questions: `hfgrowth compare` and `hfgrowth diagnose`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
import typer

from bayes_hfgrowth.commands.fits import FitFile, FittedPanel, OfRelation, ReadSeed
from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.commands.screen import announce, show_sections, show_table, show_verdict
from bayes_hfgrowth.support.errors import ComparisonError, FitError

if TYPE_CHECKING:
    from bayes_hfgrowth.panel.counted import Counted


def compare(
    fit_file: FitFile,
    organizations: Annotated[
        list[str], typer.Argument(metavar="ORGANIZATION...", help="At least two, by name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Table to write, .csv or .parquet.")
    ] = None,
    seed: ReadSeed = None,
) -> None:
    """Compare organizations: how they grow, their next base models and present totals.

    Every number stands beside the same without the organization's largest base model.
    """
    from bayes_hfgrowth.fit import load_fit

    if out is not None:
        check_file(out, (".csv", ".parquet"), ComparisonError)
    result = load_fit(fit_file)
    comparison = result.compare(organizations, seed)
    if out is not None:
        comparison.save(out)
        announce(f"wrote {out}")
    for name in comparison.organizations:
        show_table(
            _readable(
                comparison.table[comparison.table["organization"] == name], comparison.counted
            ),
            f"{name}: medians, 95% intervals, and medians without the largest base model",
            ("median", "lower_95", "upper_95", "without_largest"),
        )
    show_sections(comparison.sections())
    show_verdict(result.convergence, only_bad=True)


def _readable(table: pd.DataFrame, what: "Counted") -> pd.DataFrame:
    """Rows of one organization as the screen shows them."""
    from bayes_hfgrowth.comparison.quantities import quantity_of

    table = table[table["median"].notna()]
    quantities = [quantity_of(key, what) for key in table["quantity"]]
    counted = np.array([quantity.larger is None for quantity in quantities])
    labels = [
        quantity.label if known else f"{quantity.label} ({quantity.unit})"
        for quantity, known in zip(quantities, counted, strict=True)
    ]
    return pd.DataFrame(
        {
            "quantity": labels,
            "median": table["median"],
            "lower_95": table["lower_95"].mask(counted),
            "upper_95": table["upper_95"].mask(counted),
            "without_largest": table["median_without_largest"],
        }
    )


def diagnose(
    fit_file: FitFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for tables and figures.")
    ] = None,
    panel_file: FittedPanel = None,
    relation: OfRelation = None,
) -> None:
    """Check a fit: convergence, leave-one-out, posterior predictive checks.

    With the panel, if it came from the Hub, it says whether one author or many made a surge.
    """
    from bayes_hfgrowth.diagnostics import diagnose as check_fit
    from bayes_hfgrowth.fit import load_fit
    from bayes_hfgrowth.panel.table import read_panel
    from bayes_hfgrowth.support.progress import Progress

    if out is not None:
        check_folder(out, FitError)
    panel = None if panel_file is None else read_panel(panel_file, relation=relation)
    diagnostics = check_fit(load_fit(fit_file), panel, Progress(True))
    if out is not None:
        diagnostics.save(out)
        announce(f"wrote {out}")
    typer.echo(diagnostics.text(), nl=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (compare, diagnose):
        app.command()(command)
