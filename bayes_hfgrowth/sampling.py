"""Draw from the posterior: two engines, one set of posterior variables.

``whitened`` moves the base models in the coordinates of `bayes_hfgrowth.whitening` and the
population in coordinates turned by two pilot runs, and sums out the base models without any
fine-tune (`bayes_hfgrowth.silent`); ``nuts`` samples the PyMC model of
`bayes_hfgrowth.model` as it stands, non-centred. Both are the No-U-Turn sampler of nutpie on
the same posterior. The first is the fast one, the second the reference.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import nutpie
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from scipy.special import expit

from bayes_hfgrowth.history import History
from bayes_hfgrowth.model import build_model, distribution
from bayes_hfgrowth.priors import LOG_SCALE, frozen
from bayes_hfgrowth.progress import Progress
from bayes_hfgrowth.silent import SilentGroups, draw_silent, nodes
from bayes_hfgrowth.spec import GrowthSpec, Prior
from bayes_hfgrowth.summaries import Months, Population, from_draws, laplace, learn_population
from bayes_hfgrowth.transition import LIKELIHOODS, Floats, month_constants
from bayes_hfgrowth.whitening import WhitenedLogDensity

__all__ = ["Engine", "Settings", "WhitenedSampler", "months_of", "sample"]

type Engine = Literal["whitened", "nuts"]

# How far to trust the correlations of the pilot's short chains; the rest is taken as zero.
_TRUST = 0.8


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
    engine : {"whitened", "nuts"}
        Which coordinates to sample in.
    pilots : tuple of (int, int)
        Warm-up draws and draws of the pilot runs of the engine ``whitened``, each aimed by
        what came before it. They enter no result.
    """

    draws: int = 1000
    tune: int = 400
    chains: int = 4
    seed: int = 0
    target_accept: float = 0.95
    cores: int | None = None
    engine: Engine = "whitened"
    pilots: tuple[tuple[int, int], ...] = ((250, 150), (200, 400))


