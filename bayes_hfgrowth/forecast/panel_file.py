"""Forecasts of the base models of a panel file, from file to file, in bounded memory."""

import os
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_hfgrowth.forecast.answers import checked_threshold, dated_table
from bayes_hfgrowth.forecast.dated_counts import dates_ahead
from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.forecast.paths import (
    CHUNK,
    Forecast,
    conditional_on,
    forecast_chunk,
    joined,
    until_attribute,
)
from bayes_hfgrowth.forecast.releases import Releases
from bayes_hfgrowth.forecast.totals import (
    BASE_MODEL,
    SUMS,
    Totals,
    check_new_releases,
    checked_by,
    interval_columns,
)
from bayes_hfgrowth.panel.chunks import PanelChunks
from bayes_hfgrowth.panel.counted import Relation
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.conditional import Conditional
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.files import growing_table, write_table
from bayes_hfgrowth.support.horizon import Date, months_ahead, until_date
from bayes_hfgrowth.support.progress import Progress

__all__ = ["ForecastFile", "forecast_file", "largest_at_end"]

MOST_BYTES = 2**30
"""Size of forecast draws up to which they are kept; a table of base models has no such limit."""

MOST_ANSWERS = 12
"""Rows of `ForecastFile.answers`."""


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
        How many of them have a Pareto k above `bayes_hfgrowth.posterior.importance.GOOD_K`: they
        are so unlike the population that its stored draws are too few for them.
    unknown : tuple of str
        Organizations that the population does not know, sorted.
    answers : pandas.DataFrame or None
        Last rows of a table of counts at calendar dates, of the base models or sums that have
        most fine-tunes, at most `MOST_ANSWERS`; None for another table, or draws.
    """

    path: Path
    base_models: int
    unlike: int
    unknown: tuple[str, ...]
    answers: pd.DataFrame | None = None


def forecast_file(
    population: PopulationPosterior,
    panel: str | os.PathLike[str],
    months: int | None,
    out: str | os.PathLike[str],
    seed: int | None = None,
    *,
    until: Date | None = None,
    threshold: int | None = None,
    as_of: Date | None = None,
    relation: Relation | None = None,
    intervals: Iterable[float] = (50, 80, 95),
    by: str = BASE_MODEL,
    base_models: Collection[str] | None = None,
    with_new_releases: bool = False,
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
    population, months, seed, until, draws, dask, jobs, progress
        As in `bayes_hfgrowth.forecast_new`; `months` is None where `until` is given.
    panel : path-like
        Panel file, ``.csv`` or ``.parquet``. In one of more than half a million rows, those of a
        base model must stand together.
    out : path-like
        Table (``.csv``, ``.parquet``) or draws (``.nc``) to write; it appears whole or not at
        all. Draws are kept in memory, up to 1 GiB.
    threshold : int, optional
        A count: the table also tells how probable it is that it is passed.
    as_of : date, optional
        Forecast from what was known at this date; base models created after it are left out.
    relation : {"finetune", "adapter", "merge", "quantized", "all"}, optional
        Which rows to take from a file of several relations.
    intervals, by, base_models, with_new_releases
        As in `bayes_hfgrowth.forecast.draws.Forecast`. With `until` or `threshold` the table is one
        of counts at calendar dates, `at_dates`; else `table`, or `total` of sums. The draws are
        those of base models in any case.
    chunk : int
        Base models that are forecast at a time.

    Raises
    ------
    PanelError
        When the panel cannot be read, breaks a rule, or lacks a base model, or nothing was known
        at the date.
    ForecastError
        When a number or `by` is out of range, the panel counts something else than the
        population, the draws are too many, or the file cannot be written.
    ClusterError
        When the Dask cluster does not do its work.
    """
    levels = list(intervals)
    interval_columns(levels)  # refuses impossible ones
    checked_by(by)
    if with_new_releases:
        check_new_releases(by, base_models is not None, out)
    last = until_date(months, until)
    limit = None if threshold is None else checked_threshold(threshold)
    if last is None:  # a wrong number is refused before a large file is read
        conditional_on(population, months or 0, seed, draws)
    shown = Progress(progress)
    with shown.stage("panel"):
        source = PanelChunks(panel, chunk, base_models, as_of, relation=relation)
    population.check_counted(source.counted)
    start = source.last_date
    months = months_ahead(months, last, start)
    conditional = conditional_on(population, months, seed, draws)
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
    dated = last is not None or limit is not None
    kept: list[Forecast] = []
    total = Totals(dates_ahead(start, months), np.arange(1, months + 1), counted=source.counted)
    answers: pd.DataFrame | None = None
    make: Callable[[Forecast], Any] | None
    take: AbstractContextManager[Callable[[Any], None]]
    if keep:
        make, take = None, nullcontext(kept.append)
    elif by in SUMS:
        make, take = partial(_sums, by=by), nullcontext(total.add)
    else:
        make = partial(Forecast.table, intervals=levels)
        if dated:
            make = partial(_dated, levels=levels, until=last, threshold=limit)
        take = growing_table(path, ForecastError)
    unlike = done = 0
    with (
        workers(dask, jobs) as (submit, share, hands),
        shown.stage("base models", number) as advance,
        take as append,
    ):
        shared = share(conditional)
        pieces = ((_made, make, shared, History.from_panel(part), months, start) for part in source)
        for made, few, some in in_order(submit, pieces, 2 * hands):
            append(made)
            if dated and isinstance(made, pd.DataFrame):
                answers = largest_at_end(made, answers)
            unlike, done = unlike + few, done + some
            advance(done, "")
    if keep:
        until_attribute(joined(kept), last).save(path)
    elif by in SUMS:
        if with_new_releases:
            with shown.stage("new releases"):
                born = pd.concat([part.base_models for part in source])
                created, names = pd.DatetimeIndex(born["created_at"]), tuple(born["organization"])
                seed = conditional.seed
                releases = Releases(population, created, names, start, months, seed, draws)
                total.add(releases.totals(by))
        if dated:
            table = dated_table(DatedSeries.of_totals(total, by, start, last), None, levels, limit)
            answers = largest_at_end(table)
        else:
            table = total.table(levels)
        write_table(table, path, ForecastError)
    unknown = tuple(sorted(source.organizations - set(population.organizations)))
    return ForecastFile(path, number, unlike, unknown, answers)


def _made(
    make: Callable[[Forecast], Any] | None,
    conditional: Conditional,
    history: History,
    months: int,
    start: pd.Timestamp,
) -> tuple[Any, int, int]:
    """What is made of a forecast, and of how many base models, unlike the population and in all."""
    found = forecast_chunk(conditional, history, months, start)
    unlike = int((found.draws["pareto_k"] > GOOD_K).sum())
    return found if make is None else make(found), unlike, len(history.base_models)


def _dated(
    found: Forecast, levels: list[float], until: pd.Timestamp | None, threshold: int | None
) -> pd.DataFrame:
    return until_attribute(found, until).at_dates(None, levels, threshold=threshold)


def _sums(found: Forecast, by: str) -> Totals:
    return Totals.of(found.draws, by)


def largest_at_end(table: pd.DataFrame, so_far: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of the last date with most fine-tunes so far, at most `MOST_ANSWERS`.

    Of a table from `bayes_hfgrowth.forecast.answers.dated_table`, and the rows found in others.
    """
    rows = table[table["date"] == table["date"].max()]
    rows = rows if so_far is None else pd.concat([so_far, rows], ignore_index=True)
    return rows.sort_values("observed", ascending=False, kind="stable").head(MOST_ANSWERS)
