"""The command `hfgrowth figures`: every figure that a fit can be shown in."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_hfgrowth.commands.fits import (
    FitFile,
    FittedPanel,
    HowFar,
    OfRelation,
    ReadSeed,
    fitted_panel,
)
from bayes_hfgrowth.commands.outputs import check_folder
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.support.errors import FitError, HFGrowthError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_hfgrowth.fit import GrowthFit
    from bayes_hfgrowth.panel.table import Panel

FORMATS = ("png", "svg", "pdf")


def figures(
    fit_file: FitFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")],
    file_format: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="Format of the files.")
    ] = "png",
    months: HowFar = 12,
    panel_file: FittedPanel = None,
    relation: OfRelation = None,
    seed: ReadSeed = None,
) -> None:
    """Draw all figures of a fit: data, parameters, organizations, forecasts, checks.

    A figure that the fit has no data for is left out, and a line on the screen says why.
    """
    from bayes_hfgrowth.figures import save_figure
    from bayes_hfgrowth.fit import load_fit
    from bayes_hfgrowth.support.progress import Progress

    if file_format not in FORMATS:
        raise FitError(f"format {file_format!r} does not exist; give one of {', '.join(FORMATS)}")
    check_folder(out, FitError)
    panel = fitted_panel(panel_file, relation)
    fit = load_fit(fit_file)
    shown = Progress(True)
    with shown.stage("forecast"):
        drawings = _drawings(fit, months, panel, seed)
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, draw in drawings.items():
        try:
            with shown.stage(name):
                figure = draw()
        except HFGrowthError as reason:
            announce(f"left out {name}: {reason}")
            continue
        save_figure(figure, out / f"{name}.{file_format}", FitError)
        written += 1
    announce(f"wrote {written} figures to {out}")
    show_verdict(fit.convergence, only_bad=True)


def _drawings(
    fit: "GrowthFit", months: int, panel: "Panel | None", seed: int | None
) -> dict[str, Callable[[], "Figure"]]:
    """What draws each figure, by the name of its file."""
    from bayes_hfgrowth import figures as draw
    from bayes_hfgrowth.diagnostics import prior_posterior_table
    from bayes_hfgrowth.sources.example import load_paper_fits

    forecast = fit.forecast(months, seed=seed)

    compared = cache(lambda: fit.compare(fit.organizations, seed))
    checked = cache(fit.diagnose)

    def downloads() -> "Figure":
        if panel is None:
            raise FitError("a fit knows no downloads; give --panel one that carries them")
        known = [name for name in fit.base_models if name in panel.base_models.index]
        return draw.download_concentration(panel.select(known))

    def surges() -> "Figure":
        if checked().surges.empty:
            raise FitError("no month of the fit is a surge")
        return draw.surge_chart(checked().months, checked().surges, fit.counted)

    return {
        "growth_by_age": lambda: draw.growth_by_age(draw.observed_months(fit.history), fit.counted),
        "parameters": lambda: draw.parameter_pairs(fit),
        "prior_posterior": lambda: draw.prior_posterior(prior_posterior_table(fit)),
        "period": lambda: draw.period_effect(fit, months, seed),
        "milestones": lambda: draw.organization_milestones(fit, seed=seed),
        "concentration": lambda: draw.concentration(forecast),
        "downloads": downloads,
        "portfolios": lambda: draw.organization_portfolios(fit, forecast),
        "collapse": lambda: draw.collapse(fit),
        "fan_chart": forecast.plot,
        "organizations": lambda: compared().plot(),
        "ridges": lambda: draw.organization_ridges(fit),
        "ranks": lambda: draw.organization_ranks(compared().ranks),
        "predictive": lambda: draw.predictive_check(
            checked().rootogram, checked().pit, fit.counted
        ),
        "surges": surges,
        "paper_fits": lambda: draw.paper_comparison(fit, load_paper_fits()),
    }
