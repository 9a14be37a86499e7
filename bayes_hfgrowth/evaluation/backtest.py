"""Backtests: forecast from what was known at earlier dates, and score against what came.

Strictly by calendar. A growth model or baseline is given ``panel.as_of(date)`` and nothing
else; the rest of the panel serves to score.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayes_hfgrowth.evaluation.baselines import BASELINES, forecast_baseline
from bayes_hfgrowth.evaluation.calibration import digest_of
from bayes_hfgrowth.evaluation.scores import score_forecast, summarize
from bayes_hfgrowth.fit import GrowthModel, check_settings
from bayes_hfgrowth.forecast.paths import LONGEST
from bayes_hfgrowth.inference.sampling import Settings
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import Convergence
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.files import is_file, whole_file, write_table
from bayes_hfgrowth.support.months import as_utc
from bayes_hfgrowth.support.names import indices_of
from bayes_hfgrowth.support.progress import Progress

__all__ = ["MOST_DRAWS", "Backtest", "backtest", "kept_draws", "read_draws"]

MOST_DRAWS = 1000
"""Forecast draws that are kept of each date and method; more are thinned."""

_DRAWS, _ABOUT = "forecast.nc", "about.json"


@dataclass(frozen=True, eq=False)
class Backtest:
    """Scores of forecasts made at earlier dates.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row for each date, method, base model and horizon that can be scored: ``as_of``,
        ``method``, then the columns of `bayes_hfgrowth.evaluation.scores.score_forecast`.
    table : pandas.DataFrame
        Their averages, one row for each date, method, horizon and group; see
        `bayes_hfgrowth.evaluation.scores.summarize`.
    runs : pandas.DataFrame
        One row for each date and method: ``as_of``, ``method``, ``forecast`` (base models),
        ``too_short`` and ``failed`` (base models that a baseline could not forecast),
        ``converged`` (True, False, or None for a baseline).
    verdicts : dict
        Verdict on convergence of each growth model, by (date, name).
    """

    scores: pd.DataFrame
    table: pd.DataFrame
    runs: pd.DataFrame
    verdicts: dict[tuple[str, str], Convergence]


@dataclass(frozen=True)
class _Task:
    """A forecast to be made: all that decides what it will be, and where it goes."""

    date: str
    method: str  # name of a growth model or a baseline
    model: GrowthSpec | None
    months: int
    settings: dict[str, Any]
    folder: Path

    def about(self, panel: Panel) -> dict[str, Any]:
        """What a finished forecast must agree with to be used again."""
        return {
            "as_of": self.date,
            "method": self.method,
            "specification": digest_of(self.model) if self.model else None,
            "panel": panel.digest,
            "months": self.months,
            "settings": self.settings,
        }


def backtest(
    panel: Panel,
    *,
    as_of: str | dt.date | pd.Timestamp | Iterable[str | dt.date | pd.Timestamp],
    months: int,
    models: Sequence[str] = ("surge",),
    baselines: Sequence[str] = (),
    out: str | os.PathLike[str],
    draws: int = 1000,
    tune: int = 100,
    chains: int = 4,
    target_accept: float = 0.7,
    seed: int = 1,
    jobs: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> Backtest:
    """Fit and forecast at earlier dates, and score against what came.

    Each date and method gets a folder in `out` with its forecast. A later run with the same
    growth model, data and settings reads it instead of fitting again, so a backtest that was
    interrupted goes on where it stood.

    Parameters
    ----------
    panel : Panel
        All that is known today.
    as_of : str, datetime.date, pandas.Timestamp, or several of these
        Dates to forecast from.
    months : int
        How far ahead. Base models and horizons that the panel has not yet seen are not scored.
    models : sequence of str
        Growth models: shipped names or specification files.
    baselines : sequence of str
        Of `bayes_hfgrowth.evaluation.baselines.BASELINES`. Base models that one of them cannot
        forecast are left out of its scores, and counted, but not out of the others'.
    out : path-like
        Folder to write to: ``scores.csv`` (averages), ``base_models.parquet`` (every
        forecast), ``runs.csv``, and the forecasts.
    draws, tune, chains, seed : int
        Of each fit. Baselines simulate `MOST_DRAWS` paths.
    target_accept : float
        Mean acceptance that each fit's step size is tuned to.
    jobs : int
        Processes that work at once. One fit alone uses all cores.
    dask : str, optional
        Address of a Dask scheduler on whose workers each date and method is a task, or ``local``
        for a cluster of `jobs` workers on this machine. The workers hand the forecasts back, so
        they need not see the folder.
    progress : bool
        Whether to show progress on standard error.

    Raises
    ------
    ForecastError
        When nothing is to be done or nothing can be scored, a name is not known, a number is
        out of range, or the folder cannot be written to.
    ClusterError
        When the Dask cluster does not do its work.
    """
    if not 1 <= months <= LONGEST:
        raise ForecastError(f"{months} months ahead is out of range; give 1 to {LONGEST}")
    if jobs < 1:
        raise ForecastError(f"jobs is {jobs}; give a number from 1 on")
    check_settings(Settings(draws, tune, chains, seed, target_accept))
    single = isinstance(as_of, (str, dt.date, pd.Timestamp))
    given = [as_of] if single else list(as_of)  # type: ignore[arg-type]
    dates = sorted({_written(as_utc(date, "as-of date")) for date in given})
    if baselines:
        indices_of(baselines, tuple(BASELINES), "baseline", "list", ForecastError)
    if not dates or not (models or baselines):
        raise ForecastError("a backtest needs an as-of date and a growth model or baseline")
    fitting = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "target_accept": float(target_accept),
        "seed": seed,
    }
    tasks = _tasks(dates, months, models, baselines, Path(out), fitting)
    known = {date: panel.as_of(date) for date in dates}
    waiting = [task for task in tasks if not _finished(task, known[task.date])]
    if dask is None:
        _run(waiting, known, jobs, progress)
    elif waiting:
        _run_on_cluster(waiting, panel, dask, jobs, progress)
    return _scored(tasks, panel, Path(out))


def kept_draws(out: str | os.PathLike[str], date: str, method: str) -> xr.Dataset:
    """Read the forecast that a backtest keeps of a date and method.

    Parameters
    ----------
    out : path-like
        Folder of the backtest.
    date, method : str
        As in the tables of `Backtest`.

    Raises
    ------
    ForecastError
        When there is none.
    """
    return read_draws(_place(Path(out), date, method) / _DRAWS)


def read_draws(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read forecast draws that `bayes_hfgrowth.forecast.paths.Forecast.save` wrote.

    Raises
    ------
    ForecastError
        When the file is missing, damaged, or holds no forecast.
    """
    name = os.fspath(path)
    if not is_file(path):
        raise ForecastError(f"{name} does not exist; save one with hfgrowth forecast --out {name}")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            draws: xr.Dataset = dataset.load()
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as failure:
        raise ForecastError(f"{name} is not a NetCDF file of a forecast; give the .nc") from failure
    needed = {"finetunes", "observed", "months", "organization", "created_at"}
    missing = sorted(needed - set(map(str, draws.data_vars)))
    if missing or set(draws["finetunes"].dims) != {"chain", "draw", "base_model", "horizon"}:
        raise ForecastError(
            f"{name} holds no forecast (no {', '.join(missing) or 'draws'}); "
            "give what hfgrowth forecast --out FILE.nc wrote"
        )
    try:
        Counted.read(draws.attrs)
    except ValueError as failure:
        raise ForecastError(f"{name} is of a forecast that does not exist: {failure}") from failure
    return draws


