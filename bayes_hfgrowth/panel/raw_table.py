"""A raw table under examination."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.support.errors import PanelError

__all__ = ["RawTable", "RowPlace", "short"]

type RowPlace = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class RawTable:
    """A raw table under examination: its columns, and how to name it and its rows."""

    frame: pd.DataFrame
    source: str
    place: RowPlace

    def fail(self, what: str) -> NoReturn:
        """Fail for the whole table."""
        raise PanelError(f"{self.source}: {what}")

    def refuse_repeated(self, column: str) -> None:
        """Fail where a column stands in the table more than once."""
        if list(self.frame.columns).count(column) > 1:
            self.fail(f"has the column {column!r} more than once; keep one of them")

    def fail_at(self, position: int | np.integer, what: str) -> NoReturn:
        """Fail at a row, whose position is counted from 0."""
        raise PanelError(f"{self.source}, {self.place(int(position) + 1)}: {what}")

    def fail_where(self, bad: npt.ArrayLike, what: Callable[[int], str]) -> None:
        """Fail at the first position that is marked, if there is one."""
        positions = np.flatnonzero(bad)
        if positions.size:
            self.fail_at(positions[0], what(int(positions[0])))


def short(value: object) -> str:
    """Write a value for a message."""
    text = repr(value) if isinstance(value, str) else str(value).replace("\n", " ")
    return text if len(text) <= 80 else text[:77] + "..."
