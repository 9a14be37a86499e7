"""Resampling: pairs of a draw of the population and a point, drawn by their weights.

The weights are those of `bayes_hfgrowth.posterior.pairs`. Points are drawn given the draw of the
population, compiled; then one pair is drawn for each draw of the population that is kept.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.elementary import version_of
from bayes_hfgrowth.growth.law import Floats, Integers
from bayes_hfgrowth.posterior.pairs import BLOCK, exponentials, log_weights_at, weights_under

__all__ = ["Organization", "draw_points", "draw_points_of_organization", "draw_within"]

_TRIALS = 1000  # for the mean of an unknown organization, of which far fewer are needed


class Organization(NamedTuple):
    """An organization that the population does not know, drawn from the global level.

    Parameters
    ----------
    means : ndarray, shape (draws, parameters)
        One draw of its means under each draw of the population.
    between, within : ndarray, shape (draws, parameters)
        Standard deviations between organizations, and of base models within one.
    """

    means: Floats
    between: Floats
    within: Floats


@njit(error_model="numpy")
def _pick(cumulative: Floats, uniform: float) -> int:
    at = np.searchsorted(cumulative, uniform * cumulative[-1])
    return min(at, len(cumulative) - 1)


@njit(error_model="numpy")
def _log_excess(log_ratio: float) -> float:
    """Ln(1 - exp(x)), -inf where that is not above 0."""
    return math.log(-math.expm1(log_ratio)) if log_ratio < 0.0 else -np.inf


def _compiled(sources: int) -> tuple[Any, Any]:
    """Make the two; Numba's cache on disk tells versions apart by what they close over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def draw_points(which, uniform, population, weighed, chosen):  # type: ignore[no-untyped-def]
        """Draw points given draws of the population.

        Parameters
        ----------
        which : ndarray of int, shape (pairs,)
            The draw of the population of each pair.
        uniform : ndarray, shape (pairs,)
            Between 0 and 1.
        population : PopulationDraws
            As `weigh` was given it.
        weighed : Weighed
            As `weigh` filled it.
        chosen : ndarray of int, shape (pairs,)
            Filled with the positions of the points.
        """
        _ = sources
        points, log_weights, blocks = weighed.points, weighed.log_weights, weighed.blocks
        size = len(points)
        row = np.empty(BLOCK)
        some = np.empty((size, BLOCK))
        for i in range(len(which)):
            d = which[i]
            total = 0.0
            for b in range(blocks.shape[1]):
                total += blocks[d, b]
            left = uniform[i] * total
            b = 0
            while b < blocks.shape[1] - 1 and left > blocks[d, b]:
                left -= blocks[d, b]
                b += 1
            some[:] = points[:, b * BLOCK : (b + 1) * BLOCK]
            log_weights_at(
                some,
                log_weights[b * BLOCK : (b + 1) * BLOCK],
                population.means[d],
                weighed.shifts[d],
                population.scales[d],
                row,
            )
            exponentials(row, weighed.tops[d])
            j = 0
            while j < BLOCK - 1 and left > row[j]:
                left -= row[j]
                j += 1
            chosen[i] = b * BLOCK + j

    @njit(error_model="numpy", nogil=True, cache=True)
    def draw_points_of_organization(  # type: ignore[no-untyped-def]
        pairs, uniform, population, organization, weighed, rng, chosen
    ):
        """Draw points for a base model of an unknown organization, given draws of the population.

        The weights are those of the base models of any organization. With the point goes a mean
        of the organization, normal given the point, and that is drawn so that it is the one of
        the draw, which other base models of the organization have too, as often as can be (a
        maximal coupling): with L the likelihood integrated over points, and L(mean) that given
        the organization's mean, the draw's own is kept with probability min(1, L(mean) / L), and
        others replace it with a density in proportion to what is above that.

        Parameters
        ----------
        pairs : ndarray of int, shape (draws,)
            How many pairs for each draw of the population, one draw after the other.
        uniform, population, weighed, chosen
            As in `draw_points`.
        organization : Organization
            The one that the base model belongs to.
        rng : numpy.random.Generator
            Source of randomness.
        """
        _ = sources
        size, number = weighed.points.shape
        any_row, own_row, mean = np.empty(number), np.empty(number), np.empty(size)
        at = 0
        for d in range(len(pairs)):
            within, between = organization.within[d], organization.between[d]
            marginal = weights_under(weighed, d, population.means[d], population.scales[d], any_row)
            own = weights_under(weighed, d, organization.means[d], within, own_row)
            kept = math.log(rng.random()) < own - marginal
            cumulative = np.cumsum(own_row if kept else any_row)
            for i in range(at, at + pairs[d]):
                chosen[i] = _pick(cumulative, uniform[i])
                for _trial in range(0 if kept else _TRIALS):
                    j = _pick(cumulative, rng.random())
                    for k in range(size):
                        # The mean given the base model's own parameter, and with it.
                        gain = between[k] ** 2 / (between[k] ** 2 + within[k] ** 2)
                        theta = weighed.points[k, j] + weighed.shifts[d, k]
                        middle = population.means[d, k]
                        mean[k] = middle + gain * (theta - middle)
                        mean[k] += between[k] * math.sqrt(1.0 - gain) * rng.standard_normal()
                    if math.log(rng.random()) < _log_excess(
                        marginal - weights_under(weighed, d, mean, within, own_row)
                    ):
                        chosen[i] = j
                        break
            at += pairs[d]

    return draw_points, draw_points_of_organization


draw_points, draw_points_of_organization = _compiled(version_of(__file__))


def draw_within(
    which: Integers, weights: Floats, pairs: Integers, rng: np.random.Generator
) -> Integers:
    """Draw one of its pairs for each draw of the population that was chosen.

    Parameters
    ----------
    which : ndarray of int, shape (draws,)
        Draws of the population, some of them perhaps several times.
    weights : ndarray, shape (all pairs,)
        Of the pairs, those of one draw after those of the other.
    pairs : ndarray of int, shape (draws of the population,)
        How many pairs each draw has.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int, shape (draws,)
        Positions among all pairs.
    """
    last = np.cumsum(pairs) - 1
    first = last - pairs + 1
    sums = np.cumsum(weights)
    before = np.append(0.0, sums)[first]
    # Evenly spaced quantiles for the same row, so that pairs are taken twice only if they must be.
    times = np.bincount(which, minlength=len(pairs))
    rank = np.empty(len(which), dtype=np.int64)
    rank[np.argsort(which, kind="stable")] = np.arange(len(which)) - np.repeat(
        np.cumsum(times) - times, times
    )
    share = (rank + rng.random(len(which))) / times[which]
    found = np.searchsorted(sums, before[which] + share * (sums[last] - before)[which])
    return np.clip(found, first[which], last[which])
