"""The log density that the engine moves in, with its gradient, compiled by Numba.

It puts together what has its formulas elsewhere: the coordinates of the population
(`bayes_hfgrowth.inference.preconditioner`, `bayes_hfgrowth.inference.coordinates`), and the base
models in coordinates of their own (`bayes_hfgrowth.inference.whitening`) or, without fine-tunes, in
those of their organization (`bayes_hfgrowth.inference.zero_counts`).
"""

from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.elementary import inner, version_of
from bayes_hfgrowth.growth.law import SHARED, Floats, Integers, Observed, Shared
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
    NonCentring,
    Placed,
    PopulationPoint,
    room_for,
    to_coordinates_back,
    to_parameters,
)
from bayes_hfgrowth.inference.zero_counts import zero_counts_back, zero_counts_parameters

__all__ = ["Data", "LinearPreconditioner", "posterior_density"]


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


class Data(NamedTuple):
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


class Place(NamedTuple):
    """A place and what stands there, kept for the way back.

    Parameters
    ----------
    psi, slope, point : ndarray, shape (size of the population,)
        Coordinates of the population, the slope of the log density there so far, and the point.
    stretch : ndarray, shape (2, size of the population)
        From `bayes_hfgrowth.inference.preconditioner.preconditioned`.
    values : ndarray, shape (SHARED + 2,)
        From `bayes_hfgrowth.inference.coordinates.shared_at`.
    population : PopulationPoint
        The population.
    placed : Placed
        Base models with fine-tunes.
    zeros : ndarray, shape (base models without fine-tunes, parameters)
        Growth parameters of the others.
    """

    psi: Floats
    slope: Floats
    point: Floats
    stretch: Floats
    values: Floats
    population: PopulationPoint
    placed: Placed
    zeros: Floats


def _place_for(data: Data, theta: Floats) -> Place:
    """Room for a place; growth parameters will stand in `theta`."""
    layout, n = data.layout, len(data.non_centring.weighted)
    rows, size, p = data.organizations, layout.size, layout.parameters
    return Place(
        psi=np.empty(size),
        slope=np.empty(size),
        point=np.empty(size),
        stretch=np.empty((2, size)),
        values=np.empty(SHARED + 2),
        population=PopulationPoint(
            means=np.empty((rows, p)),
            log_scales=np.empty(p),
            shared=np.empty(SHARED),
            period=np.empty(layout.calendar),
            logits=np.empty(rows),
        ),
        placed=Placed(room_for.py_func(n, p), ridge=np.empty((n, p)), theta=theta[:n]),
        zeros=theta[n:],
    )


@inner()
def _read_population(layout: Layout, place: Place) -> None:
    """Fill the population and all shared parameters from the point."""
    point, population, parameters = place.point, place.population, layout.parameters
    for o in range(len(population.means)):
        at = layout.means + o * layout.columns if layout.organizations > 0 else layout.location
        for k in range(parameters):
            population.means[o, k] = point[at + k]
        population.logits[o] = point[at + parameters] if layout.columns > parameters else -np.inf
    shared_at(point, layout, place.values, population.period)
    for k in range(len(population.shared)):
        population.shared[k] = place.values[k]
    for k in range(parameters):
        population.log_scales[k] = point[layout.within + k]


def _parts(sources: int) -> Any:
    """Make the parts; Numba's cache on disk tells versions apart by what they close over.

    The months between the two are gone through by what `bayes_hfgrowth.growth.adjoint` has
    compiled, which would be compiled once more if all were one.
    """

    @njit(error_model="numpy", nogil=True, cache=True)
    def forward(x, data, place):  # type: ignore[no-untyped-def]
        """From x to the growth parameters; fills `place`, and returns the log density so far."""
        _ = sources
        layout, linear, n = data.layout, data.linear, len(data.non_centring.weighted)
        total = preconditioned(
            x, linear.centre, linear.scale, linear.sinh_arcsinh, place.psi, place.stretch
        )
        total += to_point(place.psi, linear.summaries, layout, place.point, place.slope)
        _read_population(layout, place)
        y = x[layout.size :].reshape(-1, layout.parameters)
        group, population = data.group, place.population
        total += to_parameters(y[:n], group[:n], data.non_centring, population, place.placed)
        zero_counts_parameters(y[n:], group[n:], population, place.zeros)
        return total

    @njit(error_model="numpy", nogil=True, cache=True)
    def backward(x, data, place, months, zero_months, slopes):  # type: ignore[no-untyped-def]
        """Take the derivatives of the months back to x, which fills `slopes`."""
        _ = sources
        layout, linear, n = data.layout, data.linear, len(data.non_centring.weighted)
        parameters, population, group = layout.parameters, place.population, data.group
        y = x[layout.size :].reshape(-1, parameters)
        by_y = slopes[layout.size :].reshape(-1, parameters)
        by = PopulationPoint(
            np.zeros(population.means.shape),
            np.zeros(parameters),
            np.zeros(len(population.shared)),
            np.zeros(len(population.period)),
            np.zeros(len(population.logits)),
        )
        total = 0.0
        for i in range(n):
            total += months.value[i]
            for k in range(len(by.shared)):
                by.shared[k] += months.values[i, k]
            for k in range(len(by.period)):
                by.period[k] += months.period[i, k]
        total += to_coordinates_back(
            group[:n], data.non_centring, population, place.placed, months.theta, by, by_y[:n]
        )
        total += zero_counts_back(y[n:], group[n:], population, zero_months, by, by_y[n:])
        by_point = np.zeros(layout.size)
        for o in range(len(by.means)):
            at = layout.means + o * layout.columns if layout.organizations > 0 else layout.location
            for k in range(parameters):
                by_point[at + k] += by.means[o, k]
            if layout.columns > parameters:
                by_point[at + parameters] += by.logits[o]
        for k in range(parameters):
            by_point[layout.within + k] += by.log_scales[k]
        add_by_shared(layout, place.values, by.shared, by.period, by_point)
        slope = place.slope
        to_coordinates(place.psi, linear.summaries, layout, place.point, by_point, slope)
        preconditioned_back(slope, linear.scale, place.stretch, slopes)
        return total

    return forward, backward


_forward, _backward = _parts(version_of(__file__))


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
        A thread that takes the months of the base models without fine-tunes meanwhile.

    Returns
    -------
    value : float
        Up to a constant.
    slope : ndarray, shape (dimensions,)
    point : ndarray, shape (size of the population,)
    theta : ndarray, shape (base models, parameters)
    """
    n, parameters = len(data.non_centring.weighted), data.layout.parameters
    theta, slopes = np.empty((len(data.group), parameters)), np.empty(len(x))
    place = _place_for(data, theta)
    total = _forward(x, data, place)
    shared = Shared(place.population.shared, place.population.period)
    zeros = data.zeros, theta[n:], shared
    running = None if pool is None else pool.submit(gradients_of, *zeros)
    months = gradients_of(data.observed, theta[:n], shared)
    zero_months = gradients_of(*zeros) if running is None else running.result()
    total += _backward(x, data, place, months, zero_months, slopes)
    return total if total == total else -np.inf, slopes, place.point, theta
