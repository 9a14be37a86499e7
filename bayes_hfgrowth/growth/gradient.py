"""The transition law with its derivatives by the growth parameters, written out by hand.

The law is that of `bayes_hfgrowth.growth.transition`. Here the months of many base models go
through one step after another, in loops simple enough for vector instructions; only what a surge
hands on from month to month, and the gamma functions, go one by one.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary
from bayes_hfgrowth.growth.elementary import exp, expm1, inner, log, mills, version_of
from bayes_hfgrowth.growth.transition import POISSON, SURGE, Floats, Integers

__all__ = ["BATCH", "WORK", "batch", "gradient", "gradients", "possible", "working_space"]

BATCH = 512
"""Months that go through each step at once: enough for long loops, few enough for the cache."""

WORK = 19
"""Rows of the working space of `gradient`."""

_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_TINY = 1e-300
_HUGE = 600.0  # exp of it is still a float, with room for the counts
# Growth parameters on the scale of a logarithm beyond which a base model counts as impossible:
# no prior comes near, but a step of the sampler that went wrong does.
_WIDEST = 300.0
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better


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
    """Ln Γ(new + size) - ln Γ(size), and its derivative in size; exact sums for small counts."""
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
def _spread_out(begin: Integers, theta: Floats, surge: bool, work: Floats) -> None:
    """Give every month the growth parameters of its series, or harmless ones for impossible."""
    for i in range(len(begin) - 1):
        fitness, immediacy, inverse, dispersion = 1.0, 0.0, 1.0, 0.0
        if possible(theta[i]):
            fitness, immediacy, inverse = math.exp(theta[i, 0]), theta[i, 1], math.exp(-theta[i, 2])
            if surge:
                dispersion = theta[i, 3]
        for j in range(begin[i], begin[i + 1]):
            work[0, j], work[1, j], work[2, j] = fitness, immediacy, inverse
            if surge:
                work[3, j] = dispersion


@njit(error_model="numpy")
def possible(theta: Floats) -> bool:
    """Whether growth parameters can be worked with; those that are not a number cannot."""
    fine = True
    for value in theta:
        fine &= abs(value) <= _WIDEST
    return fine


@inner()
def _normal(
    log_age: Floats, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats
) -> None:
    """Standardised log ages, and both tails of the normal there, without cancellation."""
    for j in range(len(z)):
        x = (log_age[j] - immediacy[j]) * inverse[j]
        size = abs(x)
        tail = exp(-0.5 * min(size * size, 1400.0)) * mills(size)
        z[j] = x
        lower[j] = 1.0 - tail if x > 0.0 else tail
        upper[j] = tail if x > 0.0 else 1.0 - tail


@inner()
def _normal_slopes(z: Floats, inverse: Floats, lower1: Floats, lower2: Floats) -> None:
    """Derivatives of the lower tail by immediacy and by ln longevity."""
    for j in range(len(z)):
        density = _DENSITY_0 * exp(-0.5 * min(z[j] * z[j], 1400.0))
        lower1[j] = -density * inverse[j]
        lower2[j] = -density * z[j]


@inner()
def _month_before(begin: Integers, now: Floats, first: float, before: Floats) -> None:
    """Values at the beginning of each month; `first` at the birth of a series."""
    for j in range(len(now) - 1):
        before[j + 1] = now[j]
    for i in range(len(begin) - 1):
        if begin[i] < begin[i + 1]:
            before[begin[i]] = first


@inner()
def _differences(now: Floats, before: Floats) -> None:
    """Put what is gained in each month in the place of what was there before."""
    for j in range(len(now)):
        before[j] = now[j] - before[j]


@inner()
def _shares(
    z_before: Floats, lower: Floats, lower_before: Floats, upper: Floats, upper_before: Floats
) -> None:
    """Put the attention of each month, from the tails that are small, in the place of `upper`."""
    for j in range(len(lower)):
        share = upper_before[j] - upper[j] if z_before[j] > 0.0 else lower[j] - lower_before[j]
        upper[j] = max(share, _TINY)


@inner()
def _hazards(shares: Floats, fitness: Floats, hazard: Floats, growth: Floats) -> None:
    """Fitness times attention, and exp of that less 1."""
    for j in range(len(shares)):
        h = max(fitness[j] * shares[j], _TINY)
        hazard[j] = h
        growth[j] = max(expm1(min(h, _HUGE)), _TINY)


@inner()
def _by_growth(
    hazard: Floats, growth: Floats, fitness: Floats, d0: Floats, d1: Floats, d2: Floats
) -> None:
    """Derivatives of ln(exp(h) - 1); the last two hold those of attention at first."""
    for j in range(len(growth)):
        ratio = (growth[j] + 1.0) / growth[j]
        d0[j] = hazard[j] * ratio
        d1[j] *= fitness[j] * ratio
        d2[j] *= fitness[j] * ratio


@inner()
def _surges(
    previous: Floats, new: Floats, growth: Floats, m: float, memory: float, f: Floats,
    surge: Floats, weight: Floats,
) -> None:  # fmt: skip
    """What growth alone would bring, f; how far each month surpassed it; the slope of that."""
    for j in range(len(f)):
        f[j] = (previous[j] + m) * growth[j]
        surge[j] = log((new[j] + 0.5) / (f[j] + 0.5))
        weight[j] = -(1.0 - memory) * f[j] / (f[j] + 0.5)


@inner()
def _remember(
    begin: Integers, memory: float, strength: float, surge: Floats, weight: Floats, d0: Floats,
    d1: Floats, d2: Floats, s: Floats, s_memory: Floats,
) -> None:  # fmt: skip
    """Remembered surges, and their part in the derivatives of each month's log mean."""
    for i in range(len(begin) - 1):
        now = now0 = now1 = now2 = now_memory = 0.0
        for j in range(begin[i], begin[i + 1]):
            s[j], s_memory[j] = now, now_memory
            now_memory = memory * now_memory + now - surge[j]
            now = memory * now + (1.0 - memory) * surge[j]
            next0 = memory * now0 + weight[j] * d0[j]
            next1 = memory * now1 + weight[j] * d1[j]
            next2 = memory * now2 + weight[j] * d2[j]
            d0[j] += strength * now0
            d1[j] += strength * now1
            d2[j] += strength * now2
            now0, now1, now2 = next0, next1, next2


