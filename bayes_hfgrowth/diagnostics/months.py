"""What the growth model expects of each observed month, and how likely a larger count is.

The transition law of `bayes_hfgrowth.growth.transition`, taken month by month for many draws: mean
and size of the count's distribution, and its upper tail, which no number of simulated months
would reach where it matters.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from bayes_hfgrowth.growth.curve import curve_increment, reinforced_increment
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import Floats

__all__ = ["month_laws", "upper_tails"]

_LEAST = 1e-200  # of a mean; draws this far out carry no weight, but must not divide 0 by 0


def month_laws(
    spec: GrowthSpec, history: History, theta: Floats, carry: Floats
) -> tuple[Floats, Floats]:
    """Mean and size of the distribution of every observed month under every draw.

    Parameters
    ----------
    spec : GrowthSpec
        Names the law.
    history : History
        The months; each is taken given the months really observed before it.
    theta, carry : ndarray
        From `bayes_hfgrowth.posterior.simulation.base_model_parameters` and ``carry_over``.

    Returns
    -------
    mean : ndarray, shape (draws, months)
        Expected new fine-tunes.
    size : ndarray, shape (draws, months)
        Of the negative binomial, whose variance is mean + mean² / size; infinite for a
        Poisson law.
    """
    owner = history.base_model_of
    fitness, immediacy, longevity = (theta[:, owner, k] for k in range(3))
    fitness, longevity = np.exp(fitness), np.exp(longevity)
    before, end = history.month - 1.0, history.month
    with np.errstate(over="ignore", invalid="ignore"):
        if spec.likelihood == "poisson":
            mean = curve_increment(before, end, fitness, immediacy, longevity, spec.m)
            return _bounded(mean), np.full_like(mean, np.inf)
        expected = reinforced_increment(
            history.previous, before, end, fitness, immediacy, longevity, spec.m
        )
        expected = _bounded(expected)
        if spec.likelihood == "birth":
            return expected, np.broadcast_to(history.previous + spec.m, expected.shape)
        mean = expected * np.exp(carry[:, :1] * _remembered(history, expected, carry[:, 1]))
        mean = _bounded(mean)
        return mean, np.sqrt(mean) * np.exp(-theta[:, owner, 3])


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


def _bounded(mean: Floats) -> Floats:
    return np.clip(np.nan_to_num(mean, nan=_LEAST), _LEAST, 1.0 / _LEAST)


def _remembered(history: History, expected: Floats, memory: Floats) -> Floats:
    """What each month remembers of the surges before it, s of the transition law."""
    surge = np.log((history.new + 0.5) / (expected + 0.5))
    remembered = np.zeros_like(surge)
    for age in range(2, int(history.month.max(initial=0)) + 1):
        at = np.flatnonzero(history.month == age)
        remembered[:, at] = (
            memory[:, None] * remembered[:, at - 1] + (1.0 - memory)[:, None] * surge[:, at - 1]
        )
    return remembered
