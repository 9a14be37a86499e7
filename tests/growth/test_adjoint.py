"""The law with its derivatives: value against a second implementation, and its derivatives."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.monthwise import pointwise
from bayes_hfgrowth.growth.points import log_likelihoods
from tests.growth.cases import CORNERS, THETA, cases, surge
from tests.growth.reference import Case, derivatives, log_density

EXACT = 1e-10


def with_derivatives(case: Case, theta=None):
    """Value, and derivatives by theta, shared parameters and period effects."""
    theta = np.atleast_2d(np.array(case.theta if theta is None else theta, dtype=np.float64))
    return gradients_of(case.observed(len(theta)), theta, case.shared_values)


def agrees(case: Case) -> None:
    """Value and derivatives are those of the second implementation."""
    value, *found = with_derivatives(case)
    expected = log_density(case)
    assert value[0] == pytest.approx(expected, rel=EXACT, abs=EXACT)
    for part, other in zip(found, derivatives(case), strict=True):
        if case.law != "surge" and len(other) != len(case.theta):
            np.testing.assert_array_equal(part[0], 0.0)
            continue
        # To the size of what is added up, which may cancel.
        scale = max(1.0, np.abs(other).max(initial=0.0))
        np.testing.assert_allclose(part[0], other, rtol=EXACT, atol=EXACT * scale)


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name):
    agrees(CORNERS[name])


@pytest.mark.parametrize("law", THETA)
@settings(max_examples=25)
@given(data=st.data())
def test_any_months_and_parameters(law, data):
    agrees(data.draw(cases(law)))


@pytest.mark.parametrize("law", THETA)
@settings(max_examples=100)
@given(data=st.data())
def test_value_is_that_of_the_other_compiled_forms(law, data):
    case = data.draw(cases(law))
    value = with_derivatives(case)[0][0]
    theta = np.array(case.theta)
    at_points = np.empty((1, 3))
    theta_at = np.repeat(theta[None, :, None], 3, axis=2)
    log_likelihoods(case.observed(), theta_at, case.shared_values, at_points)
    np.testing.assert_allclose(at_points, value, rtol=EXACT, atol=EXACT)
    monthly = np.empty((1, len(case.new)))
    pointwise(case.observed(), case.draws(1), monthly)
    np.testing.assert_allclose(monthly.sum(), value, rtol=EXACT, atol=EXACT)


def test_base_models_side_by_side_are_each_as_alone():
    case, rng = surge(), np.random.default_rng(1)
    theta = np.array(case.theta) + 0.3 * rng.standard_normal((5, 4))
    together = with_derivatives(case, theta)
    for i, row in enumerate(theta):
        alone = with_derivatives(case, row)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one[i], other[0])


@pytest.mark.parametrize("law", THETA)
def test_density_stays_a_number_far_out(law):
    case = dataclasses.replace(surge(), law=law)
    far = np.array(np.meshgrid([-30.0, 5.0], [-40.0, 40.0], [-4.0, 4.0], [0.0])).reshape(4, -1).T
    for theta in far[:, : len(THETA[law])]:
        value, *slopes = with_derivatives(case, theta)
        assert value[0] < 0
        assert not any(np.isnan(slope).any() for slope in slopes)


WILD = [-1e300, -1e6, -701.0, -299.0, -60.0, 0.5, 60.0, 299.0, 701.0, 1e6, 1e300, np.inf, np.nan]


@pytest.mark.parametrize("law", THETA)
def test_density_where_a_step_of_the_sampler_went_wrong(law):
    case = dataclasses.replace(surge(), law=law)
    for k in range(len(THETA[law])):
        for wild in WILD:
            theta = np.array(THETA[law])
            theta[k] = wild
            value, *slopes = with_derivatives(case, theta)  # it comes back at all
            assert value[0] < 0
            if not abs(wild) <= 300:
                assert value[0] == -np.inf
            if value[0] == -np.inf:
                assert all((slope == 0.0).all() for slope in slopes)
            else:
                assert all(np.isfinite(slope).all() for slope in slopes)
