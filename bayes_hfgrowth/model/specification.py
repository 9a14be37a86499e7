"""Read and check growth-model specifications: likelihood, pooling, and priors with reasons."""

import json
import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from bayes_hfgrowth.model.specification_parts import (
    Bursts,
    CarryOver,
    Dormancy,
    PeriodEffect,
    Pooling,
    Prior,
)
from bayes_hfgrowth.support.checked_table import CheckedTable, either, near, shown
from bayes_hfgrowth.support.errors import SpecificationError

__all__ = [
    "FIXED",
    "Bursts",
    "CarryOver",
    "Dormancy",
    "GrowthSpec",
    "Likelihood",
    "PeriodEffect",
    "Pooling",
    "Prior",
    "available_models",
    "read_spec",
]

type Likelihood = Literal["poisson", "birth", "surge"]

_LIKELIHOODS = ("poisson", "birth", "surge")
_POOLINGS = ("organization", "global")
_PARAMETERS = ("fitness", "immediacy", "longevity")
_DISPERSION = "dispersion"
_DORMANCY = "dormancy"

# Parameters of each distribution; all but the mean of a Normal must be positive.
_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "Normal": ("mu", "sigma"),
    "LogNormal": ("median", "sigma"),
    "HalfNormal": ("sigma",),
    "Gamma": ("alpha", "beta"),
    "Exponential": ("scale",),
    "Beta": ("alpha", "beta"),
}
_MEANS = ("Normal",)
_SCALES = ("LogNormal", "HalfNormal", "Gamma", "Exponential")
_PROPORTIONS = ("Beta",)
_FACTORS = ("LogNormal",)

# What may stand at an entry that is a number or a prior: the range of the number in words, the
# test of it, and the distributions of the prior.
_ENTRIES: Mapping[str, tuple[str, Callable[[float], bool], tuple[str, ...]]] = {
    "exponent": ("above 0 and at most 1", lambda x: 0 < x <= 1, _PROPORTIONS),
    # From 1 on a surge would feed itself without end.
    "strength": ("above -1 to below 1", lambda x: -1 < x < 1, _MEANS),
    "memory": ("from 0 to below 1", lambda x: 0 <= x < 1, _PROPORTIONS),
    # From 1 on the period effect would have no stationary distribution.
    "persistence": ("from 0 to below 1", lambda x: 0 <= x < 1, _PROPORTIONS),
    "innovation": ("greater than 0", lambda x: x > 0, _SCALES),
    "probability": ("above 0 to below 1", lambda x: 0 < x < 1, _PROPORTIONS),
    "factor": ("at least 1", lambda x: x >= 1, _FACTORS),
    "size": ("greater than 0", lambda x: x > 0, _FACTORS),
}

_PARTS: Mapping[str, type[CarryOver | PeriodEffect | Bursts]] = {
    "carry_over": CarryOver,
    "period_effect": PeriodEffect,
    "bursts": Bursts,
}
"""Tables of the surge law that hold one entry for each field of their class."""

FIXED: Mapping[str, float] = {
    "reinforcement_exponent": 1.0,
    "carry_over_strength": 0.0,
    "carry_over_memory": 0.0,
    "period_persistence": 0.0,
    "period_innovation": 0.0,
    "burst_probability": 0.0,
    "burst_factor": 1.0,
    "burst_size": 1.0,
}
"""What the parameters that base models share are where a growth model has no such part."""


