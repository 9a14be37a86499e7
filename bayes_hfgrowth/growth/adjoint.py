"""The law with its derivatives: months forwards, then back in reverse, for many lanes at once.

A lane is a base model with growth parameters of its own. A block of lanes goes from month to
month in step, so that each loop runs over lanes and turns into vector instructions; lanes that
have no such month any more wait. The formulas are those of `bayes_hfgrowth.growth.law`; tests
hold value and derivatives against it. What a month leaves behind, its regular part and how far
it surpassed expectation, goes into the months that follow, so derivatives are gathered from the
last month to the first.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, points
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import exp, inner, log, version_of
from bayes_hfgrowth.growth.law import (
    EXPONENT,
    FACTOR,
    HUGE,
    MEMORY,
    POISSON,
    PROBABILITY,
    SHARED,
    SIZE,
    STRENGTH,
    SURGE,
    TINY,
    WIDEST,
    Floats,
    Integers,
    Months,
    attention,
    burst_given,
    burst_lead,
    growth_of,
    log1p_ratio,
    log_carried,
    log_occupancy,
    log_odds,
    log_ratio,
    log_vacancy,
    mixed,
    period_at,
    regular_part,
    size_of,
)
from bayes_hfgrowth.growth.points import natural_at

__all__ = ["Block", "backward", "block_for", "forward", "gradients_of"]

_LANES = 64  # of a block

(
    _Z, _LOWER, _UPPER, _SHARE, _HAZARD, _NEW, _VALID, _LOG_COUNT, _U, _GROWTH, _F, _S, _MEAN,
    _COUNT, _BY_MEAN, _BY_SIZE, _P, _BURST_MEAN, _BURST_SIZE, _REGULAR, _RATIO,
) = range(21)  # fmt: skip
_BY_HAZARD, _BY_LOWER = _U, _GROWTH  # of the laws without carry-over
_TAPE = 21

(
    _FITNESS, _IMMEDIACY, _INVERSE, _PRECISION, _BIRTH_Z, _BIRTH_LOWER, _BIRTH_UPPER, _NOW_S,
    _NOW_COUNT, _WORST, _AGE, _CONSTANT, _EFFECT, _SIZE, _GAMMAS, _BY_GAMMAS, _DENSITY, _BURSTS,
    _BURST, _LEAD, _BY_S, _BY_COUNT, _BY_LOG_F, _BY_REGULAR, _BY_BURST_LAW, _BY_REGULAR_LAW,
    _BY_LOG_MEAN, _BY_LOG_U, _BY_SHARE, _BY_LOWER_NOW, _VACANCY, _BEFORE, _G,
) = range(33)  # fmt: skip
_STATE = 33

_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better
_SERIES = 1e-4  # below it the derivative by the exponent is a series
_LARGEST_MEAN = 1e260


class Block(NamedTuple):
    """Lanes that go from month to month in step, with their working space.

    Parameters
    ----------
    first, length : ndarray of int64, shape (lanes,)
        First month of each lane, and how many there are; 0 for a lane that is not in use.
    theta : ndarray, shape (parameters, lanes)
        Growth parameters.
    value : ndarray, shape (lanes,)
        Filled by `forward`.
    seed : ndarray, shape (lanes,)
        Derivative of something by each value, which `backward` takes further.
    by_theta : ndarray, shape (parameters, lanes)
    by_shared : ndarray, shape (SHARED, lanes)
    by_period : ndarray, shape (calendar months, lanes)
        Filled by `backward`.
    tape : ndarray, shape (months, rows, lanes)
        What each month leaves for the way back.
    state : ndarray, shape (rows, lanes)
        Working space.
    """

    first: Integers
    length: Integers
    theta: Floats
    value: Floats
    seed: Floats
    by_theta: Floats
    by_shared: Floats
    by_period: Floats
    tape: Floats
    state: Floats


@njit(error_model="numpy")
def block_for(lanes: int, longest: int, parameters: int, calendar: int) -> Block:
    """An empty block for so many lanes, of so many months at most."""
    return Block(
        np.zeros(lanes, dtype=np.int64), np.zeros(lanes, dtype=np.int64),
        np.zeros((parameters, lanes)), np.zeros(lanes), np.ones(lanes),
        np.zeros((parameters, lanes)), np.zeros((SHARED, lanes)), np.zeros((calendar, lanes)),
        np.zeros((longest, _TAPE, lanes)), np.zeros((_STATE, lanes)),
    )  # fmt: skip


@inner()
def _fill(number: float, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = number


# --- Gamma functions --------------------------------------------------------------------------


@inner()
def _log_gamma(x: float) -> tuple[float, float]:
    """Ln Γ(x) and its derivative, by Stirling's series from 8 on."""
    product, sums = 1.0, 0.0
    while x < 8.0:
        product *= x
        sums += 1.0 / x
        x += 1.0
    i = 1.0 / x
    i2 = i * i
    log_x = math.log(x)
    series = i * (1 / 12.0 - i2 * (1 / 360.0 - i2 * (1 / 1260.0 - i2 * (1 / 1680.0 - i2 / 1188.0))))
    value = (x - 0.5) * log_x - x + _HALF_LOG_2PI + series - math.log(product)
    slope = i2 * (1 / 12.0 - i2 * (1 / 120.0 - i2 * (1 / 252.0 - i2 * (1 / 240.0 - i2 / 132.0))))
    return value, log_x - 0.5 * i - slope - sums


