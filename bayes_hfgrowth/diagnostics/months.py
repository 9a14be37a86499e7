"""What the growth model expects of each observed month, and how likely a larger count is.

The law of `bayes_hfgrowth.growth.law`, taken month by month for many draws: mean and size of the
count's distribution, and its upper tail, which no number of simulated months would reach where it
matters. It is the law of a regular month, that of a growth model without bursts: a burst is what
such a tail is there to find, so its own chance must not explain it away. What bursts among the
months before it have left behind is taken account of.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from bayes_hfgrowth.growth.law import LawDraws
from bayes_hfgrowth.growth.monthwise import regular_laws
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import Floats, SharedDraws

__all__ = ["month_laws", "upper_tails"]

_LEAST = 1e-200  # of a mean; draws this far out carry no weight, but must not divide 0 by 0


def month_laws(
    spec: GrowthSpec, history: History, theta: Floats, shared: SharedDraws
) -> tuple[Floats, Floats]:
    """Mean and size of the distribution of every observed month, were it a regular one.

    Each month is taken given the months really observed before it.

    Parameters
    ----------
    spec, history
        The law, and the months.
    theta : ndarray, shape (draws, base models, parameters)
        From `bayes_hfgrowth.posterior.simulation.base_model_parameters`.
    shared : SharedDraws
        What all base models share; the period effects must cover the history.

    Returns
    -------
    mean : ndarray, shape (draws, months)
        Expected new fine-tunes.
    size : ndarray, shape (draws, months)
        Of the negative binomial, whose variance is mean + mean² / size; infinite for a
        Poisson law.
    """
    mean, size = (np.empty((len(theta), len(history.new))) for _ in range(2))
    none = np.zeros((len(theta), max(1, len(history.organizations))))
    period = shared.over(*history.calendar_span)
    theta = np.ascontiguousarray(theta)
    draws = LawDraws(theta, shared.values, period, history.organization_of, none)
    regular_laws(observed_of(spec, history), draws, mean, size)
    return np.clip(np.nan_to_num(mean, nan=_LEAST), _LEAST, 1.0 / _LEAST), size


def upper_tails(new: npt.ArrayLike, mean: Floats, size: Floats) -> Floats:
    """Probability of a count at least as large as observed.

    Parameters
    ----------
    new : array_like, shape (months,)
        Observed counts.
    mean, size : ndarray, shape (draws, months)
        From `month_laws`.

    Returns
    -------
    ndarray, shape (draws, months)
        Exact down to the smallest float; 1 where the count is 0.
    """
    x = np.broadcast_to(np.asarray(new, dtype=np.float64), mean.shape)
    tails = np.ones(mean.shape)
    positive = x > 0.0
    bounded = positive & np.isfinite(size)
    share = mean[bounded] / (mean[bounded] + size[bounded])
    tails[bounded] = special.betainc(x[bounded], size[bounded], share)
    poisson = positive & ~np.isfinite(size)
    tails[poisson] = special.gammainc(x[poisson], mean[poisson])
    return tails
