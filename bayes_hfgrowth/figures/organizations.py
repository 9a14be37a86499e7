"""Organizations side by side."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_hfgrowth.comparison.quantities import NEW_MONTHS, QUANTITIES, quantity_of
from bayes_hfgrowth.figures.style import COLOURS, counts_on, key_line, name_rows, new_figure, styled
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.support.errors import ComparisonError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["organization_forest"]

_DEFAULT = ("immediacy", "longevity", "fitness", f"finetunes_after_{NEW_MONTHS}_months")
_LOGARITHMIC = {
    key
    for key, quantity in QUANTITIES.items()
    if quantity.unit == "fine-tunes" and not key.startswith("median_at_")
}


def organization_forest(
    table: pd.DataFrame,
    organizations: Sequence[str] | None = None,
    quantities: Sequence[str] = _DEFAULT,
    counted: Counted = FINETUNES,
) -> Figure:
    """Medians with 50% and 95% intervals, one panel for each quantity.

    Parameters
    ----------
    table : pandas.DataFrame
        From `bayes_hfgrowth.comparison.Comparison`.
    organizations : sequence of str, optional
        Which to draw, from the top down; all in the order of the table when not given.
    quantities : sequence of str
        Which panels; at most five stay readable.
    counted : Counted
        What was counted.

    Raises
    ------
    ComparisonError
        When an organization or a quantity is not in the table.
    """
    known = list(table["organization"].unique())
    rows = indices_of(organizations, known, "organization", "comparison", ComparisonError)
    names = [known[index] for index in rows]
    every = list(table["quantity"].unique())
    columns = indices_of(quantities, every, "quantity", "comparison", ComparisonError)
    place = np.arange(len(names))
    cells = table.set_index(["quantity", "organization"])
    with styled():
        figure = new_figure(1.3 + 0.21 * len(names))
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, column in zip(panels, columns, strict=True):
            key = every[column]
            values = cells.loc[key].loc[names]
            for level, width in ((95, 1.0), (50, 3.0)):
                ends = (values[f"lower_{level}"], values[f"upper_{level}"])
                axes.hlines(place, *ends, color=COLOURS["model"], linewidth=width)
            axes.plot(values["median"], place, "o", color=COLOURS["observed"], markersize=3)
            if key in _LOGARITHMIC:
                # Logarithmic from one fine-tune on, and still room for none.
                axes.set_xscale("symlog", linthresh=1.0, linscale=0.5)
                decades = math.ceil(math.log10(max(values["upper_95"].max(), 10.0)))
                axes.set_xticks([0.0] + [10.0**k for k in range(0, decades + 1, 1 + decades // 4)])
            counts_on(axes, x=True)
            quantity = quantity_of(key, counted)
            unit = textwrap.fill(quantity.unit, 24)
            axes.set_xlabel(f"{textwrap.fill(quantity.label, 16)}\n({unit})")
        keys = [
            key_line("median", "observed", marker="o", markersize=3, linestyle="none"),
            key_line("50% interval", "model", linewidth=3.0),
            key_line("95% interval", "model", linewidth=1.0),
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=3)
        name_rows(panels, names)
    return figure
