"""The curve against 450 digits, closed forms, and the process that it describes."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth.growth import cumulative, growth_reached, ultimate_impact
from bayes_hfgrowth.growth.attention import attention_share

DIGITS = 450  # 1 - Φ(40) is 4e-350
LARGEST = np.finfo(float).max
FITNESSES = [1e-300, 1e-12, 1e-3, 0.5, 1.6487, 5, 40, 300, 690, 700, 708, 715, 1e4]
EXPONENTS = [0.3, 0.7, 0.95, 1 - 1e-6, 1 - 1e-12, 1]


@pytest.fixture
def digits():
    """Calculate with that many digits, and leave other tests theirs."""
    with mpmath.workdps(DIGITS):
        yield


def exact_share(age, immediacy, longevity):
    """F(t) with all digits."""
    if age == 0:
        return mpmath.mpf(0)
    z = (mpmath.log(mpmath.mpf(age)) - mpmath.mpf(immediacy)) / mpmath.mpf(longevity)
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def exact_increment(attractiveness, growth, exponent):
    """(A^δ + δ h)^(1/δ) - A, with digits enough for h = 1e-300 * 1e-172."""
    if exponent == 1:
        return attractiveness * mpmath.expm1(growth)
    with mpmath.workdps(2 * DIGITS + 100):
        delta = 1 - mpmath.mpf(exponent)
        grown = mpmath.power(attractiveness, delta) + delta * growth
        return mpmath.power(grown, 1 / delta) - attractiveness


def assert_is(value, exact, rel):
    """Compare with an exact value: infinity only where that is beyond float64."""
    if exact > LARGEST:
        assert value == np.inf
    else:
        assert np.isfinite(value)
        assert value == pytest.approx(float(exact), rel=rel, abs=1e-307)


# Against 450 digits


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("fitness", FITNESSES)
@pytest.mark.parametrize("m", [1e-6, 1, 30])
def test_ultimate_impact(digits, fitness, m, exponent):
    exact = exact_increment(mpmath.mpf(m), mpmath.mpf(fitness), exponent)
    with np.errstate(over="ignore"):
        rel = 1e-14 if exponent == 1 else 1e-12  # the logarithm and exp of it, up to 708
        assert_is(ultimate_impact(fitness, m, exponent), exact, rel)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("fitness", FITNESSES)
@pytest.mark.parametrize("age", [0, 0.02, 3, 12, 60, 1e9])
def test_curve(digits, fitness, age, exponent):
    share = exact_share(age, 2.5, 0.4)
    exact = exact_increment(mpmath.mpf(30), mpmath.mpf(fitness) * share, exponent)
    with np.errstate(over="ignore"):
        assert_is(cumulative(age, fitness, 2.5, 0.4, 30, exponent), exact, rel=1e-10)


# Closed forms


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_curve_grows_at_the_rate_that_defines_it(exponent):
    """The derivative dc/dt is λ F'(t) (c + m)^γ."""
    rng = np.random.default_rng(3)
    ages = rng.uniform(0.5, 40, 200)
    fitness, immediacy = np.exp(rng.normal(0.5, 0.6, 200)), rng.normal(2.5, 0.5, 200)
    rest = fitness, immediacy, 1.2, 30, exponent
    step = 1e-4
    slope = (cumulative(ages + step, *rest) - cumulative(ages - step, *rest)) / 2 / step
    attention = stats.lognorm(s=1.2, scale=np.exp(immediacy)).pdf(ages)
    rate = fitness * attention * (cumulative(ages, *rest) + 30) ** exponent
    np.testing.assert_allclose(slope, rate, rtol=1e-6)


def test_square_root_law():
    """With the exponent 1/2 the root of c + m grows by λ F / 2."""
    root = np.sqrt(30) + 0.5 * 1.6 * stats.norm.cdf((np.log(9.0) - 2.5) / 1.2)
    assert cumulative(9, 1.6, 2.5, 1.2, 30, 0.5) == pytest.approx(root**2 - 30, rel=1e-13)


def test_fitness_beyond_float64_gives_infinity_not_nan():
    for exponent in EXPONENTS:
        assert ultimate_impact(np.inf, 30, exponent) == np.inf
    assert np.isnan(ultimate_impact(np.nan, 30, 0.7))


def test_draws_in_float32_do_not_overflow():
    assert ultimate_impact(np.float32(100), 30) == pytest.approx(30 * np.expm1(100), rel=1e-12)


def test_each_draw_has_its_exponent():
    exponent = np.array([[0.4], [0.8], [1.0]])
    together = cumulative([3.0, 12.0], 1.6, 2.5, 1.2, 30, exponent)
    assert together.shape == (3, 2)
    for row, column in np.ndindex(3, 2):
        alone = cumulative([3.0, 12.0][column], 1.6, 2.5, 1.2, 30, exponent[row, 0])
        assert together[row, column] == pytest.approx(alone, rel=1e-14)