@inner()
def _means(f: Floats, s: Floats, strength: float, log_mean: Floats, mean: Floats) -> None:
    """Mean of each month, and its logarithm."""
    for j in range(len(f)):
        x = min(max(log(f[j]) + strength * s[j], -_HUGE), _HUGE + 1.0)
        log_mean[j] = x
        mean[j] = exp(x)


@inner()
def _negative_binomial(
    new: Floats, log_mean: Floats, mean: Floats, log_dispersion: Floats, value: Floats,
    size: Floats, by_mean: Floats, by_size: Floats,
) -> None:  # fmt: skip
    """Log density but for the gamma functions, and its derivatives."""
    for j in range(len(value)):
        r = math.sqrt(mean[j]) * exp(-log_dispersion[j])
        spread = r + mean[j]
        log_spread = log(spread)
        log_p = 0.5 * log_mean[j] - log_dispersion[j] - log_spread
        ratio = mean[j] / r
        # The difference of logarithms would lose what r then multiplies.
        log_p = ratio * (0.5 * ratio - 1.0) if ratio < 1e-6 else log_p
        size[j] = r
        value[j] = r * log_p + new[j] * (log_mean[j] - log_spread)
        by_mean[j] = new[j] - (new[j] + r) * mean[j] / spread
        by_size[j] = log_p + (mean[j] - new[j]) / spread


