"""Hamiltonian Monte Carlo on a population, with base models averaged over random points.

The state of a chain is a population and the points of every base model. A transition first moves
the population along a trajectory with the points as they are (Duane, Kennedy, Pendleton and
Roweth 1987), then picks a point of each base model and draws the others anew
(`bayes_hfgrowth.crosses`). Both leave the joint distribution as it is, in which the population has
its posterior and the picked points are the base models' given it, however few points there are:
an exact scheme with a random estimate in the place of the likelihood (Andrieu and Roberts 2009).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayes_hfgrowth.crosses import crosses
from bayes_hfgrowth.transition import Floats

__all__ = ["LENGTH", "SHORT", "Chain", "Single", "Target"]

LENGTH = 2.0
"""Mean length of a trajectory in standard deviations. A quarter of a normal oscillation is 1.6, but
the longest axes of a population are nearly twice as long as a pilot tells; with 2.4 the spreads
of most coordinates, which come back after half an oscillation, mixed less well."""

SHORT = 1.2
"""The same for pilots, whose steps are short and which need not come far."""

DIVERGENT = 1000.0
"""Error of the energy from which on a transition counts as divergent, as in Stan."""

FINER = 5
"""How much finer the steps are of the second trajectory that is tried after a rejection."""

_PATIENCE = 0.2
"""Probability that a rejected trajectory is followed by a second one; 1 if it diverged."""

_MOST_STEPS = 64
_WALKS, _OWN_STEPS = 2, 4  # trajectories of a base model by itself, and steps of each
_LOG_OWN_STEPS = (math.log(0.1), math.log(0.9))
_LONGEST_STEP = 1.0
_GAIN = 1.2  # of the first change of the step; falls with the root of their number

type Target = Callable[[Floats, Floats, Floats], tuple[float, Floats, Floats, Floats, Floats]]
"""Log density and its gradient at a population, given points and their log density; then the
population as it is kept, the growth parameters at all points, and the points' log weights."""


