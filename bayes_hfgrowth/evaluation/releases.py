"""Sums of organizations with base models yet to be released, held against what came."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.evaluation.scores import LEVELS, ensemble_crps
from bayes_hfgrowth.forecast.dated_counts import dates_ahead, last_date, observed_at_dates
from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.forecast.totals import SUMS, WITH_NEW, Totals
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.months import month_end, whole_months

__all__ = ["average_of_releases", "months_known", "score_releases", "sums_that_came"]

type Floats = npt.NDArray[np.float64]


def months_known(fit: FittedDraws, panel: Panel) -> int:
    """Months after a fit of which a later panel knows all base models.

    A panel knows each base model up to its last whole month, which ends up to a month before the
    panel was observed.
    """
    start = last_date(fit.history, fit.observed_at)
    end = month_end(last_date(History.from_panel(panel), panel.observed_at), -1)[0]
    return max(0, int(whole_months(start, end)[0]))


def sums_that_came(
    panel: Panel, organizations: Iterable[str], dates: pd.DatetimeIndex, since: pd.Timestamp
) -> dict[str, tuple[Floats, npt.NDArray[np.int64]]]:
    """Fine-tunes of organizations at dates, of all their base models, old and new.

    Each observed month is spread evenly over its days. Base models created after `since` are
    new; all times are UTC.

    Returns
    -------
    dict
        By organization, and ``all`` for the sum of these: fine-tunes, and number of new base
        models, at each date.
    """
    found = {
        name: (np.zeros(len(dates)), np.zeros(len(dates), dtype=np.int64))
        for name in (*sorted(set(organizations)), SUMS[1])
    }
    models = panel.base_models
    for name, own in panel.table.groupby("base_model", sort=False):
        organization, created = models.loc[name, ["organization", "created_at"]]
        if organization not in found:
            continue
        counts = own[panel.counted.metric].to_numpy()[1:]
        for sums in (found[organization], found[SUMS[1]]):
            sums[0][:] += observed_at_dates(created, counts, dates)
            sums[1][:] += (created > since) & (created <= dates)
    return found


def score_releases(
    fit: FittedDraws, panel: Panel, months: int | None = None, seed: int | None = None
) -> pd.DataFrame:
    """Score sums over base models, with those yet to be released and without.

    Parameters
    ----------
    fit : FittedDraws
        A fit of what was known at an earlier date, of all base models there were.
    panel : Panel
        A later panel.
    months : int, optional
        How far ahead; by default as far as the panel goes.
    seed : int, optional
        Of the forecast; by default that of the fit.

    Returns
    -------
    pandas.DataFrame
        One row for each organization of the fit and ``all``, date, and of sums with and without
        base models yet to be released: ``organization``, ``date``, ``horizon``,
        ``with_new_releases``, ``observed`` (last known count of the forecast), ``actual`` (count
        that came, of base models of either kind), ``new_base_models`` (released by the date),
        ``expected_base_models`` (mean of the draws; 0 without), ``median``, ``lower_P`` and
        ``upper_P``, ``inside_P`` (1 or 0), ``crps_log`` (of ln(1 + fine-tunes since)).

    Raises
    ------
    ForecastError
        When the panel does not know a month after the fit, or not so many.
    """
    known = months_known(fit, panel)
    months = known if months is None else months
    if not 1 <= months <= known:
        raise ForecastError(
            f"the panel knows all base models for {known} months after the fit, and {months} "
            "months are to be scored; give a later panel or an earlier fit"
        )
    predicted = forecast(fit, months, seed=seed)
    assert predicted.releases is not None
    start = last_date(fit.history, fit.observed_at)
    came = sums_that_came(panel, fit.organizations, dates_ahead(start, months), start)
    tables = []
    for by in SUMS:
        totals = Totals.of(predicted.draws, by)
        tables.append(_scored(totals, came))
        totals.add(predicted.releases.totals(by))
        tables.append(_scored(totals, came))
    return pd.concat(tables, ignore_index=True)


def average_of_releases(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of organizations, by horizon, with new releases and without.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `score_releases`; several may be stacked, with a column ``as_of``.

    Returns
    -------
    pandas.DataFrame
        ``organizations`` (number), ``inside_P`` (share), ``crps_log``, ``bias_log`` (mean of
        ln(1 + median forecast) less that of what came), ``new_base_models`` and
        ``expected_base_models`` (sums).
    """
    own = scores[scores["organization"] != SUMS[1]]
    keys = [name for name in ("as_of", "horizon", WITH_NEW) if name in own]
    median, actual = (
        np.log1p(np.maximum(own[name] - own["observed"], 0)) for name in ("median", "actual")
    )
    means = (*(f"inside_{level}" for level in LEVELS), "crps_log", "bias_log")
    averages = {name: (name, "mean") for name in means}
    sums = {name: (name, "sum") for name in ("new_base_models", "expected_base_models")}
    groups = own.assign(bias_log=median - actual).groupby(keys, sort=True)
    return groups.agg(organizations=("organization", "size"), **averages, **sums).reset_index()


def _scored(totals: Totals, came: dict[str, tuple[Floats, npt.NDArray[np.int64]]]) -> pd.DataFrame:
    """Score sums; one row for each and date."""
    table = totals.table(LEVELS).drop(columns=["month", "mean"])
    parts = []
    for name in table["organization"].unique():
        finetunes, base_models = came[name]
        observed = totals.observed[name]
        logs = np.log1p(np.maximum(np.sort(totals.counts[name].T, axis=1) - observed, 0))
        released = totals.released.get(name, np.zeros((1, len(finetunes))))
        part = {
            "actual": finetunes,
            "new_base_models": base_models,
            "expected_base_models": released.mean(axis=0),
            "crps_log": ensemble_crps(np.log1p(np.maximum(finetunes - observed, 0.0)), logs),
        }
        parts.append(pd.DataFrame(part))
    found = dict(pd.concat(parts, ignore_index=True).items())
    table = table.assign(**{WITH_NEW: bool(totals.released)}, **found)
    for level in LEVELS:
        inside = table["actual"].between(table[f"lower_{level}"], table[f"upper_{level}"])
        table[f"inside_{level}"] = inside.astype(np.float64)
    return table
