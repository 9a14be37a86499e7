"""The engine ``marginal``: the population moves, its base models averaged over random points.

Coordinates are those of `bayes_hfgrowth.whitened`, aimed by short pilot runs, and the sampler is
that of `bayes_hfgrowth.hamiltonian`. In place of some thousand coordinates only the hundred of
the population move along trajectories, which may then take few and long steps.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import numpy as np
import xarray as xr

from bayes_hfgrowth.crosses import crosses
from bayes_hfgrowth.hamiltonian import Chain
from bayes_hfgrowth.transition import Floats
from bayes_hfgrowth.whitened import Aim, WhitenedPosterior

__all__ = ["by_curvature", "run_chains"]

_PLACES = 4  # draws of a pilot at which the curvature is taken
_STEP = 0.1  # of the finite differences, in standard deviations
_LEAST, _MOST = 0.05, 1e4  # bounds of the curvature in the pilot's units
_STATISTICS = (
    "acceptance_rate", "diverging", "energy", "energy_error", "logp", "n_steps", "step_size",
)  # fmt: skip


def by_curvature(
    posterior: WhitenedPosterior, aim: Aim, seed: np.random.SeedSequence, cores: int
) -> Aim:
    """Turn and scale the population by its mean curvature at draws of a pilot.

    A short pilot knows the spread of a hundred coordinates, but not all their correlations; the
    curvature is known as soon as the place is.

    Parameters
    ----------
    posterior : WhitenedPosterior
        The posterior.
    aim : dict
        From `WhitenedPosterior.aim_by`.
    seed : numpy.random.SeedSequence
        Source of the points that base models are averaged over.
    cores : int
        Places that are worked on at once.
    """
    target, size = posterior.averaged(aim), posterior.layout.size
    starts = aim["starts"]
    places = np.linspace(0, len(starts) - 1, _PLACES).astype(np.int64)

    def curvature(place: int, own: np.random.SeedSequence) -> Floats:
        x, kept = posterior.split(starts[place])
        at = crosses(kept.shape, np.random.default_rng(own), kept)
        units = _STEP * np.eye(size)
        sides = [[target(x + side * unit, *at)[1] for side in (-1.0, 1.0)] for unit in units]
        minus = np.array([below - above for below, above in sides]) / (2.0 * _STEP)
        return np.asarray(0.5 * (minus + minus.T))

    with ThreadPoolExecutor(cores) as pool:
        found = list(pool.map(curvature, places, seed.spawn(_PLACES)))
    usable = [one for one in found if np.isfinite(one).all()]
    if not usable:
        return aim
    values, vectors = np.linalg.eigh(np.mean(usable, axis=0))
    scale = np.linalg.cholesky((vectors / np.clip(values, _LEAST, _MOST)) @ vectors.T)
    starts = starts.copy()
    starts[:, :size] = np.linalg.solve(scale, starts[:, :size].T).T
    return {**aim, "scale": np.tril(aim["scale"] @ scale), "starts": starts}


def run_chains(
    posterior: WhitenedPosterior,
    aim: Aim,
    seeds: Sequence[np.random.SeedSequence],
    tune: int,
    draws: int,
    target_accept: float,
    length: float,
    cores: int,
    advance: Callable[[int, str], None],
) -> tuple[xr.Dataset, xr.Dataset]:
    """Run a chain for each seed.

    Parameters
    ----------
    posterior : WhitenedPosterior
        What to sample.
    aim : dict
        In which coordinates, and where to start from.
    seeds : sequence of numpy.random.SeedSequence
        One for each chain.
    tune, draws : int
        Warm-up and kept transitions of each.
    target_accept : float
        Mean acceptance that the step is tuned to.
    length : float
        Mean length of the trajectories, in standard deviations.
    cores : int
        Chains that run at once.
    advance : callable
        Told the number of transitions so far and a remark.

    Returns
    -------
    draws : xarray.Dataset
        ``point`` and ``theta`` over ``chain`` and ``draw``.
    statistics : xarray.Dataset
        Of the transitions, under the names that ArviZ knows.
    """
    target, single = posterior.averaged(aim), posterior.singles(aim)
    chains = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        x, kept = posterior.split(aim["starts"][rng.integers(len(aim["starts"]))])
        chains.append(Chain(target, single, x, kept, rng, target_accept, length))
    stop = Event()
    with ThreadPoolExecutor(cores) as pool:

        def each(work: Callable[[Chain], None]) -> None:
            waiting = {pool.submit(work, chain) for chain in chains}
            while waiting:
                done, waiting = wait(waiting, timeout=0.2)
                for finished in done:
                    finished.result()
                divergences = sum(chain.divergences for chain in chains)
                advance(
                    sum(chain.finished for chain in chains),
                    f"{divergences} divergences, warm-up included" if divergences else "",
                )

        try:
            each(lambda chain: chain.tune(tune, stop.is_set))
            # One chain with a poor start must not go on in steps far too small.
            step = float(np.median([chain.step for chain in chains]))
            for chain in chains:
                chain.step = step
            each(lambda chain: chain.draw(draws, stop.is_set))
        except BaseException:
            stop.set()
            raise

    def stacked(name: str) -> Any:
        return np.array([chain.draws[name] for chain in chains])

    lead = ("chain", "draw")
    coords = {"chain": np.arange(len(chains)), "draw": np.arange(draws)}
    found = {
        "point": ((*lead, "coordinate"), stacked("point")),
        "theta": ((*lead, "told", "parameter"), stacked("theta")),
    }
    return (
        xr.Dataset(found, coords=coords),
        xr.Dataset({name: (lead, stacked(name)) for name in _STATISTICS}, coords=coords),
    )
