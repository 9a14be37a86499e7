"""Scores against closed forms and brute force."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from bayes_hfgrowth.evaluation.groups import COUNT_CLASSES, GROUPINGS, members
from bayes_hfgrowth.evaluation.scores import (
    LEVELS,
    central_share,
    ensemble_crps,
    score_forecast,
    summarize,
)
from bayes_hfgrowth.support.errors import ForecastError

COLUMNS = [
    "base_model", "organization", "months", "observed", "horizon", "date", "actual", "new",
    "mean", "median", "lower_50", "upper_50", "lower_80", "upper_80", "lower_95", "upper_95",
    "crps", "log_new", "log_mean", "log_median", "crps_log",
    "interval_score_50", "interval_score_log_50", "inside_50",
    "interval_score_80", "interval_score_log_80", "inside_80",
    "interval_score_95", "interval_score_log_95", "inside_95",
    "pit_lower", "pit_upper", "pit",
]  # fmt: skip


def crps_by_pairs(observed, draws):
    """The fair score as it is defined: all pairs of different draws."""
    number = len(draws)
    pairs = [abs(draws[i] - draws[j]) for i in range(number) for j in range(number) if i != j]
    return np.mean([abs(x - observed) for x in draws]) - np.mean(pairs) / 2


# CRPS


def test_crps_of_two_draws():
    # (|y - a| + |y - b|) / 2 - |a - b| / 2: nothing between them, the distance outside.
    assert ensemble_crps([3.0, 0.0, 9.0], [[2.0, 6.0]] * 3) == pytest.approx([0.0, 2.0, 3.0])


def test_crps_of_a_point_forecast_is_its_distance():
    assert ensemble_crps([3.0, 8.0], [[5.0], [5.0]]) == pytest.approx([2.0, 3.0])
    assert ensemble_crps([3.0], [[5.0, 5.0, 5.0]]) == pytest.approx([2.0])


@given(
    draws=hnp.arrays(np.float64, st.integers(2, 12), elements=st.integers(0, 50).map(float)),
    observed=st.integers(0, 60),
)
def test_crps_is_that_of_all_pairs(draws, observed):
    value = float(ensemble_crps(observed, np.sort(draws)))
    assert value == pytest.approx(crps_by_pairs(observed, draws), abs=1e-10)


def test_crps_of_many_normal_draws_approaches_the_closed_form():
    y, mean, sd = 0.7, 0.2, 1.5
    z = (y - mean) / sd
    closed = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    draws = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, mean, sd)
    assert float(ensemble_crps(y, draws)) == pytest.approx(closed, abs=2e-4)


def test_crps_is_fair_in_the_number_of_draws():
    # Outcome and draws of one normal: the expectation is sd / sqrt(pi), whatever their number.
    rng = np.random.default_rng(1)
    for number in (2, 5, 30):
        y = rng.standard_normal(40_000)
        x = np.sort(rng.standard_normal((40_000, number)), axis=1)
        score = ensemble_crps(y, x)
        assert np.mean(score) == pytest.approx(
            1 / math.sqrt(math.pi), abs=4 * np.std(score) / math.sqrt(len(score))
        )


# PIT


@given(low=st.floats(0, 0.9), width=st.floats(1e-6, 1), level=st.sampled_from(LEVELS))
def test_central_share_is_the_average_over_randomisations(low, width, level):
    high = min(low + width, 1.0)
    v = (np.arange(20_000) + 0.5) / 20_000
    u = low + (high - low) * v
    inside = np.abs(u - 0.5) <= level / 200
    assert float(central_share(low, high, level)) == pytest.approx(inside.mean(), abs=1e-3)


@pytest.mark.parametrize("draws", [3, 40])
def test_pit_of_right_forecasts_is_uniform_for_counts(make_panel, make_draws, draws):
    rng = np.random.default_rng(2)
    number = 1500
    rate = rng.gamma(1.0, 1.5, number)  # half of the counts are zero
    names = [f"meta-llama/{i}" for i in range(number)]
    later = make_panel(
        {name: [0, 0, int(new)] for name, new in zip(names, rng.poisson(rate), strict=True)}
    )
    forecast = make_draws(
        make_panel({name: [0, 0] for name in names}),
        rng.poisson(rate[:, None, None], (number, 1, draws)),
    )
    scores = score_forecast(forecast, later)
    assert stats.kstest(scores["pit"], "uniform").pvalue > 0.01
    summary = summarize(scores).query("grouping == 'all'").iloc[0]
    for level in LEVELS:
        assert summary[f"pit_{level}"] == pytest.approx(level / 100, abs=0.04)
        central = (scores["pit"] - 0.5).abs() <= level / 200
        assert summary[f"pit_{level}"] == pytest.approx(central.mean(), abs=0.04)
    if draws > 3:  # plain intervals hold too much, because they are whole counts
        assert summary["coverage_50"] > 0.6


def test_pit_depends_on_seed_and_outcome_only(make_panel, make_draws):
    later = make_panel({"a/a": [0, 1, 2, 3], "b/b": [0, 0, 0, 0]})
    forecast = make_draws(
        later.as_of("2024-02-20"), np.random.default_rng(1).integers(1, 5, (2, 2, 30))
    )
    both = score_forecast(forecast, later, seed=3).set_index(["base_model", "horizon"])
    one = score_forecast(forecast.isel(base_model=[1]), later, seed=3)
    assert (
        one.set_index(["base_model", "horizon"])["pit"].tolist() == both.loc["b/b", "pit"].tolist()
    )
    other = score_forecast(forecast, later, seed=4).set_index(["base_model", "horizon"])
    assert not np.allclose(other["pit"], both["pit"])
    inside = (both["pit_lower"] <= both["pit"]) & (both["pit"] <= both["pit_upper"])
    assert inside.all()


# A forecast


def test_scores_of_one_base_model_by_hand(make_panel, make_draws):
    later = make_panel({"a/a": [0, 4, 7, 10]})
    draws = np.array([[[4, 5, 6, 9, 11], [6, 8, 8, 20, 11]]])
    scores = score_forecast(make_draws(later.as_of("2024-02-20"), draws), later)
    assert list(scores.columns) == COLUMNS
    first, second = scores.itertuples()
    assert (first.observed, first.months, first.horizon, first.actual, first.new) == (4, 1, 1, 7, 3)
    assert (second.horizon, second.actual, second.new) == (2, 10, 6)
    assert first.date == pd.Timestamp("2024-03-10", tz="UTC")
    assert second.crps == pytest.approx(crps_by_pairs(10, draws[0, 1]))
    logs = np.log1p(draws[0, 1] - 4)
    assert second.crps_log == pytest.approx(crps_by_pairs(np.log(7), logs))
    assert second.log_mean == pytest.approx(logs.mean())
    assert (second.median, second.mean) == (8, pytest.approx(10.6))
    # Five draws: the 50% interval is the second to the fourth, the 95% interval all of them.
    assert (second.lower_50, second.upper_50) == (8, 11)
    assert (second.inside_50, second.interval_score_50) == (1, 3)
    assert (first.lower_50, first.upper_50, first.inside_50) == (5, 9, 1)
    assert (second.pit_lower, second.pit_upper) == (pytest.approx(3 / 6), pytest.approx(4 / 6))


def test_interval_score_punishes_what_falls_outside(make_panel, make_draws):
    later = make_panel({"a/a": [0, 4, 24]})
    draws = np.repeat([5, 6, 7, 8], 25)[None, None]
    row = score_forecast(make_draws(later.as_of("2024-02-20"), draws), later).iloc[0]
    for level, low, high in ((50, 5, 8), (80, 5, 8), (95, 5, 8)):
        tail = 2 / (1 - level / 100)
        assert row[f"inside_{level}"] == 0
        assert (row[f"lower_{level}"], row[f"upper_{level}"]) == (low, high)
        assert row[f"interval_score_{level}"] == pytest.approx(high - low + tail * (24 - high))
        logs = np.log1p([low - 4, high - 4, 20])
        assert row[f"interval_score_log_{level}"] == pytest.approx(
            logs[1] - logs[0] + tail * (logs[2] - logs[1])
        )


def test_only_months_in_the_panel_are_scored(make_panel, make_draws):
    later = make_panel({"a/a": [0, 1, 2, 3], "b/b": [0, 0, 0]})
    start = make_panel({"a/a": [0, 1], "b/b": [0, 0], "gone/gone": [0, 7]})
    scores = score_forecast(make_draws(start, np.full((3, 3, 4), 9)), later)
    assert list(zip(scores["base_model"], scores["horizon"], strict=True)) == [
        ("a/a", 1), ("b/b", 1), ("a/a", 2),
    ]  # fmt: skip
    with pytest.raises(ForecastError, match="nothing can be scored"):
        score_forecast(make_draws(start, np.full((3, 3, 4), 9)), start)


def test_months_that_mean_other_times_are_refused(make_panel, make_draws):
    later = make_panel({"a/a": [0, 1, 2]}, created_at="2024-01-11")
    start = make_panel({"a/a": [0, 1]})
    with pytest.raises(ForecastError, match="'a/a' was created on 2024-01-11"):
        score_forecast(make_draws(start, np.full((1, 1, 4), 9)), later)


def test_a_point_forecast_has_errors_but_no_calibration(make_panel, make_draws):
    later = make_panel({"a/a": [0, 4, 7]})
    row = score_forecast(make_draws(later.as_of("2024-02-20"), [[[5.5]]]), later).iloc[0]
    assert row["crps"] == pytest.approx(1.5)
    assert row["crps_log"] == pytest.approx(np.log(4) - np.log(2.5))
    assert row[["pit", "pit_lower", "inside_50", "interval_score_log_95"]].isna().all()


def test_counts_that_were_revised_score_the_growth(make_panel, make_draws):
    start = make_panel({"a/a": [0, 10]})
    revised = make_panel({"a/a": [0, 8, 9]})  # two fine-tunes were deleted since
    row = score_forecast(make_draws(start, [[[11, 11, 12]]]), revised).iloc[0]
    assert (row["observed"], row["actual"], row["new"]) == (10, 9, 1)
    assert row["log_new"] == pytest.approx(np.log(2))


# Summaries


@pytest.fixture
def scored(make_panel, make_draws):
    rng = np.random.default_rng(5)
    counts = {
        f"meta-llama/{i}": [0, c, c + n, c + 2 * n]
        for i, (c, n) in enumerate(
            [(0, 0), (0, 2), (3, 1), (4, 0), (5, 9), (49, 4), (50, 20), (900, 300)]
        )
    }
    later = make_panel(counts)
    start = later.as_of("2024-02-20")
    base = start.base_models["finetunes"].to_numpy()[:, None, None]
    draws = base + rng.poisson(5, (8, 2, 50)).cumsum(axis=1)
    return score_forecast(make_draws(start, draws), later)


def test_summary_averages_over_the_groups(scored):
    summary = summarize(scored.assign(model="m", as_of="2024-02-20"), ["as_of", "model"])
    assert list(summary.columns[:5]) == ["as_of", "model", "horizon", "grouping", "group"]
    table = summary.set_index(["horizon", "grouping", "group"])
    assert not table.index.duplicated().any()
    assert table.loc[1, "count"]["base_models"].to_dict() == {
        "0": 2, "1-4": 2, "5-49": 2, "50+": 2, "5+": 4,
    }  # fmt: skip
    part = scored.query("horizon == 2 and observed >= 5")
    row = table.loc[(2, "count", "5+")]
    assert row["crps_log"] == pytest.approx(part["crps_log"].mean())
    assert row["crps_log_se"] == pytest.approx(part["crps_log"].std() / 2)
    assert row["coverage_80"] == pytest.approx(part["inside_80"].mean())
    assert row["absolute_error"] == (part["median"] - part["actual"]).abs().median()
    assert row["error"] == (part["median"] - part["actual"]).median()
    assert row["bias"] == pytest.approx(part["log_mean"].mean() / part["log_new"].mean() - 1)
    assert row["interval_score_log_95"] == pytest.approx(part["interval_score_log_95"].mean())
    assert table.loc[(2, "all", "all"), "base_models"] == 8
    assert table.loc[(2, "history", "0-3 months"), "base_models"] == 8
    assert table.loc[(2, "organization", "Meta"), "base_models"] == 8


def test_every_base_model_is_in_one_group_of_each_kind(scored):
    for grouping in GROUPINGS:
        masks = [mask for name, mask in members(grouping, scored).items() if name != "5+"]
        assert (np.sum(masks, axis=0) == 1).all()
    assert COUNT_CLASSES["5+"][0] == COUNT_CLASSES["5-49"][0]
