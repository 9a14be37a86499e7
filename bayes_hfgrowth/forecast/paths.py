"""Forecasts: simulated forward from every posterior draw and the count known today."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.forecast.dated_counts import (
    counts_at_dates,
    dates_ahead,
    last_date,
    months_needed,
)
from bayes_hfgrowth.forecast.draws import Forecast, joined
from bayes_hfgrowth.forecast.releases import Releases
from bayes_hfgrowth.forecast.totals import FROM, UNTIL, interval_columns
from bayes_hfgrowth.growth.law import Floats, Integers
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.common_random_numbers import OF_FIT, OF_POPULATION, random_of
from bayes_hfgrowth.posterior.conditional import Conditional, condition
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    calendar_needed,
    dormancy_shares,
    futures,
    narrowed,
)
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import Date, months_ahead, until_date
from bayes_hfgrowth.support.names import indices_of
from bayes_hfgrowth.support.progress import Progress

__all__ = [
    "CHUNK",
    "Forecast",
    "assembled",
    "check_request",
    "conditional_on",
    "followed",
    "forecast",
    "forecast_chunk",
    "forecast_new",
    "interval_columns",
    "joined",
    "put",
    "simulated",
    "until_attribute",
    "with_releases",
]

LONGEST = 600
"""Largest horizon in months; fifty years of a growth curve mean nothing any more."""

CHUNK = 250
"""Base models that are forecast at a time; their draws are in memory together."""

type Counts = npt.NDArray[np.integer]


def forecast(
    fit: FittedDraws,
    months: int | None = None,
    base_models: Iterable[str] | None = None,
    seed: int | None = None,
    *,
    until: Date | None = None,
) -> Forecast:
    """Forecast the cumulative fine-tunes of base models.

    Each path starts at the last known count and follows the transition law under one draw of
    the posterior, so it is a whole number, never falls, and carries the uncertainty both of
    the parameters and of the months to come. A base model younger than a month has no data
    of its own; its parameters come from its organization. A base model's paths do not hang on
    which others are forecast along with it. Under each draw the period effect goes on along one
    path for all base models, and all have their counts at the same calendar dates too, so they
    can be added up draw by draw; see `Forecast.total`.

    Parameters
    ----------
    fit : FittedDraws
        The posterior.
    months : int, optional
        How far ahead, in months; at least 1.
    base_models : iterable of str, optional
        Which base models; all when not given.
    seed : int, optional
        Same seed, same forecast; by default the seed of the fit.
    until : date, optional
        How far ahead as a date, in place of `months`: the forecast covers it.

    Raises
    ------
    ForecastError
        When the horizon is out of range, not given or given twice, a base model is not in the
        fit, or the seed is negative.
    """
    seed = fit.about["seed"] if seed is None else seed
    history, last = fit.history, until_date(months, until)
    start = last_date(history, fit.observed_at)
    months = months_ahead(months, last, start)
    check_request(months, seed)
    chosen = indices_of(base_models, history.base_models, "base model", "fit", ForecastError)
    part = history.subset(chosen)
    posterior = fit.posterior.isel(base_model=chosen)
    theta = base_model_parameters(fit.spec, posterior)
    shares = dormancy_shares(fit.spec, posterior)
    dates = dates_ahead(start, months)
    # The last date is within a month of age that may end after the horizon.
    needed = np.maximum(months_needed(history, dates), months)
    # One path of the period effect for each draw, whichever base models are asked for.
    shared = SharedDraws.of(fit.spec, posterior)
    shared = shared.ahead_of(history, int(needed.max()), random_of(seed, OF_FIT))

    def paths(i: int) -> Counts:
        one, ahead = part.subset(np.array([i])), int(needed[chosen[i]])
        own = theta[:, [i]]
        return simulated(fit.spec, one, own, shared, ahead, dates, seed, 3, shares=shares)

    counts: Counts = np.empty((2, len(theta), len(chosen), months), np.int32)
    with workers(None) as (submit, _, hands):
        pieces = ((paths, i) for i in range(len(chosen)))
        for i, both in enumerate(in_order(submit, pieces, 8 * hands)):
            counts = put(counts, i, both)
    shape = (2, posterior.sizes["chain"], posterior.sizes["draw"], *counts.shape[2:])
    found = assembled(part, counts.reshape(shape), start)
    if base_models is None:
        population = PopulationPosterior.from_fit(fit)
        found = with_releases(found, population, history, seed, OF_FIT)
    return until_attribute(found, last)


def until_attribute(found: Forecast, until: pd.Timestamp | None) -> Forecast:
    """Keep with a forecast the date that it was made until, if it was given one."""
    if until is not None:
        found.draws.attrs[UNTIL] = until.isoformat()
    return found


def simulated(
    spec: GrowthSpec,
    one: History,
    theta: Floats,
    shared: SharedDraws,
    ahead: int,
    dates: pd.DatetimeIndex,
    seed: int,
    purpose: int,
    *,
    shares: Floats | None = None,
) -> Counts:
    """Simulate a base model by month of age and at calendar dates.

    Parameters
    ----------
    spec, one, theta, shared, shares
        As `bayes_hfgrowth.posterior.simulation.futures` takes them, of one base model.
    ahead : int
        Months of age to simulate, enough for all dates.
    dates : pandas.DatetimeIndex
        UTC, as many as months are wanted.
    seed, purpose : int
        Of the random numbers of the months of age, as in `random_of`.

    Returns
    -------
    ndarray of int, shape (2, draws, months)
        Cumulative counts by age and at the dates, 32 bits wide where that will do.
    """
    name = one.base_models[0].encode()
    paths = futures(spec, one, theta, shared, ahead, random_of(seed, purpose, name), shares)
    dated = counts_at_dates(one, paths, theta, dates, random_of(seed, 12, name))
    return narrowed(np.stack([paths[:, 0, : len(dates)], dated[:, 0]]))


def put(counts: Counts, i: int | npt.NDArray[np.int64], some: Counts) -> Counts:
    """Put counts from `simulated` at position `i` of those of all base models.

    `counts`, shape (2, draws, base models, months), are 32 bits wide as long as that will do; what
    is returned is the same array, or a wider copy. Several base models have several positions.
    """
    if some.dtype.itemsize > counts.dtype.itemsize:
        counts = counts.astype(some.dtype)
    counts[:, :, i] = some
    return counts


def forecast_new(
    population: PopulationPosterior,
    panel: Panel,
    months: int | None = None,
    seed: int | None = None,
    *,
    until: Date | None = None,
    draws: int = 1000,
    dask: str | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> Forecast:
    """Forecast base models that were in no fit, from a stored population posterior.

    A base model's forecast hangs on the seed, its name, organization and months, and on nothing
    else: it is the same whatever other base models there are, and wherever it is made.

    Parameters
    ----------
    population : PopulationPosterior
        Of an earlier fit. Nothing of it is fitted again.
    panel : Panel
        The new base models. An organization that the population does not know is drawn from
        the global level.
    months, seed, until
        As in `forecast`; the seed is by default that of the population's fit.
    draws : int
        Paths of each base model. Path j of every base model goes with draw j of the population,
        as far as the base model's months allow, and with the same period effects ahead, so that
        base models can be added up path by path; see `Forecast.total`.
    dask : str, optional
        Address of a Dask scheduler that is to do the work, or ``local`` for a cluster of this
        machine's cores; by default, threads do it.
    jobs : int, optional
        How many threads, or workers of a local cluster; one for each core by default.
    progress : bool
        Whether to show progress on standard error.

    Returns
    -------
    Forecast
        Of one chain, all in memory; for very many base models see
        `bayes_hfgrowth.forecast_file`. Its draws also have ``pareto_k`` over ``base_model``:
        above `bayes_hfgrowth.posterior.importance.GOOD_K` the stored draws of the population are
        too few for what this base model teaches; fit it together with others then.

    Raises
    ------
    ForecastError
        When the panel is empty or counts something else than the population, the horizon is out
        of range, not given or given twice, the seed is negative, or there is no draw.
    ClusterError
        When the Dask cluster does not do its work.
    """
    last = until_date(months, until)
    history = History.from_panel(panel)
    number = len(history.base_models)
    if not number:
        raise ForecastError("the panel holds no base model; give one that does")
    population.check_counted(panel.counted)
    start = last_date(history, panel.observed_at)
    months = months_ahead(months, last, start)
    conditional = conditional_on(population, months, seed, draws)
    found, done = [], 0
    with (
        workers(dask, jobs) as (submit, share, hands),
        Progress(progress).stage("base models", number) as advance,
    ):
        shared = share(conditional)
        size = min(CHUNK, -(-number // (2 * hands)))  # so that all have work to the end
        parts = (
            history.subset(np.arange(first, min(first + size, number)))
            for first in range(0, number, size)
        )
        pieces = ((forecast_chunk, shared, part, months, start) for part in parts)
        for result in in_order(submit, pieces, 2 * hands):
            found.append(result)
            done += result.draws.sizes["base_model"]
            advance(done, "")
    whole = with_releases(joined(found), population, history, conditional.seed, OF_POPULATION)
    return until_attribute(whole, last)


def with_releases(
    found: Forecast, population: PopulationPosterior, history: History, seed: int, ahead: int
) -> Forecast:
    """Give a forecast the base models that organizations have yet to release.

    The forecast and history are of all base models of a fit or panel; the rest is as in
    `bayes_hfgrowth.forecast.releases.Releases`.
    """
    sizes, start = found.draws.sizes, pd.Timestamp(found.draws.attrs[FROM])
    number, months = sizes["chain"] * sizes["draw"], sizes["horizon"]
    organizations = tuple(history.organizations[o] for o in history.organization_of)
    releases = Releases(
        population, history.created_at, organizations, start, months, seed, number, ahead
    )
    return replace(found, releases=releases)


def conditional_on(
    population: PopulationPosterior, months: int, seed: int | None, draws: int
) -> Conditional:
    """Make a population ready to forecast from; arguments are those of `forecast_new`.

    Raises
    ------
    ForecastError
        When the horizon is out of range, the seed is negative, or there is no draw.
    """
    seed = population.about["seed"] if seed is None else seed
    check_request(months, seed)
    if draws < 1:
        raise ForecastError(f"{draws} draws make no forecast; give at least 1")
    return Conditional(population, seed, draws)


def forecast_chunk(
    conditional: Conditional, history: History, months: int, start: pd.Timestamp
) -> Forecast:
    """Forecast some base models that were in no fit.

    `conditional` is from `conditional_on`, and `start` the date from which sums are forecast; see
    `bayes_hfgrowth.forecast.dated_counts.last_date`.
    """
    found, number = condition(conditional, history), len(history.base_models)
    awake = replace(conditional.spec, dormancy=None)
    dates = dates_ahead(start, months)
    needed = np.maximum(months_needed(history, dates), months)
    counts = np.empty((2, 1, conditional.draws, number, months), dtype=np.int64)
    counts[:] = history.finetunes[:, None]
    alone = replace(history, organizations=("",), organization_of=np.zeros(number, np.int64))
    for i in range(number):
        one, ahead, some = alone.subset(np.array([i])), int(needed[i]), ~found.dormant[:, i]
        theta = found.theta[some, i][:, None]
        shared = followed(conditional, one, found.draw[:, i], ahead).take(np.flatnonzero(some))
        both = simulated(awake, one, theta, shared, ahead, dates, conditional.seed, 9)
        counts[:, 0, some, i] = both
    result = assembled(history, counts, start)
    return replace(result, draws=result.draws.assign(pareto_k=("base_model", found.pareto_k)))


def followed(conditional: Conditional, one: History, draw: Integers, ahead: int) -> SharedDraws:
    """What a base model shares with all others, over its months and some ahead.

    `draw`, of shape (draws,), is the draw of the population that each of its draws belongs to.
    """
    first, number = calendar_needed(one, ahead)
    known = sum(one.calendar_span) - 1 if len(one.month) else first
    return conditional.shared_of(draw, first, number, known)


def check_request(months: int, seed: int) -> None:
    """Raise `ForecastError` when a horizon or a seed is out of range."""
    if seed < 0:
        raise ForecastError(f"the seed is {seed}; give a number from 0 on")
    if not 1 <= months <= LONGEST:
        raise ForecastError(f"{months} months ahead is out of range; give 1 to {LONGEST}")


def assembled(part: History, counts: Counts, start: pd.Timestamp) -> Forecast:
    """Make a forecast of simulated counts.

    Parameters
    ----------
    part : History
        What was observed of the base models.
    counts : ndarray of int, shape (2, chains, draws, base models, months)
        At the ends of months of age, and at the dates 1, 2, ... calendar months after `start`.
    start : pandas.Timestamp
        Date that the forecast is from, UTC.
    """
    dims, months = ("chain", "draw", "base_model", "horizon"), counts.shape[4]
    name = f"cumulative {part.counted.many}"
    base_models = np.array(part.base_models, dtype=object)
    organizations = np.array(part.organizations, dtype=object)[part.organization_of]
    dataset = xr.Dataset(
        {
            "finetunes": (dims, _narrow(counts[0]), {"long_name": name}),
            "finetunes_at_date": (dims, _narrow(counts[1]), {"long_name": f"{name} at the date"}),
            "observed": ("base_model", part.finetunes),
            "months": ("base_model", part.months),
            "organization": ("base_model", organizations),
            "created_at": ("base_model", part.created_at.tz_convert("UTC").tz_localize(None)),
        },
        coords={
            "chain": np.arange(counts.shape[1]),
            "draw": np.arange(counts.shape[2]),
            "base_model": base_models,
            "horizon": ("horizon", np.arange(1, months + 1), {"units": "months"}),
            "date": ("horizon", dates_ahead(start, months).tz_localize(None)),
        },
        attrs={FROM: start.isoformat(), **part.counted.written},
    )
    observed = pd.DataFrame(
        {
            "base_model": base_models[part.base_model_of],
            "month": part.month.astype(np.int64),
            "finetunes": (part.previous + part.new).astype(np.int64),
        }
    )
    return Forecast(dataset, observed)


def _narrow(counts: Counts) -> Counts:
    """32-bit integers where they fit; not copied where they are already."""
    return counts if counts.dtype == np.int32 else narrowed(counts)
