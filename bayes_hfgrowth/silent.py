"""Base models without any fine-tune so far: their parameters summed out of the density.

Two thirds of all base models have no fine-tune. Those of one organization and one age have the
same data, so under a given population they share one likelihood,

    log(share of dormant + (1 - share) · Z),   Z = E[P(no fine-tune until that age | θ)],

where θ is drawn from the organization's population. The expectation is taken at fixed
quasi-random nodes that move with the population, so the density stays smooth in it; all ages
of an organization share one run through the months. What is summed out is drawn afterwards,
given each draw of the population, from fresh nodes weighted by the likelihood.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import ndtri
from scipy.stats import qmc

from bayes_hfgrowth.gradient import BATCH, WORK, gradient
from bayes_hfgrowth.history import History
from bayes_hfgrowth.transition import Floats, pointwise

__all__ = ["SilentGroups", "draw_silent", "log_density_silent", "nodes"]

NODES = 128
"""Nodes of the expectation. With 32, the same for all organizations, the log density of the
shipped data was 36 too large where base models spread widely, enough to draw the posterior
there; with 128 of each organization's own it is off by 1 or 2 nats over all plausible spreads
(``python -m benchmarks.silent_nodes``)."""

CANDIDATES = 64
"""Nodes from which the parameters of silent base models are drawn, for each draw."""


_SOME, _MANY = 20, 80  # silent base models that ask for half and for all of the nodes
_LEAST = -690.0  # exp of it is still a float above 0


@dataclass(frozen=True, eq=False)
class SilentGroups:
    """The base models without fine-tunes, counted by organization and age.

    Parameters
    ----------
    indices : ndarray of int64
        Positions of these base models in the history.
    number : ndarray of float64, shape (organizations, oldest + 1)
        How many there are, by organization and age in months.
    """

    indices: npt.NDArray[np.int64]
    number: Floats

    @property
    def nodes_needed(self) -> npt.NDArray[np.int64]:
        """Nodes of each organization: its error in the density grows with its silent ones."""
        silent = self.number.sum(axis=1)
        return np.where(silent > _MANY, NODES, np.where(silent > _SOME, NODES // 2, NODES // 4))

    @classmethod
    def of(cls, history: History, silent: npt.NDArray[np.bool_]) -> "SilentGroups":
        """Count the base models that are marked.

        Parameters
        ----------
        history : History
            The observed months.
        silent : ndarray of bool, shape (base models,)
            Which base models; none of them may have a fine-tune.
        """
        indices = np.flatnonzero(silent)
        ages = history.months[indices]
        number = np.zeros((len(history.organizations), int(ages.max(initial=0)) + 1))
        np.add.at(number, (history.organization_of[indices], ages), 1.0)
        return cls(indices, number)


def nodes(parameters: int, numbers: npt.ArrayLike) -> Floats:
    """Standard normal quasi-random points, always the same.

    Parameters
    ----------
    parameters : int
        Their dimension.
    numbers : array_like of int, shape (groups,)
        How many points each set has, powers of 2; one set for each organization. The errors
        of the sets are independent, so they do not add up over the organizations as those of
        a single set would.

    Returns
    -------
    ndarray, shape (groups, largest number, parameters)
        Scrambled Sobol points mapped to the normal distribution, in each coordinate of mean 0
        and variance 1; NaN beyond the number of a set.
    """
    counts = np.asarray(numbers, dtype=np.int64)
    points = np.full((len(counts), int(counts.max(initial=1)), parameters), np.nan)
    for o, number in enumerate(counts):
        drawn = ndtri(qmc.Sobol(parameters, rng=o + 1).random(number))
        points[o, :number] = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
    return points


@njit(error_model="numpy")
def log_density_silent(
    law: int,
    means: Floats,
    log_spreads: Floats,
    carry: Floats,
    logit_dormancy: Floats,
    number: Floats,
    points: Floats,
    m: float,
    by_means: Floats,
    by_log_spreads: Floats,
    by_carry: Floats,
    by_logit_dormancy: Floats,
) -> float:
    """Log density of all silent base models; adds its gradient to what the last four hold.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models; -inf where there is none.
    number : ndarray, shape (organizations, oldest + 1)
        From `SilentGroups`.
    points : ndarray, shape (organizations, nodes, parameters)
        From `nodes`.
    m : float
        The constant m of the curve.
    by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Gradients, in the shapes of what they belong to.
    """
    organizations, columns = number.shape
    size = log_spreads.shape[0]
    spreads = np.exp(log_spreads)
    longest = columns - 1
    log_age = np.log(np.arange(1.0, longest + 1.0))
    together = max(1, BATCH // max(longest, 1))  # nodes in one batch
    log_ages = np.empty(together * longest)
    nothing = np.zeros(together * longest)
    trace = np.empty((together * longest, 7))
    work = np.empty((WORK, together * longest))
    begin = np.empty(together + 1, dtype=np.int64)
    theta, values, slopes = np.zeros((together, 4)), np.empty(together), np.empty((together, 6))
    sums = np.zeros((columns, 7 + size))
    total = 0.0
    for o in range(organizations):
        oldest = longest
        while oldest > 0 and number[o, oldest] == 0.0:
            oldest -= 1
        if oldest == 0:
            continue
        sums[:] = 0.0
        used = 0
        while used < points.shape[1] and not math.isnan(points[o, used, 0]):
            used += 1
        for b in range(together + 1):
            begin[b] = b * oldest
        for b in range(together):
            log_ages[b * oldest : (b + 1) * oldest] = log_age[:oldest]
        for first in range(0, used, together):
            some = min(together, used - first)
            for b in range(some):
                for k in range(size):
                    theta[b, k] = means[o, k] + spreads[k] * points[o, first + b, k]
            trace[:, 1:] = 0.0
            trace[:, 0] = -np.inf  # stays so where the growth overflows
            gradient(
                law, begin[: some + 1], log_ages, nothing, nothing, nothing, m, theta, carry[0],
                carry[1], values, slopes, trace, work,
            )  # fmt: skip
            for b in range(some):
                for age in range(1, oldest + 1):
                    if number[o, age] > 0.0:
                        row = trace[b * oldest + age - 1]
                        empty = math.exp(max(row[0], _LEAST))
                        sums[age, 0] += empty
                        for k in range(6):
                            sums[age, 1 + k] += empty * row[1 + k]
                        for k in range(size):
                            slope = empty * row[1 + k]
                            sums[age, 7 + k] += slope * spreads[k] * points[o, first + b, k]
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
        for age in range(1, oldest + 1):
            if number[o, age] > 0.0:
                z = sums[age, 0] / used
                mixed = dormant + (1.0 - dormant) * z
                total += number[o, age] * math.log(mixed)
                weight = number[o, age] * (1.0 - dormant) / mixed
                by_logit_dormancy[o] += weight * dormant * (1.0 - z)
                weight /= used
                for k in range(size):
                    by_means[o, k] += weight * sums[age, 1 + k]
                    by_log_spreads[k] += weight * sums[age, 7 + k]
                by_carry[0] += weight * sums[age, 5]
                by_carry[1] += weight * sums[age, 6]
    return total


def draw_silent(
    law: int,
    m: float,
    history: History,
    groups: SilentGroups,
    means: Floats,
    spreads: Floats,
    carry: Floats,
    dormancy: Floats,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Draw the parameters of silent base models, given each draw of the population.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.
    m : float
        The constant m of the curve.
    history : History
        The observed months.
    groups : SilentGroups
        Which base models.
    means : ndarray, shape (draws, organizations, parameters)
    spreads : ndarray, shape (draws, parameters)
    carry : ndarray, shape (draws, 2)
    dormancy : ndarray, shape (draws, organizations)
        Draws of the population.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, shape (draws, silent base models, parameters)
        In the order of ``groups.indices``. Each is picked from `CANDIDATES` nodes of the
        organization's population, with the likelihood of its empty months as weight.
    """
    draws, size = spreads.shape
    out = np.empty((draws, len(groups.indices), size), dtype=np.float32)
    organization = history.organization_of[groups.indices]
    ages = history.months[groups.indices]
    uniform = qmc.Sobol(size, rng=2).random(CANDIDATES)
    for o in np.unique(organization):
        oldest = int(ages[organization == o].max())
        shifted = (uniform + rng.random((draws, 1, size))) % 1.0
        z = ndtri(np.clip(shifted, 1e-12, 1.0 - 1e-12))
        theta = means[:, o, None, :] + spreads[:, None, :] * z
        months = np.zeros((draws * CANDIDATES, oldest), dtype=np.float32)
        nothing = np.zeros(oldest)
        pointwise(
            law, np.array([0, oldest]), np.log(np.arange(1.0, oldest + 1.0)), nothing, nothing,
            nothing, m, theta.reshape(-1, 1, size), np.repeat(carry, CANDIDATES, axis=0),
            np.zeros(1, dtype=np.int64), np.zeros((draws * CANDIDATES, 1)), months,
        )  # fmt: skip
        empty = np.exp(np.cumsum(months.astype(np.float64), axis=1)).reshape(draws, CANDIDATES, -1)
        for age in np.unique(ages[organization == o]):
            columns = np.flatnonzero((organization == o) & (ages == age))
            likelihood = empty[:, :, age - 1] if age > 0 else np.ones((draws, CANDIDATES))
            share = dormancy[:, o, None]
            cumulative = np.cumsum(share + (1.0 - share) * likelihood, axis=1)
            cumulative /= cumulative[:, -1:]
            for column in columns:
                picked = (rng.random((draws, 1)) > cumulative).sum(axis=1)
                out[:, column] = theta[np.arange(draws), picked]
    return out
