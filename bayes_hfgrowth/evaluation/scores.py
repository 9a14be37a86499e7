"""Scores of forecasts: how near they came, and whether their intervals held what they said.

Two scales. Counts are cumulative fine-tunes. Logs are ln(1 + new fine-tunes since the as-of
date), on which a forecast of 20 where 10 came is as wrong as one of 2,000 where 1,000 came.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.evaluation.groups import GROUPINGS, members
from bayes_hfgrowth.forecast.paths import Forecast
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError

__all__ = ["LEVELS", "central_share", "ensemble_crps", "outcomes", "score_forecast", "summarize"]

type Floats = npt.NDArray[np.float64]

LEVELS = (50, 80, 95)
"""Central intervals that are scored, in percent."""

_INTERVAL_SCORES = ("interval_score", "interval_score_log")
_WHOLE = 2.0**-53


def ensemble_crps(observed: npt.ArrayLike, ordered: npt.ArrayLike) -> Floats:
    """Continuous ranked probability score of draws, in its fair form.

    CRPS(F, y) = E|X - y| - E|X - X'|/2 for independent X, X' of F [1]_. The mean of |x - x'|
    is taken over pairs of different draws, so the expectation does not depend on how many
    draws there are ("fair" [2]_), and it is computed by probability-weighted moments, which
    needs a sort and no double sum. A single draw is a point forecast: |x - y|.

    Parameters
    ----------
    observed : array_like, shape (...)
        What came.
    ordered : array_like, shape (..., draws)
        Draws, ascending along the last axis.

    Returns
    -------
    ndarray, shape (...)
        In the unit of the draws; 0 is perfect. A fair score can fall below 0 by as much as
        the finite number of draws leaves open.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", JASA 102 (2007).
    .. [2] C. A. T. Ferro, "Fair scores for ensemble forecasts", Q. J. R. Meteorol. Soc. 140
       (2014).
    """
    y, x = np.asarray(observed, np.float64), np.asarray(ordered, np.float64)
    if x.shape[-1] == 1:
        return np.asarray(np.abs(x[..., 0] - y))
    import scoringrules as sr  # not above: it compiles for seconds, and not all who pass here score

    score = sr.crps_ensemble(y, x, estimator="pwm", sorted_ensemble=True, backend="numpy")
    return np.asarray(score, np.float64)


def central_share(lower: npt.ArrayLike, upper: npt.ArrayLike, level: float) -> Floats:
    """Chance that the randomised PIT falls into its central interval.

    For counts the probability integral transform of an outcome y is uniform between P(X < y)
    and P(X <= y) [1]_. This is the share of that stretch within the central interval: what
    the average over many randomisations would give, free of their luck.

    Parameters
    ----------
    lower, upper : array_like
        P(X < y) and P(X <= y).
    level : float
        Probability of the central interval, in percent.

    Returns
    -------
    ndarray
        From 0 to 1.

    References
    ----------
    .. [1] A. E. Brockwell, "Universal residuals: a multivariate transformation", Stat.
       Probab. Lett. 77 (2007); J. Q. Smith, "Diagnostic checks of non-standard time series
       models", J. Forecasting 4 (1985).
    """
    low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    tail = 0.5 - level / 200.0
    inside = np.minimum(high, 1.0 - tail) - np.maximum(low, tail)
    return np.asarray(np.clip(inside, 0.0, None) / (high - low))


def score_forecast(draws: xr.Dataset, panel: Panel, *, seed: int = 0) -> pd.DataFrame:
    """Score forecast draws against what came.

    Parameters
    ----------
    draws : xarray.Dataset
        As `bayes_hfgrowth.forecast.paths.Forecast.draws` has them: ``finetunes`` (cumulative
        counts) over ``chain``, ``draw``, ``base_model``, ``horizon``; over ``base_model``:
        ``observed``, ``months``, ``organization``, ``created_at``. A single draw is a point
        forecast, for which calibration is not defined.
    panel : Panel
        A later panel. Base models and horizons whose month it does not hold are left out.
    seed : int
        Of the randomisation of the PIT. It depends on nothing but the seed, the base model,
        its age and the horizon, so all forecasts of the same outcome share it.

    Returns
    -------
    pandas.DataFrame
        One row for each base model and horizon that can be scored: ``base_model``,
        ``organization``, ``months`` (age at the as-of date), ``observed`` (count at the as-of
        date), ``horizon``, ``date`` (end of the month), ``actual`` (count that came), ``new``
        (fine-tunes since the as-of date), ``mean``, ``median``, ``lower_P``, ``upper_P``
        (forecast counts, P of `LEVELS`), ``crps`` (counts), ``log_new`` (observed
        ln(1 + new)), ``log_mean`` and ``log_median`` (of its forecast), ``crps_log``,
        ``interval_score_P`` (counts), ``interval_score_log_P``, ``inside_P`` (1 or 0),
        ``pit_lower``, ``pit_upper``, ``pit``. The PIT ranks the outcome among the draws, so it
        is uniform, for any number of draws, if outcome and draws are alike.

    Raises
    ------
    ForecastError
        When nothing can be scored, the panel counts something else, or a base model of that name
        was created at another time.
    """
    counted = Counted.read(draws.attrs)
    if counted != panel.counted:
        raise ForecastError(
            f"the forecast is of {counted.many} and the panel counts {panel.counted.many}; give "
            "a panel that counts the same"
        )
    counts = draws["finetunes"].transpose("base_model", "horizon", "chain", "draw")
    at_start, at_end = outcomes(draws, panel)
    tables = []
    for place, horizon in enumerate(draws["horizon"].to_numpy()):
        known = np.flatnonzero(at_end[:, place] >= 0)
        if len(known) == 0:
            continue
        part = draws.isel(base_model=known, horizon=[place])
        values = counts.isel(base_model=known, horizon=place).to_numpy().reshape(len(known), -1)
        table = Forecast(part, pd.DataFrame()).table(LEVELS)
        table = table.assign(months=table["month"] - horizon).drop(columns="month")
        came = at_end[known, place]
        tables.append(_scored(table, np.sort(values, axis=1), came, came - at_start[known], seed))
    if not tables:
        raise ForecastError(
            "no month of the forecast is in the panel, so nothing can be scored; "
            "give a panel observed later, or one with the same base models"
        )
    return pd.concat(tables, ignore_index=True)


def summarize(scores: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Average scores over base models.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `score_forecast`; several may be stacked, with columns that tell them apart.
    by : sequence of str
        Columns that tell them apart, such as ``as_of`` and ``model``. Horizons are always kept
        apart.

    Returns
    -------
    pandas.DataFrame
        One row for each combination of `by`, ``horizon``, ``grouping`` (``all``, ``count``,
        ``history``, ``organization``) and ``group``: ``base_models`` (number),
        ``crps``, ``crps_log`` and its standard error ``crps_log_se``, ``interval_score_P``,
        ``interval_score_log_P`` (means), ``coverage_P`` (share of outcomes in the plain
        central intervals), ``pit_P`` (the same of the randomised PIT, see `central_share`),
        ``absolute_error`` and ``error`` (medians over base models of the median forecast
        minus what came, counts), ``absolute_error_log`` and ``error_log`` (the same in logs),
        ``log_mean`` (mean forecast of ln(1 + new)), ``log_new`` (observed mean), ``bias``
        (the former over the latter, minus 1).
    """
    keys = [*by, "horizon"]
    rows = []
    for key, part in scores.groupby(keys, sort=False, observed=True):
        for grouping in GROUPINGS:
            for group, mask in members(grouping, part).items():
                if mask.any():
                    head = dict(zip(keys, key, strict=True))
                    rows.append({**head, "grouping": grouping, "group": group} | _means(part[mask]))
    return pd.DataFrame(rows)


