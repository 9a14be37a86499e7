"""Fit a growth model to a panel, and ask the fit questions."""

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from bayes_hfgrowth.comparison import Comparison, compare
from bayes_hfgrowth.diagnostics import Diagnostics, diagnose
from bayes_hfgrowth.forecast.paths import Forecast, forecast
from bayes_hfgrowth.forecast.updating import Update, update
from bayes_hfgrowth.inference.sampling import Engine, Settings, sample
from bayes_hfgrowth.model.priors import draw_prior, log_prior
from bayes_hfgrowth.model.specification import GrowthSpec, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import check_convergence, population_names
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FORMAT, FittedDraws, read_tree
from bayes_hfgrowth.posterior.sharing import Shared
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    dormancy_shares,
    log_likelihood,
    narrowed,
    replicates,
)
from bayes_hfgrowth.support.errors import FitError
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.progress import Progress

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["GrowthFit", "GrowthModel", "load_fit"]

PRIOR_DRAWS = 500
"""Draws from the prior that a fit keeps."""

POINTWISE_CELLS = 10_000_000
"""Most draws times months that the pointwise groups keep; beyond it the draws are thinned."""

LARGEST_SEED = 2**64 - 1
"""The sampler takes no larger one."""

MANTISSA = 9
"""Bits that the draws of base models are kept with: good to 1 in 1,000, far below their Monte
Carlo error."""

LEAST_POINTWISE = 100
"""Draws that the pointwise groups keep of the largest panel; leave-one-out needs some."""

_PACKAGES = ("bayes-hfgrowth", "pymc", "pytensor", "nutpie", "arviz", "numpy", "xarray", "pandas")


class GrowthFit(FittedDraws, Shared):
    """A fitted growth model.

    Made by `GrowthModel.fit`, `load_fit` or `from_pretrained`. `tree` is an
    `xarray.DataTree` in ArviZ's groups; ``fit.posterior`` and ``fit.history`` are its draws and
    the months behind them.
    """

    _kind = "fit"
    _shared_files = ("fit.nc",)

    @classmethod
    def _read_shared(cls, path: Path) -> Self:
        return cls(read_tree(path))

    def forecast(
        self,
        months: int | None = None,
        base_models: Iterable[str] | None = None,
        seed: int | None = None,
        *,
        until: Date | None = None,
    ) -> Forecast:
        """Forecast cumulative fine-tunes; see `bayes_hfgrowth.forecast.paths.forecast`."""
        return forecast(self, months, base_models, seed, until=until)

    def update(self, panel: Panel, seed: int | None = None) -> Update:
        """Condition it on months that came later; see `bayes_hfgrowth.forecast.updating.update`."""
        return update(self, panel, seed)

    def compare(self, organizations: Sequence[str], seed: int | None = None) -> Comparison:
        """Compare organizations; see `bayes_hfgrowth.comparison.compare`."""
        return compare(self, organizations, seed)

    def diagnose(self, panel: Panel | None = None) -> Diagnostics:
        """Convergence and posterior predictive checks; see `bayes_hfgrowth.diagnostics`.

        Parameters
        ----------
        panel : Panel, optional
            The panel that was fitted, if it came from the Hub: it tells whether one author or
            many made a surge.
        """
        return diagnose(self, panel)