@inner()
def _rising(size: float, new: float) -> tuple[float, float]:
    """`bayes_hfgrowth.growth.law.rising`, and its derivative in the size."""
    if new <= 0.0:
        return 0.0, 0.0
    if size > _LARGE:
        second = 0.5 * new * (new - 1.0) / size
        return new * math.log(size) + second, (new - second) / size
    if new <= 12.0:
        product, derivative = 1.0, 0.0
        for j in range(int(new)):
            product *= size + j
            derivative += 1.0 / (size + j)
        return math.log(product), derivative
    top, by_top = _log_gamma(new + size)
    bottom, by_bottom = _log_gamma(size)
    return top - bottom, by_top - by_bottom


@inner()
def _rising_each(some: bool, new: Floats, size: Floats, gammas: Floats, by_gammas: Floats) -> None:
    _fill(0.0, gammas)
    _fill(0.0, by_gammas)
    if some:
        for i in range(len(by_gammas)):
            if new[i] > 0.0:
                gammas[i], by_gammas[i] = _rising(size[i], new[i])


# --- Forwards -----------------------------------------------------------------------------------


@inner()
def _read(k: int, block: Block, months: Months, m: float, period: Floats, row: Floats) -> bool:
    """What the data say of the month of each lane; whether any has fine-tunes."""
    state, some = block.state, False
    for i in range(len(block.value)):
        row[_NEW, i], row[_VALID, i] = 0.0, 0.0
        state[_CONSTANT, i], state[_EFFECT, i], state[_BEFORE, i] = 0.0, 0.0, m
        if k < block.length[i]:
            j = block.first[i] + k
            row[_NEW, i], row[_VALID, i] = months.new[j], 1.0
            some |= months.new[j] > 0.0
            state[_AGE, i], state[_CONSTANT, i] = months.log_age[j], months.constants[j]
            state[_BEFORE, i] = months.previous[j] + m
            effect = period_at(period, months.calendar[j], months.share[j])
            state[_EFFECT, i] = min(max(effect, -HUGE), HUGE)
    return some


@inner()
def _shares(
    z_before: Floats, lower_before: Floats, upper_before: Floats, lower: Floats, upper: Floats,
    share: Floats,
) -> None:  # fmt: skip
    for i in range(len(share)):
        share[i] = attention(z_before[i], lower_before[i], upper_before[i], lower[i], upper[i])


@inner()
def _hazards(fitness: Floats, share: Floats, hazard: Floats) -> None:
    for i in range(len(hazard)):
        hazard[i] = max(fitness[i] * share[i], TINY)


@inner()
def _worse(growth: Floats, valid: Floats, worst: Floats) -> None:
    for i in range(len(worst)):
        worst[i] = max(worst[i], growth[i] * valid[i])


