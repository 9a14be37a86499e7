import mpmath
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from bayes_hfgrowth.growth import curve as growth
from bayes_hfgrowth.growth.attention import attention_increment, attention_peak
from bayes_hfgrowth.growth.curve import (
    cumulative,
    curve_increment,
    half_life,
    log_reinforced_increment,
    log_ultimate_impact,
    peak_age,
    rate,
    reinforced_increment,
    ultimate_impact,
)

mpmath.mp.dps = 450  # 1 - Φ(40) is 4e-350

LARGEST = np.finfo(float).max
FITNESSES = [1e-300, 1e-12, 1e-3, 0.5, 1.6487, 5, 40, 300, 690, 700, 708, 715, 1e4]


def exact_share(age, immediacy, longevity):
    """F(t) with 450 digits."""
    if age == 0:
        return mpmath.mpf(0)
    z = (mpmath.log(mpmath.mpf(age)) - mpmath.mpf(immediacy)) / mpmath.mpf(longevity)
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def exact_curve(age, fitness, immediacy, longevity, m):
    """c(t) with 450 digits."""
    share = exact_share(age, immediacy, longevity)
    return mpmath.mpf(m) * mpmath.expm1(mpmath.mpf(fitness) * share)


def assert_is(value, exact, rel):
    """Compare with an exact value: infinity only where that is beyond float64."""
    if exact > LARGEST:
        assert value == np.inf
    else:
        assert np.isfinite(value)
        assert value == pytest.approx(float(exact), rel=rel, abs=1e-307)


# Against 450 digits


@pytest.mark.parametrize("fitness", FITNESSES)
@pytest.mark.parametrize("m", [1e-6, 1, 30])
def test_ultimate_impact(fitness, m):
    exact = mpmath.mpf(m) * mpmath.expm1(mpmath.mpf(fitness))
    with np.errstate(over="ignore"):
        assert_is(ultimate_impact(fitness, m), exact, rel=1e-14)
    assert log_ultimate_impact(fitness, m) == pytest.approx(float(mpmath.log(exact)), rel=1e-14)


@pytest.mark.parametrize("fitness", FITNESSES)
@pytest.mark.parametrize("age", [0, 0.02, 3, 12, 60, 1e9])
def test_curve_and_rate(fitness, age):
    parameters = fitness, 2.5, 0.4, 30
    exact = exact_curve(age, *parameters)
    with np.errstate(over="ignore"):
        assert_is(cumulative(age, *parameters), exact, rel=1e-10)
        if age:
            z = (mpmath.log(age) - mpmath.mpf(2.5)) / mpmath.mpf(0.4)
            slope = (
                (exact + 30)
                * mpmath.mpf(fitness)
                * mpmath.npdf(z)
                / (mpmath.mpf(0.4) * mpmath.mpf(age))
            )
            assert_is(rate(age, *parameters), slope, rel=1e-10)
        else:
            assert rate(age, *parameters) == 0


@pytest.mark.parametrize("fitness", FITNESSES)
@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, 1e9), (3, 4), (12, 12.001), (30, 31), (60, 61), (1e6, 1e7)]
)
def test_increments(fitness, start, end):
    immediacy, longevity, m, count = 2.5, 0.4, 30, 1234
    shares = [exact_share(age, immediacy, longevity) for age in (start, end)]
    exponent = mpmath.mpf(fitness) * (shares[1] - shares[0])
    mean = (count + m) * mpmath.expm1(exponent)
    difference = m * mpmath.exp(mpmath.mpf(fitness) * shares[0]) * mpmath.expm1(exponent)
    arguments = start, end, fitness, immediacy, longevity, m
    with np.errstate(over="ignore"):
        assert_is(curve_increment(*arguments), difference, rel=1e-9)
        assert_is(reinforced_increment(count, *arguments), mean, rel=1e-9)
    assert log_reinforced_increment(count, *arguments) == pytest.approx(
        float(mpmath.log(mean)), rel=1e-12, abs=1e-11
    )


@pytest.mark.parametrize("z", [-40, -38, 38, 40])
def test_logarithm_of_the_increment_where_the_increment_is_rounded_away(z):
    start, end = np.exp(0.1 * z), np.exp(0.1 * (z + 0.5))
    scores = [mpmath.log(mpmath.mpf(age)) / mpmath.mpf(0.1) for age in (start, end)]
    sign = -1 if z > 0 else 1
    tails = [mpmath.erfc(-sign * score / mpmath.sqrt(2)) / 2 for score in scores]
    exact = mpmath.log(40 * mpmath.expm1(2 * sign * (tails[1] - tails[0])))
    assert log_reinforced_increment(10, start, end, 2, 0, 0.1, 30) == pytest.approx(
        float(exact), abs=1e-11
    )