@njit(error_model="numpy")
def gradient(
    law: int,
    begin: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    m: float,
    theta: Floats,
    strength: float,
    memory: float,
    value: Floats,
    slope: Floats,
    trace: Floats,
    work: Floats,
) -> None:
    """Log density of some base models' months if they are not dormant, and its gradient.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    begin : ndarray of int, shape (series + 1,)
        Series i has the months ``begin[i] .. begin[i + 1] - 1``, in order of age from month 1;
        the first of all is 0.
    log_age, previous, new, constants : ndarray of float, shape (months,)
        Ln of the age at the end of each month, the count before it, the fine-tunes in it,
        and the result of `bayes_hfgrowth.growth.transition.month_constants`.
    m : float
        The constant m of the curve.
    theta : ndarray, shape (series, 3 or 4)
        Ln fitness, immediacy, ln longevity, and under ``SURGE`` ln dispersion.
    strength, memory : float
        Of the carry-over of surges.
    value : ndarray, shape (series,)
        Filled with the sums of the log densities; -inf where the growth or the mean of a month
        overflows, or a growth parameter is not a number or beyond 300.
    slope : ndarray, shape (series, 6)
        Filled with the derivatives by theta (always four places), strength and memory.
    trace : ndarray, shape (0, 7) or (months, 7)
        Where it has rows, each is filled with the sum over the months of its series up to this
        one and its derivatives; months after an overflow are left alone.
    work : ndarray, shape (WORK, at least the months)
        Working space.
    """
    n = begin[-1]
    x = new[:n]
    fitness, inverse = work[0, :n], work[2, :n]
    z, lower, upper = work[4, :n], work[5, :n], work[6, :n]
    lower1, lower2 = work[7, :n], work[8, :n]
    z_before, lower_before, upper_before = work[9, :n], work[10, :n], work[11, :n]
    d0, d1, d2 = work[12, :n], work[13, :n], work[14, :n]
    hazard, growth = work[15, :n], work[16, :n]
    _spread_out(begin, theta, law == SURGE, work)
    _normal(log_age, work[1, :n], inverse, z, lower, upper)
    _normal_slopes(z, inverse, lower1, lower2)
    _month_before(begin, z, -np.inf, z_before)
    _month_before(begin, lower, 0.0, lower_before)
    _month_before(begin, upper, 1.0, upper_before)
    _month_before(begin, lower1, 0.0, d1)
    _month_before(begin, lower2, 0.0, d2)
    if law == POISSON:
        for j in range(n):
            work[17, j], work[18, j] = d1[j], d2[j]
    _differences(lower1, d1)
    _differences(lower2, d2)
    _shares(z_before, lower, lower_before, upper, upper_before)
    _hazards(upper, fitness, hazard, growth)
    _by_growth(hazard, growth, fitness, d0, d1, d2)
    if law == SURGE:
        _surge_law(
            begin, previous, x, constants, m, theta, strength, memory, value, slope, trace, work
        )
        return
    for i in range(len(begin) - 1):
        total = g0 = g1 = g2 = 0.0
        can = possible(theta[i])
        for j in range(begin[i], begin[i + 1]):
            if hazard[j] > _HUGE or not can:
                total = -np.inf
                break
            if law == POISSON:
                log_f = math.log(m * growth[j]) + fitness[j] * lower_before[j]
                mean = math.exp(log_f)
                total += constants[j] + x[j] * log_f - mean
                by = x[j] - mean
                g0 += by * fitness[j] * lower_before[j]
                g1 += by * fitness[j] * work[17, j]
                g2 += by * fitness[j] * work[18, j]
            else:
                total += constants[j] - (previous[j] + m) * hazard[j]
                if x[j] > 0.0:
                    total += x[j] * (math.log(growth[j]) - hazard[j])
                by = x[j] / (growth[j] + 1.0) - (previous[j] + m) * growth[j] / (growth[j] + 1.0)
            g0 += by * d0[j]
            g1 += by * d1[j]
            g2 += by * d2[j]
            if len(trace) > 0:
                trace[j, 0], trace[j, 1], trace[j, 2], trace[j, 3] = total, g0, g1, g2
                trace[j, 4] = trace[j, 5] = trace[j, 6] = 0.0
        value[i] = total
        slope[i, 0], slope[i, 1], slope[i, 2] = g0, g1, g2
        slope[i, 3] = slope[i, 4] = slope[i, 5] = 0.0


