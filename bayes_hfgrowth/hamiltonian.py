"""Hamiltonian Monte Carlo on a population, with base models averaged over random points.

The state of a chain is a population and a point of every base model, which is a draw of its
parameters. A transition

1. moves population and kept points together along a trajectory (Duane, Kennedy, Pendleton and
   Roweth 1987), in coordinates in which base models follow their population;
2. draws further points of every base model around the kept one;
3. moves the population along slow directions, all points following it (Metropolis);
4. moves what does not enter the months along a trajectory with the points as they are;
5. picks a point of each base model in proportion to its weight.

Each part leaves the joint posterior of population and base models as it is, however few points
there are: an exact scheme with a random estimate in the place of the likelihood (Andrieu and
Roberts 2009). What enters the months of every base model, the exponent and the period effects
among them, moves in the first and third part; the fourth moves the rest in long steps, since a
population by itself is a hundred coordinates and not thousands.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bayes_hfgrowth.errors import FitError
from bayes_hfgrowth.growth.law import Floats

__all__ = ["LENGTH", "SHORT", "Chain", "Target"]

LENGTH = 2.5
"""Mean length of a trajectory in standard deviations. A quarter of a normal oscillation is 1.6, but
the longest axes of a population are nearly twice as long as a pilot tells."""

SHORT = 1.6
"""The same for pilots, whose steps are short and which need not come far."""

DIVERGENT = 1000.0
"""Error of the energy from which on a transition counts as divergent, as in Stan."""

ASTRAY = 10.0
"""Error of the energy from which on a second trajectory is tried: where the points happen to make
the density rough, steps that serve elsewhere are too long."""

FINER = 5
"""How much finer its steps are."""

JOINT_STEPS = 16
"""Steps of a trajectory of population and base models together."""

SLOW_STEPS = 2
"""Steps along slow directions in each transition."""

_JOINT_ACCEPT = 0.7  # mean acceptance that their step is tuned to
_MOST_STEPS = 64
_LONGEST_STEP = 1.0
_SLOW_ACCEPT, _LONGEST_SLOW = 0.35, 3.0  # of steps along slow directions
_GAIN = 1.2  # of the first change of a step; falls with the root of their number


class Target(Protocol):
    """What a chain samples; it keeps the points of one chain."""

    held: int
    """How many of the first coordinates the population keeps when it moves by itself."""

    def renew(self, x: Floats, kept: Floats, rng: np.random.Generator) -> None:
        """Draw points around the kept ones, shape (base models, parameters), for x."""

    slow: Floats
    """Directions, shape (directions, size), along which the population moves slowest."""

    def move_points(self, x: Floats, rng: np.random.Generator) -> float:
        """Let the points follow the population to x; log density there."""

    def stay(self) -> None:
        """Take the last `move_points` back."""

    def density(self, x: Floats) -> tuple[float, Floats]:
        """Log density of the population at x under the points, and its gradient."""

    def pick(self, x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Pick points by their weights at x; the population as it is told, parameters, kept."""

    def joined(self, x: Floats, kept: Floats) -> Floats:
        """Coordinates of population and base models together."""

    def joint_density(self, xy: Floats) -> tuple[float, Floats]:
        """Log density of population and base models, and its gradient."""

    def parted(self, xy: Floats) -> tuple[Floats, Floats]:
        """Population and kept points, the inverse of `joined`."""


@dataclass(frozen=True, eq=False)
class _Place:
    """Coordinates, a momentum, and what the density finds there."""

    x: Floats
    momentum: Floats
    value: float
    slope: Floats

    @property
    def energy(self) -> float:
        """Infinite where the density or its gradient is not a number."""
        with np.errstate(over="ignore", invalid="ignore"):
            energy = 0.5 * float(self.momentum @ self.momentum) - self.value
        return energy if math.isfinite(energy) and np.isfinite(self.slope).all() else math.inf


type _Density = Callable[[Floats], tuple[float, Floats]]


def _set_out(density: _Density, x: Floats, rng: np.random.Generator, held: int = 0) -> _Place:
    """A place with a fresh momentum, none along the first coordinates that are held."""
    value, slope = density(x)
    momentum = rng.standard_normal(len(x))
    momentum[:held] = 0.0
    return _Place(x, momentum, value, slope)


def _trajectory(density: _Density, place: _Place, step: float, steps: int) -> tuple[_Place, float]:
    """Go along a trajectory by the leapfrog; its end, about to go back, and the energy's error."""
    end = place
    with np.errstate(over="ignore", invalid="ignore"):  # a trajectory that went wild is refused
        for _ in range(steps):
            momentum = end.momentum + 0.5 * step * end.slope
            x = end.x + step * momentum
            value, slope = density(x)
            end = _Place(x, momentum + 0.5 * step * slope, value, slope)
            if not math.isfinite(end.energy):
                break
        end = _Place(end.x, -end.momentum, end.value, end.slope)
        return end, end.energy - place.energy


def _probability(error: float) -> float:
    """With which the end of a trajectory is accepted; never where the error is not a number."""
    return math.exp(min(-error, 0.0)) if error == error else 0.0


