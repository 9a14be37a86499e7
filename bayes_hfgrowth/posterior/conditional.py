"""Base models that were in no fit: their parameters given a stored population posterior.

Given the population ψ, with what all base models share in it, base models are independent of each
other, so that of a new one

    p(θ, ψ | its months, the fit) ∝ p(its months | θ, ψ) p(θ | ψ) p(ψ | the fit)

needs nothing but its own months and the fit's draws of ψ. It is drawn in three steps:

1. The likelihood is taken once, at points drawn from a distribution wide enough for all ψ, and
   moved from draw to draw of ψ (`bayes_hfgrowth.posterior.pairs`), so that every pair of a draw of
   ψ and a point has a weight. Summed over the points, the weights say how well each ψ foretold the
   months.
2. A few pairs are drawn for every ψ, more for those with more weight, and their likelihoods taken
   as they are. The pairs' weights are corrected by them, and their sums that of ψ.
3. Draw j takes draw j of the population, as far as the weights allow: it is kept with probability
   min(1, J w), J being the number of draws and w the weight, and else replaced by one whose
   weight is above 1 / J, in proportion to what is above (a maximal coupling: no other way keeps
   more in place). What replaces it is decided by the same random numbers for all base models, so
   that those with like weights choose alike. So draw j of all base models shares the population,
   and sums over base models have the right width.

What a base model teaches about its organization is in its forecast too; that is how an
organization that the fit never saw is learned from its base model.

What is random hangs on the seed and on names and months alone, so a base model's draws are the
same whichever others are drawn in the same call, process or machine.

Each base model is treated as the only new one. Several of one organization would teach each
other something through it; to have that, fit them together.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.growth.law import (
    FACTOR,
    LIKELIHOODS,
    SIZE,
    SURGE,
    Months,
    Observed,
    Shared,
)
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.importance import GOOD_K, smoothed_weights
from bayes_hfgrowth.posterior.pairs import (
    BLOCK,
    DEGREES,
    Centre,
    Organization,
    PopulationDraws,
    Weighed,
    draw_points,
    draw_points_of_organization,
    log_likelihoods_of,
    student_constant,
    weigh,
)
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import Floats, SharedDraws

__all__ = [
    "OF_FIT",
    "OF_POPULATION",
    "Conditional",
    "ConditionalDraws",
    "Moves",
    "condition",
    "coupled",
    "random_of",
]

POINTS = 1024
"""Points at which the likelihood of a base model is taken."""

PAIRS = 3
"""Pairs whose likelihood is taken under their own draw, for each draw, at least."""

ROUNDS = 3
"""How often pairs are drawn at most, where the first ones turn out to be badly placed."""

CANDIDATES = 64
"""Draws of the population that are tried in place of one whose weight is too small."""

OF_FIT, OF_POPULATION = 11, 14
"""Purposes of the random numbers that continue period effects, of a fit and of a population."""

KEPT = 300
"""Weights that are kept for the next base model with the same months; each is 350 kB."""

_FROM_POPULATION = 0.3  # share of the points drawn from the population itself
_UNKNOWN = ""  # stands for any organization that the population does not know
_PARTS = 4  # of a month; empty months that begin in the same one are weighed alike at first

type Integers = npt.NDArray[np.int64]


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


class Moves(NamedTuple):
    """Random numbers that decide, alike for all base models, which draws are replaced, and by what.

    Parameters
    ----------
    leave : ndarray, shape (draws,)
        Uniform between 0 and 1.
    candidates : ndarray of int, shape (draws, candidates)
        Draws of the population, in the order in which they are tried.
    heights : ndarray, shape (draws, candidates)
        Uniform between 0 and 1.
    """

    leave: Floats
    candidates: npt.NDArray[np.integer]
    heights: npt.NDArray[np.floating]

    @classmethod
    def of(cls, draws: int, rng: np.random.Generator) -> "Moves":
        """Draw them."""
        shape = (draws, CANDIDATES)
        candidates = rng.integers(0, draws, shape, dtype=np.int32)
        return cls(rng.random(draws), candidates, rng.random(shape, dtype=np.float32))


def coupled(weights: Floats, moves: Moves, rng: np.random.Generator) -> Integers:
    """Draw positions by their weights, as many as can be where they are.

    Each position is kept with probability min(1, J w), for the J weights w, and else replaced by
    rejection sampling in proportion to what the others' weights have above 1 / J.

    Parameters
    ----------
    weights : ndarray, shape (draws,)
        Summing to 1.
    moves : Moves
        The same for weights that are to be coupled with each other, too: where they are alike,
        what they choose is.
    rng : numpy.random.Generator
        For positions that all candidates of `moves` are refused.

    Returns
    -------
    ndarray of int, shape (draws,)
        A maximal coupling of the weights with ``0, 1, 2, ...``.
    """
    number = len(weights)
    scaled = number * weights
    which = np.arange(number)
    moved = np.flatnonzero(moves.leave >= scaled)
    excess = np.maximum(scaled - 1.0, 0.0)
    if len(moved) and excess.max() > 0.0:
        candidates = moves.candidates[moved]
        accepted = moves.heights[moved] * excess.max() < excess[candidates]
        found = candidates[np.arange(len(moved)), accepted.argmax(axis=1)].astype(np.int64)
        refused = np.flatnonzero(~accepted.any(axis=1))
        sums = np.cumsum(excess)
        at = np.searchsorted(sums, rng.random(len(refused)) * sums[-1], side="right")
        found[refused] = np.minimum(at, np.argmax(sums))
        which[moved] = found
    return which


class Conditional:
    """A population posterior made ready for base models that were in no fit.

    It may be pickled and sent to other processes, and used by several threads.

    Parameters
    ----------
    population : PopulationPosterior
        Of an earlier fit.
    seed : int
        Same seed, same draws.
    draws : int
        How many draws of each base model. As many are taken from the population, evenly spaced,
        or some of them several times where it has fewer; draw j is the same for all base models.
    ahead : int
        Purpose, as in `random_of`, of the numbers that continue the period effects: `OF_FIT` for
        the paths that forecasts of a fit's own base models follow.
    """

    def __init__(
        self, population: PopulationPosterior, seed: int, draws: int, ahead: int = OF_POPULATION
    ) -> None:
        self.spec: GrowthSpec = population.spec
        self.seed, self.draws, self._ahead = seed, draws, ahead
        number = population.posterior.sizes["chain"] * population.posterior.sizes["draw"]
        self.population = population.taken((np.arange(draws) * number) // draws)
        self.spreads = np.ascontiguousarray(self.population.spreads)
        self.shared = self.population.shared
        self._covering = self.shared
        self._place = {name: o for o, name in enumerate(population.organizations)}
        means, shares = self.population.of_organizations(tuple(self._place), random_of(seed, 7))
        self._means = np.ascontiguousarray(means.transpose(1, 0, 2))
        self._shares = None if shares is None else np.ascontiguousarray(shares.T)
        self._kept: dict[tuple[object, ...], _Weights] = {}

    def __getstate__(self) -> dict[str, object]:
        known = {name: value for name, value in self.__dict__.items() if name != "moves"}
        return {**known, "_kept": {}}

    @cached_property
    def moves(self) -> Moves:
        """What couples the draws of base models."""
        return Moves.of(self.draws, random_of(self.seed, 15))

    @cached_property
    def middle(self) -> Floats:
        """Middling parameters that all base models share; (SHARED,)."""
        values = self.shared.values.mean(axis=0)
        for k in (FACTOR, SIZE):
            values[k] = np.exp(np.log(self.shared.values[:, k]).mean())
        return np.asarray(values)

    def knows(self, organization: str) -> bool:
        """Whether the population has an organization of this name."""
        return organization in self._place

    def of_base_models(self, organization: str) -> tuple[Floats, Floats]:
        """Means and standard deviations of base models; (draws, parameters) each.

        Of those of the organization if the population knows it, else of those of any.
        """
        if self.knows(organization):
            return self._means[self._place[organization]], self.spreads
        location, between = self.population.global_level
        return location, np.sqrt(between**2 + self.spreads**2)

    def of_organization(self, name: str) -> tuple[Floats, Floats | None]:
        """Means of an organization, and its shares of dormant base models where there are any.

        One that the population does not know is drawn from the global level, each by its name,
        so that two of them share no more than that.

        Parameters
        ----------
        name : str
            The organization.

        Returns
        -------
        means : ndarray, shape (draws, parameters)
            On the scale that is normal.
        shares : ndarray, shape (draws,), or None
        """
        if self.knows(name):
            place = self._place[name]
            return self._means[place], None if self._shares is None else self._shares[place]
        rng = random_of(self.seed, 7, name.encode())
        means, shares = self.population.of_organizations([name], rng)
        return np.ascontiguousarray(means[:, 0]), None if shares is None else shares[:, 0]

    def over_calendar(self, first: int, number: int) -> SharedDraws:
        """What all base models share, its period effects covering calendar months in a row.

        There is one path of them for each draw, the same for all base models.

        Parameters
        ----------
        first, number : int
            As in `bayes_hfgrowth.posterior.simulation.SharedDraws.over`.
        """
        found = self._covering
        if found.period is None:
            return found
        end = found.first + found.period.shape[1]
        if first < found.first or first + number > end:
            known = self.shared.period
            assert known is not None
            begin = min(first, found.first)
            # From sources of their own, so that a path hangs on neither end of what is asked for.
            back = self.shared.first + known.shape[1] - begin
            found = self.shared.continued(begin, back, random_of(self.seed, 13))
            length = max(first + number, end) - begin
            found = found.continued(begin, length, random_of(self.seed, self._ahead))
            self._covering = found
        return found

    def shared_of(self, which: Integers, first: int, number: int, known: int) -> SharedDraws:
        """What forecasts of a base model go with, its draws being coupled to the population's.

        Draw j follows the period effects of its draw of the population as long as something is
        known of them, and from then on has innovations of its own, the same for all base models.

        Parameters
        ----------
        which : ndarray of int, shape (draws,)
            The draw of the population of each.
        first, number : int
            Calendar months to cover, as in `over_calendar`.
        known : int
            Last calendar month that the base model's months lie in; those of the fit are known
            besides.
        """
        whole = self.over_calendar(first, number)
        taken = whole.take(which)
        if whole.period is None or self.shared.period is None:
            return taken
        assert whole.persistence is not None
        assert whole.innovation is not None
        assert taken.period is not None
        known = max(known, self.shared.first + self.shared.period.shape[1] - 1)
        moved = np.flatnonzero(which != np.arange(len(which)))
        own, path = whole.period[moved], taken.period[moved]
        for month in range(known + 1 - whole.first, path.shape[1]):
            step = own[:, month] - whole.persistence[moved] * own[:, month - 1]
            step *= whole.innovation[which[moved]] / whole.innovation[moved]
            path[:, month] = whole.persistence[which[moved]] * path[:, month - 1] + step
        taken.period[moved] = path
        return taken

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

    Returns
    -------
    ConditionalDraws
    """
    spec, draws = conditional.spec, conditional.draws
    n, size = len(history.base_models), conditional.spreads.shape[1]
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
    keys = [
        (history.organizations[o], *(part.tobytes() for part in (own.new, own.calendar, own.share)))
        for o, own in zip(history.organization_of, months, strict=True)
    ]
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
    return Months(
        np.array([0, b - a]),
        months.log_age[a:b].copy(),
        months.previous[a:b].copy(),
        months.new[a:b].copy(),
        months.constants[a:b].copy(),
        months.calendar[a:b].copy(),
        months.share[a:b].copy(),
    )


