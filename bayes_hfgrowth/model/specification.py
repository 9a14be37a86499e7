"""Read and check growth-model specifications: likelihood, pooling, and priors with reasons."""

import json
import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from bayes_hfgrowth.support.checked_table import CheckedTable, either, near, shown
from bayes_hfgrowth.support.errors import SpecificationError

__all__ = [
    "CarryOver",
    "Dormancy",
    "GrowthSpec",
    "Likelihood",
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
_SPREADS = ("LogNormal", "HalfNormal", "Gamma", "Exponential")
_PROPORTIONS = ("Beta",)


@dataclass(frozen=True)
class Prior:
    """One prior distribution and the reason for it.

    Parameters
    ----------
    distribution : str
        ``"Normal"`` (mu, sigma), ``"LogNormal"`` (median; sigma of the logarithm),
        ``"HalfNormal"`` (sigma), ``"Gamma"`` (alpha; rate beta), ``"Exponential"`` (scale,
        which is its mean) or ``"Beta"`` (alpha, beta).
    parameters : mapping of str to float
        Value of each parameter of the distribution.
    reason : str
        Why this prior and not another one.
    """

    distribution: str
    parameters: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Pooling:
    """Hierarchy of one growth parameter: global, organizations, base models.

    All three priors speak of the scale on which the parameter is modelled: immediacy as it
    is (log-months), fitness, longevity and dispersion by their natural logarithms.

    Parameters
    ----------
    location : Prior
        Global mean; a Normal.
    between_organizations : Prior or None
        Standard deviation of the organization means around the global mean; None where the
        pooling is global.
    between_base_models : Prior
        Standard deviation of the base models around the mean of their organization (around
        the global mean where the pooling is global).
    """

    location: Prior
    between_organizations: Prior | None
    between_base_models: Prior


@dataclass(frozen=True)
class CarryOver:
    """How much of a surge lives on in the next month.

    With s the running log ratio of observed to expected increments, updated each month by
    ``s = memory * s + (1 - memory) * log((x + 0.5) / (f + 0.5))``, the mean of the next
    increment is ``f * exp(strength * s)``.

    Parameters
    ----------
    strength : float or Prior
        Between -1 and 1, or a Normal prior. Zero means no carry-over.
    memory : float or Prior
        From 0 (only the last month counts) to below 1, or a Beta prior.
    """

    strength: float | Prior
    memory: float | Prior


@dataclass(frozen=True)
class Dormancy:
    """Share of base models that never get any fine-tune, on the logit scale.

    Parameters
    ----------
    location : Prior
        Global mean; a Normal.
    between_organizations : Prior or None
        Standard deviation of the organizations around it; None where the pooling is global.
    """

    location: Prior
    between_organizations: Prior | None


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
    carry_over : CarryOver or None
        Only with the likelihood ``"surge"``, and always there.
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
    carry_over: CarryOver | None
    dormancy: Dormancy | None
    parameters: Mapping[str, Pooling]

    def to_json(self) -> str:
        """Write the specification as JSON, with the keys of a specification file."""
        document: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "likelihood": self.likelihood,
            "pooling": self.pooling,
            "m": self.m,
            "m_reason": self.m_reason,
        }
        if self.carry_over is not None:
            document["carry_over"] = {
                "strength": _plain(self.carry_over.strength),
                "memory": _plain(self.carry_over.memory),
            }
        tables: list[tuple[str, Dormancy | Pooling]] = list(self.parameters.items())
        if self.dormancy is not None:
            tables.append((_DORMANCY, self.dormancy))
        for name, table in tables:
            levels = ("location", "between_organizations", "between_base_models")
            document[name] = {
                level: _plain(prior)
                for level in levels
                if (prior := getattr(table, level, None)) is not None
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
    """Names of the growth models that ship with the package, in alphabetical order.

    Examples
    --------
    >>> "surge" in available_models()
    True
    """
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
    >>> read_spec("citation").m
    30.0
    >>> sorted(read_spec("citation").parameters)
    ['fitness', 'immediacy', 'longevity']
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
        """Location and spread between organizations; `others` may stand beside them."""
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
            self.table(between).prior(_SPREADS) if by_organization else None,
        )

    def pooled(self, by_organization: bool) -> Pooling:
        within = "between_base_models"
        location, between = self.levels(by_organization, within)
        return Pooling(location, between, self.table(within).prior(_SPREADS))

    def fixed_or_prior(
        self, key: str, above: float, inclusive: bool, allowed: Collection[str]
    ) -> float | Prior:
        """A number between `above` and 1, or a prior."""
        if isinstance(self.values[key], dict):
            return self.table(key).prior(allowed)
        number = self.number(key)
        if not (above < number < 1 or (inclusive and number == above)):
            start = "from" if inclusive else "above"
            raise self.refusal(
                key,
                f"is {number:g}; it must be {start} {above:g} to below 1, or a table with a "
                f"{either(allowed)} prior",
            )
        return number

    def carried_over(self) -> CarryOver:
        self.only(("strength", "memory"))
        return CarryOver(
            # From 1 on a surge would feed itself without end.
            self.fixed_or_prior("strength", -1, False, _MEANS),
            self.fixed_or_prior("memory", 0, True, _PROPORTIONS),
        )

    def specification(self) -> dict[str, Any]:
        """Arguments of `GrowthSpec`, checked."""
        always = ("name", "description", "likelihood", "pooling", "m", "m_reason", *_PARAMETERS)
        surge_only = ("carry_over", _DISPERSION)
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
        self.only((*always, *surge_only) if surge else always, (_DORMANCY,))
        pooling = self.choice("pooling", _POOLINGS)
        parameters = (*_PARAMETERS, _DISPERSION) if surge else _PARAMETERS
        return {
            "name": self.text("name"),
            "description": self.text("description"),
            "likelihood": likelihood,
            "pooling": pooling,
            "m": self.positive("m"),
            "m_reason": self.text("m_reason"),
            "carry_over": self.table("carry_over").carried_over() if surge else None,
            "parameters": {
                name: self.table(name).pooled(pooling == "organization") for name in parameters
            },
            "dormancy": Dormancy(*self.table(_DORMANCY).levels(pooling == "organization"))
            if _DORMANCY in self.values
            else None,
        }


def _plain(value: float | Prior) -> Any:
    if isinstance(value, Prior):
        return {
            "distribution": value.distribution,
            **value.parameters,
            "reason": value.reason,
        }
    return value
