"""Backtests in pictures: calibration, PIT, scores by horizon, the best and the worst forecasts."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from scipy import stats

from bayes_hfgrowth.evaluation.groups import members
from bayes_hfgrowth.evaluation.scores import LEVELS, central_share
from bayes_hfgrowth.evaluation.skill import common, skill
from bayes_hfgrowth.figures.fan import draw_fan, fan_legend, fan_levels
from bayes_hfgrowth.figures.style import (
    COLOURS,
    CYCLE,
    band,
    key_line,
    new_figure,
    panel_grid,
    shortened,
    styled,
)
from bayes_hfgrowth.forecast.paths import Forecast
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["calibration_curves", "extreme_forecasts", "pit_histograms", "score_by_horizon"]

_CIRCLES: Any = {"markersize": 3, "markerfacecolor": "none"}
_CAME: Any = {"marker": "o", "markerfacecolor": "none", "linewidth": 0.9}
_BINS = 10
_BAND = 0.95
_ROW = 5  # forecasts side by side
_CLASSES = {
    "0": "no fine-tune",
    "1-4": "1 to 4 fine-tunes",
    "5-49": "5 to 49 fine-tunes",
    "50+": "50+ fine-tunes",
    "5+": "5+ fine-tunes",
}

# The growth model has the first colour of the cycle; behind its end line styles tell apart.
_STYLES = ("-", "--", ":", "-.")


def calibration_curves(scores: pd.DataFrame, method: str) -> Figure:
    """Nominal against observed share of outcomes in central intervals, by count at the start.

    Lines are the randomised PIT's central shares (see
    `bayes_hfgrowth.evaluation.scores.central_share`), one for each as-of date, at the longest
    horizon that was scored; circles are the shares in the plain intervals, which hold too
    much where counts are small whole numbers. On the diagonal, intervals hold what they
    promise; below it they are too narrow. The grey band holds 95% of such points if they do,
    for the date with the fewest base models.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.backtest.Backtest`.
    method : str
        Which method.

    Raises
    ------
    ForecastError
        When the method is not among the scores or gives point forecasts only.
    """
    own = _calibrated(scores, method)
    dates = sorted(own["as_of"].unique())
    classes = _classes_in(own)
    levels = np.linspace(0.0, 100.0, 41)[1:-1]
    with styled():
        figure = new_figure(2.3)
        panels = figure.subplots(1, len(classes), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, classes, strict=True):
            parts = [own[(own["as_of"] == date) & classes[name]] for date in dates]
            sizes = [len(part) for part in parts if len(part)]
            axes.plot([0, 100], [0, 100], color=COLOURS["muted"], linewidth=0.6)
            low, high = stats.binom.interval(_BAND, min(sizes), levels / 100.0)
            band(axes, levels, 100 * low / min(sizes), 100 * high / min(sizes), 0.2, "muted")
            for colour, part in zip(np.resize(CYCLE, len(parts)), parts, strict=True):
                if len(part) == 0:
                    continue
                share = [
                    100 * central_share(part["pit_lower"], part["pit_upper"], level).mean()
                    for level in levels
                ]
                axes.plot(levels, share, color=colour)
                plain = [100 * part[f"inside_{level}"].mean() for level in LEVELS]
                axes.plot(LEVELS, plain, "o", color=colour, clip_on=False, zorder=3, **_CIRCLES)
            axes.set_title(f"{_class_name(name, scores)}\nn = {_range_of(sizes)}")
            axes.set_aspect("equal")
            axes.set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100))
        figure.supxlabel("Nominal probability of the central interval (%)", fontsize=8)
        figure.supylabel("Outcomes in it (%)", fontsize=8)
        handles = [
            Line2D([], [], color=colour, label=f"as of {date}")
            for colour, date in zip(np.resize(CYCLE, len(dates)), dates, strict=True)
        ]
        circle = key_line("plain interval", "observed", linestyle="none", marker="o", **_CIRCLES)
        figure.legend(handles=[*handles, circle], loc="outside upper left", ncols=5)
    return figure


def pit_histograms(scores: pd.DataFrame, method: str) -> Figure:
    """How often each tenth of the predictive distributions came true, by count at the start.

    Right forecasts give flat histograms: all as-of dates together, longest horizon. A hump in
    the middle says that the intervals are too wide, a trough that they are too narrow, a slope
    to the left that forecasts are too high. Each outcome is spread over the stretch of its
    randomised PIT. The band holds 95% of the bars if the forecasts are right and the outcomes
    independent.

    Parameters
    ----------
    scores, method
        As for `calibration_curves`.

    Raises
    ------
    ForecastError
        As `calibration_curves`.
    """
    own = _calibrated(scores, method)
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    classes = _classes_in(own)
    with styled():
        figure = new_figure(2.0)
        panels = figure.subplots(1, len(classes), sharey=True, squeeze=False)[0]
        for axes, (name, mask) in zip(panels, classes.items(), strict=True):
            part = own[mask]
            number = len(part)
            axes.set_title(f"{_class_name(name, scores)}\nn = {number:,}")
            axes.set(xlim=(0, 1), xticks=(0, 0.5, 1), xticklabels=("0", "0.5", "1"))
            share = _shares(part["pit_lower"].to_numpy(), part["pit_upper"].to_numpy(), edges)
            low, high = stats.binom.interval(_BAND, number, 1.0 / _BINS)
            ends = (100 * low / number, 100 * high / number)
            axes.axhspan(*ends, color=COLOURS["muted"], alpha=0.25, linewidth=0)
            axes.axhline(100 / _BINS, color=COLOURS["muted"], linewidth=0.6)
            axes.stairs(100 * share, edges, color=COLOURS["model"], fill=True, alpha=0.35)
            axes.stairs(100 * share, edges, color=COLOURS["model"])
        text = "Place of the outcome in its predictive distribution (PIT, probability)"
        figure.supxlabel(text, fontsize=8)
        figure.supylabel("Outcomes (%)", fontsize=8)
        figure.axes[0].set_ylim(bottom=0)
    return figure


def score_by_horizon(scores: pd.DataFrame, method: str, *, min_finetunes: int = 5) -> Figure:
    """CRPS by horizon for all methods, and the skill of one against each of the others.

    Above, mean CRPS on ln(1 + new fine-tunes) of the base models that all methods forecast.
    Below, how much lower the method's CRPS is than each rival's on the base models which that
    rival forecasts, with two standard errors to either side.

    Parameters
    ----------
    scores : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.backtest.Backtest`.
    method : str
        Whose skill.
    min_finetunes : int
        Smallest count at the as-of date.

    Raises
    ------
    ForecastError
        When the method is not among the scores.
    """
    gains = skill(scores, method, min_finetunes=min_finetunes)
    together = common(scores[scores["observed"] >= min_finetunes])
    methods = [method, *(name for name in scores["method"].unique() if name != method)]
    dates = sorted(scores["as_of"].unique())
    style: dict[str, dict[str, Any]] = {
        name: {"color": CYCLE[i % len(CYCLE)], "linestyle": _STYLES[i // len(CYCLE) % 4]}
        for i, name in enumerate(methods)
    }
    width = 0.5 / max(len(methods) - 2, 1)
    points: Any = {"fmt": "o", "markersize": 2.5, "elinewidth": 0.8}
    with styled():
        figure = new_figure(3.6 + 0.16 * math.ceil(len(methods) / 4))
        above, below = figure.subplots(2, len(dates), squeeze=False, sharey="row", sharex="col")
        for axes, lower, date in zip(above, below, dates, strict=True):
            part = together[together["as_of"] == date]
            number = part["base_model"].nunique()
            axes.set_title(f"as of {date}: {number:,} base models")
            for name, one in part.groupby("method", sort=False):
                mean = one.groupby("horizon")["crps_log"].mean()
                axes.plot(mean.index, mean, marker="o", markersize=2.5, **style[str(name)])
            lower.axhline(0, color=COLOURS["muted"], linewidth=0.6)
            rivals = gains[gains["as_of"] == date]
            for name, one in rivals.groupby("rival", sort=False):
                shift = width * (methods.index(str(name)) - len(methods) / 2)
                lower.errorbar(
                    one["horizon"] + shift,
                    100 * one["skill"],
                    yerr=200 * one["skill_se"],
                    color=style[str(name)]["color"],
                    **points,
                )
            lower.set_xticks(sorted(part["horizon"].unique()))
        above[0].set_ylabel("CRPS of ln(1 + new)")
        below[0].set_ylabel("CRPS lower by (%)")
        above[0].set_yscale("log")
        axis = above[0].yaxis
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
        figure.supxlabel("Horizon (months)", fontsize=8)
        keys = [Line2D([], [], label=name.replace("_", " "), **style[name]) for name in methods]
        figure.legend(handles=keys, loc="outside upper left", ncols=4)
    return figure


def extreme_forecasts(
    draws: xr.Dataset,
    scores: pd.DataFrame,
    panel: Panel,
    *,
    number: int = 10,
    min_finetunes: int = 5,
) -> Figure:
    """The best and the worst forecasts of one date, as fans with what came.

    Ranked by CRPS on ln(1 + new) at the longest horizon. Open circles are what came.

    Parameters
    ----------
    draws : xarray.Dataset
        Draws of one method at one date.
    scores : pandas.DataFrame
        Their scores, from `bayes_hfgrowth.evaluation.scores.score_forecast`.
    panel : Panel
        The later panel.
    number : int
        How many of each.
    min_finetunes : int
        Smallest count at the as-of date.

    Raises
    ------
    ForecastError
        When no base model has that many fine-tunes.
    """
    last = scores[scores["horizon"] == scores["horizon"].max()]
    ranked = last[last["observed"] >= min_finetunes].sort_values("crps_log", kind="stable")
    if ranked.empty:
        raise ForecastError(
            f"no scored base model had {min_finetunes} {panel.counted.many}; lower min_finetunes"
        )
    number = min(number, math.ceil(len(ranked) / 2))
    blocks = {"Best": ranked.head(number), "Worst": ranked.tail(number)[::-1]}
    names = [*blocks["Best"]["base_model"], *blocks["Worst"]["base_model"]]
    table = Forecast(draws.sel(base_model=names), pd.DataFrame()).table(LEVELS)
    counts = panel.table.assign(finetunes=panel.counts)
    counts = counts[panel.table["base_model"].isin(names) & (panel.table["month"] > 0)]
    with styled():
        figure = new_figure(1.1 + 2.9 * math.ceil(number / _ROW))
        parts: Any = figure.subfigures(2, 1)
        for part, (title, chosen) in zip(parts, blocks.items(), strict=True):
            _fans(part, title, chosen, table, counts)
        figure.supxlabel("Age of the base model (months)", fontsize=8)
        figure.supylabel(f"Cumulative {panel.counted.many}", fontsize=8)
        came = key_line("what came", "paper", markersize=2.5, **_CAME)
        figure.legend(
            handles=[*fan_legend(fan_levels(table)), came],
            loc="outside upper left",
            ncols=6,
            columnspacing=1.2,
            handlelength=1.4,
        )
    return figure


def _fans(
    part: SubFigure, title: str, chosen: pd.DataFrame, table: pd.DataFrame, counts: pd.DataFrame
) -> None:
    levels = fan_levels(table)
    part.suptitle(title, fontsize=8.5, x=0.01, ha="left")
    panels = panel_grid(part, math.ceil(len(chosen) / _ROW), _ROW, len(chosen))
    for axes, (_, row) in zip(panels, chosen.iterrows(), strict=True):
        own = table[table["base_model"] == row["base_model"]]
        past = counts[counts["month"] <= row["months"]]
        draw_fan(axes, own, past, levels, log=False)
        came = counts[
            (counts["base_model"] == row["base_model"])
            & counts["month"].between(row["months"] + 1, row["months"] + row["horizon"])
        ]
        look: Any = {"color": COLOURS["paper"], "markersize": 2.2, **_CAME}
        axes.plot(came["month"], came["finetunes"], **look)
        highest = max(own[f"upper_{levels[0]}"].max(), came["finetunes"].max())
        axes.set_ylim(0, 1.05 * max(highest, 1))
        namespace, _, rest = row["base_model"].rpartition("/")
        name = f"{shortened(namespace + '/', 17)}\n{shortened(rest, 17)}"
        axes.set_title(f"{name}\nCRPS {row['crps_log']:.2f}", fontsize=6.5)
        axes.locator_params(axis="x", nbins=4, integer=True)
        axes.locator_params(axis="y", nbins=4)


def _calibrated(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Scores of one method that has distributions, at the longest horizon of each as-of date."""
    indices_of([method], list(scores["method"].unique()), "method", "backtest", ForecastError)
    own = scores[(scores["method"] == method) & scores["pit"].notna()]
    if own.empty:
        raise ForecastError(
            f"{method} gives point forecasts, which have no calibration; name another method"
        )
    return own[own["horizon"] == own.groupby("as_of")["horizon"].transform("max")]


def _classes_in(scores: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Classes by count at the start that hold any row, and their rows."""
    masks = members("count", scores)
    return {name: masks[name] for name in _CLASSES if masks[name].any()}


def _class_name(name: str, scores: pd.DataFrame) -> str:
    """What a class of counts is called, in the words of what was counted."""
    text = Counted.read(scores.iloc[0]).said(_CLASSES[name])
    return textwrap.fill(text, 28, break_on_hyphens=False)


def _shares(
    lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Share of the outcomes in each bin, each spread evenly from its lower to its upper end."""
    until = np.clip((edges - lower[:, None]) / (upper - lower)[:, None], 0.0, 1.0)
    return np.diff(until, axis=1).mean(axis=0)


def _range_of(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
