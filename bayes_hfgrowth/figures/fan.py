"""Fan charts: the observed counts and where they may go."""

import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_hfgrowth.figures.style import (
    COLOURS,
    band,
    counts_on,
    key_line,
    new_figure,
    panel_grid,
    panel_title,
    styled,
)
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

__all__ = [
    "MOST_PANELS",
    "draw_bands",
    "draw_fan",
    "fan_chart",
    "fan_legend",
    "fan_levels",
    "keys_of_bands",
]

MOST_PANELS = 12
"""Most base models in one chart."""

_DEFAULT_PANELS = 6
_COLUMNS = 3
_TITLE = 30  # characters above a panel


def fan_chart(
    table: pd.DataFrame,
    history: pd.DataFrame,
    base_models: Sequence[str] | None = None,
    *,
    log: bool = False,
    what: str = "base model",
    along: str = "Age of the base model (months)",
    counted: str = "Cumulative fine-tunes",
) -> Figure:
    """Observed cumulative fine-tunes, the median forecast, and nested bands around it.

    Parameters
    ----------
    table : pandas.DataFrame
        A forecast table, `bayes_hfgrowth.forecast.paths.Forecast.table`; all intervals in it are
        drawn, the widest palest.
    history : pandas.DataFrame
        Observed months: ``base_model``, ``month`` (age, months), ``finetunes`` (cumulative).
    base_models : sequence of str, optional
        Which to draw, at most twelve; by default the six with most fine-tunes.
    log : bool
        Logarithmic counts, months at zero left out.
    what : str
        What ``base_model`` names in the table; for error messages.
    along : str
        What ``month`` counts; the label of the horizontal axis.
    counted : str
        What is counted; the label of the vertical axis.

    Raises
    ------
    ForecastError
        When a base model is not in the table, or too many are given.
    """
    known = table.drop_duplicates("base_model").set_index("base_model")["observed"]
    if base_models is None:
        chosen = list(known.sort_values(ascending=False, kind="stable").index[:_DEFAULT_PANELS])
    else:
        names = list(known.index)
        found = indices_of(base_models, names, what, "forecast", ForecastError)
        chosen = [names[index] for index in found]
    if len(chosen) > MOST_PANELS:
        raise ForecastError(
            f"a fan chart has room for {MOST_PANELS} {what}s and {len(chosen)} are given; "
            "choose some"
        )
    levels = fan_levels(table)
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    with styled():
        figure = new_figure(0.75 + 1.75 * rows)
        for axes, name in zip(panel_grid(figure, rows, columns, len(chosen)), chosen, strict=True):
            draw_fan(axes, table[table["base_model"] == name], history, levels, log=log)
            axes.set_title(panel_title(name, _TITLE if columns > 1 else 80), fontsize=7.5)
        figure.supxlabel(along, fontsize=8)
        figure.supylabel(counted, fontsize=8)
        figure.legend(
            handles=fan_legend(levels),
            loc="outside upper left",
            ncols=len(levels) + 2,
            columnspacing=1.5,
            handlelength=1.6,
        )
    return figure


def fan_levels(table: pd.DataFrame) -> list[str]:
    """Names of the intervals in the table, widest first."""
    found = [match[1] for match in map(re.compile(r"lower_(.+)").fullmatch, table.columns) if match]
    return sorted(found, key=float, reverse=True)


def draw_bands(
    axes: Axes, x: npt.ArrayLike, ends: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]
) -> None:
    """Fill intervals that lie on one another, the widest first and palest."""
    for (lower, upper), opacity in zip(ends, _opacities(len(ends)), strict=True):
        band(axes, x, lower, upper, opacity)


def keys_of_bands(levels: Sequence[str | int]) -> list[Patch]:
    """Entries of a legend for `draw_bands`, the narrowest first; levels from the widest on."""
    # Bands lie on one another, so a narrow one is seen through all wider ones.
    seen = 1.0 - np.cumprod(1.0 - _opacities(len(levels)))
    return [
        Patch(facecolor=COLOURS["model"], alpha=alpha, linewidth=0, label=f"{level}% interval")
        for level, alpha in zip(levels, seen, strict=True)
    ][::-1]


def _opacities(number: int) -> npt.NDArray[np.float64]:
    """Opacities of nested bands, widest first."""
    return 0.18 + 0.42 * np.arange(number) / max(number - 1, 1)


def draw_fan(
    axes: Axes, table: pd.DataFrame, history: pd.DataFrame, levels: list[str], *, log: bool
) -> None:
    """Draw one base model: its months so far, median forecast and bands.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    table : pandas.DataFrame
        Its rows of a forecast table.
    history : pandas.DataFrame
        As for `fan_chart`; may hold other base models too.
    levels : list of str
        From `fan_levels`.
    log : bool
        Logarithmic counts.
    """
    table = table.sort_values("horizon")
    name, observed = table["base_model"].iloc[0], table["observed"].iloc[0]
    start = table["month"].iloc[0] - table["horizon"].iloc[0]
    past = history[history["base_model"] == name].sort_values("month")
    # Nothing stands at birth, so every history starts at (0, 0).
    age, count = np.append(0, past["month"]), np.append(0.0, past["finetunes"])
    ahead = np.append(start, table["month"])
    if log:
        count[count == 0] = np.nan

    def from_today(column: str) -> np.ndarray:
        values = np.append(observed, table[column]).astype(float)
        return np.where(values > 0, values, np.nan) if log else values

    ends = [(from_today(f"lower_{level}"), from_today(f"upper_{level}")) for level in levels]
    draw_bands(axes, ahead, ends)
    axes.plot(ahead, from_today("median"), color=COLOURS["model"])
    axes.plot(age, count, color=COLOURS["observed"], marker="o", markersize=1.8, linewidth=0.9)
    axes.set_xlim(0, ahead[-1])
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    counts_on(axes, y=True)
    axes.locator_params(axis="x", nbins=6, integer=True)


def fan_legend(levels: list[str]) -> list[Line2D | Patch]:
    """Entries of a legend for what `draw_fan` draws; levels as `fan_levels` gives them."""
    return [
        key_line("observed", "observed", marker="o", markersize=1.8, linewidth=0.9),
        key_line("median forecast", "model"),
        *keys_of_bands(levels),
    ]
