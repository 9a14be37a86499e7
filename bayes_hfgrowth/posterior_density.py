"""The log densities that the engine moves in, with their gradients, compiled by Numba.

They put together what has its formulas elsewhere: the coordinates of the population
(`bayes_hfgrowth.turning`, `bayes_hfgrowth.coordinates`), and the base models in coordinates of
their own (`bayes_hfgrowth.whitening`) or averaged over points (`bayes_hfgrowth.averaging`).
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth import averaging, coordinates, crosses, straightening, turning, whitening
from bayes_hfgrowth.averaging import log_average, pick, renew
from bayes_hfgrowth.coordinates import Layout, add_by_shared, shared_at, to_coordinates, to_point
from bayes_hfgrowth.growth import adjoint, elementary, points
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import inner, version_of
from bayes_hfgrowth.growth.law import SHARED, Floats, Integers, Months
from bayes_hfgrowth.turning import turned, turned_back
from bayes_hfgrowth.whitening import Drawn, Whitening, log_density

__all__ = [
    "Data",
    "Turning",
    "pick_points",
    "population_at",
    "population_density",
    "posterior_density",
    "renew_points",
]


class Turning(NamedTuple):
    """Coordinates of the population, as an earlier run aimed them.

    Parameters
    ----------
    centre, scale, skews : ndarray
        Of `bayes_hfgrowth.turning`.
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
        Organization of each; those with fine-tunes come first.
    organizations : int
        How many there are.
    told : int
        How many base models have fine-tunes.
    months : Months
        The observed months.
    """

    law: int
    m: float
    layout: Layout
    turning: Turning
    whitening: Whitening
    group: Integers
    organizations: int
    told: int
    months: Months


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
    def base_models(  # type: ignore[no-untyped-def]
        law, m, y, state, group, months, aim, population, theta, by
    ):
        """As `bayes_hfgrowth.whitening.log_density`."""
        _ = sources
        return log_density(law, m, y, state, group, months, aim, population, theta, by)

    @njit(error_model="numpy", nogil=True, cache=True)
    def averaged(theta, log_weights, first, silent, group, population, by):  # type: ignore[no-untyped-def]
        """As `bayes_hfgrowth.averaging.log_average`."""
        _ = sources
        return log_average(theta, log_weights, first, silent, group, population, by)

    @njit(error_model="numpy", nogil=True, cache=True)
    def renew_points(  # type: ignore[no-untyped-def]
        law, m, first, kept, state, rng, centre, root, pivots, months, shared, period, points,
        theta, log_weights, fresh,
    ):  # fmt: skip
        """As `bayes_hfgrowth.averaging.renew`."""
        _ = sources
        renew(
            law, m, first, kept, state, rng, centre, root, pivots, months, shared, period, points,
            theta, log_weights, fresh,
        )  # fmt: skip

    @njit(error_model="numpy", nogil=True, cache=True)
    def pick_points(  # type: ignore[no-untyped-def]
        theta, log_weights, first, silent, group, population, uniform, picked
    ):
        """As `bayes_hfgrowth.averaging.pick`."""
        _ = sources
        pick(theta, log_weights, first, silent, group, population, uniform, picked)

    @njit(error_model="numpy", nogil=True, cache=True)
    def population_of(point, layout, rows):  # type: ignore[no-untyped-def]
        """The population at a point."""
        _ = sources
        return _population(point, layout, rows)[0]

    return begin, finish, base_models, averaged, renew_points, pick_points, population_of


_PARTS = (
    adjoint, averaging, coordinates, crosses, elementary, formulas, points, straightening, turning,
    whitening,
)  # fmt: skip
_begin, _finish, _base_models, _averaged, renew_points, pick_points, _population_of = _compiled(
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
    x: Floats, data: Data, state: Integers, pool: Executor | None = None
) -> tuple[float, Floats, Floats, Floats]:
    """Log density of population and base models, and its gradient.

    Parameters
    ----------
    x : ndarray, shape (dimensions,)
        Coordinates of the population, then of the base models.
    data : Data
        What it reads beside.
    state : ndarray of int64, shape (base models,)
        Which may be dormant; as in `bayes_hfgrowth.whitening.log_density`.
    pool : concurrent.futures.Executor, optional
        Threads that take a half of the base models each.

    Returns
    -------
    value : float
        Up to a constant.
    slope : ndarray, shape (dimensions,)
    point : ndarray, shape (size of the population,)
    theta : ndarray, shape (base models, parameters)
    """
    aim = data.whitening
    y, theta = x[data.layout.size :].reshape(aim.weighted.shape), np.empty(aim.weighted.shape)

    def some(part: slice, population: Drawn, by: Drawn) -> tuple[float, Floats]:
        start = data.months.start[part.start : part.stop + 1]
        cross = aim.cross[part.start : part.stop]
        own = Whitening(
            aim.precision[part], aim.weighted[part], cross, aim.origin, aim.pivots[part]
        )
        value, by_y = _base_models(
            data.law, data.m, y[part], state[part], data.group[part],
            data.months._replace(start=start), own, population, theta[part], by,
        )  # fmt: skip
        return value, by_y.ravel()

    def base_models(population: Drawn, by: Drawn) -> tuple[float, Floats]:
        if pool is None:
            return some(slice(0, len(y)), population, by)
        middle = int(np.searchsorted(data.months.start, data.months.start[-1] // 2))
        other = Drawn(*(np.zeros_like(part) for part in by))
        running = pool.submit(some, slice(middle, len(y)), population, other)
        value, by_y = some(slice(0, middle), population, by)
        more, by_rest = running.result()
        for part, addend in zip(by, other, strict=True):
            part += addend
        return value + more, np.concatenate([by_y, by_rest])

    value, slope, point, _ = _with_parts(x, data, base_models)
    return value, slope, point, theta


def population_density(
    x: Floats, data: Data, told: tuple[Floats, Floats], silent: tuple[Floats, Floats]
) -> tuple[float, Floats, Floats, Drawn]:
    """Log density of the population, base models averaged over points, and its gradient.

    What enters the months themselves is held: its derivatives are 0.

    Parameters
    ----------
    x : ndarray, shape (size of the population,)
        Its coordinates.
    data : Data
        What it reads beside.
    told, silent : tuple of ndarray
        ``theta`` and ``log_weights`` of the base models with and without fine-tunes, filled by
        `renew_points`.

    Returns
    -------
    value : float
        Up to a constant.
    slope, point : ndarray, shape (size of the population,)
    population : Drawn
    """

    def averaged(population: Drawn, by: Drawn) -> tuple[float, Floats]:
        value = _averaged(*told, 0, False, data.group, population, by)
        value += _averaged(*silent, data.told, True, data.group, population, by)
        return value, np.empty(0)

    value, slope, point, population = _with_parts(x, data, averaged)
    slope[: data.layout.held] = 0.0
    return value, slope, point, population


def _with_parts(
    x: Floats, data: Data, base_models: Callable[[Drawn, Drawn], tuple[float, Floats]]
) -> tuple[float, Floats, Floats, Drawn]:
    """Put population and base models together: value, slope, point and population."""
    layout = data.layout
    point = np.empty(layout.size)
    total, psi, slope, stretch, population, values = _begin(
        x, data.turning, layout, data.organizations, point
    )
    population = Drawn(*population)
    by = Drawn(*(np.zeros(part.shape) for part in population))
    slopes = np.empty(len(x))
    value, further = base_models(population, by)
    slopes[len(x) - len(further) :] = further
    _finish(psi, slope, stretch, data.turning, layout, point, population, values, by, slopes)
    return total + value, slopes, point, population