@dataclass(frozen=True)
class GrowthModel:
    """A growth model that can be fitted to panels.

    Parameters
    ----------
    specification : str, path-like or GrowthSpec
        Name of a shipped growth model (``"surge"``, ``"bursts"``, ``"reinforced"``,
        ``"citation"``), a path to a specification file, or a specification.

    Raises
    ------
    SpecificationError
        When the specification cannot be found or breaks a rule.
    """

    specification: str | os.PathLike[str] | GrowthSpec = "surge"

    def __post_init__(self) -> None:
        chosen = self.specification
        if isinstance(chosen, os.PathLike):
            chosen = Path(chosen)
        if not isinstance(chosen, GrowthSpec):
            object.__setattr__(self, "specification", read_spec(chosen))

    @property
    def spec(self) -> GrowthSpec:
        """The specification, read and checked."""
        assert isinstance(self.specification, GrowthSpec)
        return self.specification

    def pymc_model(self, panel: Panel) -> "pm.Model":
        """Make the hierarchical PyMC model of a panel, to look at or to sample by hand."""
        from bayes_hfgrowth.model.pymc_model import build_model

        return build_model(self.spec, checked_history(panel))

    def fit(
        self,
        panel: Panel,
        *,
        draws: int = 1000,
        tune: int = 100,
        chains: int = 4,
        seed: int | None = None,
        target_accept: float = 0.7,
        cores: int | None = None,
        engine: Engine = "marginal",
        progress: bool = True,
    ) -> GrowthFit:
        """Sample the posterior.

        Parameters
        ----------
        panel : Panel
            The data; cut it with `Panel.as_of` to fit what was known at an earlier date.
        draws, tune : int
            Kept draws and warm-up draws of each chain.
        chains : int
            Independent chains, at least 2: R-hat needs them.
        seed : int, optional
            Same seed, same machine: same numbers. Drawn and stored when not given.
        target_accept : float
            Mean acceptance that the step size is tuned to, between 0.5 and 1.
        cores : int, optional
            Chains that run at once; all cores by default.
        engine : {"marginal", "nuts"}
            How to sample, see `bayes_hfgrowth.inference.sampling`. Same posterior.
        progress : bool
            Whether to show progress on standard error.

        Returns
        -------
        GrowthFit
            With the verdict on convergence in ``.convergence``; look at it.

        Raises
        ------
        FitError
            When the panel holds no month at all, or a setting is out of range.
        """
        spec = self.spec
        if seed is None:
            seed = np.random.SeedSequence().generate_state(1)[0]
        seed = index(seed)  # NumPy's integers cannot be written as JSON
        settings = Settings(
            index(draws), index(tune), index(chains), seed, float(target_accept), cores, engine
        )
        check_settings(settings)
        history = checked_history(panel)
        shown = Progress(progress)
        posterior, sample_stats, seconds = sample(spec, history, settings, shown)
        singles = [n for n in posterior.data_vars if n not in population_names(posterior)]
        posterior = posterior.assign({name: rounded(posterior[name]) for name in singles})
        begin = time.perf_counter()
        # The replicates are compiled code, which leaves Python free for the checks meanwhile.
        with shown.stage("check and replicate"), ThreadPoolExecutor(1) as pool:
            replicating = pool.submit(_pointwise_groups, spec, history, posterior, seed)
            moved = history.months > 0 if settings.engine != "nuts" else None
            verdict = check_convergence(posterior, sample_stats, moved)
            groups = replicating.result()
        seconds["checks and replicates"] = time.perf_counter() - begin
        about = {
            "format": FORMAT,
            "specification": json.loads(spec.to_json()),
            "panel": _about_panel(panel),
            "sampler": asdict(settings),
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
            "seed": seed,
            "pointwise_every": groups.pop("every"),
            "convergence": json.loads(verdict.to_json()),
            "versions": _versions(),
        }
        observed, constant = history.to_datasets()
        tree = xr.DataTree.from_dict(
            {
                "posterior": posterior,
                "sample_stats": sample_stats,
                **groups,
                "observed_data": observed,
                "constant_data": constant,
            }
        )
        tree.attrs[ATTRIBUTE] = json.dumps(about)
        return GrowthFit(tree)


def load_fit(path: str | os.PathLike[str]) -> GrowthFit:
    """Read a fit file.

    Parameters
    ----------
    path : path-like
        NetCDF file written by `GrowthFit.save` or ``hfgrowth fit``.

    Raises
    ------
    FitError
        When the file is missing, damaged, or not a fit of this package.
    """
    return GrowthFit(read_tree(path))


