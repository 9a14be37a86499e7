"""The posterior of the population without one base model, from the fit that had it.

Given the population ψ, base models are independent, so the posterior without base model i is
that of the fit divided by what i says of the population,

    p(ψ, the others | data without i) ∝ p(ψ, the others | data) / p(data of i | ψ),

and the draws of the fit become draws without i by the weights 1 / p(data of i | ψ). The
marginal likelihood is an integral over i's own growth parameters, done by importance sampling
from their posterior, widened. Nothing but Monte Carlo error is approximated, and where that is
large the Pareto k of the weights says so. (The one exception: a carry-over that has priors is
taken at its posterior mean within the integral.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.importance import (
    Population,
    Student,
    log_normal_densities,
    smoothed_weights,
)
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    base_model_parameters,
    dormancy_shares,
    log_likelihood,
)

__all__ = ["Without", "log_weights_without"]

POINTS = 2000
"""Points at which the integral over a base model's parameters is taken."""

_WIDER = 1.2
_NEVER = -1e6  # log density of a month that parameters make impossible; kept finite
_RAREST = 1e-12  # of a share, which rounding may bring to 0 or 1


@dataclass(frozen=True, eq=False)
class Without:
    """The draws of a posterior as draws without some base models.

    Parameters
    ----------
    weights : ndarray, shape (draws,)
        Summing to 1.
    pareto_k : float
        Shape of their tail; up to `bayes_hfgrowth.posterior.importance.GOOD_K` they are reliable.
    """

    weights: Floats
    pareto_k: float

    @classmethod
    def from_logarithms(cls, log_weights: Floats) -> Self:
        """Smooth weights from `log_weights_without`, added up over the base models left out."""
        weights, k = smoothed_weights(log_weights[:, None])
        return cls(weights[:, 0], float(k[0]))

    def mean(self, values: Floats, draw: npt.NDArray[np.int64]) -> float:
        """Mean of values, each of which comes from the draw at that position."""
        return float(np.average(values, weights=self._of(draw)))

    def quantiles(
        self, values: Floats, probabilities: Sequence[float], draw: npt.NDArray[np.int64]
    ) -> Floats:
        """Quantiles, each itself a value: the least that has so much weight up to it."""
        return np.asarray(
            np.quantile(values, probabilities, method="inverted_cdf", weights=self._of(draw))
        )

    def _of(self, draw: npt.NDArray[np.int64]) -> Floats:
        """Weights of rows; even where all the weight is on draws that have none."""
        weights = self.weights[draw]
        return weights if weights.sum() > 0 else np.ones(len(draw))


def log_weights_without(fit: FittedDraws, base_model: int, rng: np.random.Generator) -> Floats:
    """Logarithms of the weights that take a base model out of a posterior.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    base_model : int
        Position of the base model in it.
    rng : numpy.random.Generator
        Source of the points of the integral.

    Returns
    -------
    ndarray, shape (draws,)
        Minus the logarithms of its marginal likelihoods; not smoothed.
    """
    spec, posterior = fit.spec, fit.posterior
    history = fit.history.subset(np.array([base_model]))
    group = int(history.organization_of[0])
    shares = dormancy_shares(spec, posterior)
    if len(history.new) == 0:  # without a month it says nothing of anybody
        return np.zeros(posterior.sizes["chain"] * posterior.sizes["draw"])
    population = Population.from_posterior(spec, posterior)
    means, spreads = population.means[:, group], population.spreads
    own = base_model_parameters(spec, posterior.isel(base_model=[base_model]))[:, 0]
    between = np.cov(means.T) + np.diag((spreads**2).mean(axis=0))
    proposals = [
        Student(own.mean(axis=0), _WIDER**2 * np.cov(own.T) + 1e-6 * between),
        Student(means.mean(axis=0), between),
    ]
    numbers = (POINTS - POINTS // 5, POINTS // 5)
    pairs = list(zip(proposals, numbers, strict=True))
    points = np.concatenate([proposal.draw(number, rng) for proposal, number in pairs])
    log_proposal = np.logaddexp(
        *(proposal.log_density(points) + np.log(number / POINTS) for proposal, number in pairs)
    )
    carry = np.broadcast_to(population.carry.mean(axis=0), (len(points), 2))
    awake = None if shares is None else np.zeros((len(points), len(fit.organizations)))
    with np.errstate(over="ignore"):
        months = log_likelihood(
            spec, history, points[:, None, :], np.ascontiguousarray(carry), awake
        )
    log_likelihoods = np.maximum(
        np.nan_to_num(months.astype(np.float64), nan=_NEVER, posinf=_NEVER), _NEVER
    ).sum(axis=1)
    log_marginal = _integral(points, log_likelihoods - log_proposal, means, spreads)
    if shares is not None:
        dormant = np.clip(shares[:, group], _RAREST, 1.0 - _RAREST)
        log_awake = np.log1p(-dormant)
        if fit.history.finetunes[base_model] == 0:
            log_marginal = np.logaddexp(log_awake + log_marginal, np.log(dormant))
        else:
            log_marginal = log_awake + log_marginal
    return -log_marginal


def _integral(points: Floats, log_ratio: Floats, means: Floats, spreads: Floats) -> Floats:
    """Logarithm of the mean over points of exp(log_ratio) · N(point; mean, spread²), per draw."""
    terms = log_normal_densities(points, means, spreads)
    terms += log_ratio
    top = terms.max(axis=1, keepdims=True)
    terms -= top
    np.exp(terms, out=terms)  # in place: the matrix has millions of elements
    return np.asarray(np.log(terms.mean(axis=1)) + top[:, 0])
