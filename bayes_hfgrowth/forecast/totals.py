"""Sums over base models, draw by draw, and the columns that all forecast tables share."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.forecast.dated_counts import observed_at_dates
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.posterior.simulation import flat_draws
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.months import month_end, whole_months
from bayes_hfgrowth.support.names import indices_of

__all__ = [
    "BASE_MODEL",
    "FROM",
    "SUMS",
    "UNTIL",
    "WITH_NEW",
    "Totals",
    "check_new_releases",
    "checked_by",
    "checked_intervals",
    "checked_sum",
    "counts_of",
    "dated_counts_of",
    "interval_columns",
    "observed_sums",
    "quantile",
    "quantiles_of",
    "summaries",
]

FROM = "forecast_from"
"""Attribute of forecast draws: the date, ISO 8601, from which the calendar dates are counted."""

UNTIL = "forecast_until"
"""Attribute of forecast draws that were asked for until a date: that date, ISO 8601."""

WITH_NEW = "with_new_releases"
"""Column of tables of sums that base models yet to be released are in; always true."""

BASE_MODEL = "base_model"
"""What a table is by that is not of sums."""

SUMS = ("organization", "all")
"""What base models can be added up by."""

_MOST = 2**53  # largest sum; beyond it a double is no longer exact
_BLOCK = 25  # draws that are added up at a time
_SORTED = 16  # series whose draws are sorted at a time, few enough for a processor's cache


@dataclass(frozen=True, eq=False)
class Totals:
    """Draws of sums over base models at calendar dates.

    Sums of different base models with the same dates and draws can be added to each other.

    Parameters
    ----------
    dates : pandas.DatetimeIndex
        UTC.
    horizon : ndarray of int, shape (dates,)
        Months after the date of the observation.
    observed : dict
        Sum of the last known counts, by name.
    counts : dict
        Draws of each sum, shape (draws, dates), at most 2**53.
    released : dict
        Draws of the number of base models in each sum that were yet to be released, of the same
        shape; empty where only present base models are in.
    counted : Counted
        What is counted.
    """

    dates: pd.DatetimeIndex
    horizon: npt.NDArray[np.integer]
    observed: dict[str, int] = field(default_factory=dict)
    counts: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    released: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    counted: Counted = FINETUNES

    @classmethod
    def of(cls, draws: xr.Dataset, by: str, base_models: Iterable[str] | None = None) -> "Totals":
        """Add up base models of a forecast, draw by draw.

        Parameters
        ----------
        draws, by, base_models
            As in `bayes_hfgrowth.forecast.draws.Forecast`.

        Raises
        ------
        ForecastError
            When `by` is another, a base model is not in the forecast, or the forecast has no
            counts at dates.
        """
        checked_sum(by)
        values, dates, chosen = dated_counts_of(draws, base_models)
        observed = draws["observed"].to_numpy()
        found = cls(dates, draws["horizon"].to_numpy(), counted=Counted.read(draws.attrs))
        for name, own in _members(draws, by, chosen):
            total = np.empty((values.shape[0], values.shape[2]), dtype=np.int64)
            for first in range(0, len(values), _BLOCK):
                some = slice(first, first + _BLOCK)
                exact = values[some, own].sum(axis=1, dtype=np.float64)
                total[some] = np.minimum(exact, _MOST)
            found.observed[name], found.counts[name] = int(observed[own].sum()), total
        return found

    def add(self, other: "Totals") -> None:
        """Add the sums of other base models to these, of the same dates and draws."""
        for name, counts in other.counts.items():
            if name in self.counts:
                self.observed[name] += other.observed[name]
                np.minimum(self.counts[name] + counts, _MOST, out=self.counts[name])
            else:
                self.observed[name], self.counts[name] = other.observed[name], counts.copy()
        for name, number in other.released.items():
            self.released[name] = self.released[name] + number if name in self.released else number

    def table(self, intervals: Iterable[float] = (50, 80, 95)) -> pd.DataFrame:
        """Make the table of `Forecast.total`; intervals as in `checked_intervals`."""
        levels = checked_intervals(intervals)
        tables = []
        for name in sorted(self.counts):
            columns: dict[str, Any] = {
                "organization": name,
                **self.counted.label,
                "month": self.horizon,
                "date": self.dates,
                "horizon": self.horizon,
                "observed": self.observed[name],
            }
            if self.released:
                born = np.floor(np.median(self.released[name], axis=0)).astype(np.int64)
                columns |= {WITH_NEW: True, "new_base_models": born}
            columns |= summaries(self.counts[name][:, None], levels)
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)


def counts_of(draws: xr.Dataset, name: str) -> npt.NDArray[np.integer]:
    """Counts of a forecast under that name; (draws of all chains, base models, horizons)."""
    return flat_draws(draws[name], "base_model", "horizon")


def dated_counts_of(
    draws: xr.Dataset, base_models: Iterable[str] | None
) -> tuple[npt.NDArray[np.integer], pd.DatetimeIndex, npt.NDArray[np.int64]]:
    """Counts of a forecast at calendar dates, the dates, and positions of some base models.

    The counts are those of all base models, as in `counts_of`; all are positions of None.

    Raises
    ------
    ForecastError
        When a base model is not in the forecast, or it has no counts at dates.
    """
    if "finetunes_at_date" not in draws:
        raise ForecastError(
            "the forecast has no counts at calendar dates; forecast again with this version"
        )
    names = draws["base_model"].to_numpy().tolist()
    chosen = indices_of(base_models, names, "base model", "forecast", ForecastError)
    dates = pd.DatetimeIndex(draws["date"].to_numpy()).as_unit("us").tz_localize("UTC")
    return counts_of(draws, "finetunes_at_date"), dates, chosen


def checked_by(by: str) -> str:
    """What a table is by; `ForecastError` when it is neither a base model nor one of `SUMS`."""
    if by not in (BASE_MODEL, *SUMS):
        raise ForecastError(f"there is no table by {by!r}; take base_model, {' or '.join(SUMS)}")
    return by


def checked_sum(by: str) -> str:
    """What base models are added up by; `ForecastError` when it is none of `SUMS`."""
    if by not in SUMS:
        raise ForecastError(f"there is no sum by {by!r}; take {' or '.join(SUMS)}")
    return by


def check_new_releases(by: str, some_only: bool, out: str | os.PathLike[str] | None = None) -> None:
    """Check that base models yet to be released can be in what is asked for.

    Raises
    ------
    ForecastError
        When it is no table of sums, or one of some of the base models of a fit or panel only.
    """
    if by not in SUMS or (out is not None and Path(out).suffix.lower() == ".nc"):
        raise ForecastError(
            "base models yet to be released (--with-new-releases) are in tables of sums alone; "
            "take them by organization or all, and write a .csv or .parquet"
        )
    if some_only:
        raise ForecastError(
            "base models yet to be released (--with-new-releases) belong to sums of all base "
            "models of a fit or panel; forecast all, and name none"
        )


def interval_columns(intervals: Iterable[float] = (50, 80, 95)) -> list[str]:
    """Names of the interval columns of a forecast table, in order."""
    return [name for name in quantiles_of(checked_intervals(intervals)) if name != "median"]


def observed_sums(
    draws: xr.Dataset, history: pd.DataFrame, by: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Observed sums by calendar month, back from the date that the forecast is from.

    Each month of a base model is spread evenly over its days.

    Parameters
    ----------
    draws, history
        As in `bayes_hfgrowth.forecast.paths.Forecast`.
    by : str
        One of `SUMS`.

    Returns
    -------
    table : pandas.DataFrame
        ``base_model`` (name of the sum), ``month`` (1, 2, ... from the month on in which the
        first of its base models was created), ``finetunes``.
    months : dict
        How many months each sum has.
    """
    names = draws["base_model"].to_numpy().tolist()
    created = pd.DatetimeIndex(draws["created_at"].to_numpy()).tz_localize("UTC")
    today = pd.Timestamp(draws.attrs[FROM])
    counts = dict(iter(history.sort_values("month").groupby("base_model")["finetunes"]))
    nothing = np.empty(0, dtype=np.int64)
    tables, number = [], {}
    for name, own in _members(draws, by):
        number[name] = 1 + int(whole_months(created[own].min(), today)[0])
        month = np.arange(1, number[name] + 1)
        dates = month_end(today, month - number[name])
        total = np.zeros(len(month))
        for i in own:
            total += observed_at_dates(created[i], counts.get(names[i], nothing), dates)
        tables.append(pd.DataFrame({"base_model": name, "month": month, "finetunes": total}))
    return pd.concat(tables, ignore_index=True), number


