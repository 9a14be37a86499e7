"""The commands that hold forecasts against what came: `hfgrowth backtest` and `score`."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.fits import Dask
from bayes_hfgrowth.commands.outputs import check_file, check_folder
from bayes_hfgrowth.commands.screen import announce, show_table, show_verdict
from bayes_hfgrowth.errors import ForecastError

PanelFile = Annotated[Path, typer.Argument(metavar="PANEL", help="Panel file, .csv or .parquet.")]

_SHOWN = ("base_models", "crps_log", "crps", "pit_50", "pit_80", "pit_95", "coverage_95", "bias",
          "absolute_error")  # fmt: skip


def backtest(
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
    draws: Annotated[int, typer.Option(help="Kept draws of each chain.")] = 750,
    tune: Annotated[int, typer.Option(help="Warm-up draws of each chain; nuts needs more.")] = 150,
    chains: Annotated[int, typer.Option(help="Independent chains, at least 2.")] = 4,
    seed: Annotated[int, typer.Option(help="Makes the run repeatable.")] = 1,
    jobs: Annotated[int, typer.Option(help="Forecasts at once; a fit alone uses all cores.")] = 1,
    dask: Dask = None,
) -> None:
    """Forecast from earlier dates and score against what came.

    A forecast that is finished is not made again by a later run with the same settings.
    """
    from bayes_hfgrowth.evaluation.backtest import backtest as run
    from bayes_hfgrowth.panel import read_panel

    check_folder(out, ForecastError)
    result = run(
        read_panel(panel), as_of=as_of, months=months, models=model or ("surge",),
        baselines=baseline or (), out=out, draws=draws, tune=tune, chains=chains, seed=seed,
        jobs=jobs, dask=dask,
    )  # fmt: skip
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
    announce(f"wrote {out}")
    for (date, name), verdict in result.verdicts.items():
        if not verdict.converged:
            announce(f"{name} as of {date}:")
        show_verdict(verdict, only_bad=True)


def score(
    forecast: Annotated[
        Path, typer.Argument(metavar="FORECAST", help="Draws that hfgrowth forecast saved, .nc.")
    ],
    panel: PanelFile,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Scores of each base model.")
    ] = None,
) -> None:
    """Say which statements of a forecast saved earlier came true by a newer panel."""
    from bayes_hfgrowth.evaluation.backtest import read_draws
    from bayes_hfgrowth.evaluation.scores import LEVELS, score_forecast, summarize
    from bayes_hfgrowth.files import write_table
    from bayes_hfgrowth.panel import read_panel

    if out is not None:
        check_file(out, (".csv", ".parquet"), ForecastError)
    scores = score_forecast(read_draws(forecast), read_panel(panel))
    if out is not None:
        write_table(scores, out, ForecastError)
        announce(f"wrote {out}")
    table = summarize(scores)
    shown = table[table["grouping"].isin(["all", "count"])].drop(columns="grouping")
    show_table(shown, "Scores", ("horizon", *_SHOWN))
    last = scores.loc[scores.groupby("base_model", sort=False)["horizon"].idxmax()]
    for level in LEVELS:
        held = last[f"inside_{level}"]
        typer.echo(
            f"Of {held.notna().sum()} base models, {held.sum():.0f} ({held.mean():.0%}) stand "
            f"within their {level}% interval at the last horizon that can be scored."
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (backtest, score):
        app.command()(command)
