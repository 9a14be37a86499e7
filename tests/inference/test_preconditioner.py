"""The linear preconditioner and the sinh-arcsinh transform: inverse, Jacobian, derivatives."""

import numpy as np
from scipy.stats import skew

from bayes_hfgrowth.inference.preconditioner import (
    fit_sinh_arcsinh,
    inverse_sinh_arcsinh,
    no_sinh_arcsinh,
    preconditioned,
    preconditioned_back,
)

RNG = np.random.default_rng(8)
SIZE = 6
U, CENTRE = RNG.normal(size=(2, SIZE))
SCALE = np.tril(RNG.normal(size=(SIZE, SIZE)))
SINH_ARCSINH = np.stack(
    [RNG.normal(size=SIZE), RNG.uniform(0.5, 2.0, SIZE), [0.0, 0.4, -0.4, 0.8, -0.8, 0.1]]
)


def at(
    u: np.ndarray, sinh_arcsinh: np.ndarray = SINH_ARCSINH
) -> tuple[float, np.ndarray, np.ndarray]:
    psi, slopes = np.empty(SIZE), np.empty((2, SIZE))
    return preconditioned(u, CENTRE, SCALE, sinh_arcsinh, psi, slopes), psi, slopes


def test_without_skew_it_is_a_lower_triangular_product() -> None:
    logarithm, psi, slopes = at(U, no_sinh_arcsinh(SIZE))
    assert logarithm == 0.0
    np.testing.assert_allclose(psi, CENTRE + SCALE @ U)
    by_psi = RNG.normal(size=SIZE)
    by_u = np.full(SIZE + 2, 9.0)
    preconditioned_back(by_psi, SCALE, slopes, by_u)
    np.testing.assert_allclose(by_u, [*(SCALE.T @ by_psi), 9.0, 9.0])


def test_the_inverse_undoes_it() -> None:
    np.testing.assert_allclose(inverse_sinh_arcsinh(at(U)[1], SINH_ARCSINH), CENTRE + SCALE @ U)


def test_derivatives_and_jacobian_agree_with_finite_differences() -> None:
    weights, step = RNG.normal(size=SIZE), 1e-6
    slopes = at(U)[2]
    by_u = np.empty(SIZE)
    preconditioned_back(weights, SCALE, slopes, by_u)
    matrix = np.empty((SIZE, SIZE))
    for k in range(SIZE):
        unit = step * np.eye(SIZE)[k]
        (up, up_psi, _), (down, down_psi, _) = at(U + unit), at(U - unit)
        matrix[:, k] = (up_psi - down_psi) / (2.0 * step)
        moved = (weights @ (up_psi - down_psi) + up - down) / (2.0 * step)
        np.testing.assert_allclose(by_u[k], moved, rtol=1e-6)
    constant = np.log(np.abs(np.diag(SCALE))).sum() + np.log(SINH_ARCSINH[1]).sum()
    np.testing.assert_allclose(np.linalg.slogdet(matrix)[1], at(U)[0] + constant, rtol=1e-6)


def test_draws_lose_their_skewness() -> None:
    draws = np.stack([RNG.normal(size=4000), -RNG.gamma(2.0, size=4000)], axis=1)
    sinh_arcsinh = fit_sinh_arcsinh(draws)
    assert abs(sinh_arcsinh[2, 0]) < 0.1
    assert sinh_arcsinh[2, 1] < 0.0
    assert abs(skew(inverse_sinh_arcsinh(draws, sinh_arcsinh)[:, 1])) < 0.4 * abs(skew(draws[:, 1]))
