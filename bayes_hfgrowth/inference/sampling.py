"""Draw from the posterior: two engines, one posterior, one set of posterior variables.

Both are the No-U-Turn sampler of nutpie. ``marginal`` runs it on a compiled density in coordinates
that short pilot runs find (`bayes_hfgrowth.inference.marginal`); it is the fast one. ``nuts`` runs
it on the PyMC model of `bayes_hfgrowth.model.pymc_model` as it stands, non-centred; it is the
reference.
"""

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import joblib
import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from bayes_hfgrowth.inference.adaptation import NonCentredPosterior
from bayes_hfgrowth.inference.marginal import compiled_for
from bayes_hfgrowth.inference.posterior_density import posterior_density
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.errors import FitError
from bayes_hfgrowth.support.progress import Progress

__all__ = ["Engine", "Settings", "sample"]

# Of the engine marginal, whose coordinates are nearly standard normal: trajectories that follow a
# standard normal exactly (Shahbaba, Lan, Johnson and Neal 2014) take steps half as long again, and
# need few doublings.
_NEARLY_NORMAL: dict[str, Any] = {"exact_normal_trajectory": True, "maxdepth": 8}

_LONGEST = 300  # draws of a pilot run beyond those asked for

type Engine = Literal["marginal", "nuts"]


@dataclass(frozen=True)
class Settings:
    """How to run the sampler.

    Parameters
    ----------
    draws, tune : int
        Kept draws and warm-up draws of each chain.
    chains : int
        Independent chains.
    seed : int
        Same seed, same machine: same draws.
    target_accept : float
        Mean acceptance the step size is tuned to.
    cores : int or None
        Chains that run at once; all cores when None.
    engine : {"marginal", "nuts"}
        How to sample.
    pilots : tuple of (int, int)
        Warm-up draws and draws of the pilot runs of ``marginal``, each in coordinates that come of
        what went before it. They enter no result. The last one has at least a quarter of `draws`,
        but no more than 300 for that reason: a long run pays for better coordinates.
    """

    draws: int = 1000
    tune: int = 100
    chains: int = 4
    seed: int = 0
    target_accept: float = 0.7
    cores: int | None = None
    engine: Engine = "marginal"
    pilots: tuple[tuple[int, int], ...] = ((60, 40), (60, 60))


def sample(
    spec: GrowthSpec, history: History, settings: Settings, progress: Progress
) -> tuple[xr.Dataset, xr.Dataset, dict[str, float]]:
    """Run an engine.

    Parameters
    ----------
    spec : GrowthSpec
        The growth model.
    history : History
        The observed months.
    settings : Settings
        How to run.
    progress : Progress
        Told of each stage.

    Returns
    -------
    posterior : xarray.Dataset
        Over ``chain`` and ``draw``, the variables that
        `bayes_hfgrowth.model.pymc_model.build_model` names.
    sample_stats : xarray.Dataset
        nutpie's statistics of the draws.
    seconds : dict of str to float
        Time spent on ``compilation`` and on ``sampling``.

    Raises
    ------
    FitError
        If no start has a finite density, or a chain ran away to values that no float holds.
    """
    if settings.engine == "nuts":
        found = _sample_plain(spec, history, settings, progress)
    else:
        # The matrices are small, and chains of their own use the cores better than threads of
        # BLAS, whose number would change the last bits.
        with threadpool_limits(1, user_api="blas"):
            found = _sample_adapted(spec, history, settings, progress)
    _refuse_runaways(found[0])
    return found


def _refuse_runaways(posterior: xr.Dataset) -> None:
    """Stop at a draw that no forecast can start from."""
    for name, values in posterior.data_vars.items():
        beyond = values.where(~np.isfinite(values), drop=True)
        if beyond.size:
            places = [dim for dim in beyond.dims if dim not in ("chain", "draw")]
            where = "".join(f" of {beyond[dim].to_numpy()[0]}" for dim in places)
            chain = beyond["chain"].to_numpy()[0]
            raise FitError(
                f"{name}{where} ran away beyond all numbers in chain {chain}; give --tune more "
                "draws, or narrower priors"
            )


def _compile(spec: GrowthSpec, history: History) -> Any:
    """Compile the PyMC model.

    Its arithmetic rounds alike whether code is fresh or from PyTensor's cache. With the default,
    ``fastmath``, the first run on a machine differs in the last bits from later ones, and a chain
    makes all bits of that.
    """
    import nutpie
    import pytensor

    from bayes_hfgrowth.model.pymc_model import build_model

    with pytensor.config.change_flags(numba__fastmath=False):
        return nutpie.compile_pymc_model(build_model(spec, history))


