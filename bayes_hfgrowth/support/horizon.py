"""How far a forecast goes: so many months, or until a date."""

import datetime as dt

import pandas as pd

from bayes_hfgrowth.support.errors import ForecastError, PanelError
from bayes_hfgrowth.support.months import as_utc, month_end, whole_months

__all__ = ["Date", "months_ahead", "until_date"]

type Date = str | dt.date | pd.Timestamp
"""A date as `bayes_hfgrowth.support.months.as_utc` takes it; without a time zone it is UTC."""


def until_date(months: int | None, until: Date | None) -> pd.Timestamp | None:
    """Check that a horizon is given once, as months or as a date; return the date in UTC, if any.

    Raises
    ------
    ForecastError
        When both are given or neither is, or the date is none.
    """
    if (months is None) == (until is None):
        many = "both are given" if months is not None else "neither is given"
        raise ForecastError(
            f"a forecast goes so many months ahead (--months) or until a date (--until); {many}, "
            "give one of them"
        )
    if until is None:
        return None
    try:
        return as_utc(until, "until")
    except PanelError as failure:
        raise ForecastError(str(failure)) from None


def months_ahead(months: int | None, until: pd.Timestamp | None, start: pd.Timestamp) -> int:
    """Months that a forecast must go ahead to cover its horizon.

    The horizon is given in months, or else by its last date, which `until_date` checked. `start`
    is the date that the forecast is from, UTC.

    Raises
    ------
    ForecastError
        When the date is not after `start`.
    """
    if until is None:
        assert months is not None
        return months
    if until <= start:
        raise ForecastError(
            f"{until:%Y-%m-%d} is not after {start:%Y-%m-%d}, the date that the forecast is from; "
            "give a later date"
        )
    whole = int(whole_months(start, until)[0])
    return whole if month_end(start, whole)[0] == until else whole + 1
