"""Base models without any fine-tune so far: their parameters summed out of the density.

Two thirds of all base models have no fine-tune. Those of one organization and one age have the
same data, so under a given population they share one likelihood,

    log(share of dormant + (1 - share) · Z),   Z = E[P(no fine-tune until that age | θ)],

where θ is drawn from the organization's population. The expectation is taken by importance
sampling at quasi-random nodes that stay where they are, around the population as far as it is
known beforehand: what the months say at them is worked out once, and only their weights move
with the population, smoothly. What is summed out is drawn afterwards, given each draw of the
population, from fresh nodes weighted by the likelihood.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import ndtri
from scipy.stats import qmc

from bayes_hfgrowth.elementary import exp
from bayes_hfgrowth.gradient import BATCH, WORK, gradient
from bayes_hfgrowth.history import History
from bayes_hfgrowth.transition import Floats, Integers, pointwise

__all__ = ["Nodes", "SilentGroups", "draw_silent", "log_density_silent", "nodes"]

NODES = 4096
"""Nodes for an organization with very many silent base models. The error of the log density is
then about 0.1 over the posterior of the shipped data (``python -m benchmarks.silent_nodes``)."""

WIDER = 1.3
"""How much wider than the population the nodes are spread: it may turn out wider than thought,
and importance sampling forgives nodes that are too wide rather than too narrow."""

CANDIDATES = 64
"""Nodes from which the parameters of silent base models are drawn, for each draw."""

_LEAST = -690.0  # exp of it is still a float above 0


@dataclass(frozen=True, eq=False)
class SilentGroups:
    """The base models without fine-tunes, counted by organization and age.

    Parameters
    ----------
    indices : ndarray of int64
        Positions of these base models in the history.
    ages : ndarray of int64, shape (organizations, most ages of one)
        Ages in months, from 1 on, at which each organization has some; 0 in places not needed.
    number : ndarray of float64, the same shape
        How many it has of that age.
    """

    indices: npt.NDArray[np.int64]
    ages: Integers
    number: Floats

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
        number[:, 0] = 0.0  # a base model that is not a month old says nothing
        width = int((number > 0).sum(axis=1).max(initial=0))
        first = np.argsort(number == 0, axis=1, kind="stable")[:, :width]
        packed = np.take_along_axis(number, first, axis=1)
        return cls(indices, np.where(packed > 0, first, 0).astype(np.int64), packed)

    @property
    def nodes_needed(self) -> Integers:
        """Nodes of each organization: its error in the density grows with its silent ones."""
        silent = self.number.sum(axis=1)
        chosen = np.select([silent > 400, silent > 80, silent > 20], [1, 2, 4], 8)
        return np.where(silent > 0, NODES // chosen, 0)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Where the expectations over silent base models are taken.

    Parameters
    ----------
    start : ndarray of int64, shape (organizations + 1,)
        Organization o has the nodes ``start[o] .. start[o + 1] - 1``.
    theta : ndarray, shape (parameters, nodes)
        The growth parameters there.
    log_density : ndarray, shape (nodes,)
        Log density of the distribution that the nodes were drawn from, up to a constant for
        each organization.
    empty : ndarray, shape (nodes, most ages of one) or (0, most ages of one)
        Probability at each node of no fine-tune until each of the organization's ages; without
        rows where it depends on a carry-over that is not fixed.
    """

    start: Integers
    theta: Floats
    log_density: Floats
    empty: npt.NDArray[Any]