@dataclass(frozen=True)
class GrowthSpec:
    """A growth model as data: everything that tells one growth model from another.

    Get one from `read_spec` or `from_json`, which check what they read; the constructor
    itself trusts its arguments.

    Parameters
    ----------
    name : str
        What tables and figures call the growth model.
    description : str
        What it assumes, in a sentence or two.
    likelihood : {"poisson", "birth", "surge"}
        Law of the monthly increments.
    pooling : {"organization", "global"}
        Whether organizations have means of their own, or all base models share one.
    m : float
        Count-equivalent of the attention that a base model has at birth.
    m_reason : str
        Why this value.
    reinforcement : float or Prior
        Exponent of the reinforcement, above 0 and at most 1, or a Beta prior; 1, in proportion
        to the attention so far, with the likelihoods other than ``"surge"``.
    carry_over : CarryOver or None
        Only with the likelihood ``"surge"``, and always there.
    period_effect : PeriodEffect or None
        Only with the likelihood ``"surge"``; None where calendar months have no effect.
    bursts : Bursts or None
        Only with the likelihood ``"surge"``; None where no month is a burst.
    dormancy : Dormancy or None
        None where every base model may grow.
    parameters : mapping of str to Pooling
        ``"fitness"``, ``"immediacy"``, ``"longevity"`` and, with the likelihood
        ``"surge"``, ``"dispersion"``, in this order.
    """

    name: str
    description: str
    likelihood: Likelihood
    pooling: Literal["organization", "global"]
    m: float
    m_reason: str
    reinforcement: float | Prior
    carry_over: CarryOver | None
    period_effect: PeriodEffect | None
    bursts: Bursts | None
    dormancy: Dormancy | None
    parameters: Mapping[str, Pooling]

    @property
    def shared(self) -> dict[str, float | Prior]:
        """Parameters that all base models share, single numbers, in a fixed order.

        Returns
        -------
        dict of str to float or Prior
            Number or prior of each, by the name that its posterior variable has where it is
            a prior. Only parameters that the growth model has; empty unless the likelihood is
            ``"surge"``.
        """
        found: dict[str, float | Prior] = {}
        if self.likelihood == "surge":
            found["reinforcement_exponent"] = self.reinforcement
        parts = {"carry_over": self.carry_over, "period": self.period_effect, "burst": self.bursts}
        for name, part in parts.items():
            if part is not None:
                found |= {f"{name}_{key}": value for key, value in vars(part).items()}
        return found

    @property
    def hierarchies(self) -> dict[str, Pooling | Dormancy]:
        """What has a location, and scales of its own between organizations: dormancy comes last."""
        dormancy = {} if self.dormancy is None else {_DORMANCY: self.dormancy}
        return {**self.parameters, **dormancy}

    def to_json(self) -> str:
        """Write the specification as JSON, with the keys of a specification file."""
        settings = ("name", "description", "likelihood", "pooling", "m", "m_reason")
        document: dict[str, Any] = {key: getattr(self, key) for key in settings}
        if self.likelihood == "surge":
            document["reinforcement"] = {"exponent": _plain(self.reinforcement)}
        parts = {key: part for key in _PARTS if (part := getattr(self, key)) is not None}
        for name, table in (parts | self.hierarchies).items():
            document[name] = {
                key: _plain(value) for key, value in vars(table).items() if value is not None
            }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str, source: str = "specification") -> Self:
        """Read what `to_json` wrote, with all the checks of a specification file.

        Parameters
        ----------
        text : str
            JSON object with the keys of a specification file.
        source : str
            What to call it in error messages.

        Raises
        ------
        SpecificationError
            When the text is not JSON or not a usable specification.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as failure:
            raise SpecificationError(f"{source} is not JSON: {failure}") from failure
        return cls(**_SpecificationTable(document, source).specification())


def available_models() -> tuple[str, ...]:
    """Names of the growth models that ship with the package, in alphabetical order."""
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.toml")))


def read_spec(name_or_path: str | os.PathLike[str]) -> GrowthSpec:
    """Read and check a growth-model specification.

    Parameters
    ----------
    name_or_path : str or path-like
        Name of a shipped growth model (see `available_models`), or the path of a
        specification file, which ends in ``.toml``.

    Raises
    ------
    SpecificationError
        When there is no such growth model or file, or it is not a usable specification;
        one line that names the file, the key, the value and the mend.

    Examples
    --------
    >>> read_spec("surge").m
    1.0
    """
    asked = os.fspath(name_or_path)
    shipped = available_models()
    if asked in shipped:
        path = _shipped_folder() / f"{asked}.toml"
    elif asked.lower().endswith(".toml"):
        path = Path(asked)
    else:
        raise SpecificationError(
            f"there is no growth model {shown(asked)}{near(asked.lower(), shipped)}; "
            f"name one of {', '.join(shipped)}, or give a file that ends in .toml"
        )
    return GrowthSpec(**_SpecificationTable(_read_toml(path, shipped), str(path)).specification())


def _shipped_folder() -> Path:
    """Folder of the shipped specifications: in the wheel, or beside an editable package."""
    package = Path(__file__).resolve().parents[1]
    in_wheel = package / "models"
    return in_wheel if in_wheel.is_dir() else package.parent / "models"


def _read_toml(path: Path, shipped: Collection[str]) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as failure:
        mend = (
            f"for the growth model that ships with the package, say {path.stem}"
            if path.name == str(path) and path.stem in shipped
            else "check the path"
        )
        raise SpecificationError(f"there is no file {path}; {mend}") from failure
    except IsADirectoryError as failure:
        raise SpecificationError(f"{path} is a folder; give the name of a file") from failure
    except OSError as failure:
        raise SpecificationError(
            f"{path} cannot be read: {failure.strerror or failure}"
        ) from failure
    except ValueError as failure:  # a null character in the name
        raise SpecificationError(f"{str(path)!r} is not the name of a file: {failure}") from failure
    try:
        # A byte-order mark, which some editors put first, is not part of the text.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as failure:
        raise SpecificationError(
            f"{path} is not a text file in UTF-8 (byte {failure.start + 1}); "
            "a specification is written in TOML"
        ) from failure
    except (ValueError, RecursionError) as failure:
        raise SpecificationError(
            f"{path} is not valid TOML: {failure}; copy a shipped specification and edit it"
        ) from failure


class _SpecificationTable(CheckedTable):
    """Table of a specification file."""

    def prior(self, allowed: Collection[str]) -> Prior:
        if "distribution" not in self.values:
            raise self.refusal("distribution", f"is missing; it must be {either(allowed)}")
        distribution = self.choice("distribution", allowed)
        names = _DISTRIBUTIONS[distribution]
        self.only(("distribution", *names, "reason"))
        return Prior(
            distribution,
            {name: self.number(name) if name == "mu" else self.positive(name) for name in names},
            self.text("reason"),
        )

    def levels(self, by_organization: bool, *others: str) -> tuple[Prior, Prior | None]:
        """Location and scale between organizations; `others` may stand beside them."""
        between = "between_organizations"
        if between in self.values and not by_organization:
            raise self.refusal(
                between,
                'has no place where pooling is "global"; leave it out, or set pooling = '
                '"organization"',
            )
        self.only(("location", *([between] if by_organization else []), *others))
        return (
            self.table("location").prior(_MEANS),
            self.table(between).prior(_SCALES) if by_organization else None,
        )

    def pooled(self, by_organization: bool) -> Pooling:
        within = "between_base_models"
        location, between = self.levels(by_organization, within)
        return Pooling(location, between, self.table(within).prior(_SCALES))

    def fixed_or_prior(self, key: str) -> float | Prior:
        """A number in the range of its entry, or a prior."""
        words, within, allowed = _ENTRIES[key]
        if isinstance(self.values[key], dict):
            return self.table(key).prior(allowed)
        number = self.number(key)
        if not within(number):
            raise self.refusal(
                key,
                f"is {number:.15g}; it must be {words}, or a table with a {either(allowed)} prior",
            )
        return number

    def entries(self, *keys: str) -> list[float | Prior]:
        """Numbers or priors of a table that holds nothing else."""
        self.only(keys)
        return [self.fixed_or_prior(key) for key in keys]

    def part(self, key: str) -> CarryOver | PeriodEffect | Bursts | None:
        """A table of the surge law, if it is there."""
        kind = _PARTS[key]
        names = [field.name for field in fields(kind)]
        return kind(*self.table(key).entries(*names)) if key in self.values else None

    def specification(self) -> dict[str, Any]:
        """Arguments of `GrowthSpec`, checked."""
        always = ("name", "description", "likelihood", "pooling", "m", "m_reason", *_PARAMETERS)
        surge_always = ("reinforcement", "carry_over", _DISPERSION)
        surge_only = (*surge_always, "period_effect", "bursts")
        if "likelihood" not in self.values:
            self.only(always, (*surge_only, _DORMANCY))
        likelihood = self.choice("likelihood", _LIKELIHOODS)
        surge = likelihood == "surge"
        for key in surge_only:
            if key in self.values and not surge:
                raise self.refusal(
                    key,
                    f"has no place with the likelihood {shown(likelihood)}; leave it out, or "
                    'set likelihood = "surge"',
                )
        if surge:
            self.only((), (*always, *surge_only, _DORMANCY))
            if "reinforcement" not in self.values:
                raise self.refusal(
                    "reinforcement",
                    "is missing; add the table [reinforcement] with exponent = 1, which keeps "
                    "the law of earlier versions",
                )
            self.only((*always, *surge_always), (*surge_only, _DORMANCY))
        else:
            self.only(always, (_DORMANCY,))
        pooling = self.choice("pooling", _POOLINGS)
        by_organization = pooling == "organization"
        parameters = (*_PARAMETERS, _DISPERSION) if surge else _PARAMETERS
        return {
            "name": self.text("name"),
            "description": self.text("description"),
            "likelihood": likelihood,
            "pooling": pooling,
            "m": self.positive("m"),
            "m_reason": self.text("m_reason"),
            "reinforcement": self.table("reinforcement").entries("exponent")[0] if surge else 1.0,
            **{key: self.part(key) for key in _PARTS},
            "parameters": {name: self.table(name).pooled(by_organization) for name in parameters},
            "dormancy": Dormancy(*self.table(_DORMANCY).levels(by_organization))
            if _DORMANCY in self.values
            else None,
        }


def _plain(value: float | Prior) -> Any:
    if isinstance(value, Prior):
        return {"distribution": value.distribution, **value.parameters, "reason": value.reason}
    return value
