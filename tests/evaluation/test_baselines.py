"""Baselines against values worked out by hand."""

import numpy as np
import pytest

from bayes_hfgrowth.evaluation import time_series
from bayes_hfgrowth.evaluation.baselines import BASELINES, forecast_baseline
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.support.errors import ForecastError

COUNTS = {"a/A": [0, 2, 4, 7, 13], "b/B": [0, 1], "c/C": [0, 0, 0, 0, 0, 0]}
NEEDS_STATSFORECAST = pytest.mark.skipif(
    time_series.statsforecast_python() is None, reason="make baselines sets up statsforecast"
)


def paths(forecast, name):
    return forecast.draws["finetunes"].sel(base_model=name).to_numpy()[0]


def test_last_value_stays(make_panel):
    forecast = forecast_baseline("last_value", make_panel(COUNTS), 3)
    assert paths(forecast, "a/A").tolist() == [[13.0, 13.0, 13.0]]
    assert forecast.too_short == forecast.failed == ()


def test_drift_is_the_mean_of_the_last_three_increments(make_panel):
    forecast = forecast_baseline("drift", make_panel(COUNTS), 2)
    assert paths(forecast, "a/A") == pytest.approx(np.array([[13 + 11 / 3, 13 + 22 / 3]]))
    assert paths(forecast, "c/C").tolist() == [[0.0, 0.0]]
    assert forecast.too_short == ("b/B",)


@pytest.mark.parametrize(
    ("name", "m", "unit", "truth"),
    [
        ("least_squares_months", 100.0, 1, (3.0, 2.2, 0.8)),
        ("least_squares_years", 1.0, 12, (12.0, 1.0, 1.2)),
    ],
)
def test_least_squares_continues_the_curve_that_made_the_counts(make_panel, name, m, unit, truth):
    age = np.arange(31) / unit
    counts = np.rint(cumulative(age, *truth, m))
    panel = make_panel({"a/A": counts[:25].astype(int).tolist()}, created_at="2021-01-10")
    forecast = forecast_baseline(name, panel, 6)
    assert paths(forecast, "a/A")[0] == pytest.approx(counts[25:], rel=0.02)


def test_least_squares_says_where_it_failed(make_panel):
    # Growth that speeds up month by month has no best curve: longevity runs away.
    panel = make_panel(COUNTS)
    forecast = forecast_baseline("least_squares_months", panel, 3)
    assert forecast.failed == ("a/A",)
    assert forecast.draws["base_model"].to_numpy().tolist() == ["b/B", "c/C"]


def test_analogues_repeat_what_followed_on_the_same_standing(make_panel):
    # Nine base models grew by two in each month; the tenth stands where they stood.
    grown = {f"old/{i}": list(range(0, 24, 2)) for i in range(9)}
    panel = make_panel({**grown, "new/N": [0, 2, 4]}, created_at="2023-01-10")
    values = paths(forecast_baseline("analogues", panel, 2, ["new/N"]), "new/N")
    assert np.median(values, axis=0).tolist() == [6.0, 8.0]
    assert (np.diff(values, axis=1) >= 0).all()
    assert (values == np.rint(values)).all()


def test_analogues_need_a_past_longer_than_the_horizon(make_panel):
    with pytest.raises(ForecastError, match="analogues can forecast none of the 3 base models"):
        forecast_baseline("analogues", make_panel(COUNTS), 6)


@NEEDS_STATSFORECAST
@pytest.mark.parametrize("name", time_series.TIME_SERIES)
def test_time_series_learn_a_steady_pace_and_repeat_by_seed(make_panel, name):
    rng = np.random.default_rng(1)
    steady = np.append(0, np.cumsum(rng.poisson(20, 20))).tolist()
    panel = make_panel({"a/A": steady, "b/B": [0, 1]}, created_at="2022-01-10")
    forecast = forecast_baseline(name, panel, 3, draws=200, seed=5)
    again = forecast_baseline(name, panel, 3, draws=200, seed=5)
    values = paths(forecast, "a/A")
    assert values.shape == (200, 3)
    assert np.median(values[:, -1]) - steady[-1] == pytest.approx(60, abs=12)
    assert (np.diff(values, axis=1) >= 0).all()
    assert forecast.too_short == ("b/B",)
    assert (values == paths(again, "a/A")).all()


def test_without_statsforecast_the_way_out_is_named(make_panel, monkeypatch):
    monkeypatch.setattr(time_series, "statsforecast_python", lambda: None)
    panel = make_panel({"a/A": list(range(10))})
    with pytest.raises(ForecastError, match="make baselines"):
        forecast_baseline("auto_ets", panel, 2)


def test_a_python_that_cannot_be_run_is_named(make_panel, monkeypatch, tmp_path):
    monkeypatch.setenv(time_series.STATSFORECAST, str(tmp_path / "none"))
    with pytest.raises(ForecastError, match=r"none cannot be run \(No such file or directory\)"):
        forecast_baseline("auto_ets", make_panel({"a/A": list(range(10))}), 2)


@pytest.mark.parametrize("months", [0, 601])
def test_impossible_horizons_are_refused(make_panel, months):
    with pytest.raises(ForecastError, match="out of range"):
        forecast_baseline("drift", make_panel(COUNTS), months)


def test_unknown_baselines_are_refused(make_panel):
    with pytest.raises(ForecastError, match="did you mean 'drift'"):
        forecast_baseline("drfit", make_panel(COUNTS), 2)


def test_descriptions_are_sentences():
    assert all(baseline.description.endswith(".") for baseline in BASELINES.values())
