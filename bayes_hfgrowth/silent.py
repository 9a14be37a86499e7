"""Base models without any fine-tune so far: their parameters summed out of the density.

Two thirds of all base models have no fine-tune. Those of one organization and one age have the
same data, so under a given population they share one likelihood,

    log(share of dormant + (1 - share) · Z),   Z = E[P(no fine-tune until that age | θ)],

where θ is drawn from the organization's population. The expectation is taken at quasi-random
nodes. Once the population is known roughly, they stay where they are, around it: what the months
say at them is worked out beforehand, thousands of nodes cost little, and only their importance
weights move with the population, smoothly. Before that, or where the carry-over is not fixed,
fewer nodes move with the population. `bayes_hfgrowth.silent_density` has both sums. What is
summed out is drawn afterwards, given each draw of the population, from fresh nodes weighted by
the likelihood.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import qmc

from bayes_hfgrowth.history import History
from bayes_hfgrowth.transition import Floats, Integers, pointwise

__all__ = [
    "Nodes",
    "SilentGroups",
    "draw_silent",
    "moving_nodes",
    "nodes",
]

NODES = 4096
"""Nodes for an organization with very many silent base models. The error of the log density is
then about 0.1 over the posterior of the shipped data (``python -m benchmarks.silent_nodes``)."""

MOVING = 128
"""The same where nodes move; the error is then about 0.6."""

WIDER = 1.3
"""How much wider than the population the nodes are spread: it may turn out wider than thought,
and importance sampling forgives nodes that are too wide rather than too narrow."""

CANDIDATES = 64
"""Nodes from which the parameters of silent base models are drawn, for each draw."""


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

    def nodes_needed(self, most: int) -> Integers:
        """Nodes of each organization: its error in the density grows with its silent ones.

        Parameters
        ----------
        most : int
            Nodes of an organization with more than 400.
        """
        silent = self.number.sum(axis=1)
        chosen = np.select([silent > 400, silent > 80, silent > 20], [1, 2, 4], 8)
        return np.where(silent > 0, most // chosen, 0)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Where the expectations over silent base models are taken.

    Parameters
    ----------
    start : ndarray of int64, shape (organizations + 1,)
        Organization o has the nodes ``start[o] .. start[o + 1] - 1``.
    theta : ndarray, shape (parameters, nodes)
        The growth parameters there; of nodes that move, distances from the mean of the
        population in units of its spreads.
    log_density : ndarray, shape (nodes,)
        Log density of the distribution that the nodes were drawn from, up to a constant for
        each organization.
    empty : ndarray of float32, shape (nodes, most ages of one) or (0, most ages of one)
        Probability at each node of no fine-tune until each of the organization's ages; without
        rows where nodes move.
    """

    start: Integers
    theta: Floats
    log_density: Floats
    empty: npt.NDArray[np.float32]


def moving_nodes(groups: SilentGroups, parameters: int) -> Nodes:
    """Nodes that move with the population, always the same.

    Parameters
    ----------
    groups : SilentGroups
        Which base models.
    parameters : int
        Number of growth parameters.

    Returns
    -------
    Nodes
        Scrambled Sobol points mapped to the normal distribution, in each coordinate of mean 0
        and variance 1. Each organization has its own, lest their errors add up.
    """
    numbers = groups.nodes_needed(MOVING)
    points = [_normal_points(parameters, o, number) for o, number in enumerate(numbers)]
    whole = np.concatenate([(p - p.mean(axis=0)) / p.std(axis=0) if len(p) else p for p in points])
    empty = np.zeros((0, groups.ages.shape[1]), dtype=np.float32)
    return Nodes(_starts(numbers), np.ascontiguousarray(whole.T), np.zeros(len(whole)), empty)


def nodes(
    law: int, m: float, groups: SilentGroups, centre: Floats, spreads: Floats, carry: Floats
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
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.

    Returns
    -------
    Nodes
        Scrambled Sobol points mapped to normal distributions `WIDER` than `spreads`.
    """
    size = centre.shape[1]
    numbers = groups.nodes_needed(NODES)
    start = _starts(numbers)
    theta, log_density = np.empty((size, start[-1])), np.empty(start[-1])
    empty = np.zeros((start[-1], groups.ages.shape[1]), dtype=np.float32)
    for o, number in enumerate(numbers):
        if number == 0:
            continue
        own = slice(start[o], start[o + 1])
        z = _normal_points(size, o, number)
        theta[:, own] = (centre[o] + WIDER * spreads[o] * z).T
        log_density[own] = -0.5 * (z**2).sum(axis=1)
        ages = groups.ages[o][groups.number[o] > 0]
        months = _log_empty(law, m, theta[:, own].T, np.tile(carry, (len(z), 1)), int(ages.max()))
        empty[own, : len(ages)] = np.exp(months[:, ages - 1])
    return Nodes(start, theta, log_density, empty)


def _starts(numbers: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)


def _normal_points(parameters: int, organization: int, number: int) -> Floats:
    """Scrambled Sobol points mapped to the normal distribution, shape (number, parameters)."""
    if number == 0:
        return np.empty((0, parameters))
    return np.asarray(ndtri(qmc.Sobol(parameters, rng=organization + 1).random(number)))


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