def nodes(
    law: int, m: float, groups: SilentGroups, centre: Floats, spreads: Floats, carry: Floats | None
) -> Nodes:
    """Place nodes around a population, always the same for the same population.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.
    m : float
        The constant m of the curve.
    groups : SilentGroups
        Which base models.
    centre, spreads : ndarray, shape (organizations, parameters)
        Mean and standard deviation, for each organization, of the growth parameters of a base
        model as far as the population is known.
    carry : ndarray, shape (2,), or None
        Strength and memory of the carry-over where both are fixed. If they are not, the months
        are worked out anew for every density, and there are 8 times fewer nodes.

    Returns
    -------
    Nodes
        Scrambled Sobol points mapped to normal distributions `WIDER` than `spreads`.
    """
    size = centre.shape[1]
    numbers = groups.nodes_needed
    if carry is None:
        numbers //= 8
    start = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)
    theta, log_density = np.empty((size, start[-1])), np.empty(start[-1])
    rows = start[-1] if carry is not None else 0
    # What is worked out once may be rounded; what moves must move smoothly.
    empty = np.zeros(
        (rows, groups.ages.shape[1]), dtype=np.float64 if carry is None else np.float32
    )
    for o, number in enumerate(numbers):
        if number == 0:
            continue
        own = slice(start[o], start[o + 1])
        z = ndtri(qmc.Sobol(size, rng=o + 1).random(number))
        theta[:, own] = (centre[o] + WIDER * spreads[o] * z).T
        log_density[own] = -0.5 * (z**2).sum(axis=1)
        if carry is not None:
            ages = groups.ages[o][groups.number[o] > 0]
            months = _log_empty(
                law, m, theta[:, own].T, np.tile(carry, (number, 1)), int(ages.max())
            )
            empty[own, : len(ages)] = np.exp(months[:, ages - 1])
    return Nodes(start, theta, log_density, empty)


def _log_empty(law: int, m: float, theta: Floats, carry: Floats, oldest: int) -> Floats:
    """Log probability of no fine-tune until each age.

    Parameters
    ----------
    law, m
        As in `nodes`.
    theta : ndarray, shape (points, parameters)
    carry : ndarray, shape (points, 2)
    oldest : int
        Last age in months.

    Returns
    -------
    ndarray, shape (points, oldest)
    """
    months = np.zeros((len(theta), oldest), dtype=np.float32)
    nothing = np.zeros(oldest)
    pointwise(
        law, np.array([0, oldest]), np.log(np.arange(1.0, oldest + 1.0)), nothing, nothing,
        nothing, m, np.ascontiguousarray(theta)[:, None, :], carry,
        np.zeros(1, dtype=np.int64), np.zeros((len(theta), 1)), months,
    )  # fmt: skip
    return np.asarray(np.cumsum(months.astype(np.float64), axis=1))