@inner()
def _surge_law(
    begin: Integers,
    previous: Floats,
    x: Floats,
    constants: Floats,
    m: float,
    theta: Floats,
    strength: float,
    memory: float,
    value: Floats,
    slope: Floats,
    trace: Floats,
    work: Floats,
) -> None:
    """Sum the months of the surge law; what `gradient` left in `work` is known."""
    n = begin[-1]
    d0, d1, d2 = work[12, :n], work[13, :n], work[14, :n]
    hazard, growth, s, s_memory = work[15, :n], work[16, :n], work[17, :n], work[18, :n]
    f, surge, weight = work[4, :n], work[5, :n], work[6, :n]
    _surges(previous, x, growth, m, memory, f, surge, weight)
    _remember(begin, memory, strength, surge, weight, d0, d1, d2, s, s_memory)
    log_mean, mean, log_density = work[5, :n], work[6, :n], work[7, :n]
    size, by_mean, by_size = work[8, :n], work[9, :n], work[10, :n]
    _means(f, s, strength, log_mean, mean)
    _negative_binomial(x, log_mean, mean, work[3, :n], log_density, size, by_mean, by_size)
    for i in range(len(begin) - 1):
        total = g0 = g1 = g2 = g3 = g_strength = g_memory = 0.0
        can = possible(theta[i])
        for j in range(begin[i], begin[i + 1]):
            if hazard[j] > _HUGE or log_mean[j] > _HUGE or not can:
                total = -np.inf
                break
            by = by_size[j]
            total += constants[j] + log_density[j]
            if x[j] > 0.0:
                rising, by_rising = _rising(size[j], x[j])
                total += rising
                by += by_rising
            by *= size[j]
            by_log_mean = by_mean[j] + 0.5 * by
            g0 += by_log_mean * d0[j]
            g1 += by_log_mean * d1[j]
            g2 += by_log_mean * d2[j]
            g3 -= by
            g_strength += by_log_mean * s[j]
            g_memory += by_log_mean * strength * s_memory[j]
            if len(trace) > 0:
                row = trace[j]
                row[0], row[1], row[2], row[3], row[4] = total, g0, g1, g2, g3
                row[5], row[6] = g_strength, g_memory
        value[i] = total
        own = slope[i]
        own[0], own[1], own[2], own[3], own[4], own[5] = g0, g1, g2, g3, g_strength, g_memory


@njit(error_model="numpy")
def batch(start: Integers, first: int) -> int:
    """End of a batch of series from `first` on that has at most `BATCH` months, or one series."""
    last = first + 1
    while last + 1 < len(start) and start[last + 1] - start[first] <= BATCH:
        last += 1
    return last


@njit(error_model="numpy")
def working_space(start: Integers) -> Floats:
    """Room for the batches of these series."""
    longest = BATCH
    for i in range(len(start) - 1):
        longest = max(longest, start[i + 1] - start[i])
    return np.empty((WORK, longest))


def _compiled(sources: int) -> Any:
    """Make `gradients`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", cache=True)
    def gradients(  # type: ignore[no-untyped-def]
        law, start, log_age, previous, new, constants, m, theta, carry, value, slope
    ):
        """Log density of every base model's months if it is not dormant, and its gradient.

        Parameters are those of `gradient`; `carry` holds strength and memory, and `slope` gets
        the derivatives by theta only.
        """
        _ = sources
        work, no_trace = working_space(start), np.empty((0, 7))
        everything = np.empty((len(start), 6))
        first = 0
        while first < len(start) - 1:
            last = batch(start, first)
            months = slice(start[first], start[last])
            gradient(
                law, start[first : last + 1] - start[first], log_age[months], previous[months],
                new[months], constants[months], m, theta[first:last], carry[0], carry[1],
                value[first:last], everything[first:last], no_trace, work,
            )  # fmt: skip
            first = last
        for i in range(len(theta)):
            for k in range(theta.shape[1]):
                slope[i, k] = everything[i, k]

    return gradients


gradients = _compiled(version_of(elementary.__file__, __file__))
