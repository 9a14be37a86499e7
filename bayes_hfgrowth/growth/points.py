"""The law at many growth parameters of one base model at once, without derivatives.

A month has the same count whatever the growth parameters are, so that its loops run over the
latter, and months without fine-tunes, which most are, take a short way. The formulas are those
of `bayes_hfgrowth.growth.law`; each loop fills one array from a few others, since only such
loops are turned into vector instructions.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import exp, inner, log, version_of
from bayes_hfgrowth.growth.law import (
    BIRTH,
    EXPONENT,
    FACTOR,
    HUGE,
    MEMORY,
    POISSON,
    PROBABILITY,
    SHARED,
    SIZE,
    STRENGTH,
    TINY,
    WIDEST,
    Floats,
    Observed,
    Shared,
)

__all__ = [
    "ROWS",
    "Rows",
    "add_to",
    "born",
    "copy_to",
    "expected_at",
    "fill",
    "hazards_at",
    "laws_at",
    "log_likelihoods",
    "log_likelihoods_at",
    "means_at",
    "natural_at",
    "reinforced_at",
    "remembered_at",
    "rows_of",
    "surge_month",
]

ROWS = 20 + SHARED + 1
"""Rows of the working space that `rows_of` names."""

_FEW = 12  # fine-tunes of a month up to which gamma functions are products
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better


class Rows(NamedTuple):
    """What is known of every point while the months are gone through; rows of a working space.

    Parameters
    ----------
    natural : ndarray, shape (4, points)
        From `natural_at`; the next four are its rows.
    fitness, immediacy, inverse, precision : ndarray, shape (points,)
        Fitness, immediacy, 1 / longevity, and 1 / dispersion under ``SURGE``.
    ended : ndarray, shape (2, 3, points)
        Standardised log age at the end of even and of odd months, and both tails of the normal
        there: what was found for one month is kept for the next.
    hazard : ndarray, shape (points,)
        Fitness times the attention of the month.
    s, counts : ndarray, shape (points,)
        Carry-over and effective counts before the month.
    period : ndarray, shape (points,)
        Period effect of the month.
    f, mean, size, density, burst, spare : ndarray, shape (points,)
        Of the count of the month, and working space.
    laws : ndarray, shape (SHARED + 1, points)
        From `laws_at`.
    """

    natural: Floats
    fitness: Floats
    immediacy: Floats
    inverse: Floats
    precision: Floats
    ended: Floats
    hazard: Floats
    s: Floats
    counts: Floats
    period: Floats
    f: Floats
    mean: Floats
    size: Floats
    density: Floats
    burst: Floats
    spare: Floats
    laws: Floats


@inner()
def rows_of(work: Floats) -> Rows:
    """Name the rows of a working space of shape (ROWS, points)."""
    return Rows(
        work[:4],
        work[0],
        work[1],
        work[2],
        work[3],
        work[4:10].reshape((2, 3, work.shape[1])),
        work[10],
        work[11],
        work[12],
        work[13],
        work[14],
        work[15],
        work[16],
        work[17],
        work[18],
        work[19],
        work[20:ROWS],
    )


# --- Steps of a month, shared with `bayes_hfgrowth.growth.paths` ------------------------------


@inner()
def natural_at(theta: Floats, natural: Floats) -> None:
    """Fitness, immediacy, 1 / longevity and 1 / dispersion; theta of shape (parameters, points)."""
    size, points = theta.shape
    for k in range(size):
        sign = -1.0 if k > 1 else 1.0
        for s in range(points):
            t = theta[k, s]
            t = min(max(t, -WIDEST), WIDEST) if t == t else 0.0
            natural[k, s] = t if k == 1 else exp(sign * t)


@inner()
def born(rows: Rows) -> None:
    """What there is before the first month."""
    fill(-np.inf, rows.ended[1, 0])
    fill(0.0, rows.ended[1, 1])
    fill(1.0, rows.ended[1, 2])
    fill(0.0, rows.s)
    fill(0.0, rows.counts)


@inner()
def _attention_ended(
    log_age: float, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats
) -> None:
    """Standardised log age at the end of a month, and both tails of the normal there."""
    for i in range(len(z)):
        x = (log_age - immediacy[i]) * inverse[i]
        z[i] = x
        lower[i], upper[i] = formulas.tails(x)


@inner()
def _attention_at(
    z_before: Floats,
    lower_before: Floats,
    upper_before: Floats,
    lower: Floats,
    upper: Floats,
    fitness: Floats,
    hazard: Floats,
) -> None:
    for i in range(len(hazard)):
        share = formulas.attention(
            z_before[i], lower_before[i], upper_before[i], lower[i], upper[i]
        )
        hazard[i] = max(fitness[i] * share, TINY)


@inner()
def hazards_at(k: int, log_age: float, rows: Rows) -> None:
    """Fitness times the attention of month k, counted from 0, which ends at an age."""
    now, last = rows.ended[k % 2], rows.ended[1 - k % 2]
    _attention_ended(log_age, rows.immediacy, rows.inverse, now[0], now[1], now[2])
    _attention_at(last[0], last[1], last[2], now[1], now[2], rows.fitness, rows.hazard)


@inner()
def reinforced_at(m: float, exponent: Floats, count: Floats, hazard: Floats, g: Floats) -> None:
    """G of `bayes_hfgrowth.growth.law.reinforcement`."""
    for i in range(len(g)):
        g[i] = formulas.reinforcement(hazard[i], log(count[i] + m), exponent[i])


@inner()
def expected_at(m: float, period: Floats, count: Floats, g: Floats, f: Floats) -> None:
    """f, what growth and period would bring."""
    for i in range(len(f)):
        f[i] = (count[i] + m) * formulas.growth_of(g[i]) * exp(period[i])


@inner()
def means_at(
    strength: Floats, f: Floats, s: Floats, precision: Floats, mean: Floats, size: Floats
) -> None:
    """Mean of the month, and the size of its negative binomial."""
    for i in range(len(f)):
        now = f[i] * exp(formulas.log_carried(s[i], strength[i]))
        mean[i] = now
        size[i] = formulas.size_of(now, precision[i])


@inner()
def _bursts_at(
    new: float, factor: Floats, size: Floats, mean: Floats, bursts: Floats, density: Floats
) -> None:
    """Log density of the count if the month was a burst; `bursts` gets the mean, then is free."""
    for i in range(len(mean)):
        bursts[i] = factor[i] * mean[i]
    _densities_at(new, bursts, size, density)


@inner()
def _leads_at(odds: Floats, regular: Floats, burst: Floats, lead: Floats) -> None:
    """How far a burst is likelier than a regular month, on the log scale."""
    for i in range(len(lead)):
        lead[i] = formulas.burst_lead(regular[i], burst[i], odds[i])


@inner()
def _regular_at(new: float, mean: Floats, lead: Floats, regular: Floats) -> None:
    """What of the count feeds later months."""
    for i in range(len(mean)):
        regular[i] = formulas.regular_part(new, mean[i], formulas.burst_given(lead[i]))


@inner()
def remembered_at(memory: Floats, regular: Floats, f: Floats, s: Floats, count: Floats) -> None:
    """Take the month into what is known before the next one."""
    for i in range(len(f)):
        s[i] = memory[i] * s[i] + (1.0 - memory[i]) * formulas.log_ratio(regular[i], f[i])
    for i in range(len(f)):
        count[i] += regular[i]


# --- Densities of the month -----------------------------------------------------------------


@inner()
def _refuse(growth: Floats, constant: float, value: Floats) -> None:
    """Add what no parameter enters; growth that overflows is impossible."""
    for i in range(len(value)):
        value[i] = value[i] + constant if growth[i] <= HUGE else -np.inf


@inner()
def _possible(theta: Floats, value: Floats) -> None:
    """0 where growth parameters can be worked with, else -inf."""
    fill(0.0, value)
    for k in range(len(theta)):
        for i in range(len(value)):
            value[i] = value[i] if abs(theta[k, i]) <= WIDEST else -np.inf


@inner()
def _poisson(
    new: float, m: float, fitness: Floats, lower_before: Floats, hazard: Floats, value: Floats
) -> None:
    for i in range(len(value)):
        log_f = formulas.log_poisson_mean(m, fitness[i], lower_before[i], hazard[i])
        value[i] += new * log_f - exp(min(log_f, HUGE))


@inner()
def _birth(new: float, size: float, hazard: Floats, value: Floats) -> None:
    for i in range(len(value)):
        value[i] -= size * hazard[i]
    if new > 0.0:
        for i in range(len(value)):
            value[i] += new * (log(formulas.growth_of(hazard[i])) - hazard[i])


@inner()
def _densities_at(new: float, mean: Floats, size: Floats, density: Floats) -> None:
    """Log density of a negative binomial count but for its constant; `mean` is free after it."""
    for i in range(len(mean)):
        density[i] = size[i] * formulas.log_vacancy(mean[i], size[i])
    if new > 0.0:
        for i in range(len(mean)):
            density[i] += new * formulas.log_occupancy(mean[i], size[i])
        if new <= _FEW:
            _rising_few(int(new), size, mean, density)
        else:
            _rising_many(new, size, density)


@inner()
def _rising_few(new: int, size: Floats, product: Floats, density: Floats) -> None:
    """Add ln Γ(new + size) - ln Γ(size) as the logarithm of a product."""
    for i in range(len(size)):
        product[i] = size[i]
    for j in range(1, new):
        if j % 6 == 0:  # lest the product overflows
            for i in range(len(size)):
                density[i] += log(product[i])
                product[i] = 1.0
        for i in range(len(size)):
            product[i] *= min(size[i] + j, 1e50)
    for i in range(len(size)):
        density[i] += log(product[i])


@inner()
def _rising_many(new: float, size: Floats, density: Floats) -> None:
    """Add ln Γ(new + size) - ln Γ(size) by Stirling's series, both beyond 8."""
    for i in range(len(size)):
        low = min(size[i], _LARGE)
        product = low * (low + 1.0) * (low + 2.0) * (low + 3.0)
        product = product * ((low + 4.0) * (low + 5.0) * (low + 6.0) * (low + 7.0))
        x, y = low + new, low + 8.0
        top, end = formulas.stirling_rest(1.0 / x), formulas.stirling_rest(1.0 / y)
        near = (x - 0.5) * log(x) - x + top - ((y - 0.5) * log(y) - y + end) + log(product)
        far = new * log(size[i]) + 0.5 * new * (new - 1.0) / size[i]
        density[i] += far if size[i] >= _LARGE else near