@njit(error_model="numpy")
def _empty_months(
    law: int,
    m: float,
    carry: Floats,
    ages: Integers,
    theta: Floats,
    empty: Floats,
    by_carry: Floats,
) -> None:
    """Fill `empty` with the probabilities of no fine-tune, and `by_carry` with their slopes.

    Parameters
    ----------
    law, m, carry
        As in `log_density_silent`.
    ages : ndarray of int, shape (ages,)
        Ages in months.
    theta : ndarray, shape (parameters, nodes)
    empty : ndarray, shape (nodes, ages)
    by_carry : ndarray, shape (2, nodes, ages)
        Derivatives by strength and memory.
    """
    oldest = int(ages.max())
    together = max(1, BATCH // oldest)  # nodes in one batch
    log_ages = np.empty(together * oldest)
    for j in range(together * oldest):
        log_ages[j] = math.log(1.0 + j % oldest)
    nothing = np.zeros(together * oldest)
    trace, work = np.empty((together * oldest, 7)), np.empty((WORK, together * oldest))
    values, slopes = np.empty(together), np.empty((together, 6))
    number = theta.shape[1]
    for first in range(0, number, together):
        some = min(together, number - first)
        begin = np.arange(some + 1) * oldest
        trace[:, 1:] = 0.0
        trace[:, 0] = -np.inf  # stays so where the growth overflows
        points = theta[:, first : first + some].T.copy()
        gradient(
            law, begin, log_ages, nothing, nothing, nothing, m, points, carry[0], carry[1],
            values, slopes, trace, work,
        )  # fmt: skip
        for b in range(some):
            for a in range(len(ages)):
                row = trace[b * oldest + ages[a] - 1]
                empty[first + b, a] = math.exp(max(row[0], _LEAST))
                by_carry[0, first + b, a] = empty[first + b, a] * row[5]
                by_carry[1, first + b, a] = empty[first + b, a] * row[6]


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _weigh(
    theta: Floats, log_density: Floats, mean: Floats, spreads: Floats, weight: Floats
) -> None:
    """Fill `weight` with the importance weights of nodes under a population; they add up to 1."""
    number = len(weight)
    for j in range(number):
        weight[j] = -log_density[j]
    for k in range(len(mean)):
        centre, inverse = mean[k], 1.0 / spreads[k]
        for j in range(number):
            z = (theta[k, j] - centre) * inverse
            weight[j] -= 0.5 * z * z
    peak = weight.max()
    total = 0.0
    for j in range(number):
        weight[j] = exp(max(weight[j] - peak, _LEAST))
        total += weight[j]
    inverse = 1.0 / total
    for j in range(number):
        weight[j] *= inverse


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _weighted_sums(weight: Floats, table: npt.NDArray[Any], sums: Floats) -> None:
    """Fill `sums` with the weighted sum of each column."""
    sums[:] = 0.0
    for j in range(len(weight)):
        w = weight[j]
        for a in range(len(sums)):
            sums[a] += w * table[j, a]


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _add_slopes(
    theta: Floats,
    mean: Floats,
    spreads: Floats,
    weight: Floats,
    empty: npt.NDArray[Any],
    factor: Floats,
    by_mean: Floats,
    by_log_spreads: Floats,
) -> None:
    """Add the derivatives by the population of the sum of factor · Z over ages; spoil `weight`."""
    number = len(weight)
    rest = np.empty(number)
    whole = 0.0
    for j in range(number):
        found = 0.0
        for a in range(len(factor)):
            found += factor[a] * empty[j, a]
        rest[j] = found
        whole += weight[j] * found
    for j in range(number):
        weight[j] *= rest[j] - whole
    for k in range(len(mean)):
        centre, inverse = mean[k], 1.0 / spreads[k]
        first = second = 0.0
        for j in range(number):
            z = (theta[k, j] - centre) * inverse
            first += weight[j] * z
            second += weight[j] * z * z
        by_mean[k] += first * inverse
        by_log_spreads[k] += second


@njit(error_model="numpy")
def log_density_silent(
    law: int,
    means: Floats,
    log_spreads: Floats,
    carry: Floats,
    logit_dormancy: Floats,
    ages: Integers,
    number: Floats,
    start: Integers,
    theta: Floats,
    log_density: Floats,
    empty: Floats,
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
    ages, number : ndarray
        From `SilentGroups`.
    start, theta, log_density, empty : ndarray
        From `Nodes`.
    m : float
        The constant m of the curve.
    by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Gradients, in the shapes of what they belong to.
    """
    spreads = np.exp(log_spreads)
    z, factor = np.empty(number.shape[1]), np.empty(number.shape[1])
    total = 0.0
    for o in range(len(number)):
        first, last = start[o], start[o + 1]
        if first == last:
            continue
        have = 0
        while have < number.shape[1] and number[o, have] > 0.0:
            have += 1
        own = theta[:, first:last]
        if len(empty) > 0:
            table = empty[first:last]
            slopes = np.empty((2, 0, 0))
        else:
            table = np.empty((last - first, have), dtype=empty.dtype)
            slopes = np.empty((2, last - first, have))
            _empty_months(law, m, carry, ages[o, :have], own, table, slopes)
        weight = np.empty(last - first)
        _weigh(own, log_density[first:last], means[o], spreads, weight)
        _weighted_sums(weight, table, z[:have])
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
        for a in range(have):
            mixed = dormant + (1.0 - dormant) * z[a]
            total += number[o, a] * math.log(mixed)
            factor[a] = number[o, a] * (1.0 - dormant) / mixed
            by_logit_dormancy[o] += factor[a] * dormant * (1.0 - z[a])
        for which in range(2 if slopes.shape[1] > 0 else 0):
            _weighted_sums(weight, slopes[which], z[:have])
            for a in range(have):
                by_carry[which] += factor[a] * z[a]
        _add_slopes(
            own, means[o], spreads, weight, table, factor[:have], by_means[o], by_log_spreads
        )
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
        empty = np.exp(
            _log_empty(
                law, m, theta.reshape(-1, size), np.repeat(carry, CANDIDATES, axis=0), oldest
            )
        ).reshape(draws, CANDIDATES, -1)
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
