"""Posterior predictive checks of the monthly counts: all together, and where they surged."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hfgrowth.figures.style import (
    COLOURS,
    band,
    counts_on,
    new_figure,
    panel_grid,
    panel_title,
    styled,
)
from bayes_hfgrowth.panel.counted import FINETUNES, Counted

__all__ = ["MOST_PANELS", "predictive_check", "surge_chart"]

MOST_PANELS = 9
"""Base models that `surge_chart` shows."""

_COLUMNS = 3


def predictive_check(
    rootogram: pd.DataFrame, pit: pd.DataFrame, counted: Counted = FINETUNES
) -> Figure:
    """Observed months against replicated ones: how many, and how they rank.

    Left, the number of months with each count of new fine-tunes, on a square-root scale,
    which gives common and rare counts the same scatter. Right, the empirical distribution of
    the randomised PIT minus the uniform one: within the band if the predictive distributions
    are right; below it on the left and above it on the right if they are too wide, the other
    way round if too narrow.

    Parameters
    ----------
    rootogram, pit : pandas.DataFrame
        From `bayes_hfgrowth.diagnostics.Diagnostics`.
    counted : Counted
        What was counted.
    """
    with styled():
        figure = new_figure(3.1)
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
        _draw_rootogram(left, rootogram)
        left.set_xlabel(f"New {counted.many} in a month (lower end of bin)")
        _draw_pit(right, pit)
    return figure


def surge_chart(months: pd.DataFrame, surges: pd.DataFrame, counted: Counted = FINETUNES) -> Figure:
    """Months of the base models with the least probable surges, beside their replicates.

    The band holds 95% of the replicated months, drawn with the surge in the data; so it is
    wider there than what the verdict rests on.

    Parameters
    ----------
    months, surges : pandas.DataFrame
        From `bayes_hfgrowth.diagnostics.Diagnostics`; at least one surge.
    counted : Counted
        What was counted.
    """
    ordered = surges.sort_values("probability", kind="stable")
    names = list(ordered["base_model"].drop_duplicates().head(MOST_PANELS))
    rows = -(-len(names) // _COLUMNS)
    with styled():
        figure = new_figure(0.75 + 1.65 * rows)
        panels = panel_grid(figure, rows, _COLUMNS, len(names))
        for axes, name in zip(panels, names, strict=True):
            _draw_months(axes, months[months["base_model"] == name])
            axes.set_title(panel_title(name, 27))
        figure.supxlabel("Age of the base model (months)", fontsize=8.0)
        figure.supylabel(f"New {counted.many} in the month", fontsize=8.0)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
    return figure


def _draw_months(axes: Axes, table: pd.DataFrame) -> None:
    age, new = table["month"].to_numpy(), table["new"].to_numpy()
    found = table["surge"].to_numpy()
    ends, blue = (table["lower_95"], table["upper_95"]), COLOURS["model"]
    band(axes, age, *ends, 0.2, step="mid", label="replicated, 95%")
    label = "replicated, median"
    axes.step(age, table["median"], where="mid", color=blue, linewidth=1.0, label=label)
    axes.plot(age, new, "o", color=COLOURS["observed"], markersize=2, label="observed")
    look: Any = {"color": COLOURS["paper"], "markersize": 4.5, "clip_on": False}
    axes.plot(age[found], new[found], "D", label="surge", **look)
    # Logarithmic from one fine-tune on, and still room for none.
    axes.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    axes.set_ylim(-0.1, 3.0 * max(float(table["upper_95"].max()), float(new.max()), 1.0))
    counts_on(axes, y=True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_xlim(age.min() - 0.5, age.max() + 0.5)


def _draw_rootogram(axes: Axes, table: pd.DataFrame) -> None:
    place = np.arange(len(table))
    median = table["median"].to_numpy()
    spread = np.abs(table[["lower_95", "upper_95"]].to_numpy().T - median)
    axes.bar(place, table["observed"], width=0.8, color="#C8C8C8", label="observed")
    look: Any = {"fmt": "o", "markersize": 3, "elinewidth": 1.2, "color": COLOURS["model"]}
    axes.errorbar(place, median, yerr=spread, label="replicated, median and 95%", **look)
    top = max(table["observed"].max(), table["upper_95"].max())
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    axes.set_ylim(0, 1.05 * top)
    axes.set_yticks(_square_ticks(1.05 * top))
    axes.set_xticks(place, [f"{lower:,}" for lower in table["lower"]], rotation=90)
    axes.set_ylabel("Number of months (square-root scale)")
    _legend_above(axes)


_APART = 0.1  # of the axis, which is as near as two ticks may come


def _square_ticks(top: float) -> list[float]:
    """About five round numbers, evenly spaced in their square roots."""
    ticks = [0.0]
    for part in (0.2, 0.4, 0.6, 0.8, 1.0):
        value = top * part**2
        unit = 10.0 ** np.floor(np.log10(max(value, 1.0)))
        rounded = max(unit * np.floor(value / unit), 1.0)
        if np.sqrt(rounded) - np.sqrt(ticks[-1]) > _APART * np.sqrt(top):
            ticks.append(float(rounded))
    return ticks


def _draw_pit(axes: Axes, table: pd.DataFrame) -> None:
    ends = (table["lower_95"], table["upper_95"])
    band(axes, table["pit"], *ends, 0.2, label="95% of replicates")
    axes.axhline(0.0, color=COLOURS["muted"], linewidth=0.6)
    axes.plot(table["pit"], table["deviation"], color=COLOURS["observed"], label="observed")
    reach = 1.1 * float(table[["lower_95", "upper_95", "deviation"]].abs().to_numpy().max())
    axes.set_ylim(-reach, reach)
    axes.set_xlim(0, 1)
    axes.set_xlabel("Randomised PIT of a month (probability)")
    axes.set_ylabel("ECDF minus uniform (probability)")
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=2,
        borderaxespad=0.2,
        handlelength=1.5,
        columnspacing=1.2,
    )
