import mpmath
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth.growth.attention import attention_share, z_score
from bayes_hfgrowth.growth.attention_pt import (
    attention_share_pt,
    log_attention_increment_pt,
    z_score_pt,
)

mpmath.mp.dps = 60

STARTS = [-40, -39, -38, -20, -5, -1, -0.1, -1e-3, 0, 1e-3, 0.1, 1, 5, 20, 38, 39.5]
STEPS = [1e-3, 0.1, 0.5, 1, 3, 10, 45]
LONGEVITY = 0.1


def exact_increment(start, end, immediacy, longevity):
    """ΔF with 60 digits, from the very floats that the package is given."""
    z = [
        (mpmath.log(mpmath.mpf(age)) - mpmath.mpf(immediacy)) / mpmath.mpf(longevity)
        if age
        else -mpmath.inf
        for age in (start, end)
    ]
    sign = -1 if z[0] > 0 else 1  # the tail that is smaller
    shares = [mpmath.erfc(-sign * score / mpmath.sqrt(2)) / 2 for score in z]
    return sign * (shares[1] - shares[0])


@np.vectorize
def exact_logarithms(start, end, immediacy, longevity):
    """Ln ΔF, rounded from 60 digits."""
    return float(mpmath.log(exact_increment(*map(float, (start, end, immediacy, longevity)))))


def in_the_tails():
    """Pairs of ages between which the z-score goes from STARTS by STEPS."""
    scores = np.array([(start, start + step) for start in STARTS for step in STEPS])
    return np.exp(scores.T * LONGEVITY)


# Closed forms and brute force


def test_share_is_the_log_normal_distribution():
    ages = np.array([0.1, 1.0, 7.0, 30.0, 400.0])
    for immediacy, longevity in [(2.0, 1.0), (0.3, 0.2), (3.0, 4.0)]:
        law = stats.lognorm(s=longevity, scale=np.exp(immediacy))
        np.testing.assert_allclose(
            attention_share(ages, immediacy, longevity), law.cdf(ages), rtol=1e-13
        )


def test_half_of_the_attention_has_come_at_the_exponential_of_immediacy():
    assert attention_share(np.exp(2.5), 2.5, 1.3) == pytest.approx(0.5, abs=1e-15)


def test_life_starts_without_attention_and_ends_with_all():
    assert z_score(0, 2, 1) == -np.inf
    np.testing.assert_array_equal(attention_share([0, np.inf], 2, 1), [0, 1])


def test_float32_and_integers_are_taken_as_float64():
    draws = np.array([3.0, 40.0], dtype=np.float32)
    assert attention_share(draws, np.float32(2), np.float32(1)).dtype == np.float64
    assert log_attention_increment_pt(1, 2, 2, 1).eval() == pytest.approx(
        exact_logarithms(1, 2, 2, 1), rel=1e-13
    )


def test_shapes_broadcast():
    assert attention_share(np.ones((4, 1)), np.zeros(3), 1).shape == (4, 3)
    assert attention_share_pt(np.ones((4, 1)), np.zeros(3), 1).eval().shape == (4, 3)


# Properties

ages = st.floats(0, 1e4)
immediacies = st.floats(-5, 10)
longevities = st.floats(0.05, 20)


@given(ages, ages, immediacies, longevities)
def test_share_never_falls(one, other, immediacy, longevity):
    start, end = sorted((one, other))
    early, late = attention_share([start, end], immediacy, longevity)
    assert 0 <= early <= late <= 1


# PyTensor


@pytest.fixture(scope="module")
def tensors():
    """All PyTensor forms with their gradients, compiled at once as samplers compile."""
    start, end, immediacy, longevity = inputs = [
        pt.dvector(name) for name in ("start", "end", "immediacy", "longevity")
    ]
    forms = {
        "z_score": z_score_pt(end, immediacy, longevity),
        "attention_share": attention_share_pt(end, immediacy, longevity),
        "log_attention_increment": log_attention_increment_pt(start, end, immediacy, longevity),
    }
    gradients = {
        f"{name} by {variable.name}": pytensor.grad(
            form.sum(), variable, disconnected_inputs="ignore"
        )
        for name, form in forms.items()
        for variable in inputs
    }
    names = [*forms, *gradients]
    function = pytensor.function(inputs, [*forms.values(), *gradients.values()])

    def evaluate(*arguments):
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, float)) for x in arguments))
        return dict(zip(names, function(*map(np.ascontiguousarray, arrays)), strict=True))

    return evaluate


def other_forms(start, end, immediacy, longevity):
    return {
        "z_score": z_score(end, immediacy, longevity),
        "attention_share": attention_share(end, immediacy, longevity),
        "log_attention_increment": exact_logarithms(start, end, immediacy, longevity),
    }


def test_pytensor_agrees_with_numpy_and_60_digits(tensors):
    rng = np.random.default_rng(1)
    start = np.r_[0.0, 0.0, rng.uniform(0, 40, 200)]
    arguments = start, start + rng.exponential(3, 202), rng.normal(2.5, 1, 202)
    longevity = np.exp(rng.normal(0.4, 0.5, 202))
    values = tensors(*arguments, longevity)
    for name, expected in other_forms(*arguments, longevity).items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-12, err_msg=name)


def test_pytensor_agrees_in_the_tails(tensors):
    start, end = in_the_tails()
    values = tensors(start, end, 0.0, LONGEVITY)
    for name, expected in other_forms(start, end, 0.0, LONGEVITY).items():
        # Libraries differ in whether they round what is below the smallest normal number to 0, and
        # with 60 digits a share this near to 1 is 1.
        atol = 1e-59 if name.startswith("log") else 3e-308
        np.testing.assert_allclose(values[name], expected, rtol=1e-10, atol=atol, err_msg=name)


def test_gradients_are_finite_in_the_tails_and_from_birth_on(tensors):
    start, end = in_the_tails()
    cases = [
        tensors(start, end, 0.0, LONGEVITY),
        tensors(0.0, [1e-6, 1.0, 12.0, 1e6], [2.0, -3.0, 8.0, 2.0], [0.01, 1.0, 50.0, 1.0]),
    ]
    for values in cases:
        for name, value in values.items():
            assert np.all(np.isfinite(value)), name


def test_gradients_agree_with_finite_differences(tensors):
    rng = np.random.default_rng(2)
    start = rng.uniform(0.5, 30, 100)
    point = [start, start + rng.uniform(0.5, 2, 100), rng.normal(2.5, 0.5, 100)]
    point.append(np.exp(rng.normal(0.4, 0.2, 100)))
    values = tensors(*point)
    step = 1e-5
    for place, variable in enumerate(("start", "end", "immediacy", "longevity")):
        above, below = (
            other_forms(*(x + (sign * step if at == place else 0) for at, x in enumerate(point)))
            for sign in (1, -1)
        )
        for name in above:
            slope = (above[name] - below[name]) / (2 * step)
            np.testing.assert_allclose(
                values[f"{name} by {variable}"],
                np.broadcast_to(slope, 100),
                rtol=1e-5,
                atol=1e-8,
                err_msg=f"{name} by {variable}",
            )


def test_log_gradient_follows_the_tail(tensors):
    """Far in the left tail, d ln Φ(z) / dz = -z (1 + O(1/z²))."""
    values = tensors(0.0, np.exp(-40 * LONGEVITY), 0.0, LONGEVITY)
    by_score = -values["log_attention_increment by immediacy"] * LONGEVITY
    assert by_score == pytest.approx(40, rel=1e-3)
