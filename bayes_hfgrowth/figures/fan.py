"""Fan charts: the observed counts and where they may go."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_hfgrowth.figures.style import COLOURS, counts_on, new_figure, panel_title, styled
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["MOST_PANELS", "draw_fan", "fan_chart", "fan_legend", "fan_levels"]

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

    Returns
    -------
    matplotlib.figure.Figure

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
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(chosen):
                axes.remove()
                continue
            name = chosen[place]
            draw_fan(axes, table[table["base_model"] == name], history, levels, log=log)
            axes.set_title(panel_title(name, _TITLE if columns > 1 else 80), fontsize=7.5)
        figure.supxlabel(along, fontsize=8)
        figure.supylabel(counted, fontsize=8)
        figure.legend(
            handles=fan_legend(levels), loc="outside upper left", ncols=len(levels) + 2,
            columnspacing=1.5, handlelength=1.6,
        )  # fmt: skip
    return figure


def fan_levels(table: pd.DataFrame) -> list[str]:
    """Names of the intervals in the table, widest first."""
    found = [match[1] for match in map(re.compile(r"lower_(.+)").fullmatch, table.columns) if match]
    return sorted(found, key=float, reverse=True)


def _shade(place: int, number: int) -> float:
    """Opacity of the place-th band, widest first."""
    return 0.18 + 0.42 * place / max(number - 1, 1)


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
    age = np.append(0, past["month"].to_numpy())
    count = np.append(0, past["finetunes"].to_numpy()).astype(float)
    ahead = np.append(start, table["month"].to_numpy())

    def from_today(column: str) -> np.ndarray:
        values = np.append(observed, table[column].to_numpy()).astype(float)
        return np.where(values > 0, values, np.nan) if log else values

    if log:
        count = np.where(count > 0, count, np.nan)
    for place, level in enumerate(levels):
        axes.fill_between(
            ahead, from_today(f"lower_{level}"), from_today(f"upper_{level}"),
            color=COLOURS["model"], alpha=_shade(place, len(levels)), linewidth=0,
        )  # fmt: skip
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
    """Legend of what `draw_fan` draws.

    Parameters
    ----------
    levels : list of str
        From `fan_levels`.
    """
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLOURS["observed"], marker="o", markersize=1.8, linewidth=0.9,
               label="observed"),
        Line2D([], [], color=COLOURS["model"], label="median forecast"),
    ]  # fmt: skip
    # Bands lie on one another, so a narrow one is seen through all wider ones.
    seen = 0.0
    patches = []
    for place, level in enumerate(levels):
        seen = 1.0 - (1.0 - seen) * (1.0 - _shade(place, len(levels)))
        patches.append(
            Patch(facecolor=COLOURS["model"], alpha=seen, linewidth=0, label=f"{level}% interval")
        )
    return handles + patches[::-1]
