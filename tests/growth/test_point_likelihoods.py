"""The months at many growth parameters: what the law says, one base model at a time."""

import numpy as np
import pytest
from numba import njit
from scipy import stats

from bayes_hfgrowth.growth.point_likelihoods import POINT_ROWS, log_likelihoods_at
from bayes_hfgrowth.growth.transition import LIKELIHOODS, month_constants, pointwise

POINTS = 40


def case(law: int, seed: int) -> tuple[np.ndarray, ...]:
    """Random months, some with very many fine-tunes, and random growth parameters."""
    rng = np.random.default_rng(seed)
    age = np.arange(1.0, 19.0)
    new = rng.poisson(rng.choice([0.0, 0.3, 3.0, 40.0], len(age))).astype(float)
    previous = np.append(0.0, np.cumsum(new)[:-1])
    theta = np.array([1.2, 2.0, 0.4, 0.7])[:, None] + rng.normal(size=(4, POINTS))
    return np.log(age), previous, new, theta[: 4 if law == LIKELIHOODS["surge"] else 3]


def found(law: int, carry: np.ndarray, log_age, previous, new, theta, m: float) -> np.ndarray:
    value, work = np.empty(theta.shape[1]), np.empty((POINT_ROWS, theta.shape[1]))
    constants = month_constants(law, previous, new, m)
    log_likelihoods_at(law, log_age, previous, new, constants, m, theta, carry, value, work)
    return value


@pytest.mark.parametrize("name", list(LIKELIHOODS))
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_law_month_by_month(name: str, seed: int) -> None:
    law, m, carry = LIKELIHOODS[name], 1.5, np.array([0.5, 0.3])
    log_age, previous, new, theta = case(law, seed)
    months = np.empty((POINTS, len(new)), dtype=np.float32)
    pointwise(
        law, np.array([0, len(new)]), log_age, previous, new,
        month_constants(law, previous, new, m), m, np.ascontiguousarray(theta.T[:, None, :]),
        np.tile(carry, (POINTS, 1)), np.zeros(1, dtype=np.int64), np.zeros((POINTS, 1)), months,
    )  # fmt: skip
    expected = months.sum(axis=1, dtype=np.float64)
    value = found(law, carry, log_age, previous, new, theta, m)
    likely = expected > -1e6  # beyond, what is clamped where differs
    assert likely.mean() > 0.2
    # The months are told in single precision.
    np.testing.assert_allclose(value[likely], expected[likely], rtol=2e-5, atol=2e-3)
    assert (value[~likely] < -5e5).all()


def test_impossible_growth_parameters_have_no_density() -> None:
    law = LIKELIHOODS["surge"]
    log_age, previous, new, theta = case(law, 1)
    theta[0, :2] = 301.0, np.nan
    theta[2, 2] = np.inf
    theta[0, 3] = 250.0  # growth overflows
    value = found(law, np.array([0.5, 0.3]), log_age, previous, new, theta, 1.0)
    assert (value[:4] == -np.inf).all()
    assert np.isfinite(value[4:]).all()


def test_no_month_at_all_says_nothing() -> None:
    _, _, _, theta = case(LIKELIHOODS["surge"], 2)
    nothing = np.empty(0)
    value = found(LIKELIHOODS["surge"], np.zeros(2), nothing, nothing, nothing, theta, 1.0)
    np.testing.assert_array_equal(value, 0.0)


def test_gamma_functions_of_small_and_of_large_sizes() -> None:
    """The dispersion decides the size of the negative binomial, from far below 1 to beyond 1e8."""
    law = LIKELIHOODS["surge"]
    log_age, previous, mean = np.log([1.0]), np.zeros(1), np.expm1(4.5)
    dispersion = np.append(np.linspace(-12.0, 6.0, POINTS - 1), -30.0)
    fitness, zero = np.full(POINTS, np.log(9.0)), np.zeros(POINTS)
    for new in (0, 1, 5, 12, 13, 500):
        value = found(
            law, np.zeros(2), log_age, previous, np.array([float(new)]),
            np.stack([fitness, zero, zero, dispersion]), 1.0,
        )  # fmt: skip
        size = np.sqrt(mean) * np.exp(-dispersion[:-1])
        expected = stats.nbinom(size, size / (size + mean)).logpmf(new)
        np.testing.assert_allclose(value[:-1], expected, rtol=1e-6)
        assert value[-1] == pytest.approx(stats.poisson(mean).logpmf(new), rel=1e-6)


@njit
def _compiles(theta: np.ndarray, value: np.ndarray, work: np.ndarray) -> None:
    nothing = np.empty(0)
    log_likelihoods_at(2, nothing, nothing, nothing, nothing, 1.0, theta, np.zeros(2), value, work)


def test_it_can_be_called_from_compiled_code() -> None:
    value = np.ones(3)
    _compiles(np.zeros((4, 3)), value, np.empty((POINT_ROWS, 3)))
    np.testing.assert_array_equal(value, 0.0)
