"""Charts by calendar date, small enough to be read on a telephone."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import (
    ConciseDateFormatter,
    DateLocator,
    DayLocator,
    MonthLocator,
    YearLocator,
)
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.fan import draw_bands, fan_legend, fan_levels
from bayes_hfgrowth.figures.style import (
    COLOURS,
    band,
    counts_on,
    new_figure,
    panel_grid,
    shortened,
    styled,
)
from bayes_hfgrowth.panel.counted import FINETUNES, Counted

__all__ = [
    "LINES",
    "RelationSeries",
    "alike_chart",
    "dated_fan",
    "leaders_chart",
    "relations_chart",
]

WIDTH = 3.8
"""Width in inches: at 96 pixels an inch, that of a telephone."""

# Okabe and Ito (2008); the dashes tell the lines apart where colours do not.
LINES: tuple[tuple[str, str], ...] = (
    ("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"),
    ("#000000", (0, (5, 1, 1, 1))), ("#56B4E9", (0, (8, 2))),
)  # type: ignore[assignment] # fmt: skip
"""Colours and dashes of the first six lines."""

_FONT = 9.0  # points; 12 pixels on the page
_LEGEND: Any = {
    "loc": "outside upper left", "ncols": 2, "fontsize": _FONT - 1, "columnspacing": 1.2,
    "handlelength": 1.6,
}  # fmt: skip


def dated_fan(
    table: pd.DataFrame,
    dates: pd.DatetimeIndex,
    counts: npt.NDArray[np.integer],
    *,
    threshold: int | None = None,
    counted: Counted = FINETUNES,
) -> Figure:
    """Counts so far, the median forecast and nested bands around it, by date.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of one base model or sum, from `bayes_hfgrowth.forecast.answers.dated_table`.
    dates : pandas.DatetimeIndex
        When the counts so far were, rising; the forecast begins at the last.
    counts : ndarray of int, shape (dates,)
        The counts so far.
    threshold : int, optional
        A count to draw a line at, if the chart goes so high.
    counted : Counted
        What is counted.
    """
    levels = fan_levels(table)
    ahead = _days(dates[-1:].append(pd.DatetimeIndex(table["date"])))

    def from_today(column: str) -> npt.NDArray[np.integer]:
        return np.append(counts[-1], table[column])

    with styled():
        figure = new_figure(2.9, WIDTH)
        axes = figure.subplots()
        ends = [(from_today(f"lower_{at}"), from_today(f"upper_{at}")) for at in levels]
        draw_bands(axes, ahead, ends)
        axes.plot(ahead, from_today("median"), color=COLOURS["model"])
        look: Any = {"color": COLOURS["observed"], "markersize": 2, "linewidth": 1.0}
        axes.plot(_days(dates), counts, marker="o", **look)
        top = _top(table, counts, threshold)
        if threshold is not None and threshold < top:  # else it is far above all there is
            axes.axhline(threshold, color=COLOURS["paper"], linestyle="--", linewidth=1.0)
            axes.annotate(
                f"{threshold:,}",
                (0.02, threshold),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                color=COLOURS["paper"],
                fontsize=_FONT,
                in_layout=False,
            )
        axes.set_ylim(0, top)
        counts_on(axes, y=True)
        axes.set_ylabel(f"Cumulative {counted.many}", fontsize=_FONT)
        _by_date(axes)
        figure.legend(handles=fan_legend(levels), **_LEGEND)
    return figure


@dataclass(frozen=True, eq=False)
class RelationSeries:
    """What is drawn of one relation of a base model.

    Parameters
    ----------
    counted : Counted
        What is counted.
    dates : pandas.DatetimeIndex
        Ends of the months so far, from birth on.
    counts : ndarray of int, shape (dates,)
        Cumulative.
    authors : ndarray, shape (dates,), or None
        Different namespaces that made them, where that is known and not counted anyway.
    table : pandas.DataFrame or None
        Its rows of a table of counts at dates; None where it is not forecast.
    """

    counted: Counted
    dates: pd.DatetimeIndex
    counts: npt.NDArray[np.integer]
    authors: npt.NDArray[np.floating] | None = None
    table: pd.DataFrame | None = None


def relations_chart(parts: Sequence[RelationSeries]) -> Figure:
    """Counts of the relations of a base model by date, one small chart for each.

    Each has a scale of its own. Where there is a forecast, its median and widest but one interval
    are drawn.

    Parameters
    ----------
    parts : sequence of RelationSeries
        The relations.
    """
    rows = -(-len(parts) // 2)
    with styled():
        figure = new_figure(0.6 + 1.75 * rows, WIDTH)
        panels = panel_grid(figure, rows, 2, len(parts))
        shown: dict[str, Any] = {}
        for axes, part in zip(panels, parts, strict=True):
            _draw_relation(axes, part)
            handles, labels = axes.get_legend_handles_labels()
            shown |= dict(zip(labels, handles, strict=True))
            title = f"{part.counted.title}: {part.counts[-1]:,}"
            axes.set_title(textwrap.fill(title, 19, break_on_hyphens=False), fontsize=_FONT - 1)
            axes.set_ylim(bottom=0)
            counts_on(axes, y=True)
            axes.locator_params(axis="y", nbins=4)
        first, last = np.transpose([axes.get_xlim() for axes in panels])
        for axes in panels:
            axes.set_xlim(first.min(), last.max())
            _by_date(axes, 2.6)
        figure.legend(list(shown.values()), list(shown), **_LEGEND)
    return figure


def _draw_relation(axes: Axes, part: RelationSeries) -> None:
    if part.table is not None:
        level = fan_levels(part.table)[:2][-1]
        ahead = _days(part.dates[-1:].append(pd.DatetimeIndex(part.table["date"])))
        lower, median, upper = (
            np.append(part.counts[-1], part.table[name])
            for name in (f"lower_{level}", "median", f"upper_{level}")
        )
        band(axes, ahead, lower, upper, 0.3, label=f"forecast, {level}%")
        axes.plot(ahead, median, color=COLOURS["model"], label="median forecast")
    days = _days(part.dates)
    axes.plot(days, part.counts, color=COLOURS["observed"], linewidth=1.2, label="so far")
    if part.authors is not None:
        look: Any = {"color": COLOURS["paper"], "linestyle": "--", "linewidth": 1.0}
        axes.plot(days, part.authors, label="namespaces", **look)


def leaders_chart(shares: pd.DataFrame) -> Figure:
    """Probability of leading, by date.

    Parameters
    ----------
    shares : pandas.DataFrame
        Indexed by date, one column for each base model; at most as many as `LINES`.
    """
    when = _days(pd.DatetimeIndex(shares.index))
    with styled():
        figure = new_figure(2.6 + 0.2 * len(shares.columns), WIDTH)
        axes = figure.subplots()
        for name, (colour, dashes) in zip(shares.columns, LINES, strict=False):
            # No formulas are read between dollar signs.
            label = shortened(str(name), 44).replace("$", r"\$")
            marker = "o" if len(when) < 3 else ""
            look: Any = {"color": colour, "linestyle": dashes, "linewidth": 1.8, "markersize": 4}
            axes.plot(when, 100.0 * shares[name], marker=marker, label=label, **look)
        axes.set_ylim(0, 100)
        axes.set_ylabel("Probability of leading (%)", fontsize=_FONT)
        _by_date(axes)
        figure.legend(loc="outside upper left", ncols=1, fontsize=_FONT - 1, handlelength=3.0)
    return figure


def alike_chart(
    own: npt.NDArray[np.integer],
    others: Sequence[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
) -> Figure:
    """Counts by age of a base model, and of others that had as many at the same age.

    Parameters
    ----------
    own : ndarray of int, shape (months + 1,)
        Its counts at the ages 0, 1, 2, ... months.
    others : sequence of (ages, counts)
        Theirs, which go on further.
    """
    with styled():
        figure = new_figure(2.6, WIDTH)
        axes = figure.subplots()
        for place, (ages, counts) in enumerate(others):
            label = None if place else "alike at this age"
            axes.plot(ages, counts, color=COLOURS["muted"], linewidth=1.0, label=label)
        look: Any = {"color": COLOURS["model"], "linewidth": 2.2, "marker": "o", "markersize": 2.5}
        axes.plot(np.arange(len(own)), own, label="this base model", **look)
        axes.axvline(len(own) - 1, color=COLOURS["observed"], linestyle=":", linewidth=1.0)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        counts_on(axes, y=True)
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.set_xlabel("Age (months)", fontsize=_FONT)
        axes.set_ylabel("Cumulative fine-tunes", fontsize=_FONT)
        axes.tick_params(labelsize=_FONT)
        figure.legend(loc="outside upper left", ncols=2, fontsize=_FONT - 1)
    return figure


def _top(table: pd.DataFrame, counts: npt.NDArray[np.integer], threshold: int | None) -> float:
    """End of the axis of counts: a band that shoots up may leave the chart, the rest may not."""
    levels = fan_levels(table)
    widest, inner = levels[0], levels[:2][-1]
    most = float(max(counts[-1], table[f"upper_{inner}"].max(), 4))
    whole = float(table[f"upper_{widest}"].max())
    if threshold is not None and threshold < 3.0 * most:
        most = max(most, float(threshold) * 1.08)
    return 1.05 * (whole if whole <= 3.0 * most else most * 1.3)


def _days(dates: pd.DatetimeIndex) -> npt.NDArray[np.datetime64]:
    """Dates as matplotlib takes them: UTC without a zone."""
    return np.asarray(dates.tz_localize(None) if dates.tz is not None else dates, "M8[us]")


def _by_date(axes: Axes, most: float = 5.5) -> None:
    """Few ticks, at the beginnings of months or years."""
    first, last = axes.get_xlim()
    months = (last - first) / 30.4
    locator: DateLocator
    if months < 2.5:
        locator = DayLocator(interval=max(1, round((last - first) / 4)))
    elif months <= 60:
        steps = [step for step in (1, 2, 3, 6, 12) if months / step <= most]
        locator = MonthLocator(range(1, 13, steps[0] if steps else 12))
    else:
        locator = YearLocator(max(1, round(months / 12 / 4)))
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.tick_params(labelsize=_FONT)
