"""The period effect month by month: the attention on the whole Hub, and how it goes on."""

import numpy as np
import pandas as pd

from bayes_hfgrowth.diagnostics.predictive import LEVELS
from bayes_hfgrowth.panel.period import RECENT_MONTHS, month_names
from bayes_hfgrowth.posterior.common_random_numbers import random_of
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import SharedDraws
from bayes_hfgrowth.support.errors import FitError

__all__ = ["LEVELS", "MONTHS", "period_table"]

MONTHS = 12
"""How many calendar months the effect is continued by default."""


def period_table(fit: FittedDraws, months: int = MONTHS, seed: int | None = None) -> pd.DataFrame:
    """What each calendar month multiplies the mean of every base model by, exp(z).

    Relative to the recent pace of the Hub: 1 is the mean, on the scale of z, of the last
    `bayes_hfgrowth.panel.period.RECENT_MONTHS` calendar months of the fit, taken draw by draw.
    Where z itself is 0 cannot be told from the typical fitness of base models, so that the level
    would say little, and its uncertainty would hide how months differ. After the last calendar
    month of the fit each draw goes on along one path, with its own persistence and innovation;
    with the same seed it is the path that the forecasts of the fit take.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    months : int
        How many calendar months to continue it, from 0 on.
    seed : int, optional
        Of the continuation; by default the seed of the fit.

    Returns
    -------
    pandas.DataFrame
        One row for each calendar month, in order: ``calendar_month`` (``YYYY-MM``), ``fitted``
        (whether the fit has data of it; else it is a continuation), ``median``, and
        ``lower_50``, ``upper_50``, ``lower_80``, ``upper_80``, ``lower_95``, ``upper_95``
        (equal tails; dimensionless factors). No rows where the growth model has no period
        effect.

    Raises
    ------
    FitError
        When the number of months or the seed is negative.
    """
    if months < 0:
        raise FitError(f"{months} months ahead is out of range; give a number from 0 on")
    seed = fit.about["seed"] if seed is None else seed
    if seed < 0:
        raise FitError(f"the seed is {seed}; give a number from 0 on")
    tails = {"median": 0.5}
    for level in LEVELS:
        tails |= {f"lower_{level}": 0.5 - level / 200, f"upper_{level}": 0.5 + level / 200}
    if fit.spec.period_effect is None:
        return pd.DataFrame(columns=["calendar_month", "fitted", *tails])
    shared = SharedDraws.of(fit.spec, fit.posterior)
    known = fit.posterior.sizes["calendar_month"]
    number = known + months
    # The same source of randomness as in bayes_hfgrowth.forecast.paths.forecast.
    effects = shared.continued(shared.first, number, random_of(seed, 11))
    path = effects.over(shared.first, number)
    path -= path[:, max(0, known - RECENT_MONTHS) : known].mean(axis=1, keepdims=True)
    values = np.exp(np.quantile(path, list(tails.values()), axis=0))
    return pd.DataFrame(
        {
            "calendar_month": month_names(shared.first, number),
            "fitted": np.arange(number) < known,
            **dict(zip(tails, values, strict=True)),
        }
    )