@inner()
def _poisson(
    m: float, fitness: Floats, lower_before: Floats, hazard: Floats, new: Floats, valid: Floats,
    value: Floats, by_hazard: Floats, by_lower: Floats,
) -> None:  # fmt: skip
    for i in range(len(by_lower)):
        growth = growth_of(hazard[i])
        log_f = log(m * growth) + min(fitness[i] * lower_before[i], 0.5 * HUGE)
        mean = exp(min(log_f, HUGE))
        value[i] += valid[i] * (new[i] * log_f - mean)
        by_lower[i] = new[i] - mean
        by_hazard[i] = (new[i] - mean) * (growth + 1.0) / growth


@inner()
def _birth(
    before: Floats, hazard: Floats, new: Floats, valid: Floats, value: Floats, by_hazard: Floats
) -> None:
    for i in range(len(by_hazard)):
        growth = growth_of(hazard[i])
        by_hazard[i] = new[i] / growth - before[i]
        value[i] += valid[i] * (new[i] * (log(growth) - hazard[i]) - before[i] * hazard[i])


@inner()
def _log_counts(count: Floats, m: float, log_count: Floats) -> None:
    for i in range(len(log_count)):
        log_count[i] = log(count[i] + m)


@inner()
def _us(hazard: Floats, log_count: Floats, less: float, u: Floats) -> None:
    for i in range(len(u)):
        u[i] = hazard[i] * exp(-less * log_count[i])


@inner()
def _gs(u: Floats, less: float, g: Floats) -> None:
    for i in range(len(g)):
        g[i] = u[i] * log1p_ratio(less * u[i])


@inner()
def _growths(g: Floats, growth: Floats) -> None:
    for i in range(len(growth)):
        growth[i] = growth_of(g[i])


@inner()
def _expected(count: Floats, m: float, growth: Floats, effect: Floats, f: Floats) -> None:
    for i in range(len(f)):
        f[i] = min((count[i] + m) * growth[i] * exp(effect[i]), _LARGEST_MEAN)


@inner()
def _means(f: Floats, s: Floats, strength: float, mean: Floats) -> None:
    for i in range(len(mean)):
        mean[i] = min(f[i] * exp(log_carried(s[i], strength)), _LARGEST_MEAN)


@inner()
def _sizes(mean: Floats, precision: Floats, size: Floats) -> None:
    for i in range(len(size)):
        size[i] = size_of(mean[i], precision[i])


@inner()
def _scaled(factor: float, mean: Floats, scaled: Floats) -> None:
    for i in range(len(scaled)):
        scaled[i] = min(factor * mean[i], _LARGEST_MEAN)


@inner()
def _vacancies(mean: Floats, size: Floats, vacancy: Floats) -> None:
    for i in range(len(vacancy)):
        vacancy[i] = log_vacancy(mean[i], size[i])


@inner()
def _densities(size: Floats, vacancy: Floats, density: Floats) -> None:
    for i in range(len(density)):
        density[i] = size[i] * vacancy[i]


@inner()
def _add_counts(
    new: Floats, mean: Floats, size: Floats, gammas: Floats, density: Floats
) -> None:  # fmt: skip
    for i in range(len(density)):
        density[i] += gammas[i] + new[i] * log_occupancy(mean[i], size[i])


@inner()
def _by_means(new: Floats, mean: Floats, size: Floats, by_mean: Floats) -> None:
    """Derivatives of a negative binomial's log density by ln mean."""
    for i in range(len(by_mean)):
        by_mean[i] = new[i] - (new[i] + size[i]) * mean[i] / (size[i] + mean[i])


@inner()
def _by_sizes(
    new: Floats, mean: Floats, size: Floats, by_gammas: Floats, vacancy: Floats, by_size: Floats
) -> None:
    """Derivatives of a negative binomial's log density by ln size."""
    for i in range(len(by_size)):
        rest = (mean[i] - new[i]) / (size[i] + mean[i])
        by_size[i] = size[i] * (by_gammas[i] + vacancy[i] + rest)


@inner()
def _negative_binomial(
    some: bool, new: Floats, mean: Floats, size: Floats, state: Floats, density: Floats,
    by_mean: Floats, by_size: Floats,
) -> None:  # fmt: skip
    """Log density but for its constant, and derivatives by ln mean and ln size."""
    _vacancies(mean, size, state[_VACANCY])
    _densities(size, state[_VACANCY], density)
    if some:
        _add_counts(new, mean, size, state[_GAMMAS], density)
    _by_means(new, mean, size, by_mean)
    _by_sizes(new, mean, size, state[_BY_GAMMAS], state[_VACANCY], by_size)


