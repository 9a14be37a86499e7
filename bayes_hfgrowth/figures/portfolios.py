"""All base models of each organization together: data, fit and forecast."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayes_hfgrowth.figures.fan import draw_bands
from bayes_hfgrowth.figures.style import (
    COLOURS,
    band,
    counts_on,
    key_line,
    new_figure,
    note_on,
    panel_grid,
    panel_title,
    rounded_count,
    styled,
)
from bayes_hfgrowth.forecast.paths import Forecast
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import flat_draws
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import numbered

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
    months = flat_draws(replicated, "observation", most=_DRAWS)
    future = flat_draws(forecast.draws["finetunes"], "base_model", "horizon", most=_DRAWS)
    names = history.organizations
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with styled():
        figure = new_figure(0.75 + 1.4 * rows)
        panels = panel_grid(figure, rows, columns, len(names))
        for index, (axes, name) in enumerate(zip(panels, names, strict=True)):
            own = np.flatnonzero(history.organization_of == index)
            _past(axes, history, own, months)
            _fan(axes, future[:, own].sum(axis=1), int(history.finetunes[own].sum()))
            number = numbered(len(own), "base model")
            axes.set_title(f"{panel_title(name, 20)}\n{number}", fontsize=7.5)
        figure.supxlabel("Months from the last count", fontsize=8.0)
        figure.supylabel(f"Cumulative {fit.counted.many}", fontsize=8.0)
        blue = COLOURS["model"]
        keys = [
            key_line("observed", "observed", linewidth=1.0),
            Patch(facecolor=COLOURS["muted"], alpha=0.4, linewidth=0, label="fit, 95%"),
            key_line("median forecast", "model"),
            Patch(facecolor=blue, alpha=0.6, linewidth=0, label="50%"),
            Patch(facecolor=blue, alpha=0.35, linewidth=0, label="80 and 95%"),
        ]
        spacing: Any = {"columnspacing": 1.3, "handlelength": 1.6}
        figure.legend(handles=keys, loc="outside upper left", ncols=5, **spacing)
    return figure


def _past(
    axes: Axes, history: History, own: npt.NDArray[np.int64], months: npt.NDArray[np.int64]
) -> None:
    """Draw the months so far of some base models, summed, and their replicates."""
    longest = int(history.months[own].max(initial=0))
    if longest == 0:
        return
    observed = np.zeros(longest)
    replicated = np.zeros((len(months), longest))
    for index in own:
        rows = slice(history.start[index], history.start[index + 1])
        begin = longest - int(history.months[index])
        observed[begin:] += history.new[rows]
        replicated[:, begin:] += months[:, rows]
    time = np.arange(-longest, 1)
    lower, upper = np.quantile(np.cumsum(replicated, axis=1), [0.025, 0.975], axis=0)
    band(axes, time, np.append(0, lower), np.append(0, upper), 0.4, "muted")
    axes.plot(time, np.append(0, np.cumsum(observed)), color=COLOURS["observed"], linewidth=1.0)
    axes.set_xlim(left=-longest)


def _fan(axes: Axes, totals: npt.NDArray[np.int64], today: int) -> None:
    """Draw the forecast of a total, shape (draws, horizons)."""
    time = np.arange(totals.shape[1] + 1)

    def ahead(probability: float) -> npt.NDArray[np.float64]:
        return np.append(today, np.quantile(totals, probability, axis=0))

    tails = [(1.0 - level / 100.0) / 2.0 for level in _LEVELS]
    draw_bands(axes, time, [(ahead(tail), ahead(1.0 - tail)) for tail in tails])
    axes.plot(time, ahead(0.5), color=COLOURS["model"])
    axes.axvline(0.0, color=COLOURS["muted"], linewidth=0.5, linestyle=":")
    # A fan much higher than the data leaves the panel rather than flattening them.
    upper, median = float(ahead(0.975)[-1]), float(ahead(0.5)[-1])
    highest = max(_HIGHEST * today, median, 1.0)
    axes.set_ylim(0, 1.08 * min(max(upper, float(today), 1.0), highest))
    if upper > 1.08 * highest:
        note_on(axes, f"95%: to {rounded_count(upper)}", "model", 0.95)
    axes.set_xlim(right=time[-1])
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.locator_params(axis="y", nbins=4)
    counts_on(axes, y=True)
