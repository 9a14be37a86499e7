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

from bayes_hfgrowth.hamiltonian import Chain
from bayes_hfgrowth.points import Points
from bayes_hfgrowth.whitened import Aim, WhitenedPosterior

__all__ = ["OVERDISPERSED", "run_chains"]

OVERDISPERSED = 1.5
"""How much further from the middle chains start than draws of the pilot lie."""

_STATISTICS = (
    "acceptance_rate", "diverging", "energy", "energy_error", "logp", "n_steps", "slow_acceptance",
    "step_size",
)  # fmt: skip


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
    aim : Aim
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
    chains = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        at = rng.integers(len(aim.starts))
        # Further apart than draws of the posterior are, so that R-hat sees who does not come home.
        x, points = OVERDISPERSED * aim.starts[at], Points(posterior, aim)
        kept = points.coordinates(x, aim.kept[at])
        if not np.isfinite(points.joint_density(points.joined(x, kept))[0]):
            x = aim.starts[at]  # that far out nothing may be possible any more
            kept = points.coordinates(x, aim.kept[at])
        chains.append(Chain(points, x, kept, rng, target_accept, length))
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
            for name in ("step", "joint_step", "slow_step"):
                step = float(np.median([getattr(chain, name) for chain in chains]))
                for chain in chains:
                    setattr(chain, name, step)
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
        "theta": ((*lead, "member", "parameter"), stacked("theta")),
    }
    return (
        xr.Dataset(found, coords=coords),
        xr.Dataset({name: (lead, stacked(name)) for name in _STATISTICS}, coords=coords),
    )
