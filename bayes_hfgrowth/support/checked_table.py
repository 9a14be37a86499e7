"""Tables of a TOML file whose keys and values are checked as they are read."""

import difflib
import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from bayes_hfgrowth.support.errors import SpecificationError

__all__ = ["CheckedTable", "either", "near", "shown"]


@dataclass(frozen=True)
class CheckedTable:
    """One table of a file, with the place it was read from.

    Parameters
    ----------
    values : object
        What the file holds there; refused where it is not a table.
    source : str
        File, for messages.
    key : str
        Dotted key of the table; empty for the whole file.
    """

    values: Any
    source: str
    key: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.values, dict):
            raise self.refusal("", f"is {shown(self.values)}, not a table of keys")

    def refusal(self, key: str, fault: str) -> SpecificationError:
        """Error that names the place; an empty key means the table itself."""
        place = ".".join(part for part in (self.key, key) if part)
        return SpecificationError(
            f"{self.source}: {place} {fault}" if place else f"{self.source} {fault}"
        )

    def only(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Refuse unknown and missing keys."""
        known = (*required, *optional)
        for key in self.values:
            if key not in known:
                raise self.refusal(
                    _key(key),
                    f"is not a key that is known here{near(key, known)}; "
                    f"known are {', '.join(known)}",
                )
        for key in required:
            if key not in self.values:
                raise self.refusal(key, "is missing; add it")

    def text(self, key: str) -> str:
        """Text that is not empty."""
        value = self.values[key]
        if not isinstance(value, str):
            raise self.refusal(key, f"is {shown(value)}; it must be text in quotes")
        if not value.strip():
            raise self.refusal(key, "is empty; write it out")
        return value.strip()

    def choice(self, key: str, choices: Collection[str]) -> Any:
        """One of some words."""
        self.text(key)
        value = self.values[key]
        if value not in choices:
            raise self.refusal(
                key, f"is {shown(value)}{near(value, choices)}; it must be {either(choices)}"
            )
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(key, f"is {shown(value)}; it must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.refusal(key, f"is {shown(value)}; it must be a finite number")
        return number

    def positive(self, key: str) -> float:
        """A finite number above zero."""
        number = self.number(key)
        if number <= 0:
            raise self.refusal(key, f"is {number:g}; it must be greater than 0")
        return number

    def table(self, key: str) -> Self:
        """Table inside this one."""
        place = ".".join(filter(None, (self.key, key)))
        return type(self)(self.values[key], self.source, place)


def shown(value: object) -> str:
    """A value of a file on one short line, as it would be written there."""
    # Dates, which TOML knows and JSON does not, are shown as text.
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():  # line separators and the like
        text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _key(key: str) -> str:
    """A key as TOML writes it: quoted where it is not a bare one."""
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else shown(key)


def near(word: str, words: Collection[str]) -> str:
    """Question after the one that was meant, or nothing where none comes close."""
    close = difflib.get_close_matches(word, words, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def either(words: Collection[str]) -> str:
    """List choices: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
