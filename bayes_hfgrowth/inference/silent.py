"""Base models without any fine-tune so far: their parameters summed out of the density.

Two thirds of all base models have no fine-tune. Those of one organization and one age have the
same data, so under a given population they share one likelihood,

    log(share of dormant + (1 - share) · Z),   Z = E[P(no fine-tune until that age | θ)],

where θ is drawn from the organization's population. The expectation is a weighted mean over nodes
that move with the population. At first they are quasi-random and weigh the same. Once the
population is known roughly, from a pilot run, a few of very many are picked and weighted so that
the means over them and over all of them agree wherever the pilot went, at every age that occurs:
a quadrature rule made for this integrand. `bayes_hfgrowth.inference.silent_density` has the sum.
What is summed out is drawn afterwards, given each draw of the population, from fresh nodes weighted
by the likelihood.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.special import ndtri
from scipy.stats import qmc

from bayes_hfgrowth.growth.point_likelihoods import log_empty
from bayes_hfgrowth.growth.transition import Floats, Integers
from bayes_hfgrowth.panel.history import History

__all__ = [
    "Nodes",
    "SilentGroups",
    "draw_silent",
    "first_nodes",
    "learned_nodes",
]

FIRST = 128
"""Nodes that weigh the same, for an organization with very many silent base models."""

ALL, CHOICE = 4096, 1024
"""Nodes that a learned rule is to agree with for an organization with very many silent base
models, and those of them that it may pick."""

POPULATIONS, STRETCH = 30, 1.5
"""Populations of the pilot that a rule is learned from, and how far they are drawn apart: the
draws that are kept go further than those of a short run."""

FAR = ((3.0, 0.2), (6.0, 0.05))
"""Further populations, as many each, at so many standard deviations around the pilot in every
direction, and what they weigh beside those of the pilot. Where a rule was not told what is true
it may promise too much, and a chain that strays there would not come back."""

LEAST_MEAN, LEAST_LOG_SPREAD = 0.1, 0.05
"""Standard deviations to start from where the pilot had less, in units of the spreads and in
logarithms."""

TOLERANCE = 0.05
"""Differences in the log density below which a rule need not tell populations apart."""

_RARE = 1e-6
"""Probability of no fine-tune below which populations are too far off to matter."""

_BLOCK = 512  # points that are gone through at a time, whose working space stays in the cache

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
        """Nodes of each organization that weigh the same: more where more are silent."""
        silent = self.number.sum(axis=1)
        fewer = np.select([silent > 400, silent > 80, silent > 20], [1, 2, 4], 8)
        return np.where(silent > 0, most // fewer, 0)

    def of_organization(self, organization: int) -> tuple[Integers, Floats]:
        """Ages of an organization's silent base models, and how many have each."""
        some = self.number[organization] > 0
        return self.ages[organization, some], self.number[organization, some]


@dataclass(frozen=True, eq=False)
class Nodes:
    """Where the expectations over silent base models are taken.

    Parameters
    ----------
    start : ndarray of int64, shape (organizations + 1,)
        Organization o has the nodes ``start[o] .. start[o + 1] - 1``.
    points : ndarray, shape (parameters, nodes)
        Distances from the mean of the population in units of its spreads.
    weights : ndarray, shape (nodes,)
        Those of an organization add up to 1.
    """

    start: Integers
    points: Floats
    weights: Floats

    @classmethod
    def of(cls, points: Sequence[Floats], weights: Sequence[Floats]) -> "Nodes":
        """Join the nodes, shape (nodes, parameters), and weights of the organizations."""
        start = np.concatenate([[0], np.cumsum([len(own) for own in weights])]).astype(np.int64)
        joined = np.ascontiguousarray(np.concatenate(points).T)
        return cls(start, joined, np.concatenate(weights))


def first_nodes(groups: SilentGroups, parameters: int, most: int = FIRST) -> Nodes:
    """Nodes for a population of which nothing is known yet.

    Parameters
    ----------
    groups : SilentGroups
        Which base models.
    parameters : int
        Number of growth parameters.
    most : int
        Nodes of an organization with very many silent base models; the others have fewer.
    """
    numbers = groups.nodes_needed(most)
    points = [_normal_points(parameters, o, number) for o, number in enumerate(numbers)]
    return Nodes.of(points, [np.full(number, 1.0 / max(number, 1)) for number in numbers])


