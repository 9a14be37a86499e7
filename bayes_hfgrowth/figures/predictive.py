"""Posterior predictive check of the monthly counts."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import COLOURS, new_figure, styled

__all__ = ["predictive_check"]


def predictive_check(rootogram: pd.DataFrame, pit: pd.DataFrame) -> Figure:
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

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = new_figure(3.1)
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
        _draw_rootogram(left, rootogram)
        _draw_pit(right, pit)
    return figure


def _draw_rootogram(axes: Axes, table: pd.DataFrame) -> None:
    place = np.arange(len(table))
    median = table["median"].to_numpy()
    spread = np.abs(table[["lower_95", "upper_95"]].to_numpy().T - median)
    axes.bar(place, table["observed"], width=0.8, color="#C8C8C8", label="observed")
    axes.errorbar(
        place, median, yerr=spread, fmt="o", markersize=3, elinewidth=1.2, color=COLOURS["model"],
        label="replicated, median and 95%",
    )  # fmt: skip
    top = max(table["observed"].max(), table["upper_95"].max())
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    axes.set_ylim(0, 1.05 * top)
    axes.set_yticks(_square_ticks(1.05 * top))
    axes.set_xticks(place, [f"{lower:,}" for lower in table["lower"]], rotation=90)
    axes.set_xlabel("New fine-tunes in a month (lower end of bin)")
    axes.set_ylabel("Number of months (square-root scale)")
    _legend_above(axes)


def _square_ticks(top: float) -> list[float]:
    """About five round numbers, evenly spaced in their square roots."""
    ticks = [0.0]
    for part in (0.2, 0.4, 0.6, 0.8, 1.0):
        value = top * part**2
        unit = 10.0 ** np.floor(np.log10(max(value, 1.0)))
        rounded = max(unit * np.floor(value / unit), 1.0)
        if rounded > ticks[-1]:
            ticks.append(float(rounded))
    return ticks


def _draw_pit(axes: Axes, table: pd.DataFrame) -> None:
    axes.fill_between(
        table["pit"], table["lower_95"], table["upper_95"], color=COLOURS["model"], alpha=0.2,
        linewidth=0, label="95% of replicates",
    )  # fmt: skip
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
