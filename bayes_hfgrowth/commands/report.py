"""The command `hfgrowth report`: everything a fit has to say, in one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.fits import (
    FitFile,
    FittedPanel,
    HowFar,
    OfRelation,
    ReadSeed,
    fitted_panel,
)
from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.support.errors import FitError
from bayes_hfgrowth.support.names import numbered


def report(
    fit_file: FitFile,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Page to write.")],
    months: HowFar = 12,
    panel_file: FittedPanel = None,
    relation: OfRelation = None,
    seed: ReadSeed = None,
) -> None:
    """Write one self-contained HTML page: forecasts, organizations, diagnostics.

    It opens in any browser and loads nothing from any network.
    """
    from bayes_hfgrowth.fit import load_fit
    from bayes_hfgrowth.report import write_report

    check_file(out, (".html",), FitError)
    panel = fitted_panel(panel_file, relation)
    result = load_fit(fit_file)
    write_report(result, out, months=months, seed=seed, panel=panel, progress=True)
    announce(
        f"wrote {out}: {numbered(len(result.base_models), 'base model')}, "
        f"{numbered(months, 'month')}, {out.stat().st_size / 1e6:.1f} MB"
    )
    show_verdict(result.convergence, only_bad=True)
