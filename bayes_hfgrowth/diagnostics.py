"""Can the fit be trusted, and does the model describe the counts? Checks, in tables and text."""

import os
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import arviz as az
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.convergence import Convergence, population_names
from bayes_hfgrowth.draws import FittedDraws
from bayes_hfgrowth.errors import FitError
from bayes_hfgrowth.files import whole_file, write_table
from bayes_hfgrowth.history import History

__all__ = ["Diagnostics", "LeaveOneOut", "diagnose"]

type Counts = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

LEVELS = (50, 80, 95)
"""Central predictive intervals whose coverage is checked, in percent."""

MOST_REPLICATES = 400
"""Replicated panels that the predictive checks are computed for."""

_UNUSUAL = 0.025  # smaller in either tail, and the summary points at it
_DEVIATION = "largest ECDF deviation of the PIT"


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


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What the checks of a fit found.

    Parameters
    ----------
    convergence : Convergence
        The sampler's verdict, made when the model was fitted.
    population : pandas.DataFrame
        One row for each population parameter: ``parameter``, ``mean``, ``sd``, ``lower_95``,
        ``upper_95`` (equal tails), ``ess_bulk``, ``ess_tail``, ``r_hat``.
    loo : LeaveOneOut
        Leave-one-out predictive density.
    predictive : pandas.DataFrame
        Posterior predictive checks: ``check``, ``observed``, ``replicated_median``,
        ``lower_95``, ``upper_95`` (of the replicates), ``tail_probability`` (share of
        replicates at least as large as observed, ties half). A replicate draws every month
        anew, given the months really observed before it, from one draw of the posterior.
    rootogram : pandas.DataFrame
        Months by their new fine-tunes, in bins that widen: ``lower``, ``upper`` (inclusive),
        ``observed`` (number of months), and of the replicates ``median``, ``lower_95``,
        ``upper_95``.
    pit : pandas.DataFrame
        Empirical distribution of the randomised probability integral transform of the
        months, minus the uniform one: ``pit``, ``deviation``, and ``lower_95``, ``upper_95``,
        between which 95% of the replicates lie with their whole curves.
    """

    convergence: Convergence
    population: pd.DataFrame
    loo: LeaveOneOut
    predictive: pd.DataFrame
    rootogram: pd.DataFrame
    pit: pd.DataFrame

    def text(self) -> str:
        """A summary to read, which shouts when the sampler has not converged."""
        lines = [*_convergence_lines(self.convergence), ""]
        loo = self.loo
        share = len(loo.bad) / loo.months
        lines += [
            f"Leave-one-out: elpd {loo.elpd:.1f} (standard error {loo.se:.1f}), "
            f"{loo.p:.0f} effective parameters, {loo.months} months.",
            f"  Pareto k is above {loo.good_k:.2f} for {len(loo.bad)} months ({share:.1%})"
            + (", so the estimate is rough there; the worst:" if len(loo.bad) else "."),
        ]
        lines += [
            f"    {row.base_model}, month {row.month}: {row.new_finetunes} new fine-tunes, "
            f"k = {row.pareto_k:.2f}"
            for row in loo.bad.head(5).itertuples()
        ]
        lines += ["", "Does the model describe the counts? Observed against replicated panels:"]
        width = int(self.predictive["check"].str.len().max())
        for row in self.predictive.itertuples():
            mark = "  <- UNUSUAL" if _unusual(row.check, row.tail_probability) else ""
            lines.append(
                f"  {row.check:<{width}}  {row.observed:>10.4g}  "
                f"replicated {row.replicated_median:.4g} "
                f"({row.lower_95:.4g} to {row.upper_95:.4g}), "
                f"tail probability {row.tail_probability:.3f}{mark}"
            )
        lines += ["", "Population (mean, central 95% interval, bulk ESS, R-hat):"]
        width = int(self.population["parameter"].str.len().max())
        lines += [
            f"  {row.parameter:<{width}}  {row.mean:>9.3g}  ({row.lower_95:.3g} to "
            f"{row.upper_95:.3g})  {row.ess_bulk:.0f}  {row.r_hat:.3f}"
            for row in self.population.itertuples()
        ]
        return "\n".join(lines) + "\n"

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write tables, summary and figure into a folder, which is made if need be.

        Parameters
        ----------
        folder : path-like
            Gets ``population.csv``, ``predictive.csv``, ``pareto_k.csv``, ``summary.txt`` and
            ``predictive.png``; each file appears whole or not at all.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        FitError
            When the folder cannot be made or written to.
        """
        from bayes_hfgrowth.figures.predictive import predictive_check  # a view of this
        from bayes_hfgrowth.figures.style import save_figure

        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            reason = failure.strerror or failure
            raise FitError(f"{place} cannot be used as a folder: {reason}") from failure
        tables = {
            "population.csv": self.population,
            "predictive.csv": self.predictive,
            "pareto_k.csv": self.loo.bad,
        }
        for name, table in tables.items():
            write_table(table, place / name, FitError)
        with whole_file(place / "summary.txt", FitError) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")
        save_figure(predictive_check(self.rootogram, self.pit), place / "predictive.png", FitError)
        return [place / name for name in (*tables, "summary.txt", "predictive.png")]


