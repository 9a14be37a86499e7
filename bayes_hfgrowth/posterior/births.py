"""How many base models an organization releases a month: a birth process with its posterior.

The number of new base models of organization o in a month is negative binomial,

    births ~ NegativeBinomial(mean rate_o, variance rate_o + rate_o² / size_o),

and organizations are pooled, on the scale of logarithms:

    ln rate_o ~ Normal(rate, rate scale),    ln size_o ~ Normal(size, size scale).

Paces change. Months before the date enter with weights that halve every `HALF_LIFE` months, as
powers of their likelihoods (the power steady model, J. Q. Smith 1979), and rates ahead drift on the
scale of logarithms as an autoregression whose stationary law is that of organizations,

    x[t] = rate + a (x[t-1] - rate) + scale √(1 - a²) e[t],    a² = 2^(-1 / HALF_LIFE).

The weights stand for a filter of that autoregression, which would cost a sum over paths. They are
good for rates that change slowly, and too sure of an organization with many births whose rate has
just turned.

The negative binomial is a Poisson count whose rate is gamma distributed from month to month. Base
models come in families: a release brings a handful on one day and then there is nothing for months.
A size below 1 says that, and each organization has its own, as some upload a thousand base models
at once and others one at a time.

There is no sampler: given the four parameters of the population, organizations are independent of
each other, and each is a sum over a grid of its rate and size. So the posterior of the population
is a table over a grid of four parameters, exact but for the steps of the grids, and independent
draws are taken from it, then from each organization's own table.

Priors, with their reasons:

- rate, Normal(0, 1.5): the typical organization releases one base model a month; the central 95%,
  0.05 to 19, runs from one in 19 months to one on most working days.
- rate scale, log-normal around 1 with sigma 0.4: one standard deviation is 2.7 times the rate;
  the central 95%, 0.46 to 2.2, means 1.6 to 9 times. Organizations with one base model and with
  hundreds are on the same list.
- size, Normal(-0.7, 1): with the size of 0.5 and the rate of 2, a month has the standard deviation
  3.2, a Poisson count would have 1.4, and 45% of the months are empty. The central 95%, 0.07 to
  3.5, runs from nearly everything at once to nearly even.
- size scale, log-normal around 0.5 with sigma 0.4: the central 95%, 0.23 to 1.1, means that
  organizations differ by a factor of 1.3 to 3.

The half-life is set, not learned: with 6 to 12 months the births of the shipped data, forecast
from five dates 3 to 12 months ahead, came out sharper and better calibrated than without any
(`benchmarks/README.md`).

Months are counted back from the date that the forecast is from, `WINDOW` of them at most. An
organization is counted from its first whole month after its first base model: it is in the data
because of that one, which would bias its rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp

from bayes_hfgrowth.growth.law import Floats, Integers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.months import month_end

__all__ = ["HALF_LIFE", "MOST", "WINDOW", "BirthDraws", "Births", "births_of", "monthly_births"]

WINDOW = 36
"""Months that rates are learned from, at most."""

HALF_LIFE = 9.0
"""Months after which what a month said of a rate has half of its weight."""

MOST = 10_000
"""Most base models that one organization releases in a month of a simulation."""

# Middle and standard deviation of each prior; the scales are on the scale of logarithms.
_RATE, _RATE_SCALE = (0.0, 1.5), (np.log(1.0), 0.4)
_SIZE, _SIZE_SCALE = (-0.7, 1.0), (np.log(0.5), 0.4)
_LOG_RATES = np.linspace(np.log(2e-4), np.log(2e3), 145)
_LOG_SIZES = np.linspace(np.log(5e-3), np.log(2e2), 61)
_WIDE, _NARROW = 29, 9  # points of the grids of middles and of scales
_REACH = 3.5  # standard deviations that these grids reach


@dataclass(frozen=True, eq=False)
class BirthDraws:
    """Draws of the birth process.

    Parameters
    ----------
    organizations : tuple of str
        Whose.
    rate, size : ndarray, shape (draws, organizations)
        Mean of the base models a month at the date, and size of their negative binomial.
    middle, scale : ndarray, shape (draws,)
        Mean and standard deviation of ln rate over organizations, to which rates drift back.
    half_life : float
        As `HALF_LIFE`.
    """

    organizations: tuple[str, ...]
    rate: Floats
    size: Floats
    middle: Floats
    scale: Floats
    half_life: float = HALF_LIFE

    def simulate(self, months: int, rng: np.random.Generator) -> Integers:
        """Draw how many base models are released, at most `MOST` a month.

        Returns
        -------
        ndarray of int64, shape (draws, organizations, months)
        """
        found = np.empty((*self.rate.shape, months), dtype=np.int64)
        persistence = 2.0 ** (-0.5 / self.half_life)
        innovation = self.scale[:, None] * np.sqrt(1 - persistence**2)
        middle = self.middle[:, None]
        log_rate = np.log(self.rate)
        for month in range(months):
            log_rate = middle + persistence * (log_rate - middle)
            log_rate += innovation * rng.standard_normal(log_rate.shape)
            pace = rng.gamma(self.size) * np.exp(log_rate) / self.size
            found[:, :, month] = np.minimum(rng.poisson(np.minimum(pace, MOST)), MOST)
        return found


def monthly_births(
    created_at: pd.DatetimeIndex, organizations: Sequence[str], date: pd.Timestamp
) -> dict[str, Integers]:
    """Count new base models by month before a date.

    Parameters
    ----------
    created_at : pandas.DatetimeIndex
        Creation of each base model, UTC; later ones than the date do not count.
    organizations : sequence of str
        Organization of each.
    date : pandas.Timestamp
        Months are counted back from it, UTC.

    Returns
    -------
    dict
        By organization, sorted: base models of each whole month after that of its first base
        model, the latest last; at most `WINDOW`, none if there is no such month.
    """
    known = created_at <= date
    names = np.asarray(organizations, dtype=object)[known]
    edges = month_end(date, -np.arange(WINDOW, -1, -1))
    # 0 before the window; a base model of the date itself belongs to the month that ends with it.
    place = edges.searchsorted(created_at[known], side="left")
    found = {}
    for name in sorted(set(names.tolist())):
        own = place[names == name]
        found[str(name)] = np.bincount(own, minlength=WINDOW + 1)[own.min() + 1 :]
    return found


@dataclass(frozen=True, eq=False)
class Births:
    """Posterior of the birth process of organizations.

    Parameters
    ----------
    months : dict
        From `monthly_births`.
    half_life : float
        As `HALF_LIFE`.
    """

    months: dict[str, Integers]
    half_life: float = HALF_LIFE

    @property
    def organizations(self) -> tuple[str, ...]:
        """Whose births it is of, sorted."""
        return tuple(sorted(self.months))

    @cached_property
    def _likelihoods(self) -> Floats:
        """Log likelihoods, older months with less weight; (organizations, rates, sizes)."""
        rate, size = np.exp(_LOG_RATES)[:, None], np.exp(_LOG_SIZES)
        share, empty = np.log(rate) - np.log(rate + size), -np.log1p(rate / size)
        tables = []
        for name in self.organizations:
            counts, place = np.unique(self.months[name], return_inverse=True)
            ages = np.arange(len(place))[::-1] + 0.5
            weights = np.bincount(place, 2.0 ** (-ages / self.half_life), len(counts))
            table = np.zeros(share.shape)
            for count, weight in zip(counts.tolist(), weights.tolist(), strict=True):
                rising = gammaln(count + size) - gammaln(size) - gammaln(count + 1.0)
                table += weight * (rising + size * empty + count * share)
            tables.append(table)
        return np.stack(tables)

    @cached_property
    def _levels(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Grids of the population's rates and sizes.

        Log probabilities of an organization's rates and sizes in each cell, (cells, points); those
        of the cells themselves; middle and scale of the cells of rates, (cells, 2).
        """

        def cells(
            middle: tuple[float, float], scale: tuple[float, float], points: Floats
        ) -> tuple[Floats, Floats, Floats]:
            wide, narrow = np.linspace(-_REACH, _REACH, _WIDE), np.linspace(-2.5, 2.5, _NARROW)
            at = np.repeat(middle[0] + middle[1] * wide, _NARROW)
            scales = np.tile(np.exp(scale[0] + scale[1] * narrow), _WIDE)
            prior = np.repeat(-0.5 * wide**2, _NARROW) + np.tile(-0.5 * narrow**2, _WIDE)
            table = -0.5 * ((points - at[:, None]) / scales[:, None]) ** 2
            table -= logsumexp(table, axis=1, keepdims=True)
            return table, prior - logsumexp(prior), np.stack([at, scales], axis=1)

        rates, rate_prior, rate_cells = cells(_RATE, _RATE_SCALE, _LOG_RATES)
        sizes, size_prior, _ = cells(_SIZE, _SIZE_SCALE, _LOG_SIZES)
        return rates, sizes, rate_prior, size_prior, rate_cells

    @cached_property
    def _population(self) -> Floats:
        """Posterior of the population's cells, of rates and of sizes; sums to 1."""
        rates, sizes, rate_prior, size_prior, _ = self._levels
        log_posterior = rate_prior[:, None] + size_prior
        of_rates, of_sizes = np.exp(rates), np.exp(sizes)
        for table in self._likelihoods:
            top = table.max()
            marginal = of_rates @ np.exp(table - top) @ of_sizes.T
            log_posterior = log_posterior + np.log(np.maximum(marginal, 1e-300)) + top
        return np.asarray(np.exp(log_posterior - logsumexp(log_posterior)))

    def draw(self, number: int, rng: np.random.Generator) -> BirthDraws:
        """Draw rates and sizes of all organizations, independent from draw to draw."""
        rates, sizes, _, _, cells = self._levels
        chosen = rng.choice(self._population.size, number, p=self._population.ravel())
        at_rate, at_size = np.divmod(chosen, self._population.shape[1])
        shape = (number, len(self.organizations))
        log_rate, log_size = np.empty(shape), np.empty(shape)
        of_rates, of_sizes = np.exp(rates[at_rate]), np.exp(sizes)
        for o, table in enumerate(self._likelihoods):
            likelihood = np.exp(table - table.max())
            marginal = likelihood @ of_sizes.T  # of the sizes; (rates, cells)
            i = _chosen(of_rates * marginal[:, at_size].T, rng)
            j = _chosen(likelihood[i] * of_sizes[at_size], rng)
            log_rate[:, o], log_size[:, o] = _LOG_RATES[i], _LOG_SIZES[j]
        # Within the cells of the grid, so that draws are not heaped on its points.
        log_rate += (_LOG_RATES[1] - _LOG_RATES[0]) * (rng.random(shape) - 0.5)
        log_size += (_LOG_SIZES[1] - _LOG_SIZES[0]) * (rng.random(shape) - 0.5)
        middle, scale = cells[at_rate].T
        return BirthDraws(
            self.organizations, np.exp(log_rate), np.exp(log_size), middle, scale, self.half_life
        )


def _chosen(weights: Floats, rng: np.random.Generator) -> Integers:
    """Draw a column of each row in proportion to its weights."""
    sums = np.cumsum(weights, axis=1)
    at = (sums < rng.random((len(weights), 1)) * sums[:, -1:]).sum(axis=1)
    return np.minimum(at, weights.shape[1] - 1)


def births_of(
    created_at: pd.DatetimeIndex, organizations: Sequence[str], date: pd.Timestamp
) -> Births:
    """Fit the birth process to the creation dates of base models.

    Parameters
    ----------
    created_at, organizations, date
        As in `monthly_births`. The base models of an organization should be all that it
        released: without those that have few fine-tunes, the latest are missing most.

    Raises
    ------
    ForecastError
        When no base model had been created by the date.
    """
    months = monthly_births(created_at, organizations, date)
    if not months:
        raise ForecastError(
            f"no base model was created by {date:%Y-%m-%d}, so nothing is known of releases; give "
            "a later date"
        )
    return Births(months)
