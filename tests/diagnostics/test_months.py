"""The law of a month: held against the compiled densities, and tails against sums."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.diagnostics.months import month_laws, upper_tails
from bayes_hfgrowth.growth.law import FACTOR, PROBABILITY, SIZE
from bayes_hfgrowth.posterior.simulation import SharedDraws, base_model_parameters, log_likelihood


@pytest.mark.parametrize("model", ["bursts", "citation", "reinforced", "surge"])
def test_the_laws_are_those_of_the_compiled_densities(make_fit, model):
    fit = make_fit(model, base_models=9, draws=5, width=0.3)
    theta, shared = (
        base_model_parameters(fit.spec, fit.posterior),
        SharedDraws.of(fit.spec, fit.posterior),
    )
    no_dormancy = None if fit.spec.dormancy is None else np.zeros((len(theta), 3))
    density = log_likelihood(fit.spec, fit.history, theta, shared, no_dormancy)
    mean, size = month_laws(fit.spec, fit.history, theta, shared)
    new = fit.history.new
    if model == "citation":
        assert np.isinf(size).all()
        expected = stats.poisson.logpmf(new, mean)
    else:
        expected = stats.nbinom.logpmf(new, size, size / (size + mean))
    if model == "bursts":  # where any month may be a burst
        share, factor, scatter = shared.values[:, [PROBABILITY, FACTOR, SIZE], None].swapaxes(0, 1)
        assert (share > 0).all()
        burst = stats.nbinom.logpmf(new, scatter, scatter / (scatter + factor * mean))
        expected = np.logaddexp(np.log1p(-share) + expected, np.log(share) + burst)
    np.testing.assert_allclose(density, expected, rtol=2e-4, atol=2e-4)


def test_a_month_is_judged_by_the_law_of_a_regular_one(make_fit):
    """Bursts change what a month is expected to bring only by the months before it."""
    fit = make_fit("bursts", base_models=9, draws=5)
    theta = base_model_parameters(fit.spec, fit.posterior)
    shared = SharedDraws.of(fit.spec, fit.posterior)
    never = dataclasses.replace(shared, values=shared.values.copy())
    never.values[:, PROBABILITY] = 0.0
    with_bursts, without = (month_laws(fit.spec, fit.history, theta, s) for s in (shared, never))
    first = fit.history.month == 1
    for one, other in zip(with_bursts, without, strict=True):
        np.testing.assert_array_equal(one[:, first], other[:, first])
        assert not np.allclose(one[:, ~first], other[:, ~first], rtol=1e-3)


def test_tails_are_sums_of_the_probabilities():
    mean = np.array([[0.3, 4.0, 25.0, 4.0, 7.0]])
    size = np.array([[0.2, 1.5, 6.0, np.inf, np.inf]])
    new = np.array([2, 11, 0, 9, 0])
    tails = upper_tails(new, mean, size)[0]
    counts = np.arange(5000)
    for at, count in enumerate(new):
        if np.isinf(size[0, at]):
            pmf = stats.poisson.pmf(counts, mean[0, at])
        else:
            share = size[0, at] / (size[0, at] + mean[0, at])
            pmf = stats.nbinom.pmf(counts, size[0, at], share)
        assert tails[at] == pytest.approx(pmf[count:].sum(), rel=1e-9)


def test_tails_reach_far_below_what_simulation_could():
    tail = upper_tails([2500], np.array([[25.0]]), np.array([[2.5]]))[0, 0]
    assert 0 < tail < 1e-80
