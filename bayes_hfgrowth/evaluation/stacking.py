"""Weights with which several forecasts together forecast best."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.optimize import minimize

from bayes_hfgrowth.evaluation.scores import outcomes
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError

__all__ = ["Stacking", "mean_distance", "stack_forecasts"]

type Floats = npt.NDArray[np.float64]

_MOST_DRAWS = 400  # of each forecast; the weights do not hang on more
_CLEAR = 1e-4  # weights below it are set to 0


@dataclass(frozen=True, eq=False)
class Stacking:
    """The mixture of forecasts with the lowest CRPS on what came.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each method, best first: ``method``, ``crps_log`` (mean, on
        ln(1 + new fine-tunes)), ``crps_log_se``, ``weight``.
    crps_log : float
        Of the mixture, on the same forecasts that chose the weights, so a little too good.
    forecasts : int
        Number of dates times base models in the means.
    """

    table: pd.DataFrame
    crps_log: float
    forecasts: int


def stack_forecasts(
    forecasts: Mapping[str, Mapping[str, xr.Dataset]], panel: Panel, *, min_finetunes: int = 5
) -> Stacking:
    """Stack forecasts by their CRPS at the longest horizon: leave-future-out weights.

    The CRPS of a mixture with weights w is sum_k w_k E|X_k - y| - 1/2 sum_kl w_k w_l
    E|X_k - X_l'| for independent draws of the methods k and l: a convex function of w on the
    simplex, whose mean over forecasts is minimised. The same idea as stacking by the log
    score [1]_, for forecasts that are known by draws.

    Parameters
    ----------
    forecasts : mapping
        Forecast draws by as-of date and method, each method at each date.
    panel : Panel
        The later panel.
    min_finetunes : int
        Smallest count at the as-of date.

    Raises
    ------
    ForecastError
        When the dates do not have the same methods, or no forecast is common to all.

    References
    ----------
    .. [1] Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian
       predictive distributions", Bayesian Analysis 13 (2018).
    """
    methods: list[str] = []
    distances, spreads = [], []
    for date, by_method in forecasts.items():
        methods = methods or list(by_method)
        if set(by_method) != set(methods):
            raise ForecastError(
                f"{date} has the methods {', '.join(by_method)} and another date "
                f"{', '.join(methods)}; give all methods at all dates"
            )
        samples, came = _common_samples([by_method[name] for name in methods], panel, min_finetunes)
        for place, outcome in enumerate(came):
            draws = [sample[place] for sample in samples]
            distances.append([np.abs(x - outcome).mean() for x in draws])
            spreads.append([[mean_distance(x, y, same=x is y) for y in draws] for x in draws])
    if not distances:
        raise ForecastError(
            f"no base model with {min_finetunes} fine-tunes is forecast by all methods and seen "
            "in the panel; lower min_finetunes or leave a method out"
        )
    near, apart = np.array(distances), np.array(spreads)
    alone = near - 0.5 * np.diagonal(apart, axis1=1, axis2=2)
    weights = _best_weights(near.mean(axis=0), apart.mean(axis=0))
    table = pd.DataFrame(
        {
            "method": methods,
            "crps_log": alone.mean(axis=0),
            "crps_log_se": alone.std(axis=0, ddof=1) / np.sqrt(len(alone)),
            "weight": weights,
        }
    )
    return Stacking(
        table=table.sort_values("crps_log", kind="stable", ignore_index=True),
        crps_log=_crps(weights, near.mean(axis=0), apart.mean(axis=0)),
        forecasts=len(alone),
    )


def mean_distance(x: Floats, y: Floats, *, same: bool = False) -> float:
    """Mean of |x_i - y_j| over all pairs of ascending draws.

    Where they are the same draws, each is not paired with itself.
    """
    rank = np.searchsorted(y, x, side="right")
    total = np.append(0.0, np.cumsum(y))
    pairs = len(x) * (len(y) - same)
    if pairs == 0:  # a single draw
        return 0.0
    return float(np.sum(x * (2 * rank - len(y)) - 2 * total[rank] + total[-1]) / pairs)


def _common_samples(
    forecasts: list[xr.Dataset], panel: Panel, min_finetunes: int
) -> tuple[list[Floats], Floats]:
    """ln(1 + new) at the longest common horizon: sorted draws of each forecast, and outcomes."""
    forecasts = list(xr.align(*forecasts, exclude=("chain", "draw")))
    at_start, at_end = outcomes(forecasts[0], panel)
    seen = np.flatnonzero((at_end >= 0).any(axis=0))
    last = seen[-1] if len(seen) else 0
    enough = forecasts[0]["observed"].to_numpy() >= min_finetunes
    kept = np.flatnonzero((at_end[:, last] >= 0) & enough) if len(seen) else seen
    if len(kept) == 0:
        return [], np.empty(0)
    samples = []
    for one in forecasts:
        part = one.isel(base_model=kept, horizon=last)
        counts = part["finetunes"].transpose("base_model", "chain", "draw").to_numpy()
        counts = counts.reshape(len(kept), -1)
        thinned = np.linspace(0, counts.shape[1] - 1, min(_MOST_DRAWS, counts.shape[1])).round()
        new = counts[:, thinned.astype(int)] - part["observed"].to_numpy()[:, None]
        samples.append(np.sort(np.log1p(np.maximum(new, 0.0)), axis=1))
    return samples, np.log1p(at_end[kept, last] - at_start[kept])


def _crps(weights: Floats, near: Floats, apart: Floats) -> float:
    return float(weights @ near - 0.5 * weights @ apart @ weights)


def _best_weights(near: Floats, apart: Floats) -> Floats:
    """Minimise the CRPS of the mixture on the simplex."""
    number = len(near)
    found = minimize(
        _crps,
        np.full(number, 1.0 / number),
        args=(near, apart),
        jac=lambda w, a, b: a - b @ w,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * number,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weights = np.where(found.x < _CLEAR, 0.0, found.x)
    return np.asarray(weights / weights.sum())