def _tasks(
    dates: Sequence[str],
    months: int,
    models: Sequence[str],
    baselines: Sequence[str],
    out: Path,
    fitting: dict[str, Any],
) -> list[_Task]:
    simulating = {"draws": MOST_DRAWS, "seed": fitting["seed"]}
    specs = {str(model): GrowthModel(model).spec for model in models}.values()
    methods: list[tuple[str, GrowthSpec | None, dict[str, Any]]] = [
        *((spec.name, spec, fitting) for spec in specs),
        *((name, None, simulating) for name in baselines),
    ]
    names = [name for name, _, _ in methods]
    for name in names:
        if names.count(name) > 1:
            raise ForecastError(f"method {name!r} is given twice; name each once")
    return [
        _Task(date, name, spec, months, settings, _place(out, date, name))
        for date in dates
        for name, spec, settings in methods
    ]


def _place(out: Path, date: str, method: str) -> Path:
    return out / date.replace(":", "") / method


def _finished(task: _Task, panel: Panel) -> bool:
    try:
        about = json.loads((task.folder / _ABOUT).read_text())
    except (OSError, ValueError):
        return False
    expected = task.about(panel)
    return {name: about.get(name) for name in expected} == expected


def _run(tasks: Sequence[_Task], known: dict[str, Panel], jobs: int, progress: bool) -> None:
    """Do what is not done yet, each task once."""
    if not tasks:
        return
    shown = Progress(progress)
    if jobs == 1:
        for number, task in enumerate(tasks, start=1):
            shown.heading(f"{number}/{len(tasks)}: {task.method} as of {task.date}")
            _forecast(task, known[task.date], progress)
        return
    with (
        shown.stage("backtest", len(tasks)) as advance,
        ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn")) as pool,
    ):
        running = {pool.submit(_forecast, task, known[task.date]): task for task in tasks}
        try:
            for number, done in enumerate(as_completed(running), start=1):
                done.result()
                advance(number, f"{running[done].method} as of {running[done].date}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_on_cluster(
    tasks: Sequence[_Task], panel: Panel, dask: str, jobs: int, progress: bool
) -> None:
    """Have a Dask cluster do what is not done yet; what comes back is kept here."""
    with (
        workers(dask, jobs) as (submit, share, hands),
        Progress(progress).stage("backtest", len(tasks)) as advance,
    ):
        shared = share(panel)
        pieces = ((_made_as_of, task, shared) for task in tasks)
        results = in_order(submit, pieces, 2 * hands)
        for number, (task, result) in enumerate(zip(tasks, results, strict=True), start=1):
            _keep(task, *result)
            advance(number, f"{task.method} as of {task.date}")


