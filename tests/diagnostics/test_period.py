"""The period effect as a table: quantiles of its draws, continued as the forecasts continue it."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.diagnostics import period_table
from bayes_hfgrowth.posterior.common_random_numbers import random_of
from bayes_hfgrowth.posterior.simulation import SharedDraws
from bayes_hfgrowth.support.errors import FitError

COLUMNS = [
    "calendar_month", "fitted", "median", "lower_50", "upper_50", "lower_80", "upper_80",
    "lower_95", "upper_95",
]  # fmt: skip


def recent(fit):
    """Mean of the last twelve months of each draw; (draws, 1)."""
    effects = fit.posterior["period_effect"].to_numpy().astype(float)
    return effects.reshape(-1, effects.shape[-1])[:, -12:].mean(axis=1, keepdims=True)


def test_months_of_the_fit_are_quantiles_of_the_draws(made_fit):
    table = period_table(made_fit, 0)
    assert list(table.columns) == COLUMNS
    assert table["fitted"].all()
    effect = made_fit.posterior["period_effect"]
    assert table["calendar_month"].tolist() == effect["calendar_month"].to_numpy().tolist()
    factor = np.exp(effect.to_numpy().reshape(-1, len(table)) - recent(made_fit))
    np.testing.assert_allclose(table["median"], np.median(factor, axis=0), rtol=1e-3)
    np.testing.assert_allclose(table["lower_80"], np.quantile(factor, 0.1, axis=0), rtol=1e-3)
    np.testing.assert_allclose(table["upper_95"], np.quantile(factor, 0.975, axis=0), rtol=1e-3)
    last = np.log(factor[:, -12:])
    np.testing.assert_allclose(last.mean(axis=1), 0.0, atol=1e-6)


def test_the_continuation_is_that_of_the_forecasts(made_fit):
    """The same source of randomness and the same start give the same paths."""
    shared = SharedDraws.of(made_fit.spec, made_fit.posterior)
    seen = made_fit.history.calendar_span[1]
    ahead = shared.ahead_of(made_fit.history, 9, random_of(5, 11))
    first = made_fit.history.calendar_span[0]
    table = period_table(made_fit, 6, seed=5)
    assert table["fitted"].tolist() == [True] * seen + [False] * 6
    paths = np.exp(ahead.over(first, seen + 6) - recent(made_fit))
    np.testing.assert_allclose(table["median"], np.median(paths, axis=0), rtol=1e-3)
    np.testing.assert_allclose(table["upper_95"], np.quantile(paths, 0.975, axis=0), rtol=1e-3)


def test_it_returns_to_its_stationary_distribution(made_fit):
    table = period_table(made_fit, 240)
    end = np.log(table.iloc[-1][["lower_95", "median", "upper_95"]].to_numpy(dtype=float))
    # The fixture's persistence is 0.8, its innovation 0.2: the standard deviation is 1/3.
    rng = np.random.default_rng(1)
    far = rng.normal(0.0, 1 / 3, 100_000) - rng.choice(recent(made_fit).ravel(), 100_000)
    np.testing.assert_allclose(end, np.quantile(far, [0.025, 0.5, 0.975]), atol=0.08)


def test_the_same_seed_gives_the_same_table(made_fit):
    seed = made_fit.about["seed"]
    pd.testing.assert_frame_equal(period_table(made_fit), period_table(made_fit, 12, seed))
    other = period_table(made_fit, 12, seed + 1)
    changed = other["median"] != period_table(made_fit)["median"]
    assert changed.tolist() == (~other["fitted"]).tolist()


def test_without_a_period_effect_there_are_no_rows(make_fit):
    table = period_table(make_fit("citation", base_models=6, chains=1, draws=20))
    assert table.empty
    assert list(table.columns) == COLUMNS


def test_impossible_horizons_and_seeds_are_refused(made_fit):
    with pytest.raises(FitError, match="-1 months ahead is out of range"):
        period_table(made_fit, -1)
    with pytest.raises(FitError, match="the seed is -2"):
        period_table(made_fit, 1, seed=-2)
