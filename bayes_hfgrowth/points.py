"""The posterior as a chain of the engine ``marginal`` sees it: under points of its own."""

import time
from typing import Any

import numpy as np

from bayes_hfgrowth.crosses import CROSSES, SILENT_CROSSES
from bayes_hfgrowth.growth.law import EXPONENT, Floats
from bayes_hfgrowth.posterior_density import (
    pick_points,
    population_at,
    population_density,
    posterior_density,
    renew_points,
)
from bayes_hfgrowth.proposals import Proposals
from bayes_hfgrowth.straightening import straightened
from bayes_hfgrowth.whitened import Aim, WhitenedPosterior
from bayes_hfgrowth.whitening import ASLEEP, AWAKE, Drawn

__all__ = ["Points", "compile_points"]


class Points:
    """A `bayes_hfgrowth.hamiltonian.Target`.

    Parameters
    ----------
    posterior : WhitenedPosterior
        The posterior.
    aim : Aim
        In which coordinates.
    """

    def __init__(self, posterior: WhitenedPosterior, aim: Aim) -> None:
        self._posterior = posterior
        self._data, self._proposals = posterior.data(aim), aim.proposals
        self._origin = aim.whitening.origin
        self._size, self.held = posterior.layout.size, posterior.layout.held
        members, parameters = aim.proposals.centre.shape
        told = posterior.told
        self._parts, self._others = [], []
        for first, last, crosses in ((0, told, CROSSES), (told, members, SILENT_CROSSES)):
            shape = (last - first, parameters, 2 * parameters * crosses)
            points, weights = np.empty(shape), (shape[0], shape[2])
            self._parts.append((first, points, np.empty(shape), np.empty(weights)))
            # Where points are weighed for a proposal, which may be refused.
            self._others.append((first, points, np.empty(shape), np.empty(weights)))
        self.slow = aim.slow
        self._state = posterior.first_states
        # What was found at places of the present transition, and may be asked for again.
        self._populations: dict[bytes, tuple[Floats, Drawn]] = {}
        self._together: dict[bytes, tuple[Floats, Floats]] = {}

    def coordinates(self, x: Floats, straight: Floats) -> Floats:
        """Coordinates of straightened growth parameters as points of a population at x."""
        return self._proposals_at(x).coordinates(straight)

    def _proposals_at(self, x: Floats) -> Proposals:
        """Where points are drawn for a population at x."""
        _, population = self._population(x)
        shared = np.concatenate([population.shared[[EXPONENT]], population.period])
        return self._proposals.moved(shared - self._origin)

    def renew(self, x: Floats, kept: Floats, rng: np.random.Generator) -> None:
        """Draw points around the kept ones, and read the months there as x has them."""
        self._weigh(self._parts, x, np.ascontiguousarray(kept), rng, fresh=True)

    def _weigh(
        self, parts: list[Any], x: Floats, kept: Floats, rng: np.random.Generator, fresh: bool
    ) -> None:
        data, (_, population) = self._data, self._population(x)
        proposals = self._proposals_at(x)
        for first, points, theta, log_weights in parts:
            renew_points(
                data.law, data.m, first, kept, self._state, rng, proposals.centre,
                proposals.root, data.whitening.pivots, data.months, population.shared,
                population.period, points, theta, log_weights, fresh,
            )  # fmt: skip

    def move_points(self, x: Floats, rng: np.random.Generator) -> float:
        """Let the points follow the population to x; log density there, base models averaged.

        `stay` takes them back to where they were.
        """
        nothing = np.zeros(self._proposals.centre.shape)
        self._weigh(self._others, x, nothing, rng, fresh=False)
        self._parts, self._others = self._others, self._parts
        return self.density(x)[0]

    def stay(self) -> None:
        """Take the last `move_points` back."""
        self._parts, self._others = self._others, self._parts

    def density(self, x: Floats) -> tuple[float, Floats]:
        """Log density of the population at x under the points, and its gradient."""
        told, silent = ((theta, weights) for _, _, theta, weights in self._parts)
        value, slope, point, population = population_density(x, self._data, told, silent)
        self._populations[x.tobytes()] = point, population
        return value, slope

    def pick(self, x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Pick points by their weights at x."""
        data, (point, population) = self._data, self._population(x)
        members, parameters = self._proposals.centre.shape
        picked, uniform = np.zeros(members, dtype=np.int64), rng.random(members)
        theta, kept = np.empty((members, parameters)), np.empty((members, parameters))
        for number, (first, points, at, log_weights) in enumerate(self._parts):
            pick_points(
                at, log_weights, first, number == 1, data.group, population, uniform, picked
            )
            everyone = np.arange(len(at))
            own = picked[first : first + len(at)]
            theta[first : first + len(at)] = at[everyone, :, own]
            kept[first : first + len(at)] = points[everyone, :, own]
        # The months of dormant base models say nothing of what they would be like awake.
        asleep = picked < 0
        noise = rng.standard_normal((int(asleep.sum()), parameters))
        spreads = np.exp(population.log_spreads)
        theta[asleep] = population.means[data.group[asleep]] + spreads * noise
        self._state = np.where(asleep, ASLEEP, AWAKE).astype(np.int64)
        self._populations.clear()
        return point, theta.astype(np.float32), kept

    def joined(self, x: Floats, kept: Floats) -> Floats:
        """Coordinates of population and base models together."""
        self._together.clear()
        point, _ = self._population(x)
        straight = self._proposals_at(x).straight(kept)
        y = self._posterior.whitened(point, straight, self._data.whitening)
        y[self._state == ASLEEP] = 0.0
        return np.concatenate([x, y.ravel()])

    def joint_density(self, xy: Floats) -> tuple[float, Floats]:
        """Log density of population and base models, and its gradient."""
        value, slope, *found = posterior_density(xy, self._data, self._state)
        self._together[xy.tobytes()] = (found[0], found[1])
        return value, slope

    def parted(self, xy: Floats) -> tuple[Floats, Floats]:
        """Population and kept points, the inverse of `joined`."""
        if xy.tobytes() not in self._together:
            self.joint_density(xy)
        point, theta = self._together[xy.tobytes()]
        x = xy[: self._size].copy()
        self._populations[x.tobytes()] = point, population_at(point, self._data)
        straight = straightened(self._data.whitening.pivots, theta)
        return x, self._proposals_at(x).coordinates(straight)

    def _population(self, x: Floats) -> tuple[Floats, Drawn]:
        """The point at x, and the population there; most were met before."""
        if x.tobytes() not in self._populations:
            theta, weights = self._parts[0][2:]
            nothing = np.empty((0, *theta.shape[1:])), np.empty((0, *weights.shape[1:]))
            _, _, point, population = population_density(x, self._data, nothing, nothing)
            self._populations[x.tobytes()] = point, population
        return self._populations[x.tobytes()]


def compile_points(posterior: WhitenedPosterior) -> float:
    """Compile, or load what was compiled before, and tell how many seconds it took."""
    begin = time.perf_counter()
    points = Points(posterior, posterior.blank_aim())
    kept, rng = np.zeros(points._proposals.centre.shape), np.random.default_rng(0)
    x = np.zeros(posterior.layout.size)
    points.renew(x, kept, rng)
    points.density(x)
    points.move_points(x, rng)
    points.pick(x, rng)
    points.joint_density(points.joined(x, kept))
    return time.perf_counter() - begin
