"""Organizations by their whole distributions, and by their ranks."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from bayes_hfgrowth.comparison import NEW_MONTHS, QUANTITIES
from bayes_hfgrowth.comparison.quantities import population_draws
from bayes_hfgrowth.figures.style import COLOURS, counts_on, name_rows, new_figure, styled
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import ComparisonError
from bayes_hfgrowth.support.names import indices_of

__all__ = ["organization_ranks", "organization_ridges"]

_PARAMETERS = ("immediacy", "longevity", "fitness")
_RANKED = (
    "peak_age",
    "fitness",
    f"finetunes_after_{NEW_MONTHS}_months",
    f"portfolio_after_{NEW_MONTHS}_months",
)
_OVERLAP = 1.6  # height of the tallest ridge, in rows
_MOST_DRAWS = 2000


def organization_ridges(
    fit: FittedDraws | PopulationPosterior, organizations: Sequence[str] | None = None
) -> Figure:
    """Posterior densities of each organization's median base model, one ridge above another.

    Immediacy, longevity and fitness; the last two, positive, on a logarithmic axis. Each panel
    has one scale of density, so a flat ridge is one of which little is known. The stroke is the
    median.

    Parameters
    ----------
    fit : FittedDraws or PopulationPosterior
        A fit, or the population of one, whose growth model has an organization level.
    organizations : sequence of str, optional
        Which to draw, from the top down; all, by their median immediacy, when not given.

    Raises
    ------
    ComparisonError
        When an organization is not in the fit, or the fit has no organization level.
    """
    if "organization_immediacy" not in fit.posterior:
        raise ComparisonError(
            f"growth model {fit.spec.name!r} pools all base models as one and knows no "
            'organization level; fit a growth model with pooling = "organization"'
        )
    rows = indices_of(organizations, fit.organizations, "organization", "fit", ComparisonError)
    draws = {name: population_draws(fit.posterior, name)[:, rows] for name in _PARAMETERS}
    draws = {name: values[:: max(1, len(values) // _MOST_DRAWS)] for name, values in draws.items()}
    if organizations is None:
        order = np.argsort(np.median(draws["immediacy"], axis=0), kind="stable")
        rows, draws = rows[order], {name: values[:, order] for name, values in draws.items()}
    names = [fit.organizations[index] for index in rows]
    with styled():
        figure = new_figure(1.2 + 0.27 * max(len(names), 3))
        panels = figure.subplots(1, len(_PARAMETERS), sharey=True)
        for axes, (name, values) in zip(panels, draws.items(), strict=True):
            scaled = np.log(values) if LOG_SCALE[name] else values
            low, high = np.quantile(scaled, [0.002, 0.998])
            grid = np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low), 300)
            shapes = [stats.gaussian_kde(column)(grid) for column in scaled.T]
            height = _OVERLAP / max(shape.max() for shape in shapes)
            across = np.exp(grid) if LOG_SCALE[name] else grid
            for place, (shape, column) in enumerate(zip(shapes, scaled.T, strict=True)):
                middle = float(np.median(column))
                top = place - height * shape
                look: Any = {"facecolor": COLOURS["model"], "alpha": 0.45, "linewidth": 0}
                axes.fill_between(across, place, top, zorder=2 * place + 1, **look)
                axes.plot(across, top, color=COLOURS["model"], linewidth=0.7, zorder=2 * place + 1)
                at = np.exp(middle) if LOG_SCALE[name] else middle
                peak = place - height * np.interp(middle, grid, shape)
                look = {"color": COLOURS["observed"], "linewidth": 0.9}
                axes.vlines(at, peak, place, zorder=2 * place + 2, **look)
            if LOG_SCALE[name]:
                axes.set_xscale("log")
                ticks = _round_ticks(across[0], across[-1])
                axes.set_xticks(ticks, minor=False)
                axes.set_xticks([], minor=True)
            counts_on(axes, x=True)
            axes.set_xlim(across[0], across[-1])
            axes.set_xlabel(
                f"{QUANTITIES[name].label} of the median\nbase model ({QUANTITIES[name].unit})"
            )
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            axes.hlines(range(len(names)), across[0], across[-1], color="#D0D0D0", linewidth=0.3)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.7, -_OVERLAP - 0.1)
        figure.supylabel("Posterior density (relative)", fontsize=8.0)
    return figure


def organization_ranks(ranks: pd.DataFrame, quantities: Sequence[str] = _RANKED) -> Figure:
    """Rank of every organization, with its 95% interval, one panel for each quantity.

    Rank 1 has the largest value. Organizations stand in the order of the last panel. A bar
    across the whole panel says that the data do not rank that organization.

    Parameters
    ----------
    ranks : pandas.DataFrame
        From `bayes_hfgrowth.comparison.Comparison`.
    quantities : sequence of str
        Which panels; at most four stay readable.

    Raises
    ------
    ComparisonError
        When a quantity is not in the table.
    """
    every = list(ranks["quantity"].unique())
    chosen = [
        every[index]
        for index in indices_of(quantities, every, "quantity", "comparison", ComparisonError)
    ]
    tables = {key: part.set_index("organization") for key, part in ranks.groupby("quantity")}
    last = tables[chosen[-1]].sort_values(["median_rank", "lower_95", "upper_95"], kind="stable")
    names = list(last.index)
    place = np.arange(len(names))
    with styled():
        figure = new_figure(1.35 + 0.21 * len(names))
        panels = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
        for axes, key in zip(panels, chosen, strict=True):
            values = tables[key].loc[names]
            ends = (values["lower_95"], values["upper_95"])
            look: Any = {"color": COLOURS["model"], "linewidth": 2.4, "alpha": 0.5}
            axes.hlines(place, *ends, label="95% interval", **look)
            look = {"color": COLOURS["observed"], "markersize": 3}
            axes.plot(values["median_rank"], place, "o", label="median rank", **look)
            axes.set_xlim(0.5, len(names) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=2))
            axes.set_xlabel(f"{textwrap.fill(QUANTITIES[key].label, 20)}\n(rank, 1 = most)")
        name_rows(panels, names)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _round_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, few enough to be read."""
    if high < 8.0 * low:
        ticks = list(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(low, high))
    else:
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 3 else (1,)
        ticks = list(np.outer(decades, steps).ravel())
    return [float(tick) for tick in ticks if low <= tick <= high]