@pytest.mark.parametrize("fitness", FITNESSES)
def test_half_life(fitness):
    age = half_life(fitness, 2.5, 0.8)
    z = (mpmath.log(mpmath.mpf(float(age))) - mpmath.mpf(2.5)) / mpmath.mpf(0.8)
    share = mpmath.erfc(-z / mpmath.sqrt(2)) / 2
    half = mpmath.expm1(mpmath.mpf(fitness) * share) / mpmath.expm1(mpmath.mpf(fitness))
    assert float(half) == pytest.approx(0.5, rel=1e-13 * max(1, fitness))


# Closed forms


def test_half_life_without_growth_is_that_of_attention():
    assert half_life(1e-15, 2.5, 0.8) == pytest.approx(np.exp(2.5), rel=1e-14)


def test_rate_peaks_with_attention_where_growth_is_weak():
    assert peak_age(1e-12, 2.5, 0.8) == pytest.approx(attention_peak(2.5, 0.8), rel=1e-11)


@pytest.mark.parametrize("z", [-4.0, -1.0, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("fitness", [0.1, 2.0, 4.0])
def test_peak_of_the_rate_where_it_is_known(fitness, z):
    """The slope of the log rate vanishes at z where longevity is λ φ(z) - z."""
    longevity = fitness * stats.norm.pdf(z) - z
    if longevity > 0:
        assert peak_age(fitness, 2.0, longevity) == pytest.approx(
            np.exp(2.0 + longevity * z), rel=1e-9
        )


def test_rate_is_the_derivative_of_the_curve():
    rng = np.random.default_rng(3)
    ages = rng.uniform(0.5, 40, 200)
    parameters = np.exp(rng.normal(0.5, 0.6, 200)), rng.normal(2.5, 0.5, 200), 1.2, 30
    step = 1e-4
    slope = (cumulative(ages + step, *parameters) - cumulative(ages - step, *parameters)) / 2 / step
    np.testing.assert_allclose(rate(ages, *parameters), slope, rtol=1e-6)


def test_reinforced_increment_from_birth_is_the_curve():
    ages = np.linspace(0, 40, 11)
    np.testing.assert_allclose(
        reinforced_increment(0, 0, ages, 1.6, 2.5, 1.2, 30),
        cumulative(ages, 1.6, 2.5, 1.2, 30),
        rtol=1e-13,
    )


def log_rate(z, fitness, longevity):
    """Log rate at a z-score, up to a constant; written out for the search below."""
    return fitness * special.ndtr(z) - 0.5 * z**2 - longevity * z


def test_rate_is_nowhere_larger_than_at_its_peak():
    rng = np.random.default_rng(4)
    fitnesses = np.exp(rng.uniform(np.log(1e-12), np.log(1e4), 500))
    longevities = np.exp(rng.normal(0.4, 0.7, 500))
    ages = peak_age(fitnesses, 2.5, longevities)
    for fitness, longevity, age in zip(fitnesses, longevities, ages, strict=True):
        grid = np.linspace(-longevity - 1, np.sqrt(2 * np.log1p(fitness)) + 1, 20_001)
        highest = log_rate(grid, fitness, longevity).max()
        found = log_rate((np.log(age) - 2.5) / longevity, fitness, longevity)
        assert found >= highest - 1e-9 * (1 + abs(highest))


def test_of_two_peaks_the_higher_one_counts():
    """With longevity 5 the rate has an early and a late peak; growth decides between them."""
    ages = np.exp(np.linspace(-30, 30, 600_001))
    for fitness, number, latest_wins in [(10.0, 1, True), (20.0, 2, False), (40.0, 2, True)]:
        speeds = rate(ages, fitness, 2.0, 5.0, 30.0)
        peaks = ages[1:-1][(speeds[1:-1] > speeds[:-2]) & (speeds[1:-1] > speeds[2:])]
        highest = ages[speeds.argmax()]
        assert len(peaks) == number
        assert (highest == peaks[-1]) == latest_wins
        assert peak_age(fitness, 2.0, 5.0) == pytest.approx(highest, rel=1e-3)


def test_peak_age_of_many_at_once():
    fitness = np.array([[0.5], [30.0], [np.nan]])
    together = peak_age(fitness, [1.0, 3.0], [0.5, 4.0])
    assert together.shape == (3, 2)
    for row, column in np.ndindex(2, 2):
        alone = peak_age(fitness[row, 0], [1.0, 3.0][column], [0.5, 4.0][column])
        assert together[row, column] == pytest.approx(alone, rel=1e-14)
    assert np.all(np.isnan(together[2]))


@pytest.mark.parametrize("fitness", [1e-320, 4.132, 4.133, 1e15, 1e300])
@pytest.mark.parametrize("longevity", [1e-8, 0.3, 1.0, 15.0])
def test_peak_age_at_extremes(fitness, longevity):
    age = peak_age(fitness, 2.5, longevity)
    assert np.isfinite(age)
    assert np.log(age) >= 2.5 - longevity**2 - 1e-9


def test_draws_in_float32_do_not_overflow():
    assert ultimate_impact(np.float32(100), 30) == pytest.approx(30 * np.expm1(100), rel=1e-12)


# Properties

fitnesses = st.floats(1e-6, 700)
immediacies = st.floats(-5, 10)
longevities = st.floats(0.05, 20)
attentions = st.floats(1e-3, 1e3)
curves = st.tuples(fitnesses, immediacies, longevities, attentions)
moments = st.floats(0, 1e4)


@given(moments, moments, curves)
def test_curve_rises_and_stays_below_its_ultimate_impact(one, other, curve):
    start, end = sorted((one, other))
    early, late = cumulative([start, end], *curve)
    ultimate = ultimate_impact(curve[0], curve[3])
    assert 0 <= early <= late * (1 + 1e-15)
    assert late <= ultimate * (1 + 1e-12)
    assert rate(start, *curve) >= 0


@given(st.lists(moments, min_size=2, max_size=6).map(sorted), curves)
def test_increments_add_up_to_the_curve(ages, curve):
    parts = curve_increment(ages[:-1], ages[1:], *curve)
    assert np.all(parts >= 0)
    before, after = cumulative([ages[0], ages[-1]], *curve)
    assert before + parts.sum() == pytest.approx(after, rel=1e-10, abs=1e-300)


@given(moments, moments, st.integers(0, 10**6), curves)
def test_logarithm_of_the_reinforced_increment(one, other, count, curve):
    start, end = sorted((one, other))
    mean = reinforced_increment(count, start, end, *curve)
    logarithm = log_reinforced_increment(count, start, end, *curve)
    if np.isinf(mean):  # only where no float is as large as the mean
        assert logarithm > np.log(np.finfo(float).max) - 1e-9
    elif mean > 1e-300:
        assert logarithm == pytest.approx(np.log(mean), rel=1e-12, abs=1e-12)


@given(st.floats(1e-6, 300), st.floats(-3, 6), st.floats(0.05, 3), attentions)
def test_half_of_the_impact_has_come_by_the_half_life(fitness, immediacy, longevity, m):
    age = half_life(fitness, immediacy, longevity)
    reached = cumulative(age, fitness, immediacy, longevity, m)
    assert reached == pytest.approx(ultimate_impact(fitness, m) / 2, rel=1e-9)


@given(fitnesses, st.floats(-3, 6), st.floats(0.05, 5), st.floats(0.1, 10))
def test_ages_scale_with_the_exponential_of_immediacy(fitness, immediacy, longevity, factor):
    for age in (half_life, peak_age):
        stretched = age(fitness, immediacy + np.log(factor), longevity)
        assert stretched == pytest.approx(factor * age(fitness, immediacy, longevity), rel=1e-9)


# PyTensor

ARGUMENTS = ("count", "start", "end", "fitness", "immediacy", "longevity", "m")
FORMS = {
    "cumulative": ("end", "fitness", "immediacy", "longevity", "m"),
    "rate": ("end", "fitness", "immediacy", "longevity", "m"),
    "curve_increment": ("start", "end", "fitness", "immediacy", "longevity", "m"),
    "reinforced_increment": ARGUMENTS,
    "log_reinforced_increment": ARGUMENTS,
    "ultimate_impact": ("fitness", "m"),
    "log_ultimate_impact": ("fitness", "m"),
    "half_life": ("fitness", "immediacy", "longevity"),
}


def test_every_formula_but_the_peak_of_the_rate_has_both_forms():
    plain = {name for name in growth.__all__ if not name.endswith("_pt")}
    assert plain - {"peak_age"} == set(FORMS)
    assert {f"{name}_pt" for name in FORMS} == set(growth.__all__) - plain


@pytest.fixture(scope="module")
def tensors():
    """All PyTensor forms with their gradients, compiled at once as samplers compile."""
    inputs = {name: pt.dvector(name) for name in ARGUMENTS}
    forms = {
        name: getattr(growth, f"{name}_pt")(*(inputs[argument] for argument in arguments))
        for name, arguments in FORMS.items()
    }
    gradients = {
        f"{name} by {argument}": pytensor.grad(forms[name].sum(), inputs[argument])
        for name, arguments in FORMS.items()
        for argument in arguments
    }
    outputs = forms | gradients
    function = pytensor.function(list(inputs.values()), list(outputs.values()))

    def evaluate(point):
        values = np.broadcast_arrays(*(np.atleast_1d(float_array(point[a])) for a in ARGUMENTS))
        results = function(*map(np.ascontiguousarray, values))
        return dict(zip(outputs, results, strict=True))

    return evaluate


def float_array(value):
    return np.asarray(value, dtype=float)


def numpy_forms(point):
    return {
        name: getattr(growth, name)(*(point[argument] for argument in arguments))
        for name, arguments in FORMS.items()
    }


@pytest.fixture
def usual():
    """Base models as the shipped priors have them, each in some month of its life."""
    rng = np.random.default_rng(5)
    start = rng.uniform(0.5, 36, 200)
    return {
        "count": rng.integers(0, 500, 200).astype(float),
        "start": start,
        "end": start + 1,
        "fitness": np.exp(rng.normal(0.5, 0.6, 200)),
        "immediacy": rng.normal(2.5, 0.6, 200),
        "longevity": np.exp(rng.normal(0.4, 0.4, 200)),
        "m": rng.uniform(1, 50, 200),
    }


def test_pytensor_agrees_with_numpy(tensors, usual):
    values = tensors(usual)
    for name, expected in numpy_forms(usual).items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-11, err_msg=name)


def test_gradients_agree_with_finite_differences(tensors, usual):
    values = tensors(usual)
    for argument in ARGUMENTS:
        step = 1e-5
        above = numpy_forms(usual | {argument: usual[argument] + step})
        below = numpy_forms(usual | {argument: usual[argument] - step})
        for name, arguments in FORMS.items():
            if argument in arguments:
                slope = (above[name] - below[name]) / (2 * step)
                np.testing.assert_allclose(
                    values[f"{name} by {argument}"],
                    slope,
                    rtol=1e-4,
                    atol=1e-6 * np.abs(slope).max(),
                    err_msg=f"{name} by {argument}",
                )


EXTREMES = {
    "birth": {"start": 0.0},
    "hardly any fitness": {"fitness": [1e-12, 1e-100]},
    "enormous fitness": {"fitness": [500.0, 700.0]},
    "left tail": {"start": 0.9 * np.exp(-4), "end": np.exp(-4), "immediacy": 0, "longevity": 0.1},
    "right tail": {"start": np.exp(4), "end": np.exp(4.1), "immediacy": 0, "longevity": 0.1},
    "short-lived": {"longevity": [1e-2, 1e-3]},
    "long-lived": {"longevity": [30.0, 300.0]},
    "huge count": {"count": 1e12},
}


@pytest.mark.parametrize("change", EXTREMES.values(), ids=EXTREMES)
def test_values_agree_and_gradients_are_finite_at_extremes(tensors, change):
    point = {
        "count": 100.0,
        "start": 12.0,
        "end": 13.0,
        "fitness": 1.6,
        "immediacy": 2.5,
        "longevity": 1.5,
        "m": 30.0,
    } | change
    values = tensors(point)
    for name, expected in numpy_forms(point).items():
        np.testing.assert_allclose(
            values[name],
            np.broadcast_to(expected, values[name].shape),
            rtol=1e-9,
            atol=3e-308,
            err_msg=name,
        )
    for name, value in values.items():
        assert np.all(np.isfinite(value)), name


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
    mean = reinforced_increment(*case)
    share = attention_increment(start, end, immediacy, longevity)
    law = stats.nbinom(count + m, np.exp(-fitness * share))
    assert law.mean() == pytest.approx(mean, rel=1e-12)

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
