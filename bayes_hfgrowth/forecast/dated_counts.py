"""Counts of base models at the same calendar dates, so that they can be added up.

Base models have their months at different days, and most are in the middle of one on any date.
In month k + 1 of age, of which the date t is a part, the law says how much of the month's attention
has come by t:

    share = (F(t) - F(k)) / (F(k + 1) - F(k)),    F(t) = Φ((ln t - immediacy) / longevity).

Given what the month brings as a whole, each of its fine-tunes has come by t with that
probability, so the count at the date is the count at the end of month k plus a binomial part of
the month. Within the month, reinforcement and the period effect are taken as constant.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.months import anniversary, completed_months, month_end, utc_microseconds

__all__ = [
    "Ages",
    "ages_at",
    "attention_share",
    "counts_at_dates",
    "dates_ahead",
    "last_date",
    "months_needed",
    "observed_at_dates",
]

type Floats = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]


class Ages(NamedTuple):
    """Ages of base models at calendar dates.

    Parameters
    ----------
    months : ndarray of int64, shape (base models, dates)
        Whole months; negative before the creation.
    elapsed : ndarray, shape (base models, dates)
        Share of the time of the next month that is over, from 0 to below 1.
    """

    months: Counts
    elapsed: Floats


def last_date(history: History, observed_at: pd.Timestamp | None = None) -> pd.Timestamp:
    """Date from which sums are forecast: that of the observation, UTC.

    Where it is not known, that at which the last observed month of any base model of the whole
    panel ended.
    """
    last = month_end(history.created_at, history.months).max()
    return last if observed_at is None else max(last, observed_at)


def dates_ahead(date: pd.Timestamp, months: int) -> pd.DatetimeIndex:
    """Dates 1, 2, ... calendar months after a date, UTC; see `month_end`."""
    return month_end(date, np.arange(1, months + 1))


def ages_at(created_at: pd.DatetimeIndex, dates: pd.DatetimeIndex) -> Ages:
    """Ages of base models, by their creation times, at calendar dates, all UTC."""
    created = utc_microseconds(created_at)[:, None]
    date = utc_microseconds(dates)[None, :]
    months = completed_months(created, date)
    begin, end = anniversary(created, months), anniversary(created, months + 1)
    return Ages(months, (date - begin) / (end - begin))


def months_needed(history: History, dates: pd.DatetimeIndex) -> Counts:
    """Further months of age that `counts_at_dates` needs of each base model; (base models,)."""
    months, elapsed = ages_at(history.created_at, dates[-1:])
    return np.maximum(months[:, 0] + (elapsed[:, 0] > 0.0) - history.months, 0)


def attention_share(theta: Floats, month: int, elapsed: float) -> Floats:
    """Share of a month's attention that has come when a part of its time is over.

    Parameters
    ----------
    theta : ndarray, shape (draws, parameters)
        Growth parameters: immediacy (ln months) in column 1, ln longevity in column 2.
    month : int
        Age at the beginning of the month, in months.
    elapsed : float
        Share of its time, from 0 to 1.

    Returns
    -------
    ndarray, shape (draws,)
        From 0 to 1; `elapsed` where the month has no attention that a double could hold.
    """
    with np.errstate(divide="ignore"):  # ln 0 at birth is -inf, where nothing has come
        log_age = np.log([month, month + elapsed, month + 1.0])
    z = (log_age[:, None] - theta[:, 1]) * np.exp(-theta[:, 2])
    # Above the median, differences are taken in the other tail, where they keep their digits.
    below, at, above = ndtr(np.where(z[0] > 0.0, -z, z))
    whole = np.abs(above - below)
    share = np.divide(np.abs(at - below), whole, out=np.full_like(whole, elapsed), where=whole > 0)
    return np.asarray(np.clip(share, 0.0, 1.0))


def counts_at_dates(
    history: History,
    paths: npt.NDArray[np.integer],
    theta: Floats,
    dates: pd.DatetimeIndex,
    rng: np.random.Generator,
) -> Counts:
    """Cumulative counts of base models at calendar dates, along paths of whole months.

    Parameters
    ----------
    history : History
        What was observed.
    paths : ndarray of int, shape (draws, base models, months)
        Cumulative counts at the end of each further month of age, at least as many as
        `months_needed` says.
    theta : ndarray, shape (draws, base models, parameters)
        Growth parameters of the paths, as in `attention_share`.
    dates : pandas.DatetimeIndex
        Rising, UTC.
    rng : numpy.random.Generator
        Source of which fine-tunes of a month have come by a date within it.

    Returns
    -------
    ndarray of int64, shape (draws, base models, dates)
        Never falling along the dates, never below the last known count, and between the counts
        of the path at the two ends of the month that the date lies in.
    """
    ages = ages_at(history.created_at, dates)
    first, observed = history.months, history.finetunes
    out = np.empty((paths.shape[0], paths.shape[1], len(dates)), dtype=np.int64)
    for i in range(paths.shape[1]):
        path = paths[:, i]
        within = -1  # further month that the part below belongs to
        part, gone = np.zeros(len(path), np.int64), np.zeros(len(path))
        for place in range(len(dates)):
            age, elapsed = int(ages.months[i, place]), float(ages.elapsed[i, place])
            ahead = age - int(first[i])
            if ahead < 0:
                out[:, i, place] = observed[i]
                continue
            base = path[:, ahead - 1] if ahead else np.full(len(path), observed[i])
            if ahead != within:
                within, part, gone = ahead, np.zeros_like(part), np.zeros_like(gone)
            if elapsed > 0.0:
                # Two dates can lie in one month (of 31 days and more): the later one adds a part
                # of what had not come by the earlier one.
                left = path[:, ahead] - base - part
                some = np.flatnonzero(left)
                share = attention_share(theta[some, i], age, elapsed)
                chance = (share - gone[some]) / np.maximum(1.0 - gone[some], 1e-300)
                part[some] += rng.binomial(left[some], np.clip(chance, 0.0, 1.0))
                gone[some] = share
            out[:, i, place] = base + part
    return out


def observed_at_dates(
    created_at: pd.Timestamp, finetunes: npt.NDArray[np.integer], dates: pd.DatetimeIndex
) -> Floats:
    """Observed counts of a base model at calendar dates: each month spread evenly over its days.

    From cumulative counts at the end of months 1, 2, ..., all times UTC. 0 before the creation,
    the last known count after the last observed month.
    """
    ages = ages_at(pd.DatetimeIndex([created_at]), dates)
    age = ages.months[0] + ages.elapsed[0]
    known = np.append(0.0, finetunes)
    return np.interp(age, np.arange(len(known)), known)