def diagnose(fit: FittedDraws) -> Diagnostics:
    """Check a fit.

    The checks that need draws of every month use those that the fit kept: every
    ``fit.about["pointwise_every"]``-th of each chain. Deterministic: the random part of the
    PIT follows the seed of the fit.

    Parameters
    ----------
    fit : FittedDraws
        The fit.

    Returns
    -------
    Diagnostics
    """
    history = fit.history
    replicated = _replicates(fit)
    rng = np.random.default_rng(np.random.SeedSequence([fit.about["seed"], 6]))
    predictive, pit = _predictive_checks(history.new.astype(np.int64), replicated, rng)
    return Diagnostics(
        convergence=fit.convergence,
        population=_population(fit.posterior),
        loo=_leave_one_out(fit.tree, history),
        predictive=predictive,
        rootogram=_rootogram(history.new.astype(np.int64), replicated),
        pit=pit,
    )


def _convergence_lines(verdict: Convergence) -> list[str]:
    if verdict.converged:
        return [f"The sampler {verdict}."]
    rule = "!" * 78
    about = textwrap.wrap(
        "DO NOT USE THIS FIT: THE SAMPLER HAS NOT CONVERGED. Its intervals and forecasts may be "
        "wrong. Fit again with more draws and tuning steps (--draws, --tune).",
        78,
    )
    return [rule, *about, *(f"- {problem}" for problem in verdict.problems), rule]


def _unusual(check: str, tail_probability: float) -> bool:
    if check == _DEVIATION:  # a small deviation is what one hopes for
        return tail_probability < 2 * _UNUSUAL
    return min(tail_probability, 1.0 - tail_probability) < _UNUSUAL


def _population(posterior: xr.Dataset) -> pd.DataFrame:
    """Summary of the population's parameters."""
    columns = {
        "mean": "mean",
        "sd": "sd",
        "eti95_lb": "lower_95",
        "eti95_ub": "upper_95",
        "ess_bulk": "ess_bulk",
        "ess_tail": "ess_tail",
        "r_hat": "r_hat",
    }
    population = posterior[population_names(posterior)]
    table = az.summary(population, ci_prob=0.95, ci_kind="eti", round_to="none")
    table = table[list(columns)].astype(np.float64).rename(columns=columns)
    return table.rename_axis("parameter").reset_index()


def _leave_one_out(tree: xr.DataTree, history: History) -> LeaveOneOut:
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


def _replicates(fit: FittedDraws) -> Counts:
    """Replicated months, evenly thinned; shape (replicates, months)."""
    stored = fit.tree["posterior_predictive"]["new_finetunes"]
    values = stored.transpose("chain", "draw", "observation").to_numpy()
    values = values.reshape(-1, values.shape[-1])
    chosen = np.linspace(0, len(values) - 1, min(len(values), MOST_REPLICATES)).round().astype(int)
    return values[chosen].astype(np.int64)


