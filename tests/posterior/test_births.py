"""The birth process of organizations: its months, its likelihood, and rates that come back."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hfgrowth.posterior import births
from bayes_hfgrowth.posterior.births import (
    HALF_LIFE,
    MOST,
    WINDOW,
    BirthDraws,
    Births,
    births_of,
    monthly_births,
)
from bayes_hfgrowth.support.errors import ForecastError

DATE = pd.Timestamp("2024-08-21", tz="UTC")


def made(organizations, months, seed, scale=1.0):
    """Constant rates of organizations, and births by them."""
    rng = np.random.default_rng(seed)
    rate = np.exp(0.3 + scale * rng.standard_normal(organizations))
    size = np.exp(-0.5 + 0.4 * rng.standard_normal(organizations))
    counts = rng.negative_binomial(size, size / (size + rate), (months, organizations)).T
    return rate, Births({f"o{i:03d}": own for i, own in enumerate(counts)})


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


def test_the_likelihood_is_that_of_negative_binomials_and_fades():
    counts = np.array([0, 3, 0, 12, 1, 0])
    table = Births({"a": counts})._likelihoods[0]
    weights = 0.5 ** (np.array([5.5, 4.5, 3.5, 2.5, 1.5, 0.5]) / HALF_LIFE)
    for i, j in ((40, 10), (70, 30), (100, 60)):
        rate, size = np.exp(births._LOG_RATES[i]), np.exp(births._LOG_SIZES[j])
        expected = weights @ stats.nbinom.logpmf(counts, size, size / (size + rate))
        assert table[i, j] == pytest.approx(expected, rel=1e-9)


def test_draws_are_those_of_the_table_that_is_summed_over():
    """One organization: draws against its marginal, by brute force over all grids."""
    own = Births({"a": np.array([2, 0, 5, 1])})
    rates, sizes, rate_prior, size_prior, _ = own._levels
    of_rate = np.exp(rate_prior) @ np.exp(rates)
    of_size = np.exp(size_prior) @ np.exp(sizes)
    joint = of_rate[:, None] * np.exp(own._likelihoods[0]) * of_size
    joint /= joint.sum()
    drawn = own.draw(20_000, np.random.default_rng(3))
    for values, grid, axis in (
        (drawn.rate, births._LOG_RATES, 1), (drawn.size, births._LOG_SIZES, 0),
    ):  # fmt: skip
        marginal = joint.sum(axis=axis)
        mean = marginal @ grid
        scale = np.sqrt(marginal @ (grid - mean) ** 2)
        assert np.log(values).mean() == pytest.approx(mean, abs=5 * scale / np.sqrt(20_000))
        assert np.log(values).std() == pytest.approx(scale, rel=0.03)


def test_rates_come_back_from_simulated_births():
    inside, errors = [], []
    for seed in range(6):
        rate, process = made(12, WINDOW, seed)
        drawn = np.log(process.draw(800, np.random.default_rng(seed)).rate)
        low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
        inside.append((low <= np.log(rate)) & (np.log(rate) <= high))
        errors.append(drawn.mean(axis=0) - np.log(rate))
    # 72 organizations: the standard error is 0.05. Older months fade, which only widens intervals.
    assert np.mean(inside) > 0.7
    assert abs(np.mean(errors)) < 0.15


def test_an_organization_without_months_is_like_the_others():
    _, process = made(15, 24, 3, scale=0.2)
    drawn = Births({**process.months, "new": np.empty(0, np.int64)}).draw(
        2000, np.random.default_rng(1)
    )
    rate = np.log(drawn.rate[:, drawn.organizations.index("new")])
    others = np.log(drawn.rate[:, :5])
    assert np.median(rate) == pytest.approx(np.median(others), abs=0.4)
    assert rate.std() > 1.2 * others.std(axis=0).mean()


def test_one_upload_of_a_thousand_is_not_spread_over_all_organizations():
    _, process = made(8, 24, 5, scale=0.3)
    heap = np.zeros(24, np.int64)
    heap[7] = 1000
    both = Births({**process.months, "heap": heap})
    alone = process.draw(1500, np.random.default_rng(2))
    drawn = both.draw(1500, np.random.default_rng(2))
    at = [drawn.organizations.index(name) for name in alone.organizations]
    ratio = np.median(drawn.rate[:, at], axis=0) / np.median(alone.rate, axis=0)
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)
    assert np.median(drawn.size[:, drawn.organizations.index("heap")]) < 0.1


def of(rate, size, draws, scale=0.0):
    """Draws of one organization, all alike."""
    shape = (draws, 1)
    middle, apart = np.full(draws, np.log(rate)), np.full(draws, scale)
    return BirthDraws(("a",), np.full(shape, rate), np.full(shape, size), middle, apart)


@pytest.mark.parametrize(("rate", "size"), [(3.0, 0.7), (0.5, 2.0)])
def test_simulated_births_have_mean_and_variance_of_the_law(rate, size):
    counts = of(rate, size, 80_000).simulate(2, np.random.default_rng(1))
    assert counts.shape == (80_000, 1, 2)
    assert counts.mean() == pytest.approx(rate, rel=0.03)
    assert counts.var() == pytest.approx(rate + rate**2 / size, rel=0.08)


def test_rates_ahead_drift_back_to_those_of_all_organizations():
    one = BirthDraws(
        ("a",), np.full((50_000, 1), 40.0), np.full((50_000, 1), 1e9), np.zeros(50_000),
        np.full(50_000, 0.5),
    )  # fmt: skip
    months = int(HALF_LIFE) * 2
    means = one.simulate(months, np.random.default_rng(1)).mean(axis=0)[0]
    assert (np.diff(means) < 0.5).all()
    left = 2.0 ** (-0.5 * months / HALF_LIFE)  # of ln 40, and what has come of the variance
    expected = np.exp(left * np.log(40.0) + 0.5 * 0.25 * (1.0 - left**2))
    assert means[-1] == pytest.approx(expected, rel=0.02)


def test_no_month_has_more_than_can_be_simulated():
    assert of(1e9, 1.0, 50).simulate(1, np.random.default_rng(1)).max() == MOST


def test_the_same_seed_gives_the_same_draws():
    _, process = made(4, 12, 1)
    one, two = (process.draw(50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.rate, two.rate)
    np.testing.assert_array_equal(one.size, two.size)