def _made_as_of(task: _Task, panel: Panel) -> tuple[xr.Dataset, dict[str, Any]]:
    return _made(task, panel.as_of(task.date))


def _forecast(task: _Task, panel: Panel, progress: bool = False) -> None:
    """Make a forecast from what was known, and keep it."""
    _keep(task, *_made(task, panel, progress))


def _made(task: _Task, panel: Panel, progress: bool = False) -> tuple[xr.Dataset, dict[str, Any]]:
    """Make a forecast from what was known: its draws, and what decided them."""
    about = task.about(panel)
    if task.model:
        fit = GrowthModel(task.model).fit(panel, **task.settings, progress=progress)
        draws = fit.forecast(task.months).draws
        about |= {"convergence": json.loads(fit.convergence.to_json()), "too_short": 0, "failed": 0}
    else:
        result = forecast_baseline(task.method, panel, task.months, **task.settings)
        draws = result.draws
        about |= {"too_short": len(result.too_short), "failed": len(result.failed)}
    number = draws.sizes["chain"] * draws.sizes["draw"]
    return draws.isel(draw=slice(None, None, -(-number // MOST_DRAWS))), about


def _keep(task: _Task, draws: xr.Dataset, about: dict[str, Any]) -> None:
    """Write a forecast; the settings come last."""
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise ForecastError(f"{task.folder} cannot be made: {failure.strerror}") from failure
    encoding = {"finetunes": {"zlib": True, "complevel": 1, "shuffle": True}}
    # A forecast without its settings is made again, so the old settings go first.
    (task.folder / _ABOUT).unlink(missing_ok=True)
    with whole_file(task.folder / _DRAWS, ForecastError) as temporary:
        draws.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
    with whole_file(task.folder / _ABOUT, ForecastError) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")


def _scored(tasks: Sequence[_Task], panel: Panel, out: Path) -> Backtest:
    parts, runs, verdicts = [], [], {}
    for task in tasks:
        about = json.loads((task.folder / _ABOUT).read_text())
        draws = read_draws(task.folder / _DRAWS)
        scores = score_forecast(draws, panel)
        scores.insert(0, "as_of", task.date)
        scores.insert(1, "method", task.method)
        parts.append(scores)
        run = {
            "as_of": task.date,
            "method": task.method,
            "forecast": draws.sizes["base_model"],
            "too_short": about["too_short"],
            "failed": about["failed"],
            "converged": None,
        }
        if task.model:
            verdict = Convergence.from_json(json.dumps(about["convergence"]))
            verdicts[task.date, task.method] = verdict
            run["converged"] = verdict.converged
        runs.append(run)
    scores = pd.concat(parts, ignore_index=True)
    result = Backtest(scores, summarize(scores, ["as_of", "method"]), pd.DataFrame(runs), verdicts)
    write_table(result.table, out / "scores.csv", ForecastError)
    write_table(result.scores, out / "base_models.parquet", ForecastError)
    write_table(result.runs, out / "runs.csv", ForecastError)
    return result


def _written(date: pd.Timestamp) -> str:
    """The date as it is written in tables and folders; a plain day stays short."""
    return f"{date:%Y-%m-%d}" if date == date.normalize() else date.isoformat()