@inner()
def _leads(burst: Floats, regular: Floats, odds: float, lead: Floats) -> None:
    for i in range(len(lead)):
        lead[i] = burst_lead(regular[i], burst[i], odds)


@inner()
def _mixtures(lead: Floats, rest: float, density: Floats) -> None:
    for i in range(len(density)):
        density[i] += mixed(lead[i]) + rest


@inner()
def _burst_given(lead: Floats, p: Floats) -> None:
    for i in range(len(p)):
        p[i] = burst_given(lead[i])


@inner()
def _regulars(new: Floats, mean: Floats, p: Floats, regular: Floats) -> None:
    for i in range(len(regular)):
        regular[i] = regular_part(new[i], mean[i], p[i])


@inner()
def _ratios(regular: Floats, f: Floats, ratio: Floats) -> None:
    for i in range(len(ratio)):
        ratio[i] = log_ratio(regular[i], f[i])


@inner()
def _remember(memory: float, ratio: Floats, s: Floats) -> None:
    for i in range(len(s)):
        s[i] = memory * s[i] + (1.0 - memory) * ratio[i]


@inner()
def _add(addend: Floats, total: Floats) -> None:
    for i in range(len(total)):
        total[i] += addend[i]


@inner()
def _add_valid(density: Floats, constant: Floats, valid: Floats, value: Floats) -> None:
    for i in range(len(value)):
        value[i] += valid[i] * (density[i] + constant[i])


