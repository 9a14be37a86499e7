"""Futures of base models under the law, many draws of the parameters at once.

What has been observed is the same under every draw, so that the loops over a month run over the
draws and become vector instructions; only the counts themselves are drawn one by one.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.elementary import exp, inner, version_of
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
    Integers,
    burst_given,
    burst_lead,
    growth_of,
    log_density,
    log_poisson_mean,
    period_at,
    regular_part,
    rising,
    size_of,
)
from bayes_hfgrowth.growth.monthwise import draw_count, draw_poisson, negative_binomial
from bayes_hfgrowth.growth.points import (
    ROWS,
    Rows,
    born,
    expected_at,
    fill,
    hazards_at,
    laws_at,
    means_at,
    natural_at,
    reinforced_at,
    remembered_at,
    rows_of,
    surge_month,
)

__all__ = ["Ahead", "simulate"]

_MOST = 1e17  # a mean beyond it is taken as it; the counts stop at CAP long before
_BLOCK = 250  # draws at a time, whose working space stays in the cache


class Ahead(NamedTuple):
    """Months of age to come.

    Parameters
    ----------
    calendar : ndarray of int64, shape (base models, further months)
        The calendar month in which each begins, as in `bayes_hfgrowth.growth.law.Months`.
    share : ndarray, shape (base models, further months)
        Share of each that lies in that calendar month.
    """

    calendar: Integers
    share: Floats


@inner()
def _empty(
    law: int, m: float, fitness: Floats, lower: Floats, hazard: Floats, value: Floats
) -> None:
    """Add the log probability of an empty month before any fine-tune, under the classic laws."""
    for s in range(len(value)):
        if law == POISSON:
            value[s] -= exp(min(log_poisson_mean(m, fitness[s], lower[s], hazard[s]), HUGE))
        else:
            value[s] -= m * hazard[s]


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
    never: Any, rows: Rows, fresh: Floats, regular: Floats, rng: np.random.Generator
) -> None:
    """Draw the month, and what of it is regular."""
    laws, mean, size = rows.laws, rows.mean, rows.size
    for s in range(len(mean)):
        x = 0.0
        if not never[s]:
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
    law: int,
    m: float,
    never: Any,
    rows: Rows,
    lower: Floats,
    fresh: Floats,
    rng: np.random.Generator,
) -> None:
    """Draw the month under the classic laws."""
    count, fitness, hazard = rows.counts, rows.fitness, rows.hazard
    for s in range(len(fresh)):
        x = 0.0
        if not never[s]:
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
    def simulate(observed, draws, ahead, rng, out):  # type: ignore[no-untyped-def]
        """Continue every base model from what was observed, one path for each draw.

        Parameters
        ----------
        observed : Observed
            What was observed. A base model without months starts from count 0 at age 0.
        draws : LawDraws
            The draws; the period effects also cover the months to come.
        ahead : Ahead
            The months to come.
        rng : numpy.random.Generator
            Source of randomness.
        out : ndarray of int, shape (draws, base models, further months)
            Filled with cumulative counts at the end of each further month, at most `CAP`.
        """
        _ = sources
        law, m, months = observed
        theta, period = draws.theta, draws.period
        for i in range(theta.shape[1]):
            start, end = months.start[i], months.start[i + 1]
            known = 0.0
            for j in range(start, end):
                known += months.new[j]
            for first in range(0, theta.shape[0], _BLOCK):
                last = min(first + _BLOCK, theta.shape[0])
                work = np.zeros((ROWS + 4, last - first))
                rows, fresh, regular = rows_of(work), work[ROWS], work[ROWS + 1]
                total, empty = work[ROWS + 2], work[ROWS + 3]
                f, s, count, g, laws = rows.f, rows.s, rows.counts, rows.spare, rows.laws
                natural_at(np.ascontiguousarray(theta[first:last, i].T), rows.natural)
                laws_at(draws.values[first:last], laws)
                bursts = False
                for k in range(last - first):
                    bursts = bursts or laws[PROBABILITY, k] > 0.0
                born(rows)
                for j in range(start, end):
                    hazards_at(j - start, months.log_age[j], rows)
                    if law == SURGE:
                        _period(period, first, months.calendar[j], months.share[j], rows.period)
                        surge_month(months.new[j], m, bursts, rows, empty)
                    elif known == 0.0:
                        lower = rows.ended[1 - (j - start) % 2, 1]
                        _empty(law, m, rows.fitness, lower, rows.hazard, empty)
                if law != SURGE:
                    fill(known, count)
                fill(known, total)
                # A structural zero never gets a fine-tune; months without any make it likelier.
                never = np.zeros(last - first, np.bool_)
                if known == 0.0:
                    for k in range(last - first):
                        share = draws.dormancy[first + k, draws.group[i]]
                        others = (1.0 - share) * math.exp(min(empty[k], 0.0))
                        never[k] = share > 0.0 and rng.random() * (share + others) < share
                for month in range(out.shape[2]):
                    age = end - start + month
                    hazards_at(age, math.log(age + 1.0), rows)
                    if law == SURGE:
                        at, share = ahead.calendar[i, month], ahead.share[i, month]
                        _period(period, first, at, share, rows.period)
                        reinforced_at(m, laws[EXPONENT], count, rows.hazard, g)
                        expected_at(m, rows.period, count, g, f)
                        means_at(laws[STRENGTH], f, s, rows.precision, rows.mean, rows.size)
                        _bounded(rows.precision, rows.mean, rows.size)
                        _draw_surges(never, rows, fresh, regular, rng)
                        remembered_at(laws[MEMORY], regular, f, s, count)
                    else:
                        lower = rows.ended[1 - age % 2, 1]
                        _draw_classic(law, m, never, rows, lower, fresh, rng)
                        for k in range(last - first):
                            count[k] += fresh[k]
                    for k in range(last - first):
                        total[k] = min(total[k] + fresh[k], CAP)
                        out[first + k, i, month] = np.int64(total[k])

    return simulate


simulate = _compiled(version_of(__file__))
