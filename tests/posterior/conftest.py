"""Populations that several tests of the posterior start from."""

import numpy as np
import pytest

from bayes_hfgrowth.posterior.population import PopulationPosterior


@pytest.fixture(scope="module")
def population(made_fit):
    return PopulationPosterior.from_fit(made_fit)


@pytest.fixture(scope="module")
def wide(population):
    """The same, with exponents and period effects that differ from draw to draw."""
    rng = np.random.default_rng(6)
    posterior = population.posterior.copy()
    shape = posterior["period_effect"].shape
    level = 0.25 * rng.standard_normal((*shape[:2], 1)) + 0.16 * rng.standard_normal(shape)
    posterior["period_effect"] = (posterior["period_effect"].dims, level)
    exponent = rng.uniform(0.6, 0.9, shape[:2])
    posterior["reinforcement_exponent"] = (("chain", "draw"), exponent)
    return PopulationPosterior(posterior, population.about)
