"""All base models of each organization together: data, fit and forecast."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_hfgrowth.figures.style import (
    COLOURS,
    counts_on,
    new_figure,
    panel_title,
    rounded_count,
    styled,
)
from bayes_hfgrowth.forecast.paths import Forecast
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import ForecastError

__all__ = ["organization_portfolios"]

_COLUMNS = 4
_LEVELS = (95, 80, 50)
_DRAWS = 400
_HIGHEST = 5.0  # top of a panel, in multiples of the last count


def organization_portfolios(fit: FittedDraws, forecast: Forecast) -> Figure:
    """Total fine-tunes of each organization's base models: data, fit, and the fan ahead.

    Months are counted back and forth from each base model's last month, so that all base
    models of an organization end together. Black is counted. The grey band holds the fit: the
    sum of all months so far, each replicated given the months really observed before it,
    central 95% (it says whether the growth model explains the totals, and not how well it
    would have forecast them). Blue is the forecast; where it goes beyond five times the last
    count and its own median, it leaves the panel, which says how far.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    forecast : bayes_hfgrowth.forecast.paths.Forecast
        Its forecast, of all base models.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ForecastError
        When the forecast does not hold every base model of the fit.
    """
    history = fit.history
    if tuple(forecast.draws["base_model"].to_numpy().tolist()) != history.base_models:
        raise ForecastError(
            "the forecast does not hold the base models of the fit, in their order; "
            "make it with fit.forecast(months)"
        )
    replicated = fit.tree["posterior_predictive"].to_dataset()["new_finetunes"]
    months = replicated.transpose("chain", "draw", "observation").to_numpy()
    months = months.reshape(-1, months.shape[-1])
    months = months[:: max(1, len(months) // _DRAWS)]
    paths = forecast.draws["finetunes"].transpose("chain", "draw", "base_model", "horizon")
    future = paths.to_numpy().reshape(-1, *paths.shape[2:])
    future = future[:: max(1, len(future) // _DRAWS)]
    names = history.organizations
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with styled():
        figure = new_figure(0.75 + 1.4 * rows)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.remove()
        for index, (axes, name) in enumerate(zip(grid.flat, names, strict=False)):
            own = np.flatnonzero(history.organization_of == index)
            _past(axes, history.subset(own), history, own, months)
            _fan(axes, future[:, own].sum(axis=1), int(history.finetunes[own].sum()))
            number = f"{len(own):,} base model{'s' if len(own) > 1 else ''}"
            axes.set_title(f"{panel_title(name, 20)}\n{number}", fontsize=7.5)
        figure.supxlabel("Months from the last count", fontsize=8.0)
        figure.supylabel(f"Cumulative {fit.counted.many}", fontsize=8.0)
        figure.legend(handles=_legend(), loc="outside upper left", ncols=5, columnspacing=1.3,
                      handlelength=1.6)  # fmt: skip
    return figure


def _past(
    axes: Axes,
    part: History,
    history: History,
    own: npt.NDArray[np.int64],
    months: npt.NDArray[np.int64],
) -> None:
    """Draw the months so far of some base models, summed, and their replicates."""
    longest = int(part.months.max(initial=0))
    if longest == 0:
        return
    observed = np.zeros(longest)
    replicated = np.zeros((len(months), longest))
    for place, index in enumerate(own):
        age = int(part.months[place])
        if age == 0:
            continue
        rows = slice(history.start[index], history.start[index + 1])
        observed[longest - age :] += history.new[rows]
        replicated[:, longest - age :] += months[:, rows]
    time = np.arange(-longest, 1)
    lower, upper = np.quantile(np.cumsum(replicated, axis=1), [0.025, 0.975], axis=0)
    axes.fill_between(
        time, np.append(0, lower), np.append(0, upper), color=COLOURS["muted"], alpha=0.4,
        linewidth=0,
    )  # fmt: skip
    axes.plot(time, np.append(0, np.cumsum(observed)), color=COLOURS["observed"], linewidth=1.0)
    axes.set_xlim(left=-longest)


def _fan(axes: Axes, totals: npt.NDArray[np.int64], today: int) -> None:
    """Draw the forecast of a total, shape (draws, horizons)."""
    time = np.arange(totals.shape[1] + 1)

    def ahead(probability: float) -> npt.NDArray[np.float64]:
        return np.append(today, np.quantile(totals, probability, axis=0))

    for level, opacity in zip(_LEVELS, (0.18, 0.39, 0.6), strict=True):
        tail = (1.0 - level / 100.0) / 2.0
        axes.fill_between(
            time, ahead(tail), ahead(1.0 - tail), color=COLOURS["model"], alpha=opacity,
            linewidth=0,
        )  # fmt: skip
    axes.plot(time, ahead(0.5), color=COLOURS["model"])
    axes.axvline(0.0, color=COLOURS["muted"], linewidth=0.5, linestyle=":")
    # A fan much higher than the data leaves the panel rather than flattening them.
    upper, median = float(ahead(0.975)[-1]), float(ahead(0.5)[-1])
    highest = max(_HIGHEST * today, median, 1.0)
    axes.set_ylim(0, 1.08 * min(max(upper, float(today), 1.0), highest))
    if upper > 1.08 * highest:
        axes.text(
            0.05, 0.95, f"95%: to {rounded_count(upper)}", transform=axes.transAxes, va="top",
            fontsize=6.5, color=COLOURS["model"],
        )  # fmt: skip
    axes.set_xlim(right=time[-1])
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.locator_params(axis="y", nbins=4)
    counts_on(axes, y=True)


def _legend() -> list[Line2D | Patch]:
    model = COLOURS["model"]
    return [
        Line2D([], [], color=COLOURS["observed"], linewidth=1.0, label="observed"),
        Patch(facecolor=COLOURS["muted"], alpha=0.4, linewidth=0, label="fit, 95%"),
        Line2D([], [], color=model, label="median forecast"),
        Patch(facecolor=model, alpha=0.6, linewidth=0, label="50%"),
        Patch(facecolor=model, alpha=0.35, linewidth=0, label="80 and 95%"),
    ]
