"""The log densities that the engines move in, with their gradients, compiled by Numba.

They put together what has its formulas elsewhere: the coordinates of the population
(`bayes_hfgrowth.inference.preconditioner`, `bayes_hfgrowth.inference.coordinates`), the base models
in coordinates of their own (`bayes_hfgrowth.inference.whitening`) or averaged over points
(`bayes_hfgrowth.inference.averaging`), and the silent ones
(`bayes_hfgrowth.inference.silent_density`).
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, gradient, point_likelihoods, transition
from bayes_hfgrowth.growth.elementary import inner, version_of
from bayes_hfgrowth.growth.transition import Floats, Integers
from bayes_hfgrowth.inference import (
    averaging,
    coordinates,
    crosses,
    preconditioner,
    ridge,
    silent_density,
    whitening,
)
from bayes_hfgrowth.inference.averaging import log_average, pick, renew
from bayes_hfgrowth.inference.coordinates import to_coordinates, to_point
from bayes_hfgrowth.inference.preconditioner import turned, turned_back
from bayes_hfgrowth.inference.silent_density import log_density_silent
from bayes_hfgrowth.inference.whitening import log_density

__all__ = [
    "compile_base_models",
    "compile_population",
    "pick_points",
    "population_density",
    "posterior_density",
    "renew_points",
]


@inner()
def _population(
    point: Floats, places: Integers, rows: int, fixed_carry: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Organization means, ln spreads, carry-over and logits of dormancy at a point."""
    columns, organizations, parameters = places[0], places[1], places[2]
    first, within = places[3], places[4]
    means, logits = np.empty((rows, parameters)), np.full(rows, -np.inf)
    for o in range(rows):
        at = first + o * columns if organizations > 0 else 0
        for k in range(parameters):
            means[o, k] = point[at + k]
        if columns > parameters:
            logits[o] = point[at + parameters]
    carry = fixed_carry.copy()
    if places[5] >= 0:
        carry[0] = point[places[5]]
    if places[6] >= 0:
        carry[1] = 1.0 / (1.0 + np.exp(-point[places[6]]))
    return means, point[within : within + parameters].copy(), carry, logits


