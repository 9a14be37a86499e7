"""The transition law at many growth parameters of one base model at once, without derivatives.

The law is that of `bayes_hfgrowth.growth.transition`. A month has the same counts whatever the
growth parameters are, so that its loops run over the latter, and months without fine-tunes, which
most are, take a short way.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, transition
from bayes_hfgrowth.growth.elementary import exp, expm1, inner, log, mills, version_of
from bayes_hfgrowth.growth.transition import BIRTH, POISSON, SURGE, Floats

__all__ = ["POINT_ROWS", "attention_growths", "born", "log_empty", "log_likelihoods_at", "tails"]

POINT_ROWS = 14
"""Rows of the working space of `log_likelihoods_at`."""

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_TINY = 1e-300
_HUGE = 600.0  # exp of it is still a float, with room for the counts
_FEW = 12  # fine-tunes of a month up to which gamma functions are products
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better
_WIDEST = 300.0  # growth parameters beyond it count as impossible


# The loops are short ones over few arrays each: only such are turned into vector instructions.


@inner()
def _natural(theta: Floats, natural: Floats, value: Floats) -> None:
    """Fitness, immediacy, 1 / longevity and 1 / dispersion; -inf for impossible ones."""
    size, points = theta.shape
    for s in range(points):
        value[s] = 0.0
    for k in range(size):
        sign = -1.0 if k > 1 else 1.0
        for s in range(points):
            t = theta[k, s]
            can = abs(t) <= _WIDEST
            value[s] = value[s] if can else -np.inf
            t = t if can else 0.0
            natural[k, s] = t if k == 1 else exp(sign * t)


@inner()
def born(z_before: Floats, lower_before: Floats, upper_before: Floats, surges: Floats) -> None:
    """What there is before the first month."""
    for s in range(len(surges)):
        z_before[s], lower_before[s], upper_before[s], surges[s] = -np.inf, 0.0, 1.0, 0.0


@inner()
def tails(
    log_age: float, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats
) -> None:
    """Standardised log age, and both tails of the normal there."""
    for s in range(len(z)):
        x = (log_age - immediacy[s]) * inverse[s]
        size = abs(x)
        tail = exp(-0.5 * min(size * size, 1400.0)) * mills(size)
        z[s] = x
        lower[s] = 1.0 - tail if x > 0.0 else tail
        upper[s] = tail if x > 0.0 else 1.0 - tail


@inner()
def attention_growths(
    z_before: Floats, lower_before: Floats, upper_before: Floats, lower: Floats, upper: Floats,
    fitness: Floats, hazard: Floats, growth: Floats,
) -> None:  # fmt: skip
    """Fitness times attention, and exp of that less 1."""
    for s in range(len(hazard)):
        late = upper_before[s] - upper[s]
        share = late if z_before[s] > 0.0 else lower[s] - lower_before[s]
        h = max(fitness[s] * max(share, _TINY), _TINY)
        hazard[s] = h
        growth[s] = max(expm1(min(h, _HUGE)), _TINY)


@inner()
def _refuse(hazard: Floats, constant: float, value: Floats) -> None:
    """Add what no parameter enters; growth that overflows is impossible."""
    for s in range(len(value)):
        value[s] = value[s] + constant if hazard[s] <= _HUGE else -np.inf


@inner()
def _poisson(
    new: float, m: float, fitness: Floats, lower_before: Floats, growth: Floats, value: Floats
) -> None:
    for s in range(len(value)):
        log_f = log(m * growth[s]) + min(fitness[s] * lower_before[s], 0.5 * _HUGE)
        value[s] += new * log_f - exp(min(log_f, _HUGE))


@inner()
def _birth(new: float, size: float, hazard: Floats, growth: Floats, value: Floats) -> None:
    for s in range(len(value)):
        value[s] -= size * hazard[s]
    if new > 0.0:
        for s in range(len(value)):
            value[s] += new * (log(growth[s]) - hazard[s])


@inner()
def _surge_means(
    size: float, strength: float, growth: Floats, surges: Floats, precision: Floats, f: Floats,
    mean: Floats, r: Floats,
) -> None:  # fmt: skip
    """What growth alone would bring, the mean, and the size of the negative binomial."""
    for s in range(len(f)):
        f[s] = size * growth[s]
        mean[s] = f[s] * exp(min(max(strength * surges[s], -_HUGE), _HUGE))
        r[s] = max(math.sqrt(mean[s]) * precision[s], _TINY)


@inner()
def _empty(mean: Floats, r: Floats, value: Floats) -> None:
    """Add the log probability of a month without fine-tunes."""
    for s in range(len(value)):
        ratio = mean[s] / r[s]
        log_p = -log(1.0 + ratio) if ratio > 1e-6 else ratio * (0.5 * ratio - 1.0)
        value[s] += r[s] * log_p


@inner()
def _powers(new: float, mean: Floats, r: Floats, value: Floats) -> None:
    for s in range(len(value)):
        value[s] += new * log(max(mean[s] / (r[s] + mean[s]), _TINY))


@inner()
def _rising_few(new: int, r: Floats, product: Floats, value: Floats) -> None:
    """Add ln Γ(new + r) - ln Γ(r) as the logarithm of a product."""
    for s in range(len(r)):
        product[s] = r[s]
    for j in range(1, new):
        if j % 6 == 0:  # lest the product overflows
            for s in range(len(r)):
                value[s] += log(product[s])
                product[s] = 1.0
        for s in range(len(r)):
            product[s] *= min(r[s] + j, 1e50)
    for s in range(len(r)):
        value[s] += log(product[s])


@inner()
def _rising_many(new: float, r: Floats, value: Floats) -> None:
    """Add ln Γ(new + r) - ln Γ(r) by Stirling's series, both beyond 8."""
    for s in range(len(r)):
        low = min(r[s], _LARGE)
        product = low * (low + 1.0) * (low + 2.0) * (low + 3.0)
        product = product * ((low + 4.0) * (low + 5.0) * (low + 6.0) * (low + 7.0))
        x, y = low + new, low + 8.0
        i, j = 1.0 / x, 1.0 / y
        i2, j2 = i * i, j * j
        top = i * (1 / 12.0 - i2 * (1 / 360.0 - i2 * (1 / 1260.0 - i2 * (1 / 1680.0))))
        bottom = j * (1 / 12.0 - j2 * (1 / 360.0 - j2 * (1 / 1260.0 - j2 * (1 / 1680.0))))
        near = (x - 0.5) * log(x) - x + top - ((y - 0.5) * log(y) - y + bottom) + log(product)
        far = new * log(r[s]) + 0.5 * new * (new - 1.0) / r[s]
        value[s] += far if r[s] >= _LARGE else near


