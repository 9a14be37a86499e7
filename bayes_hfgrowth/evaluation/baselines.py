"""Forecasts that a growth model has to beat.

All give draws in the form of `bayes_hfgrowth.forecast.paths.Forecast.draws`, so that one path
scores models and baselines. None forecasts fewer fine-tunes than there are.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.spatial import KDTree

from bayes_hfgrowth.evaluation.time_series import TIME_SERIES, simulated_increments
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.growth.law import CAP
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["BASELINES", "Baseline", "BaselineForecast", "forecast_baseline"]

type Floats = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]
"""Cumulative counts of a base model at months 0, 1, 2, ..."""
type Paths = Floats | None
"""New fine-tunes since the as-of date, shape (draws, months); None where a forecast failed."""
type Chosen = npt.NDArray[np.int64]
"""Positions of the base models to forecast."""

NEIGHBOURS = 400
"""Analogues of each base model."""

# Weights of ln(1 + count), ln(1 + recent monthly increment) and ln(1 + age) in the distance of two
# base models. They and the number of analogues are the best of six and of four that were tried at
# the as-of dates 2024-02-21 and 2024-08-21.
_WEIGHTS = (1.0, 1.0, 2.0)

_MOST_STEPS = 2_000  # of the least squares; 10,000 take half a minute for each failure

_RECENT = 3  # months whose mean increment is the recent one


@dataclass(frozen=True)
class Baseline:
    """A way to forecast without a growth model.

    Parameters
    ----------
    name : str
        What tables and figures call it.
    description : str
        What it does, in a sentence.
    least_months : int
        Shortest history, in whole months, that it can be used with.
    paths : callable
        Takes the cumulative counts of all base models of a panel, positions of those to forecast,
        months ahead, draws and seed; returns the new fine-tunes of each of those.
    """

    name: str
    description: str
    least_months: int
    paths: Callable[[list[Counts], Chosen, int, int, int], list[Paths]]


@dataclass(frozen=True, eq=False)
class BaselineForecast:
    """What a baseline forecasts, and for which base models it could not.

    Parameters
    ----------
    draws : xarray.Dataset
        ``finetunes`` and its companions, as in `bayes_hfgrowth.forecast.paths.Forecast.draws`.
        Point forecasts have one draw.
    too_short : tuple of str
        Base models with too short a history.
    failed : tuple of str
        Base models for which the method gave no finite forecast.
    """

    draws: xr.Dataset
    too_short: tuple[str, ...]
    failed: tuple[str, ...]


def forecast_baseline(
    name: str,
    panel: Panel,
    months: int,
    base_models: Iterable[str] | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> BaselineForecast:
    """Forecast the cumulative fine-tunes of base models by a baseline.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    panel : Panel
        What is known at the as-of date. All of it may be learnt from.
    months : int
        How far ahead, in months.
    base_models : iterable of str, optional
        Which to forecast; all when not given.
    draws : int
        Sample paths, where the method simulates.
    seed : int
        Of these.

    Raises
    ------
    ForecastError
        When the baseline is unknown or cannot be run, a base model is not in the panel, or
        none of them can be forecast.
    """
    indices_of([name], tuple(BASELINES), "baseline", "list", ForecastError)
    baseline = BASELINES[name]
    if not 1 <= months <= 600:
        raise ForecastError(f"{months} months ahead is out of range; give 1 to 600")
    models = panel.base_models
    names = models.index.to_numpy(dtype=object)
    chosen = indices_of(base_models, tuple(names), "base model", "panel", ForecastError)
    old = models["months"].to_numpy()[chosen] >= baseline.least_months
    usable = chosen[old]
    counts = np.split(panel.counts, np.cumsum(models["months"].to_numpy() + 1)[:-1])
    paths = baseline.paths(counts, usable, months, draws, seed) if len(usable) else []
    done = [place for place, path in enumerate(paths) if path is not None]
    if not done:
        raise ForecastError(
            f"{name} can forecast none of the {len(chosen)} base models: {np.sum(~old)} are "
            f"younger than {baseline.least_months} months, the others failed; take a later date"
        )
    forecast = usable[done]
    last = models["finetunes"].to_numpy()[forecast]
    grown = np.stack([np.clip(path, 0.0, CAP) for path in paths if path is not None], axis=1)
    return BaselineForecast(
        draws=_dataset(models.iloc[forecast], last[:, None] + grown, panel.counted),
        too_short=tuple(names[chosen[~old]]),
        failed=tuple(names[np.delete(usable, done)]),
    )


def _dataset(models: pd.DataFrame, counts: Floats, counted: Counted) -> xr.Dataset:
    """Wrap draws, shape (draws, base models, months), and what belongs to their base models."""
    created = pd.DatetimeIndex(models["created_at"]).tz_convert("UTC").tz_localize(None)
    return xr.Dataset(
        {
            "finetunes": (("chain", "draw", "base_model", "horizon"), counts[None]),
            "observed": ("base_model", models["finetunes"].to_numpy()),
            "months": ("base_model", models["months"].to_numpy()),
            "organization": ("base_model", models["organization"].to_numpy(dtype=object)),
            "created_at": ("base_model", created),
        },
        coords={
            "chain": [0],
            "draw": np.arange(counts.shape[0]),
            "base_model": models.index.to_numpy(dtype=object),
            "horizon": ("horizon", np.arange(1, counts.shape[2] + 1), {"units": "months"}),
        },
        attrs=counted.written,
    )


def _last_value(counts: list[Counts], chosen: Chosen, months: int, *_: int) -> list[Paths]:
    return [np.zeros((1, months)) for _ in chosen]


def _drift(counts: list[Counts], chosen: Chosen, months: int, *_: int) -> list[Paths]:
    ahead = np.arange(1, months + 1)[None]
    return [(counts[i][-1] - counts[i][-4]) / 3.0 * ahead for i in chosen]


def _least_squares(
    counts: list[Counts], chosen: Chosen, months: int, *_: int, m: float, months_per_unit: float
) -> list[Paths]:
    return [_fitted_curve(counts[i], months, m, months_per_unit) for i in chosen]


def _fitted_curve(counts: Counts, months: int, m: float, months_per_unit: float) -> Paths:
    """Fit the curve to cumulative counts as the authors' app does, and continue it.

    Unweighted least squares from the first guess (0.5, 2, 0.5), parameters from 0 on; where
    the optimiser gives up after its usual 300 steps, once more with `_MOST_STEPS`. A curve that
    runs away to larger and larger fitness and immediacy never settles; it counts as failed.
    """
    age = np.arange(len(counts)) / months_per_unit
    ahead = np.arange(len(counts), len(counts) + months) / months_per_unit

    def curve(t: Floats, fitness: float, immediacy: float, longevity: float) -> Floats:
        return np.asarray(cumulative(t, fitness, immediacy, longevity, m))

    for most in (None, _MOST_STEPS):
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)  # of covariances, unused here
                known, first = counts.astype(np.float64), (0.5, 2.0, 0.5)
                best, _ = curve_fit(curve, age, known, first, bounds=(0.0, np.inf), maxfev=most)
                value = curve(ahead, *best)
        except (RuntimeError, ValueError):  # gave up; residuals that are no numbers
            continue
        return value[None] - counts[-1] if np.isfinite(value).all() else None
    return None


def _analogues(counts: list[Counts], chosen: Chosen, months: int, *_: int) -> list[Paths]:
    """Growth of the most similar past moments of all base models, scaled to the recent pace.

    A moment is an age k of a base model of which the next months are known. Similar is what is
    near in count, recent increment and age. New fine-tunes then are those of the analogue,
    with ln(1 + new) shifted by the difference in ln(1 + recent increment), in whole counts.
    """
    ahead = np.arange(1, months + 1)
    points, shifts = [np.empty((0, 3))], [np.empty((0, months))]
    for series in counts:
        age = np.arange(len(series) - months)
        if len(age):
            point, pace = _standing(series, age)
            new = series[age[:, None] + ahead] - series[age, None]
            points.append(point)
            shifts.append(np.log1p(new) - pace[:, None])
    known, grown = np.vstack(points), np.vstack(shifts)
    if len(known) == 0:
        return [None for _ in chosen]
    # Thousands of moments coincide (no fine-tune yet, same age): a speck of noise, the same for
    # everyone, keeps the tree shallow and takes a fair sample of them.
    speck = 1e-6 * np.random.default_rng(0).standard_normal(known.shape)
    tree = KDTree(known + speck)
    paths: list[Paths] = []
    for i in chosen:
        point, pace = _standing(counts[i], np.array([len(counts[i]) - 1]))
        _, near = tree.query(point[0], k=np.arange(1, min(NEIGHBOURS, len(known)) + 1))
        paths.append(np.rint(np.expm1(np.maximum(grown[near] + pace[0], 0.0))))
    return paths


def _standing(series: Counts, age: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Where a base model stands at some ages, for the distance; and ln(1 + recent increment)."""
    earlier = np.maximum(age - _RECENT, 0)
    pace = np.log1p((series[age] - series[earlier]) / np.maximum(age - earlier, 1))
    return np.stack([np.log1p(series[age]), pace, np.log1p(age)], axis=-1) * _WEIGHTS, pace