@inner()
def add_to(addend: Floats, total: Floats) -> None:
    """Add one by one; a loop compiles faster than an expression of arrays."""
    for i in range(len(total)):
        total[i] += addend[i]


@inner()
def _mixed_at(probability: Floats, regular: Floats, lead: Floats, value: Floats) -> None:
    """Add the log density of a month that may be a burst."""
    for i in range(len(value)):
        value[i] += regular[i] + formulas.mixed(lead[i]) + log(1.0 - probability[i])


@inner()
def copy_to(values: Floats, out: Floats) -> None:
    """Copy one by one."""
    for i in range(len(out)):
        out[i] = values[i]


@inner()
def fill(number: float, out: Floats) -> None:
    """Fill with one number."""
    for i in range(len(out)):
        out[i] = number


@inner()
def surge_month(new: float, m: float, bursts: bool, rows: Rows, value: Floats) -> None:
    """Add the log density of an observed month under ``SURGE``, and take it in.

    Parameters
    ----------
    new : float
        Fine-tunes in it.
    m : float
        The constant m of the curve.
    bursts : bool
        Whether months may be bursts.
    rows : Rows
        Carry-over and effective counts get those after the month, the hazard becomes g.
    value : ndarray, shape (points,)
        Log density before the month; gets that after it.
    """
    laws, hazard, s, count = rows.laws, rows.hazard, rows.s, rows.counts
    f, mean, size, density = rows.f, rows.mean, rows.size, rows.density
    burst, spare = rows.burst, rows.spare
    reinforced_at(m, laws[EXPONENT], count, hazard, spare)
    expected_at(m, rows.period, count, spare, f)
    copy_to(spare, hazard)
    means_at(laws[STRENGTH], f, s, rows.precision, mean, size)
    if bursts:
        copy_to(mean, spare)
        _densities_at(new, spare, size, density)
        _bursts_at(new, laws[FACTOR], laws[SIZE], mean, spare, burst)
        _leads_at(laws[SHARED], density, burst, spare)
        _mixed_at(laws[PROBABILITY], density, spare, value)
        _regular_at(new, mean, spare, burst)
    else:
        _densities_at(new, mean, size, density)
        fill(new, burst)
        add_to(density, value)
    remembered_at(laws[MEMORY], burst, f, s, count)