@inner()
def _remember(new: float, memory: float, f: Floats, surges: Floats) -> None:
    """Remember how far the month surpassed what growth alone would bring."""
    for s in range(len(f)):
        surge = log((new + 0.5) / (f[s] + 0.5))
        surges[s] = memory * surges[s] + (1.0 - memory) * surge


@inner()
def _set_out(theta: Floats, value: Floats, work: Floats) -> None:
    """Get ready for the first month."""
    _natural(theta, work[:4], value)
    born(work[7], work[8], work[9], work[12])


@inner()
def _add_month(
    j: int, law: int, log_age: float, before: float, x: float, constant: float, m: float,
    carry: Floats, value: Floats, work: Floats,
) -> None:  # fmt: skip
    """Add the log density of month j, of x fine-tunes after so many before."""
    fitness, immediacy, inverse, precision = work[0], work[1], work[2], work[3]
    # What was found for one month is kept for the next, which writes into the other three rows.
    now, last = (4, 7) if j % 2 == 0 else (7, 4)
    z, lower, upper = work[now], work[now + 1], work[now + 2]
    z_before, lower_before, upper_before = work[last], work[last + 1], work[last + 2]
    hazard, growth, surges, mean = work[10], work[11], work[12], work[13]
    size = before + m
    tails(log_age, immediacy, inverse, z, lower, upper)
    attention_growths(z_before, lower_before, upper_before, lower, upper, fitness, hazard, growth)
    _refuse(hazard, constant, value)
    if law == POISSON:
        _poisson(x, m, fitness, lower_before, growth, value)
    elif law == BIRTH:
        _birth(x, size, hazard, growth, value)
    elif law == SURGE:
        # The places of hazard and z_before are needed no more.
        f, r = hazard, z_before
        _surge_means(size, carry[0], growth, surges, precision, f, mean, r)
        _empty(mean, r, value)
        if x > 0.0:
            _powers(x, mean, r, value)
            if x <= _FEW:
                _rising_few(int(x), r, growth, value)
            else:
                _rising_many(x, r, value)
        _remember(x, carry[1], f, surges)


@njit(error_model="numpy")
def log_likelihoods_at(
    law: int,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    m: float,
    theta: Floats,
    carry: Floats,
    value: Floats,
    work: Floats,
) -> None:
    """Log density of one base model's months if it is not dormant, at many growth parameters.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    log_age, previous, new, constants, m
        The months, as in `bayes_hfgrowth.growth.transition.pointwise`.
    theta : ndarray, shape (3 or 4, points)
        Ln fitness, immediacy, ln longevity, and under ``SURGE`` ln dispersion.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    value : ndarray, shape (points,)
        Filled with the log densities; -inf where the growth of a month overflows, or a growth
        parameter is not a number or beyond 300.
    work : ndarray, shape (POINT_ROWS, points)
        Working space.
    """
    _set_out(theta, value, work)
    for j in range(len(new)):
        _add_month(j, law, log_age[j], previous[j], new[j], constants[j], m, carry, value, work)


def _compiled(sources: int) -> Any:
    """Make `log_empty`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def log_empty(law, m, theta, carry, out):  # type: ignore[no-untyped-def]
        """Log probability of no fine-tune until each age if not dormant, at many parameters.

        Parameters
        ----------
        law, m, theta, carry
            As in `log_likelihoods_at`.
        out : ndarray, shape (months, points)
            Filled.
        """
        _ = sources
        points = theta.shape[1]
        value, work = np.empty(points), np.empty((POINT_ROWS, points))
        _set_out(theta, value, work)
        for j in range(len(out)):
            _add_month(j, law, math.log(j + 1.0), 0.0, 0.0, 0.0, m, carry, value, work)
            for s in range(points):
                out[j, s] = value[s]

    return log_empty


log_empty = _compiled(version_of(elementary.__file__, transition.__file__, __file__))
