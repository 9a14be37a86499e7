"""The posterior of the population without one base model, from the fit that had it.

Given the population ψ, base models are independent, so the posterior without base model i is
that of the fit divided by what i says of the population,

    p(ψ, the others | data without i) ∝ p(ψ, the others | data) / p(data of i | ψ),

and the draws of the fit become draws without i by the weights 1 / p(data of i | ψ). The
marginal likelihood is an integral over i's own growth parameters, done by importance sampling
from their posterior, widened; under each draw the likelihood is taken with what that draw says all
base models share, the period effects above all. Nothing but Monte Carlo error is approximated. The
points are the same for all draws, so much of that error is too and drops out of the weights; where
the rest is large, the Pareto k of the weights says so.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.growth.law import Shared
from bayes_hfgrowth.growth.points import log_likelihoods
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.importance import (
    Population,
    Student,
    log_normal_densities,
    smoothed_weights,
)
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    SharedDraws,
    base_model_parameters,
    dormancy_shares,
)

__all__ = ["Without", "log_weights_without"]

POINTS = 2000
"""Points at which the integral over a base model's parameters is taken."""

POINTS_EACH = 1000
"""The same where draws differ in what is shared, so that each has a likelihood of its own."""

_WIDER = 1.2
_NEVER = -1e6  # log density of months that parameters make impossible; kept finite
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
    """Logarithms of the weights that take a base model out of the posterior of a fit.

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
    means, scales, shared = population.means[:, group], population.scales, population.shared
    alike = shared.period is None and not np.ptp(shared.values, axis=0).any()
    shared = shared.take(np.zeros(1, dtype=np.int64)) if alike else shared
    own = base_model_parameters(spec, posterior.isel(base_model=[base_model]))[:, 0]
    between = np.cov(means.T) + np.diag((scales**2).mean(axis=0))
    proposals = [
        Student(own.mean(axis=0), _WIDER**2 * np.cov(own.T) + 1e-6 * between),
        Student(means.mean(axis=0), between),
    ]
    number = POINTS if alike else POINTS_EACH
    pairs = list(zip(proposals, (number - number // 5, number // 5), strict=True))
    points = np.concatenate([proposal.draw(some, rng) for proposal, some in pairs])
    log_proposal = np.logaddexp(
        *(proposal.log_density(points) + np.log(some / number) for proposal, some in pairs)
    )
    log_ratio = _log_likelihoods(spec, history, points, shared) - log_proposal
    log_marginal = _integral(points, log_ratio, means, scales)
    if shares is not None:
        dormant = np.clip(shares[:, group], _RAREST, 1.0 - _RAREST)
        log_marginal += np.log1p(-dormant)
        if fit.history.finetunes[base_model] == 0:
            log_marginal = np.logaddexp(log_marginal, np.log(dormant))
    return -log_marginal


def _integral(points: Floats, log_ratio: Floats, means: Floats, scales: Floats) -> Floats:
    """Logarithm of the mean over points of exp(log_ratio) · N(point; mean, spread²), per draw."""
    terms = log_normal_densities(points, means, scales)
    terms += log_ratio
    top = terms.max(axis=1, keepdims=True)
    terms -= top
    np.exp(terms, out=terms)  # in place: the matrix has millions of elements
    return np.asarray(np.log(terms.mean(axis=1)) + top[:, 0])


def _log_likelihoods(
    spec: GrowthSpec, history: History, points: Floats, shared: SharedDraws
) -> Floats:
    """Log likelihoods of a base model at risk; shape (draws of shared, points)."""
    observed = observed_of(spec, history)
    theta = np.ascontiguousarray(points.T)[None]
    period = shared.over(*history.calendar_span)
    found = np.empty((len(shared), len(points)))

    def fill(draw: int) -> None:
        own = Shared(shared.values[draw], period[draw])
        log_likelihoods(observed, theta, own, found[draw : draw + 1])

    with ThreadPoolExecutor() as pool:  # what is compiled holds no lock
        list(pool.map(fill, range(len(shared))))
    return np.maximum(np.nan_to_num(found, nan=_NEVER), _NEVER)
