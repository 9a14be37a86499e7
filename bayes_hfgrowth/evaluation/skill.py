"""How much better one method forecasts than another, on the base models that both forecast."""

import numpy as np
import pandas as pd

from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["common", "skill"]

_ONE_FORECAST = ["as_of", "base_model", "horizon"]


def skill(scores: pd.DataFrame, method: str, *, min_finetunes: int = 5) -> pd.DataFrame:
    """Skill score 1 - CRPS / CRPS of the rival, both on ln(1 + new), against every rival.

    Each pair is compared on the base models that both could forecast, so a rival that needs a
    long history is not helped by leaving out the hard ones.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.backtest.Backtest`: ``as_of``, ``method``,
        ``base_model``, ``horizon``, ``observed``, ``crps_log``.
    method : str
        Whose skill.
    min_finetunes : int
        Smallest count at the as-of date of the base models that are compared.

    Returns
    -------
    pandas.DataFrame
        One row for each ``as_of``, ``rival`` and ``horizon``: ``base_models`` (compared),
        ``crps_log`` (of the method), ``crps_log_rival``, ``skill`` (0.1 is a CRPS 10% lower)
        and ``skill_se``, its standard error, taking base models as independent (delta method).

    Raises
    ------
    ForecastError
        When the method is not among the scores.
    """
    methods = list(scores["method"].unique())
    indices_of([method], methods, "method", "backtest", ForecastError)
    enough = scores[scores["observed"] >= min_finetunes]
    own = enough.loc[enough["method"] == method, [*_ONE_FORECAST, "crps_log"]]
    rows = []
    for rival in [name for name in methods if name != method]:
        other = enough.loc[enough["method"] == rival, [*_ONE_FORECAST, "crps_log"]]
        both = own.merge(other, on=_ONE_FORECAST, suffixes=("", "_rival"))
        for (date, horizon), part in both.groupby(["as_of", "horizon"], sort=True):
            ours, theirs = part["crps_log"].mean(), part["crps_log_rival"].mean()
            ratio = ours / theirs if theirs > 0 else np.nan
            rest = part["crps_log"] - ratio * part["crps_log_rival"]
            error = rest.std(ddof=1) / np.sqrt(len(part)) / theirs
            rows.append((date, rival, horizon, len(part), ours, theirs, 1.0 - ratio, error))
    columns = ["as_of", "rival", "horizon", "base_models", "crps_log", "crps_log_rival"]
    return pd.DataFrame(rows, columns=[*columns, "skill", "skill_se"])


def common(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores, as `skill` takes them, of what all methods forecast."""
    number = scores.groupby(_ONE_FORECAST)["method"].transform("nunique")
    return scores[number == scores["method"].nunique()]
