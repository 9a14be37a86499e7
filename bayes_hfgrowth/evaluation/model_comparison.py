"""Growth models of the same months side by side: leave-one-out, forecasts, weights."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arviz_stats as az
import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.diagnostics.leave_one_out import pointwise_loo, psis_loo
from bayes_hfgrowth.evaluation.stacking import Stacking
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import ComparisonError
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.progress import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ModelComparison", "compare_models"]

type Floats = npt.NDArray[np.float64]

_APART = 5.0  # times the mean of the other months makes a month stand out
_MOST = 0.5  # share of the fine-tunes from which one month holds most of them


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Growth models of the same months, compared.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each growth model, best leave-one-out density first. Of
        `arviz.compare`: ``elpd`` (expected log predictive density of a month left out, summed
        over months), ``se``, ``elpd_diff`` (to the best), ``dse`` (its standard error),
        ``p`` (effective parameters), ``loo_weight`` (stacking). Then ``bad_k`` (months whose
        Pareto k is too large) and ``bad_share``, ``good_k`` (the bound), ``converged``. If a
        stacking of forecasts was given: ``crps_log``, ``crps_log_se``, ``forecast_weight``.
    bad : pandas.DataFrame
        Months with a bad Pareto k, worst first within each growth model: ``model``,
        ``base_model``, ``month`` (age), ``new_finetunes``, ``pareto_k``, ``elpd``, ``pull``
        (log density of the month with itself in the data minus without; by how much it bends
        the posterior its own way), ``reason``.
    pointwise : pandas.DataFrame
        All months: ``model``, ``base_model``, ``month``, ``new_finetunes``, ``elpd``,
        ``pareto_k``.
    """

    table: pd.DataFrame
    bad: pd.DataFrame
    pointwise: pd.DataFrame

    def plot(self) -> "Figure":
        """Draw it; see `bayes_hfgrowth.figures.model_comparison.model_comparison`."""
        from bayes_hfgrowth.figures.model_comparison import model_comparison  # a view of this

        return model_comparison(self.table, self.pointwise)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write tables and figure into a folder, which is made if need be.

        Parameters
        ----------
        folder : path-like
            Gets ``models.csv``, ``pareto_k.csv``, ``pointwise.parquet``, ``models.png``.

        Raises
        ------
        ComparisonError
            When the folder cannot be made or written to.
        """
        from bayes_hfgrowth.figures.style import save_figure

        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            reason = failure.strerror or failure
            raise ComparisonError(f"{place} cannot be used as a folder: {reason}") from failure
        tables = {
            "models.csv": self.table,
            "pareto_k.csv": self.bad,
            "pointwise.parquet": self.pointwise,
        }
        for name, table in tables.items():
            write_table(table, place / name, ComparisonError)
        save_figure(self.plot(), place / "models.png", ComparisonError)
        return [place / name for name in (*tables, "models.png")]


def compare_models(
    fits: Mapping[str, FittedDraws], stacking: Stacking | None = None, *, progress: bool = True
) -> ModelComparison:
    """Compare growth models fitted to the same panel.

    Leave-one-out is PSIS-LOO by months: each month is predicted from all others, later ones
    included, so it says which law describes the months, not which forecasts; for that, hand in
    a stacking of backtest forecasts too.

    Parameters
    ----------
    fits : mapping of str to FittedDraws
        At least two fits by name.
    stacking : Stacking, optional
        From `bayes_hfgrowth.evaluation.stacking.stack_forecasts`, with the names of the fits
        as methods; methods that are no fit, such as baselines, are left out of the table but
        share in the weights.
    progress : bool
        Whether to show progress on standard error.

    Raises
    ------
    ComparisonError
        When there are fewer than two fits, or they are of different months.
    """
    if len(fits) < 2:
        raise ComparisonError(f"{len(fits)} fit is given; a comparison needs at least two")
    (first_name, first_fit), *others = fits.items()
    first = first_fit.history
    for name, fit in others:
        _check_same(first, fit.history, first_name, name)
    elpds, parts = {}, []
    with Progress(progress).stage("leave one out", len(fits)) as advance:
        for done, (name, fit) in enumerate(fits.items()):
            advance(done, name)
            elpds[name], months = _pointwise(fit)
            parts.append(months.assign(model=name))
    pointwise = pd.concat(parts, ignore_index=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # densities that underflow to nought
        compared = az.compare(elpds, round_to="none")
    bad = _bad_months(pointwise, elpds, first)
    table = compared[["elpd", "se", "elpd_diff", "dse", "p", "weight"]].astype(np.float64)
    table = table.rename(columns={"weight": "loo_weight"}).rename_axis("model").reset_index()
    number = bad["model"].value_counts()
    table["bad_k"] = number.reindex(table["model"], fill_value=0).to_numpy()
    table["bad_share"] = table["bad_k"] / max(len(first.new), 1)
    table["good_k"] = [float(elpds[name].good_k) for name in table["model"]]
    table["converged"] = [fits[name].convergence.converged for name in table["model"]]
    if stacking is not None:
        forecasts = stacking.table.set_index("method").rename(columns={"weight": "forecast_weight"})
        columns = ["crps_log", "crps_log_se", "forecast_weight"]
        table[columns] = forecasts.reindex(table["model"])[columns].to_numpy()
    order = ["model", "base_model", "month", "new_finetunes", "elpd", "pareto_k"]
    return ModelComparison(table, bad, pointwise[order])


def _check_same(one: History, other: History, name: str, other_name: str) -> None:
    if one.base_models != other.base_models or not (
        np.array_equal(one.month, other.month) and np.array_equal(one.new, other.new)
    ):
        raise ComparisonError(
            f"fits {name!r} and {other_name!r} are of different months; "
            "fit both to the same panel, as of the same date"
        )


def _pointwise(fit: FittedDraws) -> tuple[Any, pd.DataFrame]:
    """PSIS-LOO of a fit, and its months; ``lpd`` is the log density with the month in the data."""
    result = psis_loo(fit.tree)
    stored = fit.tree["log_likelihood"]["new_finetunes"]
    values = stored.transpose("observation", "chain", "draw").to_numpy()
    values = values.reshape(len(values), -1).astype(np.float64)
    highest = values.max(axis=1)
    lpd = highest + np.log(np.exp(values - highest[:, None]).mean(axis=1))
    return result, pointwise_loo(result, fit.history).assign(lpd=lpd)


def _bad_months(pointwise: pd.DataFrame, elpds: dict[str, Any], history: History) -> pd.DataFrame:
    """Months whose importance weights cannot be trusted, and why the posterior hangs on them."""
    bound = pointwise["model"].map({name: float(elpd.good_k) for name, elpd in elpds.items()})
    # Not "k > bound": a k that is not a number is no good either.
    bad = pointwise[~(pointwise["pareto_k"] <= bound)]
    bad = bad.assign(pull=bad["lpd"] - bad["elpd"]).sort_values(
        ["model", "pareto_k"], ascending=[True, False], kind="stable", na_position="first"
    )
    place = {name: index for index, name in enumerate(history.base_models)}
    reasons = [
        _reason(row.month, row.new_finetunes, history, place[row.base_model])
        for row in bad.itertuples()
    ]
    columns = ["model", "base_model", "month", "new_finetunes", "pareto_k", "elpd", "pull"]
    bad = bad[columns].reset_index(drop=True)
    return bad.assign(reason=pd.Series(reasons, dtype=object))


def _reason(month: int, new: int, history: History, index: int) -> str:
    """Why one month bends the posterior of its base model, as far as the counts show."""
    series = history.new[history.start[index] : history.start[index + 1]]
    rest = np.delete(series, month - 1)
    if len(rest) == 0:
        return "the only month of its base model"
    usual = float(rest.mean())
    if new >= _APART * max(usual, 1.0):
        return f"a surge: {new:,} where its other {len(rest)} months average {usual:,.1f}"
    if usual >= _APART * max(new, 1):
        return f"a lull: {new:,} where its other {len(rest)} months average {usual:,.1f}"
    if new >= _MOST * max(series.sum(), 1.0):
        return f"it holds {new / series.sum():.0%} of the fine-tunes of its base model"
    if month == 1:
        return "the first month, which alone tells how soon growth sets in"
    if month == len(series):
        return "the last month, which alone tells whether growth goes on"
    return f"one of {len(series)} months whose counts do not lie on one curve"
