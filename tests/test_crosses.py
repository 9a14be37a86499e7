"""Crosses: each point has the t distribution it says, and any of them may be the first."""

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.crosses import DEGREES, WIDER, crosses

MEMBERS = 20_000


def half_t(x: np.ndarray) -> np.ndarray:
    """Distribution of the size of one coordinate; which of two opposite points is first is moot."""
    return np.asarray(2.0 * stats.t(DEGREES, scale=WIDER).cdf(x) - 1.0)


@pytest.mark.parametrize("size", [3, 4])
def test_each_point_has_the_distribution_it_is_weighed_by(size: int) -> None:
    points, log_density = crosses((MEMBERS, size), np.random.default_rng(1))
    law = stats.multivariate_t(np.zeros(size), WIDER**2 * np.eye(size), df=DEGREES)
    exact = law.logpdf(points[:, :50])
    np.testing.assert_allclose(np.ptp(log_density[:, :50] - exact), 0.0, atol=1e-9)
    radius = stats.f(size, DEGREES)
    for s in range(2 * size):
        square = (points[s] ** 2).sum(axis=1) / (WIDER**2 * size)
        assert stats.kstest(square, radius.cdf).pvalue > 1e-4
        assert stats.kstest(np.abs(points[s][:, 0]), half_t).pvalue > 1e-4


@pytest.mark.parametrize("size", [3, 4])
def test_points_are_opposite_orthogonal_and_in_different_shells(size: int) -> None:
    points, _ = crosses((50, size), np.random.default_rng(2))
    np.testing.assert_array_equal(points[1::2], -points[::2])
    axes = points[::2]
    products = np.einsum("ani,bni->nab", axes, axes)
    squares = np.einsum("naa->na", products).copy()
    products[:, np.arange(size), np.arange(size)] = 0.0
    np.testing.assert_allclose(products, 0.0, atol=1e-8 * squares.max())
    shares = stats.f(size, DEGREES).cdf(squares / (WIDER**2 * size))
    assert (np.sort((shares * size).astype(int), axis=1) == np.arange(size)).all()


@pytest.mark.parametrize("number", [1, 2, 5])
def test_keeping_any_point_leaves_the_distribution_as_it_is(number: int) -> None:
    """Drawn afresh, or around a point of an earlier cross: the same joint distribution."""
    size = 3
    rng = np.random.default_rng(3)
    fresh, _ = crosses((MEMBERS, size), rng)
    kept = fresh[number]
    again, log_density = crosses((MEMBERS, size), rng, kept)
    np.testing.assert_array_equal(again[0], kept)
    np.testing.assert_array_equal(again[1], -kept)
    np.testing.assert_allclose(log_density[0], log_density[1])
    # A statistic of the whole cross: the longest axis, and the sum of the lengths.
    for statistic in (np.max, np.sum):
        first, second = (statistic(np.linalg.norm(p, axis=2), axis=0) for p in (fresh, again))
        assert stats.ks_2samp(first, second).pvalue > 1e-4
    for axis in range(2, 2 * size):
        found = np.abs(again[axis][:, 1])
        assert stats.kstest(found, half_t).pvalue > 1e-4