def months_of(spec: GrowthSpec, history: History) -> Months:
    """What the compiled transition law reads of a history."""
    law = LIKELIHOODS[spec.likelihood]
    constants = month_constants(law, history.previous, history.new, spec.m)
    return Months(law, spec.m, np.asarray(constants), history)


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
        Over ``chain`` and ``draw``, the variables that `bayes_hfgrowth.model.build_model`
        names.
    sample_stats : xarray.Dataset
        nutpie's statistics of the draws.
    seconds : dict of str to float
        Time spent on ``compilation`` and on ``sampling``.
    """
    if settings.engine == "nuts":
        return _sample_plain(spec, history, settings, progress)
    sampler = WhitenedSampler(spec, history, progress)
    return sampler.run(settings)


def _compile(model: pm.Model) -> Any:
    """Compile with arithmetic that rounds alike whether code is fresh or from PyTensor's cache.

    With its default, ``fastmath``, the first run on a machine differs in the last bits from
    later ones, and a chain makes all bits of that.
    """
    with pytensor.config.change_flags(numba__fastmath=False):
        return nutpie.compile_pymc_model(model)


def _run(
    compiled: Any, settings: Settings, progress: Progress, title: str, **changes: Any
) -> xr.DataTree:
    """Run nutpie in the background, so that it can be watched and interrupted."""
    options: dict[str, Any] = {
        "draws": settings.draws,
        "tune": settings.tune,
        "chains": settings.chains,
        "cores": settings.cores or min(settings.chains, _cores()),
        "seed": settings.seed,
        "target_accept": settings.target_accept,
        "save_warmup": False,
        "progress_bar": False,
        **changes,
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


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _statistics(tree: xr.DataTree) -> xr.Dataset:
    """The numeric statistics; object columns cannot be written to a file."""
    stats = tree["sample_stats"].to_dataset()
    return stats.drop_vars([name for name in stats.data_vars if stats[name].dtype == object])


def _sample_plain(
    spec: GrowthSpec, history: History, settings: Settings, progress: Progress
) -> tuple[xr.Dataset, xr.Dataset, dict[str, float]]:
    begin = time.perf_counter()
    with progress.stage("compile"):
        compiled = _compile(build_model(spec, history))
    compilation = time.perf_counter() - begin
    begin = time.perf_counter()
    tree = _run(compiled, settings, progress, "sample")
    posterior = tree["posterior"].to_dataset()
    internal = [
        name
        for name in posterior.data_vars
        if str(name).endswith("_offset") or str(name).startswith("location_")
    ]
    posterior = posterior.drop_vars(internal)
    seconds = {"compilation": compilation, "sampling": time.perf_counter() - begin}
    return posterior, _statistics(tree), seconds


@dataclass(eq=False)
class WhitenedSampler:
    """The engine ``whitened``: compiled once, it can sample panels of the same shape again.

    The population is one vector ψ in which every prior is unbounded: global means, ln of the
    spreads, standardised offsets of the organizations, the same for the logit of the share of
    dormant base models, and the carry-over where it has priors. The sampler moves u in
    ψ = centre + scale · u.

    Parameters
    ----------
    spec : GrowthSpec
        The growth model.
    history : History
        The observed months.
    progress : Progress
        Told of each stage.
    marginal : bool
        Whether the parameters of base models without fine-tunes are summed out. A sampler
        that is to be used `with_history` must not do that, since then the shapes would hang
        on the counts.
    """

    spec: GrowthSpec
    history: History
    progress: Progress
    marginal: bool = True
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = list(self.spec.parameters)
        self.pooled = self.spec.pooling == "organization"
        silent = (self.history.finetunes == 0) & self.marginal
        if silent.all():
            silent[0] = False  # the sampler needs one base model to move
        self._silent = SilentGroups.of(self.history, silent)
        self._told = np.flatnonzero(~silent)
        self._months = months_of(self.spec, self.history.subset(self._told))
        begin = time.perf_counter()
        with self.progress.stage("compile"):
            self._compiled = _compile(self._build())
        self.seconds["compilation"] = time.perf_counter() - begin

    # --- The population vector ---------------------------------------------------------

    def _layout(self) -> dict[str, tuple[int, ...]]:
        """Blocks of ψ and their shapes, in order."""
        size, organizations = len(self.names), len(self.history.organizations)
        blocks: dict[str, tuple[int, ...]] = {"location": (size,), "within": (size,)}
        if self.pooled:
            blocks |= {"between": (size,), "offsets": (organizations, size)}
        if self.spec.dormancy is not None:
            blocks["dormancy"] = ()
            if self.pooled:
                blocks |= {"dormancy_between": (), "dormancy_offsets": (organizations,)}
        for name in ("strength", "memory"):
            if self.spec.carry_over and isinstance(getattr(self.spec.carry_over, name), Prior):
                blocks[name] = ()
        return blocks

    def _split(self, psi: Any) -> dict[str, Any]:
        """Cut ψ, whose last axis may follow others, into its blocks."""
        parts = {}
        at = 0
        for name, shape in self._layout().items():
            length = int(np.prod(shape, dtype=int))
            part = psi[..., at : at + length]
            lead = tuple(psi.shape[:-1])
            parts[name] = part.reshape((*lead, *shape)) if len(shape) != 1 else part
            at += length
        return parts

    @property
    def _size(self) -> int:
        return sum(int(np.prod(shape, dtype=int)) for shape in self._layout().values())

    def _population(self, psi: Floats) -> dict[str, Floats]:
        """Means, spreads and carry-over at ψ of shape (..., size)."""
        parts = self._split(psi)
        organizations = len(self.history.organizations)
        means = np.repeat(parts["location"][..., None, :], organizations, axis=-2)
        if self.pooled:
            means = means + np.exp(parts["between"])[..., None, :] * parts["offsets"]
        carry = np.stack(
            [
                self._carry_part(parts, name, psi.shape[:-1]) for name in ("strength", "memory")
            ],
            axis=-1,
        )  # fmt: skip
        logit = np.full((*psi.shape[:-1], organizations), -np.inf)
        if "dormancy" in parts:
            logit = np.repeat(parts["dormancy"][..., None], organizations, axis=-1)
        if "dormancy_offsets" in parts:
            between = np.exp(parts["dormancy_between"])[..., None]
            logit = logit + between * parts["dormancy_offsets"]
        return {
            "means": means,
            "spreads": np.exp(parts["within"]),
            "carry": carry,
            "dormancy": expit(logit),
        }

    def _carry_part(self, parts: dict[str, Any], name: str, shape: tuple[int, ...]) -> Floats:
        if name in parts:
            value = parts[name]
            return np.asarray(1.0 / (1.0 + np.exp(-value)) if name == "memory" else value)
        number = getattr(self.spec.carry_over, name) if self.spec.carry_over else 0.0
        return np.full(shape, float(number))

    # --- The model in these coordinates ------------------------------------------------

    def _build(self) -> pm.Model:
        size, h = self._size, self._months.history
        parameters = len(self.names)
        base_models = len(h.base_models)
        organizations = len(h.organizations)
        with pm.Model() as model:
            centre = pm.Data("centre", np.zeros(size))
            scale = pm.Data("scale", np.eye(size))
            precision = pm.Data("precision", np.zeros((base_models, parameters, parameters)))
            weighted = pm.Data("weighted", np.zeros((base_models, parameters)))
            data = [
                pm.Data("group", h.organization_of),
                pm.Data("start", h.start),
                pm.Data("log_age", h.log_age),
                pm.Data("previous", h.previous),
                pm.Data("new", h.new),
                pm.Data("constants", self._months.constants),
                pm.Data("number", self._silent.number),
                pm.Data("points", nodes(parameters)),
            ]
            u = pm.Flat("u", shape=size, initval=np.zeros(size))
            psi = pm.Deterministic("psi", centre + scale @ u)
            parts = self._split(psi)
            pm.Potential("log_prior", self._log_prior(parts))
            means = pt.repeat(parts["location"][None, :], organizations, axis=0)
            if self.pooled:
                means = means + pt.exp(parts["between"]) * parts["offsets"]
            logit: Any = pt.full((organizations,), -np.inf)
            if "dormancy" in parts:
                logit = pt.zeros(organizations) + parts["dormancy"]
            if "dormancy_offsets" in parts:
                logit = logit + pt.exp(parts["dormancy_between"]) * parts["dormancy_offsets"]
            y = pm.Flat(
                "y", shape=(base_models, parameters), initval=np.zeros((base_models, parameters))
            )
            outputs: Any = WhitenedLogDensity(self._months.law)(
                y, means, parts["within"], self._carry_tensor(parts), logit, precision, weighted,
                *data, self.spec.m,
            )  # fmt: skip
            pm.Potential("log_density", outputs[0])
            pm.Deterministic("theta", outputs[1])
        return model

    def _carry_tensor(self, parts: dict[str, Any]) -> Any:
        values = []
        for name in ("strength", "memory"):
            if name in parts:
                values.append(pt.sigmoid(parts[name]) if name == "memory" else parts[name])
            else:
                values.append(getattr(self.spec.carry_over, name) if self.spec.carry_over else 0.0)
        return pt.stack([pt.as_tensor_variable(value, dtype="float64") for value in values])

    def _log_prior(self, parts: dict[str, Any]) -> Any:
        """Log prior density of ψ, with the Jacobians of its transformations."""
        total: Any = 0.0
        for k, name in enumerate(self.names):
            pooling = self.spec.parameters[name]
            total += pm.logp(distribution(pooling.location), parts["location"][k])
            spreads = {"within": pooling.between_base_models}
            if self.pooled:
                assert pooling.between_organizations is not None
                spreads["between"] = pooling.between_organizations
            for block, prior in spreads.items():
                log_value = parts[block][k]
                total += pm.logp(distribution(prior), pt.exp(log_value)) + log_value
        if self.pooled:
            total -= 0.5 * (parts["offsets"] ** 2).sum()
        if self.spec.dormancy is not None:
            total += pm.logp(distribution(self.spec.dormancy.location), parts["dormancy"])
            if self.spec.dormancy.between_organizations is not None:
                spread = distribution(self.spec.dormancy.between_organizations)
                log_value = parts["dormancy_between"]
                total += pm.logp(spread, pt.exp(log_value)) + log_value
                total -= 0.5 * (parts["dormancy_offsets"] ** 2).sum()
        if "strength" in parts:
            assert self.spec.carry_over is not None
            assert isinstance(self.spec.carry_over.strength, Prior)
            total += pm.logp(distribution(self.spec.carry_over.strength), parts["strength"])
        if "memory" in parts:
            assert self.spec.carry_over is not None
            assert isinstance(self.spec.carry_over.memory, Prior)
            memory = pt.sigmoid(parts["memory"])
            jacobian = pt.log(memory) + pt.log1p(-memory)
            total += pm.logp(distribution(self.spec.carry_over.memory), memory) + jacobian
        return total

    # --- Where to aim ------------------------------------------------------------------

    def _prior_psi(self) -> tuple[Floats, Floats]:
        """Medians of ψ under the prior, and steps small beside it."""
        centre, scale = [], []
        for block, shape in self._layout().items():
            if block == "location":
                priors = [self.spec.parameters[n].location.parameters for n in self.names]
                centre += [prior["mu"] for prior in priors]
                scale += [prior["sigma"] for prior in priors]
            elif block in ("within", "between"):
                key = "between_base_models" if block == "within" else "between_organizations"
                spreads = [frozen(getattr(self.spec.parameters[n], key)) for n in self.names]
                centre += [float(np.log(spread.median())) for spread in spreads]
                scale += [0.3] * len(spreads)
            elif block in ("offsets", "dormancy_offsets"):
                centre += [0.0] * int(np.prod(shape))
                scale += [1.0] * int(np.prod(shape))
            elif block.startswith("dormancy"):
                assert self.spec.dormancy is not None
                spread = self.spec.dormancy.between_organizations
                if block == "dormancy":
                    centre.append(self.spec.dormancy.location.parameters["mu"])
                elif spread is not None:
                    centre.append(float(np.log(frozen(spread).median())))
                scale.append(0.3)
            else:
                median = float(frozen(getattr(self.spec.carry_over, block)).median())
                centre.append(np.log(median / (1.0 - median)) if block == "memory" else median)
                scale.append(0.2)
        return np.array(centre), np.array(scale)

    def _aim_blind(self) -> dict[str, Floats]:
        """Aim by expectation-maximisation and Laplace's method."""
        centre, scale = self._prior_psi()
        parts = self._population(centre)
        start = Population(parts["means"], parts["spreads"], parts["carry"], parts["dormancy"])
        between = (
            np.exp(self._split(centre)["between"])
            if self.pooled
            else np.full(len(self.names), 1e-3)
        )
        representatives, weights = self._representatives()
        months = months_of(self.spec, self.history.subset(representatives))
        theta, population = learn_population(months, start, between, weights)
        theta = theta[: len(self._told)]
        _, summaries, _ = laplace(self._months, population, theta, 20)
        size = len(self.names)
        centre[:size] = population.means.mean(axis=0)
        centre[size : 2 * size] = np.log(population.spreads)
        scale[:size] = np.minimum(scale[:size], 0.2)
        scale[size : 2 * size] = 0.1
        if self.pooled:
            spread = np.maximum((population.means - centre[:size]).std(axis=0), 0.2)
            centre[2 * size : 3 * size] = np.log(spread)
            offsets = (population.means - centre[:size]) / spread
            at = slice(3 * size, 3 * size + offsets.size)
            centre[at] = offsets.ravel()
            scale[at] = 0.3
        return {
            "centre": centre,
            "scale": np.diag(scale),
            "precision": summaries.precision,
            "weighted": summaries.weighted,
        }

    def _representatives(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Base models with fine-tunes, and one for all silent ones of an organization and age.

        Returns
        -------
        indices : ndarray of int64
            The former first.
        weights : ndarray of float64
            How many base models each stands for.
        """
        silent = self._silent.indices
        keys = np.stack([self.history.organization_of[silent], self.history.months[silent]])
        _, first, number = np.unique(keys, axis=1, return_index=True, return_counts=True)
        indices = np.concatenate([self._told, silent[first]])
        return indices, np.concatenate([np.ones(len(self._told)), number.astype(np.float64)])

    def _aim_by(self, tree: xr.DataTree) -> dict[str, Floats]:
        """Aim by the means and covariances of a pilot run."""
        stacked = tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
        psi = stacked["psi"].transpose("sample", ...).to_numpy()
        theta = stacked["theta"].transpose("sample", ...).to_numpy()
        centre = psi.mean(axis=0)
        draws = self._population(psi)
        population = Population(
            draws["means"].mean(axis=0),
            np.exp(np.log(draws["spreads"]).mean(axis=0)),
            draws["carry"].mean(axis=0),
            draws["dormancy"].mean(axis=0),
        )
        summaries = from_draws(theta, population, self._months.history)
        deviation = psi.std(axis=0)
        correlation = _TRUST * np.corrcoef(psi.T) + (1.0 - _TRUST) * np.eye(len(centre))
        return {
            "centre": centre,
            "scale": np.linalg.cholesky(correlation) * deviation[:, None],
            "precision": summaries.precision,
            "weighted": summaries.weighted,
        }

    def run(self, settings: Settings) -> tuple[xr.Dataset, xr.Dataset, dict[str, float]]:
        """Sample; see `sample` for what it returns."""
        begin = time.perf_counter()
        with self.progress.stage("aim"):
            aim = self._aim_blind()
        for number, (tune, draws) in enumerate(settings.pilots, start=1):
            pilot = _run(
                self._compiled.with_data(**aim), settings, self.progress, f"pilot {number}",
                target_accept=0.8, chains=4, seed=_stage_seed(settings.seed, number), tune=tune,
                draws=draws,
            )  # fmt: skip
            aim = self._aim_by(pilot)
        aimed = self._compiled.with_data(**aim)
        tree = _run(aimed, settings, self.progress, "sample", seed=_stage_seed(settings.seed, 0))
        with self.progress.stage("draw base models without fine-tunes"):
            rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 5]))
            posterior = self._named(tree["posterior"].to_dataset(), rng)
        seconds = {**self.seconds, "sampling": time.perf_counter() - begin}
        return posterior, _statistics(tree), seconds

    def with_history(self, history: History) -> "WhitenedSampler":
        """The same sampler for another history of the same shape, without compiling again.

        Parameters
        ----------
        history : History
            With the same base models, organizations and ages; only counts may differ.

        Raises
        ------
        ValueError
            When this sampler is a marginal one.
        """
        if self.marginal:
            raise ValueError("a marginal sampler cannot take another history")
        import copy

        other = copy.copy(self)
        other.history = history
        other._months = months_of(self.spec, history)
        other._compiled = self._compiled.with_data(
            previous=history.previous, new=history.new, constants=other._months.constants
        )
        return other

    def _named(self, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
        """Posterior variables by their names, on the natural scale."""
        psi = draws["psi"].to_numpy()
        parts, population = self._split(psi), self._population(psi)
        theta = self._all_base_models(draws["theta"].to_numpy(), population, rng)
        lead = ("chain", "draw")
        variables: dict[str, Any] = {}
        for k, name in enumerate(self.names):
            natural: Callable[[Floats], Floats] = np.exp if LOG_SCALE[name] else np.asarray
            variables[f"global_{name}"] = (lead, natural(parts["location"][..., k]))
            if self.pooled:
                variables[f"between_organizations_{name}"] = (
                    lead,
                    np.exp(parts["between"][..., k]),
                )
            variables[f"between_base_models_{name}"] = (lead, np.exp(parts["within"][..., k]))
            variables[f"organization_{name}"] = (
                (*lead, "organization"),
                natural(population["means"][..., k]),
            )
            variables[name] = ((*lead, "base_model"), natural(theta[..., k]))
        for index, name in enumerate(("strength", "memory")):
            if name in parts:
                variables[f"carry_over_{name}"] = (lead, population["carry"][..., index])
        if "dormancy" in parts:
            variables["global_dormancy"] = (lead, expit(parts["dormancy"]))
            if "dormancy_between" in parts:
                spread = np.exp(parts["dormancy_between"])
                variables["between_organizations_dormancy"] = (lead, spread)
            variables["organization_dormancy"] = (
                (*lead, "organization"), population["dormancy"],
            )  # fmt: skip
        coords = {**self.history.coords, "chain": draws["chain"], "draw": draws["draw"]}
        del coords["observation"]
        return xr.Dataset(variables, coords=coords)

    def _all_base_models(
        self, told: Floats, population: dict[str, Floats], rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draws of all base models' parameters, those that were summed out included."""
        if len(self._silent.indices) == 0:
            return told
        chains, draws, _, size = told.shape
        flat = {name: v.reshape(-1, *v.shape[2:]) for name, v in population.items()}
        theta = np.empty((chains * draws, len(self.history.base_models), size), dtype=np.float32)
        theta[:, self._told] = told.reshape(chains * draws, -1, size)
        theta[:, self._silent.indices] = draw_silent(
            self._months.law, self.spec.m, self.history, self._silent, flat["means"],
            flat["spreads"], flat["carry"], flat["dormancy"], rng,
        )  # fmt: skip
        return theta.reshape(chains, draws, -1, size)


def _stage_seed(seed: int, stage: int) -> int:
    """Independent seed for one stage of a run."""
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
