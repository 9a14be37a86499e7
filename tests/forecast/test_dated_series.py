"""Counts at any date, and the dates at which counts are passed."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this one

from dated_forecasts import START, forecast_of, random_forecast

from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.support.errors import ForecastError


def days(when):
    return (when - START) / pd.Timedelta(days=1)


def test_a_date_of_the_forecast_has_its_counts():
    forecast = random_forecast()
    series = DatedSeries.of(forecast.draws)
    for place, date in enumerate(series.dates):
        np.testing.assert_array_equal(
            series.at(date), forecast.draws["finetunes_at_date"].to_numpy()[0, :, :, place]
        )


def test_between_two_dates_a_count_is_binomial_in_the_time_that_is_over():
    counts = np.tile([[[10, 50]]], (20_000, 1, 1))
    series = DatedSeries.of(forecast_of(counts, [10]).draws)
    begin, end = series.dates
    middle = begin + 0.3 * (end - begin)
    part = series.at(middle)[:, 0] - 10
    share = (middle - begin) / (end - begin)
    assert part.mean() == pytest.approx(40 * share, abs=5 * np.sqrt(40 * 0.21 / len(part)))
    assert part.var() == pytest.approx(40 * share * (1 - share), rel=0.05)
    shares = np.bincount(part, minlength=41) / len(part)
    np.testing.assert_allclose(shares, binom.pmf(np.arange(41), 40, share), atol=0.015)


def test_before_the_first_date_time_runs_from_the_last_known_count():
    counts = np.tile([[[30], [30]]], (20_000, 1, 1))
    series = DatedSeries.of(forecast_of(counts, [10, 10]).draws)
    date = START + pd.Timedelta(days=7)
    for i in (0, 1):  # the second one's last month ended a day before
        share = (date - series.since[i]) / (series.dates[0] - series.since[i])
        assert share == pytest.approx((7 + i) / (28 + i))
        assert series.at(date)[:, i].mean() == pytest.approx(10 + 20 * share, abs=0.1)


def test_the_one_finetune_of_a_month_comes_at_any_time_of_it():
    counts = np.tile([[[5, 6]]], (4000, 1, 1))
    series = DatedSeries.of(forecast_of(counts, [5]).draws)
    begin, end = days(series.dates[0]), days(series.dates[1])
    passed = series.passing(5)[:, 0]
    assert kstest((passed - begin) / (end - begin), "uniform").pvalue > 1e-3


def test_the_tenth_of_forty_comes_at_its_beta_time():
    counts = np.tile([[[0, 40]]], (4000, 1, 1))
    series = DatedSeries.of(forecast_of(counts, [0]).draws)
    begin, end = days(series.dates[0]), days(series.dates[1])
    shares = (series.passing(9)[:, 0] - begin) / (end - begin)
    assert kstest(shares, "beta", args=(10, 31)).pvalue > 1e-3


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 150), st.floats(0.001, 1.0))
def test_a_number_is_passed_by_a_date_where_the_count_is_above_it(seed, threshold, share):
    """The two answers come from the same draws and must agree in each of them."""
    forecast = random_forecast(seed, draws=60, number=3, months=4)
    series = DatedSeries.of(forecast.draws)
    date = (START + share * (series.dates[-1] - START)).floor("s")
    above = series.at(date) > threshold
    passed = series.passing(threshold)
    by_then = passed <= days(date)
    near = np.abs(passed - days(date)) < 1e-6
    assert (above == by_then)[~near].all()
    assert (passed[:, series.observed > threshold] == 0).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6))
def test_counts_are_whole_and_never_fall(seed, shares):
    series = DatedSeries.of(random_forecast(seed, draws=40, months=3).draws)
    dates = [START + share * (series.dates[-1] - START) for share in sorted(shares)]
    found = np.stack([series.at(date) for date in dates])
    assert found.dtype.kind == "i"
    assert (found >= series.observed).all()
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found <= series.counts[:, :, -1]).all()


def test_a_longer_horizon_leaves_the_answers_alone():
    long = random_forecast(months=6)
    short = DatedSeries.of(long.draws.isel(horizon=slice(0, 3)))
    date = pd.Timestamp("2025-05-02", tz="UTC")
    np.testing.assert_array_equal(short.at(date), DatedSeries.of(long.draws).at(date))


def test_what_others_are_asked_about_makes_no_difference():
    draws = random_forecast(number=6).draws
    some = DatedSeries.of(draws, base_models=["o1/m3", "o0/m2"])
    whole = DatedSeries.of(draws)
    assert some.names == ("o1/m3", "o0/m2")
    date = pd.Timestamp("2025-05-02", tz="UTC")
    np.testing.assert_array_equal(some.at(date), whole.at(date)[:, [3, 2]])
    np.testing.assert_array_equal(some.passing(60), whole.passing(60)[:, [3, 2]])


@pytest.mark.parametrize("by", ["organization", "all"])
def test_sums_are_those_of_the_draws(by):
    forecast = random_forecast(number=5)
    series = DatedSeries.of(forecast.draws, by)
    counts = forecast.draws["finetunes_at_date"].to_numpy()[0]
    members = [[0, 2, 4], [1, 3]] if by == "organization" else [list(range(5))]
    assert series.names == (("O0", "O1") if by == "organization" else ("all",))
    for place, own in enumerate(members):
        np.testing.assert_array_equal(series.counts[:, place], counts[:, own].sum(axis=1))
        assert series.observed[place] == forecast.draws["observed"].to_numpy()[own].sum()
    half = series.dates[1] + (series.dates[2] - series.dates[1]) / 2
    found = series.at(half)
    assert (found >= series.counts[:, :, 1]).all()
    assert (found <= series.counts[:, :, 2]).all()
    assert (series.months(half) == 3).all()


def test_the_dates_asked_for_end_with_the_last_one():
    series = DatedSeries.of(random_forecast(months=3, until="2025-05-02").draws)
    assert [f"{date:%Y-%m-%d}" for date in series.asked] == [
        "2025-03-21", "2025-04-21", "2025-05-02",
    ]  # fmt: skip
    assert [series.horizon(date) for date in series.asked] == [1, 2, 3]
    assert series.date(None) == series.until == pd.Timestamp("2025-05-02", tz="UTC")
    whole = DatedSeries.of(random_forecast(months=3).draws)
    assert list(whole.asked) == list(whole.dates)


def test_what_is_passed_after_the_last_date_asked_for_is_never_passed():
    counts = np.tile([[[5, 5, 9]]], (500, 1, 1))
    whole = DatedSeries.of(forecast_of(counts, [5]).draws)
    assert np.isfinite(whole.passing(5)).all()
    short = DatedSeries.of(forecast_of(counts, [5], until="2025-04-30").draws)
    share = np.isfinite(short.passing(5)).mean()
    assert share == pytest.approx((short.at(short.until) > 5).mean())
    assert 0 < share < 1
    assert np.isinf(whole.passing(9)).all()


@pytest.mark.parametrize(
    ("date", "message"),
    [
        ("2025-02-21", "is not after 2025-02-21"),
        ("2024-01-01", "is not after 2025-02-21"),
        ("2025-08-22", "the forecast ends on 2025-08-21, before 2025-08-22"),
        ("soon", "is not a date"),
    ],
)
def test_dates_outside_are_refused(date, message):
    with pytest.raises(ForecastError, match=message):
        DatedSeries.of(random_forecast().draws).date(date)


def test_forecasts_without_dates_are_refused():
    draws = random_forecast().draws.drop_vars("finetunes_at_date")
    for by in ("base_model", "all"):
        with pytest.raises(ForecastError, match="no counts at calendar dates"):
            DatedSeries.of(draws, by)
    with pytest.raises(ForecastError, match="no table by 'country'"):
        DatedSeries.of(draws, "country")
