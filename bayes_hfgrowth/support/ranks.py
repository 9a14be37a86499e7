"""Ranks of organizations, draw by draw, with their uncertainty."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

__all__ = ["rank_table"]


def rank_table(
    organizations: Sequence[str], draws: Mapping[str, npt.NDArray[np.float64]]
) -> pd.DataFrame:
    """Rank organizations by each quantity under every draw, and summarise the ranks.

    Rank 1 is the largest value. Organizations that tie under a draw share the mean of the
    ranks they take up, and in equal parts the chances of being largest or smallest, so that
    these add up to 1 over the organizations.

    Parameters
    ----------
    organizations : sequence of str
        Names, as in the columns of the draws.
    draws : mapping of str to ndarray, shape (draws, organizations)
        Draws of each quantity.

    Returns
    -------
    pandas.DataFrame
        One row for each quantity and organization: ``quantity``, ``organization``,
        ``median_rank``, ``lower_95``, ``upper_95`` (central interval, itself ranks under some
        draw), ``largest`` and ``smallest`` (probability of being it among those compared).

    Examples
    --------
    Two draws of one quantity; A is ahead in the first, and both are level in the second.

    >>> import numpy as np
    >>> ranks = rank_table(["A", "B"], {"fitness": np.array([[3.0, 1.0], [2.0, 2.0]])})
    >>> ranks["largest"].tolist()
    [0.75, 0.25]
    """
    tables = []
    for quantity, values in draws.items():
        ranks = stats.rankdata(-values, method="average", axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "quantity": quantity,
                    "organization": list(organizations),
                    "median_rank": np.quantile(ranks, 0.5, axis=0, method="lower"),
                    "lower_95": np.quantile(ranks, 0.025, axis=0, method="lower"),
                    "upper_95": np.quantile(ranks, 0.975, axis=0, method="higher"),
                    "largest": _shared(values == values.max(axis=1, keepdims=True)),
                    "smallest": _shared(values == values.min(axis=1, keepdims=True)),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _shared(at: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Share of draws in which each is there, one draw split evenly among those that are."""
    return np.asarray((at / at.sum(axis=1, keepdims=True)).mean(axis=0))
