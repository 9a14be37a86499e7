"""The posterior in coordinates that suit a sampler, and where to aim them.

The population moves in the coordinates of `bayes_hfgrowth.coordinates`, turned and scaled by
pilot runs; the base models in those of `bayes_hfgrowth.whitening`. The densities are those of
`bayes_hfgrowth.posterior_density`. Base models with fine-tunes come first, those without any
behind them; one that is not a month old has no data and is drawn from its organization.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import expit
from scipy.stats import norm, qmc

from bayes_hfgrowth.coordinates import PopulationLayout, period_whitening, unbounded
from bayes_hfgrowth.growth.law import EXPONENT, Floats, Integers
from bayes_hfgrowth.growth.points import log_likelihoods
from bayes_hfgrowth.history import History
from bayes_hfgrowth.posterior_density import Data, Turning, posterior_density
from bayes_hfgrowth.priors import LOG_SCALE, frozen
from bayes_hfgrowth.proposals import Proposals
from bayes_hfgrowth.spec import GrowthSpec
from bayes_hfgrowth.straightening import pivot_of, pivots_at, straightened, straighter
from bayes_hfgrowth.summaries import (
    Population,
    Summaries,
    curvatures,
    laplace,
    law_of,
    log_likelihood_gradients,
    normal_summaries,
    whitened_draws,
)
from bayes_hfgrowth.turning import find_skews, no_skews, unskewed
from bayes_hfgrowth.variational import first_look
from bayes_hfgrowth.whitening import ASLEEP, AWAKE, EITHER, Whitening

__all__ = ["Aim", "WhitenedPosterior"]

_BLIND_WIDER = 1.4  # proposals by a first look, which is too sure of itself
_MANY = 100  # fine-tunes from which on a base model is straightened as long as no draws tell
_SOME = 100  # draws that later chains may start from, and that coordinates are chosen by
_LOOKS, _LOOK_DRAWS = 2, 400  # first looks before the pilots, and draws that aim the next
_CANDIDATES = 512  # points by which proposals for base models without fine-tunes are found
_STEP = 1e-3  # of exponent and period effects, for differences
_SLOW = 6  # slow directions
_CURVED = 4  # draws at which the curvature of the density is taken
_DIFFERENCE = 0.02  # of a standard deviation, for its differences
_MOST_HEARD = 1e6  # precision of a period effect; beyond it nothing more is gained
_FLATTEST, _STEEPEST = 0.1, 1e4  # curvatures that are believed, in units of the draws' widths


@dataclass(frozen=True, eq=False)
class Aim:
    """Where the coordinates are aimed, and where chains set out from.

    Parameters
    ----------
    turning : Turning
        Coordinates of the population.
    whitening : Whitening
        Coordinates of the base models.
    proposals : Proposals
        Where the points of each base model are drawn.
    starts : ndarray, shape (starts, size of the population)
        Coordinates of the population to start from.
    kept : ndarray, shape (starts, base models, parameters)
        Straightened growth parameters of each base model to start from.
    slow : ndarray, shape (directions, size of the population)
        Directions, with lengths, in which the population moves slowest.
    """

    turning: Turning
    whitening: Whitening
    proposals: Proposals
    starts: Floats
    kept: Floats
    slow: Floats


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
        first, calendar = history.calendar_span
        self.layout = PopulationLayout(spec, len(history.organizations), calendar)
        told = np.flatnonzero(history.finetunes > 0)
        silent = np.flatnonzero((history.finetunes == 0) & (history.months > 0))
        self.told = len(told)
        self._members = np.concatenate([told, silent]).astype(np.int64)
        self._newborn = np.flatnonzero(history.months == 0)
        self.law = law_of(spec, history.subset(self._members), first)
        self.group = self.law.history.organization_of
        own = history.subset(told)
        self._told_law = law_of(spec, own, first)
        self._last_age, self._many = np.log(own.months), own.finetunes >= _MANY

    @property
    def members(self) -> int:
        """How many base models have months."""
        return len(self._members)

    @property
    def states(self) -> Integers:
        """Base models that may be dormant, and others."""
        states = np.full(self.members, AWAKE, dtype=np.int64)
        if self.spec.dormancy is not None:
            states[self.told :] = EITHER
        return states

    @property
    def first_states(self) -> Integers:
        """The same with every base model that may be dormant taken as dormant."""
        states = self.states
        states[states == EITHER] = ASLEEP
        return states

    def data(self, aim: Aim) -> Data:
        """What the densities read in the coordinates of an aim."""
        return self._data(aim.turning, aim.whitening)

    def _data(self, turning: Turning, whitening: Whitening) -> Data:
        return Data(
            self.law.number, self.law.m, self.layout.encoded, turning, whitening, self.group,
            len(self.history.organizations), self.told, self.law.months,
        )  # fmt: skip

    def blank_aim(self) -> Aim:
        """An aim that knows nothing, to compile with."""
        size, p = self.layout.size, self.layout.parameters
        turning = Turning(
            np.zeros(size), np.eye(size), no_skews(size), *self._groups_untold(), *self._unheard()
        )
        shape = (self.members, p)
        whitening = Whitening(
            np.zeros((*shape, p)), np.zeros(shape), *self._no_cross(), np.zeros((self.members, 7))
        )
        roots = np.tile(np.eye(p), (self.members, 1, 1))
        proposals = Proposals(np.zeros(shape), roots, self._no_cross()[0])
        starts, slow = np.zeros((1, size)), np.zeros((1, size))
        return Aim(turning, whitening, proposals, starts, np.zeros((1, *shape)), slow)

    def _groups_untold(self) -> tuple[Floats, Floats]:
        shape = (self.layout.organizations, self.layout.columns)
        return np.zeros((*shape, self.layout.columns)), np.zeros(shape)

    def _unheard(self) -> tuple[Floats, Floats]:
        calendar = self.layout.calendar_months
        return np.zeros((calendar, calendar)), np.zeros(calendar)

    def _no_cross(self) -> tuple[Floats, Floats]:
        calendar = self.layout.calendar_months
        return (
            np.zeros((self.told, self.layout.parameters, 1 + calendar)), np.zeros(1 + calendar)
        )  # fmt: skip

    # --- Where to aim -------------------------------------------------------------------

    def aim_blind(self, rng: np.random.Generator) -> Aim:
        """Aim by the prior and Laplace's method, then twice by a first look at the posterior.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        """
        data, states = self._aimed_at_prior(), self.states
        dimensions = self.layout.size + self.members * self.layout.parameters
        with ThreadPoolExecutor(1) as pool:
            for _ in range(_LOOKS):

                def density(x: Floats, data: Data = data) -> tuple[float, Floats]:
                    return posterior_density(x, data, states, pool)[:2]

                mean, spreads = first_look(density, dimensions, rng)
                found = []
                for _ in range(_LOOK_DRAWS):
                    x = mean + spreads * rng.standard_normal(dimensions)
                    found.append(posterior_density(x, data, states, pool)[2:])
                point, theta = (np.stack(part) for part in zip(*found, strict=True))
                aim = self._aim_at(point, theta, blind=True)
                data = self.data(aim)
        return aim

    def _aimed_at_prior(self) -> Data:
        """Aim at the medians of the priors, each base model at its mode there."""
        layout, p = self.layout, self.layout.parameters
        blocks = layout.blocks
        centre, scale = self._prior_point()
        point = centre.copy()
        if layout.pooled:
            point[blocks["means"]] = np.tile(point[blocks["location"]], layout.organizations)
        parts = layout.read(point)
        population = Population(parts["means"], parts["spreads"], parts["shared"], parts["period"])
        own = self._told_law.history.organization_of
        modes, summaries = laplace(self._told_law, population, population.means[own], 20)
        locations = np.arange(blocks["location"].start, blocks["location"].start + p)
        scale[locations] = np.minimum(scale[locations], 0.2)
        scale[blocks["within"]] = 0.1
        whole, part = self._groups_untold()
        prior = prior_precision = np.diag(population.spreads**-2.0)
        if layout.pooled:
            # A base model tells its organization's mean with its own uncertainty and the spread.
            heard = prior @ np.linalg.inv(summaries.precision + prior)
            np.add.at(whole[:, :p, :p], own, prior - heard @ prior)
            np.add.at(part[:, :p], own, np.einsum("nij,nj->ni", heard, summaries.weighted))
        turning = Turning(
            centre, np.diag(scale), no_skews(layout.size), whole, part, *self._unheard()
        )
        pivots = pivots_at(self._last_age, modes, self._many)
        shift, origin = self._shift(modes, parts["shared"], parts["period"], population.spreads)
        cross = (summaries.precision + prior_precision) @ shift
        whitening = self._whitening(summaries.precision, summaries.weighted, cross, origin, pivots)
        return self._data(turning, whitening)

    def _whitening(
        self, precision: Floats, weighted: Floats, cross: Floats, origin: Floats, pivots: Floats
    ) -> Whitening:
        """Coordinates of all base models; those without fine-tunes follow their organization."""
        p, silent = self.layout.parameters, self.members - self.told
        return Whitening(
            np.ascontiguousarray(np.concatenate([precision, np.zeros((silent, p, p))])),
            np.ascontiguousarray(np.concatenate([weighted, np.zeros((silent, p))])),
            np.ascontiguousarray(cross),
            origin,
            np.ascontiguousarray(np.concatenate([pivots, np.zeros((silent, 7))])),
        )

    def _shift(
        self, theta: Floats, shared: Floats, period: Floats, spreads: Floats
    ) -> tuple[Floats, Floats]:
        """How base models move with the exponent and the period effects, to first order.

        By the implicit function theorem: the mode of a base model moves by its curvature's inverse
        times the change of its slopes.
        """
        cross, origin = self._no_cross()
        origin[0], origin[1:] = shared[EXPONENT], period
        law = self._told_law
        moves: list[tuple[int, Floats, Floats]] = []
        if "reinforcement_exponent" in self.layout.learned:
            step = np.zeros(len(shared))
            step[EXPONENT] = min(_STEP, 0.5 * (1.0 - shared[EXPONENT]))
            moves.append((0, step, np.zeros(len(period))))
        if self.spec.period_effect is not None:
            steps = _STEP * np.eye(len(period))
            moves += [(1 + k, np.zeros(len(shared)), step) for k, step in enumerate(steps)]
        for column, by_shared, by_period in moves:
            up = log_likelihood_gradients(law, theta, shared + by_shared, period + by_period)[1]
            down = log_likelihood_gradients(law, theta, shared - by_shared, period - by_period)[1]
            length = 2.0 * (by_shared.sum() + by_period.sum())
            cross[:, :, column] = (up - down) / length
        cross = np.nan_to_num(cross, posinf=0.0, neginf=0.0)
        population = Population(np.empty((0, 0)), spreads, shared, period)
        return np.ascontiguousarray(
            np.linalg.solve(curvatures(law, theta, population), cross)
        ), origin

    def _prior_point(self) -> tuple[Floats, Floats]:
        """Medians of the coordinates under the prior, and steps small beside it."""
        layout, blocks = self.layout, self.layout.blocks
        centre, scale = np.zeros(layout.size), np.ones(layout.size)
        scale[blocks["period"]] = 0.5
        for at, prior in layout.priors.items():
            centre[at] = unbounded(float(frozen(prior).median()), prior)
            scale[at] = 0.3
            if blocks["location"].start <= at < blocks["location"].stop:
                scale[at] = prior.parameters["sigma"]
        if self.spec.dormancy is not None:
            scale[blocks["location"].start + layout.parameters] = 0.3
        return centre, scale

    def aim_by(self, draws: xr.Dataset) -> Aim:
        """Aim by the means and covariances of earlier draws.

        Parameters
        ----------
        draws : xarray.Dataset
            ``point`` and ``theta`` over ``chain`` and ``draw``.
        """
        number = draws.sizes["chain"] * draws.sizes["draw"]
        point, theta = (
            draws[name].to_numpy().astype(np.float64).reshape(number, *draws[name].shape[2:])
            for name in ("point", "theta")
        )
        return self._aim_at(point, theta, blind=False)

    def _aim_at(self, point: Floats, theta: Floats, blind: bool) -> Aim:
        """Aim by draws; those of a first look know no correlations."""
        layout, told = self.layout, slice(0, self.told)
        parts = layout.read(point)
        some = np.linspace(0, len(point) - 1, _SOME).astype(np.int64)
        few = {name: part[some] for name, part in parts.items()}
        own = theta[:, told]
        chosen = straighter(self._last_age, own[some], self._slopes(own[some], few))
        pivots = pivots_at(self._last_age, pivot_of(self._last_age, own), chosen)
        straight = straightened(pivots, own)
        spreads = np.exp(np.log(parts["spreads"]).mean(axis=0))
        means = parts["means"].mean(axis=0)
        shift, origin = self._shift(
            own.mean(axis=0), parts["shared"].mean(axis=0), parts["period"].mean(axis=0), spreads
        )
        # Base models as they would be, were exponent and period effects at the origin.
        moved = np.concatenate([parts["shared"][:, [EXPONENT]], parts["period"]], axis=1) - origin
        settled = straight - np.einsum("nkc,sc->snk", shift, moved)
        summaries = normal_summaries(settled, means[self.group[told]], spreads)
        cross = (summaries.precision + np.diag(spreads**-2.0)) @ shift
        whitening = self._whitening(summaries.precision, summaries.weighted, cross, origin, pivots)
        wider = _BLIND_WIDER if blind else 1.0
        proposals = Proposals.from_draws(settled, spreads, wider, shift)
        proposals = proposals.joined(self._silent_proposals(parts))
        groups = self._groups_untold()
        if layout.pooled:
            groups_of = point[:, layout.blocks["means"]].reshape(len(point), -1, layout.columns)
            overall = np.tile(parts["location"].mean(axis=0), (groups_of.shape[1], 1))
            between = np.exp(np.log(parts["between"]).mean(axis=0))
            level = normal_summaries(groups_of, overall, between)
            groups = level.precision, level.weighted
        everyone = np.concatenate([straight, theta[:, self.told :]], axis=1)
        at = np.linspace(0, len(point) - 1, _CURVED).astype(np.int64)
        heard = self._heard(point[at], everyone[at], groups, whitening, parts)
        told_of = (*groups, *heard)
        psi = layout.coordinates(point, *told_of)
        skews = no_skews(layout.size) if blind else find_skews(psi)
        v = unskewed(psi, skews)
        centre, width = v.mean(axis=0), np.maximum(v.std(axis=0), 1e-6)
        apart = Turning(centre, np.eye(layout.size), skews, *told_of)
        columns = np.arange(layout.size)
        precision = self._curvature(apart, whitening, v[at], everyone[at], width, columns)
        precision *= np.outer(width, width)
        scale = width[:, None] * _root_of_inverse(precision)
        u = np.linalg.solve(scale, (v - centre).T).T
        turning = Turning(centre, scale, skews, *told_of)
        starts = np.ascontiguousarray(u[some])
        return Aim(turning, whitening, proposals, starts, everyone[some], self._slow(u))

    def _slow(self, u: Floats) -> Floats:
        """Directions in which draws of the population lie furthest apart."""
        values, vectors = np.linalg.eigh(np.cov(u.T))
        return np.ascontiguousarray((vectors * np.sqrt(np.clip(values, 0.0, None))).T[-_SLOW:])

    def _heard(
        self,
        point: Floats,
        straight: Floats,
        groups: tuple[Floats, Floats],
        whitening: Whitening,
        parts: dict[str, Floats],
    ) -> tuple[Floats, Floats]:
        """What the months of all base models say of the period effects, as a normal summary."""
        layout, block = self.layout, self.layout.blocks["period"]
        heard, weighted = self._unheard()
        if block.stop == block.start:
            return heard, weighted
        psi = layout.coordinates(point, *groups, *self._unheard())
        centre = psi.mean(axis=0)
        plain = Turning(
            centre, np.eye(layout.size), no_skews(layout.size), *groups, *self._unheard()
        )
        columns = np.arange(block.start, block.stop)
        hessian = self._curvature(plain, whitening, psi, straight, np.ones(layout.size), columns)
        hessian = hessian[columns[:, None], columns]
        # From the standardised innovations, whose own precision is 1, to the effects.
        middle = layout.read(point.mean(axis=0))
        hyper = float(middle["persistence"]), float(middle["innovation"])
        root = period_whitening(*hyper, heard, weighted)[1]
        values, vectors = np.linalg.eigh(root @ (hessian - np.eye(len(columns))) @ root.T)
        heard = (vectors * np.clip(values, 0.0, _MOST_HEARD)) @ vectors.T
        prior = root @ root.T
        return np.ascontiguousarray(heard), (heard + prior) @ parts["period"].mean(axis=0)

    def _curvature(
        self,
        turning: Turning,
        whitening: Whitening,
        v: Floats,
        straight: Floats,
        width: Floats,
        columns: Integers,
    ) -> Floats:
        """Minus the Hessian of the log density by the population, a median over draws.

        Base models follow the population in their coordinates. What a pilot's few draws would
        tell of a hundred correlations is mostly noise; the density itself tells it better.

        Returns
        -------
        ndarray, shape (size, size)
            Only the rows and columns asked for are filled.
        """
        data, states, size = self._data(turning, whitening), self.states, self.layout.size
        step = _DIFFERENCE * width

        def hessian(row: int) -> Floats:
            x = np.concatenate([v[row] - turning.centre, np.zeros(straight[row].size)])
            point = posterior_density(x, data, self.first_states)[2]
            x[size:] = self.whitened(point, straight[row], whitening).ravel()
            here, found = posterior_density(x, data, states)[1][:size], np.zeros((size, size))
            for k in columns:
                moved = x.copy()
                moved[k] += step[k]
                found[k] = (here - posterior_density(moved, data, states)[1][:size]) / step[k]
            return 0.5 * (found + found.T)

        with ThreadPoolExecutor(2) as pool:
            each = [one for one in pool.map(hessian, range(len(v))) if np.isfinite(one).all()]
        if not each:  # counts so strange that no draw tells; what is unknown counts as flat
            return np.zeros((size, size))
        return np.asarray(np.median(each, axis=0))

    def whitened(self, point: Floats, straight: Floats, aim: Whitening) -> Floats:
        """Coordinates of base models at a point of the population.

        Parameters
        ----------
        point : ndarray, shape (size of the population,)
        straight : ndarray, shape (base models, parameters)
            Straightened growth parameters.
        aim : Whitening
            Which coordinates.
        """
        parts = self.layout.read(point)
        weighted = aim.weighted.copy()
        shared = np.concatenate([parts["shared"][[EXPONENT]], parts["period"]])
        weighted[: len(aim.cross)] += aim.cross @ (shared - aim.origin)
        return whitened_draws(
            straight[None], parts["means"][self.group][None], parts["spreads"][None],
            Summaries(aim.precision, weighted),
        )[0]  # fmt: skip

    def _slopes(self, theta: Floats, parts: dict[str, Floats]) -> Floats:
        """Derivatives of each base model's log density, given draws of the population."""
        means = parts["means"][:, self.group[: self.told]]
        slopes = (means - theta) / parts["spreads"][:, None] ** 2
        for own, point, shared, period in zip(
            slopes, theta, parts["shared"], parts["period"], strict=True
        ):
            own += log_likelihood_gradients(self._told_law, point, shared, period)[1]
        return np.asarray(slopes)

    def _silent_proposals(self, parts: dict[str, Floats]) -> Proposals:
        """Proposals for base models without fine-tunes: their organization's population, tilted.

        What is proposed is the posterior in case they are not dormant, by importance sampling.
        """
        p, silent = self.layout.parameters, np.arange(self.told, self.members)
        means, spreads = parts["means"].mean(axis=0), parts["spreads"].mean(axis=0)
        apart = parts["means"].std(axis=0)
        uniform = qmc.Sobol(p, rng=2).random(_CANDIDATES)
        z = norm.ppf(np.clip(uniform, 1e-9, 1.0 - 1e-9))
        centre, root = np.empty((len(silent), p)), np.empty((len(silent), p, p))
        found: dict[tuple[int, int], int] = {}
        months, start = self.law.months, self.law.months.start
        shared, period = parts["shared"].mean(axis=0), parts["period"].mean(axis=0)
        for at, i in enumerate(silent):
            o = int(self.group[i])
            key = o, int(start[i + 1] - start[i])
            if key in found:
                centre[at], root[at] = centre[found[key]], root[found[key]]
                continue
            found[key] = at
            theta = means[o] + np.sqrt(spreads**2 + apart[o] ** 2) * z
            value = np.empty((1, _CANDIDATES))
            one = months._replace(start=start[i : i + 2])
            log_likelihoods(
                self.law.number, one, self.law.m, np.ascontiguousarray(theta.T)[None], shared,
                period, value,
            )  # fmt: skip
            weight = np.exp(np.maximum(value[0] - value[0].max(), -50.0))
            weight /= weight.sum()
            centre[at] = weight @ theta
            away = theta - centre[at]
            covariance = (away * weight[:, None]).T @ away + np.diag((0.1 * spreads) ** 2)
            root[at] = np.linalg.cholesky(covariance)
        return Proposals(centre, root, np.empty((0, p, 1)))

    # --- What is kept -------------------------------------------------------------------

    def named(self, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
        """Posterior variables by their names, on the natural scale.

        Parameters
        ----------
        draws : xarray.Dataset
            ``point`` and ``theta`` over ``chain`` and ``draw``.
        rng : numpy.random.Generator
            Source of the parameters of base models that are not a month old.
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
        variables |= self.layout.named_shared(draws["point"].to_numpy(), parts)
        if self.spec.dormancy is not None:
            variables["global_dormancy"] = (lead, expit(parts["location"][..., -1]))
            if self.layout.pooled:
                variables["between_organizations_dormancy"] = (lead, parts["between"][..., -1])
            variables["organization_dormancy"] = ((*lead, "organization"), parts["dormancy"])
        coords = {**self.history.coords, "chain": draws["chain"], "draw": draws["draw"]}
        del coords["observation"]
        if self.spec.period_effect is None:
            del coords["calendar_month"]
        return xr.Dataset(variables, coords=coords)

    def _all_base_models(
        self, members: npt.NDArray[Any], parts: dict[str, Floats], rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draws of all base models' parameters, in the order of the history."""
        chains, draws, _, size = members.shape
        shape = (chains, draws, len(self.history.base_models), size)
        theta = np.empty(shape, dtype=members.dtype)
        theta[:, :, self._members] = members
        own = self.history.organization_of[self._newborn]
        noise = rng.standard_normal((chains, draws, len(own), size))
        theta[:, :, self._newborn] = (
            parts["means"][:, :, own] + parts["spreads"][:, :, None, :] * noise
        )
        return theta


def _root_of_inverse(precision: Floats) -> Floats:
    """Cholesky root of the covariance, curvatures kept within what is believed."""
    values, vectors = np.linalg.eigh(precision)
    values = np.clip(values, _FLATTEST, _STEEPEST)
    return np.asarray(np.linalg.cholesky((vectors / values) @ vectors.T))
