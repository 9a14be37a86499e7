"""Crosses: each point has the t distribution it says, and any of them may be the first."""

import numpy as np
import pytest
from numba import njit
from scipy import stats

from bayes_hfgrowth.inference.crosses import DEGREES, WIDER, fill_crosses, log_density_of

MEMBERS = 20_000


@njit
def crosses(kept: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Points of many members, shape (points, members, parameters)."""
    members, size = kept.shape
    out = np.empty((2 * size * number, members, size))
    points = np.empty((size, 2 * size * number))
    for i in range(members):
        fill_crosses(kept[i], rng, points)
        out[:, i] = points.T
    return out


def drawn(size: int, seed: int) -> np.ndarray:
    """Draws of the t distribution that a point has by itself."""
    law = stats.multivariate_t(np.zeros(size), WIDER**2 * np.eye(size), df=DEGREES)
    return np.asarray(law.rvs(MEMBERS, random_state=seed))


def half_t(x: np.ndarray) -> np.ndarray:
    """Distribution of the size of one coordinate; which of two opposite points is first is moot."""
    return np.asarray(2.0 * stats.t(DEGREES, scale=WIDER).cdf(x) - 1.0)


@pytest.mark.parametrize("size", [3, 4])
def test_each_point_has_the_distribution_it_is_weighed_by(size: int) -> None:
    points = crosses(drawn(size, 1), 2, np.random.default_rng(1))
    law = stats.multivariate_t(np.zeros(size), WIDER**2 * np.eye(size), df=DEGREES)
    some = points[:, :50].reshape(-1, size)
    said = [log_density_of(float(point @ point), size) for point in some]
    np.testing.assert_allclose(np.ptp(said - law.logpdf(some)), 0.0, atol=1e-9)
    radius = stats.f(size, DEGREES)
    for s in range(4 * size):
        square = (points[s] ** 2).sum(axis=1) / (WIDER**2 * size)
        assert stats.kstest(square, radius.cdf).pvalue > 1e-4
        assert stats.kstest(np.abs(points[s][:, 0]), half_t).pvalue > 1e-4


@pytest.mark.parametrize("size", [3, 4])
def test_points_of_a_cross_are_opposite_and_orthogonal(size: int) -> None:
    points = crosses(drawn(size, 2)[:50], 3, np.random.default_rng(2))
    np.testing.assert_array_equal(points[1::2], -points[::2])
    for cross in range(3):
        axes = points[2 * size * cross : 2 * size * (cross + 1) : 2]
        products = np.einsum("ani,bni->nab", axes, axes)
        largest = products.max()
        products[:, np.arange(size), np.arange(size)] = 0.0
        np.testing.assert_allclose(products, 0.0, atol=1e-8 * largest)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_keeping_any_point_leaves_the_distribution_as_it_is(number: int) -> None:
    """Drawn around a draw of the t distribution, or around another point of such crosses."""
    size = 3
    rng = np.random.default_rng(3)
    fresh = crosses(drawn(size, 3), 2, rng)
    kept = np.ascontiguousarray(fresh[number])
    again = crosses(kept, 2, rng)
    np.testing.assert_array_equal(again[0], kept)
    np.testing.assert_array_equal(again[1], -kept)
    # Statistics of the whole: the longest axis, and the sum of the lengths.
    for statistic in (np.max, np.sum):
        first, second = (statistic(np.linalg.norm(p, axis=2), axis=0) for p in (fresh, again))
        assert stats.ks_2samp(first, second).pvalue > 1e-4
    for axis in range(2, 4 * size):
        found = np.abs(again[axis][:, 1])
        assert stats.kstest(found, half_t).pvalue > 1e-4
