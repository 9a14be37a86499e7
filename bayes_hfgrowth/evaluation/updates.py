"""An updated fit in one table, and how the forecasts made before it came out."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bayes_hfgrowth.evaluation.scores import LEVELS, score_forecast
from bayes_hfgrowth.forecast.draws import Forecast
from bayes_hfgrowth.forecast.totals import UNTIL
from bayes_hfgrowth.forecast.updating import POPULATION, REWEIGHTED, UNCHANGED, Update

__all__ = ["last_scores", "scores_of_update", "summary_of_update", "table_of_update"]

NAMED = 5
"""Base models that a sentence names; the table has all."""

_SCORES = ["median", "crps_log", *(f"inside_{level}" for level in LEVELS)]


def scores_of_update(update: Update) -> pd.DataFrame:
    """Score what the fit had forecast against what came.

    Returns
    -------
    pandas.DataFrame
        One row for each base model with new months, at the last of them: the columns of
        `bayes_hfgrowth.evaluation.scores.score_forecast`. Empty where there is none.
    """
    earlier = update.earlier()
    if earlier is None:
        return pd.DataFrame(columns=["base_model", "horizon", *_SCORES])
    return last_scores(score_forecast(earlier.draws, update.panel))


def last_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the last horizon that can be scored, one for each base model.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.scores.score_forecast`.
    """
    return scores.loc[scores.groupby("base_model", sort=False)["horizon"].idxmax()]


def table_of_update(
    update: Update,
    forecast: Forecast,
    scores: pd.DataFrame,
    intervals: Iterable[float] = (50, 80, 95),
) -> pd.DataFrame:
    """Put new forecasts, from `Update.forecast`, weights and `scores_of_update` into one table.

    Intervals are in percent.

    Returns
    -------
    pandas.DataFrame
        The columns of `Forecast.table`, or of `Forecast.at_dates` where the forecast was made
        until a date; then, the same in all rows of a base model, those of `Update.base_models`,
        and of the forecast that was made before: ``earlier_median`` (of the count that is known
        now), ``crps_log`` (of ln(1 + new fine-tunes)), ``inside_P`` (1 or 0), all missing where
        there is nothing to score.
    """
    dated = UNTIL in forecast.draws.attrs
    table = forecast.at_dates(None, intervals) if dated else forecast.table(intervals)
    scored = scores.set_index("base_model")[_SCORES].rename(columns={"median": "earlier_median"})
    about = update.base_models.join(scored.astype(np.float64))
    return table.join(about, on="base_model")


def summary_of_update(update: Update, scores: pd.DataFrame) -> dict[str, list[str]]:
    """Say what an update did, and how the forecasts made before came out: sentences by heading."""
    table, counted = update.base_models, update.history.counted.many
    number = table["source"].value_counts()
    many, new = int(number.get(REWEIGHTED, 0)), table.loc[table["source"] != POPULATION, "new"]
    sentences = [
        f"updated by their new months: {many:,} base models; without a new month: "
        f"{number.get(UNCHANGED, 0):,}; {int(new.sum()):,} {counted} came since the fit"
    ]
    for names, words in (
        (update.refit, "to be fitted again, as the fit's draws are too few for what came"),
        (update.unknown, "not in the fit, so forecast by its population"),
        (update.missing, "in the fit but not in the panel, so left out"),
    ):
        if names:
            sentences.append(f"{words}: {len(names):,} ({_some(names)})")
    if not len(scores):
        return {"Update": sentences, "Forecasts made before": ["no new month to score them by"]}
    said = [
        f"mean CRPS of ln(1 + new {counted}): {scores['crps_log'].mean():.3f}, "
        f"of {len(scores):,} base models"
    ]
    for level in LEVELS:
        held = scores[f"inside_{level}"]
        said.append(f"{held.sum():.0f} ({held.mean():.0%}) came within their {level}% interval")
    return {"Update": sentences, "Forecasts made before": said}


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
