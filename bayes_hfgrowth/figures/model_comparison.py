"""Growth models of the same months side by side."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import COLOURS, CYCLE, counts_on, name_rows, new_figure, styled

__all__ = ["model_comparison"]


def model_comparison(table: pd.DataFrame, pointwise: pd.DataFrame) -> Figure:
    """Leave-one-out density, where it comes from, its Pareto k, and the forecasts' scores.

    From the left: difference in expected log predictive density to the best growth model with
    two standard errors; the share of the months with a Pareto k above each value; and, where
    forecasts were stacked, their CRPS on ln(1 + new) with two standard errors. Behind the names
    stand the stacking weights.

    Parameters
    ----------
    table, pointwise : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.model_comparison.ModelComparison`.
    """
    with_forecasts = "crps_log" in table and bool(table["crps_log"].notna().any())
    place = np.arange(len(table))
    with styled():
        figure = new_figure(1.5 + 0.3 * len(table))
        left, middle, *more = figure.subplots(1, 3 if with_forecasts else 2)
        look: Any = {"fmt": "o", "markersize": 4, "elinewidth": 1.2, "color": COLOURS["model"]}
        left.errorbar(table["elpd_diff"], place, xerr=2 * table["dse"], **look)
        left.axvline(0, color=COLOURS["muted"], linewidth=0.6)
        left.set_xlabel("Log density of months left out,\ndifference to the best (nats)")
        counts_on(left, x=True)
        _names(left, table, "loo_weight")
        _pareto(middle, table, pointwise)
        for axes in more:
            axes.errorbar(table["crps_log"], place, xerr=2 * table["crps_log_se"], **look)
            axes.set_xlabel("CRPS of forecasts\n(of ln(1 + new fine-tunes))")
            _names(axes, table, "forecast_weight", short=True)
    return figure


def _names(axes: Axes, table: pd.DataFrame, weight: str, *, short: bool = False) -> None:
    labels = [
        f"weight {row[weight]:.2f}" if short else f"{row['model']}\nweight {row[weight]:.2f}"
        for _, row in table.iterrows()
    ]
    name_rows([axes], labels)
    axes.locator_params(axis="x", nbins=4)


def _pareto(axes: Axes, table: pd.DataFrame, pointwise: pd.DataFrame) -> None:
    for colour, name in zip(np.resize(CYCLE, len(table)), table["model"], strict=True):
        k = np.sort(pointwise.loc[pointwise["model"] == name, "pareto_k"].fillna(np.inf))
        above = 100.0 * np.arange(len(k), 0, -1) / len(k)
        axes.plot(k, above, color=str(colour), drawstyle="steps-post", label=name)
    axes.axvline(table["good_k"].min(), color=COLOURS["muted"], linewidth=0.6, linestyle="--")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(top=100.0)
    axes.set_xlabel("Pareto k (good left\nof the dashed line)")
    axes.set_ylabel("Months above it (%)")
    axes.legend(handlelength=1.2, borderaxespad=0.0)