@inner()
def laws_at(shared: Floats, laws: Floats) -> None:
    """Shared parameters of each point, and the log odds of a burst behind them.

    Parameters
    ----------
    shared : ndarray, shape (1 or points, SHARED)
    laws : ndarray, shape (SHARED + 1, points)
    """
    for i in range(laws.shape[1]):
        row = shared[min(i, len(shared) - 1)]
        for k in range(SHARED):
            laws[k, i] = row[k]
        laws[SHARED, i] = formulas.log_odds(row[PROBABILITY])


@njit(error_model="numpy")
def log_likelihoods_at(
    observed: Observed, i: int, theta: Floats, shared: Shared, value: Floats, work: Floats
) -> None:
    """Log density of one base model's months given no structural zero, at many growth parameters.

    Parameters
    ----------
    observed : Observed
        Law and months of all.
    i : int
        Which base model.
    theta : ndarray, shape (3 or 4, points)
        Ln fitness, immediacy, ln longevity, and under ``SURGE`` ln dispersion.
    shared : Shared
        What all base models share.
    value : ndarray, shape (points,)
        Filled with the log densities; -inf where the growth of a month overflows, or a growth
        parameter is not a number or beyond 300.
    work : ndarray, shape (ROWS, points)
        Working space.
    """
    law, m, months = observed
    rows = rows_of(work)
    _possible(theta, value)
    natural_at(theta, rows.natural)
    laws_at(shared.values.reshape((1, SHARED)), rows.laws)
    bursts = shared.values[PROBABILITY] > 0.0
    born(rows)
    for j in range(months.start[i], months.start[i + 1]):
        k, new = j - months.start[i], months.new[j]
        hazards_at(k, months.log_age[j], rows)
        if law == POISSON:
            _poisson(new, m, rows.fitness, rows.ended[1 - k % 2, 1], rows.hazard, value)
        elif law == BIRTH:
            _birth(new, months.previous[j] + m, rows.hazard, value)
        else:
            fill(
                formulas.period_at(shared.period, months.calendar[j], months.share[j]), rows.period
            )
            surge_month(new, m, bursts, rows, value)
        _refuse(rows.hazard, months.constants[j], value)


def _compiled(sources: int) -> Any:
    """Make the function; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def log_likelihoods(observed, theta, shared, out):  # type: ignore[no-untyped-def]
        """Log density of every base model's months at points of its own.

        Parameters
        ----------
        observed, shared
            As in `log_likelihoods_at`.
        theta : ndarray, shape (base models, 3 or 4, points)
        out : ndarray, shape (base models, points)
            Filled.
        """
        _ = sources
        work = np.empty((ROWS, theta.shape[2]))
        for i in range(len(theta)):
            log_likelihoods_at(observed, i, theta[i], shared, out[i], work)

    return log_likelihoods


log_likelihoods = _compiled(version_of(__file__))
