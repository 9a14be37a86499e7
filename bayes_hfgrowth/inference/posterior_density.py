"""The log density that the engine moves in, with its gradient, compiled by Numba.

It puts together what has its formulas elsewhere: the coordinates of the population
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
from bayes_hfgrowth.growth.law import SHARED, Floats, Integers, Observed, Shared
from bayes_hfgrowth.inference import (
    coordinates,
    population_layout,
    preconditioner,
    ridge,
    whitening,
)
from bayes_hfgrowth.inference.coordinates import (
    PopulationSummaries,
    add_by_shared,
    shared_at,
    to_coordinates,
    to_point,
)
from bayes_hfgrowth.inference.population_layout import Layout
from bayes_hfgrowth.inference.preconditioner import preconditioned, preconditioned_back
from bayes_hfgrowth.inference.whitening import (
    Factors,
    NonCentring,
    Placed,
    PopulationPoint,
    to_coordinates_back,
    to_parameters,
)
from bayes_hfgrowth.inference.zero_counts import log_zero_counts

__all__ = [
    "Data",
    "LinearPreconditioner",
    "posterior_density",
]


class LinearPreconditioner(NamedTuple):
    """Coordinates of the population, as an earlier run adapted them.

    Parameters
    ----------
    centre, scale, sinh_arcsinh : ndarray
        Of `bayes_hfgrowth.inference.preconditioner`.
    summaries : PopulationSummaries
        Of what base models say of the organization means and of the period effects.
    """

    centre: Floats
    scale: Floats
    sinh_arcsinh: Floats
    summaries: PopulationSummaries


class Begun(NamedTuple):
    """A place and the population there, for the way back.

    Parameters
    ----------
    psi, slope, point : ndarray, shape (size of the population,)
        Coordinates of the population, the slope of the log density there so far, and the point.
    stretch : ndarray, shape (2, size of the population)
        From `bayes_hfgrowth.inference.preconditioner.preconditioned`.
    values : ndarray, shape (SHARED + 2,)
        From `bayes_hfgrowth.inference.coordinates.shared_at`.
    """

    psi: Floats
    slope: Floats
    point: Floats
    stretch: Floats
    values: Floats


@dataclass(frozen=True, eq=False)
class Data:
    """What a log density reads beside the place at which it is taken.

    Parameters
    ----------
    layout : Layout
        Where the parts of the population stand in a point.
    linear : LinearPreconditioner
        Coordinates of the population.
    non_centring : NonCentring
        Coordinates of the base models.
    group : ndarray of int64, shape (base models,)
        Organization of each base model; those with fine-tunes come first.
    organizations : int
        How many there are.
    observed, zeros : Observed
        Base models with and without fine-tunes. Those of an age should stand together.
    """

    layout: Layout
    linear: LinearPreconditioner
    non_centring: NonCentring
    group: Integers
    organizations: int
    observed: Observed
    zeros: Observed


@inner()
def _population(point: Floats, layout: Layout, rows: int) -> tuple[PopulationPoint, Floats]:
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
    log_scales = point[layout.within : layout.within + parameters].copy()
    return PopulationPoint(means, log_scales, values[:SHARED].copy(), period, logits), values


def _parts(sources: int) -> Any:
    """Make the parts; Numba's cache on disk tells versions apart by what they close over.

    They are put together below by Python, as each is compiled faster than all of them at once.
    """

    @njit(error_model="numpy", nogil=True, cache=True)
    def begin(x, linear, layout, rows, begun):  # type: ignore[no-untyped-def]
        """From x to the population: log density so far, and the population; fills `begun`."""
        _ = sources
        total = preconditioned(
            x, linear.centre, linear.scale, linear.sinh_arcsinh, begun.psi, begun.stretch
        )
        total += to_point(begun.psi, linear.summaries, layout, begun.point, begun.slope)
        population, values = _population(begun.point, layout, rows)
        begun.values[:] = values
        return total, population

    @njit(error_model="numpy", nogil=True, cache=True)
    def finish(begun, linear, layout, by, slopes):  # type: ignore[no-untyped-def]
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
            by_point[layout.within + k] += by.log_scales[k]
        add_by_shared(layout, begun.values, by.shared, by.period, by_point)
        psi, slope = begun.psi, begun.slope
        to_coordinates(psi, linear.summaries, layout, begun.point, by_point, slope)
        preconditioned_back(slope, linear.scale, begun.stretch, slopes)

    @njit(error_model="numpy", nogil=True, cache=True)
    def parameters(y, group, non_centring, population, placed):  # type: ignore[no-untyped-def]
        """As `bayes_hfgrowth.inference.whitening.to_parameters`."""
        _ = sources
        return to_parameters(y, group, non_centring, population, placed)

    @njit(error_model="numpy", nogil=True, cache=True)
    def parameters_back(group, non_centring, population, placed, by_theta, by, by_y):  # type: ignore[no-untyped-def]
        """As `bayes_hfgrowth.inference.whitening.to_coordinates_back`."""
        _ = sources
        return to_coordinates_back(group, non_centring, population, placed, by_theta, by, by_y)

    return begin, finish, parameters, parameters_back


_PARTS = (coordinates, elementary, formulas, population_layout, preconditioner, ridge, whitening)
_begin, _finish, _parameters, _parameters_back = _parts(
    version_of(*(module.__file__ for module in _PARTS), __file__)
)


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
    layout, n = data.layout, len(data.non_centring.weighted)
    y = x[layout.size :].reshape(-1, layout.parameters)
    theta, by_y = np.empty(y.shape), np.empty(y.shape)
    begun = Begun(
        psi=np.empty(layout.size),
        slope=np.empty(layout.size),
        point=np.empty(layout.size),
        stretch=np.empty((2, layout.size)),
        values=np.empty(SHARED + 2),
    )
    total, population = _begin(x, data.linear, layout, data.organizations, begun)
    population = PopulationPoint(*population)
    by, by_zeros = (
        PopulationPoint(*(np.zeros(part.shape) for part in population)) for _ in range(2)
    )
    zeros = data.zeros, y[n:], data.group[n:], population, theta[n:], by_zeros
    running = None if pool is None else pool.submit(log_zero_counts, *zeros)
    value, by_y[:n] = _base_models(y[:n], data, population, theta[:n], by)
    more, by_y[n:] = log_zero_counts(*zeros) if running is None else running.result()
    for part, addend in zip(by, by_zeros, strict=True):
        part += addend
    slopes = np.empty(len(x))
    slopes[layout.size :] = by_y.ravel()
    _finish(begun, data.linear, layout, by, slopes)
    total += value + more
    return total if total == total else -np.inf, slopes, begun.point, theta


def _base_models(
    y: Floats, data: Data, population: PopulationPoint, theta: Floats, by: PopulationPoint
) -> tuple[float, Floats]:
    """Log density of base models with fine-tunes at non-centred coordinates, and its gradient."""
    n, size = y.shape
    group, by_y = data.group[:n], np.empty((n, size))
    matrices = np.zeros((n, size, size)), np.zeros((n, size, size))
    factors = Factors(*matrices, np.empty((n, size)), np.zeros((2, size, size)))
    placed = Placed(factors, np.empty((n, size)), theta)
    value = _parameters(y, group, data.non_centring, population, placed)
    months = gradients_of(data.observed, theta, Shared(population.shared, population.period))
    by.shared[:] += months.values.sum(axis=0)
    by.period[:] += months.period.sum(axis=0)
    value += _parameters_back(group, data.non_centring, population, placed, months.theta, by, by_y)
    return value + months.value.sum(), by_y
