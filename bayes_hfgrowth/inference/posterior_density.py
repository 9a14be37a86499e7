"""The log densities that the engine moves in, with their gradients, compiled by Numba.

They put together what has its formulas elsewhere: the coordinates of the population
(`bayes_hfgrowth.inference.preconditioner`, `bayes_hfgrowth.inference.coordinates`), and the base
models in coordinates of their own (`bayes_hfgrowth.inference.whitening`) or, without fine-tunes, in
those of their organization (`bayes_hfgrowth.inference.zero_counts`).
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.elementary import inner, version_of
from bayes_hfgrowth.growth.law import SHARED, Floats, Integers, Months
from bayes_hfgrowth.inference import coordinates, preconditioner, ridge, whitening
from bayes_hfgrowth.inference.coordinates import (
    Layout,
    add_by_shared,
    shared_at,
    to_coordinates,
    to_point,
)
from bayes_hfgrowth.inference.preconditioner import turned, turned_back
from bayes_hfgrowth.inference.whitening import Drawn, Whitening, to_coordinates_back, to_parameters
from bayes_hfgrowth.inference.zero_counts import log_zero_counts

__all__ = [
    "Data",
    "Turning",
    "population_at",
    "posterior_density",
]


class Turning(NamedTuple):
    """Coordinates of the population, as an earlier run aimed them.

    Parameters
    ----------
    centre, scale, skews : ndarray
        Of `bayes_hfgrowth.inference.preconditioner`.
    group_precision, group_weighted : ndarray
        Normal summaries of what base models say of the organization means.
    period_precision, period_weighted : ndarray
        The same of the period effects.
    """

    centre: Floats
    scale: Floats
    skews: Floats
    group_precision: Floats
    group_weighted: Floats
    period_precision: Floats
    period_weighted: Floats


@dataclass(frozen=True, eq=False)
class Data:
    """What a log density reads beside the place at which it is taken.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.growth.law`.
    m : float
        The constant m of the curve.
    layout : Layout
        Where the parts of the population stand in a point.
    turning : Turning
        Coordinates of the population.
    whitening : Whitening
        Coordinates of the base models.
    group : ndarray of int64, shape (base models,)
        Organization of each base model; those with fine-tunes come first.
    organizations : int
        How many there are.
    months, zeros : Months
        Months of the base models with and without fine-tunes. Those of an age should stand
        together.
    """

    law: int
    m: float
    layout: Layout
    turning: Turning
    whitening: Whitening
    group: Integers
    organizations: int
    months: Months
    zeros: Months


@inner()
def _population(point: Floats, layout: Layout, rows: int) -> tuple[Drawn, Floats]:
    """The population at a point, and all shared parameters."""
    parameters = layout.parameters
    means, logits = np.empty((rows, parameters)), np.full(rows, -np.inf)
    for o in range(rows):
        at = layout.means + o * layout.columns if layout.organizations > 0 else layout.location
        for k in range(parameters):
            means[o, k] = point[at + k]
        if layout.columns > parameters:
            logits[o] = point[at + parameters]
    values, period = np.empty(SHARED + 2), np.empty(layout.calendar)
    shared_at(point, layout, values, period)
    log_spreads = point[layout.within : layout.within + parameters].copy()
    return Drawn(means, log_spreads, values[:SHARED].copy(), period, logits), values


def _compiled(sources: int) -> Any:
    """Make the parts; Numba's cache on disk tells versions apart by what they close over.

    They are put together below by Python, as each is compiled faster than all of them at once.
    """

    @njit(error_model="numpy", nogil=True, cache=True)
    def begin(x, turning, layout, rows, point):  # type: ignore[no-untyped-def]
        """From x to the population: log density so far, what `finish` needs, the population."""
        _ = sources
        psi, slope, stretch = (
            np.empty(layout.size),
            np.empty(layout.size),
            np.empty((2, layout.size)),
        )
        total = turned(x, turning.centre, turning.scale, turning.skews, psi, stretch)
        total += to_point(
            psi, turning.group_precision, turning.group_weighted, turning.period_precision,
            turning.period_weighted, layout, point, slope,
        )  # fmt: skip
        population, values = _population(point, layout, rows)
        return total, psi, slope, stretch, population, values

    @njit(error_model="numpy", nogil=True, cache=True)
    def finish(  # type: ignore[no-untyped-def]
        psi, slope, stretch, turning, layout, point, population, values, by, slopes
    ):
        """Take the derivatives by the population back to x; fills the first places of `slopes`."""
        _ = sources
        parameters = layout.parameters
        by_point = np.zeros(layout.size)
        for o in range(len(by.means)):
            at = layout.means + o * layout.columns if layout.organizations > 0 else layout.location
            for k in range(parameters):
                by_point[at + k] += by.means[o, k]
            if layout.columns > parameters:
                by_point[at + parameters] += by.logits[o]
        for k in range(parameters):
            by_point[layout.within + k] += by.log_spreads[k]
        add_by_shared(layout, values, by.shared, by.period, by_point)
        to_coordinates(
            psi, turning.group_precision, turning.group_weighted, turning.period_precision,
            turning.period_weighted, layout, point, by_point, slope,
        )  # fmt: skip
        turned_back(slope, turning.scale, stretch, slopes)

    @njit(error_model="numpy", nogil=True, cache=True)
    def parameters(y, group, aim, population, weighted, chol, inverse, centre, straight, theta):  # type: ignore[no-untyped-def]
        """As `bayes_hfgrowth.inference.whitening.to_parameters`."""
        _ = sources
        return to_parameters(
            y, group, aim, population, weighted, chol, inverse, centre, straight, theta
        )

    @njit(error_model="numpy", nogil=True, cache=True)
    def parameters_back(  # type: ignore[no-untyped-def]
        group, aim, population, chol, inverse, centre, straight, theta, by_theta, by, by_y
    ):
        """As `bayes_hfgrowth.inference.whitening.to_coordinates_back`."""
        _ = sources
        return to_coordinates_back(
            group, aim, population, chol, inverse, centre, straight, theta, by_theta, by, by_y
        )

    @njit(error_model="numpy", nogil=True, cache=True)
    def population_of(point, layout, rows):  # type: ignore[no-untyped-def]
        """The population at a point."""
        _ = sources
        return _population(point, layout, rows)[0]

    return begin, finish, parameters, parameters_back, population_of


_PARTS = (coordinates, elementary, formulas, preconditioner, ridge, whitening)
_begin, _finish, _parameters, _parameters_back, _population_of = _compiled(
    version_of(*(module.__file__ for module in _PARTS), __file__)
)


def population_at(point: Floats, data: Data) -> Drawn:
    """The population at a point.

    Parameters
    ----------
    point : ndarray, shape (size of the population,)
    data : Data
        Says where its parts stand.
    """
    return Drawn(*_population_of(point, data.layout, data.organizations))


def posterior_density(
    x: Floats, data: Data, pool: Executor | None = None
) -> tuple[float, Floats, Floats, Floats]:
    """Log density of population and base models, and its gradient.

    Parameters
    ----------
    x : ndarray, shape (dimensions,)
        Coordinates of the population, then of the base models.
    data : Data
        What it reads beside.
    pool : concurrent.futures.Executor, optional
        A thread that takes the base models without fine-tunes meanwhile.

    Returns
    -------
    value : float
        Up to a constant.
    slope : ndarray, shape (dimensions,)
    point : ndarray, shape (size of the population,)
    theta : ndarray, shape (base models, parameters)
    """
    layout, told = data.layout, len(data.whitening.weighted)
    y = x[layout.size :].reshape(-1, layout.parameters)
    point, theta, by_y = np.empty(layout.size), np.empty(y.shape), np.empty(y.shape)
    total, psi, slope, stretch, population, values = _begin(
        x, data.turning, layout, data.organizations, point
    )
    population = Drawn(*population)
    by, by_zeros = (Drawn(*(np.zeros(part.shape) for part in population)) for _ in range(2))
    zeros = (
        data.law, data.m, y[told:], data.group[told:], data.zeros, population, theta[told:],
        by_zeros,
    )  # fmt: skip
    running = None if pool is None else pool.submit(log_zero_counts, *zeros)
    value, by_y[:told] = _base_models(y[:told], data, population, theta[:told], by)
    more, by_y[told:] = log_zero_counts(*zeros) if running is None else running.result()
    for part, addend in zip(by, by_zeros, strict=True):
        part += addend
    slopes = np.empty(len(x))
    slopes[layout.size :] = by_y.ravel()
    _finish(psi, slope, stretch, data.turning, layout, point, population, values, by, slopes)
    total += value + more
    return total if total == total else -np.inf, slopes, point, theta


def _base_models(
    y: Floats, data: Data, population: Drawn, theta: Floats, by: Drawn
) -> tuple[float, Floats]:
    """Log density of base models with fine-tunes at whitened coordinates, and its gradient."""
    n, size = y.shape
    matrices = (np.zeros((n, size, size)), np.zeros((n, size, size)))  # L and its inverse
    weighted, centre, straight, by_y = (np.empty((n, size)) for _ in range(4))
    value = _parameters(
        y, data.group[:n], data.whitening, population, weighted, *matrices, centre, straight,
        theta,
    )  # fmt: skip
    start = data.months.start
    months, by_theta, by_shared, by_period = gradients_of(
        data.law, data.months, start[:-1], np.diff(start), data.m, theta, population.shared,
        population.period,
    )  # fmt: skip
    by.shared[:] += by_shared.sum(axis=0)
    by.period[:] += by_period.sum(axis=0)
    value += _parameters_back(
        data.group[:n], data.whitening, population, *matrices, centre, straight, theta, by_theta,
        by, by_y,
    )  # fmt: skip
    return value + months.sum(), by_y
