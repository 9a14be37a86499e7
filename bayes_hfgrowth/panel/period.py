"""Months of age on the calendar, and the period effect that all base models share.

A month of age lies across two calendar months unless the base model was created on the first day
of one. Its period effect is the mean of theirs, weighted by the days that it has in each:

    z_k = w z[tau] + (1 - w) z[tau + 1].

The effect of a calendar month is a stationary autoregression, z[tau] = a z[tau - 1] + sd e[tau].
It is reversible in time, so it is continued backwards in the same way as forwards.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.support.months import anniversary, utc_microseconds

__all__ = ["RECENT_MONTHS", "calendar_position", "continued", "month_names", "stationary"]

RECENT_MONTHS = 12
"""Last calendar months of a fit whose mean period effect is the recent pace of the Hub."""

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]


def calendar_position(created_at: pd.DatetimeIndex, month: Integers) -> tuple[Integers, Floats]:
    """Where months of age lie on the calendar.

    Parameters
    ----------
    created_at : pandas.DatetimeIndex, length n
        Creation of the base model of each month; NaT is taken as the beginning of 1970.
    month : ndarray of int64, shape (n,)
        Ages in months at the end of each, from 1 on.

    Returns
    -------
    first : ndarray of int64, shape (n,)
        The calendar month in which each begins, counted from January 1970.
    share : ndarray, shape (n,)
        Share of its days that lie in that calendar month; the others lie in the next one.
    """
    created = utc_microseconds(created_at)
    created = np.where(np.isnat(created), np.datetime64(0, "us"), created)
    begin, end = anniversary(created, month - 1), anniversary(created, month)
    first = begin.astype("M8[M]")
    turn = (first + np.timedelta64(1, "M")).astype("M8[us]")
    share = (turn - begin) / (end - begin)
    return first.astype(np.int64), np.minimum(share, 1.0)


def month_names(first: int, number: int) -> list[str]:
    """Names ``YYYY-MM`` of calendar months in a row, the first counted from January 1970."""
    return [str(month) for month in np.arange(first, first + number).astype("M8[M]")]


def stationary(innovations: Floats, persistence: Floats, scale: Floats) -> Floats:
    """Period effects made of standard normal innovations.

    Parameters
    ----------
    innovations : ndarray, shape (..., calendar months)
        Standard normal; the first one sets where the series begins.
    persistence, scale : ndarray, shape (...)
        The autoregression's coefficient, from 0 to below 1, and the standard deviation of what
        each month adds.

    Returns
    -------
    ndarray, shape (..., calendar months)
    """
    effects = innovations * scale[..., None]
    effects[..., :1] /= np.sqrt(1.0 - persistence**2)[..., None]
    for month in range(1, innovations.shape[-1]):
        effects[..., month] += persistence * effects[..., month - 1]
    return effects


def continued(
    effects: Floats,
    persistence: Floats,
    scale: Floats,
    before: int,
    after: int,
    rng: np.random.Generator,
) -> Floats:
    """Continue period effects, one path for each draw.

    Parameters
    ----------
    effects : ndarray, shape (draws, calendar months)
        Of the months known, at least one.
    persistence, scale : ndarray, shape (draws,)
        As in `stationary`.
    before, after : int
        How many months to add at either end.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (draws, before + calendar months + after)
    """
    draws, known = effects.shape
    whole = np.empty((draws, before + known + after))
    whole[:, before : before + known] = effects
    # Later months first, so that they do not hang on how far back the series is taken.
    for month in range(before + known, before + known + after):
        whole[:, month] = persistence * whole[:, month - 1] + scale * rng.standard_normal(draws)
    for month in range(before - 1, -1, -1):
        whole[:, month] = persistence * whole[:, month + 1] + scale * rng.standard_normal(draws)
    return whole