def _compiled(sources: int) -> Any:
    """Make the parts; Numba's cache on disk tells versions apart by what they close over.

    They are put together below by Python, as each is compiled faster than all of them at once.
    """

    @njit(error_model="numpy", nogil=True, cache=True)
    def begin(  # type: ignore[no-untyped-def]
        x, centre, scale, skews, group_precision, group_weighted, priors, places, fixed_carry, rows,
        point,
    ):  # fmt: skip
        """From x to the population: log density so far, what `finish` needs, the population."""
        _ = sources
        size = places[7]
        psi, slope, stretch = np.empty(size), np.empty(size), np.empty((2, size))
        total = turned(x, centre, scale, skews, psi, stretch)
        total += to_point(psi, group_precision, group_weighted, priors, places, point, slope)
        means, log_spreads, carry, logits = _population(point, places, rows, fixed_carry)
        return total, psi, slope, stretch, means, log_spreads, carry, logits

    @njit(error_model="numpy", nogil=True, cache=True)
    def finish(  # type: ignore[no-untyped-def]
        psi, slope, stretch, scale, group_precision, group_weighted, places, point, carry, by_means,
        by_log_spreads, by_carry, by_logits, slopes,
    ):  # fmt: skip
        """Take the derivatives by the population back to x; fills the first places of `slopes`."""
        _ = sources
        columns, organizations, parameters = places[0], places[1], places[2]
        first, within = places[3], places[4]
        by_point = np.zeros(places[7])
        for o in range(len(by_means)):
            at = first + o * columns if organizations > 0 else 0
            for k in range(parameters):
                by_point[at + k] += by_means[o, k]
            if columns > parameters:
                by_point[at + parameters] += by_logits[o]
        for k in range(parameters):
            by_point[within + k] += by_log_spreads[k]
        if places[5] >= 0:
            by_point[places[5]] += by_carry[0]
        if places[6] >= 0:
            by_point[places[6]] += by_carry[1] * carry[1] * (1.0 - carry[1])
        to_coordinates(psi, group_precision, group_weighted, places, point, by_point, slope)
        turned_back(slope, scale, stretch, slopes)

    @njit(error_model="numpy", nogil=True, cache=True)
    def silent(  # type: ignore[no-untyped-def]
        law, means, log_spreads, carry, logits, ages, number, start, points, weights, m, by_means,
        by_log_spreads, by_carry, by_logits,
    ):  # fmt: skip
        """As `bayes_hfgrowth.inference.silent_density.log_density_silent`."""
        _ = sources
        return log_density_silent(
            law, means, log_spreads, carry, logits, ages, number, start, points, weights, m,
            by_means, by_log_spreads, by_carry, by_logits,
        )  # fmt: skip

    @njit(error_model="numpy", nogil=True, cache=True)
    def told(  # type: ignore[no-untyped-def]
        law, y, means, log_spreads, carry, logits, precision, weighted, pivots, group, start,
        log_age, previous, new, constants, m, theta, by_means, by_log_spreads, by_carry, by_logits,
    ):  # fmt: skip
        """As `bayes_hfgrowth.inference.whitening.log_density`."""
        _ = sources
        return log_density(
            law, y, means, log_spreads, carry, logits, precision, weighted, pivots, group, start,
            log_age, previous, new, constants, m, theta, by_means, by_log_spreads, by_carry,
            by_logits,
        )  # fmt: skip

    @njit(error_model="numpy", nogil=True, cache=True)
    def averaged(  # type: ignore[no-untyped-def]
        theta, log_weights, group, means, log_spreads, logits, by_means, by_log_spreads, by_logits
    ):
        """As `bayes_hfgrowth.inference.averaging.log_average`."""
        _ = sources
        return log_average(
            theta, log_weights, group, means, log_spreads, logits, by_means, by_log_spreads,
            by_logits,
        )  # fmt: skip

    @njit(error_model="numpy", nogil=True, cache=True)
    def renew_points(  # type: ignore[no-untyped-def]
        kept, rng, law, centre, root, pivots, start, log_age, previous, new, constants, m, carry,
        points, theta, log_weights,
    ):  # fmt: skip
        """As `bayes_hfgrowth.inference.averaging.renew`."""
        _ = sources
        renew(
            kept, rng, law, centre, root, pivots, start, log_age, previous, new, constants, m,
            carry, points, theta, log_weights,
        )  # fmt: skip

    @njit(error_model="numpy", nogil=True, cache=True)
    def pick_points(  # type: ignore[no-untyped-def]
        point, places, fixed_carry, rows, theta, log_weights, group, uniform, picked
    ):
        """As `bayes_hfgrowth.inference.averaging.pick`, with the population as a point."""
        _ = sources
        means, log_spreads, _, _ = _population(point, places, rows, fixed_carry)
        pick(theta, log_weights, group, means, log_spreads, uniform, picked)

    return begin, finish, silent, told, averaged, renew_points, pick_points


_PARTS = (
    averaging, coordinates, crosses, elementary, gradient, point_likelihoods, preconditioner,
    ridge, silent_density, transition, whitening,
)  # fmt: skip
_begin, _finish, _silent, _told, _averaged, renew_points, pick_points = _compiled(
    version_of(*(module.__file__ for module in _PARTS), __file__)
)


def posterior_density(x: Floats, data: dict[str, Any]) -> tuple[float, Floats, Floats, Floats]:
    """Log density of population and base models, and its gradient.

    Parameters
    ----------
    x : ndarray, shape (dimensions,)
        Coordinates of the population, then of the base models with fine-tunes.
    data : dict
        Of `bayes_hfgrowth.inference.adaptation.WhitenedPosterior.data`.

    Returns
    -------
    value : float
        Up to a constant.
    slope : ndarray, shape (dimensions,)
    point : ndarray, shape (size of the population,)
    theta : ndarray, shape (base models, parameters)
    """
    size, shape = len(data["centre"]), data["weighted"].shape
    y, theta = x[size:].reshape(shape), np.empty(shape)
    parts = (partial(_of_silent, data), partial(_of_base_models, data, y, theta))
    value, slope, point = _with_parts(x, data, parts)
    return value, slope, point, theta


