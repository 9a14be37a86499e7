"""The law for many lanes at once, from month to month; what each month leaves for the way back.

A lane is a base model with growth parameters of its own. A block of lanes goes from month to
month in step, so that each loop runs over lanes and turns into vector instructions; lanes that
have no such month any more wait. The formulas are those of `bayes_hfgrowth.growth.law`. The way
back, with the derivatives, is `bayes_hfgrowth.growth.adjoint`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import exp, inner, log
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
    Observed,
    Shared,
)
from bayes_hfgrowth.growth.points import add_to, copy_to, fill, natural_at

__all__ = ["Block", "block_for", "forward", "longest_of"]

(
    Z, LOWER, _UPPER, SHARE, HAZARD, NEW, VALID, LOG_COUNT, U, GROWTH, F, S, MEAN,
    COUNT, BY_MEAN, BY_SIZE, P, BURST_MEAN, BURST_SIZE, REGULAR, RATIO,
) = range(21)  # fmt: skip
BY_HAZARD, BY_LOWER = U, GROWTH  # of the laws without carry-over
_TAPE = 21

(
    FITNESS, _IMMEDIACY, INVERSE, _PRECISION, _BIRTH_Z, _BIRTH_LOWER, _BIRTH_UPPER, _NOW_S,
    _NOW_COUNT, _WORST, _AGE, _CONSTANT, EFFECT, _SIZE, _GAMMAS, _BY_GAMMAS, _DENSITY, _BURSTS,
    _BURST, _LEAD, BY_S, BY_COUNT, BY_LOG_F, BY_REGULAR, BY_BURST_LAW, BY_REGULAR_LAW,
    BY_LOG_MEAN, BY_LOG_U, BY_SHARE, BY_LOWER_NOW, _VACANCY, _BEFORE, G,
) = range(33)  # fmt: skip
_STATE = 33

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better
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
        np.zeros(lanes, dtype=np.int64),
        np.zeros(lanes, dtype=np.int64),
        np.zeros((parameters, lanes)),
        np.zeros(lanes),
        np.ones(lanes),
        np.zeros((parameters, lanes)),
        np.zeros((SHARED, lanes)),
        np.zeros((calendar, lanes)),
        np.zeros((longest, _TAPE, lanes)),
        np.zeros((_STATE, lanes)),
    )


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
    value = (x - 0.5) * log_x - x + _HALF_LOG_2PI + formulas.stirling_rest(i) - math.log(product)
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
    fill(0.0, gammas)
    fill(0.0, by_gammas)
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
        row[NEW, i], row[VALID, i] = 0.0, 0.0
        state[_CONSTANT, i], state[EFFECT, i], state[_BEFORE, i] = 0.0, 0.0, m
        if k < block.length[i]:
            j = block.first[i] + k
            row[NEW, i], row[VALID, i] = months.new[j], 1.0
            some |= months.new[j] > 0.0
            state[_AGE, i], state[_CONSTANT, i] = months.log_age[j], months.constants[j]
            state[_BEFORE, i] = months.previous[j] + m
            effect = formulas.period_at(period, months.calendar[j], months.share[j])
            state[EFFECT, i] = min(max(effect, -HUGE), HUGE)
    return some


@inner()
def _shares(
    z_before: Floats,
    lower_before: Floats,
    upper_before: Floats,
    lower: Floats,
    upper: Floats,
    share: Floats,
) -> None:
    for i in range(len(share)):
        share[i] = formulas.attention(
            z_before[i], lower_before[i], upper_before[i], lower[i], upper[i]
        )


@inner()
def _hazards(fitness: Floats, share: Floats, hazard: Floats) -> None:
    for i in range(len(hazard)):
        hazard[i] = max(fitness[i] * share[i], TINY)


@inner()
def _worse(growth: Floats, valid: Floats, worst: Floats) -> None:
    for i in range(len(worst)):
        worst[i] = max(worst[i], growth[i] * valid[i])


@inner()
def _poisson_means(
    m: float, fitness: Floats, lower_before: Floats, hazard: Floats, log_f: Floats
) -> None:
    for i in range(len(log_f)):
        log_f[i] = formulas.log_poisson_mean(m, fitness[i], lower_before[i], hazard[i])


@inner()
def _poisson(new: Floats, valid: Floats, log_f: Floats, value: Floats, by_lower: Floats) -> None:
    for i in range(len(by_lower)):
        mean = exp(min(log_f[i], HUGE))
        value[i] += valid[i] * (new[i] * log_f[i] - mean)
        by_lower[i] = new[i] - mean


@inner()
def _poisson_slopes(by_lower: Floats, hazard: Floats, by_hazard: Floats) -> None:
    for i in range(len(by_hazard)):
        growth = formulas.growth_of(hazard[i])
        by_hazard[i] = by_lower[i] * (growth + 1.0) / growth


@inner()
def _birth(
    before: Floats, hazard: Floats, new: Floats, valid: Floats, value: Floats, by_hazard: Floats
) -> None:
    for i in range(len(by_hazard)):
        growth = formulas.growth_of(hazard[i])
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
        g[i] = u[i] * formulas.log1p_ratio(less * u[i])


@inner()
def _growths(g: Floats, growth: Floats) -> None:
    for i in range(len(growth)):
        growth[i] = formulas.growth_of(g[i])


@inner()
def _expected(count: Floats, m: float, growth: Floats, effect: Floats, f: Floats) -> None:
    for i in range(len(f)):
        f[i] = min((count[i] + m) * growth[i] * exp(effect[i]), _LARGEST_MEAN)


@inner()
def _means(f: Floats, s: Floats, strength: float, mean: Floats) -> None:
    for i in range(len(mean)):
        mean[i] = min(f[i] * exp(formulas.log_carried(s[i], strength)), _LARGEST_MEAN)


@inner()
def _sizes(mean: Floats, precision: Floats, size: Floats) -> None:
    for i in range(len(size)):
        size[i] = formulas.size_of(mean[i], precision[i])


@inner()
def _scaled(factor: float, mean: Floats, scaled: Floats) -> None:
    for i in range(len(scaled)):
        scaled[i] = min(factor * mean[i], _LARGEST_MEAN)


@inner()
def _vacancies(mean: Floats, size: Floats, vacancy: Floats) -> None:
    for i in range(len(vacancy)):
        vacancy[i] = formulas.log_vacancy(mean[i], size[i])


@inner()
def _densities(size: Floats, vacancy: Floats, density: Floats) -> None:
    for i in range(len(density)):
        density[i] = size[i] * vacancy[i]


@inner()
def _add_counts(new: Floats, mean: Floats, size: Floats, gammas: Floats, density: Floats) -> None:
    for i in range(len(density)):
        density[i] += gammas[i] + new[i] * formulas.log_occupancy(mean[i], size[i])


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
    some: bool,
    new: Floats,
    mean: Floats,
    size: Floats,
    state: Floats,
    density: Floats,
    by_mean: Floats,
    by_size: Floats,
) -> None:
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
        lead[i] = formulas.burst_lead(regular[i], burst[i], odds)


@inner()
def _mixtures(lead: Floats, rest: float, density: Floats) -> None:
    for i in range(len(density)):
        density[i] += formulas.mixed(lead[i]) + rest


@inner()
def _burst_given(lead: Floats, p: Floats) -> None:
    for i in range(len(p)):
        p[i] = formulas.burst_given(lead[i])


@inner()
def _regulars(new: Floats, mean: Floats, p: Floats, regular: Floats) -> None:
    for i in range(len(regular)):
        regular[i] = formulas.regular_part(new[i], mean[i], p[i])


@inner()
def _ratios(regular: Floats, f: Floats, ratio: Floats) -> None:
    for i in range(len(ratio)):
        ratio[i] = formulas.log_ratio(regular[i], f[i])


@inner()
def _remember(memory: float, ratio: Floats, s: Floats) -> None:
    for i in range(len(s)):
        s[i] = memory * s[i] + (1.0 - memory) * ratio[i]


@inner()
def _add_valid(density: Floats, constant: Floats, valid: Floats, value: Floats) -> None:
    for i in range(len(value)):
        value[i] += valid[i] * (density[i] + constant[i])


@inner()
def _surge(some: bool, m: float, shared: Floats, odds: float, block: Block, row: Floats) -> None:
    """A month under ``SURGE``."""
    state, new, mean, f = block.state, row[NEW], row[MEAN], row[F]
    probability, less = shared[PROBABILITY], 1.0 - shared[EXPONENT]
    s, count, density = state[_NOW_S], state[_NOW_COUNT], state[_DENSITY]
    copy_to(s, row[S])
    copy_to(count, row[COUNT])
    _log_counts(count, m, row[LOG_COUNT])
    _us(row[HAZARD], row[LOG_COUNT], less, row[U])
    _gs(row[U], less, state[G])
    _worse(state[G], row[VALID], state[_WORST])
    _growths(state[G], row[GROWTH])
    _expected(count, m, row[GROWTH], state[EFFECT], f)
    _means(f, s, shared[STRENGTH], mean)
    _sizes(mean, state[_PRECISION], state[_SIZE])
    _rising_each(some, new, state[_SIZE], state[_GAMMAS], state[_BY_GAMMAS])
    _negative_binomial(some, new, mean, state[_SIZE], state, density, row[BY_MEAN], row[BY_SIZE])
    if probability > 0.0:
        _scaled(shared[FACTOR], mean, state[_BURSTS])
        fill(shared[SIZE], state[_SIZE])
        _rising_each(some, new, state[_SIZE], state[_GAMMAS], state[_BY_GAMMAS])
        _negative_binomial(
            some,
            new,
            state[_BURSTS],
            state[_SIZE],
            state,
            state[_BURST],
            row[BURST_MEAN],
            row[BURST_SIZE],
        )
        _leads(state[_BURST], density, odds, state[_LEAD])
        _burst_given(state[_LEAD], row[P])
        _mixtures(state[_LEAD], math.log1p(-probability), density)
        _regulars(new, mean, row[P], row[REGULAR])
    else:
        copy_to(new, row[REGULAR])
    _ratios(row[REGULAR], f, row[RATIO])
    _add_valid(density, state[_CONSTANT], row[VALID], block.value)
    add_to(row[REGULAR], count)
    _remember(shared[MEMORY], row[RATIO], s)


@inner()
def longest_of(block: Block) -> int:
    """Months of the oldest lane."""
    longest = 0
    for i in range(len(block.value)):
        longest = max(longest, block.length[i])
    return longest


@inner()
def forward(observed: Observed, block: Block, shared: Shared) -> None:
    """Log density of the months of every lane if it is no structural zero.

    Parameters
    ----------
    observed : Observed
        Law and months of all base models.
    block : Block
        Lanes and growth parameters; gets ``value``, which is -inf where the growth of a month
        overflows, or a growth parameter is not a number or beyond 300.
    shared : Shared
        What all base models share.
    """
    law, m, months = observed
    state, value = block.state, block.value
    natural_at(block.theta, state[: _PRECISION + 1])
    for i in range(len(block.value)):
        value[i] = 0.0
        state[_WORST, i], state[_AGE, i] = 0.0, 0.0
        state[_NOW_S, i], state[_NOW_COUNT, i] = 0.0, 0.0
        state[_BIRTH_Z, i], state[_BIRTH_LOWER, i], state[_BIRTH_UPPER, i] = -np.inf, 0.0, 1.0
    odds = formulas.log_odds(shared.values[PROBABILITY])
    for k in range(longest_of(block)):
        row = block.tape[k]
        some = _read(k, block, months, m, shared.period, row)
        _attention_ended(
            state[_AGE], state[_IMMEDIACY], state[INVERSE], row[Z], row[LOWER], row[_UPPER]
        )
        # Z, LOWER and _UPPER stand in the same order in both.
        last = block.tape[k - 1] if k > 0 else state[_BIRTH_Z:]
        _shares(last[Z], last[LOWER], last[_UPPER], row[LOWER], row[_UPPER], row[SHARE])
        _hazards(state[FITNESS], row[SHARE], row[HAZARD])
        if law == SURGE:
            _surge(some, m, shared.values, odds, block, row)
            continue
        _worse(row[HAZARD], row[VALID], state[_WORST])
        if law == POISSON:
            _poisson_means(m, state[FITNESS], last[LOWER], row[HAZARD], state[G])
            _poisson(row[NEW], row[VALID], state[G], value, row[BY_LOWER])
            _poisson_slopes(row[BY_LOWER], row[HAZARD], row[BY_HAZARD])
        else:
            _birth(state[_BEFORE], row[HAZARD], row[NEW], row[VALID], value, row[BY_HAZARD])
        fill(0.0, state[_DENSITY])
        _add_valid(state[_DENSITY], state[_CONSTANT], row[VALID], value)
    for i in range(len(block.value)):
        fine = state[_WORST, i] <= HUGE and math.isfinite(value[i])
        for k in range(len(block.theta)):
            fine &= abs(block.theta[k, i]) <= WIDEST
        if not fine:
            value[i] = -np.inf


@inner()
def _attention_ended(
    log_age: Floats, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats
) -> None:
    """Standardised log age at the end of each month, and both tails of the normal there."""
    for i in range(len(upper)):
        x = (log_age[i] - immediacy[i]) * inverse[i]
        z[i] = x
        lower[i], upper[i] = formulas.tails(x)