def checked_intervals(intervals: Iterable[float]) -> list[tuple[str, float]]:
    """Names and probabilities (percent) of intervals, each once, narrowest first.

    Raises
    ------
    ForecastError
        When one is not between 0 and 100 percent, or there is none.
    """
    levels = [float(level) for level in intervals]
    for level in levels:
        if not 0.0 < level < 100.0:
            raise ForecastError(
                f"an interval of {level:g}% is impossible; give percentages between 0 and 100"
            )
    if not levels:
        raise ForecastError("no interval is given; name at least one, such as 80")
    return [(np.format_float_positional(level, trim="-"), level) for level in sorted(set(levels))]


def quantiles_of(levels: list[tuple[str, float]]) -> dict[str, tuple[float, bool]]:
    """Median and ends of intervals: by column, the probability and whether it is rounded up."""
    found = {"median": (0.5, False)}
    for name, level in levels:
        tail = (1.0 - level / 100.0) / 2.0
        found |= {f"lower_{name}": (tail, False), f"upper_{name}": (1.0 - tail, True)}
    return found


def quantile(ordered: np.ndarray, probability: float, *, upper: bool) -> np.ndarray:
    """Quantile that is itself a draw, the last axis: rounded outwards, so intervals hold enough."""
    position = probability * (ordered.shape[-1] - 1)
    index = np.ceil(position - 1e-9) if upper else np.floor(position + 1e-9)
    return np.asarray(ordered[..., int(index)])


