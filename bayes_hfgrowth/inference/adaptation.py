"""The posterior in coordinates that suit a sampler, for the engines ``marginal`` and ``whitened``.

The population moves in the coordinates of `bayes_hfgrowth.inference.coordinates`, turned and scaled
by pilot runs; the base models in those of `bayes_hfgrowth.inference.whitening`; and base models
without any fine-tune are summed out (`bayes_hfgrowth.inference.silent`).
`bayes_hfgrowth.inference.posterior_density` has the density in one function that Numba compiles,
with a gradient written out by hand.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import nutpie.compiled_pyfunc
import xarray as xr
from scipy.special import expit

from bayes_hfgrowth.growth.transition import Floats
from bayes_hfgrowth.inference.coordinates import PopulationLayout
from bayes_hfgrowth.inference.posterior_density import posterior_density
from bayes_hfgrowth.inference.preconditioner import find_skews, no_skews, unskewed
from bayes_hfgrowth.inference.proposals import Proposals
from bayes_hfgrowth.inference.ridge import pivot_of, pivots_at, straightened, straighter
from bayes_hfgrowth.inference.silent import (
    Nodes,
    SilentGroups,
    draw_silent,
    first_nodes,
    learned_nodes,
)
from bayes_hfgrowth.inference.summaries import (
    Population,
    laplace,
    log_likelihoods,
    months_of,
    normal_summaries,
    whitened_draws,
)
from bayes_hfgrowth.inference.variational import first_look
from bayes_hfgrowth.model.priors import LOG_SCALE, frozen
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History

__all__ = ["Aim", "WhitenedPosterior"]

type Aim = dict[str, Any]
"""Where the coordinates are aimed: ``centre``, ``scale`` of ψ, normal summaries ``precision``
and ``weighted`` of the base models, ``group_precision``, ``group_weighted`` of the organizations;
``proposals`` of their points; ``starts`` of whole coordinates and ``kept`` points to begin at; and
where the population is known well enough the ``nodes`` learned for it."""

_TRUST = 0.8  # in the correlations of a pilot's short chains
_BLIND_WIDER = 1.4  # proposals by a first look, which is too sure of itself
_MANY = 100  # fine-tunes from which on a base model is straightened as long as no draws tell
_SOME = 100  # draws that later chains may start from, and that coordinates are chosen by
_LOOKS, _LOOK_DRAWS = 2, 400  # first looks before the pilots, and draws that aim the next


class WhitenedPosterior:
    """A posterior, aimed at and handed to a sampler.

    Parameters
    ----------
    spec : GrowthSpec
        The growth model.
    history : History
        The observed months.
    """

    def __init__(self, spec: GrowthSpec, history: History) -> None:
        self.spec, self.history = spec, history
        self.layout = PopulationLayout(spec, len(history.organizations))
        silent_ones = history.finetunes == 0
        self._silent = SilentGroups.of(history, silent_ones)
        self._told = np.flatnonzero(~silent_ones)
        self._months = months_of(spec, history.subset(self._told))
        told = self._months.history
        self._last_age, self._many = np.log(told.months), told.finetunes >= _MANY

    # --- What nutpie calls --------------------------------------------------------------

    def compile(self) -> float:
        """Compile, or load what was compiled before, and tell how many seconds it took."""
        begin = time.perf_counter()
        posterior_density(np.zeros(self._dimensions), self.data(self.blank_aim()))
        return time.perf_counter() - begin

    def blank_aim(self) -> Aim:
        """An aim that knows nothing, to compile with."""
        size, told = self.layout.size, len(self._told)
        parameters = self.layout.parameters
        shape = (told, parameters)
        return {
            "centre": np.zeros(size),
            "scale": np.eye(size),
            "skews": no_skews(size),
            "precision": np.zeros((*shape, parameters)),
            "weighted": np.zeros(shape),
            "pivots": np.zeros((told, 7)),
            "proposals": Proposals(np.zeros(shape), np.zeros((*shape, parameters))),
            **self._groups_untold(),
        }

    @property
    def _dimensions(self) -> int:
        return self.layout.size + len(self._told) * self.layout.parameters

    def _groups_untold(self) -> Aim:
        shape = (self.layout.organizations, self.layout.columns)
        precision = np.zeros((*shape, self.layout.columns))
        return {"group_precision": precision, "group_weighted": np.zeros(shape)}

    def data(self, aim: Aim) -> dict[str, Any]:
        """Arguments of `posterior_density` between x and what it fills."""
        history, layout = self._months.history, self.layout
        priors, places = layout.encoded()
        carry = self.spec.carry_over
        fixed = [
            0.0 if carry is None or name in layout.carried else float(getattr(carry, name))
            for name in ("strength", "memory")
        ]
        around = aim.get("nodes") or first_nodes(self._silent, layout.parameters)
        return {
            "law": self._months.law,
            "m": float(self.spec.m),
            **{
                name: np.ascontiguousarray(aim[name])
                for name in (
                    "centre", "scale", "skews", "group_precision", "group_weighted", "precision",
                    "weighted", "pivots",
                )
            },
            "priors": priors,
            "places": places,
            "fixed_carry": np.array(fixed),
            "group": history.organization_of,
            "start": history.start,
            "log_age": history.log_age,
            "previous": history.previous,
            "new": history.new,
            "constants": self._months.constants,
            "silent_ages": self._silent.ages,
            "silent_number": self._silent.number,
            "node_start": around.start,
            "node_points": around.points,
            "node_weights": around.weights,
        }  # fmt: skip

    def joint_density(self, x: Floats, **data: Any) -> tuple[float, Floats, Floats, Floats]:
        """Log density of population and base models in an aim's coordinates.

        Parameters
        ----------
        x : ndarray, shape (dimensions,)
        **data
            Of `data`.

        Returns
        -------
        value : float
        slope : ndarray, shape (dimensions,)
        point : ndarray, shape (size of the population,)
        theta : ndarray, shape (base models with fine-tunes, parameters)
        """
        return posterior_density(x, data)

    def _density(self, x: Floats, **data: Any) -> tuple[float, Floats]:
        return self.joint_density(x, **data)[:2]

    def aimed(self, aim: Aim) -> Any:
        """Give nutpie the posterior in the coordinates of an aim.

        Returns
        -------
        nutpie.CompiledModel
            Its draws have ``point`` (see `bayes_hfgrowth.inference.coordinates`) and ``theta``.
        """
        size, shape = self.layout.size, (len(self._told), self.layout.parameters)

        def make_density() -> Any:
            return self._density

        def make_expand(*_: int) -> Any:
            def expand(x: Floats, **data: Any) -> dict[str, Floats]:
                return dict(zip(("point", "theta"), self.joint_density(x, **data)[2:], strict=True))

            return expand

        def start(seed: int) -> Floats:
            rng = np.random.default_rng(seed)
            if "starts" not in aim:
                return rng.uniform(-1.5, 1.5, self._dimensions)
            return np.asarray(aim["starts"][rng.integers(len(aim["starts"]))])

        return nutpie.compiled_pyfunc.from_pyfunc(
            self._dimensions, make_density, make_expand, [np.dtype("float64")] * 2,
            [(size,), shape], ["point", "theta"], shared_data=self.data(aim),
            make_initial_point_fn=start,
        )  # fmt: skip

    # --- Where to aim -------------------------------------------------------------------

    def aim_blind(self, rng: np.random.Generator) -> Aim:
        """Aim by the prior and Laplace's method, then twice by a first look at the posterior.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        """
        aim = self._aim_at_prior()
        for _ in range(_LOOKS):
            data = self.data(aim)
            mean, spreads = first_look(partial(self._density, **data), self._dimensions, rng)
            noise = rng.standard_normal((_LOOK_DRAWS, self._dimensions))
            found = [self.joint_density(mean + spreads * z, **data)[2:] for z in noise]
            point, theta = (np.stack(part)[None] for part in zip(*found, strict=True))
            draws = xr.Dataset(
                {
                    "point": (("chain", "draw", "coordinate"), point),
                    "theta": (("chain", "draw", "base_model", "parameter"), theta),
                }
            )
            aim = self.aim_by(draws, blind=True)
        return aim

    def _aim_at_prior(self) -> Aim:
        """Aim at the medians of the priors, each base model at its mode there."""
        layout = self.layout
        blocks, size = layout.blocks, layout.parameters
        centre, scale = self._prior_point()
        point = centre.copy()
        if layout.pooled:
            point[blocks["means"]] = np.tile(point[blocks["location"]], layout.organizations)
        parts = layout.read(point)
        population = Population(parts["means"], parts["spreads"], parts["carry"], parts["dormancy"])
        told = self._months.history.organization_of
        modes, summaries, _ = laplace(self._months, population, population.means[told], 20)
        scale[:size] = np.minimum(scale[:size], 0.2)
        scale[blocks["within"]] = 0.1
        groups = self._groups_untold()
        if layout.pooled:
            # A base model tells its organization's mean with its own uncertainty and the spread.
            prior = np.diag(population.spreads**-2.0)
            heard = prior @ np.linalg.inv(summaries.precision + prior)
            whole, part = groups["group_precision"], groups["group_weighted"]
            np.add.at(whole[:, :size, :size], told, prior - heard @ prior)
            np.add.at(part[:, :size], told, np.einsum("nij,nj->ni", heard, summaries.weighted))
        return {
            "centre": centre,
            "scale": np.diag(scale),
            "skews": no_skews(layout.size),
            "precision": summaries.precision,
            "weighted": summaries.weighted,
            "pivots": pivots_at(self._last_age, modes, self._many),
            **groups,
        }

    def _prior_point(self) -> tuple[Floats, Floats]:
        """Medians of the coordinates under the prior, and steps small beside it."""
        layout, blocks = self.layout, self.layout.blocks
        centre, scale = np.zeros(layout.size), np.ones(layout.size)
        scalars = np.concatenate(
            [np.arange(blocks["means"].start), np.arange(blocks["within"].start, layout.size)]
        )
        memory = blocks.get("memory", slice(-1, -1)).start
        for at, prior in zip(scalars, layout.priors, strict=True):
            median = float(frozen(prior).median())
            if at < layout.columns:
                centre[at], scale[at] = median, prior.parameters["sigma"]
            elif at == memory:
                centre[at], scale[at] = np.log(median / (1.0 - median)), 0.2
            elif at >= blocks["within"].stop:
                centre[at], scale[at] = median, 0.2
            else:
                centre[at], scale[at] = np.log(median), 0.3
        if self.spec.dormancy is not None:
            scale[layout.parameters] = 0.3
        return centre, scale

    def aim_by(self, draws: xr.Dataset, blind: bool = False, last: bool = True) -> Aim:
        """Aim by the means and covariances of earlier draws.

        Parameters
        ----------
        draws : xarray.Dataset
            ``point`` and ``theta`` over ``chain`` and ``draw``.
        blind : bool
            Whether they come from a first look, which knows no correlations.
        last : bool
            Whether nodes for silent base models are learned, which only pays for long runs.
        """
        layout = self.layout
        number = draws.sizes["chain"] * draws.sizes["draw"]
        point, theta = (
            draws[name].to_numpy().reshape(number, *draws[name].shape[2:])
            for name in ("point", "theta")
        )
        parts = layout.read(point)
        some = np.linspace(0, number - 1, _SOME).astype(np.int64)
        slopes = self._slopes(theta[some], {name: part[some] for name, part in parts.items()})
        chosen = straighter(self._last_age, theta[some], slopes)
        pivots = pivots_at(self._last_age, pivot_of(self._last_age, theta), chosen)
        straight = straightened(pivots, theta)
        spreads = np.exp(np.log(parts["spreads"]).mean(axis=0))
        means = parts["means"].mean(axis=0)[self._months.history.organization_of]
        summaries = normal_summaries(straight, means, spreads)
        proposals = Proposals.from_draws(straight, spreads, _BLIND_WIDER if blind else 1.0)
        groups = self._groups_untold()
        if layout.pooled:
            groups_of = point[:, layout.blocks["means"]].reshape(len(point), -1, layout.columns)
            overall = np.tile(parts["location"].mean(axis=0), (groups_of.shape[1], 1))
            between = np.exp(np.log(parts["between"]).mean(axis=0))
            level = normal_summaries(groups_of, overall, between)
            groups = {"group_precision": level.precision, "group_weighted": level.weighted}
        psi = layout.coordinates(point, groups["group_precision"], groups["group_weighted"])
        skews = no_skews(layout.size) if blind else find_skews(psi)
        v = unskewed(psi, skews)
        trust = 0.0 if blind else _TRUST
        correlation = trust * np.corrcoef(v.T) + (1.0 - trust) * np.eye(layout.size)
        centre = v.mean(axis=0)
        scale = np.linalg.cholesky(correlation) * v.std(axis=0)[:, None]
        u = np.linalg.solve(scale, (v[some] - centre).T).T
        y = whitened_draws(
            straight[some],
            parts["means"][some][:, self._months.history.organization_of],
            parts["spreads"][some],
            summaries,
        )
        return {
            "centre": centre,
            "scale": scale,
            "skews": skews,
            "starts": np.concatenate([u, y.reshape(_SOME, -1)], axis=1),
            "proposals": proposals,
            "kept": proposals.coordinates(straight[some]),
            "precision": summaries.precision,
            "weighted": summaries.weighted,
            "pivots": pivots,
            **groups,
            **({} if blind or not last else {"nodes": self._nodes(parts)}),
        }

    def _slopes(self, theta: Floats, parts: dict[str, Floats]) -> Floats:
        """Derivatives of each base model's log density, given draws of the population."""
        means = parts["means"][:, self._months.history.organization_of]
        slopes = (means - theta) / parts["spreads"][:, None] ** 2
        for own, point, carry in zip(slopes, theta, parts["carry"], strict=True):
            own += log_likelihoods(self._months, point, carry)[1]
        return np.asarray(slopes)

    def _nodes(self, parts: dict[str, Floats]) -> Nodes:
        """Nodes for the silent base models, learned from draws of the population."""
        means, spreads, carry = (parts[name] for name in ("means", "spreads", "carry"))
        law, m = self._months.law, float(self.spec.m)
        return learned_nodes(law, m, self._silent, means, spreads, carry)

    # --- What is kept -------------------------------------------------------------------

    def named(self, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
        """Posterior variables by their names, on the natural scale.

        Parameters
        ----------
        draws : xarray.Dataset
            ``point`` and ``theta`` over ``chain`` and ``draw``.
        rng : numpy.random.Generator
            Source of the parameters of the base models that were summed out.
        """
        parts = self.layout.read(draws["point"].to_numpy())
        theta = self._all_base_models(draws["theta"].to_numpy(), parts, rng)
        lead = ("chain", "draw")
        variables: dict[str, Any] = {}
        for k, name in enumerate(self.spec.parameters):
            natural: Callable[[Floats], Floats] = np.exp if LOG_SCALE[name] else np.asarray
            variables[f"global_{name}"] = (lead, natural(parts["location"][..., k]))
            if self.layout.pooled:
                variables[f"between_organizations_{name}"] = (lead, parts["between"][..., k])
            variables[f"between_base_models_{name}"] = (lead, parts["spreads"][..., k])
            variables[f"organization_{name}"] = (
                (*lead, "organization"),
                natural(parts["means"][..., k]),
            )
            variables[name] = ((*lead, "base_model"), natural(theta[..., k]))
        for index, name in enumerate(("strength", "memory")):
            if name in self.layout.carried:
                variables[f"carry_over_{name}"] = (lead, parts["carry"][..., index])
        if self.spec.dormancy is not None:
            variables["global_dormancy"] = (lead, expit(parts["location"][..., -1]))
            if self.layout.pooled:
                variables["between_organizations_dormancy"] = (lead, parts["between"][..., -1])
            variables["organization_dormancy"] = ((*lead, "organization"), parts["dormancy"])
        coords = {**self.history.coords, "chain": draws["chain"], "draw": draws["draw"]}
        del coords["observation"]
        return xr.Dataset(variables, coords=coords)

    def _all_base_models(
        self, told: Floats, parts: dict[str, Floats], rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draws of all base models' parameters, those that were summed out included."""
        if len(self._silent.indices) == 0:
            return told
        chains, draws, _, size = told.shape
        means, spreads, carry, dormancy = (
            parts[name].reshape(-1, *parts[name].shape[2:])
            for name in ("means", "spreads", "carry", "dormancy")
        )
        theta = np.empty((chains * draws, len(self.history.base_models), size), dtype=np.float32)
        theta[:, self._told] = told.reshape(chains * draws, -1, size)
        theta[:, self._silent.indices] = draw_silent(
            self._months.law, self.spec.m, self.history, self._silent, means, spreads, carry,
            dormancy, rng,
        )  # fmt: skip
        return theta.reshape(chains, draws, -1, size)
