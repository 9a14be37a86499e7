"""Zero counts: base models without fine-tunes, which may be structural zeros.

With d the share of structural zeros in its organization, and p the probability that all its
months are empty if it is not, such a base model has the likelihood

    d + (1 - d) p(θ),    θ = mean + scale · y,    y standard normal.

What y is if the base model is a structural zero the months do not say, and the sampler moves it as
its organization has it. So whether a base model is one is summed over and nowhere drawn.
"""

import numpy as np

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.law import Floats, Integers, Observed, Shared
from bayes_hfgrowth.inference.whitening import PopulationPoint

__all__ = ["log_zero_counts"]


def log_zero_counts(
    observed: Observed,
    y: Floats,
    group: Integers,
    population: PopulationPoint,
    theta: Floats,
    by: PopulationPoint,
) -> tuple[float, Floats]:
    """Log density of base models without fine-tunes, and its gradient.

    Parameters
    ----------
    observed : Observed
        Law and months, all empty.
    y : ndarray, shape (base models, parameters)
        Growth parameters in units of the scales, from the organization means.
    group : ndarray of int64, shape (base models,)
        Organization of each base model.
    population : PopulationPoint
        The population.
    theta : ndarray, shape (base models, parameters)
        Filled with the growth parameters at `y`.
    by : PopulationPoint
        Gets the derivatives by the population added.

    Returns
    -------
    total : float
        Log density, up to a constant.
    by_y : ndarray, shape (base models, parameters)
        Its derivatives by `y`.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # where the sampler turns back
        return _summed(observed, y, group, population, theta, by)


def _summed(
    observed: Observed,
    y: Floats,
    group: Integers,
    population: PopulationPoint,
    theta: Floats,
    by: PopulationPoint,
) -> tuple[float, Floats]:
    away = np.exp(population.log_scales) * y
    theta[:] = population.means[group] + away
    value, slope, by_shared, by_period = gradients_of(
        observed, theta, Shared(population.shared, population.period)
    )
    logit = population.logits[group]
    at_risk = -np.logaddexp(0.0, logit)  # ln(1 - d)
    both = np.logaddexp(at_risk + logit, at_risk + value)
    # Where nothing is possible, -inf less -inf is not a number.
    share = np.exp(at_risk + value - both)  # how likely it is no structural zero
    slope *= share[:, None]
    np.add.at(by.logits, group, 1.0 - share - np.exp(at_risk + logit))
    np.add.at(by.means, group, slope)
    by.log_scales[:] += (slope * away).sum(axis=0)
    by.shared[:] += share @ by_shared
    by.period[:] += share @ by_period
    total = both.sum() - 0.5 * (y * y).sum()
    return float(total), slope * np.exp(population.log_scales) - y
