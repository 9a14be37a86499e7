import datetime as dt

import numpy as np
import pandas as pd
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.months import as_utc, month_end, whole_months

moments = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2199, 12, 31))
ages = st.integers(0, 600)


@given(st.lists(st.tuples(moments, ages), min_size=1, max_size=20))
def test_month_end_is_the_calendar_anniversary(cases):
    created, months = zip(*cases, strict=True)
    got = month_end(pd.DatetimeIndex(created), months)
    by_dateutil = [moment + relativedelta(months=age) for moment, age in cases]
    by_pandas = [pd.Timestamp(moment) + pd.DateOffset(months=age) for moment, age in cases]
    assert list(got.tz_localize(None).to_pydatetime()) == by_dateutil
    assert list(got.tz_localize(None)) == by_pandas


@pytest.mark.parametrize(
    ("created", "month", "end"),
    [
        ("2024-01-31T10:00:00Z", 1, "2024-02-29T10:00:00Z"),
        ("2023-01-31T10:00:00Z", 1, "2023-02-28T10:00:00Z"),
        ("2023-01-31T10:00:00Z", 2, "2023-03-31T10:00:00Z"),
        ("2024-02-29T00:00:00Z", 12, "2025-02-28T00:00:00Z"),
        ("2024-02-29T00:00:00Z", 48, "2028-02-29T00:00:00Z"),
        ("2023-12-05T23:59:59.5Z", 1, "2024-01-05T23:59:59.5Z"),
        ("2023-12-05T23:59:59Z", 0, "2023-12-05T23:59:59Z"),
    ],
)
def test_month_end_of_known_dates(created, month, end):
    assert month_end(pd.Timestamp(created), month)[0] == pd.Timestamp(end)


def test_month_end_takes_what_pandas_gives():
    series = pd.Series(pd.to_datetime(["2024-01-31T23:00:00-03:00"] * 2))  # February in UTC
    expected = pd.DatetimeIndex(["2024-03-01T02:00Z", "2024-04-01T02:00Z"])
    assert list(month_end(series, [1, 2])) == list(expected)
    assert list(month_end(series.to_numpy(), pd.Series([1, 2]))) == list(expected)
    assert list(month_end(dt.datetime(2024, 2, 1, 2), np.array([1, 2]))) == list(expected)
    assert str(month_end(series, 1).dtype) == "datetime64[us, UTC]"
    assert len(month_end(series.iloc[:0], [])) == 0


@given(moments, moments)
def test_whole_months_is_the_last_month_that_is_over(created, date):
    months = whole_months(created, date)[0]
    assert month_end(created, months)[0] <= pd.Timestamp(date, tz="UTC")
    assert month_end(created, months + 1)[0] > pd.Timestamp(date, tz="UTC")


def test_whole_months_counts_a_month_that_ends_at_the_date():
    created = pd.DatetimeIndex(["2024-01-31", "2024-02-29", "2024-03-01"])
    assert list(whole_months(created, pd.Timestamp("2024-02-29"))) == [1, 0, -1]


@pytest.mark.parametrize(
    "value",
    [
        "2024-08-21",
        "2024-08-21T00:00:00Z",
        "2024-08-21 02:00:00+02:00",
        dt.date(2024, 8, 21),
        dt.datetime(2024, 8, 21),
        dt.datetime(2024, 8, 21, tzinfo=dt.UTC),
        pd.Timestamp("2024-08-20T20:00:00-04:00"),
        np.datetime64("2024-08-21"),
    ],
)
def test_as_utc_reads_dates(value):
    stamp = as_utc(value)
    assert stamp == pd.Timestamp("2024-08-21", tz="UTC")
    assert str(stamp.tz) == "UTC"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "today",
        "2024",
        "21.08.2024",
        "2024-8-21",
        "2024-02-30",
        "2024-08-21T25:00:00Z",
        " 2024-08-21",
        "2024-08-21\n",
        "२०२४-०८-२१",
        None,
        pd.NaT,
        20240821,
        1.5,
        True,
        [],
    ],
)
def test_as_utc_refuses_what_is_not_a_date(value):
    with pytest.raises(PanelError, match=r"^as-of date .* is not a date; write it as YYYY-MM-DD$"):
        as_utc(value, "as-of date")