type Single = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Log density of each base model, and its gradient, at a population and the base models'
coordinates."""


def _tried_again(error: float) -> float:
    """Probability that a rejected trajectory with such an error is followed by a second one."""
    return _PATIENCE if error <= DIVERGENT else 1.0


@dataclass(frozen=True, eq=False)
class _Place:
    """A population, a momentum, and what the target finds there."""

    x: Floats
    momentum: Floats
    found: tuple[float, Floats, Floats, Floats, Floats]

    @property
    def energy(self) -> float:
        """Infinite where the density or its gradient is not a number."""
        with np.errstate(over="ignore", invalid="ignore"):
            energy = 0.5 * float(self.momentum @ self.momentum) - self.found[0]
        return energy if math.isfinite(energy) else math.inf

    def reversed(self) -> "_Place":
        """The same place, about to go back."""
        return _Place(self.x, -self.momentum, self.found)


@dataclass(eq=False)
class Chain:
    """One chain.

    Parameters
    ----------
    target : callable
        What to sample.
    single : callable
        The base models by themselves.
    x : ndarray, shape (size,)
        Population to start from, in coordinates of order 1.
    kept : ndarray, shape (base models, parameters)
        A point of each base model to start from.
    rng : numpy.random.Generator
        Source of randomness.
    target_accept : float
        Mean acceptance that the step is tuned to.
    length : float
        Mean length of a trajectory, in standard deviations.
    """

    target: Target
    single: Single
    x: Floats
    kept: Floats
    rng: np.random.Generator
    target_accept: float
    length: float = LENGTH
    step: float = 0.3
    finished: int = 0
    divergences: int = 0
    draws: dict[str, list[Any]] = field(default_factory=dict)
    _tuned: int = 0
    _log_steps: list[float] = field(default_factory=list)

    def tune(self, number: int, stopped: Callable[[], bool]) -> None:
        """Make transitions that tune the step and are not kept.

        Parameters
        ----------
        number : int
            Of transitions.
        stopped : callable
            Asked before every transition whether to end.
        """
        for _ in range(number):
            if stopped():
                return
            self._adapt(float(self._advanced()["acceptance_rate"]))
        if self._log_steps:
            self.step = math.exp(np.mean(self._log_steps[len(self._log_steps) // 2 :]))

    def draw(self, number: int, stopped: Callable[[], bool]) -> None:
        """Make transitions and keep what they find; parameters as for `tune`."""
        for _ in range(number):
            if stopped():
                return
            for name, value in self._advanced().items():
                self.draws.setdefault(name, []).append(value)

    def _advanced(self) -> dict[str, Any]:
        found = self._transition()
        self.finished += 1
        self.divergences += bool(found["diverging"])
        return found

    def _transition(self) -> dict[str, Any]:
        """Move the population, then renew the points."""
        for _ in range(_WALKS):
            self._move_kept()
        points, log_proposal = crosses(self.kept.shape, self.rng, self.kept)
        begin = _Place(
            self.x, self.rng.standard_normal(len(self.x)), self.target(self.x, points, log_proposal)
        )
        step = self.step * self.rng.uniform(0.8, 1.2)
        length = self.length * self.rng.uniform(0.6, 1.4)

        def far(place: _Place, finer: int) -> tuple[_Place, float, int]:
            """End of a trajectory, its probability of acceptance, and its steps."""
            steps = finer * min(max(1, round(length / step)), _MOST_STEPS)
            end = place
            for _ in range(steps):
                end = self._leap(end, step / finer, points, log_proposal)
                if not math.isfinite(end.energy):
                    break
            return end.reversed(), math.exp(min(place.energy - end.energy, 0.0)), steps

        first, accepted, steps = far(begin, 1)
        error = first.energy - begin.energy
        tried_again = _tried_again(error)
        now = begin
        if self.rng.random() < accepted:
            now = first
        elif self.rng.random() < tried_again:
            second, _, more = far(begin, FINER)
            steps += more
            if math.isfinite(second.energy):
                # What would have been tried first on the way back.
                ghost, ghost_accepted, again = far(second, 1)
                steps += again
                back = (1.0 - ghost_accepted) * _tried_again(ghost.energy - second.energy)
                ratio = math.exp(min(begin.energy - second.energy, 50.0))
                if self.rng.random() * (1.0 - accepted) * tried_again < ratio * back:
                    now = second
            error = min(error, second.energy - begin.energy, key=abs)
        self.x = now.x
        value, _, point, theta, log_weights = now.found
        picked = self._pick(log_weights)
        everyone = np.arange(len(picked))
        self.kept = points[picked, everyone]
        return {
            "point": point,
            "theta": theta[picked, everyone],
            "acceptance_rate": accepted,
            "diverging": not error <= DIVERGENT,
            "energy": begin.energy,
            "energy_error": error,
            "logp": value,
            "n_steps": steps,
            "step_size": step,
        }

    def _move_kept(self) -> None:
        """Move each kept point along a short trajectory of its own, the population held.

        A point far out is seldom met by one drawn anew; it must be able to walk back.
        """
        n = len(self.kept)
        step = np.exp(self.rng.uniform(*_LOG_OWN_STEPS, (n, 1)))
        momentum = self.rng.standard_normal(self.kept.shape)
        value, slope = self.single(self.x, self.kept)
        energy = 0.5 * (momentum**2).sum(axis=1) - value
        y = self.kept
        for _ in range(_OWN_STEPS):
            momentum = momentum + 0.5 * step * slope
            y = y + step * momentum
            value, slope = self.single(self.x, y)
            momentum = momentum + 0.5 * step * slope
        with np.errstate(over="ignore", invalid="ignore"):  # a trajectory that went wild is refused
            error = 0.5 * (momentum**2).sum(axis=1) - value - energy
        accepted = -np.log(self.rng.random(n)) > np.nan_to_num(error, nan=np.inf)
        self.kept = np.where(accepted[:, None], y, self.kept)

    def _leap(self, place: "_Place", step: float, points: Floats, log_proposal: Floats) -> "_Place":
        """One step of the leapfrog."""
        momentum = place.momentum + 0.5 * step * place.found[1]
        x = place.x + step * momentum
        found = self.target(x, points, log_proposal)
        return _Place(x, momentum + 0.5 * step * found[1], found)

    def _pick(self, log_weights: Floats) -> Any:
        """Pick a point of each base model in proportion to its weight."""
        if log_weights.shape[1] == 0:
            return np.empty(0, dtype=np.int64)
        weights = np.exp(log_weights - log_weights.max(axis=0))
        heights = np.cumsum(weights, axis=0)
        chosen = (self.rng.random(weights.shape[1]) * heights[-1] >= heights).sum(axis=0)
        return np.minimum(chosen, len(weights) - 1)

    def _adapt(self, accepted: float) -> None:
        self._tuned += 1
        gain = _GAIN / math.sqrt(self._tuned)
        self.step = min(self.step * math.exp(gain * (accepted - self.target_accept)), _LONGEST_STEP)
        self._log_steps.append(math.log(self.step))
