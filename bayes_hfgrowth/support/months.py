"""Months of age on the calendar: when the k-th one ends, and how many are over by a date."""

import datetime as dt
import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.support.errors import PanelError

__all__ = [
    "ISO_DATE",
    "anniversary",
    "as_utc",
    "completed_months",
    "month_end",
    "utc_microseconds",
    "whole_months",
]

type Timestamps = pd.Series | pd.DatetimeIndex | npt.NDArray[np.datetime64] | dt.date | pd.Timestamp
"""Points in time; those without a time zone are UTC."""

ISO_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
"""The dates that files and arguments may hold: ISO 8601 with a full date, time optional."""


def as_utc(value: str | dt.date | pd.Timestamp, what: str = "date") -> pd.Timestamp:
    """Turn a date into a UTC timestamp.

    Parameters
    ----------
    value : str, datetime.date, datetime.datetime or pandas.Timestamp
        A string must be ISO 8601 (``2024-08-21``, ``2024-08-21T12:00:00Z``). A date is
        taken as its midnight, and what has no time zone as UTC.
    what : str
        What the value is, for the error message.

    Returns
    -------
    pandas.Timestamp
        In UTC, to the microsecond.

    Raises
    ------
    PanelError
        When the value is not a date.

    Examples
    --------
    >>> print(as_utc("2024-08-21T02:00:00+02:00"))
    2024-08-21 00:00:00+00:00
    """
    stamp: pd.Timestamp | None = None
    if not isinstance(value, str) or ISO_DATE.fullmatch(value):
        try:
            stamp = pd.Timestamp(value)
        except (ValueError, TypeError, OverflowError):
            stamp = None
    if stamp is None or pd.isna(stamp) or isinstance(value, (bool, int, float)):
        raise PanelError(f"{what} {value!r} is not a date; write it as YYYY-MM-DD")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.as_unit("us")


def month_end(created_at: Timestamps, month: npt.ArrayLike) -> pd.DatetimeIndex:
    """End of a month of age: the calendar anniversary of the creation.

    Month k of a base model ends k calendar months after its creation, at the same time of
    day in UTC. Where the calendar month is too short for that day, its last day is taken
    (January 31 plus one month is February 28 or 29), as `pandas.DateOffset` does.

    Parameters
    ----------
    created_at : timestamps
        Creation times, a scalar or a sequence.
    month : array_like of int
        Ages in months, broadcast against `created_at`. Month 0 ends at the creation.

    Returns
    -------
    pandas.DatetimeIndex
        One UTC timestamp for each element, to the microsecond.

    Examples
    --------
    >>> import datetime as dt
    >>> [str(end.date()) for end in month_end(dt.date(2024, 1, 31), [0, 1, 2])]
    ['2024-01-31', '2024-02-29', '2024-03-31']
    """
    created, months = np.broadcast_arrays(
        utc_microseconds(created_at), np.asarray(month, dtype=np.int64)
    )
    return pd.DatetimeIndex(anniversary(created.ravel(), months.ravel())).tz_localize("UTC")


def whole_months(created_at: Timestamps, date: Timestamps) -> npt.NDArray[np.int64]:
    """Age in whole months: the last month that ended on or before a date.

    Parameters
    ----------
    created_at : timestamps
        Creation times, a scalar or a sequence.
    date : timestamps
        Dates, broadcast against `created_at`.

    Returns
    -------
    ndarray of int64
        The k with ``month_end(created_at, k) <= date < month_end(created_at, k + 1)``;
        negative where the date lies before the creation.

    Examples
    --------
    >>> import datetime as dt
    >>> whole_months(dt.date(2024, 1, 31), dt.date(2024, 3, 30))
    array([1])
    """
    return completed_months(utc_microseconds(created_at), utc_microseconds(date)).ravel()


def utc_microseconds(when: Timestamps) -> npt.NDArray[np.datetime64]:
    """Timestamps, a scalar or a sequence, as naive times in UTC, to the microsecond."""
    if isinstance(when, dt.date):  # datetime and Timestamp too
        return np.asarray([as_utc(when).tz_localize(None).to_datetime64()], dtype="M8[us]")
    index = pd.DatetimeIndex(when)
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return np.asarray(index, dtype="M8[us]")


def anniversary(
    created: npt.NDArray[np.datetime64], months: npt.NDArray[np.int64]
) -> npt.NDArray[np.datetime64]:
    """`month_end` without time zones, which cost far more than the arithmetic.

    Times are those of `utc_microseconds`; the months are broadcast against them.
    """
    created_month = created.astype("M8[M]")
    created_day = created.astype("M8[D]")
    day_of_month = created_day - created_month.astype("M8[D]")  # counted from 0
    end_month = created_month + months.astype("m8[M]")
    first_day = end_month.astype("M8[D]")
    last_day = (end_month + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D")
    end_day = np.minimum(first_day + day_of_month, last_day)
    end: npt.NDArray[np.datetime64] = end_day.astype("M8[us]") + (created - created_day)
    return end


def completed_months(
    created: npt.NDArray[np.datetime64], date: npt.NDArray[np.datetime64]
) -> npt.NDArray[np.int64]:
    """`whole_months` without time zones, of any shape; see `anniversary`."""
    months = (date.astype("M8[M]") - created.astype("M8[M]")).astype(np.int64)
    # The difference of calendar months is the answer, or one too many.
    return months - (anniversary(created, months) > date)
