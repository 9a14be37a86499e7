"""Futures against the transition law, written with SciPy month by month."""

import numpy as np
import pytest
from numba import njit
from scipy import stats

from bayes_hfgrowth.growth.curve import cumulative, reinforced_increment
from bayes_hfgrowth.growth.transition import CAP, negative_binomial
from bayes_hfgrowth.posterior.simulation import futures
from tests.growth.test_transition import COUNTS, by_hand, history_of, point_of, spec_of


def test_futures_start_from_today_and_never_fall() -> None:
    spec = spec_of("surge")
    theta, carry = point_of(spec)
    paths = futures(
        spec, history_of(COUNTS), np.tile(theta, (500, 1, 1)), np.tile(carry, (500, 1)), 24,
        np.random.default_rng(2),
    )  # fmt: skip
    assert paths.dtype == np.int64
    assert paths.min() >= COUNTS[-1]
    assert (np.diff(paths, axis=-1) >= 0).all()


@pytest.mark.parametrize("name", ["citation", "reinforced"])
def test_mean_of_newborn_futures_is_the_papers_curve(name: str) -> None:
    spec = spec_of(name)
    theta, carry = point_of(spec)
    draws, months = 40_000, 12
    newborn = history_of([0])
    paths = futures(
        spec, newborn, np.tile(theta, (draws, 1, 1)), np.tile(carry, (draws, 1)), months,
        np.random.default_rng(3),
    )[:, 0]  # fmt: skip
    curve = cumulative(
        np.arange(1, months + 1), np.exp(theta[0]), theta[1], np.exp(theta[2]), spec.m
    )
    error = paths.std(axis=0) / np.sqrt(draws)
    assert (np.abs(paths.mean(axis=0) - curve) < 4.5 * error).all()


def chance(found: np.ndarray, law: stats.rv_discrete) -> float:
    """Probability of counts at least as unlike the law, by a chi-square test."""
    edges = np.unique(law.ppf(np.linspace(0.05, 0.95, 8)))
    edges = np.concatenate([[-1], edges, [np.inf]])
    expected = len(found) * np.diff(law.cdf(edges))
    observed = np.histogram(found, bins=np.append(edges[:-1] + 0.5, np.inf))[0]
    kept = expected > 5
    share = observed[kept].sum() / expected[kept].sum()
    return float(stats.chisquare(observed[kept], expected[kept] * share).pvalue)


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_each_month_follows_the_law_given_the_months_before_it(name: str) -> None:
    spec = spec_of(name)
    theta, carry = point_of(spec)
    draws = 20_001  # not a multiple of the draws that are gone through at a time
    counts = [0, 0, 1, 2, 2]
    paths = futures(
        spec, history_of(counts), np.tile(theta, (draws, 1, 1)), np.tile(carry, (draws, 1)), 3,
        np.random.default_rng(4),
    )[:, 0]  # fmt: skip
    assert chance(paths[:, 0] - counts[-1], by_hand(spec, [*counts, 2])[-1]) > 1e-4
    values, often = np.unique(paths[:, 0], return_counts=True)
    for first in values[np.argsort(often)[-3:]].tolist():
        given = paths[paths[:, 0] == first]
        assert len(given) > 400
        law = by_hand(spec, [*counts, first, first])[-1]
        assert chance(given[:, 1] - first, law) > 1e-4, first


def test_each_draw_has_its_own_parameters() -> None:
    spec = spec_of("surge")
    theta, carry = point_of(spec)
    draws = 12_000
    thetas, carries = np.tile(theta, (draws, 1, 1)), np.tile(carry, (draws, 1))
    thetas[::2, 0, 0] -= 1.0  # every other draw has less fitness, and no carry-over
    carries[::2] = 0.0
    paths = futures(
        spec, history_of(COUNTS), thetas, carries, 1, np.random.default_rng(6)
    )[:, 0, 0] - COUNTS[-1]  # fmt: skip
    assert chance(paths[1::2], by_hand(spec, [*COUNTS, COUNTS[-1]])[-1]) > 1e-4
    f = reinforced_increment(
        COUNTS[-1], 7, 8, np.exp(theta[0] - 1.0), theta[1], np.exp(theta[2]), spec.m
    )
    size = np.sqrt(f) / np.exp(theta[3])
    assert chance(paths[::2], stats.nbinom(size, size / (size + f))) > 1e-4


@pytest.mark.parametrize("mean", [1e-5, 0.03, 1.0, 3.99, 4.01, 60.0])
@pytest.mark.parametrize("size", [1e-3, 0.05, 0.7, 4.0, 1e6])
def test_negative_binomial_counts(mean: float, size: float) -> None:
    @njit
    def many(mean, size, log_empty, rng, out):
        for i in range(len(out)):
            out[i] = negative_binomial(mean, size, log_empty, rng)

    found = np.empty(100_000)
    law = stats.nbinom(size, size / (size + mean))
    many(mean, size, -size * np.log1p(mean / size), np.random.default_rng(7), found)
    kept = np.array([law.pmf(0), *law.cdf([1, 3, 10, 100])])
    seen = np.array([np.mean(found <= x) for x in (0, 1, 3, 10, 100)])
    error = np.sqrt(kept * (1 - kept) / len(found))
    assert (np.abs(seen - kept) <= 4.5 * error + 1e-9 + 10 / len(found) * (error < 1e-4)).all()


def test_scatter_without_bounds_comes_to_an_end() -> None:
    rng = np.random.default_rng(8)
    assert max(negative_binomial(4.0, 1e-12, -1e-11, rng) for _ in range(1000)) <= CAP
    assert max(negative_binomial(1e17, 1e-300, 0.0, rng) for _ in range(1000)) <= CAP


def test_counts_stop_at_the_cap() -> None:
    spec = spec_of("reinforced")
    theta = np.array([6.0, 0.0, -1.0])
    paths = futures(
        spec, history_of(COUNTS), np.tile(theta, (20, 1, 1)), np.zeros((20, 2)), 12,
        np.random.default_rng(5),
    )  # fmt: skip
    assert paths.max() <= CAP
    assert (np.diff(paths, axis=-1) >= 0).all()
