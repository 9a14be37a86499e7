"""The result of diagnosing a fit, and how it comes about."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hfgrowth.diagnostics.leave_one_out import LeaveOneOut, leave_one_out, running_psis_loo
from bayes_hfgrowth.diagnostics.period import period_table
from bayes_hfgrowth.diagnostics.population import energy, prior_sensitivity, summarised
from bayes_hfgrowth.diagnostics.predictive import (
    compared,
    predictive_checks,
    replicated_months,
    rootogram,
)
from bayes_hfgrowth.diagnostics.prior_posterior import prior_posterior_table
from bayes_hfgrowth.diagnostics.text import summary
from bayes_hfgrowth.diagnostics.verdicts import VERDICTS, judge
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import Convergence
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.sources.example import load_paper_fits
from bayes_hfgrowth.support.errors import FitError
from bayes_hfgrowth.support.files import whole_file, write_table
from bayes_hfgrowth.support.progress import Progress

__all__ = ["Diagnostics", "diagnose"]


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
    energy : pandas.DataFrame
        ``chain``, ``bfmi``, the Bayesian fraction of missing information.
    loo : LeaveOneOut
        Leave-one-out predictive density.
    predictive : pandas.DataFrame
        Posterior predictive checks: ``check``, ``observed``, ``replicated_median``,
        ``lower_95``, ``upper_95`` (of the replicates), ``tail_probability`` (share of
        replicates at least as large as observed, ties half). A replicate draws every month
        anew, given the months really observed before it, from one draw of the posterior.
    prior_predictive : pandas.DataFrame
        The same columns for months drawn from the prior; no rows where the fit kept none.
    sensitivity : pandas.DataFrame
        How far the population's posterior moves when the priors, or the likelihood, count for
        more or less: ``parameter``, ``prior``, ``likelihood``, ``remark``; see
        `bayes_hfgrowth.diagnostics.population.prior_sensitivity`.
    prior_posterior : pandas.DataFrame
        Prior against posterior of each population parameter; see
        `bayes_hfgrowth.diagnostics.prior_posterior_table`.
    period : pandas.DataFrame
        The period effect by calendar month and 12 months on; no rows where the growth model
        has none. See `bayes_hfgrowth.diagnostics.period_table`.
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
          ``surge_size`` (the ratio of the two), ``surge_probability`` (of at least one month
          as improbable among all months of the base model) and ``surge_made_by`` (``"one
          author"``, ``"many authors"``, ``"unclear"``; missing where the panel does not know);
        - ``surges`` (how many months), ``lowest_probability`` (as ``surge_probability``, of
          the least probable month, surge or not);
        - ``fault`` (the check of the months together that failed: one of
          `bayes_hfgrowth.diagnostics.CHECKS`, or missing) and ``fault_probability`` (corrected
          for the number of checks; missing where the months are too few);
        - ``published_verdict``: that of arXiv 2502.15987, ``"Fit the model"`` or ``"Does not
          fit"``; missing for base models that its table does not hold.
    surges : pandas.DataFrame
        All surges: ``base_model``, ``organization``, ``month``, ``date``, ``new``,
        ``expected``, ``size``, ``probability`` as above, ``draws`` (effective number of draws
        behind the probability), ``new_authors``, ``author_share``, ``made_by`` (see
        `bayes_hfgrowth.diagnostics.authors.who_made`).
    months : pandas.DataFrame
        All months of the fit: ``base_model``, ``organization``, ``month`` (age), ``new``
        (fine-tunes in it), of its replicates ``median``, ``lower_95``, ``upper_95``, and
        ``surge`` (whether it is one).
    counted : Counted
        What was counted; it stands in the place of fine-tunes everywhere here.
    """

    convergence: Convergence
    population: pd.DataFrame
    energy: pd.DataFrame
    loo: LeaveOneOut
    predictive: pd.DataFrame
    prior_predictive: pd.DataFrame
    sensitivity: pd.DataFrame
    prior_posterior: pd.DataFrame
    period: pd.DataFrame
    rootogram: pd.DataFrame
    pit: pd.DataFrame
    verdicts: pd.DataFrame
    surges: pd.DataFrame
    months: pd.DataFrame
    counted: Counted = FINETUNES

    @property
    def published(self) -> pd.DataFrame:
        """Our verdicts beside the published ones.

        Returns
        -------
        pandas.DataFrame
            One row for each of `bayes_hfgrowth.diagnostics.VERDICTS`: ``verdict`` and the
            number of base models that the published table calls ``fits`` and
            ``does_not_fit``, and that it does not hold, ``not_published``.
        """
        theirs = self.verdicts["published_verdict"].fillna("")
        columns = {"fits": "Fit the model", "does_not_fit": "Does not fit", "not_published": ""}
        ours = pd.Index(VERDICTS, name="verdict")
        counted = {
            name: self.verdicts["verdict"][theirs == words].value_counts().reindex(ours)
            for name, words in columns.items()
        }
        return pd.DataFrame(counted).fillna(0).astype(np.int64).reset_index()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name, as `save` writes them; the period effect only where there is one."""
        return {
            "verdicts": self.verdicts,
            "surges": self.surges,
            "published": self.published,
            "months": self.months,
            "population": self.population,
            "energy": self.energy,
            "sensitivity": self.sensitivity,
            "prior_posterior": self.prior_posterior,
            **({"period": self.period} if len(self.period) else {}),
            "predictive": self.predictive,
            "prior_predictive": self.prior_predictive,
            "rootogram": self.rootogram,
            "pit": self.pit,
            "pareto_k": self.loo.bad,
        }

    def text(self) -> str:
        """A summary to read, which shouts when the sampler has not converged."""
        return summary(self)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write tables, summary and figures into a folder, which is made if need be.

        Parameters
        ----------
        folder : path-like
            Gets each of `tables` as ``.csv``, ``summary.txt``, ``predictive.png``,
            ``prior_posterior.png``, where there is a period effect ``period.png``, and where
            there are surges ``surges.png``; each file appears whole or not at all.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        FitError
            When the folder cannot be made or written to.
        """
        from bayes_hfgrowth.figures.period import attention_chart  # this and those below: views
        from bayes_hfgrowth.figures.predictive import predictive_check, surge_chart
        from bayes_hfgrowth.figures.priors import prior_posterior
        from bayes_hfgrowth.figures.style import save_figure

        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            reason = failure.strerror or failure
            raise FitError(f"{place} cannot be used as a folder: {reason}") from failure
        for name, table in self.tables.items():
            write_table(table, place / f"{name}.csv", FitError)
        with whole_file(place / "summary.txt", FitError) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")
        figures = {
            "predictive.png": predictive_check(self.rootogram, self.pit, self.counted),
            "prior_posterior.png": prior_posterior(self.prior_posterior),
        }
        if len(self.period):
            figures["period.png"] = attention_chart(self.period)
        if len(self.surges):
            figures["surges.png"] = surge_chart(self.months, self.surges, self.counted)
        for name, figure in figures.items():
            save_figure(figure, place / name, FitError)
        names = [*(f"{name}.csv" for name in self.tables), "summary.txt", *figures]
        return [place / name for name in names]