def _run(
    compiled: Any, settings: Settings, progress: Progress, title: str, **more: Any
) -> xr.DataTree:
    """Run nutpie in the background, so that it can be watched and interrupted."""
    import nutpie  # and ArviZ with its plots: whoever reads a fit need not wait for them

    options: dict[str, Any] = {
        "draws": settings.draws,
        "tune": settings.tune,
        "chains": settings.chains,
        "cores": settings.cores or min(settings.chains, joblib.cpu_count()),
        "seed": settings.seed,
        "target_accept": settings.target_accept,
        "save_warmup": False,
        "progress_bar": False,
        **more,
    }
    total = options["chains"] * (options["tune"] + options["draws"])
    with progress.stage(title, total) as advance:

        def report(chains: list[Any]) -> None:
            divergences = sum(chain.divergences for chain in chains)
            advance(
                sum(chain.finished_draws for chain in chains),
                f"{divergences} divergences, warm-up included" if divergences else "",
            )

        running = nutpie.sample(
            compiled, blocking=False, progress_callback=report, progress_rate=200, **options
        )
        try:
            return running.wait()
        except BaseException:
            running.cancel()
            raise


def _statistics(tree: xr.DataTree) -> xr.Dataset:
    """The numeric statistics; object columns cannot be written to a file."""
    stats = tree["sample_stats"].to_dataset()
    return stats.drop_vars([name for name in stats.data_vars if stats[name].dtype == object])


def _sample_plain(
    spec: GrowthSpec, history: History, settings: Settings, progress: Progress
) -> tuple[xr.Dataset, xr.Dataset, dict[str, float]]:
    begin = time.perf_counter()
    with progress.stage("compile"):
        compiled = _compile(spec, history)
    compilation = time.perf_counter() - begin
    begin = time.perf_counter()
    tree = _run(compiled, settings, progress, "sample")
    posterior = tree["posterior"].to_dataset()
    internal = [
        name
        for name in posterior.data_vars
        if str(name).endswith(("_offset", "_innovations")) or str(name).startswith("location_")
    ]
    posterior = posterior.drop_vars(internal)
    seconds = {"compilation": compilation, "sampling": time.perf_counter() - begin}
    return posterior, _statistics(tree), seconds


def _sample_adapted(
    spec: GrowthSpec, history: History, settings: Settings, progress: Progress
) -> tuple[xr.Dataset, xr.Dataset, dict[str, float]]:
    """Find coordinates by pilot runs, then sample."""
    posterior = NonCentredPosterior(spec, history)
    begin = time.perf_counter()
    with progress.stage("compile"):
        posterior_density(np.zeros(posterior.dimensions), posterior.blank_data())
    compilation = time.perf_counter() - begin
    begin = time.perf_counter()
    with progress.stage("adapt"):
        adaptation = posterior.adapt_blind(np.random.default_rng(_stage_seed(settings.seed, 6)))
    for number, (tune, draws) in enumerate(settings.pilots, start=1):
        least = min(settings.draws // 4, _LONGEST) if number == len(settings.pilots) else 0
        pilot = replace(
            settings,
            tune=tune,
            draws=max(draws, least),
            chains=4,
            seed=_stage_seed(settings.seed, number),
        )
        compiled = compiled_for(posterior, adaptation)
        tree = _run(compiled, pilot, progress, f"pilot {number}", **_NEARLY_NORMAL)
        with progress.stage("adapt"):
            adaptation = posterior.adapt_to(_draws_of(tree))
    tree = _run(compiled_for(posterior, adaptation), settings, progress, "sample", **_NEARLY_NORMAL)
    named = posterior.named(_draws_of(tree), np.random.default_rng(_stage_seed(settings.seed, 5)))
    seconds = {"compilation": compilation, "sampling": time.perf_counter() - begin}
    return named, _statistics(tree), seconds


def _draws_of(tree: xr.DataTree) -> xr.Dataset:
    """``point`` and ``theta``; the latter takes most of the memory, and half is precise enough."""
    found = tree["posterior"].to_dataset()
    return found.assign(theta=found["theta"].astype(np.float32))


def _stage_seed(seed: int, stage: int) -> int:
    """Independent seed for one stage of a run."""
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