def _predictive_checks(
    observed: Counts, replicated: Counts, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Statistics of the observed months against those of each replicate; and the PIT."""
    statistics: dict[str, Callable[[Counts], float]] = {
        "share of months without a new fine-tune": lambda x: float(np.mean(x == 0)),
        "mean new fine-tunes of a month": lambda x: float(np.mean(x)),
        "standard deviation of new fine-tunes": lambda x: float(np.std(x)),
        "mean of log(1 + new fine-tunes)": lambda x: float(np.mean(np.log1p(x))),
        "most new fine-tunes of a month": lambda x: float(np.max(x)),
    }
    rows = [
        _check(name, statistic(observed), np.array([statistic(x) for x in replicated]))
        for name, statistic in statistics.items()
    ]
    everything = np.vstack([observed, replicated])
    ordered = np.sort(replicated, axis=0)
    for level in LEVELS:
        tail = 0.5 - level / 200.0
        lower = np.quantile(ordered, tail, axis=0, method="lower")
        upper = np.quantile(ordered, 1.0 - tail, axis=0, method="higher")
        inside = np.mean((everything >= lower) & (everything <= upper), axis=1)
        rows.append(_check(f"share of months in the {level}% interval", inside[0], inside[1:]))
    curves, pit = _pit_deviation(_randomised_pit(ordered, everything, rng))
    largest = np.abs(curves).max(axis=1)
    rows.append(_check(_DEVIATION, largest[0], largest[1:]))
    return pd.DataFrame(rows), pit


def _check(name: str, observed: float, replicated: Floats) -> dict[str, str | float]:
    larger = np.mean(replicated > observed) + 0.5 * np.mean(replicated == observed)
    lower, median, upper = np.quantile(replicated, [0.025, 0.5, 0.975])
    return {
        "check": name,
        "observed": float(observed),
        "replicated_median": float(median),
        "lower_95": float(lower),
        "upper_95": float(upper),
        "tail_probability": float(larger),
    }


def _randomised_pit(ordered: Counts, panels: Counts, rng: np.random.Generator) -> Floats:
    """Randomised PIT of every month of several panels.

    u = P(X < x) + V P(X = x), V uniform (Smith 1985): uniform for counts, too, where the
    predictive distribution is right.

    Parameters
    ----------
    ordered : ndarray of int, shape (replicates, months)
        Draws from the predictive distribution of each month, sorted.
    panels : ndarray of int, shape (1 + replicates, months)
        What to look up: the observed months, then the replicates themselves.
    rng : numpy.random.Generator
        Source of V.

    Returns
    -------
    ndarray, shape (panels, months)
    """
    # The observed count joins the replicates to be ranked; they rank among themselves already.
    joins = np.zeros(len(panels))
    joins[0] = 1.0
    values = np.empty(panels.shape)
    for month in range(panels.shape[1]):
        column = ordered[:, month]
        below = np.searchsorted(column, panels[:, month], side="left")
        until = np.searchsorted(column, panels[:, month], side="right")
        values[:, month] = below + rng.random(len(panels)) * (until - below + joins)
    return values / (len(ordered) + joins)[:, None]


def _pit_deviation(pit: Floats) -> tuple[Floats, pd.DataFrame]:
    """Deviation of each panel's PIT from uniform, and the first panel's with a band.

    The band is as wide, in units of the standard deviation of a uniform ECDF, as keeps 95%
    of the other panels inside everywhere.
    """
    grid = np.linspace(0.0, 1.0, 101)
    ordered = np.sort(pit, axis=1)
    curves = np.array([np.searchsorted(row, grid, side="right") for row in ordered])
    curves = curves / pit.shape[1] - grid
    inner = slice(1, -1)
    scale = np.sqrt(grid * (1.0 - grid))
    width = np.quantile(np.abs(curves[1:, inner] / scale[inner]).max(axis=1), 0.95)
    table = pd.DataFrame(
        {
            "pit": grid,
            "deviation": curves[0],
            "lower_95": -width * scale,
            "upper_95": width * scale,
        }
    )
    return curves, table


def _rootogram(observed: Counts, replicated: Counts) -> pd.DataFrame:
    """Months by their count, in single counts up to 4 and then in bins that double."""
    largest = int(max(observed.max(initial=0), np.quantile(replicated.max(axis=1), 0.975)))
    edges = [0, 1, 2, 3, 4, 5]
    while edges[-1] <= largest:
        edges.append(edges[-1] * 2 if edges[-1] >= 8 else 8)
    bins = np.array([*edges[:-1], np.iinfo(np.int64).max])
    last = int(bins[-2])
    counted = np.array([np.histogram(x, bins)[0] for x in (observed, *replicated)])
    lower, median, upper = np.quantile(counted[1:], [0.025, 0.5, 0.975], axis=0)
    return pd.DataFrame(
        {
            "lower": bins[:-1],
            "upper": [*(bins[1:-1] - 1), max(last, largest)],
            "observed": counted[0],
            "median": median,
            "lower_95": lower,
            "upper_95": upper,
        }
    )
