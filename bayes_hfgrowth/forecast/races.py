"""Who leads by when: ranks of base models or organizations, and whether one overtakes another.

The same draw of all of them is compared, so an answer carries what they share.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.forecast.answers import named, percent
from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.forecast.totals import BASE_MODEL
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.names import indices_of

__all__ = ["MOST_RANKS", "Overtaking", "overtaking", "rank_shares", "rank_table"]

MOST_RANKS = 20
"""Ranks that `rank_table` tells of unless it is told how many."""


def rank_shares(counts: npt.NDArray[np.integer], top: int) -> npt.NDArray[np.float64]:
    """Probability of each rank; draws in which counts are equal are shared.

    Parameters
    ----------
    counts : ndarray of int, shape (draws, series)
        Counts at a date.
    top : int
        Ranks from 1 to this.

    Returns
    -------
    ndarray, shape (series, top)
        Where k series have the same count in a draw, each holds each of their k ranks by 1/k.
        With as many ranks as series, rows and columns add up to 1.
    """
    draws, number = counts.shape
    shares = np.zeros((number, top))
    for row in counts:
        order = np.argsort(-row, kind="stable")
        ordered = row[order]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        for begin, end in zip(first, np.append(first[1:], number), strict=True):
            if begin >= top:
                break
            if end - begin == 1:
                shares[order[begin], begin] += 1.0
            else:
                shares[order[begin:end], begin : min(end, top)] += 1.0 / (end - begin)
    return shares / draws


def rank_table(
    series: DatedSeries, dates: Iterable[Date] | None = None, top: int | None = None
) -> pd.DataFrame:
    """Probabilities of ranks at dates; see `Forecast.rank` for the columns.

    Dates are by default those a month apart, and the last one that was asked for.

    Raises
    ------
    ForecastError
        When there is nothing to rank, a date is outside the forecast, or `top` is out of range.
    """
    number = len(series.names)
    if number < 2:
        raise ForecastError("a rank is one among several, and there is one alone; name more")
    top = min(number, MOST_RANKS) if top is None else top
    if top < 1:
        raise ForecastError(f"top is {top}; give a number from 1 on")
    top = min(top, number)
    tables = []
    for date in series.chosen(dates):
        counts = series.at(date)
        shares = rank_shares(counts, top)
        # The likeliest leaders first; then by the count that is as likely as not.
        order = np.lexsort((-np.median(counts, axis=0), -shares[:, 0]))
        place = np.repeat(order, top)
        tables.append(
            pd.DataFrame(
                named(series, place)
                | {
                    "date": date,
                    "horizon": series.horizon(date),
                    "observed": series.observed[place],
                    "rank": np.tile(np.arange(1, top + 1), number),
                    "probability": shares[order].ravel(),
                    "at_least": shares[order].cumsum(axis=1).clip(max=1.0).ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Overtaking:
    """Whether one series overtakes another: how many fine-tunes more it has, by date.

    Parameters
    ----------
    name, other : str
        The one that overtakes, and the one that is overtaken.
    already : bool
        Whether the last known count of the one is above that of the other.
    dates : pandas.DatetimeIndex
        UTC.
    ahead : ndarray of bool, shape (draws, dates)
        Whether the one has strictly more at the date.
    """

    name: str
    other: str
    already: bool
    dates: pd.DatetimeIndex
    ahead: npt.NDArray[np.bool_]

    @property
    def probability(self) -> float:
        """Probability that the one is ahead at any of the dates."""
        return float(self.ahead.any(axis=1).mean())

    def by_date(self) -> pd.DataFrame:
        """Probabilities by date.

        Returns
        -------
        pandas.DataFrame
            One row for each date: ``date`` (UTC), ``horizon`` (months), ``ahead`` (the one has
            strictly more at the date), ``overtaken`` (it had at this date or an earlier one),
            ``first`` (this is the first such date). ``first`` adds up to `probability`. What
            happens between two dates is not seen: who leads for a few days within a month.
        """
        passed = np.logical_or.accumulate(self.ahead, axis=1)
        overtaken = passed.mean(axis=0)
        return pd.DataFrame(
            {
                "date": self.dates,
                "horizon": np.arange(1, len(self.dates) + 1),
                "ahead": self.ahead.mean(axis=0),
                "overtaken": overtaken,
                "first": np.diff(overtaken, prepend=0.0),
            }
        )

    def sentence(self) -> str:
        """Say it in one sentence."""
        table, until = self.by_date(), f"{self.dates[-1]:%Y-%m-%d}"
        at_end = f"ahead on {until} with a probability of {percent(table['ahead'].iloc[-1])}"
        if self.already:
            return f"{self.name} is ahead of {self.other} already; {at_end}"
        likely = table[table["overtaken"] >= 0.5]
        when = f", as likely as not by {likely['date'].iloc[0]:%Y-%m-%d}" if len(likely) else ""
        return (
            f"{self.name} overtakes {self.other} by {until} with a probability of "
            f"{percent(self.probability)}{when}; {at_end}"
        )


def overtaking(series: DatedSeries, name: str, other: str) -> Overtaking:
    """Whether the series of that name overtakes the other one, draw by draw.

    Raises
    ------
    ForecastError
        When a name is not among the series, or both are the same.
    """
    what = "base model" if series.by == BASE_MODEL else "organization"
    if name == other:
        raise ForecastError(f"{name!r} cannot overtake itself; name two {what}s")
    both = indices_of([name, other], series.names, what, "forecast", ForecastError)
    when = series.asked
    counts = np.stack([series.at(date)[:, both] for date in when], axis=-1)
    already = bool(series.observed[both[0]] > series.observed[both[1]])
    return Overtaking(name, other, already, when, counts[:, 0] > counts[:, 1])
