"""The ridge reparametrisation: invertible, the same at its pivot, and its Jacobian."""

import numpy as np
import pytest

from bayes_hfgrowth.inference.ridge import (
    from_ridge,
    from_ridge_back,
    nearer_normal,
    pivot_of,
    pivots_at,
    to_ridge,
)

RNG = np.random.default_rng(1)
NUMBER = 40
LOG_AGE = np.log(RNG.integers(1, 60, NUMBER).astype(float))
CENTRE = np.array([1.5, 2.5, 0.5, 0.7]) + RNG.normal(size=(NUMBER, 4))
PIVOTS = pivots_at(LOG_AGE, CENTRE, np.ones(NUMBER, dtype=bool))
RIDGE = CENTRE + 0.5 * RNG.normal(size=(NUMBER, 4))


def curved(ridge: np.ndarray, pivots: np.ndarray = PIVOTS) -> tuple[np.ndarray, np.ndarray]:
    theta = np.empty(ridge.shape)
    return theta, np.array([from_ridge(i, pivots, ridge, theta) for i in range(len(ridge))])


def test_from_ridge_undoes_to_ridge() -> None:
    theta, _ = curved(RIDGE)
    np.testing.assert_allclose(to_ridge(PIVOTS, theta), RIDGE, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(to_ridge(PIVOTS, CENTRE), CENTRE, rtol=1e-9)


def test_it_touches_at_the_pivot() -> None:
    for k in range(4):
        step = np.zeros(4)
        step[k] = 1e-4
        slope = (curved(CENTRE + step)[0] - curved(CENTRE - step)[0]) / 2e-4
        np.testing.assert_allclose(slope, np.tile(step / 1e-4, (NUMBER, 1)), atol=1e-4)


def test_jacobian_is_the_determinant() -> None:
    _, found = curved(RIDGE)
    slopes = np.empty((NUMBER, 4, 4))
    for k in range(4):
        step = np.zeros(4)
        step[k] = 1e-4
        slopes[:, :, k] = (curved(RIDGE + step)[0] - curved(RIDGE - step)[0]) / 2e-4
    np.testing.assert_allclose(found, np.linalg.slogdet(slopes)[1], atol=1e-4)


def test_derivatives_agree_with_finite_differences() -> None:
    weights = RNG.normal(size=4)
    theta, _ = curved(RIDGE)
    found = np.tile(weights, (NUMBER, 1))
    for i in range(NUMBER):
        from_ridge_back(i, PIVOTS, theta, found)
    for k in range(4):
        step = np.zeros(4)
        step[k] = 1e-4
        (up, up_jacobian), (down, down_jacobian) = curved(RIDGE + step), curved(RIDGE - step)
        slope = ((up - down) @ weights + up_jacobian - down_jacobian) / 2e-4
        np.testing.assert_allclose(found[:, k], slope, rtol=1e-3, atol=1e-4)


def test_base_models_that_are_not_chosen_stay_as_they_are() -> None:
    chosen = np.arange(NUMBER) % 2 == 0
    pivots = pivots_at(LOG_AGE, CENTRE, chosen)
    theta, jacobian = curved(RIDGE, pivots)
    np.testing.assert_array_equal(theta[~chosen], RIDGE[~chosen])
    assert (jacobian[~chosen] == 0.0).all()
    assert (theta[chosen] != RIDGE[chosen]).any(axis=1).all()


def test_a_curved_ridge_is_distinguished_from_a_normal_cloud() -> None:
    middle, scale = np.array([[2.0, 2.0, 0.5, 0.7]]), np.array([0.02, 0.8, 0.3, 0.3])
    cloud = middle + scale * RNG.normal(size=(500, 1, 4))
    slopes = -(cloud - middle) / scale**2  # of a normal density
    age = np.zeros(1)
    assert not nearer_normal(age, cloud, slopes)[0]

    # The same cloud in ridge coordinates is a curved ridge in the growth parameters.
    pivot = pivots_at(age, middle, np.ones(1, dtype=bool))
    ridge = np.stack([curved(draw, pivot)[0] for draw in cloud])
    by_ridge = np.empty(ridge.shape)
    for draw, point in enumerate(ridge):
        matrix = np.empty((4, 4))
        for k in range(4):
            unit = np.zeros((1, 4))
            unit[0, k] = 1.0
            from_ridge_back(0, pivot, point, unit)
            matrix[:, k] = unit[0] - np.array([0.0, 0.0, 1.0, 0.0])
        by_straight = slopes[draw, 0] - np.array([0.0, 0.0, 1.0, 0.0])
        by_ridge[draw, 0] = np.linalg.solve(matrix, by_straight)
    assert nearer_normal(age, ridge, by_ridge)[0]
    assert pivot_of(age, ridge)[0, 1:] == pytest.approx(middle[0, 1:], abs=0.1)
