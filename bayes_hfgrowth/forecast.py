"""Forecasts: simulated forward from every posterior draw and the count known today."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.cluster import in_order, workers
from bayes_hfgrowth.conditional import Conditional, condition, random_of
from bayes_hfgrowth.draws import FittedDraws
from bayes_hfgrowth.errors import ForecastError
from bayes_hfgrowth.files import whole_file, write_table
from bayes_hfgrowth.history import History
from bayes_hfgrowth.months import month_end
from bayes_hfgrowth.names import indices_of
from bayes_hfgrowth.panel import Panel
from bayes_hfgrowth.population import PopulationPosterior
from bayes_hfgrowth.progress import Progress
from bayes_hfgrowth.simulation import (
    base_model_parameters,
    carry_over,
    dormancy_shares,
    futures,
    narrowed,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "CHUNK",
    "Forecast",
    "conditional_on",
    "forecast",
    "forecast_chunk",
    "forecast_new",
    "interval_columns",
    "joined",
]

LONGEST = 600
"""Largest horizon in months; fifty years of a growth curve mean nothing any more."""


POPULATION_DRAWS = 1000
"""Most draws of a population that forecasts of new base models are made from."""

CHUNK = 250
"""Base models that are forecast at a time; their draws are in memory together."""

_SORTED = 16  # base models whose draws are sorted at a time, few enough for a processor's cache


@dataclass(frozen=True, eq=False)
class Forecast:
    """Simulated futures of base models.

    Parameters
    ----------
    draws : xarray.Dataset
        ``finetunes`` (cumulative counts) over ``chain``, ``draw``, ``base_model`` and
        ``horizon`` (1, 2, ... months ahead); over ``base_model``: ``observed`` (last known
        count), ``months`` (age at that count), ``organization``, ``created_at`` (UTC).
    history : pandas.DataFrame
        The observed months: ``base_model``, ``month``, ``finetunes``.
    """

    draws: xr.Dataset
    history: pd.DataFrame

    def table(self, intervals: Iterable[float] = (50, 80, 95)) -> pd.DataFrame:
        """Point forecasts and central intervals.

        Parameters
        ----------
        intervals : iterable of float
            Probabilities of the intervals, in percent.

        Returns
        -------
        pandas.DataFrame
            One row for each base model and horizon: ``base_model``, ``organization``,
            ``month`` (age, months), ``date`` (end of that month, UTC), ``horizon`` (months),
            ``observed`` (last known count), ``mean``, ``median``, and for each interval
            ``lower_P`` and ``upper_P``, all in cumulative fine-tunes. Quantiles are whole
            counts; an interval holds at least its probability. The mean of a young or silent
            base model can hang on one path in a thousand; quote the median.

        Raises
        ------
        ForecastError
            When an interval is not between 0 and 100 percent.
        """
        levels = _checked_intervals(intervals)
        counts = self.draws["finetunes"].transpose("chain", "draw", "base_model", "horizon")
        values = counts.to_numpy().reshape(-1, *counts.shape[2:])
        horizon = counts["horizon"].to_numpy()
        shape = values.shape[1:]

        def column(name: str) -> np.ndarray:
            return np.repeat(self.draws[name].to_numpy(), shape[1])

        horizons = np.tile(horizon, shape[0])
        months = column("months") + horizons
        columns: dict[str, Any] = {
            "base_model": column("base_model"),
            "organization": column("organization"),
            "month": months,
            "date": month_end(pd.DatetimeIndex(column("created_at")).tz_localize("UTC"), months),
            "horizon": horizons,
            "observed": column("observed"),
            "mean": values.mean(axis=0).ravel(),
        }
        quantiles = {"median": (0.5, False)}
        for name, level in levels:
            tail = (1.0 - level / 100.0) / 2.0
            quantiles |= {f"lower_{name}": (tail, False), f"upper_{name}": (1.0 - tail, True)}
        found = np.empty((len(quantiles), *shape), dtype=np.int64)
        for first in range(0, shape[0], _SORTED):
            some = slice(first, first + _SORTED)
            ordered = np.sort(np.ascontiguousarray(np.moveaxis(values[:, some], 0, -1)), axis=-1)
            for out, (probability, upper) in zip(found, quantiles.values(), strict=True):
                out[some] = _quantile(ordered, probability, upper=upper)
        columns |= {name: column.ravel() for name, column in zip(quantiles, found, strict=True)}
        return pd.DataFrame(columns)

    def save(self, path: str | os.PathLike[str], intervals: Iterable[float] = (50, 80, 95)) -> None:
        """Write the table (``.csv``, ``.parquet``) or the draws (``.nc``).

        Parameters
        ----------
        path : path-like
            The file; it appears whole or not at all.
        intervals : iterable of float
            Intervals of the table, in percent.

        Raises
        ------
        ForecastError
            When the ending is another, or the file cannot be written.
        """
        if Path(path).suffix.lower() == ".nc":
            encoding = {"finetunes": {"zlib": True, "complevel": 1, "shuffle": True}}
            with whole_file(path, ForecastError) as temporary:
                self.draws.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        else:
            write_table(self.table(intervals), path, ForecastError)

    def plot(self, base_models: Sequence[str] | None = None, **options: Any) -> "Figure":
        """Fan chart; see `bayes_hfgrowth.figures.fan.fan_chart`.

        Parameters
        ----------
        base_models : sequence of str, optional
            Which to draw, at most twelve; by default the six with most fine-tunes.
        **options
            Passed on.
        """
        from bayes_hfgrowth.figures.fan import fan_chart  # a view of this, not a part of it

        return fan_chart(self.table(), self.history, base_models, **options)


def interval_columns(intervals: Iterable[float] = (50, 80, 95)) -> list[str]:
    """Names of the interval columns of a forecast table, in order."""
    return [
        f"{side}_{name}" for name, _ in _checked_intervals(intervals) for side in ("lower", "upper")
    ]


def forecast(
    fit: FittedDraws,
    months: int,
    base_models: Iterable[str] | None = None,
    seed: int | None = None,
) -> Forecast:
    """Forecast the cumulative fine-tunes of base models.

    Each path starts at the last known count and follows the transition law under one draw of
    the posterior, so it is a whole number, never falls, and carries the uncertainty both of
    the parameters and of the months to come. A base model younger than a month has no data
    of its own; its parameters come from its organization. A base model's paths do not hang on
    which others are forecast along with it.

    Parameters
    ----------
    fit : FittedDraws
        The posterior.
    months : int
        How far ahead, in months; at least 1.
    base_models : iterable of str, optional
        Which base models; all when not given.
    seed : int, optional
        Same seed, same forecast; by default the seed of the fit.

    Raises
    ------
    ForecastError
        When the horizon is out of range, a base model is not in the fit, or the seed is
        negative.
    """
    seed = fit.about["seed"] if seed is None else seed
    _check_request(months, seed)
    history = fit.history
    chosen = indices_of(base_models, history.base_models, "base model", "fit", ForecastError)
    part = history.subset(chosen)
    posterior = fit.posterior.isel(base_model=chosen)
    theta = base_model_parameters(fit.spec, posterior)
    carry, shares = carry_over(fit.spec, posterior), dormancy_shares(fit.spec, posterior)

    def paths(i: int) -> npt.NDArray[np.integer]:
        one, rng = part.subset(np.array([i])), random_of(seed, 3, part.base_models[i].encode())
        return narrowed(futures(fit.spec, one, theta[:, [i]], carry, months, rng, shares)[:, 0])

    with workers(None) as (submit, _, hands):
        pieces = ((paths, i) for i in range(len(chosen)))
        counts = np.stack(list(in_order(submit, pieces, 8 * hands)), axis=1)
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    return _assembled(part, counts.reshape(chains, draws, *counts.shape[1:]))


def forecast_new(
    population: PopulationPosterior,
    panel: Panel,
    months: int,
    seed: int | None = None,
    *,
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
    months : int
        How far ahead, in months; at least 1.
    seed : int, optional
        Same seed, same forecast; by default the seed of the population's fit.
    draws : int
        Paths of each base model.
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
        above `bayes_hfgrowth.importance.GOOD_K` the stored draws of the population are too few
        for what this base model teaches; fit it together with others then.

    Raises
    ------
    ForecastError
        When the panel is empty, the horizon is out of range, or the seed is negative.
    ClusterError
        When the Dask cluster does not do its work.
    """
    conditional = conditional_on(population, months, seed)
    history = History.from_panel(panel)
    number = len(history.base_models)
    if not number:
        raise ForecastError("the panel holds no base model; give one that does")
    parts = (
        history.subset(np.arange(first, min(first + CHUNK, number)))
        for first in range(0, number, CHUNK)
    )
    found, done = [], 0
    with (
        workers(dask, jobs) as (submit, share, hands),
        Progress(progress).stage("base models", number) as advance,
    ):
        shared = share(conditional)
        pieces = ((forecast_chunk, shared, part, months, draws) for part in parts)
        for result in in_order(submit, pieces, 2 * hands):
            found.append(result)
            done += result.draws.sizes["base_model"]
            advance(done, "")
    return joined(found)


