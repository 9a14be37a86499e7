"""Draws of a fit given months that came later, base model by base model.

With θ the parameters of a base model and ψ all that base models share, the period effects ahead
among it, a fit has draws of p(θ, ψ | old), given the months y that it was fitted to. Those that
came later turn them into

    p(θ, ψ | new, old) ∝ p(new | y, θ, ψ) p(θ, ψ | old),

so the likelihood of the base model's own later months is the importance weight of a draw. Weights
are Pareto-smoothed, and k-hat says whether the draws are enough. Each base model is treated as the
only one with new months: what the others' new months say of ψ needs a new fit.

Draws are chosen by a maximal coupling (`bayes_hfgrowth.posterior.common_random_numbers.coupled`):
draw j stays where it is as far as the weights allow, so draw j of all base models goes together
and sums over base models have the right width.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.common_random_numbers import coupled, random_of
from bayes_hfgrowth.posterior.conditional import Conditional
from bayes_hfgrowth.posterior.importance import smoothed_weights
from bayes_hfgrowth.posterior.simulation import Floats, log_likelihood
from bayes_hfgrowth.support.cluster import in_order, workers

__all__ = ["Reweighted", "alone", "log_weights", "reweigh"]

_IMPOSSIBLE = -1e300  # log weight of a draw that rules the months out
_PURPOSE = 16  # of the random numbers that choose draws


@dataclass(frozen=True, eq=False)
class Reweighted:
    """Draws of base models given later months.

    Parameters
    ----------
    weights : ndarray, shape (draws, base models)
        Smoothed importance weights of the fit's draws, summing to 1 down each column.
    pareto_k : ndarray, shape (base models,)
        Shape of the tail of the weights; see
        `bayes_hfgrowth.posterior.importance.smoothed_weights`.
    draw : ndarray of int, shape (draws, base models)
        Which draw of the fit draw j of each base model is.
    """

    weights: Floats
    pareto_k: Floats
    draw: npt.NDArray[np.int64]

    @property
    def effective(self) -> Floats:
        """Effective number of draws of each base model; (base models,)."""
        return np.asarray(1.0 / (self.weights**2).sum(axis=0))


def alone(history: History, i: int) -> History:
    """One base model of a history, its organization being the only one."""
    one = history.subset(np.array([i]))
    return replace(one, organizations=("",), organization_of=np.zeros(1, dtype=np.int64))


def log_weights(
    conditional: Conditional, one: History, theta: Floats, shares: Floats | None, before: int
) -> Floats:
    """Log likelihood of the later months of a base model under every draw.

    Parameters
    ----------
    conditional : Conditional
        Population of the fit, all its draws in order.
    one : History
        All months of the base model, from `alone`.
    theta : ndarray, shape (draws, parameters)
        Its growth parameters.
    shares : ndarray, shape (draws,), or None
        Shares of structural zeros of its organization, where the growth model has them.
    before : int
        How many of its months were fitted.

    Returns
    -------
    ndarray, shape (draws,)
        Given the months before them; 0 where there are none.
    """
    if len(one.new) == before:
        return np.zeros(len(theta))
    shared = conditional.over_calendar(*one.calendar_span)
    dormancy = None if shares is None else shares[:, None]
    density = log_likelihood(conditional.spec, one, theta[:, None], shared, dormancy)
    total = density[:, before:].sum(axis=1, dtype=np.float64)
    return np.nan_to_num(total, nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)


def reweigh(
    conditional: Conditional,
    history: History,
    theta: Floats,
    shares: Floats | None,
    before: npt.NDArray[np.int64],
) -> Reweighted:
    """Weigh the draws of base models by their later months, and choose among them.

    Parameters
    ----------
    conditional
        As in `log_weights`.
    history : History
        All months of the base models.
    theta : ndarray, shape (draws, base models, parameters)
        Draws of the fit.
    shares : ndarray, shape (draws, base models), or None
        Shares of structural zeros of their organizations.
    before : ndarray of int, shape (base models,)
        How many of their months were fitted.
    """
    number = len(history.base_models)
    if len(history.month):  # one path, as far as any base model needs it, before threads read it
        conditional.over_calendar(*history.calendar_span)
    raw = np.empty((len(theta), number))

    def weigh(i: int) -> Floats:
        share = None if shares is None else shares[:, i]
        return log_weights(conditional, alone(history, i), theta[:, i], share, int(before[i]))

    with workers(None) as (submit, _, hands):
        pieces = ((weigh, i) for i in range(number))
        for i, column in enumerate(in_order(submit, pieces, 8 * hands)):
            raw[:, i] = column
    weights, pareto_k = smoothed_weights(raw)
    draw = np.empty(raw.shape, dtype=np.int64)
    for i, name in enumerate(history.base_models):
        draw[:, i] = np.arange(len(theta))
        if history.months[i] > before[i]:
            rng = random_of(conditional.seed, _PURPOSE, name.encode())
            draw[:, i] = coupled(weights[:, i], conditional.moves, rng)
    return Reweighted(weights, pareto_k, draw)