def diagnose(
    fit: FittedDraws, panel: Panel | None = None, progress: Progress | None = None
) -> Diagnostics:
    """Check a fit.

    The checks that need draws of every month use those that the fit kept: every
    ``fit.about["pointwise_every"]``-th of each chain. Deterministic: what is random follows
    the seed of the fit.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    panel : Panel, optional
        The panel that was fitted, if it came from the Hub: its columns ``authors`` and
        ``largest_author_share`` tell whether one author made a surge.
    progress : Progress, optional
        Told of each stage.

    Returns
    -------
    Diagnostics

    Raises
    ------
    FitError
        When a panel is given that does not know authors, or has other counts than the fit.
    """
    shown = progress or Progress(False)
    history, seed = fit.history, fit.about["seed"]
    observed = history.new.astype(np.int64)
    with shown.stage("replicated months"):
        replicated = replicated_months(fit)
        rng = np.random.default_rng(np.random.SeedSequence([seed, 6]))
        predictive, pit = predictive_checks(observed, replicated, rng)
    with running_psis_loo(fit.tree) as psis_loo:
        rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
        judged = judge(fit, replicated, rng, panel, shown)
        with shown.stage("leave one out"):
            loo = leave_one_out(psis_loo(), history, judged.surges)
    with shown.stage("prior sensitivity"):
        sensitivity = prior_sensitivity(fit)
    prior = pd.DataFrame(columns=predictive.columns)
    if "prior_predictive" in fit.tree.children:
        prior = compared(observed, replicated_months(fit, "prior_predictive"))
    theirs = load_paper_fits()["verdict"].reindex(judged.verdicts["base_model"])
    if not fit.counted.usual:  # they fitted fine-tunes
        theirs[:] = None
    return Diagnostics(
        convergence=fit.convergence,
        population=summarised(fit.posterior),
        energy=energy(fit.tree),
        loo=loo,
        predictive=predictive,
        prior_predictive=prior,
        sensitivity=sensitivity,
        prior_posterior=prior_posterior_table(fit),
        period=period_table(fit),
        rootogram=rootogram(observed, replicated),
        pit=pit,
        verdicts=judged.verdicts.assign(published_verdict=theirs.to_numpy(dtype=object)),
        surges=judged.surges,
        months=_months(fit, replicated, judged.surges),
        counted=fit.counted,
    )


def _months(fit: FittedDraws, replicated: np.ndarray, surges: pd.DataFrame) -> pd.DataFrame:
    """Observed months beside their replicates."""
    history = fit.history
    names = np.array(history.base_models, dtype=object)
    groups = np.array(history.organizations, dtype=object)[history.organization_of]
    table = pd.DataFrame(
        {
            "base_model": names[history.base_model_of],
            "organization": groups[history.base_model_of],
            "month": history.month.astype(np.int64),
            "new": history.new.astype(np.int64),
            "median": np.quantile(replicated, 0.5, axis=0, method="lower"),
            "lower_95": np.quantile(replicated, 0.025, axis=0, method="lower"),
            "upper_95": np.quantile(replicated, 0.975, axis=0, method="higher"),
        }
    )
    keys = ["base_model", "month"]
    found = pd.MultiIndex.from_frame(surges[keys])
    return table.assign(surge=pd.MultiIndex.from_frame(table[keys]).isin(found))
