"""What became of base models that had as many fine-tunes at the same age: counts, no model."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.names import numbered

__all__ = ["MOST_NAMED", "Comparables", "comparables"]

MOST_NAMED = 6
"""Nearest base models that are named."""

ENOUGH = 20
"""Base models that a band should hold; it is widened up to `WIDEST` until it does."""

FEW = 10
"""Base models below which no quantiles are told."""

WIDEST = 2.0
"""Largest factor between the counts of base models that are called alike."""

_FACTORS = (1.25, 1.5, WIDEST)


@dataclass(frozen=True, eq=False)
class Comparables:
    """Base models of a panel that were alike at an age, and what came within some months.

    Parameters
    ----------
    age, finetunes : int
        Age in whole months, and fine-tunes at it, of the base model that is compared.
    months : int
        How much later the others are looked at.
    lowest, highest : int
        Fine-tunes between which the others count as alike.
    new : ndarray of int, shape (base models,)
        Fine-tunes that came within these months to each that is alike and was observed so long.
    nearest : pandas.DataFrame
        The nearest of them: ``base_model``, ``organization``, ``finetunes`` (at the age),
        ``later`` (that much later), ``new``.
    paths : list
        Of the nearest: ages and counts from birth to as much later, two arrays each.
    """

    age: int
    finetunes: int
    months: int
    lowest: int
    highest: int
    new: npt.NDArray[np.int64]
    nearest: pd.DataFrame
    paths: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]

    def sentence(self) -> str:
        """Say what came to them."""
        later, number = numbered(self.months, "month"), len(self.new)
        if not number:
            near = "; the nearest are shown" if len(self.nearest) else ""
            return (
                "No base model of the shipped data that was observed "
                f"{later} beyond this age had about as many fine-tunes{near}."
            )
        band = f"{_range(self.lowest, self.highest)} fine-tunes"
        had = (
            f"{numbered(number, 'base model')} of the shipped data had {band} at "
            f"the age of {numbered(self.age, 'month')}."
        )
        if number < FEW:
            gained = _range(int(self.new.min()), int(self.new.max()))
            return f"Only {had} Within the next {later} they gained {gained}."
        low, middle, high = np.quantile(self.new, [0.1, 0.5, 0.9], method="nearest")
        return (
            f"{had} Within the next {later} the middle one of them gained {middle:,}; eight in ten "
            f"gained {low:,} to {high:,}."
        )


def comparables(
    panel: Panel, base_model: str, organization: str, age: int, finetunes: int, months: int
) -> Comparables:
    """Find base models that had about as many fine-tunes at the same age.

    Parameters
    ----------
    panel : Panel
        Where to look.
    base_model, organization : str
        The one that is compared; it is not its own comparable.
    age, finetunes : int
        Its age in whole months, and its count.
    months : int
        How much later to look, in months.

    Returns
    -------
    Comparables
        Of a base model younger than a month, with all others at birth.
    """
    table, models = panel.table, panel.base_models
    long_enough = models.index[
        (models["months"] >= age + months) & (models.index.str.lower() != base_model.lower())
    ]
    rows = table[table["base_model"].isin(long_enough)]
    then, later = (
        rows[rows["month"] == at].set_index("base_model")["finetunes"] for at in (age, age + months)
    )
    found = models.loc[then.index, ["organization"]].assign(finetunes=then, later=later)
    found["new"] = found["later"] - found["finetunes"]
    for factor in _FACTORS:
        low = min(finetunes, int(np.ceil(finetunes / factor)))
        high = max(finetunes, int(np.floor(finetunes * factor)))
        alike = found["finetunes"].between(low, high)
        if alike.sum() >= ENOUGH:
            break
    new = found.loc[alike, "new"].to_numpy(np.int64)
    if alike.any():  # else the nearest are shown all the same
        found = found[alike]
    distance = np.abs(np.log1p(found["finetunes"]) - np.log1p(finetunes))
    other = found["organization"] != organization
    order = np.lexsort((found.index.to_numpy(str), other, distance))[:MOST_NAMED]
    nearest = found.iloc[order].rename_axis("base_model").reset_index()
    paths = []
    for name in nearest["base_model"]:
        own = rows[(rows["base_model"] == name) & (rows["month"] <= age + months)]
        paths.append((own["month"].to_numpy(), own["finetunes"].to_numpy()))
    return Comparables(age, finetunes, months, low, high, new, nearest, paths)


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
