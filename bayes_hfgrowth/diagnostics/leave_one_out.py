"""How well each month is predicted by the others: PSIS-LOO, with the months where it is rough."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import arviz_stats as az
import joblib
import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.cluster import beside

__all__ = ["LeaveOneOut", "leave_one_out", "pointwise_loo", "psis_loo", "running_psis_loo"]

_MOST = 0.5  # share of a base model's fine-tunes from which one month holds most of them
_FEW = 4  # months up to which a base model has few
_TIES = 5  # lowest densities of a month that, when they are all alike, leave no tail to fit
_ENOUGH = 200  # base models whose draws tell how independent all of them are
_LONG = 2_000_000  # densities from which on processes of their own pay
_PARTS = 8  # into which these take the months
_NOTHING = 1e-9  # log density that makes no difference


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
        ``pareto_k``, ``reason`` (why the posterior hangs on that month, as far as the data
        show).
    """

    elpd: float
    se: float
    p: float
    months: int
    draws: int
    good_k: float
    bad: pd.DataFrame


def psis_loo(tree: xr.DataTree) -> Any:
    """PSIS-LOO through ArviZ, month by month; large Pareto k are not warned of.

    A month that all draws give the same density (an empty one that nobody could expect
    otherwise) has no tail to which a Pareto distribution could be fitted, and ArviZ refuses it.
    Its densities are spread by less than a billionth of a nat.

    Parameters
    ----------
    tree : xarray.DataTree
        The fit: ``posterior``, and ``log_likelihood`` with ``new_finetunes``.

    Returns
    -------
    arviz.ELPDData
    """
    density = tree["log_likelihood"]["new_finetunes"].transpose("chain", "draw", "observation")
    shape = density.shape
    values = density.to_numpy().reshape(-1, shape[2]).astype(np.float64)
    lowest = np.sort(np.partition(values, min(_TIES, len(values)) - 1, axis=0)[:_TIES], axis=0)
    alike = lowest[0] == lowest[-1]
    values[:, alike] -= _NOTHING * np.linspace(0.0, 1.0, len(values))[:, None]
    tree = _needed(tree, density.copy(data=values.reshape(shape)).to_dataset(name="new_finetunes"))
    # Weights that underflow to nought have a logarithm too, and a Pareto k that tells.
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        return az.loo(tree, pointwise=True, var_name="new_finetunes")


def _needed(tree: xr.DataTree, densities: xr.Dataset) -> xr.DataTree:
    """What ArviZ reads: the densities, and draws that tell how independent they are.

    For the latter it takes the mean effective sample size of all parameters, which some of the
    base models of a large fit tell as well.
    """
    posterior = tree["posterior"].to_dataset()
    every = max(1, posterior.sizes.get("base_model", 0) // _ENOUGH)
    some = posterior.isel(base_model=slice(None, None, every), missing_dims="ignore")
    return xr.DataTree.from_dict({"posterior": some, "log_likelihood": densities})


@contextmanager
def running_psis_loo(tree: xr.DataTree) -> Iterator[Callable[[], Any]]:
    """Run `psis_loo` beside the body, where it takes long in processes of its own.

    They take the months in parts, so that no core waits when the body is done.

    Yields
    ------
    callable
        Waits for the result and returns it.
    """
    if tree["log_likelihood"]["new_finetunes"].size < _LONG or joblib.cpu_count() == 1:
        yield lambda: psis_loo(tree)
        return
    with beside(psis_loo, ((part,) for part in _parts(tree))) as results:
        yield lambda: _joined(results())


def _parts(tree: xr.DataTree) -> Iterator[xr.DataTree]:
    """The fit with some of its months at a time."""
    densities = tree["log_likelihood"].to_dataset()
    months = densities.sizes["observation"]
    size = -(-months // _PARTS)
    for first in range(0, months, size):
        yield _needed(tree, densities.isel(observation=slice(first, first + size)))


def _joined(parts: list[Any]) -> Any:
    """Put results for some months each together."""
    elpd = xr.concat([part.elpd_i for part in parts], "observation")
    return replace(
        parts[0],
        elpd=float(elpd.sum()),
        se=float(np.sqrt(elpd.size * elpd.var(ddof=1))),
        p=sum(part.p for part in parts),
        n_data_points=elpd.size,
        warning=any(part.warning for part in parts),
        elpd_i=elpd,
        pareto_k=xr.concat([part.pareto_k for part in parts], "observation"),
        log_weights=None,
    )


def pointwise_loo(result: Any, history: History) -> pd.DataFrame:
    """Months of a history with what `psis_loo` found of each.

    Returns
    -------
    pandas.DataFrame
        ``base_model``, ``month`` (age), ``new_finetunes``, ``elpd``, ``pareto_k``.
    """
    return pd.DataFrame(
        {
            "base_model": np.array(history.base_models, dtype=object)[history.base_model_of],
            "month": history.month.astype(np.int64),
            "new_finetunes": history.new.astype(np.int64),
            "elpd": np.asarray(result.elpd_i, dtype=np.float64).ravel(),
            "pareto_k": np.asarray(result.pareto_k, dtype=np.float64).ravel(),
        }
    )


def leave_one_out(result: Any, history: History, surges: pd.DataFrame) -> LeaveOneOut:
    """Summary of what `psis_loo` found of the months of a history.

    The surges, with ``base_model``, ``month`` and ``size``, are reasons of the first choice.
    """
    months = pointwise_loo(result, history).drop(columns="elpd")
    # Not "k > good_k": a k that is not a number is no good either.
    bad = months[~(months["pareto_k"] <= result.good_k)].sort_values(
        "pareto_k", ascending=False, kind="stable", na_position="first", ignore_index=True
    )
    bad["reason"] = _reasons(bad, history, surges)
    return LeaveOneOut(
        elpd=float(result.elpd),
        se=float(result.se),
        p=float(result.p),
        months=len(months),
        draws=int(result.n_samples),
        good_k=float(result.good_k),
        bad=bad,
    )


def _reasons(bad: pd.DataFrame, history: History, surges: pd.DataFrame) -> list[str]:
    """Why the posterior of a base model's parameters hangs on a month."""
    sizes = surges.set_index(["base_model", "month"])["size"].to_dict()
    index = {name: i for i, name in enumerate(history.base_models)}
    reasons = []
    for row in bad.itertuples():
        i = index[row.base_model]
        months, total = int(history.months[i]), int(history.finetunes[i])
        if (row.base_model, row.month) in sizes:
            size = sizes[row.base_model, row.month]
            reasons.append(f"a surge, {size:,.1f} times what the model expects")
        elif total and row.new_finetunes >= _MOST * total:
            reasons.append(f"it holds {row.new_finetunes / total:.0%} of the fine-tunes")
        elif months <= _FEW:
            reasons.append(f"one of only {months} month{'s' if months > 1 else ''}")
        elif row.month == 1:
            reasons.append("the first month alone tells how soon growth sets in")
        else:
            reasons.append("far from what the other months say")
    return reasons