def rounded(values: xr.DataArray) -> xr.DataArray:
    """Single precision with a mantissa of `MANTISSA` bits, which takes half the place on disk."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    dropped = 23 - MANTISSA
    half = np.uint32(1 << (dropped - 1))
    kept = (bits + half) & ~np.uint32((1 << dropped) - 1)
    return values.copy(data=kept.view(np.float32))


def checked_history(panel: Panel) -> History:
    """Take the months from a panel that is to be fitted.

    Raises
    ------
    FitError
        When it holds none.
    """
    history = History.from_panel(panel)
    if len(history.new) == 0:
        raise FitError(
            "no base model of the panel is a whole month old, so there is nothing to learn from; "
            "take a later as-of date or older base models"
        )
    return history


def check_settings(settings: Settings) -> None:
    """Check that the sampler can be run like this.

    Raises
    ------
    FitError
        When a setting is out of range.
    """
    bounds = {"draws": (20, 100_000), "tune": (20, 100_000), "chains": (2, 64)}
    for name, (low, high) in bounds.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise FitError(f"{name} is {value}; give {low} to {high}")
    if not 0.5 <= settings.target_accept < 1.0:
        raise FitError(
            f"target_accept is {settings.target_accept}; give at least 0.5 and less than 1"
        )
    if settings.cores is not None and settings.cores < 1:
        raise FitError(f"cores is {settings.cores}; give a number from 1 on")
    if not 0 <= settings.seed <= LARGEST_SEED:
        raise FitError(f"seed is {settings.seed}; give a number from 0 to {LARGEST_SEED}")
    if settings.engine not in ("marginal", "nuts"):
        raise FitError(f"engine {settings.engine!r} does not exist; take 'marginal' or 'nuts'")


def _pointwise_groups(
    spec: GrowthSpec, history: History, posterior: xr.Dataset, seed: int
) -> dict[str, Any]:
    """Prior, predictive and pointwise groups, thinned where they would be too large."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 4]))
    number = posterior.sizes["chain"] * posterior.sizes["draw"]
    every = max(1, -(-number * len(history.new) // POINTWISE_CELLS))
    every = min(every, max(1, number // LEAST_POINTWISE))
    kept = posterior.isel(draw=slice(None, None, every))
    theta, shared = base_model_parameters(spec, kept), SharedDraws.of(spec, kept)
    dormancy = dormancy_shares(spec, kept)
    organizations, months = len(history.organizations), history.calendar_span[1]
    prior = draw_prior(spec, history.organization_of, organizations, PRIOR_DRAWS, rng, months)
    coords: dict[Any, Any] = {
        name: posterior[name]
        for name in ("organization", "base_model", "calendar_month")
        if name in posterior.coords
    }
    prior = prior.assign_coords({**coords, "chain": [0], "draw": np.arange(PRIOR_DRAWS)})

    prior_months = replicates(
        spec,
        history,
        base_model_parameters(spec, prior),
        SharedDraws.of(spec, prior),
        rng,
        dormancy_shares(spec, prior),
    )

    def over_months(values: np.ndarray, like: xr.Dataset) -> xr.Dataset:
        shape = (like.sizes["chain"], like.sizes["draw"], len(history.new))
        coords: dict[str, Any] = {name: like[name] for name in ("chain", "draw")}
        coords["observation"] = history.coords["observation"]
        return xr.Dataset({"new_finetunes": ([*coords], values.reshape(shape))}, coords=coords)

    return {
        "prior": prior,
        "prior_predictive": over_months(prior_months, prior),
        "posterior_predictive": over_months(
            narrowed(replicates(spec, history, theta, shared, rng, dormancy)), kept
        ),
        "log_likelihood": over_months(log_likelihood(spec, history, theta, shared, dormancy), kept),
        "log_prior": log_prior(spec, kept),
        "every": every,
    }


def _about_panel(panel: Panel) -> dict[str, Any]:
    models = panel.base_models
    return {
        "digest": panel.digest,
        **panel.counted.written,
        "observed_at": panel.observed_at.isoformat() if panel.observed_at is not None else None,
        "base_models": len(models),
        "organizations": int(models["organization"].nunique()),
        "finetunes": int(models["finetunes"].sum()),
        "silent": int((models["finetunes"] == 0).sum()),
        "fewest_finetunes": int(models["finetunes"].min()),
        "last_month": models["observed_until"].max().isoformat(),
    }


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
