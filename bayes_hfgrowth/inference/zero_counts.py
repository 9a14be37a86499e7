"""Zero counts: base models without fine-tunes, which may be structural zeros.

With d the share of structural zeros in its organization, and p the probability that all its
months are empty if it is not, such a base model has the likelihood

    d + (1 - d) p(θ),    θ = mean + scale · y,    y standard normal.

What y is if the base model is a structural zero the months do not say, and the sampler moves it as
its organization has it. So whether a base model is one is summed over and nowhere drawn.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.adjoint import Gradients
from bayes_hfgrowth.growth.law import Floats, Integers
from bayes_hfgrowth.inference.whitening import PopulationPoint

__all__ = ["zero_counts_back", "zero_counts_parameters"]


@njit(error_model="numpy")
def _log_sum(a: float, b: float) -> float:
    """ln(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@njit(error_model="numpy")
def zero_counts_parameters(
    y: Floats, group: Integers, population: PopulationPoint, theta: Floats
) -> None:
    """Growth parameters of base models without fine-tunes.

    Parameters
    ----------
    y : ndarray, shape (base models, parameters)
        Growth parameters in units of the scales, from the organization means.
    group : ndarray of int64, shape (base models,)
        Organization of each base model.
    population : PopulationPoint
        The population.
    theta : ndarray, shape (base models, parameters)
        Filled.
    """
    for k in range(y.shape[1]):
        scale = math.exp(population.log_scales[k])
        for i in range(len(y)):
            theta[i, k] = population.means[group[i], k] + scale * y[i, k]


@njit(error_model="numpy")
def zero_counts_back(
    y: Floats,
    group: Integers,
    population: PopulationPoint,
    months: Gradients,
    by: PopulationPoint,
    by_y: Floats,
) -> float:
    """Log density of base models without fine-tunes, and its derivatives.

    Parameters
    ----------
    y, group, population
        As in `zero_counts_parameters`.
    months : Gradients
        Log probability that all months are empty if there is no structural zero, with its
        derivatives.
    by : PopulationPoint
        Gets the derivatives by the population added.
    by_y : ndarray, shape (base models, parameters)
        Filled with those by `y`.

    Returns
    -------
    float
        Log density, up to a constant.
    """
    scales = np.empty(y.shape[1])
    for k in range(len(scales)):
        scales[k] = math.exp(population.log_scales[k])
    total = 0.0
    for i in range(len(y)):
        o = group[i]
        logit = population.logits[o]
        at_risk = -_log_sum(0.0, logit)  # ln(1 - d)
        both = _log_sum(at_risk + logit, at_risk + months.value[i])
        # How likely it is no structural zero; where nothing is possible, not a number.
        share = math.exp(at_risk + months.value[i] - both)
        total += both
        by.logits[o] += 1.0 - share - math.exp(at_risk + logit)
        for k in range(len(scales)):
            slope = share * months.theta[i, k]
            by.means[o, k] += slope
            by.log_scales[k] += slope * scales[k] * y[i, k]
            by_y[i, k] = slope * scales[k] - y[i, k]
            total -= 0.5 * y[i, k] * y[i, k]
        for k in range(len(by.shared)):
            by.shared[k] += share * months.values[i, k]
        for k in range(len(by.period)):
            by.period[k] += share * months.period[i, k]
    return total
