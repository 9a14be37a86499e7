"""Groups of base models that scores are averaged over."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["COUNT_CLASSES", "GROUPINGS", "HISTORY_CLASSES", "members"]

type Mask = npt.NDArray[np.bool_]

_MOST = np.iinfo(np.int64).max

COUNT_CLASSES: Mapping[str, tuple[int, int]] = {
    "0": (0, 0),
    "1-4": (1, 4),
    "5-49": (5, 49),
    "50+": (50, _MOST),
    "5+": (5, _MOST),
}
"""Fewest and most fine-tunes at the as-of date; the last class joins the two before it."""

HISTORY_CLASSES: Mapping[str, tuple[int, int]] = {
    "0-3 months": (0, 3),
    "4-11 months": (4, 11),
    "12-23 months": (12, 23),
    "24+ months": (24, _MOST),
}
"""Shortest and longest history at the as-of date, in whole months."""

GROUPINGS = ("all", "count", "history", "organization")
"""Ways to sort base models into groups."""


def members(grouping: str, table: pd.DataFrame) -> dict[str, Mask]:
    """Which rows belong to each group.

    Parameters
    ----------
    grouping : str
        One of `GROUPINGS`.
    table : pandas.DataFrame
        Holds ``observed`` (count at the as-of date), ``months`` (age then) and
        ``organization``.

    Returns
    -------
    dict of str to ndarray of bool
        In a fixed order; a group may be empty.
    """
    if grouping == "all":
        return {"all": np.ones(len(table), dtype=bool)}
    if grouping == "organization":
        names = table["organization"].to_numpy(dtype=object)
        return {str(name): names == name for name in sorted(set(names))}
    column, classes = {
        "count": ("observed", COUNT_CLASSES),
        "history": ("months", HISTORY_CLASSES),
    }[grouping]
    values = table[column].to_numpy()
    return {name: (low <= values) & (values <= high) for name, (low, high) in classes.items()}
