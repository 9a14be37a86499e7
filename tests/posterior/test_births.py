"""The birth process of organizations: its months, its likelihood, and rates that come back."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hfgrowth.posterior.births import (
    MOST,
    WINDOW,
    BirthDraws,
    Births,
    births_of,
    monthly_births,
)
from bayes_hfgrowth.support.errors import ForecastError

DATE = pd.Timestamp("2024-08-21", tz="UTC")


def made(organizations, months, seed, spread=1.0):
    """Rates, sizes and births of organizations under the model."""
    rng = np.random.default_rng(seed)
    rate = np.exp(0.3 + spread * rng.standard_normal(organizations))
    size = np.exp(-0.5 + 0.4 * rng.standard_normal(organizations))
    counts = rng.negative_binomial(size, size / (size + rate), (months, organizations)).T
    return rate, size, Births({f"o{i:03d}": own for i, own in enumerate(counts)})


def test_months_are_counted_back_from_the_date():
    born = pd.DatetimeIndex(
        ["2024-04-25", "2024-06-21", "2024-06-22", "2024-08-21", "2024-08-22", "2020-01-01"],
        tz="UTC",
    )
    names = ["a", "a", "a", "a", "a", "b"]
    found = monthly_births(born, names, DATE)
    # From 21 April on; the month of the first base model is left out, and what comes later.
    assert found["a"].tolist() == [1, 1, 1]
    assert found["b"].tolist() == [0] * WINDOW
    assert monthly_births(born[:1], ["a"], pd.Timestamp("2024-05-01", tz="UTC"))["a"].size == 0


def test_nothing_is_known_before_the_first_base_model():
    with pytest.raises(ForecastError, match="give a later date"):
        births_of(pd.DatetimeIndex(["2025-01-01"], tz="UTC"), ["a"], DATE)


def test_the_likelihood_is_that_of_negative_binomials():
    from bayes_hfgrowth.posterior import births

    counts = np.array([0, 3, 0, 12, 1, 0])
    table = Births({"a": counts})._likelihoods[0]
    for i, j in ((40, 10), (70, 30), (100, 60)):
        rate, size = np.exp(births._LOG_RATES[i]), np.exp(births._LOG_SIZES[j])
        expected = stats.nbinom.logpmf(counts, size, size / (size + rate)).sum()
        assert table[i, j] == pytest.approx(expected, rel=1e-9)


def test_rates_come_back_from_simulated_births():
    inside, errors = [], []
    for seed in range(6):
        rate, _, births = made(12, 24, seed)
        drawn = np.log(births.draw(800, np.random.default_rng(seed)).rate)
        low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
        inside.append((low <= np.log(rate)) & (np.log(rate) <= high))
        errors.append(drawn.mean(axis=0) - np.log(rate))
    # 72 organizations: the standard error of a share of 0.8 is 0.05.
    assert np.mean(inside) == pytest.approx(0.8, abs=0.15)
    assert abs(np.mean(errors)) < 0.15


def test_an_organization_without_months_is_like_the_others():
    _, _, births = made(15, 24, 3, spread=0.2)
    drawn = Births({**births.months, "new": np.empty(0, np.int64)}).draw(
        2000, np.random.default_rng(1)
    )
    rate = np.log(drawn.rate[:, drawn.organizations.index("new")])
    others = np.log(drawn.rate[:, :5])
    assert np.median(rate) == pytest.approx(np.median(others), abs=0.4)
    assert rate.std() > 1.5 * others.std(axis=0).mean()


def test_one_upload_of_a_thousand_is_not_spread_over_all_organizations():
    _, _, births = made(8, 24, 5, spread=0.3)
    heap = np.zeros(24, np.int64)
    heap[7] = 1000
    both = Births({**births.months, "heap": heap})
    alone = births.draw(1500, np.random.default_rng(2))
    drawn = both.draw(1500, np.random.default_rng(2))
    at = [drawn.organizations.index(name) for name in alone.organizations]
    ratio = np.median(drawn.rate[:, at], axis=0) / np.median(alone.rate, axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)
    assert np.median(drawn.size[:, drawn.organizations.index("heap")]) < 0.1


def test_simulated_births_have_mean_and_variance_of_the_law():
    draws = BirthDraws(
        ("a", "b"), np.tile([3.0, 0.5], (40_000, 1)), np.tile([0.7, 2.0], (40_000, 1))
    )
    counts = draws.simulate(2, np.random.default_rng(1))
    assert counts.shape == (40_000, 2, 2)
    for o, (rate, size) in enumerate(((3.0, 0.7), (0.5, 2.0))):
        assert counts[:, o].mean() == pytest.approx(rate, rel=0.03)
        assert counts[:, o].var() == pytest.approx(rate + rate**2 / size, rel=0.08)
    wild = BirthDraws(("a",), np.full((50, 1), 1e9), np.full((50, 1), 1.0))
    assert wild.simulate(1, np.random.default_rng(1)).max() == MOST


def test_the_same_seed_gives_the_same_draws():
    _, _, births = made(4, 12, 1)
    one, two = (births.draw(50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.rate, two.rate)
    np.testing.assert_array_equal(one.size, two.size)
