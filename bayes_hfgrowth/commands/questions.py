"""The commands that ask a fit questions: `hfgrowth compare` and `hfgrowth diagnose`."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.fits import FitFile, ReadSeed
from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.commands.screen import announce, show_table, show_verdict
from bayes_hfgrowth.errors import ComparisonError, FitError


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
    """Compare organizations: immediacy, longevity, fitness, and their next base model."""
    from bayes_hfgrowth.fit import load_fit

    if out is not None:
        check_file(out, (".csv", ".parquet"), ComparisonError)
    result = load_fit(fit_file)
    comparison = result.compare(organizations, seed)
    if out is not None:
        comparison.save(out)
        announce(f"wrote {out}")
    show_table(comparison.table, "Organizations", ("median", "lower_95", "upper_95"))
    for sentence in comparison.sentences():
        typer.echo(sentence)
    show_verdict(result.convergence, only_bad=True)


def diagnose(
    fit_file: FitFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for tables and figures.")
    ] = None,
) -> None:
    """Check a fit: convergence, leave-one-out, posterior predictive checks."""
    from bayes_hfgrowth.fit import load_fit

    if out is not None:
        check_folder(out, FitError)
    diagnostics = load_fit(fit_file).diagnose()
    if out is not None:
        diagnostics.save(out)
        announce(f"wrote {out}")
    typer.echo(diagnostics.text(), nl=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (compare, diagnose):
        app.command()(command)
