"""Base models that were in no fit: their parameters given a stored population posterior.

Given the population ψ, with what all base models share in it, base models are independent of each
other, so that of a new one

    p(θ, ψ | its months, the fit) ∝ p(its months | θ, ψ) p(θ | ψ) p(ψ | the fit)

needs nothing but its own months and the fit's draws of ψ. It is drawn in three steps:

1. The likelihood is taken once, at points drawn from a distribution wide enough for all ψ, and
   moved from draw to draw of ψ (`bayes_hfgrowth.posterior.pairs`), so that every pair of a draw of
   ψ and a point has a weight. Summed over the points, the weights say how well each ψ foretold the
   months.
2. A few pairs are drawn for every ψ, more for those with more weight
   (`bayes_hfgrowth.posterior.resampling`), and their likelihoods taken as they are. The pairs'
   weights are corrected by them, and their sums that of ψ.
3. Draw j takes draw j of the population, as far as the weights allow: by a maximal coupling, whose
   random numbers are the same for all base models, so that those with like weights choose alike
   (`bayes_hfgrowth.posterior.common_random_numbers`). So draw j of all base models shares the
   population, and sums over base models have the right width.

What a base model teaches about its organization is in its forecast too; that is how an
organization that the fit never saw is learned from its base model.

What is random hangs on the seed and on names and months alone, so a base model's draws are the
same whichever others are drawn in the same call, process or machine.

Each base model is treated as the only new one. Several of one organization would teach each
other something through it; to have that, fit them together.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.growth.law import LIKELIHOODS, SURGE, Floats, Integers, Months, Observed, Shared
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.common_random_numbers import coupled, random_of
from bayes_hfgrowth.posterior.importance import (
    DEGREES,
    GOOD_K,
    smoothed_weights,
    student_constant,
)
from bayes_hfgrowth.posterior.laplace import Centre, PopulationDraws
from bayes_hfgrowth.posterior.pairs import BLOCK, Weighed, log_likelihoods_of, weigh
from bayes_hfgrowth.posterior.population_sample import PopulationSample
from bayes_hfgrowth.posterior.resampling import (
    Organization,
    draw_points,
    draw_points_of_organization,
    draw_within,
)

__all__ = ["Conditional", "ConditionalDraws", "condition"]

POINTS = 1024
"""Points at which the likelihood of a base model is taken."""

PAIRS = 1.5
"""Pairs whose likelihood is taken under their own draw, for each draw, at least; of three no more
came than of these, as the corrections are small."""

ROUNDS = 3
"""How often pairs are drawn at most, where the first ones turn out to be badly placed."""

KEPT = 300
"""Weights that are kept for the next base model with the same months; each is 350 kB."""

_FROM_POPULATION = 0.3  # share of the points drawn from the population itself
_UNKNOWN = ""  # stands for any organization that the population does not know
_PARTS = 4  # of a month; empty months that begin in the same one are weighed alike at first


@dataclass(frozen=True, eq=False)
class ConditionalDraws:
    """Draws of new base models.

    Parameters
    ----------
    theta : ndarray, shape (draws, base models, parameters)
        Growth parameters on the scale that is normal.
    draw : ndarray of int, shape (draws, base models)
        The draw of the population that each belongs to, as `Conditional` counts them.
    pareto_k : ndarray, shape (base models,)
        Shape of the tail of the weights, of the population's draws or of the corrections,
        whichever is the larger; up to `bayes_hfgrowth.posterior.importance.GOOD_K` the stored draws
        are enough.
    dormant : ndarray of bool, shape (draws, base models)
        Whether the base model will never get a fine-tune under this draw.
    """

    theta: Floats
    draw: Integers
    pareto_k: Floats
    dormant: npt.NDArray[np.bool_]


class Conditional(PopulationSample):
    """A population posterior made ready for base models that were in no fit, and their weights.

    It may be pickled and sent to other processes, and used by several threads.

    Parameters
    ----------
    population, seed, draws, ahead
        As `PopulationSample` takes them.
    """

    @cached_property
    def _kept(self) -> "dict[tuple[object, ...], _Weights]":
        return {}

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_kept": {}}

    def weights(self, organization: str, months: Months) -> "_Weights":
        """Weights of a base model's pairs, before they are corrected.

        Parameters
        ----------
        organization : str
            Its organization; all that the population does not know are alike.
        months : Months
            Its months alone, ``calendar`` counted from January 1970.
        """
        organization = organization if self.knows(organization) else _UNKNOWN
        if months.new.any():
            return _Weights(self, organization, months)
        # Two thirds of all base models have no fine-tune, and their ages are few.
        key, months = _alike(organization, months)
        found = self._kept.get(key)
        if found is None:
            found = _Weights(self, organization, months)
            if len(self._kept) < KEPT:
                self._kept[key] = found
        return found


def _alike(organization: str, months: Months) -> tuple[tuple[object, ...], Months]:
    """What base models without fine-tunes have in common that are weighed alike, and its months."""
    number = len(months.new)
    if not number:
        return (organization, 0), months
    part = min(int(months.share[0] * _PARTS), _PARTS - 1)
    first = int(months.calendar[0])
    return (organization, number, first, part), months._replace(
        calendar=first + np.arange(number), share=np.full(number, (part + 0.5) / _PARTS)
    )


def condition(conditional: Conditional, history: History) -> ConditionalDraws:
    """Draw the parameters of base models given a population posterior.

    Parameters
    ----------
    conditional : Conditional
        The population posterior.
    history : History
        The months of base models that were not in its fit.
    """
    spec, draws = conditional.spec, conditional.draws
    n, size = len(history.base_models), conditional.scales.shape[1]
    theta = np.empty((draws, n, size))
    chosen = np.empty((draws, n), dtype=np.int64)
    pareto_k = np.empty(n)
    dormant = np.empty((draws, n), dtype=np.bool_)
    every = observed_of(spec, history, 0).months
    if conditional.shared.period is None:  # then months differ by their fine-tunes alone
        every = every._replace(
            calendar=np.zeros_like(every.calendar), share=np.ones(len(every.share))
        )
    found, last = None, None
    months = [_months_of(every, i) for i in range(n)]
    owners = (history.organizations[o] for o in history.organization_of)
    keys = [(owner, *_bytes_of(own)) for owner, own in zip(owners, months, strict=True)]
    # Base models with the same months one after the other, so that they share what is costly.
    for i in sorted(range(n), key=keys.__getitem__):
        if found is None or keys[i] != last:
            found, last = conditional.weights(keys[i][0], months[i]), keys[i]
        rng = random_of(conditional.seed, 6, history.base_models[i].encode())
        theta[:, i], chosen[:, i], dormant[:, i], pareto_k[i] = found.draw(
            keys[i][0], months[i], rng
        )
    return ConditionalDraws(theta, chosen, pareto_k, dormant)


def _months_of(months: Months, i: int) -> Months:
    """The months of one base model."""
    a, b = int(months.start[i]), int(months.start[i + 1])
    return Months._make([np.array([0, b - a]), *(part[a:b].copy() for part in months[1:])])


def _bytes_of(months: Months) -> list[bytes]:
    """What tells the months of one base model from those of others."""
    return [part.tobytes() for part in (months.new, months.calendar, months.share)]


class _Weights:
    """Weights of all pairs of a draw of the population and a point, for one base model."""

    def __init__(self, conditional: Conditional, organization: str, months: Months) -> None:
        self.conditional = conditional
        self.means, self.scales = conditional.of_base_models(organization)
        observed, self.population = self._seen(months)
        draws, size = self.means.shape
        rng = random_of(conditional.seed, 8, organization.encode(), *_bytes_of(months))
        normal = rng.standard_normal((size, POINTS))
        stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, POINTS))
        at_points = np.empty((size, POINTS)), np.empty(POINTS), np.empty(POINTS)
        of_draws = np.empty((draws, size)), np.empty(draws), np.empty(draws)
        self.weighed = Weighed(*at_points, *of_draws, np.empty((draws, POINTS // BLOCK)))
        centre = Centre(
            self.means.mean(axis=0),
            np.sqrt((self.scales**2).mean(axis=0)),
            Shared(conditional.middle, self.population.period.mean(axis=0)),
        )
        weigh(
            observed,
            self.population,
            centre,
            POINTS - int(_FROM_POPULATION * POINTS),
            student_constant(size),
            normal,
            stretch,
            self.weighed,
        )
        self.log_marginal = self.weighed.tops + np.log(self.weighed.blocks.sum(axis=1))
        """Log likelihood of the months if the base model is no structural zero, under each draw."""
        self.log_marginal += self.weighed.heights - np.log(self.scales).sum(axis=1)
        self.log_marginal -= np.log(POINTS) + 0.5 * size * np.log(2.0 * np.pi)

    def _seen(self, months: Months) -> tuple[Observed, PopulationDraws]:
        """Months and population as the compiled functions take them."""
        conditional = self.conditional
        first = int(months.calendar[0]) if len(months.new) else conditional.shared.first
        number = len(months.new) + 1
        shared = conditional.over_calendar(first, number)
        law, m = LIKELIHOODS[conditional.spec.likelihood], float(conditional.spec.m)
        return (
            Observed(law, m, months._replace(calendar=months.calendar - first)),
            PopulationDraws(self.means, self.scales, shared.values, shared.over(first, number)),
        )

    def draw(
        self, organization: str, months: Months, rng: np.random.Generator
    ) -> tuple[Floats, Integers, npt.NDArray[np.bool_], float]:
        """Draw pairs, as `ConditionalDraws` has them; the weights may be of nearly these months."""
        draws = len(self.means)
        means, shares = self.conditional.of_organization(organization)
        log_at_risk = self.log_marginal
        if shares is not None:
            log_at_risk = log_at_risk + np.log1p(-shares)
        part = np.exp(log_at_risk - log_at_risk.max())
        part /= part.sum()
        for _ in range(ROUNDS):
            pairs = np.maximum(np.ceil(PAIRS * draws * part).astype(np.int64), 1)
            row = np.repeat(np.arange(draws), pairs)
            theta, ratio = self._pairs(organization, months, means, pairs, rng)
            log_weights = (log_at_risk - np.log(pairs))[row] + ratio
            smooth, k = smoothed_weights(log_weights[:, None])
            if k[0] <= GOOD_K:
                break
            # More pairs for the draws that turned out to have more weight than was thought.
            part = 0.5 * (part + np.bincount(row, smooth[:, 0], draws))
        total = np.logaddexp.reduce(log_weights)
        log_rows = np.log(np.maximum(np.bincount(row, smooth[:, 0], draws), 1e-300)) + total
        dormant = np.zeros(draws)
        if shares is not None and not months.new.any():
            log_rows = np.logaddexp(log_rows, np.log(shares))
            dormant = shares * np.exp(-log_rows)
        rows, k_rows = smoothed_weights(log_rows[:, None])
        which = coupled(rows[:, 0], self.conditional.moves, rng)
        theta = theta[draw_within(which, smooth[:, 0], pairs, rng)]
        never = rng.random(draws) < dormant[which]
        if never.any():  # its months say nothing of its parameters then
            noise = rng.standard_normal((int(never.sum()), theta.shape[1]))
            some = which[never]
            theta[never] = means[some] + self.conditional.scales[some] * noise
        return theta, which, never, float(max(k[0], k_rows[0]))

    def _pairs(
        self,
        organization: str,
        months: Months,
        means: Floats,
        pairs: Integers,
        rng: np.random.Generator,
    ) -> tuple[Floats, Floats]:
        """Draw pairs, so many for each draw of the population.

        With them goes their log likelihood under their own draws, less what they were weighed by.
        """
        weighed, conditional = self.weighed, self.conditional
        row = np.repeat(np.arange(len(pairs)), pairs)
        points = np.empty(len(row), dtype=np.int64)
        first = np.cumsum(pairs) - pairs
        uniform = (np.arange(len(row)) - first[row] + rng.random(len(row))) / pairs[row]
        if conditional.knows(organization):
            draw_points(row, uniform, self.population, weighed, points)
        else:
            own = Organization(means, conditional.population.global_level[1], conditional.scales)
            draw_points_of_organization(pairs, uniform, self.population, own, weighed, rng, points)
        theta = weighed.points[:, points].T + weighed.shifts[row]
        observed, population = self._seen(months)
        if observed.law != SURGE or not len(months.new):
            return theta, np.zeros(len(row))
        exact = np.empty(len(row))
        log_likelihoods_of(observed, population, row, theta, exact)
        return theta, exact - weighed.likelihood[points] - weighed.heights[row]