@inner()
def _copy(source: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = source[i]


@inner()
def _surge(some: bool, m: float, shared: Floats, odds: float, block: Block, row: Floats) -> None:
    """A month under ``SURGE``."""
    state, new, mean, f = block.state, row[_NEW], row[_MEAN], row[_F]
    probability, less = shared[PROBABILITY], 1.0 - shared[EXPONENT]
    s, count, density = state[_NOW_S], state[_NOW_COUNT], state[_DENSITY]
    _copy(s, row[_S])
    _copy(count, row[_COUNT])
    _log_counts(count, m, row[_LOG_COUNT])
    _us(row[_HAZARD], row[_LOG_COUNT], less, row[_U])
    _gs(row[_U], less, state[_G])
    _worse(state[_G], row[_VALID], state[_WORST])
    _growths(state[_G], row[_GROWTH])
    _expected(count, m, row[_GROWTH], state[_EFFECT], f)
    _means(f, s, shared[STRENGTH], mean)
    _sizes(mean, state[_PRECISION], state[_SIZE])
    _rising_each(some, new, state[_SIZE], state[_GAMMAS], state[_BY_GAMMAS])
    _negative_binomial(some, new, mean, state[_SIZE], state, density, row[_BY_MEAN], row[_BY_SIZE])
    if probability > 0.0:
        _scaled(shared[FACTOR], mean, state[_BURSTS])
        _fill(shared[SIZE], state[_SIZE])
        _rising_each(some, new, state[_SIZE], state[_GAMMAS], state[_BY_GAMMAS])
        _negative_binomial(
            some, new, state[_BURSTS], state[_SIZE], state, state[_BURST], row[_BURST_MEAN],
            row[_BURST_SIZE],
        )  # fmt: skip
        _leads(state[_BURST], density, odds, state[_LEAD])
        _burst_given(state[_LEAD], row[_P])
        _mixtures(state[_LEAD], math.log1p(-probability), density)
        _regulars(new, mean, row[_P], row[_REGULAR])
    else:
        _copy(new, row[_REGULAR])
    _ratios(row[_REGULAR], f, row[_RATIO])
    _add_valid(density, state[_CONSTANT], row[_VALID], block.value)
    _add(row[_REGULAR], count)
    _remember(shared[MEMORY], row[_RATIO], s)


@inner()
def _longest(block: Block) -> int:
    longest = 0
    for i in range(len(block.value)):
        longest = max(longest, block.length[i])
    return longest


@inner()
def forward(
    law: int, m: float, block: Block, months: Months, shared: Floats, period: Floats
) -> None:
    """Log density of the months of every lane if it is not dormant.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    m : float
        The constant m of the curve.
    block : Block
        Lanes and growth parameters; gets ``value``, which is -inf where the growth or the mean of
        a month overflows, or a growth parameter is not a number or beyond 300.
    months : Months
        The months of all base models.
    shared : ndarray, shape (SHARED,)
        Parameters that all base models share.
    period : ndarray, shape (calendar months,)
        Period effects.
    """
    state, value = block.state, block.value
    natural_at(block.theta, state[: _PRECISION + 1])
    for i in range(len(block.value)):
        value[i] = 0.0
        state[_WORST, i], state[_AGE, i] = 0.0, 0.0
        state[_NOW_S, i], state[_NOW_COUNT, i] = 0.0, 0.0
        state[_BIRTH_Z, i], state[_BIRTH_LOWER, i], state[_BIRTH_UPPER, i] = -np.inf, 0.0, 1.0
    odds = log_odds(shared[PROBABILITY])
    longest = _longest(block)
    for k in range(longest):
        row = block.tape[k]
        some = _read(k, block, months, m, period, row)
        attention_ended_each(
            state[_AGE], state[_IMMEDIACY], state[_INVERSE], row[_Z], row[_LOWER], row[_UPPER]
        )
        if k == 0:
            _shares(
                state[_BIRTH_Z], state[_BIRTH_LOWER], state[_BIRTH_UPPER], row[_LOWER],
                row[_UPPER], row[_SHARE],
            )  # fmt: skip
        else:
            last = block.tape[k - 1]
            _shares(last[_Z], last[_LOWER], last[_UPPER], row[_LOWER], row[_UPPER], row[_SHARE])
        _hazards(state[_FITNESS], row[_SHARE], row[_HAZARD])
        if law == SURGE:
            _surge(some, m, shared, odds, block, row)
            continue
        _worse(row[_HAZARD], row[_VALID], state[_WORST])
        if law == POISSON:
            lower = block.tape[k - 1, _LOWER] if k > 0 else state[_BIRTH_LOWER]
            _poisson(
                m, state[_FITNESS], lower, row[_HAZARD], row[_NEW], row[_VALID], value,
                row[_BY_HAZARD], row[_BY_LOWER],
            )  # fmt: skip
        else:
            _birth(state[_BEFORE], row[_HAZARD], row[_NEW], row[_VALID], value, row[_BY_HAZARD])
        _fill(0.0, state[_DENSITY])
        _add_valid(state[_DENSITY], state[_CONSTANT], row[_VALID], value)
    for i in range(len(block.value)):
        fine = state[_WORST, i] <= HUGE and math.isfinite(value[i])
        for k in range(len(block.theta)):
            fine &= abs(block.theta[k, i]) <= WIDEST
        if not fine:
            value[i] = -np.inf


@inner()
def attention_ended_each(
    log_age: Floats, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats
) -> None:
    """As `bayes_hfgrowth.growth.points.attention_ended`, lanes being of different ages."""
    for i in range(len(upper)):
        x = (log_age[i] - immediacy[i]) * inverse[i]
        z[i] = x
        lower[i], upper[i] = formulas.tails(x)


# --- Backwards ----------------------------------------------------------------------------------


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
    weight: Floats, p: Floats, by_regular: Floats, new: Floats, mean: Floats, by_law: Floats,
    share: float, sign: float,
) -> None:  # fmt: skip
    """Derivatives by the log density of one part of the mixture."""
    for i in range(len(by_law)):
        over = max(new[i] - mean[i], 0.0)
        part = share + sign * p[i]
        by_law[i] = weight[i] * part - sign * by_regular[i] * over * p[i] * (1.0 - p[i])


@inner()
def _back_mean(
    by_regular: Floats, p: Floats, new: Floats, mean: Floats, by_burst_law: Floats,
    burst_mean: Floats, by_log_mean: Floats,
) -> None:  # fmt: skip
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
    by_log_f: Floats, growth: Floats, by_less: Floats, by_log_u: Floats, log_count: Floats,
    total: Floats,
) -> None:  # fmt: skip
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
def _back_z(
    sign: float, by_share: Floats, z: Floats, inverse: Floats, by_immediacy: Floats
) -> None:
    for i in range(len(by_immediacy)):
        density = _DENSITY_0 * exp(-0.5 * min(z[i] * z[i], 1400.0))
        by_immediacy[i] += sign * by_share[i] * density * inverse[i]