@dataclass(eq=False)
class _Step:
    """A step size and its tuning."""

    size: float
    target: float
    longest: float = _LONGEST_STEP
    logs: list[float] = field(default_factory=list)

    def adapt(self, accepted: float) -> None:
        """Longer after acceptance, shorter after rejection."""
        gain = _GAIN / math.sqrt(len(self.logs) + 1.0)
        self.size = min(self.size * math.exp(gain * (accepted - self.target)), self.longest)
        self.logs.append(math.log(self.size))

    def settle(self) -> None:
        """Keep the mean of the later half."""
        if self.logs:
            self.size = math.exp(np.mean(self.logs[len(self.logs) // 2 :]))


@dataclass(eq=False)
class Chain:
    """One chain.

    Parameters
    ----------
    target : Target
        What to sample.
    x : ndarray, shape (size,)
        Population to start from, in coordinates of order 1.
    kept : ndarray, shape (base models, parameters)
        A point of each base model to start from.
    rng : numpy.random.Generator
        Source of randomness.
    target_accept : float
        Mean acceptance that the step of the population is tuned to.
    length : float
        Mean length of its trajectories, in standard deviations.
    """

    target: Target
    x: Floats
    kept: Floats
    rng: np.random.Generator
    target_accept: float
    length: float = LENGTH
    finished: int = 0
    divergences: int = 0
    draws: dict[str, list[Any]] = field(default_factory=dict)
    step: float = 0.2
    joint_step: float = 0.1
    slow_step: float = 0.5

    def tune(self, number: int, stopped: Callable[[], bool]) -> None:
        """Make transitions that tune the steps and are not kept.

        Parameters
        ----------
        number : int
            Of transitions.
        stopped : callable
            Asked before every transition whether to end.
        """
        own = _Step(self.step, self.target_accept)
        slow = _Step(self.slow_step, _SLOW_ACCEPT, _LONGEST_SLOW)
        joint = _Step(self.joint_step, _JOINT_ACCEPT)
        if not math.isfinite(self.target.joint_density(self.target.joined(self.x, self.kept))[0]):
            raise FitError(
                "the sampler has no start with a finite density; give other priors, or look for "
                "counts that no parameters allow"
            )
        # First the base models find their places in the population that the chain starts from.
        self.target.renew(self.x, self.kept, self.rng)
        self.kept = self.target.pick(self.x, self.rng)[2]
        for _ in range(number):
            if stopped():
                return
            found, accepted = self._advanced()
            own.adapt(float(found["acceptance_rate"]))
            joint.adapt(accepted)
            slow.adapt(float(found["slow_acceptance"]))
            self.step, self.joint_step, self.slow_step = own.size, joint.size, slow.size
        for step in (own, joint, slow):
            step.settle()
        self.step, self.joint_step, self.slow_step = own.size, joint.size, slow.size

    def draw(self, number: int, stopped: Callable[[], bool]) -> None:
        """Make transitions and keep what they find; parameters as for `tune`."""
        for _ in range(number):
            if stopped():
                return
            for name, value in self._advanced()[0].items():
                self.draws.setdefault(name, []).append(value)

    def _advanced(self) -> tuple[dict[str, Any], float]:
        found, accepted = self._transition()
        self.finished += 1
        self.divergences += bool(found["diverging"])
        return found, accepted

    def _transition(self) -> tuple[dict[str, Any], float]:
        """Make a transition; what it found, and the acceptance of its last part."""
        joint = self._move_together()
        self.target.renew(self.x, self.kept, self.rng)
        slow = self._move_slowly()
        found = self._move_population()
        point, theta, self.kept = self.target.pick(self.x, self.rng)
        found["slow_acceptance"] = slow
        return {"point": point, "theta": theta, **found}, joint

    def _move_population(self) -> dict[str, Any]:
        """Move the population; a second trajectory, in finer steps, follows one that went astray.

        The second is accepted so that the way there and the way back are equally likely (delayed
        rejection; Green and Mira 2001).
        """
        density = self.target.density
        begin = _set_out(density, self.x, self.rng, self.target.held)
        step = self.step * self.rng.uniform(0.8, 1.2)
        length = self.length * self.rng.uniform(0.6, 1.4)
        steps = min(max(1, round(length / step)), _MOST_STEPS)
        taken = steps
        now, error = _trajectory(density, begin, step, steps)
        accepted = _probability(error)
        if self.rng.random() >= accepted:
            now = begin
            if error > ASTRAY:
                second, error = _trajectory(density, begin, step / FINER, FINER * steps)
                taken += FINER * steps
                if math.isfinite(error):
                    # What would have been tried first on the way back must have gone astray too.
                    _, back = _trajectory(density, second, step, steps)
                    taken += steps
                    ratio = (1.0 - _probability(back)) / (1.0 - accepted)
                    ratio *= math.exp(min(-error, 50.0)) if back > ASTRAY else 0.0
                    now = second if self.rng.random() < ratio else begin
        self.x = now.x
        return {
            "acceptance_rate": accepted,
            "diverging": not error <= DIVERGENT,
            "energy": begin.energy,
            "energy_error": error,
            "logp": now.value,
            "n_steps": taken,
            "step_size": step,
        }

    def _move_slowly(self) -> float:
        """Move the population along a slow direction, base models averaged; its mean acceptance.

        Their points follow, so that the step is one of the pseudo-marginal Metropolis algorithm
        (Andrieu and Roberts 2009) and need not be as short as one of a trajectory.
        """
        total = 0.0
        for _ in range(SLOW_STEPS):
            now, _ = self.target.density(self.x)
            direction = self.target.slow[self.rng.integers(len(self.target.slow))]
            x = self.x + self.slow_step * self.rng.standard_normal() * direction
            accepted = _probability(now - self.target.move_points(x, self.rng))
            if self.rng.random() < accepted:
                self.x = x
            else:
                self.target.stay()
            total += accepted
        return total / max(SLOW_STEPS, 1)

    def _move_together(self) -> float:
        """Move population and base models along one trajectory; its acceptance."""
        density = self.target.joint_density
        begin = _set_out(density, self.target.joined(self.x, self.kept), self.rng)
        step = self.joint_step * self.rng.uniform(0.8, 1.2)
        end, error = _trajectory(density, begin, step, JOINT_STEPS)
        if self.rng.random() < _probability(error):
            self.x, self.kept = self.target.parted(end.x)
        return _probability(error)
