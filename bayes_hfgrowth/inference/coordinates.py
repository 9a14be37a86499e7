"""The population as one unbounded vector, and the coordinates in which the sampler moves it.

The vector ψ, called a point, holds in this order

- the global locations, one for each growth parameter and one for the logit of dormancy;
- ln of the spreads between organizations, in the same order;
- the organization means, organization by organization;
- ln of the spreads of base models within their organization;
- strength and logit memory of the carry-over, where they have priors.

Where base models are pooled globally, the second and third part are missing. In the place of
the means of an organization the sampler moves coordinates that are to the global level what
those of `bayes_hfgrowth.inference.whitening` are to the organization: what its base models say of
the means is summed up beforehand as a normal likelihood, which centres an organization as far as
its data are strong. A poor summary costs speed, not truth.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from scipy.special import expit

from bayes_hfgrowth.growth.transition import Floats, Integers
from bayes_hfgrowth.inference.whitening import (
    back,
    by_log_normal,
    factorise,
    log_normal,
    precisions,
)
from bayes_hfgrowth.model.specification import GrowthSpec, Prior

__all__ = [
    "PopulationLayout",
    "log_prior_at",
    "to_coordinates",
    "to_point",
]

_NORMAL, _LOG_NORMAL, _HALF_NORMAL, _GAMMA, _EXPONENTIAL, _BETA = range(6)


@dataclass(frozen=True)
class PopulationLayout:
    """Where each part of the population stands in a point.

    Parameters
    ----------
    spec : GrowthSpec
        Hierarchy and priors.
    organizations : int
        How many there are.
    """

    spec: GrowthSpec
    organizations: int

    @property
    def parameters(self) -> int:
        """Number of growth parameters."""
        return len(self.spec.parameters)

    @property
    def columns(self) -> int:
        """Number of organization means: growth parameters, and dormancy if there is any."""
        return self.parameters + (self.spec.dormancy is not None)

    @property
    def pooled(self) -> bool:
        """Whether there is an organization level."""
        return self.spec.pooling == "organization"

    @property
    def carried(self) -> tuple[str, ...]:
        """Parts of the carry-over that have priors."""
        carry = self.spec.carry_over
        names = ("strength", "memory") if carry else ()
        return tuple(name for name in names if isinstance(getattr(carry, name), Prior))

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Place of each part."""
        lengths = {
            "location": self.columns,
            "between": self.columns if self.pooled else 0,
            "means": self.columns * self.organizations if self.pooled else 0,
            "within": self.parameters,
            **dict.fromkeys(self.carried, 1),
        }
        places, at = {}, 0
        for name, length in lengths.items():
            places[name] = slice(at, at + length)
            at += length
        return places

    @cached_property
    def size(self) -> int:
        """Length of a point."""
        return max(place.stop for place in self.blocks.values())

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Priors of all that is not an organization mean, in order."""
        spec = self.spec
        hierarchies: list[Any] = [*spec.parameters.values()]
        if spec.dormancy is not None:
            hierarchies.append(spec.dormancy)
        chosen = [h.location for h in hierarchies]
        if self.pooled:
            chosen += [h.between_organizations for h in hierarchies]
        chosen += [p.between_base_models for p in spec.parameters.values()]
        return (*chosen, *(getattr(spec.carry_over, name) for name in self.carried))

    def encoded(self) -> tuple[Floats, Integers]:
        """Priors and places for `to_point`.

        Returns
        -------
        priors : ndarray, shape (priors, 3)
            Kind and two parameters of each of `priors`.
        places : ndarray of int64, shape (8,)
            Columns, organizations (0 without that level), growth parameters, first element of
            means, of within, of strength, of memory (-1 where fixed), and size.
        """
        blocks = self.blocks
        carry = [blocks[name].start if name in blocks else -1 for name in ("strength", "memory")]
        places = [
            self.columns, self.organizations if self.pooled else 0, self.parameters,
            blocks["means"].start, blocks["within"].start, *carry, self.size,
        ]  # fmt: skip
        return np.array([_encode(prior) for prior in self.priors]), np.array(places, dtype=np.int64)

    def read(self, points: Floats) -> dict[str, Floats]:
        """Population at points.

        Parameters
        ----------
        points : ndarray, shape (..., size)
            On the unbounded scale.

        Returns
        -------
        dict of str to ndarray
            ``location`` (..., columns); ``between`` (..., columns), standard deviations, if
            there is an organization level; ``means`` (..., organizations, parameters), on the
            scale that is normal; ``spreads`` (..., parameters); ``carry`` (..., 2);
            ``dormancy`` (..., organizations), shares.
        """
        blocks, lead = self.blocks, points.shape[:-1]
        parts = {"location": points[..., blocks["location"]]}
        if self.pooled:
            parts["between"] = np.exp(points[..., blocks["between"]])
            means = points[..., blocks["means"]]
            means = means.reshape(*lead, self.organizations, self.columns)
        else:
            means = np.repeat(parts["location"][..., None, :], self.organizations, axis=-2)
        carry = np.empty((*lead, 2))
        for index, name in enumerate(("strength", "memory")):
            if name in blocks:
                values = points[..., blocks[name].start]
                carry[..., index] = expit(values) if name == "memory" else values
            else:
                fixed = getattr(self.spec.carry_over, name) if self.spec.carry_over else 0.0
                carry[..., index] = fixed
        asleep = np.zeros((*lead, self.organizations))
        if self.spec.dormancy is not None:
            asleep = expit(means[..., -1])
        return {
            **parts,
            "means": means[..., : self.parameters],
            "spreads": np.exp(points[..., blocks["within"]]),
            "carry": carry,
            "dormancy": asleep,
        }

    def coordinates(self, points: Floats, precision: Floats, weighted: Floats) -> Floats:
        """Coordinates of points, the inverse of `to_point`.

        Parameters
        ----------
        points : ndarray, shape (draws, size)
            On the unbounded scale.
        precision : ndarray, shape (organizations, columns, columns)
        weighted : ndarray, shape (organizations, columns)
            Normal summaries of what the base models say of the organization means.

        Returns
        -------
        ndarray, shape (draws, size)
        """
        out = points.copy()
        if self.pooled:
            blocks = self.blocks
            q = np.exp(-2.0 * points[:, blocks["between"]])
            location = points[:, blocks["location"]]
            means = points[:, blocks["means"]].reshape(len(points), *weighted.shape).copy()
            for o in range(self.organizations):
                joint = precision[o] + q[:, :, None] * np.eye(self.columns)
                centre = np.linalg.solve(joint, (weighted[o] + q * location)[:, :, None])
                root = np.linalg.cholesky(joint)
                away = means[:, o] - centre[:, :, 0]
                means[:, o] = np.einsum("srk,sr->sk", root, away)
            out[:, blocks["means"]] = means.reshape(len(points), -1)
        return out


def _encode(prior: Prior) -> tuple[float, float, float]:
    p = prior.parameters
    match prior.distribution:
        case "Normal":
            return _NORMAL, p["mu"], p["sigma"]
        case "LogNormal":
            return _LOG_NORMAL, math.log(p["median"]), p["sigma"]
        case "HalfNormal":
            return _HALF_NORMAL, p["sigma"], 0.0
        case "Gamma":
            return _GAMMA, p["alpha"], p["beta"]
        case "Exponential":
            return _EXPONENTIAL, p["scale"], 0.0
        case _:
            return _BETA, p["alpha"], p["beta"]


@njit(error_model="numpy")
def log_prior_at(prior: Floats, t: float) -> tuple[float, float]:
    """Log density of a prior at an unbounded coordinate, up to a constant, and its derivative.

    Parameters
    ----------
    prior : ndarray, shape (3,)
        Kind and parameters, from `PopulationLayout.encoded`.
    t : float
        The value itself under a normal prior, its logit under a beta one, else its logarithm;
        the Jacobian of that is part of the density.
    """
    kind, a, b = int(prior[0]), prior[1], prior[2]
    if kind in (_NORMAL, _LOG_NORMAL):
        z = (t - a) / b
        return -0.5 * z * z, -z / b
    if kind == _HALF_NORMAL:
        square = math.exp(2.0 * t) / (a * a)
        return t - 0.5 * square, 1.0 - square
    if kind == _GAMMA:
        rate = b * math.exp(t)
        return a * t - rate, a - rate
    if kind == _EXPONENTIAL:
        rate = math.exp(t) / a
        return t - rate, 1.0 - rate
    share = 1.0 / (1.0 + math.exp(-t))
    return a * math.log(share) + b * math.log(1.0 - share), a * (1.0 - share) - b * share


@njit(error_model="numpy")
def to_point(
    psi: Floats,
    precision: Floats,
    weighted: Floats,
    priors: Floats,
    places: Integers,
    point: Floats,
    slope: Floats,
) -> float:
    """Point at coordinates, with the log prior density of the latter.

    Parameters
    ----------
    psi : ndarray, shape (size,)
        Coordinates: a point, but for whitened ones in the place of the organization means.
    precision : ndarray, shape (organizations, columns, columns)
    weighted : ndarray, shape (organizations, columns)
        Normal summaries of what the base models say of the organization means.
    priors, places : ndarray
        From `PopulationLayout.encoded`.
    point : ndarray, shape (size,)
        Filled with the point.
    slope : ndarray, shape (size,)
        Filled with the derivative of the density by `psi`.

    Returns
    -------
    float
        Up to a constant.
    """
    columns, organizations, first, after = places[0], places[1], places[3], places[4]
    total = 0.0
    for at in range(len(psi)):
        point[at] = psi[at]
        slope[at] = 0.0
    for index in range(len(priors)):
        at = index if index < first else index - first + after
        value, by = log_prior_at(priors[index], psi[at])
        total += value
        slope[at] += by
    if organizations == 0:
        return total
    own = slice(first, first + organizations * columns)
    location = psi[:columns].reshape((1, columns))
    q = precisions(psi[columns : 2 * columns])
    y = psi[own].reshape((organizations, columns))
    means = point[own].reshape((organizations, columns))
    by_y = slope[own].reshape((organizations, columns))
    by_location = slope[:columns].reshape((1, columns))
    by_log_spreads = slope[columns : 2 * columns]
    shape = (1, columns, columns)
    chol, inverse, centre = np.zeros(shape), np.zeros(shape), np.zeros((1, columns))
    by_means, scratch = np.zeros((organizations, columns)), np.zeros((2, columns, columns))
    for o in range(organizations):
        factorise(o, 0, 0, precision, weighted, location, q, chol, inverse, centre)
        for r in range(columns):
            means[o, r] = centre[0, r]
            for k in range(r, columns):
                means[o, r] += inverse[0, k, r] * y[o, k]
        total += log_normal(0, means[o], location[0], q, chol)
        by_log_normal(o, 0, means, location, q, by_means, by_location, by_log_spreads)
        back(
            o, 0, 0, by_means, means, location, q, chol, inverse, centre, scratch, by_y,
            by_location, by_log_spreads, True,
        )  # fmt: skip
    return total


@njit(error_model="numpy")
def to_coordinates(
    psi: Floats,
    precision: Floats,
    weighted: Floats,
    places: Integers,
    point: Floats,
    by_point: Floats,
    slope: Floats,
) -> None:
    """Take a derivative by the point back to one by the coordinates.

    Parameters
    ----------
    psi, precision, weighted, places, point
        As in `to_point`, filled by it.
    by_point : ndarray, shape (size,)
        Derivative of something by the point.
    slope : ndarray, shape (size,)
        Gets the derivative by `psi` added.
    """
    columns, organizations, first, after = places[0], places[1], places[3], places[4]
    for at in range(len(psi)):
        if not first <= at < after:
            slope[at] += by_point[at]
    if organizations == 0:
        return
    own = slice(first, first + organizations * columns)
    location = psi[:columns].reshape((1, columns))
    q = precisions(psi[columns : 2 * columns])
    means = point[own].reshape((organizations, columns))
    by_means = by_point[own].reshape((organizations, columns))
    by_location = slope[:columns].reshape((1, columns))
    shape = (1, columns, columns)
    chol, inverse, centre = np.zeros(shape), np.zeros(shape), np.zeros((1, columns))
    by_y, scratch = np.zeros((organizations, columns)), np.zeros((2, columns, columns))
    for o in range(organizations):
        factorise(o, 0, 0, precision, weighted, location, q, chol, inverse, centre)
        back(
            o, 0, 0, by_means, means, location, q, chol, inverse, centre, scratch, by_y,
            by_location, slope[columns : 2 * columns], False,
        )  # fmt: skip
    for o in range(organizations):
        for k in range(columns):
            slope[first + o * columns + k] += by_y[o, k]
