"""Base models that were in no fit: their parameters given a stored population posterior.

Given the population ψ, base models are independent of each other, so that of a new one

    p(θ, ψ | its months, the fit) ∝ p(its months | θ) p(θ | ψ) p(ψ | the fit)

needs nothing but its own months and the fit's draws of ψ. The likelihood is taken at points
drawn once from a distribution wide enough for all ψ; every pair of a draw of ψ and a point then
has a weight, and pairs are drawn by it. Summed over the points, the weights say how well each ψ
foretold the months, so what the base model teaches about its organization is in its forecast
too; that is how an organization that the fit never saw is learned from its base model.

Base models of one organization with the same months share their weights. What is random hangs on
the seed and on names alone, so a base model's draws are the same whichever others are drawn in
the same call, process or machine.

Each base model is treated as the only new one. Several of one organization would teach each
other something through it; to have that, fit them together.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.growth.transition import LIKELIHOODS, month_constants
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.importance import smoothed_weights
from bayes_hfgrowth.posterior.pairs import BLOCK, DEGREES, draw_points, student_constant, weigh
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import Floats

__all__ = ["Conditional", "ConditionalDraws", "condition", "random_of"]

POINTS = 1024
"""Points at which the likelihood of a base model is taken."""

KEPT = 600
"""Weights that are kept for the next base model with the same months; each is 170 kB."""

_FROM_POPULATION = 0.3  # share of the points drawn from the population itself
_WIDER, _FLOOR = 1.3**2, 0.02
_FRESH = ""  # stands for any organization that the population does not know


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
        `bayes_hfgrowth.posterior.importance.GOOD_K` the stored draws are enough.
    dormant : ndarray of bool, shape (draws, base models)
        Whether the base model will never get a fine-tune under this draw.
    """

    theta: Floats
    draw: npt.NDArray[np.int64]
    pareto_k: Floats
    dormant: npt.NDArray[np.bool_]


def random_of(seed: int, purpose: int, *parts: bytes) -> np.random.Generator:
    """Source of random numbers that hangs on a seed and on names alone.

    Parameters
    ----------
    seed : int
        From 0 on.
    purpose : int
        Keeps numbers for different purposes apart.
    *parts : bytes
        Names, or whatever else sets one source apart from another.
    """
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts))
    words = np.frombuffer(digest.digest(), dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, purpose, *words]))


class Conditional:
    """A population posterior made ready for base models that were in no fit.

    It may be pickled and sent to other processes, and used by several threads.

    Parameters
    ----------
    population : PopulationPosterior
        Of an earlier fit.
    seed : int
        Same seed, same draws.
    """

    def __init__(self, population: PopulationPosterior, seed: int) -> None:
        self.spec: GrowthSpec = population.spec
        self.seed, self.carry = seed, population.carry
        self.spreads = np.ascontiguousarray(population.spreads)
        names = (*population.organizations, _FRESH)
        # All unknown organizations are drawn alike: which is which makes no difference to any.
        means, shares = population.of_organizations(names, random_of(seed, 7))
        self.means = np.ascontiguousarray(means.transpose(1, 0, 2))
        self.shares = None if shares is None else np.ascontiguousarray(shares.T)
        self._place = {name: index for index, name in enumerate(population.organizations)}
        self._kept: dict[tuple[int, int], _Weights] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": {}}

    @cached_property
    def within(self) -> Floats:
        """Root mean square of the spreads within organizations; (parameters,)."""
        return np.asarray(np.sqrt((self.spreads**2).mean(axis=0)))

    def place_of(self, organization: str) -> int:
        """Position of an organization's means; the last one for all that are not known."""
        return self._place.get(organization, len(self.means) - 1)

    def weights(self, organization: int, new: Floats) -> "_Weights":
        """Weights of a base model.

        Parameters
        ----------
        organization : int
            From `place_of`.
        new : ndarray, shape (months,)
            Its fine-tunes in each month from its creation on.
        """
        if new.any():
            return _Weights(self, organization, new)
        # Two thirds of all base models have no fine-tune, and their ages are few.
        key = organization, len(new)
        found = self._kept.get(key)
        if found is None:
            found = _Weights(self, organization, new)
            if len(self._kept) < KEPT:
                self._kept[key] = found
        return found


