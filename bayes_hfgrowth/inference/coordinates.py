"""The coordinates in which the sampler moves the population.

They are a point (`bayes_hfgrowth.inference.population_layout`) but for two parts. In the place of
the means of an organization the sampler moves coordinates that are to the global level what
those of `bayes_hfgrowth.inference.whitening` are to the organization: what its base models say of
the means is summed up beforehand as a normal likelihood, which centres an organization as far as
its data are strong. In the place of the period effects it moves e in

    z = c + L⁻ᵀ e,    Q + H = L Lᵀ,    c = (Q + H)⁻¹ b,

with the precision matrix Q of the autoregression and a normal summary H, b of what the months
of all base models say of z. A poor summary costs speed, not truth.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.law import Floats
from bayes_hfgrowth.inference.population_layout import (
    BETA,
    EXPONENTIAL,
    GAMMA,
    HALF_NORMAL,
    INNOVATION,
    LOG_NORMAL,
    NORMAL,
    PERSISTENCE,
    Layout,
    PopulationLayout,
)
from bayes_hfgrowth.inference.whitening import (
    Level,
    LevelSlopes,
    back,
    by_log_normal,
    factorise,
    log_normal,
    precisions,
    room_for,
)

__all__ = [
    "PopulationSummaries",
    "add_by_shared",
    "coordinates_at",
    "log_prior_at",
    "period_factors",
    "shared_at",
    "to_coordinates",
    "to_point",
]

_NEAR = 1e-4  # of logit persistence and ln innovation, for differences


class PopulationSummaries(NamedTuple):
    """Normal summaries of what the months of all base models say of the population.

    Parameters
    ----------
    group_precision : ndarray, shape (organizations, columns, columns)
    group_weighted : ndarray, shape (organizations, columns)
        Precision matrix and precision-weighted centre for the means of each organization.
    period_precision : ndarray, shape (calendar months, calendar months)
    period_weighted : ndarray, shape (calendar months,)
        The same, H and b, for the period effects.
    """

    group_precision: Floats
    group_weighted: Floats
    period_precision: Floats
    period_weighted: Floats


@njit(error_model="numpy")
def log_prior_at(prior: Floats, t: float) -> tuple[float, float]:
    """Log density of a prior at an unbounded coordinate, up to a constant, and its derivative.

    Parameters
    ----------
    prior : ndarray, shape (3,)
        Kind and parameters, from `Layout.priors`.
    t : float
        The value itself under a normal prior, its logit under a beta one, else its logarithm;
        the Jacobian of that is part of the density.
    """
    kind, a, b = int(prior[0]), prior[1], prior[2]
    if kind in (NORMAL, LOG_NORMAL):
        z = (t - a) / b
        return -0.5 * z * z, -z / b
    if kind == HALF_NORMAL:
        square = math.exp(2.0 * t) / (a * a)
        return t - 0.5 * square, 1.0 - square
    if kind == GAMMA:
        rate = b * math.exp(t)
        return a * t - rate, a - rate
    if kind == EXPONENTIAL:
        rate = math.exp(t) / a
        return t - rate, 1.0 - rate
    share = 1.0 / (1.0 + math.exp(-t))
    return a * math.log(share) + b * math.log(1.0 - share), a * (1.0 - share) - b * share


@njit(error_model="numpy")
def _natural(t: float, kind: int) -> float:
    """From the unbounded scale of a kind of prior."""
    if kind == BETA:
        return 1.0 / (1.0 + math.exp(-t))
    return t if kind == NORMAL else math.exp(t)


# --- Period effects ---------------------------------------------------------------------------


@njit(error_model="numpy")
def period_factors(
    persistence: float, scale: float, summaries: PopulationSummaries
) -> tuple[Floats, Floats, float]:
    """Centre c, root L and ln|L| of Q + H.

    Parameters
    ----------
    persistence, scale : float
        Coefficient of the autoregression, and the standard deviation of what a month adds.
    summaries : PopulationSummaries
        Hold H and b.
    """
    precision, weighted = summaries.period_precision, summaries.period_weighted
    months = len(weighted)
    root, centre = np.zeros((months, months)), np.empty(months)
    log_root = 0.0
    weight = 1.0 / (scale * scale)
    for r in range(months):
        for c in range(r + 1):
            value = precision[r, c]
            if r == c:
                inner = 0 < r < months - 1
                square = persistence * persistence
                value += weight * (1.0 + square if inner else 1.0 if months > 1 else 1.0 - square)
            elif c == r - 1:
                value -= weight * persistence
            for k in range(c):
                value -= root[r, k] * root[c, k]
            if r == c:
                root[r, r] = math.sqrt(max(value, 1e-300))
                log_root += math.log(root[r, r])
            else:
                root[r, c] = value / root[c, c]
    for r in range(months):
        value = weighted[r]
        for k in range(r):
            value -= root[r, k] * centre[k]
        centre[r] = value / root[r, r]
    _solve_upper(root, centre)
    return centre, root, log_root


@njit(error_model="numpy")
def _solve_upper(root: Floats, values: Floats) -> None:
    """Solve Lᵀ x = values in place."""
    for r in range(len(values) - 1, -1, -1):
        for k in range(r + 1, len(values)):
            values[r] -= root[k, r] * values[k]
        values[r] /= root[r, r]


@njit(error_model="numpy")
def _hyper(psi: Floats, layout: Layout, moved: int, by: float) -> tuple[float, float]:
    """Persistence and innovation at coordinates, one of the two moved by a little."""
    found = np.empty(2)
    for k in range(2):
        index = PERSISTENCE + k
        found[k] = layout.fixed[index]
        if layout.source[index] >= 0:
            t = psi[layout.source[index]] + (by if k == moved else 0.0)
            found[k] = _natural(t, layout.kind[index])
    return min(found[0], 1.0 - 1e-12), found[1]


@njit(error_model="numpy")
def _effects(
    psi: Floats, summaries: PopulationSummaries, layout: Layout, moved: int, by: float
) -> tuple[Floats, float]:
    """Period effects at coordinates, and ln|L|."""
    persistence, scale = _hyper(psi, layout, moved, by)
    centre, root, log_root = period_factors(persistence, scale, summaries)
    effects = psi[layout.period : layout.location].copy()
    _solve_upper(root, effects)
    for k in range(len(effects)):
        effects[k] += centre[k]
    return effects, log_root


@njit(error_model="numpy")
def _by_period(
    psi: Floats,
    summaries: PopulationSummaries,
    layout: Layout,
    by_point: Floats,
    jacobian: bool,
    slope: Floats,
) -> None:
    """Take a derivative by the period effects back to the coordinates.

    Those by persistence and innovation are central differences: there are but two of them, and
    the sampler needs its forces to be good, not exact.
    """
    persistence, scale = _hyper(psi, layout, -1, 0.0)
    _, root, _ = period_factors(persistence, scale, summaries)
    by = by_point[layout.period : layout.location]
    solved = by.copy()
    for r in range(len(by)):
        for k in range(r):
            solved[r] -= root[r, k] * solved[k]
        solved[r] /= root[r, r]
        slope[layout.period + r] += solved[r]
    for k in range(2):
        at = layout.source[PERSISTENCE + k]
        if at >= 0:
            up, log_up = _effects(psi, summaries, layout, k, _NEAR)
            down, log_down = _effects(psi, summaries, layout, k, -_NEAR)
            change = -(log_up - log_down) if jacobian else 0.0
            for r in range(len(by)):
                change += by[r] * (up[r] - down[r])
            slope[at] += change / (2.0 * _NEAR)


@njit(error_model="numpy")
def _period_to_point(
    psi: Floats, summaries: PopulationSummaries, layout: Layout, point: Floats, slope: Floats
) -> float:
    """Fill in the period effects; their log density in the coordinates, and its derivatives."""
    effects, log_root = _effects(psi, summaries, layout, -1, 0.0)
    point[layout.period : layout.location] = effects
    persistence, scale = _hyper(psi, layout, -1, 0.0)
    months, left = len(effects), 1.0 - persistence * persistence
    by_point = np.zeros(layout.location)
    squares = left * effects[0] * effects[0]
    by_point[layout.period] = -left * effects[0] / (scale * scale)
    by_persistence = persistence * effects[0] * effects[0] / (scale * scale) - persistence / left
    for k in range(1, months):
        step = effects[k] - persistence * effects[k - 1]
        squares += step * step
        by_point[layout.period + k] -= step / (scale * scale)
        by_point[layout.period + k - 1] += persistence * step / (scale * scale)
        by_persistence += effects[k - 1] * step / (scale * scale)
    squares /= scale * scale
    _by_period(psi, summaries, layout, by_point, True, slope)
    at = layout.source[PERSISTENCE]
    if at >= 0:
        slope[at] += by_persistence * persistence * (1.0 - persistence)
    at = layout.source[INNOVATION]
    if at >= 0:
        slope[at] += squares - months
    return 0.5 * math.log(left) - months * math.log(scale) - 0.5 * squares - log_root


# --- From a point to its coordinates -----------------------------------------------------------


def coordinates_at(
    layout: PopulationLayout, points: Floats, summaries: PopulationSummaries
) -> Floats:
    """Coordinates of points, the inverse of `to_point`.

    Parameters
    ----------
    layout : PopulationLayout
        Where everything stands.
    points : ndarray, shape (draws, size)
        On the unbounded scale.
    summaries : PopulationSummaries
        As there.

    Returns
    -------
    ndarray, shape (draws, size)
    """
    out = points.copy()
    block = layout.blocks["period"]
    if block.stop > block.start:
        parts = layout.read(points)
        pairs = zip(parts.persistence, parts.innovation, strict=True)
        for row, (persistence, scale) in zip(out[:, block], pairs, strict=True):
            centre, root, _ = period_factors(persistence, scale, summaries)
            row[:] = root.T @ (row - centre)
    if layout.pooled:
        blocks = layout.blocks
        q = np.exp(-2.0 * points[:, blocks["between"]])
        location = points[:, blocks["location"]]
        precision, weighted = summaries.group_precision, summaries.group_weighted
        means = points[:, blocks["means"]].reshape(len(points), *weighted.shape).copy()
        for o in range(layout.organizations):
            joint = precision[o] + q[:, :, None] * np.eye(layout.columns)
            centre = np.linalg.solve(joint, (weighted[o] + q * location)[:, :, None])
            root = np.linalg.cholesky(joint)
            away = means[:, o] - centre[:, :, 0]
            means[:, o] = np.einsum("srk,sr->sk", root, away)
        out[:, blocks["means"]] = means.reshape(len(points), -1)
    return out


# --- From coordinates to the population, and derivatives back ---------------------------------


@njit(error_model="numpy")
def _above(psi: Floats, layout: Layout) -> Level:
    """The global level, from which organizations are drawn."""
    here, apart, columns = layout.location, layout.between, layout.columns
    location = psi[here : here + columns].reshape((1, columns))
    return Level(location, precisions(psi[apart : apart + columns]))


@njit(error_model="numpy")
def _by_above(slope: Floats, layout: Layout) -> LevelSlopes:
    """Where the derivatives by the global level stand."""
    here, apart, columns = layout.location, layout.between, layout.columns
    by_location = slope[here : here + columns].reshape((1, columns))
    return LevelSlopes(by_location, slope[apart : apart + columns], np.empty(columns))


@njit(error_model="numpy")
def to_point(
    psi: Floats, summaries: PopulationSummaries, layout: Layout, point: Floats, slope: Floats
) -> float:
    """Point at coordinates, with the log prior density of the latter.

    Parameters
    ----------
    psi : ndarray, shape (size,)
        Coordinates: a point, but for non-centred ones in the place of the organization means and
        of the period effects.
    summaries : PopulationSummaries
        What the coordinates follow.
    layout : Layout
        Where everything stands.
    point : ndarray, shape (size,)
        Filled with the point.
    slope : ndarray, shape (size,)
        Filled with the derivative of the density by `psi`.

    Returns
    -------
    float
        Up to a constant.
    """
    columns, organizations = layout.columns, layout.organizations
    total = 0.0
    for at in range(len(psi)):
        point[at] = psi[at]
        slope[at] = 0.0
    for index in range(len(layout.at)):
        at = layout.at[index]
        value, by = log_prior_at(layout.priors[index], psi[at])
        total += value
        slope[at] += by
    if layout.location > layout.period:
        total += _period_to_point(psi, summaries, layout, point, slope)
    if organizations == 0:
        return total
    own = slice(layout.means, layout.means + organizations * columns)
    level = _above(psi, layout)
    y = psi[own].reshape((organizations, columns))
    means = point[own].reshape((organizations, columns))
    by_y = slope[own].reshape((organizations, columns))
    by_level = _by_above(slope, layout)
    factors, by_means = room_for(1, columns), np.zeros((organizations, columns))
    for o in range(organizations):
        factorise(o, 0, 0, summaries.group_precision, summaries.group_weighted, level, factors)
        for r in range(columns):
            means[o, r] = factors.centre[0, r]
            for k in range(r, columns):
                means[o, r] += factors.inverse[0, k, r] * y[o, k]
        total += log_normal(0, means[o], level.means[0], level.q, factors.chol)
        by_log_normal(o, 0, means, level, by_means, by_level)
        back((o, 0, 0), means, by_means, level, factors, by_level, by_y, True)
    return total


@njit(error_model="numpy")
def to_coordinates(
    psi: Floats,
    summaries: PopulationSummaries,
    layout: Layout,
    point: Floats,
    by_point: Floats,
    slope: Floats,
) -> None:
    """Take a derivative by the point back to one by the coordinates.

    Parameters
    ----------
    psi, summaries, layout, point
        As in `to_point`, filled by it.
    by_point : ndarray, shape (size,)
        Derivative of something by the point.
    slope : ndarray, shape (size,)
        Gets the derivative by `psi` added.
    """
    columns, organizations = layout.columns, layout.organizations
    first, after = layout.means, layout.means + organizations * columns
    some = layout.location > layout.period
    for at in range(len(psi)):
        if not first <= at < after and not (some and layout.period <= at < layout.location):
            slope[at] += by_point[at]
    if some:
        _by_period(psi, summaries, layout, by_point, False, slope)
    if organizations == 0:
        return
    own = slice(first, after)
    level, by = _above(psi, layout), _by_above(slope, layout)
    means = point[own].reshape((organizations, columns))
    by_means = by_point[own].reshape((organizations, columns))
    factors, by_y = room_for(1, columns), np.zeros((organizations, columns))
    for o in range(organizations):
        factorise(o, 0, 0, summaries.group_precision, summaries.group_weighted, level, factors)
        back((o, 0, 0), means, by_means, level, factors, by, by_y, False)
    for o in range(organizations):
        for k in range(columns):
            slope[first + o * columns + k] += by_y[o, k]


@njit(error_model="numpy")
def shared_at(point: Floats, layout: Layout, values: Floats, period: Floats) -> None:
    """What all base models share at a point.

    Parameters
    ----------
    point : ndarray, shape (size,)
    layout : Layout
        Where everything stands.
    values : ndarray, shape (SHARED + 2,)
        Filled with the law's parameters, then persistence and innovation of the period effect.
    period : ndarray, shape (calendar months,)
        Filled with the period effects.
    """
    for index in range(len(values)):
        values[index] = layout.fixed[index]
        if layout.source[index] >= 0:
            values[index] = _natural(point[layout.source[index]], layout.kind[index])
    period[:] = 0.0
    if layout.location > layout.period:
        period[:] = point[layout.period : layout.location]


@njit(error_model="numpy")
def add_by_shared(
    layout: Layout, values: Floats, by_shared: Floats, by_period: Floats, by_point: Floats
) -> None:
    """Take derivatives by what all base models share back to the point.

    Parameters
    ----------
    layout, values
        As in `shared_at`.
    by_shared, by_period : ndarray, shape (SHARED,) and (calendar months,)
        The derivatives.
    by_point : ndarray, shape (size,)
        Gets them added.
    """
    by_values = np.zeros(len(values))
    by_values[: len(by_shared)] = by_shared
    for month in range(layout.location - layout.period):
        by_point[layout.period + month] += by_period[month]
    for index in range(len(values)):
        if layout.source[index] >= 0:
            by = by_values[index]
            if layout.kind[index] == BETA:
                by *= values[index] * (1.0 - values[index])
            elif layout.kind[index] != NORMAL:
                by *= values[index]
            by_point[layout.source[index]] += by
