"""Base models that were in no fit: their parameters given a stored population posterior.

Given the population ψ, base models are independent of each other, so that of a new one

    p(θ, ψ | its months, the fit) ∝ p(its months | θ) p(θ | ψ) p(ψ | the fit)

needs nothing but its own months and the fit's draws of ψ. The likelihood is taken at points
drawn once from a distribution wide enough for all ψ; every pair of a draw of ψ and a point then
has a weight, and pairs are drawn by it. Summed over the points, the weights say how well each ψ
foretold the months, so what the base model teaches about its organization is in its forecast
too; that is how an organization that the fit never saw is learned from its base model.

Each base model is treated as the only new one. Several of one organization would teach each
other something through it; to have that, fit them together.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.history import History
from bayes_hfgrowth.importance import Student, log_normal_densities, smoothed_weights
from bayes_hfgrowth.population import PopulationPosterior
from bayes_hfgrowth.progress import Progress
from bayes_hfgrowth.simulation import Floats, log_likelihood
from bayes_hfgrowth.summaries import Population, laplace, months_of

__all__ = ["ConditionalDraws", "condition"]

POINTS = 1000
"""Points at which the likelihood of a base model is taken."""

_FROM_POPULATION = 0.3  # share of the points drawn from the population itself
_WIDER = 1.3
_NEVER = -1e6  # log density of what parameters make impossible; kept finite


@dataclass(frozen=True, eq=False)
class ConditionalDraws:
    """Draws of new base models.

    Parameters
    ----------
    theta : ndarray, shape (draws, base models, parameters)
        Growth parameters on the scale that is normal.
    draw : ndarray of int, shape (draws, base models)
        The draw of the population that each belongs to.
    pareto_k : ndarray, shape (base models,)
        Shape of the tail of the population's weights; up to
        `bayes_hfgrowth.importance.GOOD_K` the stored draws are enough.
    shares : ndarray or None, shape (population draws, organizations)
        Shares of dormant base models of the organizations of the history.
    """

    theta: Floats
    draw: npt.NDArray[np.int64]
    pareto_k: Floats
    shares: Floats | None


def condition(
    population: PopulationPosterior,
    history: History,
    draws: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> ConditionalDraws:
    """Draw the parameters of base models given a population posterior.

    Parameters
    ----------
    population : PopulationPosterior
        Of an earlier fit.
    history : History
        The months of base models that were not in that fit.
    draws : int
        How many draws of each.
    rng : numpy.random.Generator
        Source of randomness.
    progress : Progress, optional
        Told of each base model.

    Returns
    -------
    ConditionalDraws
    """
    spec = population.spec
    means, shares = population.of_organizations(history.organizations, rng)
    size, n = means.shape[2], len(history.base_models)
    theta = np.empty((draws, n, size))
    chosen = np.empty((draws, n), dtype=np.int64)
    pareto_k = np.zeros(n)
    # Base models alike in organization and months share all that is costly.
    alike: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for i in range(n):
        months = history.new[history.start[i] : history.start[i + 1]]
        alike[int(history.organization_of[i]), months.tobytes()].append(i)
    first = np.array([members[0] for members in alike.values()], dtype=np.int64)
    centre = Population(
        means.mean(axis=0),
        np.exp(np.log(population.spreads).mean(axis=0)),
        population.carry.mean(axis=0),
        np.zeros(len(history.organizations)),
    )
    part = history.subset(first)
    modes, _, covariances = laplace(
        months_of(spec, part), centre, centre.means[part.organization_of], 20
    )
    with (progress or Progress(False)).stage("base models", len(first)) as advance:
        for done, members in enumerate(alike.values()):
            one = history.subset(np.array(members[:1]))
            o = int(history.organization_of[members[0]])
            own_shares = None if shares is None else shares[:, o]
            found = _Weighted(
                population, one, means[:, o], own_shares, modes[done], covariances[done], rng
            )
            for member in members:
                theta[:, member], chosen[:, member] = found.draw(draws, rng)
            pareto_k[members] = found.pareto_k
            if done % 100 == 0:
                advance(done, "")
    return ConditionalDraws(theta, chosen, pareto_k, shares)


class _Weighted:
    """Weights of all pairs of a draw of the population and a point, for one base model."""

    def __init__(
        self,
        population: PopulationPosterior,
        one: History,
        means: Floats,
        shares: Floats | None,
        mode: Floats,
        covariance: Floats,
        rng: np.random.Generator,
    ) -> None:
        self.means, self.spreads = means, population.spreads
        within = np.diag((self.spreads**2).mean(axis=0))
        # A fresh organization's means are themselves widely spread.
        between = np.cov(means.T) + within
        own = Student(mode, _WIDER**2 * covariance + 0.02 * within)
        wide = Student(means.mean(axis=0), between)
        few = int(_FROM_POPULATION * POINTS)
        self.points = np.concatenate([own.draw(POINTS - few, rng), wide.draw(few, rng)])
        log_proposal = np.logaddexp(
            own.log_density(self.points) + np.log1p(-few / POINTS),
            wide.log_density(self.points) + np.log(few / POINTS),
        )
        months = log_likelihood(
            replace(population.spec, dormancy=None),
            replace(one, organizations=one.organizations[:1], organization_of=np.zeros(1, int)),
            self.points[:, None, :],
            np.tile(population.carry.mean(axis=0), (POINTS, 1)),
        ).astype(np.float64)
        log_likelihoods = np.maximum(np.nan_to_num(months, nan=_NEVER), _NEVER).sum(axis=1)
        terms = log_normal_densities(self.points, means, self.spreads)
        terms += log_likelihoods - log_proposal - np.log(POINTS)
        self.top = terms.max(axis=1)
        self.cumulative = np.cumsum(np.exp(terms - self.top[:, None]), axis=1)
        log_marginal = self.top + np.log(self.cumulative[:, -1])
        self.dormant = np.zeros(len(means))
        if shares is not None:
            awake = np.log1p(-shares) + log_marginal
            if one.finetunes[0] == 0:
                log_marginal = np.logaddexp(awake, np.log(shares))
                self.dormant = shares * np.exp(-log_marginal)
            else:
                log_marginal = awake
        weights, k = smoothed_weights(log_marginal[:, None])
        self.weights, self.pareto_k = weights[:, 0], float(k[0])

    def draw(self, draws: int, rng: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Draw pairs: parameters, and positions in the population's draws."""
        # Evenly spaced quantiles in random order waste no draw of the population.
        at = (np.arange(draws) + rng.random()) / draws
        which = np.searchsorted(np.cumsum(self.weights), at * self.weights.sum())
        which = rng.permutation(np.minimum(which, len(self.weights) - 1))
        heights = rng.random(draws) * self.cumulative[which, -1]
        place = (self.cumulative[which] < heights[:, None]).sum(axis=1)
        theta = self.points[np.minimum(place, len(self.points) - 1)]
        asleep = rng.random(draws) < self.dormant[which]
        if asleep.any():  # its months say nothing of its parameters then
            noise = rng.standard_normal((int(asleep.sum()), theta.shape[1]))
            theta[asleep] = self.means[which[asleep]] + self.spreads[which[asleep]] * noise
        return theta, which.astype(np.int64)
