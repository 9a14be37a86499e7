"""Futures of base models under the law, many draws of the parameters at once.

What has been observed is the same under every draw, so that the loops over a month run over the
draws and become vector instructions; only the counts themselves are drawn one by one.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, monthwise, points
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import exp, inner, log, version_of
from bayes_hfgrowth.growth.law import (
    CAP,
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
    Floats,
    burst_given,
    burst_lead,
    growth_of,
    log_density,
    period_at,
    regular_part,
    rising,
    size_of,
)
from bayes_hfgrowth.growth.monthwise import draw_count, draw_poisson, negative_binomial
from bayes_hfgrowth.growth.points import (
    attention_at,
    attention_ended,
    born,
    expected_at,
    filled,
    laws_at,
    means_at,
    natural_at,
    reinforced_at,
    remembered_at,
    surge_month,
)

__all__ = ["simulate"]

_MOST = 1e17  # a mean beyond it is taken as it; the counts stop at CAP long before
_BLOCK = 250  # draws at a time, whose working space stays in the cache
_ROWS = 26 + SHARED + 1


@inner()
def _empty(law: int, size: float, fitness: Floats, lower: Floats, m: float, hazard: Floats,
           value: Floats) -> None:  # fmt: skip
    """Add the log probability of an empty month under the classic laws."""
    for s in range(len(value)):
        if law == POISSON:
            log_mean = log(m * growth_of(hazard[s])) + min(fitness[s] * lower[s], 0.5 * HUGE)
            value[s] -= exp(min(log_mean, HUGE))
        else:
            value[s] -= size * hazard[s]


@inner()
def _period(months: Floats, first: int, calendar: int, share: float, period: Floats) -> None:
    """Period effect of a month of age under each draw; `months` of shape (draws, months)."""
    for s in range(len(period)):
        period[s] = period_at(months[first + s], calendar, share)


@inner()
def _bounded(precision: Floats, mean: Floats, size: Floats) -> None:
    """Means that can be drawn from."""
    for s in range(len(mean)):
        mean[s] = min(mean[s], _MOST)
        size[s] = size_of(mean[s], precision[s])


@njit(error_model="numpy")
def _draw_surges(
    asleep: Any, laws: Floats, mean: Floats, size: Floats, fresh: Floats, regular: Floats,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw the month, and what of it is regular."""
    for s in range(len(mean)):
        x = 0.0
        if not asleep[s]:
            x = draw_count(
                mean[s], size[s], laws[PROBABILITY, s], laws[FACTOR, s], laws[SIZE, s], rng
            )
        fresh[s] = regular[s] = x
        if x > 0.0 and laws[PROBABILITY, s] > 0.0:
            bursts = laws[FACTOR, s] * mean[s]
            one = log_density(x, mean[s], size[s], rising(size[s], x))
            other = log_density(x, bursts, laws[SIZE, s], rising(laws[SIZE, s], x))
            lead = burst_lead(one, other, laws[SHARED, s])
            regular[s] = regular_part(x, mean[s], burst_given(lead))


