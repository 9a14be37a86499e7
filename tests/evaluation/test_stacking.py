"""Stacking by CRPS against brute force and against mixtures that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayes_hfgrowth.evaluation.scores import score_forecast
from bayes_hfgrowth.evaluation.stacking import mean_distance, stack_forecasts
from bayes_hfgrowth.support.errors import ForecastError

COUNTS = hnp.arrays(np.float64, st.integers(1, 9), elements=st.integers(0, 20).map(float))
START = 10  # fine-tunes of every base model at the as-of date


@given(x=COUNTS, y=COUNTS)
def test_mean_distance_is_that_of_all_pairs(x, y):
    x, y = np.sort(x), np.sort(y)
    assert mean_distance(x, y) == pytest.approx(np.abs(x[:, None] - y).mean())
    apart = np.abs(x[:, None] - x).sum() / max(len(x) * (len(x) - 1), 1)
    assert mean_distance(x, x, same=True) == pytest.approx(apart)


@pytest.fixture
def world(make_panel, make_draws):
    """Makes a panel in which each base model gains a given number, and forecasts of it."""

    def make(gained, **samples):
        names = [f"meta-llama/{i}" for i in range(len(gained))]
        counts = {n: [0, START, START + int(g)] for n, g in zip(names, gained, strict=True)}
        later = make_panel(counts)
        start = later.as_of("2024-02-20")
        forecasts = {
            name: make_draws(start, START + np.asarray(values)[:, None, :])
            for name, values in samples.items()
        }
        return later, {"2024-02-20": forecasts}

    return make


def test_the_right_forecast_takes_all_the_weight(world):
    rng = np.random.default_rng(1)
    rate = rng.gamma(3.0, 5.0, 300)[:, None]
    later, forecasts = world(
        rng.poisson(rate[:, 0]), right=rng.poisson(rate, (300, 60)),
        high=rng.poisson(3 * rate, (300, 60)),
    )  # fmt: skip
    stacking = stack_forecasts(forecasts, later)
    assert stacking.table["method"].tolist() == ["right", "high"]
    assert stacking.table["weight"].tolist() == pytest.approx([1.0, 0.0], abs=0.03)
    assert stacking.forecasts == 300


def test_a_mixture_is_found(world):
    # Outcomes are of one kind in 70% of the cases, of the other in the rest.
    rng = np.random.default_rng(2)
    number = 1200
    low, high = rng.poisson(5, (number, 50)), rng.poisson(80, (number, 50))
    gained = np.where(rng.random(number) < 0.7, rng.poisson(5, number), rng.poisson(80, number))
    later, forecasts = world(gained, low=low, high=high)
    stacking = stack_forecasts(forecasts, later)
    weights = stacking.table.set_index("method")["weight"]
    assert weights["low"] == pytest.approx(0.7, abs=0.05)
    assert stacking.crps_log < stacking.table["crps_log"].min()


def test_scores_are_those_of_the_forecasts_and_of_their_mixture(world):
    rng = np.random.default_rng(3)
    later, forecasts = world(
        rng.poisson(9, 40), a=rng.poisson(7, (40, 30)), b=rng.poisson(14, (40, 30))
    )
    stacking = stack_forecasts(forecasts, later)
    table = stacking.table.set_index("method")
    for name, draws in forecasts["2024-02-20"].items():
        scores = score_forecast(draws, later)
        assert table.loc[name, "crps_log"] == pytest.approx(scores["crps_log"].mean())
        assert table.loc[name, "crps_log_se"] == pytest.approx(scores["crps_log"].sem())
    weights = table["weight"]
    total = 0.0
    for i in range(40):
        came = np.log1p(later.base_models["finetunes"].iloc[i] - START)
        logs = {
            name: np.log1p(draws["finetunes"].to_numpy()[0, :, i, 0] - START)
            for name, draws in forecasts["2024-02-20"].items()
        }
        near = sum(weights[k] * np.abs(x - came).mean() for k, x in logs.items())
        apart = 0.0
        for k, x in logs.items():
            for other, y in logs.items():
                pairs = np.abs(x[:, None] - y)
                mean = pairs.sum() / (30 * 29) if k == other else pairs.mean()
                apart += weights[k] * weights[other] * mean
        total += near - apart / 2
    assert stacking.crps_log == pytest.approx(total / 40)
    assert weights.sum() == pytest.approx(1.0)


def test_only_what_all_forecast_counts(world):
    rng = np.random.default_rng(4)
    later, forecasts = world(rng.poisson(9, 20), a=rng.poisson(9, (20, 30)), b=[[9]] * 20)
    part = forecasts["2024-02-20"]["b"].isel(base_model=slice(5, None))
    assert (
        stack_forecasts({"d": {"a": forecasts["2024-02-20"]["a"], "b": part}}, later).forecasts
        == 15
    )
    with pytest.raises(ForecastError, match="no base model with 11 fine-tunes"):
        stack_forecasts(forecasts, later, min_finetunes=11)
    with pytest.raises(ForecastError, match="give all methods at all dates"):
        stack_forecasts({**forecasts, "later": {"a": part}}, later)
