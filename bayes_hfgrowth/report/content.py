"""What a report tells: a fit, its forecast, its organizations and its checks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_hfgrowth.comparison import Comparison, compare
from bayes_hfgrowth.diagnostics import Diagnostics, diagnose, period_table
from bayes_hfgrowth.forecast.paths import Forecast, forecast
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import flat_draws
from bayes_hfgrowth.support.progress import Progress

__all__ = [
    "LEVELS",
    "MOST_ORGANIZATIONS",
    "ReportContent",
    "gather",
    "largest_organizations",
    "why_not_compared",
]

LEVELS = (50, 80, 95)
"""Central intervals of the forecasts, in percent."""

MOST_ORGANIZATIONS = 20
"""Most organizations that are set side by side; those with most fine-tunes are taken."""


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything that a report is made of.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    months : int
        How far the forecast goes, in months.
    seed : int
        Seed of the forecast and the comparison.
    forecast : pandas.DataFrame
        Forecast table of all base models, in the order of the fit, with the intervals of
        `LEVELS`.
    total : pandas.Series
        New fine-tunes of all base models together within those months: ``median``,
        ``lower_80``, ``upper_80``.
    growth : pandas.DataFrame
        Indexed by base model: medians and central 95% intervals of ``fitness``,
        ``immediacy`` (log-months) and ``longevity`` (log-months), with ``_median``,
        ``_lower_95``, ``_upper_95`` behind the name.
    comparison : Comparison or None
        Organizations against each other; None where `no_comparison` says why.
    no_comparison : str
        Empty if there is a comparison.
    period : pandas.DataFrame
        The period effect by calendar month, continued by `months`, from
        `bayes_hfgrowth.diagnostics.period_table`; no rows where the growth model has none.
    diagnostics : Diagnostics
        Checks of the fit.
    """

    fit: FittedDraws
    months: int
    seed: int
    forecast: pd.DataFrame
    total: pd.Series
    growth: pd.DataFrame
    comparison: Comparison | None
    no_comparison: str
    period: pd.DataFrame
    diagnostics: Diagnostics


def gather(
    fit: FittedDraws,
    months: int,
    seed: int | None = None,
    *,
    panel: Panel | None = None,
    progress: bool = False,
) -> ReportContent:
    """Ask a fit all that a report tells.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    months : int
        How far to forecast, in months.
    seed : int, optional
        Same seed, same numbers as in `bayes_hfgrowth.forecast.paths.forecast` and
        `bayes_hfgrowth.comparison.compare`; by default the seed of the fit.
    panel : Panel, optional
        The panel that was fitted, if it came from the Hub: it tells whose surges are.
    progress : bool
        Whether to show progress on standard error.

    Raises
    ------
    ForecastError
        When the horizon is out of range or the seed is negative.
    FitError
        When the panel does not know authors, or has other counts.
    """
    shown = Progress(progress)
    seed = fit.about["seed"] if seed is None else seed
    with shown.stage("forecast"):
        predicted = forecast(fit, months, seed=seed)
        table, total, growth = predicted.table(LEVELS), _total(predicted), _growth(fit)
    with shown.stage("compare organizations"):
        no_comparison = why_not_compared(fit)
        comparison = None if no_comparison else compare(fit, largest_organizations(fit), seed)
    return ReportContent(
        fit=fit,
        months=months,
        seed=seed,
        forecast=table,
        total=total,
        growth=growth,
        comparison=comparison,
        no_comparison=no_comparison,
        period=period_table(fit, months, seed),
        diagnostics=diagnose(fit, panel, shown),
    )


def _total(predicted: Forecast) -> pd.Series:
    """Sum over base models draw by draw, as they share the pace of the Hub, at one date."""
    last = predicted.draws["finetunes_at_date"].isel(horizon=-1)
    new = (last - predicted.draws["observed"]).sum("base_model").to_numpy().ravel()
    lower, median = np.quantile(new, [0.1, 0.5], method="lower")
    upper = np.quantile(new, 0.9, method="higher")
    return pd.Series({"median": median, "lower_80": lower, "upper_80": upper})


def _growth(fit: FittedDraws) -> pd.DataFrame:
    """Summaries of each base model's growth parameters."""
    columns: dict[str, np.ndarray] = {}
    for name in ("fitness", "immediacy", "longevity"):
        draws = flat_draws(fit.posterior[name], "base_model")
        lower, median, upper = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
        columns |= {f"{name}_median": median, f"{name}_lower_95": lower, f"{name}_upper_95": upper}
    return pd.DataFrame(columns, index=pd.Index(fit.base_models, name="base_model"))


def why_not_compared(fit: FittedDraws) -> str:
    """Why organizations cannot be compared; empty if they can."""
    if fit.spec.pooling == "global":
        return (
            f"The growth model {fit.spec.name} pools all base models as one and knows no "
            "organization level, so there is nothing to compare."
        )
    if len(fit.organizations) < 2:
        return f"The fit holds base models of one organization only, {fit.organizations[0]}."
    return ""


def largest_organizations(fit: FittedDraws) -> list[str]:
    """The organizations with most fine-tunes, by name; all of them if there are few."""
    history = fit.history
    totals = np.bincount(history.organization_of, history.finetunes, len(fit.organizations))
    largest = np.argsort(-totals, kind="stable")[:MOST_ORGANIZATIONS]
    return [fit.organizations[index] for index in sorted(largest)]