@njit(error_model="numpy")
def _draw_classic(
    law: int, m: float, asleep: Any, count: Floats, fitness: Floats, lower: Floats, hazard: Floats,
    fresh: Floats, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw the month under the classic laws."""
    for s in range(len(fresh)):
        x = 0.0
        if not asleep[s]:
            if law == POISSON:
                log_mean = math.log(m * growth_of(hazard[s])) + min(
                    fitness[s] * lower[s], 0.5 * HUGE
                )
                x = draw_poisson(min(math.exp(min(log_mean, HUGE)), _MOST), rng)
            else:
                size = count[s] + m
                x = negative_binomial(min(size * growth_of(hazard[s]), _MOST), size, rng)
        fresh[s] = x


def _compiled(sources: int) -> Any:
    """Make `simulate`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def simulate(  # type: ignore[no-untyped-def]
        law, months, m, theta, shared, period, ahead, shares, group, dormancy, rng, out
    ):
        """Continue every base model from what was observed, one path for each draw.

        Parameters
        ----------
        law, months, m, theta, shared, period, group, dormancy
            As in `bayes_hfgrowth.growth.monthwise.pointwise`; the period effects also cover the
            months to come. A base model without months starts from count 0 at age 0.
        ahead, shares : ndarray, shape (base models, further months)
            The calendar month in which each further month begins, and its share of it, as in
            `bayes_hfgrowth.growth.law.Months`.
        rng : numpy.random.Generator
            Source of randomness.
        out : ndarray of int, shape (draws, base models, further months)
            Filled with cumulative counts at the end of each further month, at most `CAP`.
        """
        _ = sources
        for i in range(theta.shape[1]):
            start, end = months.start[i], months.start[i + 1]
            observed = 0.0
            for j in range(start, end):
                observed += months.new[j]
            for first in range(0, theta.shape[0], _BLOCK):
                last = min(first + _BLOCK, theta.shape[0])
                work = np.zeros((_ROWS, last - first))
                fitness, immediacy, inverse, precision = work[0], work[1], work[2], work[3]
                z, lower, upper = work[4], work[5], work[6]
                z_before, lower_before, upper_before = work[7], work[8], work[9]
                hazard, s, count, effect = work[10], work[11], work[12], work[13]
                f, mean, size, g = work[14], work[15], work[16], work[19]
                fresh, regular, total, silence = work[20], work[21], work[22], work[23]
                laws = work[26:]
                rows = np.ascontiguousarray(theta[first:last, i].T)
                natural_at(rows, work[:4])
                laws_at(shared[first:last], laws)
                bursts = False
                for k in range(last - first):
                    bursts = bursts or laws[PROBABILITY, k] > 0.0
                born(z_before, lower_before, upper_before, s, count)
                for j in range(start, end):
                    attention_ended(months.log_age[j], immediacy, inverse, z, lower, upper)
                    attention_at(
                        z_before, lower_before, upper_before, lower, upper, fitness, hazard
                    )
                    if law == SURGE:
                        _period(period, first, months.calendar[j], months.share[j], effect)
                        surge_month(
                            months.new[j], m, bursts, precision, effect, laws, hazard, s, count,
                            silence, work[14:20],
                        )  # fmt: skip
                    elif observed == 0.0:
                        _empty(law, m, fitness, lower_before, m, hazard, silence)
                    z, z_before = z_before, z
                    lower, lower_before = lower_before, lower
                    upper, upper_before = upper_before, upper
                if law != SURGE:
                    filled(observed, count)
                filled(observed, total)
                # Whoever is dormant never gets a fine-tune; months without any make it likelier.
                asleep = np.zeros(last - first, np.bool_)
                if observed == 0.0:
                    for k in range(last - first):
                        share = dormancy[first + k, group[i]]
                        awake = (1.0 - share) * math.exp(min(silence[k], 0.0))
                        asleep[k] = share > 0.0 and rng.random() * (share + awake) < share
                for month in range(out.shape[2]):
                    attention_ended(
                        math.log(end - start + month + 1.0), immediacy, inverse, z, lower, upper
                    )
                    attention_at(
                        z_before, lower_before, upper_before, lower, upper, fitness, hazard
                    )
                    if law == SURGE:
                        _period(period, first, ahead[i, month], shares[i, month], effect)
                        reinforced_at(m, laws[EXPONENT], count, hazard, g)
                        expected_at(m, effect, count, g, f)
                        means_at(laws[STRENGTH], f, s, precision, mean, size)
                        _bounded(precision, mean, size)
                        _draw_surges(asleep, laws, mean, size, fresh, regular, rng)
                        remembered_at(laws[MEMORY], regular, f, s, count)
                    else:
                        _draw_classic(
                            law, m, asleep, count, fitness, lower_before, hazard, fresh, rng
                        )
                        for k in range(last - first):
                            count[k] += fresh[k]
                    for k in range(last - first):
                        total[k] = min(total[k] + fresh[k], CAP)
                        out[first + k, i, month] = np.int64(total[k])
                    z, z_before = z_before, z
                    lower, lower_before = lower_before, lower
                    upper, upper_before = upper_before, upper

    return simulate


simulate = _compiled(
    version_of(
        elementary.__file__, formulas.__file__, monthwise.__file__, points.__file__, __file__
    )
)