def outcomes(draws: xr.Dataset, panel: Panel) -> tuple[npt.NDArray[np.int64], ...]:
    """What a panel says about the base models of a forecast.

    Parameters
    ----------
    draws : xarray.Dataset
        As for `score_forecast`.
    panel : Panel
        A later panel.

    Returns
    -------
    at_start : ndarray of int, shape (base models,)
        Cumulative counts at the age of the forecast, -1 where the panel has none.
    at_end : ndarray of int, shape (base models, horizons)
        The same at each horizon.

    Raises
    ------
    ForecastError
        When a base model of that name was created at another time.
    """
    names = draws["base_model"].to_numpy().tolist()
    created = panel.base_models["created_at"].reindex(names)
    promised = pd.DatetimeIndex(draws["created_at"].to_numpy()).tz_localize("UTC")
    other = np.flatnonzero((created.notna() & (np.asarray(created) != promised)).to_numpy())
    if len(other):
        name = names[other[0]]
        raise ForecastError(
            f"{name!r} was created on {created.iloc[other[0]]:%Y-%m-%d %H:%M} by the panel and on "
            f"{promised[other[0]]:%Y-%m-%d %H:%M} by the forecast, so their months differ; "
            "leave it out, or take a panel from the same source"
        )
    table = panel.table
    months = pd.MultiIndex.from_arrays([table["base_model"].astype(object), table["month"]])
    ages = draws["months"].to_numpy()[:, None] + np.append(0, draws["horizon"].to_numpy())
    wanted = pd.MultiIndex.from_arrays(
        [np.repeat(names, ages.shape[1]).astype(object), ages.ravel()]
    )
    counts = pd.Series(panel.counts, index=months).reindex(wanted, fill_value=-1)
    found = counts.to_numpy().reshape(ages.shape)
    return found[:, 0], found[:, 1:]