def population_density(
    x: Floats, data: dict[str, Any], theta: Floats, log_weights: Floats
) -> tuple[float, Floats, Floats]:
    """Log density of the population, base models averaged over points, and its gradient.

    Parameters
    ----------
    x : ndarray, shape (size of the population,)
        Its coordinates.
    data : dict
        As in `posterior_density`.
    theta, log_weights : ndarray
        Filled by `renew_points`.

    Returns
    -------
    value : float
        Up to a constant.
    slope, point : ndarray, shape (size of the population,)
    """

    def averaged(population: Any, by: Any) -> tuple[float, Floats]:
        means, log_spreads, _, logits = population
        by_means, by_log_spreads, _, by_logits = by
        value = _averaged(
            theta, log_weights, data["group"], means, log_spreads, logits, by_means,
            by_log_spreads, by_logits,
        )  # fmt: skip
        return value, np.empty(0)

    return _with_parts(x, data, (partial(_of_silent, data), averaged))


def compile_population(data: dict[str, Any]) -> None:
    """Compile what has to do with the population by itself.

    Parameters
    ----------
    data : dict
        As in `posterior_density`.
    """
    _with_parts(np.zeros(len(data["centre"])), data, ())


def compile_base_models(data: dict[str, Any]) -> None:
    """Compile what has to do with silent and other base models.

    Parameters
    ----------
    data : dict
        As in `posterior_density`.
    """
    shape, rows = data["weighted"].shape, len(data["silent_number"])
    sizes = ((rows, shape[1]), (shape[1],), (2,), (rows,))
    population = tuple(np.zeros(size) for size in sizes)
    for part in (partial(_of_silent, data), partial(_of_base_models, data, *np.zeros((2, *shape)))):
        part(population, tuple(np.zeros(size) for size in sizes))


def _with_parts(
    x: Floats, data: dict[str, Any], parts: Iterable[Callable[[Any, Any], tuple[float, Floats]]]
) -> tuple[float, Floats, Floats]:
    """Put the parts together: value, slope and point.

    Each takes the population and where its derivatives are to be added, and returns its value
    and the derivatives by the coordinates that follow those of the population, if any.
    """
    point = np.empty(len(data["centre"]))
    total, psi, slope, stretch, means, log_spreads, carry, logits = _begin(
        x, data["centre"], data["scale"], data["skews"], data["group_precision"],
        data["group_weighted"], data["priors"], data["places"], data["fixed_carry"],
        len(data["silent_number"]), point,
    )  # fmt: skip
    population = (means, log_spreads, carry, logits)
    by = tuple(np.zeros(part.shape) for part in population)
    slopes = np.empty(len(x))
    for part in parts:
        value, further = part(population, by)
        total += value
        slopes[len(x) - len(further) :] = further
    _finish(
        psi, slope, stretch, data["scale"], data["group_precision"], data["group_weighted"],
        data["places"], point, carry, *by, slopes,
    )  # fmt: skip
    return total, slopes, point


def _of_silent(data: dict[str, Any], population: Any, by: Any) -> tuple[float, Floats]:
    """Base models without fine-tunes."""
    value = _silent(
        data["law"], *population, data["silent_ages"], data["silent_number"], data["node_start"],
        data["node_points"], data["node_weights"], data["m"], *by,
    )  # fmt: skip
    return value, np.empty(0)


def _of_base_models(
    data: dict[str, Any], y: Floats, theta: Floats, population: Any, by: Any
) -> tuple[float, Floats]:
    """Base models with fine-tunes at y; fills `theta`."""
    value, by_y = _told(
        data["law"], y, *population, data["precision"], data["weighted"], data["pivots"],
        data["group"], data["start"], data["log_age"], data["previous"], data["new"],
        data["constants"], data["m"], theta, *by,
    )  # fmt: skip
    return value, by_y.ravel()