def learned_nodes(
    law: int, m: float, groups: SilentGroups, means: Floats, spreads: Floats, carry: Floats
) -> Nodes:
    """Nodes for populations like those of a pilot run, always the same for the same pilot.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.growth.transition`.
    m : float
        The constant m of the curve.
    groups : SilentGroups
        Which base models.
    means : ndarray, shape (draws, organizations, parameters)
    spreads : ndarray, shape (draws, parameters)
    carry : ndarray, shape (draws, 2)
        Draws of the population: organization means, standard deviations within them, strength
        and memory of the carry-over.

    Returns
    -------
    Nodes
        Weights are the non-negative ones of least squares (Lawson and Hanson 1974) for the
        contributions to the log density, with as few terms as tell the populations apart.
    """
    size = spreads.shape[1]
    some = _populations(means, spreads, carry)
    numbers = groups.nodes_needed(ALL)

    def rule(o: int) -> tuple[Floats, Floats]:
        """Points and weights for one organization."""
        ages, number = groups.of_organization(o)
        total = int(numbers[o])
        points = _normal_points(size, o, total)
        if not total:
            return points, np.empty(0)
        contributions = []
        for own_means, own_spreads, own_carry, worth in zip(*some, strict=True):
            theta = own_means[o] + own_spreads * points
            empty = np.exp(_log_empty(law, m, theta, own_carry, int(ages[-1]))[ages - 1])
            scale = worth * number / np.maximum(empty.mean(axis=1), _RARE)
            contributions.append(scale[:, None] * empty)
        weights = _rule(np.concatenate(contributions), number.sum(), min(CHOICE, total // 2))
        picked = np.flatnonzero(weights)
        return points[picked], weights[picked] / weights.sum()

    with ThreadPoolExecutor() as pool:  # the arithmetic lets others run
        found = list(pool.map(rule, range(len(groups.number))))
    return Nodes.of([points for points, _ in found], [weights for _, weights in found])


def _populations(
    means: Floats, spreads: Floats, carry: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Populations to learn a rule from: means, spreads, carry-over, and what each weighs."""
    rng = np.random.default_rng(1)
    chosen = np.linspace(0, len(spreads) - 1, POPULATIONS).astype(np.int64)
    log_spreads = np.log(spreads)
    centre, log_centre = means.mean(axis=0), log_spreads.mean(axis=0)
    wide = np.maximum(means.std(axis=0), LEAST_MEAN * np.exp(log_centre))
    log_wide = np.maximum(log_spreads.std(axis=0), LEAST_LOG_SPREAD)
    some_means = [STRETCH * (means[chosen] - centre)]
    some_log_spreads = [STRETCH * (log_spreads[chosen] - log_centre)]
    weights = [np.ones(POPULATIONS)]
    for distance, weight in FAR:
        some_means.append(distance * wide * rng.standard_normal((POPULATIONS, *centre.shape)))
        some_log_spreads.append(
            distance * log_wide * rng.standard_normal((POPULATIONS, len(log_wide)))
        )
        weights.append(np.full(POPULATIONS, weight))
    return (
        centre + np.concatenate(some_means),
        np.exp(log_centre + np.concatenate(some_log_spreads)),
        np.tile(carry[chosen], (1 + len(FAR), 1)),
        np.concatenate(weights),
    )


def _rule(contributions: Floats, silent: float, choice: int) -> Floats:
    """Weigh the first columns of a table so that they add up to the mean of all columns.

    Parameters
    ----------
    contributions : ndarray, shape (conditions, nodes)
    silent : float
        Weight of the condition that the weights add up to 1.
    choice : int
        How many columns may be picked.

    Returns
    -------
    ndarray, shape (choice,)
        None below 0, most of them 0: no more than there are directions in which the conditions
        differ by more than `TOLERANCE`.
    """
    wanted = np.append(contributions.mean(axis=1), silent)
    table = np.vstack([contributions[:, :choice], np.full(choice, silent)])
    # The directions are the left singular vectors; there are fewer columns than rows.
    sizes, right = np.linalg.eigh(table.T @ table)
    kept = sizes > TOLERANCE**2 * len(table)
    scale, right = np.sqrt(sizes[kept]), right[:, kept].T
    aim = right @ (table.T @ wanted) / scale
    return np.asarray(nnls(scale[:, None] * right, aim, maxiter=20 * choice)[0])


def _normal_points(parameters: int, organization: int, number: int) -> Floats:
    """Scrambled Sobol points mapped to the normal distribution, shape (number, parameters).

    In each coordinate their mean is 0 and their variance 1. Each organization has its own, lest
    their errors add up.
    """
    if number == 0:
        return np.empty((0, parameters))
    points = np.asarray(ndtri(qmc.Sobol(parameters, rng=organization + 1).random(number)))
    return np.asarray((points - points.mean(axis=0)) / points.std(axis=0))


def _log_empty(law: int, m: float, theta: Floats, carry: Floats, oldest: int) -> Floats:
    """Log probability of no fine-tune until each age.

    Parameters
    ----------
    law, m
        As in `learned_nodes`.
    theta : ndarray, shape (points, parameters)
    carry : ndarray, shape (2,)
    oldest : int
        Last age in months.

    Returns
    -------
    ndarray, shape (oldest, points)
        Minus infinity where the parameters are impossible.
    """
    out = np.empty((oldest, len(theta)))
    for first in range(0, len(theta), _BLOCK):
        some = slice(first, first + _BLOCK)
        found = np.empty((oldest, len(theta[some])))
        log_empty(law, m, np.ascontiguousarray(theta[some].T), carry, found)
        out[:, some] = found
    return out


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
        One of the laws of `bayes_hfgrowth.growth.transition`.
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

    def fill(o: int, own: np.random.Generator) -> None:
        """Draw those of one organization."""
        oldest = int(ages[organization == o].max())
        shifted = (uniform + own.random((draws, 1, size))) % 1.0
        z = ndtri(np.clip(shifted, 1e-12, 1.0 - 1e-12))
        theta = means[:, o, None, :] + spreads[:, None, :] * z
        # Draws with one carry-over are gone through together, which for most growth models are all.
        empty = np.empty((oldest, draws, CANDIDATES))
        for own_carry in np.unique(carry, axis=0):
            some = (carry == own_carry).all(axis=1)
            found = _log_empty(law, m, theta[some].reshape(-1, size), own_carry, oldest)
            empty[:, some] = np.exp(found).reshape(oldest, some.sum(), CANDIDATES)
        for age in np.unique(ages[organization == o]):
            columns = np.flatnonzero((organization == o) & (ages == age))
            likelihood = empty[age - 1] if age > 0 else np.ones((draws, CANDIDATES))
            share = dormancy[:, o, None]
            cumulative = np.cumsum(share + (1.0 - share) * likelihood, axis=1)
            cumulative /= cumulative[:, -1:]
            for column in columns:
                picked = (own.random((draws, 1)) > cumulative).sum(axis=1)
                out[:, column] = theta[np.arange(draws), picked]

    present = np.unique(organization)
    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, present, rng.spawn(len(present))))
    return out
