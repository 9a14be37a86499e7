"""The posterior as a chain of the engine ``marginal`` sees it: under points of its own."""

import time
from pathlib import Path

import joblib
import numpy as np

from bayes_hfgrowth.growth.transition import Floats
from bayes_hfgrowth.inference.adaptation import Aim, WhitenedPosterior
from bayes_hfgrowth.inference.crosses import CROSSES
from bayes_hfgrowth.inference.posterior_density import (
    compile_base_models,
    compile_population,
    pick_points,
    population_density,
    renew_points,
)
from bayes_hfgrowth.inference.ridge import straightened
from bayes_hfgrowth.inference.summaries import Summaries, whitened_draws
from bayes_hfgrowth.support.cluster import beside

__all__ = ["Points", "compile_points"]

_OF_MONTHS = ("start", "log_age", "previous", "new", "constants")


class Points:
    """A `bayes_hfgrowth.inference.hamiltonian.Target`.

    Parameters
    ----------
    posterior : WhitenedPosterior
        The posterior; its carry-over must be fixed, since the months are read once a transition.
    aim : dict
        In which coordinates.
    """

    def __init__(self, posterior: WhitenedPosterior, aim: Aim) -> None:
        self._posterior, self._proposals = posterior, aim["proposals"]
        self._data = posterior.data(aim)
        self._summaries = Summaries(self._data["precision"], self._data["weighted"])
        self._size = posterior.layout.size
        members, parameters = self._proposals.centre.shape
        number = 2 * parameters * CROSSES
        self._points = np.empty((members, parameters, number))
        self._theta = np.empty((members, parameters, number))
        self._log_weights = np.empty((members, number))
        # What was found at places of the present transition, and may be asked for again.
        self._populations: dict[bytes, Floats] = {}
        self._together: dict[bytes, tuple[Floats, Floats]] = {}

    def renew(self, kept: Floats, rng: np.random.Generator) -> None:
        """Draw points around the kept ones."""
        data = self._data
        renew_points(
            np.ascontiguousarray(kept), rng, data["law"], self._proposals.centre,
            self._proposals.root, data["pivots"], *(data[name] for name in _OF_MONTHS), data["m"],
            data["fixed_carry"], self._points, self._theta, self._log_weights,
        )  # fmt: skip
        self._populations.clear()

    def density(self, x: Floats) -> tuple[float, Floats]:
        """Log density of the population at x under the points, and its gradient."""
        value, slope, point = population_density(x, self._data, self._theta, self._log_weights)
        self._populations[x.tobytes()] = point
        return value, slope

    def pick(self, x: Floats, uniform: Floats) -> tuple[Floats, Floats, Floats]:
        """Pick points by their weights at x."""
        picked, point = np.zeros(len(uniform), dtype=np.int64), self._population(x)
        pick_points(
            point, self._data["places"], self._data["fixed_carry"],
            len(self._data["silent_number"]), self._theta, self._log_weights,
            self._data["group"], uniform, picked,
        )  # fmt: skip
        everyone = np.arange(len(picked))
        return point, self._theta[everyone, :, picked], self._points[everyone, :, picked]

    def joined(self, x: Floats, kept: Floats) -> Floats:
        """Coordinates of population and base models together."""
        self._together.clear()
        parts = self._posterior.layout.read(self._population(x))
        y = whitened_draws(
            self._proposals.straight(kept)[None],
            parts["means"][self._data["group"]][None],
            parts["spreads"][None],
            self._summaries,
        )
        return np.concatenate([x, y.ravel()])

    def joint_density(self, xy: Floats) -> tuple[float, Floats]:
        """Log density of population and base models, and its gradient."""
        value, slope, *found = self._posterior.joint_density(xy, **self._data)
        self._together[xy.tobytes()] = (found[0], found[1])
        return value, slope

    def parted(self, xy: Floats) -> tuple[Floats, Floats]:
        """Population and kept points, the inverse of `joined`."""
        if xy.tobytes() not in self._together:
            self.joint_density(xy)
        point, theta = self._together[xy.tobytes()]
        x = xy[: self._size].copy()
        self._populations[x.tobytes()] = point
        straight = straightened(self._data["pivots"], theta)
        return x, self._proposals.coordinates(straight)

    def _population(self, x: Floats) -> Floats:
        """The point at x; most were met before."""
        if x.tobytes() not in self._populations:
            nothing = np.zeros(self._proposals.centre.size)
            _, _, point, _ = self._posterior.joint_density(
                np.concatenate([x, nothing]), **self._data
            )
            self._populations[x.tobytes()] = point
        return self._populations[x.tobytes()]


def compile_points(posterior: WhitenedPosterior) -> float:
    """Compile, or load what was compiled before, and tell how many seconds it took.

    Where nothing was compiled before, another process takes a part of it over, through Numba's
    cache on disk.
    """
    begin = time.perf_counter()
    points = Points(posterior, posterior.blank_aim())
    parts = [(posterior,)] if joblib.cpu_count() > 1 and not _compiled_before() else []
    with beside(_compile_base_models, parts) as finished:
        members = points._proposals.centre.shape
        points.renew(np.zeros(members), np.random.default_rng(0))
        compile_population(points._data)
        finished()
    x = np.zeros(posterior.layout.size)
    points.density(x)
    points.pick(x, np.zeros(members[0]))
    points.joint_density(points.joined(x, np.zeros(members)))
    return time.perf_counter() - begin


def _compile_base_models(posterior: WhitenedPosterior) -> None:
    compile_base_models(posterior.data(posterior.blank_aim()))


def _compiled_before() -> bool:
    """Whether Numba's cache holds some version of it; if an old one, only time is lost."""
    return any(Path(renew_points.stats.cache_path).glob("*renew_points*.nbc"))
