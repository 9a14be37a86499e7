"""The result of diagnosing a fit, and how it comes about."""

import os
import textwrap
from dataclasses import dataclass
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.convergence import Convergence, population_names
from bayes_hfgrowth.diagnostics.leave_one_out import LeaveOneOut, leave_one_out
from bayes_hfgrowth.diagnostics.predictive import (
    DEVIATION,
    predictive_checks,
    replicated_months,
    rootogram,
)
from bayes_hfgrowth.diagnostics.verdicts import judge
from bayes_hfgrowth.draws import FittedDraws
from bayes_hfgrowth.errors import FitError
from bayes_hfgrowth.files import whole_file, write_table
from bayes_hfgrowth.sources.example import load_paper_fits

__all__ = ["Diagnostics", "diagnose"]

_UNUSUAL = 0.025  # smaller in either tail, and the summary points at it


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
    verdicts : pandas.DataFrame
        One row for each base model of the fit, in its order:

        - ``base_model``, ``organization``, ``verdict`` (one of the keys of
          `bayes_hfgrowth.diagnostics.VERDICTS`), ``months`` (age), ``finetunes`` (last count);
        - the least probable surge, missing where there is none: ``surge_month`` (age),
          ``surge_date`` (end of that month, UTC), ``surge_new`` (fine-tunes in it),
          ``surge_expected`` (what the model expects without that month's own help),
          ``surge_size`` (the ratio of the two) and ``surge_probability`` (of at least one
          month as improbable among all months of the base model);
        - ``surges`` (how many months), ``lowest_probability`` (as ``surge_probability``, of
          the least probable month, surge or not);
        - ``fault`` (the check of the months together that failed: one of
          `bayes_hfgrowth.diagnostics.CHECKS`, or missing) and ``fault_probability`` (corrected
          for the number of checks; missing where the months are too few);
        - ``published_verdict``: that of arXiv 2502.15987, ``"Fit the model"`` or ``"Does not
          fit"``; missing for base models that its table does not hold.
    surges : pandas.DataFrame
        All surges: ``base_model``, ``organization``, ``month``, ``date``, ``new``,
        ``expected``, ``size``, ``probability`` as above, and ``draws``, the effective number
        of draws behind the probability.
    """

    convergence: Convergence
    population: pd.DataFrame
    loo: LeaveOneOut
    predictive: pd.DataFrame
    rootogram: pd.DataFrame
    pit: pd.DataFrame
    verdicts: pd.DataFrame
    surges: pd.DataFrame

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
    replicated = replicated_months(fit)
    seed = fit.about["seed"]
    rng = np.random.default_rng(np.random.SeedSequence([seed, 6]))
    predictive, pit = predictive_checks(history.new.astype(np.int64), replicated, rng)
    judged = judge(fit, replicated, np.random.default_rng(np.random.SeedSequence([seed, 7])))
    return Diagnostics(
        convergence=fit.convergence,
        population=_population(fit.posterior),
        loo=leave_one_out(fit.tree, history),
        predictive=predictive,
        rootogram=rootogram(history.new.astype(np.int64), replicated),
        pit=pit,
        verdicts=judged.verdicts.assign(
            published_verdict=load_paper_fits()["verdict"]
            .reindex(judged.verdicts["base_model"])
            .to_numpy(dtype=object)
        ),
        surges=judged.surges,
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
    if check == DEVIATION:  # a small deviation is what one hopes for
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
