"""Forecasts of the base models of a panel file, from file to file, in bounded memory."""

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_hfgrowth.cluster import in_order, workers
from bayes_hfgrowth.conditional import Conditional
from bayes_hfgrowth.errors import ForecastError
from bayes_hfgrowth.files import growing_table, write_table
from bayes_hfgrowth.forecast import (
    CHUNK,
    Forecast,
    conditional_on,
    forecast_chunk,
    joined,
)
from bayes_hfgrowth.history import History
from bayes_hfgrowth.importance import GOOD_K
from bayes_hfgrowth.months import month_end
from bayes_hfgrowth.panel import Panel
from bayes_hfgrowth.panel_chunks import PanelChunks
from bayes_hfgrowth.population import PopulationPosterior
from bayes_hfgrowth.progress import Progress
from bayes_hfgrowth.totals import BASE_MODEL, SUMS, Totals, checked_by, interval_columns

__all__ = ["ForecastFile", "forecast_file"]

MOST_BYTES = 2**30
"""Size of forecast draws up to which they are kept; a table of base models has no such limit."""


@dataclass(frozen=True)
class ForecastFile:
    """What a forecast that went to a file was about.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    base_models : int
        Number of base models in it.
    unlike : int
        How many of them have a Pareto k above `bayes_hfgrowth.importance.GOOD_K`: they are so
        unlike the population that its stored draws are too few for them.
    unknown : tuple of str
        Organizations that the population does not know, sorted.
    """

    path: Path
    base_models: int
    unlike: int
    unknown: tuple[str, ...]


def forecast_file(
    population: PopulationPosterior,
    panel: str | os.PathLike[str],
    months: int,
    out: str | os.PathLike[str],
    seed: int | None = None,
    *,
    intervals: Iterable[float] = (50, 80, 95),
    by: str = BASE_MODEL,
    base_models: Collection[str] | None = None,
    draws: int = 1000,
    chunk: int = CHUNK,
    dask: str | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> ForecastFile:
    """Forecast the base models of a panel file that were in no fit.

    The panel is read, forecast and written some base models at a time, so it may be larger than
    memory if it is Parquet. The forecasts are those of `bayes_hfgrowth.forecast_new`, whatever
    the chunks are and whoever works on them.

    Parameters
    ----------
    population, months, seed, draws, dask, jobs, progress
        As in `bayes_hfgrowth.forecast_new`.
    panel : path-like
        Panel file, ``.csv`` or ``.parquet``. In one of more than half a million rows, those of a
        base model must stand together.
    out : path-like
        Table (``.csv``, ``.parquet``) or draws (``.nc``) to write; it appears whole or not at
        all. Draws are kept in memory, up to 1 GiB.
    intervals : iterable of float
        Intervals of the table, in percent.
    by : str
        ``base_model``, or ``organization`` or ``all`` for a table of sums, as in
        `bayes_hfgrowth.forecast_draws.Forecast.total`. The draws are those of base models in
        any case.
    base_models : collection of str, optional
        Which base models; all when not given.
    chunk : int
        Base models that are forecast at a time.

    Raises
    ------
    PanelError
        When the panel cannot be read, breaks a rule, or lacks a base model.
    ForecastError
        When a number or `by` is out of range, the draws are too many, or the file cannot be
        written.
    ClusterError
        When the Dask cluster does not do its work.
    """
    levels = list(intervals)
    interval_columns(levels)  # refuses impossible ones
    checked_by(by)
    conditional = conditional_on(population, months, seed, draws)
    shown = Progress(progress)
    with shown.stage("panel"):
        source = PanelChunks(panel, chunk, base_models)
    path, number = Path(out), source.base_models
    keep = path.suffix.lower() == ".nc"
    size = 8.0 * number * draws * months  # by month of age and by date, 4 bytes each
    if keep and size > MOST_BYTES:
        raise ForecastError(
            f"draws of {number} base models over {months} months would be {size / 1e9:.1f} GB; "
            "write a table (.csv, .parquet), or name the base models whose draws you need"
        )
    sums = 8.0 * draws * months * (len(source.organizations) if by == SUMS[0] else 1)
    if not keep and by in SUMS and sums > MOST_BYTES:
        raise ForecastError(
            f"draws of the sums of {len(source.organizations)} organizations would be "
            f"{sums / 1e9:.1f} GB; take --by all, or name the base models whose sums you need"
        )
    start = _start(source)
    kept: list[Forecast] = []
    total: Totals | None = None
    unlike = done = 0
    with (
        workers(dask, jobs) as (submit, share, hands),
        shown.stage("base models", number) as advance,
    ):
        shared = share(conditional)
        work: tuple[Callable[..., Any], tuple[Any, ...]] = (
            (forecast_chunk, ()) if keep
            else (_table, (levels,)) if by == BASE_MODEL
            else (_sums, (by,))
        )  # fmt: skip
        options = (months, start, *work[1])
        pieces = ((work[0], shared, History.from_panel(part), *options) for part in source)
        results = in_order(submit, pieces, 2 * hands)
        if keep:
            for result in results:
                kept.append(result)
                advance(sum(part.draws.sizes["base_model"] for part in kept), "")
        elif by in SUMS:
            for part, few, some in results:
                if total is None:
                    total = part
                else:
                    total.add(part)
                unlike, done = unlike + few, done + some
                advance(done, "")
        else:
            with growing_table(path, ForecastError) as append:
                for table, few, some in results:
                    append(table)
                    unlike, done = unlike + few, done + some
                    advance(done, "")
    if keep:
        whole = joined(kept)
        unlike = _unlike(whole)
        whole.save(path)
    elif total is not None:
        write_table(total.table(levels), path, ForecastError)
    unknown = tuple(sorted(source.organizations - set(population.organizations)))
    return ForecastFile(path, number, unlike, unknown)


def _start(parts: Iterable[Panel]) -> pd.Timestamp:
    """Date from which sums are forecast; see `bayes_hfgrowth.dated_counts.last_date`."""
    ends = []
    for part in parts:
        if part.observed_at is not None:  # the same in all parts, and no month ends later
            return part.observed_at
        ends.append(month_end(part.table["created_at"], part.table["month"].to_numpy()).max())
    if not ends:
        raise ForecastError("the panel holds no base model; give one that does")
    return max(ends)


def _table(
    conditional: Conditional,
    history: History,
    months: int,
    start: pd.Timestamp,
    levels: list[float],
) -> tuple[pd.DataFrame, int, int]:
    """Table of some forecasts, and of how many base models, unlike the population and in all."""
    found = forecast_chunk(conditional, history, months, start)
    return found.table(levels), _unlike(found), len(history.base_models)


def _sums(
    conditional: Conditional,
    history: History,
    months: int,
    start: pd.Timestamp,
    by: str,
) -> tuple[Totals, int, int]:
    """Sums of some forecasts, and of how many base models, unlike the population and in all."""
    found = forecast_chunk(conditional, history, months, start)
    return Totals.of(found.draws, by), _unlike(found), len(history.base_models)


def _unlike(found: Forecast) -> int:
    return int((found.draws["pareto_k"] > GOOD_K).sum())
