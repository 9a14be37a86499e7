"""The posterior in coordinates that suit a sampler, and where to aim them.

The population moves in the coordinates of `bayes_hfgrowth.inference.coordinates`, turned and
scaled; base models with fine-tunes in those of `bayes_hfgrowth.inference.whitening`, those without
in those of `bayes_hfgrowth.inference.zero_counts`. One that is not a month old has no data and is
drawn from its organization. The density is that of `bayes_hfgrowth.inference.posterior_density`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import expit

from bayes_hfgrowth.growth.law import EXPONENT, Floats, Integers, Shared
from bayes_hfgrowth.inference.coordinates import (
    PopulationLayout,
    PopulationSummaries,
    period_whitening,
    unbounded,
)
from bayes_hfgrowth.inference.posterior_density import Data, Turning, posterior_density
from bayes_hfgrowth.inference.preconditioner import find_skews, no_skews, unskewed
from bayes_hfgrowth.inference.ridge import pivot_of, pivots_at, straightened, straighter
from bayes_hfgrowth.inference.summaries import (
    Population,
    Summaries,
    curvatures,
    laplace,
    log_likelihood_gradients,
    normal_summaries,
    whitened_draws,
)
from bayes_hfgrowth.inference.variational import first_look
from bayes_hfgrowth.inference.whitening import Whitening
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.priors import LOG_SCALE, frozen
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History

__all__ = ["Aim", "WhitenedPosterior"]

_MANY = 100  # fine-tunes from which on a base model is straightened as long as no draws tell
_SOME = 100  # draws that later chains may start from, and that coordinates are chosen by
_LOOKS, _LOOK_DRAWS = 2, 400  # first looks before the pilots, and draws that aim the next
_STEP = 1e-3  # of exponent and period effects, for differences
_CURVED = 4  # draws at which the curvature of the density is taken
_DIFFERENCE = 0.02  # of a standard deviation, for its differences
_MOST_PRECISE = 1e6  # precision of a period effect; beyond it nothing more is gained
_LONG = 3.0  # variance of a direction in which draws show that it is longer than curvature says
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
    starts : ndarray, shape (starts, size of the population)
        Coordinates of the population to start from.
    straight : ndarray, shape (starts, base models, parameters)
        Straightened growth parameters of each base model to start from.
    """

    turning: Turning
    whitening: Whitening
    starts: Floats
    straight: Floats


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
        # From young to old, as base models of one age share a block of lanes.
        zeros = np.flatnonzero((history.finetunes == 0) & (history.months > 0))
        own, others = (
            some[np.argsort(history.months[some], kind="stable")] for some in (told, zeros)
        )
        self.told = len(own)
        self._members = np.concatenate([own, others]).astype(np.int64)
        self._newborn = np.flatnonzero(history.months == 0)
        self.observed = observed_of(spec, history.subset(own), first)
        self.zeros = observed_of(spec, history.subset(others), first)
        self.group = history.organization_of[self._members]
        self._last_age, self._many = np.log(history.months[own]), history.finetunes[own] >= _MANY

    @property
    def members(self) -> int:
        """How many base models have months."""
        return len(self._members)

    @property
    def dimensions(self) -> int:
        """How many coordinates there are, of the population and of base models."""
        return self.layout.size + self.members * self.layout.parameters

    def data(self, aim: Aim) -> Data:
        """What the densities read in the coordinates of an aim."""
        return self._data(aim.turning, aim.whitening)

    def _data(self, turning: Turning, whitening: Whitening) -> Data:
        return Data(
            layout=self.layout.encoded,
            turning=turning,
            whitening=whitening,
            group=self.group,
            organizations=len(self.history.organizations),
            observed=self.observed,
            zeros=self.zeros,
        )

    def blank_aim(self) -> Aim:
        """An aim that knows nothing, to compile with."""
        size, p = self.layout.size, self.layout.parameters
        turning = Turning(np.zeros(size), np.eye(size), no_skews(size), self._no_summaries())
        shape = (self.told, p)
        whitening = Whitening(
            np.zeros((*shape, p)), np.zeros(shape), *self._no_cross(), np.zeros((self.told, 7))
        )
        return Aim(turning, whitening, np.zeros((1, size)), np.zeros((1, self.members, p)))

    def _no_summaries(self) -> PopulationSummaries:
        calendar = self.layout.calendar_months
        shape = (self.layout.organizations, self.layout.columns)
        return PopulationSummaries(
            group_precision=np.zeros((*shape, self.layout.columns)),
            group_weighted=np.zeros(shape),
            period_precision=np.zeros((calendar, calendar)),
            period_weighted=np.zeros(calendar),
        )

    def _no_cross(self) -> tuple[Floats, Floats]:
        columns = 1 + self.layout.calendar_months
        return np.zeros((self.told, self.layout.parameters, columns)), np.zeros(columns)

    # --- Where to aim -------------------------------------------------------------------

    def aim_blind(self, rng: np.random.Generator) -> Aim:
        """Aim by the prior and Laplace's method, then twice by a first look at the posterior.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        """
        data, dimensions = self._aimed_at_prior(), self.dimensions
        with ThreadPoolExecutor(1) as pool:
            for _ in range(_LOOKS):

                def density(x: Floats, data: Data = data) -> tuple[float, Floats]:
                    return posterior_density(x, data, pool)[:2]

                mean, spreads = first_look(density, dimensions, rng)
                found = []
                for _ in range(_LOOK_DRAWS):
                    x = mean + spreads * rng.standard_normal(dimensions)
                    found.append(posterior_density(x, data, pool)[2:])
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
        shared = Shared(parts["shared"], parts["period"])
        population = Population(parts["means"], parts["spreads"], shared)
        own = self.group[: self.told]
        modes, summaries = laplace(self.observed, own, population, population.means[own], 20)
        locations = np.arange(blocks["location"].start, blocks["location"].start + p)
        scale[locations] = np.minimum(scale[locations], 0.2)
        scale[blocks["within"]] = 0.1
        level = self._no_summaries()
        prior = prior_precision = np.diag(population.spreads**-2.0)
        if layout.pooled:
            # A base model tells its organization's mean with its own uncertainty and the spread.
            heard = prior @ np.linalg.inv(summaries.precision + prior)
            np.add.at(level.group_precision[:, :p, :p], own, prior - heard @ prior)
            part = np.einsum("nij,nj->ni", heard, summaries.weighted)
            np.add.at(level.group_weighted[:, :p], own, part)
        turning = Turning(centre, np.diag(scale), no_skews(layout.size), level)
        pivots = pivots_at(self._last_age, modes, self._many)
        shift, origin = self._shift(modes, shared, population.spreads)
        cross = (summaries.precision + prior_precision) @ shift
        whitening = self._whitening(summaries.precision, summaries.weighted, cross, origin, pivots)
        return self._data(turning, whitening)

    @staticmethod
    def _whitening(
        precision: Floats, weighted: Floats, cross: Floats, origin: Floats, pivots: Floats
    ) -> Whitening:
        return Whitening(
            np.ascontiguousarray(precision),
            np.ascontiguousarray(weighted),
            np.ascontiguousarray(cross),
            origin,
            np.ascontiguousarray(pivots),
        )

    def _shift(self, theta: Floats, shared: Shared, spreads: Floats) -> tuple[Floats, Floats]:
        """How base models move with the exponent and the period effects, to first order.

        By the implicit function theorem: the mode of a base model moves by its curvature's inverse
        times the change of its slopes.
        """
        cross, origin = self._no_cross()
        values, period = shared
        origin[0], origin[1:] = values[EXPONENT], period
        moves: list[tuple[int, Floats, Floats]] = []
        if "reinforcement_exponent" in self.layout.learned:
            step = np.zeros(len(values))
            step[EXPONENT] = min(_STEP, 0.5 * (1.0 - values[EXPONENT]))
            moves.append((0, step, np.zeros(len(period))))
        if self.spec.period_effect is not None:
            steps = _STEP * np.eye(len(period))
            moves += [(1 + k, np.zeros(len(values)), step) for k, step in enumerate(steps)]
        for column, by_values, by_period in moves:
            above = Shared(values + by_values, period + by_period)
            below = Shared(values - by_values, period - by_period)
            up = log_likelihood_gradients(self.observed, theta, above)[1]
            down = log_likelihood_gradients(self.observed, theta, below)[1]
            length = 2.0 * (by_values.sum() + by_period.sum())
            cross[:, :, column] = (up - down) / length
        cross = np.nan_to_num(cross, posinf=0.0, neginf=0.0)
        population = Population(np.empty((0, 0)), spreads, shared)
        shift = np.linalg.solve(curvatures(self.observed, theta, population), cross)
        return np.ascontiguousarray(shift), origin

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
        layout, own = self.layout, theta[:, : self.told]
        parts = layout.read(point)
        some = np.linspace(0, len(point) - 1, _SOME).astype(np.int64)
        few = {name: part[some] for name, part in parts.items()}
        chosen = straighter(self._last_age, own[some], self._slopes(own[some], few))
        pivots = pivots_at(self._last_age, pivot_of(self._last_age, own), chosen)
        straight = straightened(pivots, own)
        spreads = np.exp(np.log(parts["spreads"]).mean(axis=0))
        means = parts["means"].mean(axis=0)
        shared = Shared(parts["shared"].mean(axis=0), parts["period"].mean(axis=0))
        shift, origin = self._shift(own.mean(axis=0), shared, spreads)
        # Base models as they would be, were exponent and period effects at the origin.
        moved = np.concatenate([parts["shared"][:, [EXPONENT]], parts["period"]], axis=1) - origin
        settled = straight - np.einsum("nkc,sc->snk", shift, moved)
        summaries = normal_summaries(settled, means[self.group[: self.told]], spreads)
        cross = (summaries.precision + np.diag(spreads**-2.0)) @ shift
        whitening = self._whitening(summaries.precision, summaries.weighted, cross, origin, pivots)
        straight = np.concatenate([straight, theta[:, self.told :]], axis=1)
        level = self._no_summaries()
        if layout.pooled:
            groups_of = point[:, layout.blocks["means"]].reshape(len(point), -1, layout.columns)
            overall = np.tile(parts["location"].mean(axis=0), (groups_of.shape[1], 1))
            between = np.exp(np.log(parts["between"]).mean(axis=0))
            groups = normal_summaries(groups_of, overall, between)
            level = level._replace(group_precision=groups.precision, group_weighted=groups.weighted)
        at = np.linspace(0, len(point) - 1, _CURVED).astype(np.int64)
        level = self._with_period(level, point[at], straight[at], whitening, parts)
        psi = layout.coordinates(point, level)
        skews = no_skews(layout.size) if blind else find_skews(psi)
        v = unskewed(psi, skews)
        centre, width = v.mean(axis=0), np.maximum(v.std(axis=0), 1e-6)
        apart = Turning(centre, np.eye(layout.size), skews, level)
        columns = np.arange(layout.size)
        precision = self._curvature(apart, whitening, v[at], straight[at], width, columns)
        precision *= np.outer(width, width)
        scale = width[:, None] * _root_of_inverse(precision)
        u = np.linalg.solve(scale, (v - centre).T).T
        if not blind:
            values, vectors = np.linalg.eigh(np.cov(u.T))
            longer = np.where(values > _LONG, values / _LONG, 1.0)
            scale = scale @ (vectors * np.sqrt(longer)) @ vectors.T
            # Any root serves; a triangular one is cheap.
            scale = np.linalg.cholesky(scale @ scale.T)
            u = np.linalg.solve(scale, (v - centre).T).T
        turning = Turning(centre, scale, skews, level)
        starts = np.ascontiguousarray(u[some])
        return Aim(turning, whitening, starts, straight[some])

    def _with_period(
        self,
        level: PopulationSummaries,
        point: Floats,
        straight: Floats,
        whitening: Whitening,
        parts: dict[str, Floats],
    ) -> PopulationSummaries:
        """Summaries, with what the months of all base models say of the period effects."""
        layout, block = self.layout, self.layout.blocks["period"]
        if block.stop == block.start:
            return level
        psi = layout.coordinates(point, level)
        centre = psi.mean(axis=0)
        plain = Turning(centre, np.eye(layout.size), no_skews(layout.size), level)
        columns = np.arange(block.start, block.stop)
        hessian = self._curvature(plain, whitening, psi, straight, np.ones(layout.size), columns)
        hessian = hessian[columns[:, None], columns]
        # From the standardised innovations, whose own precision is 1, to the effects.
        middle = layout.read(point.mean(axis=0))
        hyper = float(middle["persistence"]), float(middle["innovation"])
        root = period_whitening(*hyper, level)[1]
        values, vectors = np.linalg.eigh(root @ (hessian - np.eye(len(columns))) @ root.T)
        precision = (vectors * np.clip(values, 0.0, _MOST_PRECISE)) @ vectors.T
        weighted = (precision + root @ root.T) @ parts["period"].mean(axis=0)
        return level._replace(
            period_precision=np.ascontiguousarray(precision), period_weighted=weighted
        )

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
        data, size = self._data(turning, whitening), self.layout.size
        step = _DIFFERENCE * width

        def hessian(row: int) -> Floats:
            x = np.concatenate([v[row] - turning.centre, np.zeros(straight[row].size)])
            point = posterior_density(x, data)[2]
            x[size:] = self.whitened(point, straight[row], whitening).ravel()
            here, found = posterior_density(x, data)[1][:size], np.zeros((size, size))
            for k in columns:
                moved = x.copy()
                moved[k] += step[k]
                found[k] = (here - posterior_density(moved, data)[1][:size]) / step[k]
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
        shared = np.concatenate([parts["shared"][[EXPONENT]], parts["period"]])
        weighted = aim.weighted + aim.cross @ (shared - aim.origin)
        told, means = self.told, parts["means"][self.group]
        own = whitened_draws(
            straight[None, :told],
            means[None, :told],
            parts["spreads"][None],
            Summaries(aim.precision, weighted),
        )[0]
        return np.concatenate([own, (straight[told:] - means[told:]) / parts["spreads"]])

    def _slopes(self, theta: Floats, parts: dict[str, Floats]) -> Floats:
        """Derivatives of each base model's log density, given draws of the population."""
        means = parts["means"][:, self.group[: self.told]]
        slopes = (means - theta) / parts["spreads"][:, None] ** 2
        draws = zip(slopes, theta, parts["shared"], parts["period"], strict=True)
        for own, point, values, period in draws:
            own += log_likelihood_gradients(self.observed, point, Shared(values, period))[1]
        return np.asarray(slopes)

    def start(self, aim: Aim, seed: int, apart: float) -> Floats:
        """Coordinates for a chain to start from.

        Parameters
        ----------
        aim : Aim
            Which coordinates, and draws to start from.
        seed : int
            Says which of these.
        apart : float
            How much further from the middle than the draw the population starts.
        """
        at, data = int(np.random.default_rng(seed).integers(len(aim.starts))), self.data(aim)
        for further in (apart, 1.0, 0.0):  # far out nothing may be possible any more
            x = np.concatenate([further * aim.starts[at], np.zeros(aim.straight[at].size)])
            point = posterior_density(x, data)[2]
            x[self.layout.size :] = self.whitened(point, aim.straight[at], aim.whitening).ravel()
            if np.isfinite(posterior_density(x, data)[0]):
                break
        return x

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
        theta = np.empty(shape, dtype=np.float32)
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
