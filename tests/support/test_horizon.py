"""Horizons given as months or as a date."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import months_ahead, until_date
from bayes_hfgrowth.support.months import month_end


@given(
    st.datetimes(dt.datetime(2022, 3, 3), dt.datetime(2030, 1, 1)),
    st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=5000)),
)
def test_the_last_month_is_the_first_that_covers_the_date(start, further):
    start = pd.Timestamp(start, tz="UTC").as_unit("us")
    until = start + further
    months = months_ahead(None, until, start)
    assert months >= 1
    assert month_end(start, months)[0] >= until
    assert months == 1 or month_end(start, months - 1)[0] < until


def test_months_stay_as_they_are():
    assert until_date(7, None) is None
    assert months_ahead(7, None, pd.Timestamp("2025-01-31", tz="UTC")) == 7


def test_a_date_without_zone_is_utc():
    assert until_date(None, "2027-06-01") == pd.Timestamp("2027-06-01", tz="UTC")
    assert until_date(None, dt.date(2027, 6, 1)) == pd.Timestamp("2027-06-01", tz="UTC")


@pytest.mark.parametrize(
    ("months", "until", "message"),
    [
        (None, None, r"--months.*--until.*neither is given"),
        (3, "2027-06-01", "both are given"),
        (None, "June", "until 'June' is not a date"),
        (None, "", "not a date"),
    ],
)
def test_horizons_that_are_none(months, until, message):
    with pytest.raises(ForecastError, match=message):
        until_date(months, until)


@pytest.mark.parametrize("day", ["2025-01-31", "2024-12-31", "1999-01-01"])
def test_a_date_in_the_past_is_refused(day):
    with pytest.raises(ForecastError, match="is not after 2025-01-31"):
        months_ahead(None, until_date(None, day), pd.Timestamp("2025-01-31", tz="UTC"))
