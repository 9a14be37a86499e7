"""The posterior in coordinates that suit a sampler, and their adaptation by pilot runs.

The population moves in the coordinates of `bayes_hfgrowth.inference.coordinates` under a linear
preconditioner; base models with fine-tunes in those of `bayes_hfgrowth.inference.whitening`,
those without in those of `bayes_hfgrowth.inference.zero_counts`. One that is not a month old has no
data and is drawn from its organization. The density is that of
`bayes_hfgrowth.inference.posterior_density`.
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
    PopulationSummaries,
    coordinates_at,
    period_factors,
)
from bayes_hfgrowth.inference.population_layout import (
    Parts,
    PopulationLayout,
    bounded,
    unbounded,
)
from bayes_hfgrowth.inference.posterior_density import Data, LinearPreconditioner, posterior_density
from bayes_hfgrowth.inference.preconditioner import (
    fit_sinh_arcsinh,
    inverse_sinh_arcsinh,
    no_sinh_arcsinh,
)
from bayes_hfgrowth.inference.ridge import nearer_normal, pivot_of, pivots_at, to_ridge
from bayes_hfgrowth.inference.summaries import (
    Summaries,
    curvatures,
    laplace,
    log_likelihood_gradients,
    normal_summaries,
)
from bayes_hfgrowth.inference.variational import mean_field_advi
from bayes_hfgrowth.inference.whitening import NonCentring
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.priors import LOG_SCALE, frozen
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History

__all__ = ["Adaptation", "NonCentredPosterior"]

_MANY = 100  # fine-tunes from which on a ridge is straightened as long as there are no draws
_SOME = 100  # draws that later chains may start from, and that coordinates are chosen by
_ADVI_RUNS, _ADVI_DRAWS = 2, 400  # before the pilots, and draws that the next one adapts to
_STEP = 1e-3  # of exponent and period effects, for differences
_CURVED = 4  # draws at which the curvature of the density is taken
_DIFFERENCE = 0.02  # of a standard deviation, for its differences
_MOST_PRECISE = 1e6  # precision of a period effect; beyond it nothing more is gained
_LONG = 3.0  # variance of a direction in which draws show that it is longer than curvature says
_FLATTEST, _STEEPEST = 0.1, 1e4  # curvatures that are believed, in units of the draws' widths


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Coordinates as earlier draws have them, and where chains set out from.

    Parameters
    ----------
    linear : LinearPreconditioner
        Coordinates of the population.
    non_centring : NonCentring
        Coordinates of the base models.
    starts : ndarray, shape (starts, size of the population)
        Coordinates of the population to start from.
    ridge : ndarray, shape (starts, base models, parameters)
        Straightened growth parameters of each base model to start from.
    """

    linear: LinearPreconditioner
    non_centring: NonCentring
    starts: Floats
    ridge: Floats


