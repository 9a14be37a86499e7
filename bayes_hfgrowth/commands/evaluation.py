"""The commands that hold forecasts against what came: `hfgrowth backtest` and `score`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_hfgrowth.commands.fits import Chains, Dask, Draws, OfRelation, PanelFile, TargetAccept
from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.commands.screen import announce, show_table, show_verdict
from bayes_hfgrowth.support.errors import ForecastError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_hfgrowth.evaluation.backtest import Backtest
    from bayes_hfgrowth.panel.table import Panel

_SHOWN = (
    *("base_models", "crps_log", "crps", "pit_50", "pit_80", "pit_95"),
    *("coverage_95", "bias", "absolute_error"),
)


def backtest(
    *,
    panel: PanelFile,
    as_of: Annotated[
        list[str], typer.Option(metavar="DATE", help="Forecast from this date; repeatable.")
    ],
    months: Annotated[int, typer.Option("--months", metavar="H", help="How far ahead, in months.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE.toml", help="Growth model; repeatable. Default: surge."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Rival, such as last_value or auto_ets; repeatable."),
    ] = None,
    draws: Draws = 1000,
    tune: Annotated[int, typer.Option(help="Warm-up draws of each chain.")] = 100,
    chains: Chains = 4,
    target_accept: TargetAccept = 0.7,
    seed: Annotated[int, typer.Option(help="Makes the run repeatable.")] = 1,
    jobs: Annotated[int, typer.Option(help="Forecasts at once; a fit alone uses all cores.")] = 1,
    dask: Dask = None,
    relation: OfRelation = None,
) -> None:
    """Forecast from earlier dates and score against what came.

    A forecast that is finished is not made again by a later run with the same settings. The
    folder also gets figures of the first growth model beside its rivals, and the weights with
    which all methods together would have forecast best.
    """
    from bayes_hfgrowth.evaluation.backtest import backtest as run
    from bayes_hfgrowth.figures import save_figure
    from bayes_hfgrowth.panel.table import read_panel
    from bayes_hfgrowth.support.progress import Progress

    check_folder(out, ForecastError)
    later = read_panel(panel, relation=relation)
    result = run(
        later,
        as_of=as_of,
        months=months,
        models=model or ("surge",),
        baselines=baseline or (),
        out=out,
        draws=draws,
        tune=tune,
        chains=chains,
        target_accept=target_accept,
        seed=seed,
        jobs=jobs,
        dask=dask,
    )
    table = result.table
    last = table.groupby(["as_of", "method"])["horizon"].transform("max")
    chosen = (table["horizon"] == last) & table["grouping"].isin(["all", "count"])
    show_table(table.loc[chosen].drop(columns="grouping"), "At the longest horizon", _SHOWN)
    left_out = result.runs[result.runs[["too_short", "failed"]].sum(axis=1) > 0]
    for run_ in left_out.itertuples(index=False):
        typer.echo(
            f"{run_.method} as of {run_.as_of}: {run_.forecast} base models forecast, "
            f"{run_.too_short} too young for it, {run_.failed} failed"
        )
    if result.scores["method"].nunique() > 1:
        _stack(result, later, out)
    shown = Progress(True)
    for name, draw in _drawings(result, later, out).items():
        try:
            with shown.stage(name):
                save_figure(draw(), out / f"{name}.png", ForecastError)
        except ForecastError as reason:
            announce(f"left out {name}: {reason}")
    announce(f"wrote {out}")
    for (date, name), verdict in result.verdicts.items():
        if not verdict.converged:
            announce(f"{name} as of {date}:")
        show_verdict(verdict, only_bad=True)


def _stack(result: "Backtest", later: "Panel", out: Path) -> None:
    """Write the weights with which all methods together would have forecast best."""
    from bayes_hfgrowth.evaluation.backtest import kept_draws
    from bayes_hfgrowth.evaluation.stacking import stack_forecasts
    from bayes_hfgrowth.support.files import write_table

    forecasts = {
        date: {name: kept_draws(out, date, name) for name in part["method"]}
        for date, part in result.runs.groupby("as_of")
    }
    try:
        stacked = stack_forecasts(forecasts, later)
    except ForecastError as reason:
        announce(f"left out the weights: {reason}")
        return
    write_table(stacked.table, out / "weights.csv", ForecastError)
    title = "Weights that would have forecast best together"
    show_table(stacked.table, title, ("crps_log", "crps_log_se", "weight"))


def _drawings(result: "Backtest", later: "Panel", out: Path) -> dict[str, Callable[[], "Figure"]]:
    """What draws each figure of a backtest, by the name of its file."""
    from bayes_hfgrowth.evaluation.backtest import kept_draws
    from bayes_hfgrowth.figures import evaluation as draw

    scores = result.scores
    first = str(scores["method"].iloc[0])
    drawings: dict[str, Callable[[], Figure]] = {
        "calibration": lambda: draw.calibration_curves(scores, first),
        "pit": lambda: draw.pit_histograms(scores, first),
    }
    if scores["method"].nunique() > 1:
        drawings["crps"] = lambda: draw.score_by_horizon(scores, first)

    def extremes(date: str) -> "Figure":
        own = scores[(scores["as_of"] == date) & (scores["method"] == first)]
        return draw.extreme_forecasts(kept_draws(out, date, first), own, later)

    for date in scores["as_of"].unique():
        drawings[f"extremes_{date.replace(':', '')}"] = partial(extremes, date)
    return drawings


def score(
    forecast: Annotated[
        Path, typer.Argument(metavar="FORECAST", help="Draws that hfgrowth forecast saved, .nc.")
    ],
    panel: PanelFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Scores of each base model.")
    ] = None,
    relation: OfRelation = None,
) -> None:
    """Say which statements of a forecast saved earlier came true by a newer panel."""
    from bayes_hfgrowth.evaluation.backtest import read_draws
    from bayes_hfgrowth.evaluation.scores import LEVELS, score_forecast, summarize
    from bayes_hfgrowth.evaluation.updates import last_scores
    from bayes_hfgrowth.panel.table import read_panel
    from bayes_hfgrowth.support.files import write_table

    check_file(out, (".csv", ".parquet"), ForecastError)
    scores = score_forecast(read_draws(forecast), read_panel(panel, relation=relation))
    if out is not None:
        write_table(scores, out, ForecastError)
        announce(f"wrote {out}")
    table = summarize(scores)
    shown = table[table["grouping"].isin(["all", "count"])].drop(columns="grouping")
    show_table(shown, "Scores", ("horizon", *_SHOWN))
    last = last_scores(scores)
    for level in LEVELS:
        held = last[f"inside_{level}"]
        if not held.notna().any():
            continue  # a point forecast has no intervals
        typer.echo(
            f"Of {held.notna().sum()} base models, {held.sum():.0f} ({held.mean():.0%}) stand "
            f"within their {level}% interval at the last horizon that can be scored."
        )
