"""The log density that the engines move in, with its gradient: one function, compiled by Numba.

It puts together what has its formulas elsewhere: the coordinates of the population
(`bayes_hfgrowth.turning`, `bayes_hfgrowth.coordinates`), those of the base models and their months
(`bayes_hfgrowth.whitening`), and the silent ones (`bayes_hfgrowth.silent_density`).
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth import (
    coordinates,
    elementary,
    gradient,
    silent_density,
    straightening,
    transition,
    turning,
    whitening,
)
from bayes_hfgrowth.coordinates import to_coordinates, to_point
from bayes_hfgrowth.turning import turned, turned_back
from bayes_hfgrowth.whitening import log_density

__all__ = ["posterior_density"]


def _compiled(sources: int) -> Any:
    """Make the log density; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def posterior_density(  # type: ignore[no-untyped-def]
        x, points, log_proposal, law, m, centre, scale, skews, group_precision, group_weighted,
        precision, weighted, pivots, priors, places, fixed_carry, group, start, log_age, previous,
        new, constants, silent_ages, silent_number, node_start, node_points, node_weights, point,
        theta, log_weights,
    ):  # fmt: skip
        """Log density at x, up to a constant, and its gradient; fills the last three arguments.

        Where x holds the population alone, base models are averaged over `points`, drawn with
        `log_proposal`; else x goes on with their coordinates, and these two are not used.
        """
        _ = sources
        columns, organizations, parameters = places[0], places[1], places[2]
        first, within, size = places[3], places[4], places[7]
        psi, slope, stretch = np.empty(size), np.empty(size), np.empty((2, size))
        total = turned(x, centre, scale, skews, psi, stretch)
        total += to_point(psi, group_precision, group_weighted, priors, places, point, slope)
        rows = silent_number.shape[0]
        means = np.empty((rows, parameters))
        logits = np.full(rows, -np.inf)
        for o in range(rows):
            at = first + o * columns if organizations > 0 else 0
            means[o] = point[at : at + parameters]
            if columns > parameters:
                logits[o] = point[at + parameters]
        carry = fixed_carry.copy()
        if places[5] >= 0:
            carry[0] = point[places[5]]
        if places[6] >= 0:
            carry[1] = 1.0 / (1.0 + np.exp(-point[places[6]]))
        log_spreads = point[within : within + parameters].copy()
        joint = len(x) > size
        y = x[size:].reshape((1, len(start) - 1, parameters)) if joint else points
        value, by_y, by_means, by_log_spreads, by_carry, by_logits = log_density(
            law, y, log_proposal, means, log_spreads, carry, logits, precision, weighted, pivots,
            group, start, log_age, previous, new, constants, silent_ages, silent_number, node_start,
            node_points, node_weights, m, theta, log_weights,
        )  # fmt: skip
        total += value
        by_point = np.zeros(size)
        for o in range(rows):
            at = first + o * columns if organizations > 0 else 0
            by_point[at : at + parameters] += by_means[o]
            if columns > parameters:
                by_point[at + parameters] += by_logits[o]
        by_point[within : within + parameters] += by_log_spreads
        if places[5] >= 0:
            by_point[places[5]] += by_carry[0]
        if places[6] >= 0:
            by_point[places[6]] += by_carry[1] * carry[1] * (1.0 - carry[1])
        to_coordinates(psi, group_precision, group_weighted, places, point, by_point, slope)
        slopes = np.empty(len(x))
        turned_back(slope, scale, stretch, slopes)
        if joint:
            slopes[size:] = by_y.reshape(-1)
        return total, slopes

    return posterior_density


_SOURCES = [
    Path(str(m.__file__))
    for m in (
        coordinates,
        elementary,
        gradient,
        silent_density,
        straightening,
        transition,
        turning,
        whitening,
    )
]
posterior_density = _compiled(zlib.crc32(b"".join(path.read_bytes() for path in _SOURCES)))