def condition(conditional: Conditional, history: History, draws: int) -> ConditionalDraws:
    """Draw the parameters of base models given a population posterior.

    Parameters
    ----------
    conditional : Conditional
        The population posterior.
    history : History
        The months of base models that were not in its fit.
    draws : int
        How many draws of each.

    Returns
    -------
    ConditionalDraws
    """
    n, size = len(history.base_models), conditional.means.shape[2]
    theta = np.empty((draws, n, size))
    chosen = np.empty((draws, n), dtype=np.int64)
    pareto_k = np.empty(n)
    dormant = np.empty((draws, n), dtype=np.bool_)
    months = [history.new[a:b] for a, b in zip(history.start, history.start[1:], strict=False)]
    places = [conditional.place_of(name) for name in history.organizations]
    organization = [places[o] for o in history.organization_of]
    last, found = None, None
    # Base models with the same months one after the other, so that they share what is costly.
    for i in sorted(range(n), key=lambda i: (organization[i], months[i].tobytes())):
        key = organization[i], months[i].tobytes()
        if found is None or key != last:
            found, last = conditional.weights(organization[i], months[i]), key
        rng = random_of(conditional.seed, 6, history.base_models[i].encode())
        theta[:, i], chosen[:, i], dormant[:, i] = found.draw(draws, rng)
        pareto_k[i] = found.pareto_k
    return ConditionalDraws(theta, chosen, pareto_k, dormant)


class _Weights:
    """Weights of all pairs of a draw of the population and a point, for one base model."""

    def __init__(self, conditional: Conditional, organization: int, new: Floats) -> None:
        spec = conditional.spec
        law = LIKELIHOODS[spec.likelihood]
        self.means, self.spreads = conditional.means[organization], conditional.spreads
        draws, size = self.means.shape
        known = organization < len(conditional.means) - 1
        rng = random_of(
            conditional.seed, 8, organization.to_bytes(8, "little") if known else b"", new.tobytes()
        )
        previous = np.append(0.0, np.cumsum(new))[:-1][: len(new)]
        # A fresh organization's means are themselves widely spread.
        wide = np.cov(self.means.T) + np.diag(conditional.within**2)
        normal = rng.standard_normal((size, POINTS))
        stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, POINTS))
        self.points, self.log_weights = np.empty((size, POINTS)), np.empty(POINTS)
        self.tops, self.blocks = np.empty(draws), np.empty((draws, POINTS // BLOCK))
        weigh(
            law, spec.m, conditional.carry.mean(axis=0), np.log(np.arange(1.0, len(new) + 1.0)),
            previous, new, month_constants(law, previous, new, spec.m), self.means.mean(axis=0),
            conditional.within, self.means.mean(axis=0), np.linalg.cholesky(wide),
            POINTS - int(_FROM_POPULATION * POINTS), _WIDER, _FLOOR, student_constant(size),
            normal, stretch, self.means, self.spreads, self.points, self.log_weights, self.tops,
            self.blocks,
        )  # fmt: skip
        log_marginal = self.tops + np.log(self.blocks.sum(axis=1))
        log_marginal -= np.log(self.spreads).sum(axis=1)
        log_marginal -= np.log(POINTS) + 0.5 * size * np.log(2.0 * np.pi)
        self.dormant: Floats | None = None
        if conditional.shares is not None:
            shares = conditional.shares[organization]
            log_marginal += np.log1p(-shares)
            if not new.any():
                log_marginal = np.logaddexp(log_marginal, np.log(shares))
                self.dormant = shares * np.exp(-log_marginal)
        weights, k = smoothed_weights(log_marginal[:, None])
        self.cumulative, self.pareto_k = np.cumsum(weights[:, 0]), float(k[0])

    def draw(
        self, draws: int, rng: np.random.Generator
    ) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Draw pairs: parameters, positions in the population's draws, and whether dormant."""
        # Evenly spaced quantiles waste no draw of the population. In the order of its draws, path j
        # of all base models goes with about the same one, so that they can be added up.
        at = (np.arange(draws) + rng.random()) / draws
        which = np.searchsorted(self.cumulative, at * self.cumulative[-1])
        which = np.minimum(which, len(self.cumulative) - 1)
        theta = np.empty((draws, self.means.shape[1]))
        draw_points(
            which, rng.random(draws), self.means, self.spreads, self.points, self.log_weights,
            self.tops, self.blocks, theta,
        )  # fmt: skip
        if self.dormant is None:
            return theta, which, np.zeros(draws, dtype=np.bool_)
        dormant = rng.random(draws) < self.dormant[which]
        if dormant.any():  # its months say nothing of its parameters then
            noise = rng.standard_normal((int(dormant.sum()), theta.shape[1]))
            theta[dormant] = self.means[which[dormant]] + self.spreads[which[dormant]] * noise
        return theta, which, dormant
