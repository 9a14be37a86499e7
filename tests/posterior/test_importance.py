"""Importance sampling: weights and their tails, the proposal, the population on its scale."""

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.posterior.importance import Population, Student, smoothed_weights


def test_weights_are_smoothed_and_their_tail_is_told():
    rng = np.random.default_rng(2)
    even, heavy = rng.normal(0, 0.1, 1000), stats_pareto(rng)
    one = np.where(np.arange(1000) == 7, 0.0, -1e6)
    weights, k = smoothed_weights(np.stack([even, heavy, one], axis=1))
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    assert k[0] == 0
    assert k[1] == pytest.approx(0.6, abs=0.25)
    assert k[2] == np.inf
    assert weights[7, 2] == 1.0


def stats_pareto(rng):
    """Logarithms of weights whose tail has the shape 0.6."""
    return np.log(rng.pareto(1 / 0.6, 1000) + 1.0)


def test_the_proposal_draws_what_its_density_says():
    centre, scale = np.array([1.0, -2.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
    proposal = Student(centre, scale)
    exact = stats.multivariate_t(centre, scale, df=5)
    points = proposal.draw(40_000, np.random.default_rng(0))
    np.testing.assert_allclose(proposal.log_density(points), exact.logpdf(points))
    np.testing.assert_allclose(points.mean(axis=0), centre, atol=0.05)
    np.testing.assert_allclose(np.cov(points.T), scale * 5 / 3, rtol=0.12)


def test_the_population_stands_on_the_scale_that_is_normal(made_fit):
    population = Population.from_posterior(made_fit.spec, made_fit.posterior)
    posterior = made_fit.posterior
    assert population.means.shape == (1600, 3, 4)
    fitness = posterior["organization_fitness"].to_numpy().reshape(1600, 3)
    np.testing.assert_allclose(population.means[:, :, 0], np.log(fitness))
    immediacy = posterior["organization_immediacy"].to_numpy().reshape(1600, 3)
    np.testing.assert_allclose(population.means[:, :, 1], immediacy)
    scale = posterior["between_base_models_dispersion"].to_numpy().ravel()
    np.testing.assert_allclose(population.scales[:, 3], scale)