@inner()
def _back_longevity(sign: float, by_share: Floats, z: Floats, by_longevity: Floats) -> None:
    for i in range(len(by_longevity)):
        density = _DENSITY_0 * exp(-0.5 * min(z[i] * z[i], 1400.0))
        by_longevity[i] += sign * by_share[i] * density * z[i]


@inner()
def _back_simple(weight: Floats, by_hazard: Floats, hazard: Floats, by_log_hazard: Floats) -> None:
    for i in range(len(by_log_hazard)):
        by_log_hazard[i] = weight[i] * by_hazard[i] * hazard[i]


@inner()
def _back_lower(weight: Floats, by_lower: Floats, fitness: Floats, by: Floats) -> None:
    for i in range(len(by)):
        by[i] = weight[i] * by_lower[i] * fitness[i]


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
    state, by_shared, weight = block.state, block.by_shared, block.state[_EFFECT]
    forget, less = 1.0 - shared[MEMORY], 1.0 - shared[EXPONENT]
    by_s, by_count, by_log_f = state[_BY_S], state[_BY_COUNT], state[_BY_LOG_F]
    by_log_mean, by_regular = state[_BY_LOG_MEAN], state[_BY_REGULAR]
    by_burst_law, by_regular_law = state[_BY_BURST_LAW], state[_BY_REGULAR_LAW]
    _back_regular(by_count, by_s, forget, row[_REGULAR], by_regular)
    _back_f(by_s, forget, row[_F], by_log_f)
    _back_memory(by_s, row[_S], row[_RATIO], shared[MEMORY], by_shared[MEMORY])
    if shared[PROBABILITY] > 0.0:
        p, new, mean = row[_P], row[_NEW], row[_MEAN]
        _back_weights(weight, p, by_regular, new, mean, by_burst_law, 0.0, 1.0)
        _back_weights(weight, p, by_regular, new, mean, by_regular_law, 1.0, -1.0)
        _back_mean(by_regular, p, new, mean, by_burst_law, row[_BURST_MEAN], by_log_mean)
        _add_product(1.0, by_burst_law, row[_BURST_MEAN], by_shared[FACTOR])
        _add_product(1.0, by_burst_law, row[_BURST_SIZE], by_shared[SIZE])
        _back_probability(weight, p, shared[PROBABILITY], by_burst_law, by_shared[PROBABILITY])
    else:
        _copy(weight, by_regular_law)
        _fill(0.0, by_log_mean)
    _back_density(by_regular_law, row[_BY_MEAN], row[_BY_SIZE], by_log_mean)
    _add_product(-1.0, by_regular_law, row[_BY_SIZE], block.by_theta[3])
    _add_product(1.0, by_log_mean, row[_S], by_shared[STRENGTH])
    _add_scaled(shared[STRENGTH], by_log_mean, by_s)
    _add(by_log_mean, by_log_f)
    _scatter(k, block, months, by_log_f)
    by_log_u = state[_BY_LOG_U]
    _back_u(by_log_f, row[_GROWTH], row[_U], less, by_log_u)
    _by_exponents(row[_U], less, state[_G])
    _back_exponent(
        by_log_f, row[_GROWTH], state[_G], by_log_u, row[_LOG_COUNT], by_shared[EXPONENT]
    )
    _back_count(by_log_f, by_log_u, less, row[_COUNT], m, by_count)


