"""Growth parameters of all base models: their distributions, their pairs, and the one curve."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from scipy import special

from bayes_hfgrowth.figures.style import COLOURS, band, counts_on, log_ticks, new_figure, styled
from bayes_hfgrowth.growth import growth_reached
from bayes_hfgrowth.growth.law import EXPONENT
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import SharedDraws, flat_draws
from bayes_hfgrowth.support.errors import FitError

__all__ = ["collapse", "parameter_draws", "parameter_pairs"]

type Floats = npt.NDArray[np.float64]

_PARAMETERS = {
    "fitness": "Fitness λ\n(dimensionless)",
    "immediacy": "Immediacy μ\n(log-months)",
    "longevity": "Longevity σ\n(log-months)",
}
_LOGARITHMIC = ("fitness", "longevity")
_DRAWS = 400
_BINS = 24

LEAST_MONTHS, LEAST_FINETUNES = 6, 10
"""Months and fine-tunes that a base model needs to be put on the common curve."""


def parameter_draws(fit: FittedDraws, name: str, most: int = _DRAWS) -> Floats:
    """Draws of a growth parameter of every base model, evenly thinned.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    name : str
        ``"fitness"``, ``"immediacy"`` or ``"longevity"``.
    most : int
        Draws to keep, about.

    Returns
    -------
    ndarray, shape (draws, base models)
    """
    return flat_draws(fit.posterior[name], "base_model", most=most).astype(np.float64)


def parameter_pairs(fit: FittedDraws) -> Figure:
    """Distributions of fitness, immediacy and longevity over base models, and their pairs.

    On the diagonal the number of base models in each bin: the median over the draws of the
    posterior, and the central 95%. Below it one point a base model at its posterior medians,
    with its 50% intervals. Base models of which little is known gather at their
    organization's mean, with long intervals. Figure 2 of arXiv 2502.15987, whose parameters
    have another m and another unit of age.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    """
    draws = {name: parameter_draws(fit, name) for name in _PARAMETERS}
    edges = {name: _edges(name, values) for name, values in draws.items()}
    with styled():
        figure = new_figure(6.0)
        grid = figure.subplots(3, 3, sharex="col")
        for row, (down, down_label) in enumerate(_PARAMETERS.items()):
            for column, (across, across_label) in enumerate(_PARAMETERS.items()):
                axes = grid[row, column]
                if column > row:
                    axes.remove()
                    continue
                if across in _LOGARITHMIC:
                    axes.set_xscale("log")
                if row == column:
                    _distribution(axes, draws[across], edges[across])
                    axes.set_ylabel("Base models\n(number)")
                else:
                    _points(axes, draws[across], draws[down])
                    if down in _LOGARITHMIC:
                        axes.set_yscale("log")
                    axes.set_ylim(edges[down][0], edges[down][-1])
                    _plain(axes, y=down in _LOGARITHMIC)
                    axes.set_ylabel(down_label)
                axes.set_xlim(edges[across][0], edges[across][-1])
                _plain(axes, x=across in _LOGARITHMIC)
                if row == 2:
                    axes.set_xlabel(across_label)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        more, more_labels = grid[1, 0].get_legend_handles_labels()
        figure.legend(
            handles + more, labels + more_labels, loc="upper right", bbox_to_anchor=(0.98, 0.95)
        )
    return figure


def collapse(fit: FittedDraws) -> Figure:
    """All curves brought onto one: rescaled counts against rescaled ages, and Φ.

    If the curve c(t) = (m^δ + δ λ Φ(z))^(1/δ) - m, with z = (ln t - μ) / σ and δ = 1 - γ, held
    exactly, ((c + m)^δ - m^δ) / (δ λ) against z would lie on the normal distribution function Φ,
    whatever the base model; with γ = 1, the paper's curve, that is ln(1 + c/m) / λ. Under a period
    effect each month's new fine-tunes are divided by its factor first, and what they add to the
    rescaled count is added up. Left, every month of every base model at its posterior medians;
    right, the difference to Φ, with the central 50% and 90% of base models and draws. Only base
    models with at least six months and ten fine-tunes.

    In the growth model ``surge`` λ, μ and σ say what growth alone would bring next month, given
    the count reached; months that stay above or below it are put down to surges and to scatter. So
    counts need not follow Φ, and the difference shows by how much they do not. After Wang, Song
    and Barabási, Science 342 (2013).

    Parameters
    ----------
    fit : FittedDraws
        The fit.

    Raises
    ------
    FitError
        When no base model has enough months and fine-tunes.
    """
    history = fit.history
    enough = (history.months >= LEAST_MONTHS) & (history.finetunes >= LEAST_FINETUNES)
    if not enough.any():
        raise FitError(
            f"no base model has {LEAST_MONTHS} months and {LEAST_FINETUNES} {fit.counted.many}, so "
            "there is no curve to collapse; fit older base models"
        )
    rows = enough[history.base_model_of]
    of = history.base_model_of[rows]
    log_age = np.log(history.month[rows])
    previous, new = history.previous[rows], history.new[rows]
    first, share = history.calendar[rows] - history.calendar_span[0], history.calendar_share[rows]
    begins = np.unique(of, return_index=True)[1]

    def rescaled(*of_draws: Floats) -> tuple[Floats, Floats]:
        exponent, period, fitness, immediacy, longevity = of_draws
        x = (log_age - immediacy[..., of]) / longevity[..., of]
        # As `growth.law.period_at`; a month within one calendar month has the share 1.
        following = np.minimum(first + 1, period.shape[-1] - 1)
        effect = share * period[..., first] + (1.0 - share) * period[..., following]
        before = growth_reached(previous, fit.spec.m, exponent)
        gained = growth_reached(previous + new * np.exp(-effect), fit.spec.m, exponent) - before
        total = np.cumsum(gained, axis=-1)
        earlier = (total - gained)[..., begins]  # of the base models before
        lengths = np.diff([*begins, len(of)])
        return x, (total - np.repeat(earlier, lengths, axis=-1)) / fitness[..., of]

    draws = [parameter_draws(fit, name, 100) for name in _PARAMETERS]
    shared = SharedDraws.of(fit.spec, fit.posterior)
    shared = shared.take(np.arange(0, len(shared), max(1, len(shared) // 100)))
    draws = [shared.values[:, [EXPONENT]], shared.over(*history.calendar_span), *draws]
    x, y = rescaled(*(np.median(one, axis=0) for one in draws))
    all_x, all_y = rescaled(*draws)
    with styled():
        figure = new_figure(3.2)
        left, right = figure.subplots(1, 2)
        low, high = np.quantile(x, [0.002, 0.998])
        low, high = min(low - 0.2, -1.5), max(high + 0.2, 1.5)
        smooth = np.linspace(low, high, 200)
        look: Any = {"color": COLOURS["model"], "markersize": 1.6, "markeredgewidth": 0}
        many, label = len(x) > 5000, "months of base models"
        left.plot(x, y, "o", alpha=0.35, label=label, rasterized=many, **look)
        left.plot(smooth, special.ndtr(smooth), color=COLOURS["observed"], label="Φ")
        left.set_ylim(-0.02, max(1.05, 1.05 * float(np.quantile(y, 0.999))))
        formula = "((c + m)^δ \N{MINUS SIGN} m^δ)/(δλ)"
        without = "period effect taken out" if fit.spec.period_effect is not None else formula
        left.set_ylabel(f"Rescaled {fit.counted.many},\n{without} (dimensionless)")
        left.legend(loc="upper left", markerscale=2.0)
        edges = np.linspace(low, high, 21)
        difference = (all_y - special.ndtr(all_x)).ravel()
        bins = np.digitize(all_x.ravel(), edges) - 1
        filled = [b for b in range(20) if (bins == b).sum() >= 50]
        ends = np.array(
            [np.quantile(difference[bins == b], [0.05, 0.25, 0.5, 0.75, 0.95]) for b in filled]
        ).reshape(-1, 5)
        centre = 0.5 * (edges[:-1] + edges[1:])[filled]
        for wide, opacity, label in ((0, 0.2, "central 90%"), (1, 0.4, "central 50%")):
            band(right, centre, ends[:, wide], ends[:, 4 - wide], opacity, label=label)
        right.plot(centre, ends[:, 2], color=COLOURS["model"], label="median")
        right.axhline(0.0, color=COLOURS["observed"], linewidth=0.8)
        right.set_ylabel(f"Rescaled {fit.counted.many} minus Φ\n(dimensionless)")
        reach = 1.15 * float(np.abs(ends).max(initial=0.1))
        right.set_ylim(-reach, 1.3 * reach)
        right.legend(loc="upper left", ncols=3, columnspacing=1.0, handlelength=1.2)
        for axes in (left, right):
            axes.set_xlim(low, high)
            axes.set_xlabel("Rescaled age, (ln t \N{MINUS SIGN} μ)/σ\n(dimensionless)")
    return figure


def _edges(name: str, draws: Floats) -> Floats:
    low, high = np.quantile(draws, [0.002, 0.998])
    if name in _LOGARITHMIC:
        return np.geomspace(low / 1.05, high * 1.05, _BINS + 1)
    return np.linspace(low - 0.1, high + 0.1, _BINS + 1)


def _distribution(axes: Axes, draws: Floats, edges: Floats) -> None:
    counts = np.array([np.histogram(one, edges)[0] for one in draws])
    lower, median, upper = np.quantile(counts, [0.025, 0.5, 0.975], axis=0)
    blue, label = COLOURS["model"], "base models in a bin, 95% interval"
    axes.stairs(
        upper, edges, baseline=lower, fill=True, color=blue, alpha=0.25, linewidth=0, label=label
    )
    axes.stairs(median, edges, color=blue, linewidth=1.2, label="and median")
    axes.set_ylim(0, 1.08 * max(float(upper.max()), 1.0))
    axes.locator_params(axis="y", nbins=4, integer=True)


def _points(axes: Axes, x: Floats, y: Floats) -> None:
    across, down = (np.quantile(values, [0.25, 0.5, 0.75], axis=0) for values in (x, y))
    look: Any = {"color": COLOURS["muted"], "linewidth": 0.4, "alpha": 0.5}
    axes.hlines(down[1], across[0], across[2], **look)
    axes.vlines(across[1], down[0], down[2], label="50% interval", **look)
    label = "a base model, posterior medians"
    axes.plot(across[1], down[1], "o", color=COLOURS["observed"], markersize=1.8, label=label)


def _plain(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Ticks of a logarithmic axis as plain numbers, few enough for their place."""
    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_locator(FixedLocator(log_ticks(*axis.get_view_interval(), 6)))
            axis.set_minor_formatter(NullFormatter())
    counts_on(axes, x=x, y=y)
