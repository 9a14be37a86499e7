"""How well each month is predicted by the others: PSIS-LOO, with the months where it is rough."""

import warnings
from dataclasses import dataclass

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.history import History

__all__ = ["LeaveOneOut", "leave_one_out"]


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Expected log predictive density of a month left out, by PSIS-LOO.

    The month's own count is left out, all other months are not, later ones included, so this
    compares models of the same months. How well a fit forecasts is for a backtest to say.

    Parameters
    ----------
    elpd, se : float
        Sum over months of the expected log predictive densities, and its standard error.
    p : float
        Effective number of parameters.
    months : int
        Months in the sum.
    draws : int
        Draws of the posterior that it rests on.
    good_k : float
        Pareto k up to which the importance weights of a month are reliable.
    bad : pandas.DataFrame
        Months above it, worst first: ``base_model``, ``month`` (age), ``new_finetunes``,
        ``pareto_k``.
    """

    elpd: float
    se: float
    p: float
    months: int
    draws: int
    good_k: float
    bad: pd.DataFrame


def leave_one_out(tree: xr.DataTree, history: History) -> LeaveOneOut:
    """PSIS-LOO over months."""
    with warnings.catch_warnings():
        # Of a large Pareto k: counted and named below instead.
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        result = az.loo(tree, pointwise=True, var_name="new_finetunes")
    k = np.asarray(result.pareto_k, dtype=np.float64)
    months = pd.DataFrame(
        {
            "base_model": np.array(history.base_models, dtype=object)[history.base_model_of],
            "month": history.month.astype(np.int64),
            "new_finetunes": history.new.astype(np.int64),
            "pareto_k": k,
        }
    )
    # Not "k > good_k": a k that is not a number is no good either.
    bad = months[~(k <= result.good_k)].sort_values(
        "pareto_k", ascending=False, kind="stable", na_position="first", ignore_index=True
    )
    return LeaveOneOut(
        elpd=float(result.elpd),
        se=float(result.se),
        p=float(result.p),
        months=len(k),
        draws=int(result.n_samples),
        good_k=float(result.good_k),
        bad=bad,
    )
