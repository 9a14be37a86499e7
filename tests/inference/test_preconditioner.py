"""Turned and unskewed coordinates: their inverse, Jacobian and derivatives."""

import numpy as np
from scipy.stats import skew

from bayes_hfgrowth.inference.preconditioner import (
    find_skews,
    no_skews,
    turned,
    turned_back,
    unskewed,
)

RNG = np.random.default_rng(8)
SIZE = 6
U, CENTRE = RNG.normal(size=(2, SIZE))
SCALE = np.tril(RNG.normal(size=(SIZE, SIZE)))
SKEWS = np.stack(
    [RNG.normal(size=SIZE), RNG.uniform(0.5, 2.0, SIZE), [0.0, 0.4, -0.4, 0.8, -0.8, 0.1]]
)


def at(u: np.ndarray, skews: np.ndarray = SKEWS) -> tuple[float, np.ndarray, np.ndarray]:
    psi, slopes = np.empty(SIZE), np.empty((2, SIZE))
    return turned(u, CENTRE, SCALE, skews, psi, slopes), psi, slopes


def test_without_skew_it_is_a_lower_triangular_product() -> None:
    logarithm, psi, slopes = at(U, no_skews(SIZE))
    assert logarithm == 0.0
    np.testing.assert_allclose(psi, CENTRE + SCALE @ U)
    by_psi = RNG.normal(size=SIZE)
    by_u = np.full(SIZE + 2, 9.0)
    turned_back(by_psi, SCALE, slopes, by_u)
    np.testing.assert_allclose(by_u, [*(SCALE.T @ by_psi), 9.0, 9.0])


def test_unskewing_undoes_it() -> None:
    np.testing.assert_allclose(unskewed(at(U)[1], SKEWS), CENTRE + SCALE @ U)


def test_derivatives_and_jacobian_agree_with_finite_differences() -> None:
    weights, step = RNG.normal(size=SIZE), 1e-6
    slopes = at(U)[2]
    by_u = np.empty(SIZE)
    turned_back(weights, SCALE, slopes, by_u)
    matrix = np.empty((SIZE, SIZE))
    for k in range(SIZE):
        unit = step * np.eye(SIZE)[k]
        (up, up_psi, _), (down, down_psi, _) = at(U + unit), at(U - unit)
        matrix[:, k] = (up_psi - down_psi) / (2.0 * step)
        moved = (weights @ (up_psi - down_psi) + up - down) / (2.0 * step)
        np.testing.assert_allclose(by_u[k], moved, rtol=1e-6)
    constant = np.log(np.abs(np.diag(SCALE))).sum() + np.log(SKEWS[1]).sum()
    np.testing.assert_allclose(np.linalg.slogdet(matrix)[1], at(U)[0] + constant, rtol=1e-6)


def test_draws_lose_their_skewness() -> None:
    draws = np.stack([RNG.normal(size=4000), -RNG.gamma(2.0, size=4000)], axis=1)
    skews = find_skews(draws)
    assert abs(skews[2, 0]) < 0.1
    assert skews[2, 1] < 0.0
    assert abs(skew(unskewed(draws, skews)[:, 1])) < 0.4 * abs(skew(draws[:, 1]))
