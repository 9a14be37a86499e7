"""The columns of a panel file that say what it counts."""

from collections.abc import Sequence

import numpy as np

from bayes_hfgrowth.panel.counted import METRICS, RELATIONS, Counted
from bayes_hfgrowth.panel.raw_table import RawTable, short

__all__ = ["METRIC", "RELATION", "counted_in", "of_relation"]

METRIC, RELATION = "metric", "relation"
"""Columns of a file that say what is counted; without them it is fine-tunes."""


def of_relation(raw: RawTable, relation: str | None) -> RawTable:
    """Take the rows of one relation, which must be named where there are several.

    Raises
    ------
    PanelError
        When the table holds several and none is named, or not the one that is.
    """
    if relation is not None and relation not in RELATIONS:
        raw.fail(f"relation {relation!r} does not exist; choose one of {', '.join(RELATIONS)}")
    if RELATION not in raw.frame:
        if relation not in (None, Counted().relation):
            raw.fail(
                f"has no column {RELATION!r}, so it counts fine-tunes and not {relation!r}; "
                "give a panel that was collected with this relation"
            )
        return raw
    _check_words(raw, RELATION, RELATIONS)
    values = raw.frame[RELATION].to_numpy(dtype=object)
    known = list(dict.fromkeys(values))
    if relation is None and len(known) > 1:
        raw.fail(f"counts several relations ({', '.join(known)}); choose one with --relation")
    if relation is None or not known:
        return raw
    kept = np.flatnonzero(values == relation)
    if not kept.size:
        raw.fail(f"holds no row of relation {relation!r}; it has {', '.join(known)}")
    return RawTable(
        raw.frame.iloc[kept].reset_index(drop=True),
        raw.source,
        lambda row: raw.place(int(kept[row - 1]) + 1),
    )


def counted_in(raw: RawTable) -> Counted:
    """Read what is counted off the columns that say so.

    Raises
    ------
    PanelError
        When they hold other words, or several.
    """
    found: dict[str, str] = {}
    for column, words in ((METRIC, METRICS), (RELATION, RELATIONS)):
        if column in raw.frame and len(raw.frame):
            _check_words(raw, column, words)
            values = raw.frame[column].to_numpy(dtype=object)
            raw.fail_where(
                values != values[0],
                lambda at, column=column, values=values: (  # type: ignore[misc]
                    f"{column} is {values[at]!r} here but {values[0]!r} in row 1; a panel has "
                    f"one {column}, so keep two of them in two files"
                ),
            )
            found[column] = str(values[0])
    return Counted.read(found)


def _check_words(raw: RawTable, column: str, words: Sequence[str]) -> None:
    raw.refuse_repeated(column)
    values = raw.frame[column]
    raw.fail_where(
        [not isinstance(value, str) or value not in words for value in values],
        lambda at: (
            f"{column} {short(values.iloc[at])} is none of {', '.join(words)}; correct it, or "
            "give a column of your own another name"
        ),
    )
