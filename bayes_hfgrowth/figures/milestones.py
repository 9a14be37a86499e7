"""How far the base models of each organization have come at given ages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.parameters import parameter_draws
from bayes_hfgrowth.figures.style import COLOURS, counts_on, key_line, name_rows, new_figure, styled
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import FitError

__all__ = ["organization_milestones"]

_LEAST_CHANCE = 0.05  # base models less likely to be in the range are not drawn


def organization_milestones(
    fit: FittedDraws,
    ages: Sequence[int] = (2, 6, 12),
    fitness: tuple[float, float] = (1.0, 10.0),
    seed: int | None = None,
) -> Figure:
    """Cumulative fine-tunes at given ages by organization, for base models of middling fitness.

    One circle a base model that is old enough, the fainter the less likely its fitness is in
    the range. The dot is the median, and the line its 95% interval: in it are the uncertainty
    about which base models belong (fitness differs from draw to draw) and how few there are
    (those that belong are resampled with replacement under each draw). Organizations without
    any such base model are left out. Figure 3 of arXiv 2502.15987, with the fitness of the
    fitted growth model in place of its own, which has m = 1.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    ages : sequence of int
        Ages in months, from 1 on; one panel each.
    fitness : tuple of float
        Smallest and largest fitness.
    seed : int, optional
        Of the resampling; by default the seed of the fit.

    Raises
    ------
    FitError
        When no base model is old enough and in the range.
    """
    history = fit.history
    draws = parameter_draws(fit, "fitness")
    inside = (draws >= fitness[0]) & (draws <= fitness[1])
    chance = inside.mean(axis=0)
    likely = (chance >= _LEAST_CHANCE) & (history.months >= min(ages))
    groups = np.unique(history.organization_of[likely])
    if not len(groups):
        raise FitError(
            f"no base model of the fit is {min(ages)} months old with a fitness of "
            f"{fitness[0]:g} to {fitness[1]:g}; give another range or fit other base models"
        )
    seed = fit.about["seed"] if seed is None else seed
    rng = np.random.default_rng(np.random.SeedSequence([seed, 8]))
    cumulative = history.previous + history.new
    top = 1.0
    circles: Any = {"s": 9, "linewidths": 0.5, "facecolors": "none"}
    with styled():
        figure = new_figure(1.45 + 0.21 * len(groups))
        panels = figure.subplots(1, len(ages), sharey=True, sharex=True, squeeze=False)[0]
        for axes, age in zip(panels, ages, strict=True):
            for row, group in enumerate(groups):
                who = np.flatnonzero(
                    likely & (history.organization_of == group) & (history.months >= age)
                )
                if len(who) == 0:
                    continue
                counts = cumulative[history.start[who] + age - 1]
                edges = [to_rgba(COLOURS["model"], opacity) for opacity in chance[who]]
                top = max(top, float(counts.max()))
                scattered = row + rng.uniform(-0.22, 0.22, len(who))
                axes.scatter(counts, scattered, edgecolors=edges, **circles)
                lower, median, upper = _median_interval(counts, inside[:, who], rng)
                axes.hlines(row, lower, upper, color=COLOURS["observed"], linewidth=1.0)
                axes.plot(median, row, "o", color=COLOURS["observed"], markersize=3.5)
            axes.set_xscale("symlog", linthresh=1.0, linscale=0.5)
            counts_on(axes, x=True)
            axes.set_title(f"at {age} months")
        panels[0].set_xlim(-0.1, 2.0 * top)
        name_rows(panels, [history.organizations[group] for group in groups])
        figure.supxlabel(
            f"Cumulative {fit.counted.many} of base models with "
            f"{fitness[0]:g} ≤ λ ≤ {fitness[1]:g}",
            fontsize=8.0,
        )
        circle = panels[0].scatter([], [], edgecolors=COLOURS["model"], **circles)
        label = "median and 95% interval"
        line = key_line(label, "observed", marker="o", markersize=3.5, linewidth=1.0)
        figure.legend(
            [circle, line],
            ["a base model (faint: perhaps not in the range)", label],
            loc="outside upper left",
            ncols=2,
        )
    return figure


def _median_interval(
    counts: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """2.5, 50 and 97.5% of the resampled medians of those inside; draws with none are left out."""
    medians = [
        np.median(rng.choice(counts[members], members.sum())) for members in inside if members.any()
    ]
    return np.asarray(np.quantile(medians, [0.025, 0.5, 0.975]))
