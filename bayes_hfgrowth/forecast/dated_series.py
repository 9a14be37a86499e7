"""Draws of counts at any date of a forecast, and of the dates at which counts are passed.

A forecast has its counts at dates a calendar month apart. Between two of them, given what the month
brings as a whole, each fine-tune has come by a date with the share of the time that is over, so
the count there is the earlier one plus a binomial part of the month; the j-th of n fine-tunes
comes at a time that is Beta(j, n - j + 1). Both are read off at the same quantile u of each draw
and month: the count at a date exceeds n exactly in the draws in which n is passed by that date.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.special import betaincinv
from scipy.stats import binom

from bayes_hfgrowth.forecast.totals import (
    BASE_MODEL,
    FROM,
    UNTIL,
    Totals,
    checked_by,
    dated_counts_of,
)
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.support.errors import ForecastError, PanelError
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.months import as_utc, month_end, whole_months

__all__ = ["DatedSeries"]

type Counts = npt.NDArray[np.integer]
type Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DatedSeries:
    """Counts of base models, or of sums over them, at calendar dates, draw by draw.

    Parameters
    ----------
    by : str
        ``base_model``, ``organization`` or ``all``.
    names : tuple of str
        Of the series: base models, organizations, or ``all``.
    organizations : tuple of str
        Organization of each series.
    created_at : pandas.DatetimeIndex or None
        Creation of the base models, UTC; None for sums.
    observed : ndarray of int, shape (series,)
        Last known counts.
    since : pandas.DatetimeIndex
        Dates of these, UTC.
    start, until : pandas.Timestamp
        Date that the forecast is from and last date that it was asked for, UTC.
    dates : pandas.DatetimeIndex
        One, two, ... calendar months after `start`, UTC; the last is not before `until`.
    counts : ndarray of int, shape (draws, series, dates)
        Cumulative counts at the dates.
    with_new_releases : bool
        Whether base models yet to be released are in; only in sums.
    counted : Counted
        What is counted.
    """

    by: str
    names: tuple[str, ...]
    organizations: tuple[str, ...]
    created_at: pd.DatetimeIndex | None
    observed: Counts
    since: pd.DatetimeIndex
    start: pd.Timestamp
    until: pd.Timestamp
    dates: pd.DatetimeIndex
    counts: Counts
    with_new_releases: bool = False
    counted: Counted = FINETUNES

    @classmethod
    def of(
        cls, draws: xr.Dataset, by: str = BASE_MODEL, base_models: Iterable[str] | None = None
    ) -> "DatedSeries":
        """Take the series of a forecast.

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
        if checked_by(by) != BASE_MODEL:
            totals = Totals.of(draws, by, base_models)
            return cls.of_totals(totals, by, draws.attrs[FROM], draws.attrs.get(UNTIL))
        values, dates, chosen = dated_counts_of(draws, base_models)
        created = pd.DatetimeIndex(draws["created_at"].to_numpy()[chosen]).tz_localize("UTC")
        return cls(
            by=by,
            names=tuple(draws["base_model"].to_numpy()[chosen].tolist()),
            organizations=tuple(draws["organization"].to_numpy()[chosen].tolist()),
            created_at=created,
            observed=draws["observed"].to_numpy()[chosen],
            since=month_end(created, draws["months"].to_numpy()[chosen]),
            start=pd.Timestamp(draws.attrs[FROM]),
            until=pd.Timestamp(draws.attrs.get(UNTIL, dates[-1])),
            dates=dates,
            counts=values if base_models is None else values[:, chosen],
            counted=Counted.read(draws.attrs),
        )

    @classmethod
    def of_totals(
        cls, totals: Totals, by: str, start: Date, until: Date | None = None
    ) -> "DatedSeries":
        """Take sums as series; their last known counts are those at the start.

        `until` is the last date that was asked for, by default the last one of the sums.
        """
        names, start = tuple(sorted(totals.counts)), pd.Timestamp(start)
        return cls(
            by=by,
            names=names,
            organizations=names,
            created_at=None,
            observed=np.array([totals.observed[name] for name in names]),
            since=pd.DatetimeIndex([start] * len(names)),
            start=start,
            until=totals.dates[-1] if until is None else pd.Timestamp(until),
            dates=totals.dates,
            counts=np.stack([totals.counts[name] for name in names], axis=1),
            with_new_releases=bool(totals.released),
            counted=totals.counted,
        )

    @property
    def asked(self) -> pd.DatetimeIndex:
        """The dates of the forecast up to the last one that it was asked for, which is the last."""
        return self.dates[self.dates < self.until].append(pd.DatetimeIndex([self.until]))

    def date(self, date: Date | None) -> pd.Timestamp:
        """Check a date of the forecast; the last one that it was asked for when none is given.

        Raises
        ------
        ForecastError
            When it is none, or not one after the start that the forecast covers.
        """
        if date is None:
            return self.until
        try:
            found = as_utc(date)
        except PanelError as failure:
            raise ForecastError(str(failure)) from None
        if found <= self.start:
            raise ForecastError(
                f"{found:%Y-%m-%d} is not after {self.start:%Y-%m-%d}, the date that the forecast "
                "is from; give a later date"
            )
        if found > self.dates[-1]:
            raise ForecastError(
                f"the forecast ends on {self.dates[-1]:%Y-%m-%d}, before {found:%Y-%m-%d}; "
                f"forecast until that date, or give an earlier one"
            )
        return found

    def chosen(self, dates: Iterable[Date] | None) -> Sequence[pd.Timestamp]:
        """Check dates as `date` does; all that were asked for when None is given.

        Raises
        ------
        ForecastError
            As `date` does, or when there is none.
        """
        found = list(self.asked) if dates is None else [self.date(date) for date in dates]
        if not found:
            raise ForecastError(
                "no date is given; name at least one, or leave the choice out for all"
            )
        return found

    def horizon(self, date: pd.Timestamp) -> int:
        """Months from the start to a date, a month that is not over counted in full."""
        return int(self.dates.searchsorted(date, "left")) + 1

    def at(self, date: pd.Timestamp) -> Counts:
        """Counts at a date, from `date`; ndarray of int, shape (draws, series)."""
        place = int(self.dates.searchsorted(date, "left"))
        begin = self.dates[place - 1] if place else self.since
        elapsed = (date - begin) / (self.dates[place] - begin)  # share of the time that is over
        elapsed = np.broadcast_to(np.asarray(elapsed, dtype=np.float64), len(self.names))
        after = self.counts[:, :, place]
        if (elapsed == 1.0).all():
            return after
        before = self._before(place)
        found = np.array(before, dtype=after.dtype)
        for i in range(len(self.names)):
            new = (after[:, i] - before[:, i]).astype(np.int64)
            some = np.flatnonzero(new > 0)
            part = binom.ppf(self._quantiles(i, place)[some], new[some], elapsed[i])
            found[some, i] += part.astype(found.dtype)
        return found

    def months(self, date: pd.Timestamp) -> Counts:
        """Ages of base models in whole months at a date; of sums, the horizon; (series,)."""
        if self.created_at is None:
            return np.full(len(self.names), self.horizon(date))
        return np.asarray(whole_months(self.created_at, date))

    def passing(self, threshold: int) -> Floats:
        """Days after the start at which a count first exceeds a threshold; (draws, series).

        0 where it did by the start, infinite where it does not by `until`.
        """
        found = np.full(self.counts.shape[:2], np.inf)
        found[:, self.observed > threshold] = 0.0
        for i in np.flatnonzero(self.observed <= threshold):
            above = self.counts[:, i] > threshold
            first = np.where(above.any(axis=1), above.argmax(axis=1), -1)
            for place in np.unique(first[first >= 0]).tolist():
                some = np.flatnonzero(first == place)
                before = self._before(place)[some, i].astype(np.float64)
                new = self.counts[some, i, place].astype(np.float64) - before
                nth = threshold + 1.0 - before
                share = betaincinv(nth, new - nth + 1.0, 1.0 - self._quantiles(int(i), place)[some])
                begin = self.since[i] if place == 0 else self.dates[place - 1]
                days = _days(self.dates[place] - begin)
                found[some, i] = _days(begin - self.start) + share * days
        found = np.maximum(found, 0.0)
        return np.where(found <= _days(self.until - self.start), found, np.inf)

    def _before(self, place: int) -> Counts:
        """Counts at the date before one; (draws, series)."""
        if place == 0:
            shape = self.counts.shape[:2]
            return np.broadcast_to(self.observed.astype(self.counts.dtype), shape)
        return self.counts[:, :, place - 1]

    def _quantiles(self, series: int, place: int) -> Floats:
        """Where in its spread each draw is within a month: from the name, so always the same."""
        rng = np.random.default_rng([place, *self.names[series].encode()])
        return rng.random(len(self.counts))


def _days(duration: pd.Timedelta) -> float:
    return duration / pd.Timedelta(days=1)
