"""The commands that ask a fit questions: `hfgrowth compare` and `hfgrowth diagnose`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
import typer

from bayes_hfgrowth.commands.fits import (
    FitFile,
    FittedPanel,
    OfRelation,
    ReadSeed,
    TableFile,
    fitted_panel,
)
from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.commands.screen import announce, show_sections, show_table, show_verdict
from bayes_hfgrowth.support.errors import ComparisonError, FitError
from bayes_hfgrowth.support.names import numbered

if TYPE_CHECKING:
    from bayes_hfgrowth.panel.counted import Counted


def compare(
    fit_file: Annotated[
        Path,
        typer.Argument(metavar="FIT|PANEL", help="Fit file, .nc, or a panel of several relations."),
    ],
    organizations: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Of a fit, at least two organizations. Of a panel, one or more base models.",
        ),
    ],
    out: TableFile = None,
    seed: ReadSeed = None,
) -> None:
    """Compare organizations of a fit, or the relations of base models of a panel.

    Organizations: how they grow, their next base models and present totals, every number beside
    the same without the organization's largest base model. Relations: how many fine-tunes,
    adapters, merges and quantized versions a base model has, counted, without any growth model.
    """
    from bayes_hfgrowth.fit import load_fit

    check_file(out, (".csv", ".parquet"), ComparisonError)
    if fit_file.suffix.lower() in (".csv", ".parquet"):
        if seed is not None:
            raise ComparisonError("--seed goes with a fit; the relations of a panel are counted")
        _compare_relations(fit_file, organizations, out)
        return
    result = load_fit(fit_file)
    comparison = result.compare(organizations, seed)
    if out is not None:
        comparison.save(out)
        announce(f"wrote {out}")
    for name in comparison.organizations:
        own = comparison.table[comparison.table["organization"] == name]
        show_table(
            _readable(own, comparison.counted),
            f"{name}: medians, 95% intervals, and medians without the largest base model",
            ("median", "lower_95", "upper_95", "without_largest"),
        )
    show_sections(comparison.sections())
    show_verdict(result.convergence, only_bad=True)


def _compare_relations(panel: Path, base_models: list[str], out: Path | None) -> None:
    """Show the relations of base models side by side."""
    from bayes_hfgrowth.panel.relations import RECENT, read_relations
    from bayes_hfgrowth.support.files import write_table

    for name in base_models:
        if "/" not in name:
            raise ComparisonError(
                f"{name!r} is no base model, namespace/name, and {panel} is a panel: organizations "
                "are compared in a fit file, .nc, which hfgrowth fit writes"
            )
    table = read_relations(panel).last_counts(base_models)
    if out is not None:
        write_table(table, out, ComparisonError)
        announce(f"wrote {out}")
    for name, own in table.groupby("base_model", sort=False):
        shown = pd.DataFrame(
            {
                "counted": own["counted"],
                "so far": [f"{count:,}" for count in own["count"]],
                f"in the last {RECENT} months": [f"{count:,}" for count in own["recent"]],
                "share": [_or_dash(share, ".0%") for share in own["share"]],
                "namespaces": [_or_dash(number, ",.0f") for number in own["authors"]],
                "held by the largest": [
                    _or_dash(share, ".0%") for share in own["largest_author_share"]
                ],
            }
        )
        date, months = own.iloc[0][["date", "month"]]
        show_table(shown, f"{name} on {date:%Y-%m-%d}, {numbered(months, 'month')} old", ())


def _or_dash(number: float, digits: str) -> str:
    return "-" if pd.isna(number) else format(number, digits)


def _readable(table: pd.DataFrame, what: "Counted") -> pd.DataFrame:
    """Rows of one organization as the screen shows them."""
    from bayes_hfgrowth.comparison.quantities import quantity_of

    table = table[table["median"].notna()]
    quantities = [quantity_of(key, what) for key in table["quantity"]]
    counted = np.array([one.larger is None for one in quantities])
    return pd.DataFrame(
        {
            "quantity": [
                one.label if one.larger is None else f"{one.label} ({one.unit})"
                for one in quantities
            ],
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
    from bayes_hfgrowth.support.progress import Progress

    if out is not None:
        check_folder(out, FitError)
    panel = fitted_panel(panel_file, relation)
    diagnostics = check_fit(load_fit(fit_file), panel, Progress(True))
    if out is not None:
        diagnostics.save(out)
        announce(f"wrote {out}")
    typer.echo(diagnostics.text(), nl=False)