def conditional_on(population: PopulationPosterior, months: int, seed: int | None) -> Conditional:
    """Make a population ready to forecast from.

    Parameters
    ----------
    population, months, seed
        As in `forecast_new`.

    Raises
    ------
    ForecastError
        When the horizon is out of range, or the seed is negative.
    """
    seed = population.about["seed"] if seed is None else seed
    _check_request(months, seed)
    return Conditional(population.thinned(POPULATION_DRAWS), seed)


def forecast_chunk(conditional: Conditional, history: History, months: int, draws: int) -> Forecast:
    """Forecast some base models that were in no fit.

    Parameters
    ----------
    conditional : Conditional
        From `conditional_on`.
    history : History
        Their months.
    months, draws : int
        As in `forecast_new`.
    """
    found = condition(conditional, history, draws)
    number = len(history.base_models)
    awake = replace(conditional.spec, dormancy=None)
    counts = np.empty((1, draws, number, months), dtype=np.int64)
    counts[:] = history.finetunes[:, None]
    for i in range(number):
        one = replace(
            history.subset(np.array([i])),
            organizations=("",),
            organization_of=np.zeros(1, np.int64),
        )
        rng = random_of(conditional.seed, 9, one.base_models[0].encode())
        some = ~found.dormant[:, i]
        theta, carry = found.theta[some, i][:, None], conditional.carry[found.draw[some, i]]
        counts[0, some, i] = futures(awake, one, theta, carry, months, rng)[:, 0]
    result = _assembled(history, counts)
    pareto_k = ("base_model", found.pareto_k)
    return Forecast(result.draws.assign(pareto_k=pareto_k), result.history)