def _scored(
    table: pd.DataFrame,
    ordered: npt.NDArray[np.number],
    actual: npt.NDArray[np.int64],
    new: npt.NDArray[np.int64],
    seed: int,
) -> pd.DataFrame:
    """Add the scores of one horizon to its rows of a forecast table."""
    import scoringrules as sr

    observed, draws = table["observed"].to_numpy(), ordered.shape[1]
    logs = np.log1p(np.maximum(ordered - observed[:, None], 0.0))
    log_new = np.log1p(new)
    calibration: dict[str, Any] = {}
    for level in LEVELS:
        low, high = table[f"lower_{level}"].to_numpy(), table[f"upper_{level}"].to_numpy()
        alpha = 1.0 - level / 100.0
        log_low, log_high = np.log1p(low - observed), np.log1p(high - observed)
        score = sr.interval_score(actual, low, high, alpha)
        score_log = sr.interval_score(log_new, log_low, log_high, alpha)
        calibration |= {
            f"interval_score_{level}": score.reshape(-1),
            f"interval_score_log_{level}": score_log.reshape(-1),
            f"inside_{level}": ((low <= actual) & (actual <= high)).astype(np.float64),
        }
    below = (ordered < actual[:, None]).sum(axis=1) / (draws + 1)
    until = ((ordered <= actual[:, None]).sum(axis=1) + 1) / (draws + 1)
    pit = below + (until - below) * _uniform(table, seed)
    calibration |= {"pit_lower": below, "pit_upper": until, "pit": pit}
    if draws == 1:  # a point forecast has none
        calibration = dict.fromkeys(calibration, np.nan)
    result = table.assign(
        actual=actual,
        new=new,
        crps=ensemble_crps(actual, ordered),
        log_new=log_new,
        log_mean=logs.mean(axis=1),
        log_median=np.log1p(table["median"].to_numpy() - observed),
        crps_log=ensemble_crps(log_new, logs),
        **calibration,
    )
    front = ["base_model", "organization", "months", "observed", "horizon", "date", "actual", "new"]
    return result[[*front, *(name for name in result if name not in front)]]


def _uniform(table: pd.DataFrame, seed: int) -> Floats:
    """A number between 0 and 1 for each row, fixed by what the row is about."""
    keys = table[["base_model", "months", "horizon"]].itertuples(index=False)
    digests = (
        hashlib.blake2b(repr((seed, *map(str, key))).encode(), digest_size=8) for key in keys
    )
    return np.array([(int.from_bytes(d.digest(), "big") >> 11) * _WHOLE for d in digests])


def _means(part: pd.DataFrame) -> dict[str, float]:
    """Average scores of some rows of one horizon."""
    error = part["median"] - part["actual"]
    error_log = part["log_median"] - part["log_new"]
    forecast, came = part["log_mean"].mean(), part["log_new"].mean()
    pits = {level: central_share(part["pit_lower"], part["pit_upper"], level) for level in LEVELS}
    intervals = [f"{kind}_{level}" for level in LEVELS for kind in _INTERVAL_SCORES]
    return {
        "base_models": len(part),
        "crps": part["crps"].mean(),
        "crps_log": part["crps_log"].mean(),
        "crps_log_se": part["crps_log"].sem(),
        **{f"coverage_{level}": part[f"inside_{level}"].mean() for level in LEVELS},
        **{f"pit_{level}": float(pits[level].mean()) for level in LEVELS},
        **{name: part[name].mean() for name in intervals},
        "absolute_error": error.abs().median(),
        "error": error.median(),
        "absolute_error_log": error_log.abs().median(),
        "error_log": error_log.median(),
        "log_mean": forecast,
        "log_new": came,
        "bias": forecast / came - 1.0 if came > 0 else np.nan,
    }
