"""The population as one unbounded vector.

The vector ψ, called a point, holds in this order

- what all base models share and the model file gives a prior to: the exponent of reinforcement,
  the carry-over, the persistence and innovation of the period effect, the bursts;
- the period effects, one for each calendar month;
- the global locations, one for each growth parameter and one for the logit of dormancy;
- ln of the scales between organizations, in the same order;
- the organization means, organization by organization;
- ln of the scales of base models within their organization.

Where base models are pooled globally, the fourth and fifth part are missing.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from bayes_hfgrowth.growth.law import LAW_NAMES, SHARED, Floats, Integers, Shared
from bayes_hfgrowth.model.specification import FIXED, GrowthSpec, Prior

__all__ = [
    "BETA",
    "EXPONENTIAL",
    "GAMMA",
    "HALF_NORMAL",
    "INNOVATION",
    "LOG_NORMAL",
    "NORMAL",
    "PERSISTENCE",
    "Layout",
    "Parts",
    "PopulationLayout",
    "bounded",
    "unbounded",
]

NORMAL, LOG_NORMAL, HALF_NORMAL, GAMMA, EXPONENTIAL, BETA = range(6)

# Shared parameters as the law takes them; the last two make the period effects.
_NAMES = (*LAW_NAMES, "period_persistence", "period_innovation")
PERSISTENCE, INNOVATION = SHARED, SHARED + 1


class Layout(NamedTuple):
    """Where each part of the population stands in a point, for compiled code.

    Parameters
    ----------
    columns, organizations, parameters : int
        Organization means of each organization, organizations (0 without that level), and
        growth parameters.
    period, location, between, means, within : int
        First element of each part.
    calendar : int
        Calendar months; the period effects are as many, or none.
    size : int
        Length of a point.
    priors : ndarray, shape (priors, 3)
        Kind and two parameters of each.
    at : ndarray of int64, shape (priors,)
        Which element each prior is of.
    source : ndarray of int64, shape (SHARED + 2,)
        Element of each parameter that base models share; -1 where it is fixed.
    kind : ndarray of int64, shape (SHARED + 2,)
        Kind of prior of each, which says on what scale it is unbounded.
    fixed : ndarray, shape (SHARED + 2,)
        Values of those that are fixed.
    """

    columns: int
    organizations: int
    parameters: int
    period: int
    location: int
    between: int
    means: int
    within: int
    calendar: int
    size: int
    priors: Floats
    at: Integers
    source: Integers
    kind: Integers
    fixed: Floats


class Parts(NamedTuple):
    """The population at points, whose leading dimensions come first.

    Parameters
    ----------
    location : ndarray, shape (..., columns)
        Global locations, on the scale that is normal.
    between : ndarray, shape (..., columns)
        Standard deviations between organizations; no columns where there is no such level.
    means : ndarray, shape (..., organizations, parameters)
        Organization means, on the scale that is normal.
    scales : ndarray, shape (..., parameters)
        Standard deviations of base models within their organization.
    shared : Shared
        What all base models share; period effects are 0 where the growth model has none.
    persistence, innovation : ndarray, shape (...)
        Of the period effects.
    dormancy : ndarray, shape (..., organizations)
        Shares of structural zeros.
    """

    location: Floats
    between: Floats
    means: Floats
    scales: Floats
    shared: Shared
    persistence: Floats
    innovation: Floats
    dormancy: Floats


@dataclass(frozen=True)
class PopulationLayout:
    """Where each part of the population stands in a point.

    Parameters
    ----------
    spec : GrowthSpec
        Hierarchy and priors.
    organizations : int
        How many there are.
    calendar_months : int
        How many calendar months the history touches.
    """

    spec: GrowthSpec
    organizations: int
    calendar_months: int

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

    @cached_property
    def learned(self) -> dict[str, Prior]:
        """Parameters that all base models share and that have priors."""
        return {name: p for name, p in self.spec.shared.items() if isinstance(p, Prior)}

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Place of each part."""
        lengths = {
            "shared": len(self.learned),
            "period": self.calendar_months if self.spec.period_effect is not None else 0,
            "location": self.columns,
            "between": self.columns if self.pooled else 0,
            "means": self.columns * self.organizations if self.pooled else 0,
            "within": self.parameters,
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

    @cached_property
    def priors(self) -> dict[int, Prior]:
        """Prior of each element of a point that has one of its own."""
        levels = {
            "location": "location",
            "between": "between_organizations",
            "within": "between_base_models",
        }
        found = dict(enumerate(self.learned.values()))
        for block, level in levels.items():
            own = [getattr(table, level, None) for table in self.spec.hierarchies.values()]
            found |= enumerate(filter(None, own), self.blocks[block].start)
        return found

    @cached_property
    def encoded(self) -> Layout:
        """The same for compiled code."""
        blocks, spec = self.blocks, self.spec
        source, kind = np.full(SHARED + 2, -1), np.zeros(SHARED + 2, dtype=np.int64)
        fixed = np.array([FIXED[name] for name in _NAMES])
        for name, value in spec.shared.items():
            place = _NAMES.index(name)
            if isinstance(value, Prior):
                source[place] = list(self.learned).index(name)
                kind[place] = int(_encode(value)[0])
            else:
                fixed[place] = value
        return Layout(
            columns=self.columns,
            organizations=self.organizations if self.pooled else 0,
            parameters=self.parameters,
            period=blocks["period"].start,
            location=blocks["location"].start,
            between=blocks["between"].start,
            means=blocks["means"].start,
            within=blocks["within"].start,
            calendar=self.calendar_months,
            size=self.size,
            priors=np.array([_encode(prior) for prior in self.priors.values()]),
            at=np.array(list(self.priors), dtype=np.int64),
            source=source.astype(np.int64),
            kind=kind,
            fixed=fixed,
        )

    def read(self, points: Floats) -> Parts:
        """Population at points.

        Parameters
        ----------
        points : ndarray, shape (..., size)
            On the unbounded scale.

        Returns
        -------
        Parts
        """
        blocks, lead = self.blocks, points.shape[:-1]
        location = points[..., blocks["location"]]
        if self.pooled:
            means = points[..., blocks["means"]]
            means = means.reshape(*lead, self.organizations, self.columns)
        else:
            means = np.repeat(location[..., None, :], self.organizations, axis=-2)
        values = np.broadcast_to(self.encoded.fixed, (*lead, SHARED + 2)).copy()
        for at, (name, prior) in enumerate(self.learned.items()):
            values[..., _NAMES.index(name)] = bounded(points[..., at], prior)
        period = np.zeros((*lead, self.calendar_months))
        if self.spec.period_effect is not None:
            period = points[..., blocks["period"]]
        dormancy = np.zeros((*lead, self.organizations))
        if self.spec.dormancy is not None:
            dormancy = expit(means[..., -1])
        return Parts(
            location=location,
            between=np.exp(points[..., blocks["between"]]),
            means=means[..., : self.parameters],
            scales=np.exp(points[..., blocks["within"]]),
            shared=Shared(values[..., :SHARED], period),
            persistence=values[..., PERSISTENCE],
            innovation=values[..., INNOVATION],
            dormancy=dormancy,
        )


def unbounded(value: float, prior: Prior) -> float:
    """A value on the scale on which its prior lets it move freely."""
    kind = prior.distribution
    return float(value if kind == "Normal" else logit(value) if kind == "Beta" else np.log(value))


def bounded(values: Floats, prior: Prior) -> Floats:
    """Back from that scale."""
    kind = prior.distribution
    return values if kind == "Normal" else expit(values) if kind == "Beta" else np.exp(values)


def _encode(prior: Prior) -> tuple[float, float, float]:
    p = prior.parameters
    match prior.distribution:
        case "Normal":
            return NORMAL, p["mu"], p["sigma"]
        case "LogNormal":
            return LOG_NORMAL, math.log(p["median"]), p["sigma"]
        case "HalfNormal":
            return HALF_NORMAL, p["sigma"], 0.0
        case "Gamma":
            return GAMMA, p["alpha"], p["beta"]
        case "Exponential":
            return EXPONENTIAL, p["scale"], 0.0
        case _:
            return BETA, p["alpha"], p["beta"]