def joined(parts: Sequence[Forecast]) -> Forecast:
    """Put forecasts of different base models together."""
    if len(parts) == 1:
        return parts[0]
    draws = xr.concat([part.draws for part in parts], "base_model", data_vars="minimal")
    return Forecast(draws, pd.concat([part.history for part in parts], ignore_index=True))


def _check_request(months: int, seed: int) -> None:
    if seed < 0:
        raise ForecastError(f"the seed is {seed}; give a number from 0 on")
    if not 1 <= months <= LONGEST:
        raise ForecastError(f"{months} months ahead is out of range; give 1 to {LONGEST}")


def _assembled(part: History, counts: npt.NDArray[np.integer]) -> Forecast:
    """Forecast of these base models; counts over chain, draw, base model, horizon."""
    counts = narrowed(counts)
    dataset = xr.Dataset(
        {
            "finetunes": (
                ("chain", "draw", "base_model", "horizon"),
                counts,
                {"long_name": "cumulative fine-tunes"},
            ),
            "observed": ("base_model", part.finetunes),
            "months": ("base_model", part.months),
            "organization": (
                "base_model",
                np.array([part.organizations[i] for i in part.organization_of], dtype=object),
            ),
            "created_at": ("base_model", part.created_at.tz_convert("UTC").tz_localize(None)),
        },
        coords={
            "chain": np.arange(counts.shape[0]),
            "draw": np.arange(counts.shape[1]),
            "base_model": np.array(part.base_models, dtype=object),
            "horizon": ("horizon", np.arange(1, counts.shape[3] + 1), {"units": "months"}),
        },
    )
    observed = pd.DataFrame(
        {
            "base_model": np.array(part.base_models, dtype=object)[part.base_model_of],
            "month": part.month.astype(np.int64),
            "finetunes": (part.previous + part.new).astype(np.int64),
        }
    )
    return Forecast(dataset, observed)


def _checked_intervals(intervals: Iterable[float]) -> list[tuple[str, float]]:
    levels = [float(level) for level in intervals]
    for level in levels:
        if not 0.0 < level < 100.0:
            raise ForecastError(
                f"an interval of {level:g}% is impossible; give percentages between 0 and 100"
            )
    if not levels:
        raise ForecastError("no interval is given; name at least one, such as 80")
    return [(np.format_float_positional(level, trim="-"), level) for level in sorted(set(levels))]


def _quantile(ordered: np.ndarray, probability: float, *, upper: bool) -> np.ndarray:
    """Quantile that is itself a draw, the last axis: rounded outwards, so intervals hold enough."""
    last = ordered.shape[-1] - 1
    position = probability * last
    index = int(np.ceil(position - 1e-9)) if upper else int(np.floor(position + 1e-9))
    return np.asarray(ordered[..., min(max(index, 0), last)])
