"""Weights of pairs: against the same sums by NumPy, and against what other modules find."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_t

from bayes_hfgrowth.growth.transition import LIKELIHOODS, month_constants
from bayes_hfgrowth.inference.summaries import Population, laplace, months_of
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.conditional import POINTS, Conditional, condition
from bayes_hfgrowth.posterior.importance import log_normal_densities
from bayes_hfgrowth.posterior.pairs import BLOCK, DEGREES, draw_points, mode_of, weigh
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import log_likelihood

NEW = np.array([3.0, 9.0, 14.0, 20.0, 22.0])


@pytest.fixture(scope="module", params=["citation", "reinforced", "surge"])
def conditional(request, make_fit):
    return Conditional(PopulationPosterior.from_fit(make_fit(request.param, draws=50)), 1)


def one_base_model(new):
    return dataclasses.replace(
        History.newborn(1),
        start=np.array([0, len(new)]),
        month=np.arange(1.0, len(new) + 1.0),
        previous=np.cumsum(new) - new,
        new=new,
    )


@pytest.mark.parametrize("new", [NEW, np.zeros(4), np.empty(0)], ids=["busy", "silent", "newborn"])
def test_weights_are_likelihood_over_proposal_times_population(conditional, new):
    found = conditional.weights(1, new)
    points, size = found.points.T, len(found.points)
    draws = len(found.means)
    months = log_likelihood(
        dataclasses.replace(conditional.spec, dormancy=None),
        one_base_model(new), points[:, None], np.tile(conditional.carry.mean(axis=0), (POINTS, 1)),
    ).sum(axis=1, dtype=np.float64)  # fmt: skip
    proposal = months - found.log_weights
    # What is left of the log weights is the density of a mixture: 70% around the mode.
    within = np.diag(conditional.within**2)
    wide = multivariate_t(found.means.mean(axis=0), np.cov(found.means.T) + within, DEGREES)
    floor = wide.logpdf(points) + np.log(0.299)
    possible = months > -1e4  # they are in float32
    assert possible.mean() > 0.6
    assert (proposal > floor - 1e-6 * np.abs(months) - 1e-3)[possible].all()
    terms = log_normal_densities(points, found.means, conditional.spreads) + found.log_weights
    expected = np.logaddexp.reduce(terms, axis=1)
    sums = found.tops + np.log(found.blocks.sum(axis=1))
    sums -= np.log(conditional.spreads).sum(axis=1) + 0.5 * size * np.log(2 * np.pi)
    np.testing.assert_allclose(sums, expected, rtol=1e-9, atol=1e-9)
    assert found.blocks.shape == (draws, POINTS // BLOCK)


def test_the_proposal_integrates_to_one(conditional):
    """The population's density over the proposal has mean 1, so that no constant is missing."""
    found = conditional.weights(1, np.empty(0))
    terms = log_normal_densities(found.points.T, found.means, conditional.spreads)
    ratios = np.exp(terms + found.log_weights)  # newborn: the likelihood is 1
    np.testing.assert_allclose(ratios.mean(axis=1).mean(), 1.0, atol=0.1)


def test_points_are_drawn_by_their_weights(conditional):
    found = conditional.weights(1, NEW)
    number = 40_000
    theta = np.empty((number, len(found.points)))
    draw_points(
        np.full(number, 7), np.random.default_rng(0).random(number), found.means,
        conditional.spreads, found.points, found.log_weights, found.tops, found.blocks, theta,
    )  # fmt: skip
    terms = log_normal_densities(found.points.T, found.means[[7]], conditional.spreads[[7]])[0]
    weights = np.exp(terms + found.log_weights - (terms + found.log_weights).max())
    weights /= weights.sum()
    mean = weights @ found.points.T
    spread = np.sqrt(weights @ (found.points.T - mean) ** 2)
    np.testing.assert_allclose(theta.mean(axis=0), mean, atol=5 * spread.max() / number**0.5)
    np.testing.assert_allclose(theta.std(axis=0), spread, rtol=0.03)


def test_the_mode_is_that_of_the_summaries(conditional):
    spec, history = conditional.spec, one_base_model(NEW)
    law = LIKELIHOODS[spec.likelihood]
    mean, spreads = conditional.means[1].mean(axis=0), conditional.within
    carry = conditional.carry.mean(axis=0)
    copies = 2 * len(mean)
    months = np.tile(
        [history.log_age, history.previous, history.new,
         month_constants(law, history.previous, history.new, spec.m)], (1, copies),
    )  # fmt: skip
    begin = np.arange(copies + 1) * len(NEW)
    work = np.empty((19, months.shape[1]))
    mode, covariance = mode_of(
        law, begin, np.ascontiguousarray(months), spec.m, carry, mean, spreads, work
    )
    centre = Population(mean[None], spreads, carry, np.zeros(1))
    expected, _, spread = laplace(months_of(spec, history), centre, mean[None], 50)
    np.testing.assert_allclose(mode, expected[0], atol=1e-3)
    np.testing.assert_allclose(covariance, spread[0], rtol=1e-2, atol=1e-5)


def test_all_of_it_is_compiled_once_and_lets_threads_run():
    assert weigh.targetoptions["nogil"]
    assert draw_points.targetoptions["nogil"]


def test_draws_of_a_base_model_hang_on_nothing_else(conditional):
    """Whichever others are drawn, in whichever order."""
    rng = np.random.default_rng(1)
    series = [rng.poisson(2.0, n).astype(float) for n in (3, 9, 0, 4)] + [np.zeros(5)] * 3
    start = np.append(0, np.cumsum([len(new) for new in series]))
    history = dataclasses.replace(
        History.newborn(len(series)),
        base_models=tuple("abcdefg"),
        organizations=("Meta", "Nobody"),
        organization_of=np.array([0, 1, 0, 1, 1, 0, 1]),
        start=start,
        month=np.concatenate([np.arange(1.0, len(new) + 1) for new in series]),
        previous=np.concatenate([np.cumsum(new) - new for new in series]),
        new=np.concatenate(series),
    )
    together = condition(conditional, history, 50)
    for chosen in ([5], [3, 1], [6, 4, 2]):
        again = condition(conditional, history.subset(np.array(chosen)), 50)
        for name in ("theta", "draw", "dormant"):
            np.testing.assert_array_equal(getattr(again, name), getattr(together, name)[:, chosen])
        np.testing.assert_array_equal(again.pareto_k, together.pareto_k[chosen])
    # Equal months share their weights, not their draws.
    assert (together.theta[:, 4] != together.theta[:, 6]).any()