@inner()
def backward(law: int, m: float, block: Block, months: Months, shared: Floats) -> None:
    """Derivatives of the sum of seed · value over lanes, each lane's part by itself.

    Parameters are those of `forward`, which must have gone before. Where a value is -inf the
    derivatives are 0.
    """
    state, by_theta, by_shared = block.state, block.by_theta, block.by_shared
    for i in range(len(block.value)):
        if not math.isfinite(block.value[i]):
            block.seed[i] = 0.0
        state[_BY_S, i], state[_BY_COUNT, i] = 0.0, 0.0
    for k in range(len(by_theta)):
        _fill(0.0, by_theta[k])
    for k in range(SHARED):
        _fill(0.0, by_shared[k])
    for k in range(len(block.by_period)):
        _fill(0.0, block.by_period[k])
    weight, by_log_hazard, by_share = state[_EFFECT], state[_BY_LOG_U], state[_BY_SHARE]
    inverse = state[_INVERSE]
    for k in range(_longest(block) - 1, -1, -1):
        row = block.tape[k]
        _weights(block.seed, row[_VALID], weight)
        if law == SURGE:
            _surge_back(k, m, shared, block, months, row)
        else:
            _back_simple(weight, row[_BY_HAZARD], row[_HAZARD], by_log_hazard)
        _add(by_log_hazard, by_theta[0])
        _back_share(by_log_hazard, row[_SHARE], by_share)
        _back_z(-1.0, by_share, row[_Z], inverse, by_theta[1])
        _back_longevity(-1.0, by_share, row[_Z], by_theta[2])
        if k > 0:
            last = block.tape[k - 1]
            if law == POISSON:
                by_lower = state[_BY_LOWER_NOW]
                _back_lower(weight, row[_BY_LOWER], state[_FITNESS], by_lower)
                _add_product(1.0, by_lower, last[_LOWER], by_theta[0])
                _subtract(by_share, by_lower, by_share)
            _back_z(1.0, by_share, last[_Z], inverse, by_theta[1])
            _back_longevity(1.0, by_share, last[_Z], by_theta[2])
    probability = shared[PROBABILITY]
    for i in range(len(block.value)):
        by_shared[FACTOR, i] /= max(shared[FACTOR], TINY)
        by_shared[SIZE, i] /= max(shared[SIZE], TINY)
        by_shared[PROBABILITY, i] /= max(probability * (1.0 - probability), TINY)
        if not math.isfinite(block.value[i]):
            by_theta[:, i] = 0.0
            by_shared[:, i] = 0.0
            block.by_period[:, i] = 0.0


def _compiled(sources: int) -> Any:
    """Make `gradients`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def gradients(  # type: ignore[no-untyped-def]
        law, months, first, length, m, theta, shared, period, value, by_theta, by_shared, by_period
    ):
        """Log density of every lane's months if it is not dormant, and its gradient.

        Parameters
        ----------
        law, months, m, shared, period
            As in `forward`.
        first, length : ndarray of int64, shape (lanes,)
            Where the months of each lane begin, and how many there are. Lanes of the same age
            should stand together.
        theta : ndarray, shape (lanes, 3 or 4)
            Growth parameters.
        value, by_theta, by_shared, by_period : ndarray
            Overwritten, a row for each lane.
        """
        _ = sources
        number, parameters = theta.shape
        longest = 1
        for i in range(number):
            longest = max(longest, length[i])
        lanes = min(_LANES, max(number, 1))
        block = block_for(lanes, longest, parameters, len(period))
        for begin in range(0, number, lanes):
            end = min(begin + lanes, number)
            for lane in range(lanes):
                i = min(begin + lane, number - 1)
                block.first[lane] = first[i]
                block.length[lane] = length[i] if begin + lane < end else 0
                for k in range(parameters):
                    block.theta[k, lane] = theta[i, k]
                block.seed[lane] = 1.0
            forward(law, m, block, months, shared, period)
            backward(law, m, block, months, shared)
            for i in range(begin, end):
                lane = i - begin
                value[i] = block.value[lane]
                for k in range(parameters):
                    by_theta[i, k] = block.by_theta[k, lane]
                for k in range(SHARED):
                    by_shared[i, k] = block.by_shared[k, lane]
                for k in range(len(period)):
                    by_period[i, k] = block.by_period[k, lane]

    return gradients


gradients = _compiled(version_of(elementary.__file__, formulas.__file__, points.__file__, __file__))


def gradients_of(
    law: int, months: Months, first: Integers, length: Integers, m: float, theta: Floats,
    shared: Floats, period: Floats,
) -> tuple[Floats, Floats, Floats, Floats]:  # fmt: skip
    """As `gradients`; returns what that fills."""
    number, calendar = len(theta), len(period)
    found = (
        np.empty(number), np.empty(theta.shape), np.empty((number, SHARED)),
        np.empty((number, calendar)),
    )  # fmt: skip
    gradients(
        law, months, first, length, m, np.ascontiguousarray(theta, dtype=np.float64), shared,
        np.ascontiguousarray(period), *found,
    )  # fmt: skip
    return found
