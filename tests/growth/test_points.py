"""The months at many growth parameters: what the law says, one base model at a time."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from bayes_hfgrowth.growth.law import SHARED, Observed, Shared
from bayes_hfgrowth.growth.points import ROWS, log_likelihoods, log_likelihoods_at
from tests.growth.cases import CORNERS, THETA, cases, surge
from tests.growth.reference import NO_BURSTS, Case, log_density
from tests.growth.test_adjoint import with_derivatives

EXACT = 1e-10
POINTS = 40


def at_points(case: Case, theta: np.ndarray) -> np.ndarray:
    """Log densities at growth parameters of shape (parameters, points)."""
    value = np.empty((1, theta.shape[1]))
    theta = np.ascontiguousarray(theta)[None]
    log_likelihoods(case.observed(), theta, case.shared_values, value)
    return value[0]


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name):
    case = CORNERS[name]
    rng = np.random.default_rng(1)
    theta = np.array(case.theta)[:, None] + 0.2 * rng.standard_normal((len(case.theta), 5))
    expected = [log_density(dataclasses.replace(case, theta=tuple(row))) for row in theta.T]
    np.testing.assert_allclose(at_points(case, theta), expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("law", THETA)
@settings(max_examples=40)
@given(data=st.data())
def test_any_months_and_parameters(law, data):
    case = data.draw(cases(law))
    theta = np.array(case.theta)[:, None]
    assert at_points(case, theta)[0] == pytest.approx(log_density(case), rel=EXACT, abs=EXACT)


def test_impossible_growth_parameters_have_no_density():
    case = surge()
    rng = np.random.default_rng(2)
    theta = np.array(case.theta)[:, None] + 0.3 * rng.standard_normal((4, POINTS))
    theta[0, :2] = 301.0, np.nan
    theta[2, 2] = np.inf
    theta[0, 3] = 250.0  # growth overflows
    value = at_points(case, theta)
    assert not (value[:4] > -np.inf).any()
    assert np.isfinite(value[4:]).all()


def test_where_the_law_with_its_derivatives_has_no_density_there_is_none_here():
    rng = np.random.default_rng(3)
    for exponent in (0.3, 0.7, 1.0):
        case = surge(exponent=exponent)
        theta = np.array(case.theta)[:, None] + np.array([[90], [9], [3], [9]]) * rng.normal(
            size=(4, POINTS)
        )
        value, exact = at_points(case, theta), with_derivatives(case, theta.T)[0]
        assert not (value[exact < -1e6] > -9e5).any()
        likely = exact > -1e5
        assert 3 < likely.sum() < POINTS
        # Means beyond 1e16 meet a few fine-tunes there, and most digits are lost.
        np.testing.assert_allclose(value[likely], exact[likely], rtol=2e-3)


def test_no_month_at_all_says_nothing():
    case = surge(new=())
    np.testing.assert_array_equal(at_points(case, np.ones((4, POINTS))), 0.0)


@pytest.mark.parametrize("new", [0, 1, 5, 12, 13, 500])
def test_gamma_functions_of_small_and_of_large_sizes(new):
    """The dispersion decides the size of the negative binomial, from far below 1 to beyond 1e8."""
    case = surge(1.0, 0.0, 0.0, NO_BURSTS, new=(float(new),), period=())
    mean = np.expm1(4.5)
    dispersion = np.append(np.linspace(-12.0, 6.0, POINTS - 1), -30.0)
    fitness, zero = np.full(POINTS, np.log(9.0)), np.zeros(POINTS)
    value = at_points(case, np.stack([fitness, zero, zero, dispersion]))
    size = np.sqrt(mean) * np.exp(-dispersion[:-1])
    expected = stats.nbinom(size, size / (size + mean)).logpmf(new)
    np.testing.assert_allclose(value[:-1], expected, rtol=1e-9)
    assert value[-1] == pytest.approx(stats.poisson(mean).logpmf(new), rel=1e-9)


@njit
def _compiles(observed: Observed, theta: np.ndarray, value: np.ndarray, work: np.ndarray) -> None:
    shared = Shared(np.zeros(SHARED), np.zeros(1))
    log_likelihoods_at(observed, 0, theta, shared, value, work)


def test_it_can_be_called_from_compiled_code():
    value = np.ones(3)
    _compiles(surge(new=()).observed(), np.zeros((4, 3)), value, np.empty((ROWS, 3)))
    np.testing.assert_array_equal(value, 0.0)
