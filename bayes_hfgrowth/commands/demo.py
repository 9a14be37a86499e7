"""The command `hfgrowth demo`: the main job on the shipped data.

With ``HFGROWTH_QUICK=1`` in the environment, the same steps run on fewer base models and fewer
draws; tests use it, its numbers are not meant to be read.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.outputs import check_folder
from bayes_hfgrowth.commands.screen import announce, show_sections, show_table, show_verdict
from bayes_hfgrowth.support.errors import FitError, ForecastError
from bayes_hfgrowth.support.files import write_table

QUICK = "HFGROWTH_QUICK"
HORIZON = 12
ORGANIZATIONS = ("Meta", "StabilityAI")
WELL_KNOWN = (
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-2-7b-hf",
    "mistralai/Mistral-7B-v0.1",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "openai/whisper-small",
    "google/gemma-2b",
)
QUICK_BASE_MODELS = (
    *WELL_KNOWN,
    "facebook/dinov2-large",  # this and layoutlmv3 have sound published fits to compare with
    "meta-llama/Llama-3.2-1B",
    "microsoft/layoutlmv3-base",
    "openai/whisper-tiny",
    "stabilityai/stable-diffusion-2",
    "stabilityai/stable-diffusion-2-1",
)
QUICK_DRAWS = 50
LEAST_FINETUNES = 30
# Few enough for some minutes; smaller steps, as fewer base models make a harder posterior.
DRAWS, TARGET_ACCEPT = 1200, 0.9


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write to; made if missing.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Makes the run repeatable.")] = 1,
) -> None:
    """Fit the shipped data, forecast 12 months, compare Meta with StabilityAI.

    The fit takes base models with at least 30 fine-tunes, as of the data's last day; one of all
    base models takes several times as long.
    """
    from bayes_hfgrowth.figures import fan_chart, organization_forest, paper_comparison, save_figure
    from bayes_hfgrowth.fit import GrowthModel, check_settings
    from bayes_hfgrowth.inference.sampling import Settings
    from bayes_hfgrowth.sources.example import load_example, load_paper_fits

    begin = time.perf_counter()
    check_folder(out, FitError)
    check_settings(Settings(seed=seed))
    out.mkdir(parents=True, exist_ok=True)
    quick = os.environ.get(QUICK, "0") not in ("", "0")
    everything = load_example()
    panel = everything.select(
        base_models=QUICK_BASE_MODELS if quick else None, min_finetunes=LEAST_FINETUNES
    )
    announce(
        f"fitting the {len(panel.base_models)} base models with at least {LEAST_FINETUNES} "
        f"fine-tunes, of {len(everything.base_models)} in the shipped data"
    )
    if quick:
        announce(_QUICK_NOTE)
    model = GrowthModel("surge")
    if quick:
        fit = model.fit(panel, seed=seed, draws=QUICK_DRAWS, tune=QUICK_DRAWS)
    else:
        fit = model.fit(panel, seed=seed, draws=DRAWS, target_accept=TARGET_ACCEPT)
    fit.save(out / "fit.nc")
    show_verdict(fit.convergence)

    forecast = fit.forecast(HORIZON)
    table = forecast.table()
    write_table(table, out / "forecast.csv", ForecastError)
    forecast.save(out / "forecast.nc")
    save_figure(fan_chart(table, forecast.history, WELL_KNOWN), out / "fan_chart.png")
    comparison = fit.compare(ORGANIZATIONS)
    comparison.save(out / "organizations.csv")
    everyone = fit.compare(fit.organizations)
    save_figure(organization_forest(everyone.table), out / "organizations.png")
    save_figure(paper_comparison(fit, load_paper_fits()), out / "paper_fits.png")
    diagnostics = fit.diagnose()
    diagnostics.save(out / "diagnostics")

    known = table[table["base_model"].isin(WELL_KNOWN) & (table["horizon"] == HORIZON)]
    known = known.sort_values("median", ascending=False)
    numbers = ["observed", "median", "lower_80", "upper_80"]
    title = f"Fine-tunes {HORIZON} months on (median and 80% interval)"
    show_table(known[["base_model", *numbers]], title, numbers)
    show_sections(comparison.sections())
    if quick:
        typer.echo(f"\n{_QUICK_NOTE}")
    typer.echo(f"\nWritten to {out}:")
    for name, what in _CONTENTS.items():
        typer.echo(f"  {name:<20}{what}")
    announce(f"done in {time.perf_counter() - begin:.0f} s")
    show_verdict(fit.convergence, only_bad=True)


_QUICK_NOTE = (
    f"{QUICK} is set: only {len(QUICK_BASE_MODELS)} base models and {QUICK_DRAWS} draws of each "
    "chain; do not use these numbers, unset it for the real run"
)

_CONTENTS = {
    "fit.nc": "the posterior, with all that ArviZ needs (NetCDF)",
    "forecast.csv": f"medians and intervals for 1 to {HORIZON} months ahead",
    "forecast.nc": "the forecast draws behind them (NetCDF)",
    "fan_chart.png": "data and forecast of six well-known base models",
    "organizations.csv": " and ".join(ORGANIZATIONS) + " compared",
    "organizations.png": "all organizations side by side",
    "paper_fits.png": "our fit and the published least-squares curves beside the data",
    "diagnostics": "convergence and posterior predictive checks",
}
