"""The law with its derivatives: the months of `bayes_hfgrowth.growth.blocks` in reverse.

What a month leaves behind, its regular part and how far it surpassed expectation, goes into the
months that follow, so derivatives are gathered from the last month to the first. Tests hold value
and derivatives against a second form of the law in doubles and, for the derivatives, 60 digits.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import blocks
from bayes_hfgrowth.growth.blocks import Block, block_for, forward, longest_of
from bayes_hfgrowth.growth.elementary import exp, inner, version_of
from bayes_hfgrowth.growth.law import (
    EXPONENT,
    FACTOR,
    MEMORY,
    POISSON,
    PROBABILITY,
    SHARED,
    SIZE,
    STRENGTH,
    SURGE,
    TINY,
    Floats,
    Months,
    Observed,
    Shared,
    log1p_ratio,
)
from bayes_hfgrowth.growth.points import add_to, copy_to, fill

__all__ = ["Gradients", "backward", "gradients_of"]

_LANES = 64  # of a block
_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)
_SERIES = 1e-4  # below it the derivative by the exponent is a series


@inner()
def _by_exponents(u: Floats, less: float, by_less: Floats) -> None:
    """Derivatives of ln(1 + less · u) / less by `less`, u being held."""
    inverse = 1.0 / max(less, TINY)
    for i in range(len(by_less)):
        y = less * u[i]
        series = -u[i] * (1 / 2.0 - y * (2 / 3.0 - y * (3 / 4.0 - y * 4 / 5.0)))
        closed = (1.0 / (1.0 + y) - log1p_ratio(y)) * inverse
        by_less[i] = u[i] * (series if y < _SERIES else closed)


@inner()
def _back_regular(
    by_count: Floats, by_s: Floats, forget: float, regular: Floats, by_regular: Floats
) -> None:
    for i in range(len(by_regular)):
        by_regular[i] = by_count[i] + by_s[i] * forget / (regular[i] + 0.5)


@inner()
def _back_f(by_s: Floats, forget: float, f: Floats, by_log_f: Floats) -> None:
    for i in range(len(by_log_f)):
        by_log_f[i] = -by_s[i] * forget * f[i] / (f[i] + 0.5)


@inner()
def _back_memory(by_s: Floats, s: Floats, ratio: Floats, memory: float, by_memory: Floats) -> None:
    for i in range(len(by_memory)):
        by_memory[i] += by_s[i] * (s[i] - ratio[i])
    for i in range(len(by_memory)):
        by_s[i] *= memory


@inner()
def _back_weights(
    weight: Floats,
    p: Floats,
    by_regular: Floats,
    new: Floats,
    mean: Floats,
    by_law: Floats,
    share: float,
    sign: float,
) -> None:
    """Derivatives by the log density of one part of the mixture."""
    for i in range(len(by_law)):
        over = max(new[i] - mean[i], 0.0)
        part = share + sign * p[i]
        by_law[i] = weight[i] * part - sign * by_regular[i] * over * p[i] * (1.0 - p[i])


@inner()
def _back_mean(
    by_regular: Floats,
    p: Floats,
    new: Floats,
    mean: Floats,
    by_burst_law: Floats,
    burst_mean: Floats,
    by_log_mean: Floats,
) -> None:
    for i in range(len(by_log_mean)):
        own = by_regular[i] * p[i] * mean[i] if new[i] > mean[i] else 0.0
        by_log_mean[i] = own + by_burst_law[i] * burst_mean[i]


@inner()
def _back_density(
    by_regular_law: Floats, by_mean: Floats, by_size: Floats, by_log_mean: Floats
) -> None:
    for i in range(len(by_log_mean)):
        by_log_mean[i] += by_regular_law[i] * (by_mean[i] + 0.5 * by_size[i])


@inner()
def _add_product(sign: float, a: Floats, b: Floats, total: Floats) -> None:
    for i in range(len(total)):
        total[i] += sign * a[i] * b[i]


@inner()
def _add_scaled(scale: float, a: Floats, total: Floats) -> None:
    for i in range(len(total)):
        total[i] += scale * a[i]


@inner()
def _back_probability(
    weight: Floats, p: Floats, probability: float, by_burst_law: Floats, total: Floats
) -> None:
    for i in range(len(total)):
        total[i] += by_burst_law[i] - weight[i] * probability


@inner()
def _scatter(k: int, block: Block, months: Months, by_log_f: Floats) -> None:
    """Take derivatives by ln f to the calendar months."""
    for i in range(len(block.value)):
        if k < block.length[i]:
            j = block.first[i] + k
            at, share = months.calendar[j], months.share[j]
            block.by_period[at, i] += by_log_f[i] * share
            if share < 1.0:
                block.by_period[at + 1, i] += by_log_f[i] * (1.0 - share)


@inner()
def _back_u(by_log_f: Floats, growth: Floats, u: Floats, less: float, by_log_u: Floats) -> None:
    for i in range(len(by_log_u)):
        by_g = by_log_f[i] * (growth[i] + 1.0) / growth[i]
        by_log_u[i] = by_g * u[i] / (1.0 + less * u[i])


@inner()
def _back_exponent(
    by_log_f: Floats,
    growth: Floats,
    by_less: Floats,
    by_log_u: Floats,
    log_count: Floats,
    total: Floats,
) -> None:
    for i in range(len(total)):
        by_g = by_log_f[i] * (growth[i] + 1.0) / growth[i]
        total[i] -= by_g * by_less[i] - by_log_u[i] * log_count[i]


@inner()
def _back_count(
    by_log_f: Floats, by_log_u: Floats, less: float, count: Floats, m: float, by_count: Floats
) -> None:
    for i in range(len(by_count)):
        by_count[i] += (by_log_f[i] - less * by_log_u[i]) / (count[i] + m)


@inner()
def _back_share(by_log_hazard: Floats, share: Floats, by_share: Floats) -> None:
    for i in range(len(by_share)):
        by_share[i] = by_log_hazard[i] / share[i]


@inner()
def _back_z(sign: float, by_share: Floats, z: Floats, slope: Floats, total: Floats) -> None:
    """Add derivatives through z, which falls by `slope` for each unit of a parameter."""
    for i in range(len(total)):
        density = _DENSITY_0 * exp(-0.5 * min(z[i] * z[i], 1400.0))
        total[i] += sign * by_share[i] * density * slope[i]


@inner()
def _weighted(weight: Floats, by: Floats, factor: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = weight[i] * by[i] * factor[i]


@inner()
def _subtract(a: Floats, b: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = a[i] - b[i]


@inner()
def _weights(seed: Floats, valid: Floats, weight: Floats) -> None:
    for i in range(len(weight)):
        weight[i] = seed[i] * valid[i]


@inner()
def _surge_back(
    k: int, m: float, shared: Floats, block: Block, months: Months, row: Floats
) -> None:
    """A month under ``SURGE``; leaves the derivatives by ln hazard."""
    state, by_shared, weight = block.state, block.by_shared, block.state[blocks.EFFECT]
    forget, less = 1.0 - shared[MEMORY], 1.0 - shared[EXPONENT]
    by_s, by_count, by_log_f = state[blocks.BY_S], state[blocks.BY_COUNT], state[blocks.BY_LOG_F]
    by_log_mean, by_regular = state[blocks.BY_LOG_MEAN], state[blocks.BY_REGULAR]
    by_burst_law, by_regular_law = state[blocks.BY_BURST_LAW], state[blocks.BY_REGULAR_LAW]
    _back_regular(by_count, by_s, forget, row[blocks.REGULAR], by_regular)
    _back_f(by_s, forget, row[blocks.F], by_log_f)
    _back_memory(by_s, row[blocks.S], row[blocks.RATIO], shared[MEMORY], by_shared[MEMORY])
    if shared[PROBABILITY] > 0.0:
        p, new, mean = row[blocks.P], row[blocks.NEW], row[blocks.MEAN]
        _back_weights(weight, p, by_regular, new, mean, by_burst_law, 0.0, 1.0)
        _back_weights(weight, p, by_regular, new, mean, by_regular_law, 1.0, -1.0)
        _back_mean(by_regular, p, new, mean, by_burst_law, row[blocks.BURST_MEAN], by_log_mean)
        _add_product(1.0, by_burst_law, row[blocks.BURST_MEAN], by_shared[FACTOR])
        _add_product(1.0, by_burst_law, row[blocks.BURST_SIZE], by_shared[SIZE])
        _back_probability(weight, p, shared[PROBABILITY], by_burst_law, by_shared[PROBABILITY])
    else:
        copy_to(weight, by_regular_law)
        fill(0.0, by_log_mean)
    _back_density(by_regular_law, row[blocks.BY_MEAN], row[blocks.BY_SIZE], by_log_mean)
    _add_product(-1.0, by_regular_law, row[blocks.BY_SIZE], block.by_theta[3])
    _add_product(1.0, by_log_mean, row[blocks.S], by_shared[STRENGTH])
    _add_scaled(shared[STRENGTH], by_log_mean, by_s)
    add_to(by_log_mean, by_log_f)
    _scatter(k, block, months, by_log_f)
    by_log_u = state[blocks.BY_LOG_U]
    _back_u(by_log_f, row[blocks.GROWTH], row[blocks.U], less, by_log_u)
    _by_exponents(row[blocks.U], less, state[blocks.G])
    _back_exponent(
        by_log_f,
        row[blocks.GROWTH],
        state[blocks.G],
        by_log_u,
        row[blocks.LOG_COUNT],
        by_shared[EXPONENT],
    )
    _back_count(by_log_f, by_log_u, less, row[blocks.COUNT], m, by_count)


@inner()
def backward(observed: Observed, block: Block, shared: Shared) -> None:
    """Derivatives of the sum of seed · value over lanes, each lane's part by itself.

    Parameters are those of `forward`, which must have gone before. Where a value is -inf the
    derivatives are 0.
    """
    law, m, months = observed
    state, by_theta, by_shared = block.state, block.by_theta, block.by_shared
    for i in range(len(block.value)):
        if not math.isfinite(block.value[i]):
            block.seed[i] = 0.0
        state[blocks.BY_S, i], state[blocks.BY_COUNT, i] = 0.0, 0.0
    for k in range(len(by_theta)):
        fill(0.0, by_theta[k])
    for k in range(SHARED):
        fill(0.0, by_shared[k])
    for k in range(len(block.by_period)):
        fill(0.0, block.by_period[k])
    values, weight, inverse = shared.values, state[blocks.EFFECT], state[blocks.INVERSE]
    by_log_hazard, by_share = state[blocks.BY_LOG_U], state[blocks.BY_SHARE]
    for k in range(longest_of(block) - 1, -1, -1):
        row = block.tape[k]
        _weights(block.seed, row[blocks.VALID], weight)
        if law == SURGE:
            _surge_back(k, m, values, block, months, row)
        else:
            _weighted(weight, row[blocks.BY_HAZARD], row[blocks.HAZARD], by_log_hazard)
        add_to(by_log_hazard, by_theta[0])
        _back_share(by_log_hazard, row[blocks.SHARE], by_share)
        _back_z(-1.0, by_share, row[blocks.Z], inverse, by_theta[1])
        _back_z(-1.0, by_share, row[blocks.Z], row[blocks.Z], by_theta[2])
        if k > 0:
            last = block.tape[k - 1]
            if law == POISSON:
                by_lower = state[blocks.BY_LOWER_NOW]
                _weighted(weight, row[blocks.BY_LOWER], state[blocks.FITNESS], by_lower)
                _add_product(1.0, by_lower, last[blocks.LOWER], by_theta[0])
                _subtract(by_share, by_lower, by_share)
            _back_z(1.0, by_share, last[blocks.Z], inverse, by_theta[1])
            _back_z(1.0, by_share, last[blocks.Z], last[blocks.Z], by_theta[2])
    probability = values[PROBABILITY]
    for i in range(len(block.value)):
        by_shared[FACTOR, i] /= max(values[FACTOR], TINY)
        by_shared[SIZE, i] /= max(values[SIZE], TINY)
        by_shared[PROBABILITY, i] /= max(probability * (1.0 - probability), TINY)
        if not math.isfinite(block.value[i]):
            by_theta[:, i] = 0.0
            by_shared[:, i] = 0.0
            block.by_period[:, i] = 0.0


class Gradients(NamedTuple):
    """Log density of each base model, and its derivatives.

    Parameters
    ----------
    value : ndarray, shape (base models,)
        The log density.
    theta, values, period : ndarray, shape (base models, …)
        Derivatives by the growth parameters, the shared parameters and the period effects.
    """

    value: Floats
    theta: Floats
    values: Floats
    period: Floats


def _compiled(sources: int) -> Any:
    """Make `gradients`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def gradients(observed, theta, shared, out):  # type: ignore[no-untyped-def]
        """Log density of every base model's months if it is no structural zero, and its gradient.

        Parameters
        ----------
        observed : Observed
            Law and months. Base models of the same age should stand together.
        theta : ndarray, shape (base models, 3 or 4)
            Growth parameters.
        shared : Shared
            What all base models share.
        out : Gradients
            Overwritten.
        """
        _ = sources
        number, parameters = theta.shape
        start = observed.months.start
        longest = 1
        for i in range(number):
            longest = max(longest, start[i + 1] - start[i])
        lanes = min(_LANES, max(number, 1))
        block = block_for(lanes, longest, parameters, len(shared.period))
        for begin in range(0, number, lanes):
            end = min(begin + lanes, number)
            for lane in range(lanes):
                i = min(begin + lane, number - 1)
                block.first[lane] = start[i]
                block.length[lane] = start[i + 1] - start[i] if begin + lane < end else 0
                for k in range(parameters):
                    block.theta[k, lane] = theta[i, k]
                block.seed[lane] = 1.0
            forward(observed, block, shared)
            backward(observed, block, shared)
            for i in range(begin, end):
                lane = i - begin
                out.value[i] = block.value[lane]
                for k in range(parameters):
                    out.theta[i, k] = block.by_theta[k, lane]
                for k in range(SHARED):
                    out.values[i, k] = block.by_shared[k, lane]
                for k in range(len(shared.period)):
                    out.period[i, k] = block.by_period[k, lane]

    return gradients


gradients = _compiled(version_of(__file__))


def gradients_of(observed: Observed, theta: Floats, shared: Shared) -> Gradients:
    """As `gradients`; returns what that fills."""
    number = len(theta)
    found = Gradients(
        value=np.empty(number),
        theta=np.empty(theta.shape),
        values=np.empty((number, SHARED)),
        period=np.empty((number, len(shared.period))),
    )
    shared = Shared(shared.values, np.ascontiguousarray(shared.period))
    gradients(observed, np.ascontiguousarray(theta, dtype=np.float64), shared, found)
    return found