def _time_series(
    counts: list[Counts], chosen: Chosen, months: int, draws: int, seed: int, *, method: str
) -> list[Paths]:
    increments = [np.diff(counts[i]).astype(np.float64) for i in chosen]
    simulated = simulated_increments(method, increments, months, draws, seed)
    return [None if one is None else np.rint(np.cumsum(one, axis=1)) for one in simulated]


BASELINES: Mapping[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("last_value", "No further fine-tune.", 0, _last_value),
        Baseline("drift", "The mean of the last three increments, month after month.", 3, _drift),
        Baseline(
            "least_squares_months",
            "The paper's curve by least squares as in the authors' app: m = 100, age in months.",
            1,
            partial(_least_squares, m=100.0, months_per_unit=1.0),
        ),
        Baseline(
            "least_squares_years",
            "The same as in the authors' table: m = 1, age in years.",
            1,
            partial(_least_squares, m=1.0, months_per_unit=12.0),
        ),
        Baseline(
            "analogues",
            f"What followed on the {NEIGHBOURS} most similar past moments of all base models.",
            0,
            _analogues,
        ),
        Baseline(
            "auto_ets",
            "Exponential smoothing of ln(1 + increment), chosen by AICc (statsforecast's AutoETS).",
            TIME_SERIES["auto_ets"],
            partial(_time_series, method="auto_ets"),
        ),
        Baseline(
            "auto_arima",
            "ARIMA of ln(1 + increment), chosen by AICc (statsforecast's AutoARIMA).",
            TIME_SERIES["auto_arima"],
            partial(_time_series, method="auto_arima"),
        ),
    )
}
"""The baselines by name."""