class _Weights:
    """Weights of all pairs of a draw of the population and a point, for one base model."""

    def __init__(self, conditional: Conditional, organization: str, months: Months) -> None:
        self.conditional = conditional
        self.means, self.spreads = conditional.of_base_models(organization)
        observed, self.population = self._seen(months)
        draws, size = self.means.shape
        parts = (months.new, months.calendar, months.share)
        rng = random_of(
            conditional.seed, 8, organization.encode(), *(part.tobytes() for part in parts)
        )
        normal = rng.standard_normal((size, POINTS))
        stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, POINTS))
        self.weighed = Weighed(
            np.empty((size, POINTS)),
            np.empty(POINTS),
            np.empty(POINTS),
            np.empty((draws, size)),
            np.empty(draws),
            np.empty(draws),
            np.empty((draws, POINTS // BLOCK)),
        )
        centre = Centre(
            self.means.mean(axis=0),
            np.sqrt((self.spreads**2).mean(axis=0)),
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
        """Log likelihood of the months if the base model is not dormant, under each draw."""
        self.log_marginal += self.weighed.heights - np.log(self.spreads).sum(axis=1)
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
            PopulationDraws(self.means, self.spreads, shared.values, shared.over(first, number)),
        )

    def draw(
        self, organization: str, months: Months, rng: np.random.Generator
    ) -> tuple[Floats, Integers, npt.NDArray[np.bool_], float]:
        """Draw pairs.

        Parameters
        ----------
        organization : str
            The base model's organization.
        months : Months
            The base model's months as they are; the weights may be those of nearly the same.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        theta : ndarray, shape (draws, parameters)
        which : ndarray of int, shape (draws,)
            Positions in the population's draws.
        dormant : ndarray of bool, shape (draws,)
        pareto_k : float
        """
        draws = len(self.means)
        means, shares = self.conditional.of_organization(organization)
        log_awake = self.log_marginal
        if shares is not None:
            log_awake = log_awake + np.log1p(-shares)
        part = np.exp(log_awake - log_awake.max())
        part /= part.sum()
        for _ in range(ROUNDS):
            pairs = np.maximum(np.ceil(PAIRS * draws * part).astype(np.int64), 1)
            row = np.repeat(np.arange(draws), pairs)
            theta, ratio = self._pairs(organization, months, means, pairs, rng)
            log_weights = (log_awake - np.log(pairs))[row] + ratio
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
        theta = theta[_within(which, smooth[:, 0], pairs, rng)]
        asleep = rng.random(draws) < dormant[which]
        if asleep.any():  # its months say nothing of its parameters then
            noise = rng.standard_normal((int(asleep.sum()), theta.shape[1]))
            some = which[asleep]
            theta[asleep] = means[some] + self.conditional.spreads[some] * noise
        return theta, which, asleep, float(max(k[0], k_rows[0]))

    def _pairs(
        self,
        organization: str,
        months: Months,
        means: Floats,
        pairs: Integers,
        rng: np.random.Generator,
    ) -> tuple[Floats, Floats]:
        """Draw pairs, so many for each draw of the population.

        Returns
        -------
        theta : ndarray, shape (pairs, parameters)
        ratio : ndarray, shape (pairs,)
            Log likelihood under their own draws, less what it was when they were weighed.
        """
        weighed, conditional = self.weighed, self.conditional
        row = np.repeat(np.arange(len(pairs)), pairs)
        points = np.empty(len(row), dtype=np.int64)
        first = np.cumsum(pairs) - pairs
        uniform = (np.arange(len(row)) - first[row] + rng.random(len(row))) / pairs[row]
        if conditional.knows(organization):
            draw_points(row, uniform, self.population, weighed, points)
        else:
            own = Organization(means, conditional.population.global_level[1], conditional.spreads)
            draw_points_of_organization(pairs, uniform, self.population, own, weighed, rng, points)
        theta = weighed.points[:, points].T + weighed.shifts[row]
        observed, population = self._seen(months)
        if observed.law != SURGE or not len(months.new):
            return theta, np.zeros(len(row))
        exact = np.empty(len(row))
        log_likelihoods_of(observed, population, row, theta, exact)
        return theta, exact - weighed.likelihood[points] - weighed.heights[row]


def _within(
    which: Integers, weights: Floats, pairs: Integers, rng: np.random.Generator
) -> Integers:
    """Draw one of its pairs for each draw of the population that was chosen."""
    last = np.cumsum(pairs) - 1
    first = last - pairs + 1
    sums = np.cumsum(weights)
    before = np.append(0.0, sums)[first]
    # Evenly spaced quantiles for the same row, so that pairs are taken twice only if they must be.
    times = np.bincount(which, minlength=len(pairs))
    rank = np.empty(len(which), dtype=np.int64)
    rank[np.argsort(which, kind="stable")] = np.arange(len(which)) - np.repeat(
        np.cumsum(times) - times, times
    )
    share = (rank + rng.random(len(which))) / times[which]
    found = np.searchsorted(sums, before[which] + share * (sums[last] - before)[which])
    return np.clip(found, first[which], last[which])