def summaries(values: npt.NDArray[np.integer], levels: list[tuple[str, float]]) -> dict[str, Any]:
    """Columns of mean, median and intervals of a forecast table.

    Parameters
    ----------
    values : ndarray of int, shape (draws, series, horizons)
        Cumulative counts.
    levels : list
        From `checked_intervals`.

    Returns
    -------
    dict
        Columns by name, one row for each series and horizon.
    """
    quantiles = quantiles_of(levels)
    shape = values.shape[1:]
    found = np.empty((len(quantiles), *shape), dtype=np.int64)
    for first in range(0, shape[0], _SORTED):
        some = slice(first, first + _SORTED)
        ordered = np.sort(np.ascontiguousarray(np.moveaxis(values[:, some], 0, -1)), axis=-1)
        for out, (probability, upper) in zip(found, quantiles.values(), strict=True):
            out[some] = quantile(ordered, probability, upper=upper)
    columns = {name: column.ravel() for name, column in zip(quantiles, found, strict=True)}
    return {"mean": values.mean(axis=0).ravel(), **columns}


def _members(
    draws: xr.Dataset, by: str, chosen: npt.NDArray[np.int64] | None = None
) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Names of the sums, and the positions of the base models of each."""
    names = draws["organization"].to_numpy().astype(object)
    chosen = np.arange(len(names)) if chosen is None else chosen
    if by == "all":
        yield "all", chosen
        return
    for name in sorted(set(names[chosen].tolist())):
        yield name, chosen[names[chosen] == name]
