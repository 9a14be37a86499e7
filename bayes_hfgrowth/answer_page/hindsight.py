"""What the same forecast would have said some months ago, beside what came."""

from dataclasses import dataclass

import pandas as pd

from bayes_hfgrowth.forecast.paths import forecast_new
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.months import as_utc, month_end

__all__ = ["Hindsight", "hindsight"]


@dataclass(frozen=True, eq=False)
class Hindsight:
    """Earlier forecasts of base models and what came.

    Parameters
    ----------
    table : pandas.DataFrame
        ``base_model``, ``as_of`` (UTC), ``observed`` (count then), ``horizon`` (months),
        ``date`` (end of the month that is compared, UTC), ``median``, ``lower_80``,
        ``upper_80``, ``actual``, ``inside`` (whether the interval holds it). Empty where
        nothing is old enough.
    seen : bool
        Whether the population had learned from months after ``as_of``, so that these are no true
        forecasts.
    """

    table: pd.DataFrame
    seen: bool


def hindsight(panel: Panel, population: PopulationPosterior, months: int, seed: int) -> Hindsight:
    """Forecast base models from so many months ago.

    Parameters
    ----------
    panel : Panel
        What is known today. What was deleted or declared since then is as it is today, so
        the counts of that date are not quite those that were seen on it.
    population : PopulationPosterior
        Today's.
    months : int
        How long ago.
    seed : int
        Of the forecast.
    """
    last = as_utc(population.about["panel"]["last_month"])
    ends = panel.base_models["observed_until"]
    today = ends.max() if panel.observed_at is None else panel.observed_at
    date = month_end(today, -months)[0]
    nothing = Hindsight(pd.DataFrame(), bool(last > date))
    try:
        known = panel.as_of(date)
    except PanelError:  # all of them are younger
        return nothing
    # A base model that had no month yet tells nothing of how well its own counts are followed.
    old = known.base_models.index[known.base_models["months"] > 0]
    if not len(old):
        return nothing
    known = known.select(base_models=old)
    now = panel.base_models.loc[old]
    came = pd.DataFrame(
        {"horizon": now["months"] - known.base_models["months"], "actual": now["finetunes"]}
    )
    forecast = forecast_new(population, known, months + 1, seed, progress=False)
    table = came.rename_axis("base_model").merge(
        forecast.table((80,)), on=["base_model", "horizon"]
    )
    inside = table["actual"].between(table["lower_80"], table["upper_80"])
    columns = [
        "base_model", "as_of", "observed", "horizon", "date", "median", "lower_80", "upper_80",
        "actual", "inside",
    ]  # fmt: skip
    return Hindsight(table.assign(as_of=date, inside=inside)[columns], nothing.seen)
