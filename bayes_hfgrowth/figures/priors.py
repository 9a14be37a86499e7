"""Prior against posterior of the population's parameters."""

from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import COLOURS, counts_on, key_line, log_ticks, new_figure, styled

__all__ = ["prior_posterior"]

_COLUMNS = 3
_LEVELS = ("global", "between_organizations", "between_base_models")
_TICKS = 5
_WIDE = 10.0  # ratio of the ends of a prior from which its axis is logarithmic
_UNITS = {
    "global_fitness": "dimensionless",
    "global_immediacy": "log-months",
    "global_longevity": "log-months",
    "global_dispersion": "dimensionless",
    "global_dormancy": "share of base models",
    "between_immediacy": "log-months",
    "between_dormancy": "sd of the logit",
    "between": "sd of the logarithm",
    "period_innovation": "sd of the logarithm, a month",
    "burst_probability": "probability, a month",
    "burst_factor": "times the regular mean",
}


def prior_posterior(table: pd.DataFrame) -> Figure:
    """Prior (grey) above posterior (blue), one panel for each population parameter.

    Dots are medians, lines central 95% intervals. Axes are logarithmic where the ends of the
    prior are positive and more than a factor of 10 apart.

    Parameters
    ----------
    table : pandas.DataFrame
        From `bayes_hfgrowth.diagnostics.prior_posterior_table`.
    """
    named = [(_split(str(name)), row) for name, row in table.set_index("parameter").iterrows()]
    # Each growth parameter begins a row of panels, and so do those that all base models share.
    rows = []
    for _, group in groupby(named, key=lambda entry: entry[0][1] if entry[0][0] else ""):
        members = list(group)
        rows += [members[at : at + _COLUMNS] for at in range(0, len(members), _COLUMNS)]
    with styled():
        figure = new_figure(0.5 + 0.92 * len(rows))
        grid = figure.subplots(
            len(rows), _COLUMNS, squeeze=False, gridspec_kw={"wspace": 0.1, "hspace": 0.05}
        )
        for place, members in zip(grid, rows, strict=True):
            for axes in place[len(members) :]:
                axes.remove()
            for axes, ((level, name), row) in zip(place, members, strict=False):
                _draw(axes, row)
                title = name.replace("_", " ").capitalize()
                words = level.replace("_", " ")
                axes.set_title(f"{title}, {words}" if level else title, fontsize=7.5)
                axes.set_xlabel(_unit(level, name), fontsize=7.0)
        look: Any = {"marker": "o", "markersize": 3.5, "linewidth": 1.6}
        keys = [
            key_line(f"{kind}, median and 95% interval", colour, **look)
            for kind, colour in (("prior", "muted"), ("posterior", "model"))
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=2)
    return figure


def _split(variable: str) -> tuple[str, str]:
    """Level and parameter of a posterior variable; no level where all base models share it."""
    level = next((level for level in _LEVELS if variable.startswith(f"{level}_")), "")
    return level, variable.removeprefix(f"{level}_")


def _unit(level: str, name: str) -> str:
    kind = level.partition("_")[0]
    key = f"{kind}_{name}" if kind else name
    return _UNITS.get(key, _UNITS.get(kind, "dimensionless"))


def _draw(axes: Axes, row: pd.Series) -> None:
    kinds = (("prior", 0.0, COLOURS["muted"]), ("posterior", 1.0, COLOURS["model"]))
    for kind, place, colour in kinds:
        axes.hlines(
            place, row[f"{kind}_lower_95"], row[f"{kind}_upper_95"], color=colour, linewidth=1.6
        )
        axes.plot(row[f"{kind}_median"], place, "o", color=colour, markersize=3.5)
    ends = row[[f"{kind}_{end}_95" for kind, *_ in kinds for end in ("lower", "upper")]]
    low, high = float(ends.min()), float(ends.max())
    axes.set_ylim(1.7, -0.7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if low > 0 and row["prior_upper_95"] > _WIDE * row["prior_lower_95"]:
        margin = (high / low) ** 0.05
        low, high = low / margin, high * margin
        axes.set_xscale("log")
        axes.set_xticks(log_ticks(low, high, _TICKS))
        axes.set_xticks([], minor=True)
    else:
        margin = max(0.05 * (high - low), np.finfo(float).tiny)
        low, high = low - margin, high + margin
        axes.locator_params(axis="x", nbins=_TICKS)
    axes.set_xlim(low, high)
    counts_on(axes, x=True)