class NonCentredPosterior:
    """A posterior in adapted coordinates, for a sampler.

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
        observed = np.flatnonzero(history.finetunes > 0)
        # From young to old, as base models of one age share a block of lanes.
        zeros = np.flatnonzero((history.finetunes == 0) & (history.months > 0))
        own, others = (
            some[np.argsort(history.months[some], kind="stable")] for some in (observed, zeros)
        )
        self.with_finetunes = len(own)
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

    def data(self, adaptation: Adaptation) -> Data:
        """What the densities read in the coordinates of an adaptation."""
        return self._data(adaptation.linear, adaptation.non_centring)

    def _data(self, linear: LinearPreconditioner, non_centring: NonCentring) -> Data:
        return Data(
            layout=self.layout.encoded,
            linear=linear,
            non_centring=non_centring,
            group=self.group,
            organizations=len(self.history.organizations),
            observed=self.observed,
            zeros=self.zeros,
        )

    def blank_data(self) -> Data:
        """Data of coordinates that know nothing, to compile with."""
        size, p = self.layout.size, self.layout.parameters
        linear = LinearPreconditioner(
            np.zeros(size), np.eye(size), no_sinh_arcsinh(size), self._no_summaries()
        )
        shape = (self.with_finetunes, p)
        summaries = Summaries(np.zeros((*shape, p)), np.zeros(shape))
        pivots = np.zeros((self.with_finetunes, 7))
        return self._data(linear, NonCentring(*summaries, *self._no_cross(), pivots))

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
        return np.zeros((self.with_finetunes, self.layout.parameters, columns)), np.zeros(columns)

    # --- Adaptation -----------------------------------------------------------------------

    def adapt_blind(self, rng: np.random.Generator) -> Adaptation:
        """Adapt to the prior by Laplace's method, then twice to a mean-field ADVI.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        """
        data, dimensions = self._adapted_to_prior(), self.dimensions
        with ThreadPoolExecutor(1) as pool:
            for _ in range(_ADVI_RUNS):

                def density(x: Floats, data: Data = data) -> tuple[float, Floats]:
                    return posterior_density(x, data, pool)[:2]

                mean, scales = mean_field_advi(density, dimensions, rng)
                found = []
                for _ in range(_ADVI_DRAWS):
                    x = mean + scales * rng.standard_normal(dimensions)
                    found.append(posterior_density(x, data, pool)[2:])
                point, theta = (np.stack(part) for part in zip(*found, strict=True))
                adaptation = self._adapt_to(point, theta, blind=True)
                data = self.data(adaptation)
        return adaptation

    def _adapted_to_prior(self) -> Data:
        """Adapt to the medians of the priors, each base model at its mode there."""
        layout, p = self.layout, self.layout.parameters
        blocks = layout.blocks
        centre, scale = self._prior_point()
        point = centre.copy()
        if layout.pooled:
            point[blocks["means"]] = np.tile(point[blocks["location"]], layout.organizations)
        parts = layout.read(point)
        scales, shared = parts.scales, parts.shared
        own = self.group[: self.with_finetunes]
        modes, summaries = laplace(self.observed, parts.means[own], scales, shared)
        locations = np.arange(blocks["location"].start, blocks["location"].start + p)
        scale[locations] = np.minimum(scale[locations], 0.2)
        scale[blocks["within"]] = 0.1
        level = self._no_summaries()
        if layout.pooled:
            prior = np.diag(scales**-2.0)
            # A base model is as uncertain of its organization's mean as its own and the scale say.
            gain = prior @ np.linalg.inv(summaries.precision + prior)
            np.add.at(level.group_precision[:, :p, :p], own, prior - gain @ prior)
            part = np.einsum("nij,nj->ni", gain, summaries.weighted)
            np.add.at(level.group_weighted[:, :p], own, part)
        linear = LinearPreconditioner(centre, np.diag(scale), no_sinh_arcsinh(layout.size), level)
        pivots = pivots_at(self._last_age, modes, self._many)
        shift, origin = self._shift(modes, scales, shared)
        return self._data(linear, _non_centring(summaries, scales, shift, origin, pivots))

    def _shift(self, theta: Floats, scales: Floats, shared: Shared) -> tuple[Floats, Floats]:
        """How base models move with the exponent and the period effects, to first order.

        By the implicit function theorem: the mode of a base model moves by its curvature's inverse
        times the change of its slopes.
        """
        cross, origin = self._no_cross()
        values, period = shared
        origin[0], origin[1:] = values[EXPONENT], period
        moves: dict[int, Shared] = {}
        if "reinforcement_exponent" in self.layout.learned:
            step = np.zeros(len(values))
            step[EXPONENT] = min(_STEP, 0.5 * (1.0 - values[EXPONENT]))
            moves[0] = Shared(step, np.zeros(len(period)))
        if self.spec.period_effect is not None:
            for k, step in enumerate(_STEP * np.eye(len(period))):
                moves[1 + k] = Shared(np.zeros(len(values)), step)
        for column, (by_values, by_period) in moves.items():
            up, down = (
                log_likelihood_gradients(self.observed, theta, moved)[1]
                for moved in (
                    Shared(values + by_values, period + by_period),
                    Shared(values - by_values, period - by_period),
                )
            )
            cross[:, :, column] = (up - down) / (2.0 * (by_values.sum() + by_period.sum()))
        cross = np.nan_to_num(cross, posinf=0.0, neginf=0.0)
        shift = np.linalg.solve(curvatures(self.observed, theta, scales, shared), cross)
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

    def adapt_to(self, draws: xr.Dataset) -> Adaptation:
        """Adapt to the means and covariances of earlier draws.

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
        return self._adapt_to(point, theta, blind=False)

    def _adapt_to(self, point: Floats, theta: Floats, blind: bool) -> Adaptation:
        """Adapt to draws; those of a mean-field ADVI know no correlations."""
        layout, own = self.layout, theta[:, : self.with_finetunes]
        parts = layout.read(point)
        some = np.linspace(0, len(point) - 1, _SOME).astype(np.int64)
        few = layout.read(point[some])
        chosen = nearer_normal(self._last_age, own[some], self._slopes(own[some], few))
        pivots = pivots_at(self._last_age, pivot_of(self._last_age, own), chosen)
        ridge = to_ridge(pivots, own)
        scales = np.exp(np.log(parts.scales).mean(axis=0))
        means = parts.means.mean(axis=0)
        shared = Shared(parts.shared.values.mean(axis=0), parts.shared.period.mean(axis=0))
        shift, origin = self._shift(own.mean(axis=0), scales, shared)
        # Base models as they would be, were exponent and period effects at the origin.
        moved = (
            np.concatenate([parts.shared.values[:, [EXPONENT]], parts.shared.period], axis=1)
            - origin
        )
        settled = ridge - np.einsum("nkc,sc->snk", shift, moved)
        summaries = normal_summaries(settled, means[self.group[: self.with_finetunes]], scales)
        non_centring = _non_centring(summaries, scales, shift, origin, pivots)
        ridge = np.concatenate([ridge, theta[:, self.with_finetunes :]], axis=1)
        level = self._no_summaries()
        if layout.pooled:
            groups_of = point[:, layout.blocks["means"]].reshape(len(point), -1, layout.columns)
            overall = np.tile(parts.location.mean(axis=0), (groups_of.shape[1], 1))
            between = np.exp(np.log(parts.between).mean(axis=0))
            groups = normal_summaries(groups_of, overall, between)
            level = level._replace(group_precision=groups.precision, group_weighted=groups.weighted)
        at = np.linspace(0, len(point) - 1, _CURVED).astype(np.int64)
        level = self._with_period(level, point[at], ridge[at], non_centring, parts)
        psi = coordinates_at(layout, point, level)
        sinh_arcsinh = no_sinh_arcsinh(layout.size) if blind else fit_sinh_arcsinh(psi)
        v = inverse_sinh_arcsinh(psi, sinh_arcsinh)
        centre, width = v.mean(axis=0), np.maximum(v.std(axis=0), 1e-6)
        apart = LinearPreconditioner(centre, np.eye(layout.size), sinh_arcsinh, level)
        columns = np.arange(layout.size)
        precision = self._curvature(apart, non_centring, v[at], ridge[at], width, columns)
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
        linear = LinearPreconditioner(centre, scale, sinh_arcsinh, level)
        starts = np.ascontiguousarray(u[some])
        return Adaptation(linear, non_centring, starts, ridge[some])

    def _with_period(
        self,
        level: PopulationSummaries,
        point: Floats,
        ridge: Floats,
        non_centring: NonCentring,
        parts: Parts,
    ) -> PopulationSummaries:
        """Summaries, with what the months of all base models say of the period effects."""
        layout, block = self.layout, self.layout.blocks["period"]
        if block.stop == block.start:
            return level
        psi = coordinates_at(layout, point, level)
        centre = psi.mean(axis=0)
        plain = LinearPreconditioner(
            centre, np.eye(layout.size), no_sinh_arcsinh(layout.size), level
        )
        columns = np.arange(block.start, block.stop)
        hessian = self._curvature(plain, non_centring, psi, ridge, np.ones(layout.size), columns)
        hessian = hessian[columns[:, None], columns]
        # From the standardised innovations, whose own precision is 1, to the effects.
        middle = layout.read(point.mean(axis=0))
        hyper = float(middle.persistence), float(middle.innovation)
        root = period_factors(*hyper, level)[1]
        values, vectors = np.linalg.eigh(root @ (hessian - np.eye(len(columns))) @ root.T)
        precision = (vectors * np.clip(values, 0.0, _MOST_PRECISE)) @ vectors.T
        weighted = (precision + root @ root.T) @ parts.shared.period.mean(axis=0)
        return level._replace(
            period_precision=np.ascontiguousarray(precision), period_weighted=weighted
        )

    def _curvature(
        self,
        linear: LinearPreconditioner,
        non_centring: NonCentring,
        v: Floats,
        ridge: Floats,
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
        data, size = self._data(linear, non_centring), self.layout.size
        step = _DIFFERENCE * width

        def hessian(row: int) -> Floats:
            x = np.concatenate([v[row] - linear.centre, np.zeros(ridge[row].size)])
            point = posterior_density(x, data)[2]
            x[size:] = self.non_centred(point, ridge[row], non_centring).ravel()
            here, found = posterior_density(x, data)[1][:size], np.zeros((size, size))
            with np.errstate(over="ignore", invalid="ignore"):  # left out below
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

    def non_centred(self, point: Floats, ridge: Floats, non_centring: NonCentring) -> Floats:
        """Coordinates of base models at a point of the population.

        Parameters
        ----------
        point : ndarray, shape (size of the population,)
        ridge : ndarray, shape (base models, parameters)
            Straightened growth parameters.
        non_centring : NonCentring
            Which coordinates.
        """
        parts = self.layout.read(point)
        shared = np.concatenate([parts.shared.values[[EXPONENT]], parts.shared.period])
        weighted = non_centring.weighted + non_centring.cross @ (shared - non_centring.origin)
        n, means, scales = self.with_finetunes, parts.means[self.group], parts.scales
        precision = non_centring.precision + np.diag(scales**-2.0)
        weighted += means[:n] * scales**-2.0
        centre = np.linalg.solve(precision, weighted[..., None])[..., 0]
        root = np.linalg.cholesky(precision)
        own = np.einsum("nji,nj->ni", root, ridge[:n] - centre)
        return np.concatenate([own, (ridge[n:] - means[n:]) / scales])

    def _slopes(self, theta: Floats, parts: Parts) -> Floats:
        """Derivatives of each base model's log density, given draws of the population."""
        means = parts.means[:, self.group[: self.with_finetunes]]
        slopes = (means - theta) / parts.scales[:, None] ** 2
        draws = zip(slopes, theta, parts.shared.values, parts.shared.period, strict=True)
        for own, point, values, period in draws:
            own += log_likelihood_gradients(self.observed, point, Shared(values, period))[1]
        return np.asarray(slopes)

    def start(self, adaptation: Adaptation, seed: int, apart: float) -> Floats:
        """Coordinates for a chain to start from.

        Parameters
        ----------
        adaptation : Adaptation
            Which coordinates, and draws to start from.
        seed : int
            Says which of these.
        apart : float
            How much further from the middle than the draw the population starts.
        """
        data = self.data(adaptation)
        at = int(np.random.default_rng(seed).integers(len(adaptation.starts)))
        ridge = adaptation.ridge[at]
        for further in (apart, 1.0, 0.0):  # far out nothing may be possible any more
            x = np.concatenate([further * adaptation.starts[at], np.zeros(ridge.size)])
            point = posterior_density(x, data)[2]
            own = self.non_centred(point, ridge, adaptation.non_centring)
            x[self.layout.size :] = own.ravel()
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
        point = draws["point"].to_numpy()
        parts = self.layout.read(point)
        theta = self._all_base_models(draws["theta"].to_numpy(), parts, rng)
        lead = ("chain", "draw")
        variables: dict[str, Any] = {}
        for k, name in enumerate(self.spec.parameters):
            natural: Callable[[Floats], Floats] = _exp if LOG_SCALE[name] else np.asarray
            variables[f"global_{name}"] = (lead, natural(parts.location[..., k]))
            if self.layout.pooled:
                variables[f"between_organizations_{name}"] = (lead, parts.between[..., k])
            variables[f"between_base_models_{name}"] = (lead, parts.scales[..., k])
            variables[f"organization_{name}"] = (
                (*lead, "organization"),
                natural(parts.means[..., k]),
            )
            variables[name] = ((*lead, "base_model"), natural(theta[..., k]))
        for at, (name, prior) in enumerate(self.layout.learned.items()):
            variables[name] = (lead, bounded(point[..., at], prior))
        if self.spec.period_effect is not None:
            variables["period_effect"] = ((*lead, "calendar_month"), parts.shared.period)
        if self.spec.dormancy is not None:
            variables["global_dormancy"] = (lead, expit(parts.location[..., -1]))
            if self.layout.pooled:
                variables["between_organizations_dormancy"] = (lead, parts.between[..., -1])
            variables["organization_dormancy"] = ((*lead, "organization"), parts.dormancy)
        coords = {**self.history.coords, "chain": draws["chain"], "draw": draws["draw"]}
        del coords["observation"]
        if self.spec.period_effect is None:
            del coords["calendar_month"]
        return xr.Dataset(variables, coords=coords)

    def _all_base_models(
        self, members: npt.NDArray[Any], parts: Parts, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draws of all base models' parameters, in the order of the history."""
        chains, draws, _, size = members.shape
        shape = (chains, draws, len(self.history.base_models), size)
        theta = np.empty(shape, dtype=np.float32)
        theta[:, :, self._members] = members
        own = self.history.organization_of[self._newborn]
        noise = rng.standard_normal((chains, draws, len(own), size))
        theta[:, :, self._newborn] = parts.means[:, :, own] + parts.scales[:, :, None, :] * noise
        return theta


def _non_centring(
    summaries: Summaries, scales: Floats, shift: Floats, origin: Floats, pivots: Floats
) -> NonCentring:
    """Coordinates of the base models, whose centres move by `shift` with what all share."""
    cross = (summaries.precision + np.diag(scales**-2.0)) @ shift
    return NonCentring(*map(np.ascontiguousarray, (*summaries, cross, origin, pivots)))


def _exp(values: Floats) -> Floats:
    """Exponential that is infinite where no float holds it."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(values))


def _root_of_inverse(precision: Floats) -> Floats:
    """Cholesky root of the covariance, curvatures kept within what is believed."""
    values, vectors = np.linalg.eigh(precision)
    values = np.clip(values, _FLATTEST, _STEEPEST)
    return np.asarray(np.linalg.cholesky((vectors / values) @ vectors.T))
