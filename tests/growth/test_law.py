"""The law month by month: densities, regular laws and replicates against a second form of it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth.growth.law import rising
from bayes_hfgrowth.growth.monthwise import pointwise, regular_laws, replicate
from tests.growth.cases import CORNERS, NEW, THETA, cases, surge
from tests.growth.reference import NO_BURSTS, Case, Counts, months_of

EXACT = 1e-10


def densities(case: Case, dormancy: float = 0.0) -> np.ndarray:
    """Log density of each month."""
    found = np.empty((1, len(case.new)))
    pointwise(case.observed(), case.draws(1, dormancy), found)
    return found[0]


def agree(case: Case) -> None:
    """Densities, means and sizes are those of the second form."""
    known = months_of(case)
    expected = [float(month.log_density) for month in known]
    np.testing.assert_allclose(densities(case), expected, rtol=EXACT, atol=EXACT)
    mean, size = (np.empty((1, len(case.new))) for _ in range(2))
    regular_laws(case.observed(), case.draws(1), mean, size)
    np.testing.assert_allclose(mean[0], [float(month.mean) for month in known], rtol=EXACT)
    np.testing.assert_allclose(size[0], [float(month.size) for month in known], rtol=EXACT)


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name):
    agree(CORNERS[name])


@pytest.mark.parametrize("law", THETA)
@settings(max_examples=60)
@given(data=st.data())
def test_any_months_and_parameters(law, data):
    agree(data.draw(cases(law)))


def test_the_second_form_is_the_law_that_scipy_knows():
    """Month by month in doubles, the formulas as they are published."""
    case = CORNERS["all parts"]
    exponent, strength, memory, probability, factor, burst_size = case.shared
    fitness, longevity, dispersion = (math.exp(case.theta[k]) for k in (0, 2, 3))
    count = s = 0.0
    for k, (x, month) in enumerate(zip(case.new, months_of(case), strict=True), start=1):
        share = np.diff(
            stats.norm.cdf((np.log([max(k - 1, 1e-300), k]) - case.theta[1]) / longevity)
        )
        less = 1.0 - exponent
        grown = ((count + case.m) ** less + less * fitness * share[0]) ** (1.0 / less)
        effect = case.share * case.effects[k - 1] + (1.0 - case.share) * case.effects[k]
        f = (grown - count - case.m) * math.exp(effect)
        mean = f * math.exp(strength * s)
        size = math.sqrt(mean) / dispersion
        laws = [
            stats.nbinom(size, size / (size + mean)),
            stats.nbinom(burst_size, burst_size / (burst_size + factor * mean)),
        ]
        regular, burst = (1.0 - probability) * laws[0].pmf(x), probability * laws[1].pmf(x)
        assert laws[0].var() == pytest.approx(mean + dispersion * mean**1.5)
        assert float(month.log_density) == pytest.approx(math.log(regular + burst), rel=1e-9)
        given = burst / (regular + burst)
        assert float(month.burst_given) == pytest.approx(given, rel=1e-7)
        r = x - given * max(x - mean, 0.0)
        count += r
        s = memory * s + (1.0 - memory) * math.log((r + 0.5) / (f + 0.5))


def test_a_burst_hardly_changes_what_is_expected_afterwards():
    new = (0.0, 2.0, 5.0, 4.0, 4000.0, 6.0)
    usual = (0.0, 2.0, 5.0, 4.0, 5.0, 6.0)
    after = {}
    for bursts in ((0.01, 100.0, 0.7), NO_BURSTS):
        months = [months_of(surge(new=of, bursts=bursts))[-1] for of in (new, usual)]
        after[bursts[0]] = float(months[0].mean / months[1].mean)
    assert after[0.01] == pytest.approx(1.0, abs=0.35)
    assert after[0.0] > 30.0


def test_a_month_without_finetunes_is_no_burst_to_what_follows():
    """Its regular part is nothing, however likely an empty burst is."""
    new, bursts = (0.0, 0.0, 0.0, 1.0), (0.3, 1.0, 0.1)
    month = months_of(surge(new=new, bursts=bursts))[-1]
    never = months_of(surge(new=new, bursts=NO_BURSTS))[-1]
    assert float(month.mean) == pytest.approx(float(never.mean), rel=1e-12)
    agree(surge(new=new, bursts=bursts))


@pytest.mark.parametrize("law", THETA)
@pytest.mark.parametrize("share", [1e-9, 0.4, 0.999])
def test_dormancy_is_learned_month_by_month(law, share):
    empty = dataclasses.replace(surge(), law=law, theta=THETA[law], new=(0.0,) * 6)
    grown = dataclasses.replace(empty, new=(0.0, 0.0, 0.0, 2.0, 0.0, 0.0))
    for case, dormant in ((empty, share), (grown, 0.0)):
        awake = (1.0 - share) * math.exp(densities(case).sum())
        assert densities(case, share).sum() == pytest.approx(math.log(dormant + awake), rel=1e-12)
    # Each month as it is expected given the months before it.
    chances = np.exp(np.cumsum(densities(empty)))
    both = share + (1.0 - share) * chances
    expected = np.log(both) - np.log(np.append(1.0, both[:-1]))
    np.testing.assert_allclose(densities(empty, share), expected, rtol=1e-9, atol=1e-12)


def test_dispersion_next_to_nothing_gives_the_poisson_law():
    case = surge(strength=0.0, bursts=NO_BURSTS)
    means = [float(month.mean) for month in months_of(case)]
    expected = stats.poisson(means).logpmf(NEW)
    for log_dispersion in (-18.0, -30.0, -60.0, -250.0):
        poisson = dataclasses.replace(case, theta=(*case.theta[:3], log_dispersion))
        np.testing.assert_allclose(densities(poisson), expected, rtol=1e-6)


@pytest.mark.parametrize("new", [1.0, 5.0, 12.0, 13.0, 500.0])
def test_gamma_functions_of_small_and_of_large_sizes(new):
    import mpmath

    for size in np.geomspace(1e-12, 1e16, 57):
        with mpmath.workdps(60):
            x = mpmath.mpf(float(size))
            expected = float(mpmath.loggamma(x + new) - mpmath.loggamma(x))
        # Beyond 1e8 by two terms of a series in 1 / size.
        assert rising(size, new) == pytest.approx(expected, rel=1e-9 if new > 12 else 1e-10)


@pytest.mark.parametrize("law", THETA)
def test_replicates_follow_the_law_given_what_was_observed(law):
    case, draws = dataclasses.replace(surge(), law=law, theta=THETA[law]), 20_000
    if law != "surge":
        case = dataclasses.replace(case, shared=Case(law, (), ()).shared, period=())
    found = np.empty((draws, len(case.new)), dtype=np.int64)
    replicate(case.observed(), case.draws(draws), np.random.default_rng(1), found)
    for month in range(len(case.new)):
        assert Counts(case, month).chance(found[:, month]) > 1e-4, month


def test_replicates_of_what_may_be_dormant():
    """As likely dormant before each month as the months before it say."""
    case, draws, share = surge(new=(0.0, 0.0, 0.0, 2.0, 0.0)), 40_000, 0.4
    found = np.empty((draws, len(case.new)), dtype=np.int64)
    replicate(case.observed(), case.draws(draws, share), np.random.default_rng(2), found)
    empty = np.exp(np.cumsum(densities(case)[:3]))
    dormant = share / (share + (1.0 - share) * np.append(1.0, empty))
    for month, asleep in enumerate([*dormant, 0.0]):
        grows = 1.0 - Counts(case, month).cdf(0)
        expected = (1.0 - asleep) * grows
        error = math.sqrt(expected * (1.0 - expected) / draws)
        assert np.mean(found[:, month] > 0) == pytest.approx(expected, abs=5 * error)
