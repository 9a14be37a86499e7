"""What a panel counts: fine-tunes, adapters, merges ..., or the namespaces that made them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

__all__ = ["FINETUNES", "KINDS", "METRICS", "RELATIONS", "Counted", "Metric", "Relation"]

type Relation = Literal["finetune", "adapter", "merge", "quantized", "all"]
RELATIONS: tuple[Relation, ...] = get_args(Relation.__value__)
"""How a model can descend from a base model, in the Hub's words."""

KINDS: tuple[Relation, ...] = RELATIONS[:-1]
"""The relations proper, without ``all``."""

type Metric = Literal["finetunes", "authors"]
METRICS: tuple[Metric, ...] = get_args(Metric.__value__)
"""Columns of a panel that can be counted: models, or the different namespaces that made them."""

_MODELS: dict[Relation, tuple[str, str]] = {
    "finetune": ("fine-tune", "fine-tunes"),
    "adapter": ("adapter", "adapters"),
    "merge": ("merge", "merges"),
    "quantized": ("quantized version", "quantized versions"),
    "all": ("child of any relation", "children of any relation"),
}
_MADE: dict[Relation, str] = {
    "finetune": "fine-tuned",
    "adapter": "made adapters of",
    "merge": "merged",
    "quantized": "quantized",
    "all": "built on",
}


@dataclass(frozen=True)
class Counted:
    """What is counted, and how to say it.

    Parameters
    ----------
    metric : {"finetunes", "authors"}
        The column of a panel that is counted: models that descend from the base model, or the
        different Hub namespaces that made them.
    relation : {"finetune", "adapter", "merge", "quantized", "all"}
        How these models descend from it.

    Examples
    --------
    >>> Counted().many
    'fine-tunes'
    >>> Counted("authors").of("acme/anvil-7b")
    'namespaces that fine-tuned acme/anvil-7b'
    """

    metric: Metric = "finetunes"
    relation: Relation = "finetune"

    @classmethod
    def read(cls, where: Mapping[Any, Any]) -> Self:
        """Read it from attributes, or from a row of a table.

        Parameters
        ----------
        where : mapping
            May hold ``metric`` and ``relation``; what says neither counts fine-tunes.

        Raises
        ------
        ValueError
            When it holds another value.
        """
        found = cls(where.get("metric", "finetunes"), where.get("relation", "finetune"))
        if found.metric not in METRICS or found.relation not in RELATIONS:
            raise ValueError(f"nothing is counted as {found.metric!r}, {found.relation!r}")
        return found

    @property
    def usual(self) -> bool:
        """Whether it is fine-tunes, which tables and files take for granted."""
        return self == FINETUNES

    @property
    def written(self) -> dict[str, str]:
        """Names and values that tables and files carry."""
        return {"metric": self.metric, "relation": self.relation}

    @property
    def label(self) -> dict[str, str]:
        """Columns that tell a table apart from one of fine-tunes, which has none."""
        return {} if self.usual else self.written

    @property
    def one(self) -> str:
        """Noun for a single one."""
        if self.metric == "authors":
            return f"namespace that {_MADE[self.relation]} it"
        return _MODELS[self.relation][0]

    @property
    def many(self) -> str:
        """Noun for many."""
        if self.metric == "authors":
            return f"namespaces that {_MADE[self.relation]} it"
        return _MODELS[self.relation][1]

    @property
    def title(self) -> str:
        """Noun for many, at the beginning of a sentence."""
        return self.many[0].upper() + self.many[1:]

    @property
    def defined(self) -> str:
        """What it is, for whoever reads of it for the first time."""
        models = _MODELS[self.relation][1]
        if self.metric == "authors":
            return f"different namespaces of the Hub that have {models} which name the base model"
        return f"{models} that name the base model, as the Hub declares them"

    def noun(self, number: float) -> str:
        """Noun for so many."""
        return self.one if number == 1 else self.many

    def of(self, name: str) -> str:
        """Say what is counted of a base model."""
        if self.metric == "authors":
            return f"namespaces that {_MADE[self.relation]} {name}"
        return f"{self.many} of {name}"

    def said(self, text: str) -> str:
        """Put it in the place of the word fine-tune.

        Parameters
        ----------
        text : str
            A phrase of this package about fine-tunes, without any name of a user in it.

        Examples
        --------
        >>> Counted("authors").said("Fine-tunes so far")
        'Namespaces that fine-tuned it so far'
        """
        if self.usual:
            return text
        marked = text.replace("Fine-tunes", "\0T").replace("fine-tunes", "\0M")
        marked = marked.replace("fine-tune", "\0O")
        return marked.replace("\0T", self.title).replace("\0M", self.many).replace("\0O", self.one)


FINETUNES = Counted()
"""What panels count that do not say otherwise."""