# Properties

fitnesses = st.floats(1e-6, 700)
immediacies = st.floats(-5, 10)
longevities = st.floats(0.05, 20)
attentions = st.floats(1e-3, 1e3)
exponents = st.floats(0.05, 1) | st.sampled_from(EXPONENTS)
curves = st.tuples(fitnesses, immediacies, longevities, attentions, exponents)
moments = st.floats(0, 1e4)


@given(moments, moments, curves)
def test_curve_rises_and_stays_below_its_ultimate_impact(one, other, curve):
    start, end = sorted((one, other))
    early, late = cumulative([start, end], *curve)
    fitness, *_, m, exponent = curve
    assert 0 <= early <= late * (1 + 1e-12)
    assert late <= ultimate_impact(fitness, m, exponent) * (1 + 1e-12)


# The process itself


def simulate(rng, replicates, count, start, end, fitness, immediacy, longevity, m):
    """Increments of the reinforced Poisson process, event by event, by thinning.

    Candidates come at the rate that the process would have if attention were always at its
    densest, and each is kept with the probability attention / densest. Neither the transition
    law nor the curve is used, only the rate that defines the process.
    """
    attention = stats.lognorm(s=longevity, scale=np.exp(immediacy))
    densest = attention.pdf(np.exp(immediacy - longevity**2))
    ages = np.full(replicates, float(start))
    counts = np.full(replicates, float(count))
    alive = np.arange(replicates)
    while alive.size:
        ages[alive] += rng.exponential(1 / (fitness * densest * (counts[alive] + m)))
        alive = alive[ages[alive] <= end]
        kept = rng.uniform(size=alive.size) * densest < attention.pdf(ages[alive])
        counts[alive[kept]] += 1
    return counts - count


CASES = {
    "from birth": (0, 0.0, 12.0, 1.5, 2.0, 0.8, 5.0),
    "a later month": (40, 9.0, 10.0, 2.0, 2.2, 0.7, 10.0),
    "a late year": (7, 24.0, 36.0, 3.0, 3.0, 1.2, 2.0),
}


def goodness_of_fit(increments, law):
    """p-value of a chi-square test, in classes of at least 20 expected replicates."""
    size = len(increments)
    cuts = np.unique(law.ppf(np.linspace(0, 1, 30)[1:-1]))
    shares = np.diff(np.r_[0, law.cdf(cuts), 1])
    observed = np.bincount(np.searchsorted(cuts, increments), minlength=len(cuts) + 1)
    enough = size * shares >= 20
    observed = np.r_[observed[enough], observed[~enough].sum()]
    expected = size * np.r_[shares[enough], shares[~enough].sum()]
    some = expected > 1e-9 * size
    return stats.chisquare(observed[some], expected[some]).pvalue


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_simulated_process_follows_the_transition_law(case):
    count, start, end, fitness, immediacy, longevity, m = case
    replicates = 20_000
    increments = simulate(np.random.default_rng(6), replicates, *case)
    before, after = attention_share([start, end], immediacy, longevity)
    law = stats.nbinom(count + m, np.exp(-fitness * (after - before)))
    mean = law.mean()

    error = increments.std() / np.sqrt(replicates)
    assert abs(increments.mean() - mean) < 4 * error
    squares = (increments - increments.mean()) ** 2
    assert abs(squares.mean() - law.var()) < 4 * squares.std() / np.sqrt(replicates)
    assert goodness_of_fit(increments, law) > 1e-3
    # The test would notice another law with the same mean, or another mean of the same law.
    assert goodness_of_fit(increments, stats.poisson(mean)) < 1e-6
    larger = (count + m) / (count + m + 1.1 * mean)
    assert goodness_of_fit(increments, stats.nbinom(count + m, larger)) < 1e-6


def test_the_curve_is_the_mean_of_the_process():
    count, start, end, *curve = CASES["from birth"]
    increments = simulate(np.random.default_rng(7), 20_000, count, start, end, *curve)
    error = increments.std() / np.sqrt(len(increments))
    assert abs(increments.mean() - cumulative(end, *curve)) < 4 * error


# Back from a count


@given(
    age=st.floats(0.1, 200.0),
    fitness=st.floats(0.01, 20.0),
    m=st.floats(0.01, 100.0),
    exponent=st.one_of(st.floats(0.01, 1.0), st.just(1.0)),
)
def test_growth_reached_is_the_inverse_of_the_curve(age, fitness, m, exponent):
    count = cumulative(age, fitness, 2.0, 1.5, m, exponent)
    growth = fitness * attention_share(age, 2.0, 1.5)
    assert growth_reached(count, m, exponent) == pytest.approx(growth, rel=1e-9)
