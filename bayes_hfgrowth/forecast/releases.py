"""Base models that organizations have yet to release, and what they add to sums.

Under each draw, an organization's rate of new base models is drawn from the posterior of the birth
process (`bayes_hfgrowth.posterior.births`), the months' numbers of base models from it, and each
of them is a new base model of the organization under the same draw of the population: dormant with
the organization's share, else with parameters around its mean, simulated forward along the draw's
path of the period effect, which is that of all other base models too. So the fine-tunes of base
models to come can be added to those of the present ones draw by draw.

Organizations that have no base model yet are not foreseen, and base models of one release have no
more in common than those of one organization.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.forecast.dated_counts import counts_at_dates, dates_ahead, months_needed
from bayes_hfgrowth.forecast.totals import Totals, checked_sum
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.births import Births, births_of
from bayes_hfgrowth.posterior.common_random_numbers import OF_POPULATION, random_of
from bayes_hfgrowth.posterior.conditional import Conditional
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import Floats, SharedDraws, calendar_needed, futures

__all__ = ["Released", "Releases"]

SLOTS = 4
"""Parts of a month in whose middle base models are released."""

PATHS = 500
"""Paths of base models that one organization gets under one draw in a part of a month; where it
releases more that are not dormant, each path stands for several."""

_CHUNK = 50_000  # paths that are simulated at a time
_RATES, _NUMBERS, _PATHS = 17, 18, 19  # purposes of random numbers

type Counts = npt.NDArray[np.int64]


class Released(NamedTuple):
    """What organizations release, at one, two, ... months after the start.

    Parameters
    ----------
    base_models, finetunes : ndarray of int64, shape (draws, organizations, months)
        Base models released so far, and their fine-tunes so far.
    """

    base_models: Counts
    finetunes: Counts


@dataclass(frozen=True, eq=False)
class Releases:
    """Base models that organizations will release, as far as a forecast goes.

    Nothing is computed before it is asked for.

    Parameters
    ----------
    population : PopulationPosterior
        What base models are drawn from.
    created_at : pandas.DatetimeIndex
        Creation of all present base models, UTC.
    organizations : tuple of str
        Organization of each.
    start : pandas.Timestamp
        Date that the forecast is from, UTC.
    months : int
        How far it goes.
    seed, draws : int
        Of the forecast.
    ahead : int
        Which paths of the period effect its draws follow; see
        `bayes_hfgrowth.posterior.conditional.Conditional`.
    """

    population: PopulationPosterior
    created_at: pd.DatetimeIndex
    organizations: tuple[str, ...]
    start: pd.Timestamp
    months: int
    seed: int
    draws: int
    ahead: int = OF_POPULATION

    @cached_property
    def births(self) -> Births:
        """Posterior of the birth process.

        Raises
        ------
        ForecastError
            When no base model had been created by the start.
        """
        return births_of(self.created_at, self.organizations, self.start)

    @cached_property
    def released(self) -> Released:
        """Draws of what is released."""
        births = self.births
        rates = births.draw(self.draws, random_of(self.seed, _RATES))
        numbers = rates.simulate(self.months, random_of(self.seed, _NUMBERS))
        conditional = Conditional(self.population, self.seed, self.draws, self.ahead)
        parts = [conditional.of_organization(name) for name in births.organizations]
        means = np.stack([mean for mean, _ in parts], axis=1)
        ones = np.ones(self.draws)  # shares of base models that are not dormant
        active = np.stack([ones if share is None else 1.0 - share for _, share in parts], axis=1)
        shared, awake = self._shared(conditional), replace(conditional.spec, dormancy=None)
        dates, rng = dates_ahead(self.start, self.months), random_of(self.seed, _PATHS)
        edges = pd.DatetimeIndex([self.start]).append(dates)
        finetunes = np.zeros(numbers.shape, dtype=np.int64)
        for month in range(self.months):
            slots = rng.multinomial(numbers[:, :, month], np.full(SLOTS, 1.0 / SLOTS))
            length = edges[month + 1] - edges[month]
            for slot in range(SLOTS):
                number = rng.binomial(slots[:, :, slot], active)
                if number.any():
                    born = edges[month] + (slot + 0.5) / SLOTS * length
                    finetunes[:, :, month:] += _grown(
                        awake, born, number, means, conditional.scales, shared, dates[month:], rng
                    )
        return Released(np.cumsum(numbers, axis=2), finetunes)

    def totals(self, by: str) -> Totals:
        """Sums of the fine-tunes of base models to come, by ``organization`` or ``all``.

        Raises
        ------
        ForecastError
            When `by` is another, or nothing is known of releases.
        """
        parts, names = self.released, self.births.organizations
        if checked_sum(by) == "all":
            parts, names = Released(*(part.sum(axis=1, keepdims=True) for part in parts)), (by,)
        base_models, finetunes = (
            {name: part[:, o] for o, name in enumerate(names)} for part in parts
        )
        dates, horizon = dates_ahead(self.start, self.months), np.arange(1, self.months + 1)
        return Totals(dates, horizon, dict.fromkeys(names, 0), finetunes, base_models)

    def _shared(self, conditional: Conditional) -> SharedDraws:
        """What all base models share over the calendar months ahead, and no others."""
        born = replace(History.newborn(1), created_at=pd.DatetimeIndex([self.start]))
        first, number = calendar_needed(born, self.months + 1)
        whole = conditional.over_calendar(first, number)
        if whole.period is None:
            return whole
        return SharedDraws(whole.values, whole.over(first, number), first)


def _grown(
    spec: GrowthSpec,
    born: pd.Timestamp,
    number: Counts,
    means: Floats,
    scales: Floats,
    shared: SharedDraws,
    dates: pd.DatetimeIndex,
    rng: np.random.Generator,
) -> Counts:
    """Sum up fine-tunes of base models released at one time; (draws, organizations, dates).

    `number` of them, (draws, organizations), are not dormant, and `spec` has no dormancy. On the
    scale that is normal they are spread by `scales`, (draws, parameters), around the `means` of
    their organizations, (draws, organizations, parameters).
    """
    one = replace(History.newborn(1), created_at=pd.DatetimeIndex([born]).as_unit("us"))
    needed = int(months_needed(one, dates)[0])
    paths = np.minimum(number, PATHS)
    rows, columns = np.nonzero(paths)
    times = paths[rows, columns]
    draws, organizations = np.repeat(rows, times), np.repeat(columns, times)
    found = np.zeros((*paths.shape, len(dates)))
    for first in range(0, len(draws), _CHUNK):
        some = slice(first, first + _CHUNK)
        d, o = draws[some], organizations[some]
        normal = rng.standard_normal((len(d), means.shape[2]))
        theta = (means[d, o] + scales[d] * normal)[:, None]
        path = futures(spec, one, theta, shared.take(d), needed, rng)
        np.add.at(found, (d, o), counts_at_dates(one, path, theta, dates, rng)[:, 0])
    each = np.divide(number, paths, out=np.ones(paths.shape), where=paths > 0)
    return np.asarray(np.minimum(np.rint(found * each[:, :, None]), 2.0**53), dtype=np.int64)
