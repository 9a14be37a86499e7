"""The published fits of the curve beside ours."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayes_hfgrowth.figures.style import (
    COLOURS,
    band,
    counts_on,
    key_line,
    new_figure,
    note_on,
    panel_grid,
    panel_title,
    styled,
)
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import flat_draws
from bayes_hfgrowth.support.errors import FitError

__all__ = ["choose_base_models", "paper_comparison", "published_curve", "published_kind"]

PUBLISHED_M = 1.0
"""The m of the published parameters; their ages are in years."""

_START = {"lambda": 0.5, "mu": 2.0, "sigma": 0.5}  # the optimiser's first guess
_SIX = 6


def published_curve(age: np.ndarray, parameters: pd.Series) -> np.ndarray:
    """Cumulative fine-tunes by the published parameters.

    Parameters
    ----------
    age : ndarray
        Ages in months.
    parameters : pandas.Series
        ``lambda``, ``mu``, ``sigma`` as published: m = 1 and age in years.

    Returns
    -------
    ndarray
        Counts.
    """
    fitness, immediacy, longevity = (parameters[name] for name in _START)
    with np.errstate(over="ignore"):
        return cumulative(np.asarray(age) / 12.0, fitness, immediacy, longevity, PUBLISHED_M)


def published_kind(paper_fits: pd.DataFrame) -> pd.Series:
    """Sort the published fits by their parameters alone.

    - ``"starting guess"``: exactly (λ, μ, σ) = (0.5, 2, 0.5), where the optimiser began;
    - ``"zero bound"``: μ below 0.001, the edge of what the optimiser was allowed, a peak of
      attention stuck at one year whatever the data say;
    - ``"runaway"``: λ above 1,000 or μ above ln 100, so half of the attention would come more
      than a century after creation;
    - ``"interior"``: λ from above 0 to 20, μ from 0.01 to ln 10 (half of the attention within
      ten years), σ from 0.05 to 4;
    - ``"between"``: what is none of these, and ``"none"`` where nothing was published.

    Parameters
    ----------
    paper_fits : pandas.DataFrame
        `bayes_hfgrowth.load_paper_fits`.

    Returns
    -------
    pandas.Series of str
        Indexed as `paper_fits`.
    """
    fitness, mu, sigma = (paper_fits[name] for name in _START)
    start = np.logical_and.reduce(
        [np.isclose(paper_fits[name], value, atol=1e-9) for name, value in _START.items()]
    )
    conditions = {
        "none": paper_fits[list(_START)].isna().any(axis=1),
        "starting guess": start,
        "zero bound": mu < 1e-3,
        "runaway": (fitness > 1e3) | (mu > np.log(100.0)),
        "interior": (fitness > 0)
        & (fitness <= 20)
        & mu.between(0.01, np.log(10.0))
        & sigma.between(0.05, 4.0),
    }
    kind = np.select(list(conditions.values()), list(conditions), "between")
    return pd.Series(kind, index=paper_fits.index, name="kind")


def choose_base_models(
    fit: FittedDraws, paper_fits: pd.DataFrame
) -> tuple[list[str], dict[str, str]]:
    """Base models for the comparison: those with most fine-tunes, by rule.

    Only base models with at least six months of history and ten fine-tunes. Interior: the
    published fit is ``"interior"`` by `published_kind` and explains at least 90% of the
    variance of the cumulative counts. Degenerate: ``"zero bound"``, ``"starting guess"`` or
    ``"runaway"``, taken in turn so that every kind is seen, and from the age of four months
    on, because that is where most of the starting guesses are.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    paper_fits : pandas.DataFrame
        `bayes_hfgrowth.load_paper_fits`.

    Returns
    -------
    interior : list of str
        Up to six.
    degenerate : dict of str to str
        Up to six, and the kind of each.
    """
    history = fit.history
    counts = pd.DataFrame(
        {"finetunes": history.finetunes, "months": history.months}, index=list(history.base_models)
    )
    counts = counts[counts["finetunes"] >= 10]
    counts = counts.sort_values("finetunes", ascending=False, kind="stable")
    kind = published_kind(paper_fits).reindex(counts.index).fillna("none")
    interior = [
        name
        for name in counts.index[(kind == "interior") & (counts["months"] >= 6)]
        if _explained(*_observed(fit, name), paper_fits.loc[name]) >= 0.9
    ]
    old = counts.index[counts["months"] >= 4]
    queues = [
        [name for name in old if kind[name] == which]
        for which in ("zero bound", "starting guess", "runaway")
    ]
    turns = max(map(len, queues))
    in_turn = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    chosen = sorted(in_turn[:_SIX], key=list(counts.index).index)
    return interior[:_SIX], {name: str(kind[name]) for name in chosen}


def paper_comparison(fit: FittedDraws, paper_fits: pd.DataFrame) -> Figure:
    """Data, the published curve and our fit, where the published fit is sound and where not.

    Base models come from `choose_base_models`. What is drawn as our fit, median and central
    95%, depends on the law, because λ, μ and σ mean different things in them:

    - ``poisson`` and ``birth``: the curve m (exp(λ Φ) - 1) of
      `bayes_hfgrowth.growth.cumulative`, from birth on. It is the mean of the law, and its
      band is the uncertainty of the parameters.
    - ``surge``: λ, μ and σ tell what growth alone would bring next month, given the count
      reached; part of the growth that was seen is put down to the pace of the Hub and to
      surges that last. Run from birth, the curve therefore misses the data. Drawn
      instead is the sum of the months so far, each replicated given the months really
      observed before it. It is helped by seeing them, and its band holds their chance.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    paper_fits : pandas.DataFrame
        `bayes_hfgrowth.load_paper_fits`.

    Raises
    ------
    FitError
        When the fit holds no base model of one of the two kinds, or is not of fine-tunes.
    """
    if not fit.counted.usual:
        raise FitError(f"the published curves are of fine-tunes, and the fit of {fit.counted.many}")
    interior, degenerate = choose_base_models(fit, paper_fits)
    for names, what in ((interior, "interior"), (list(degenerate), "degenerate")):
        if not names:
            raise FitError(
                f"no base model of the fit has {what} published parameters and the history to "
                "show them; fit more of the example panel"
            )
    ours = "fit, month by month" if fit.spec.likelihood == "surge" else "fitted curve"
    with styled():
        figure = new_figure(5.6)
        blocks = {
            "Published parameters: interior": dict.fromkeys(interior, ""),
            "Published parameters: degenerate": degenerate,
        }
        parts = figure.subfigures(1, 2, squeeze=False)[0]
        for part, (heading, chosen) in zip(parts, blocks.items(), strict=True):
            part.suptitle(heading, fontsize=8.5)
            panels = panel_grid(part, _SIX // 2, 2, len(chosen))
            for axes, (name, kind) in zip(panels, chosen.items(), strict=True):
                _draw(axes, fit, name, paper_fits.loc[name])
                axes.set_title(panel_title(name, 24), fontsize=6.5)
                note_on(axes, kind, "paper", 0.97)
        figure.supxlabel("Age of the base model (months)", fontsize=8)
        figure.supylabel("Cumulative fine-tunes", fontsize=8)
        keys = [
            key_line("observed", "observed", marker="o", markersize=2, linestyle="none"),
            key_line("published curve", "paper", linestyle="--"),
            key_line(f"our {ours}: median", "model"),
            Patch(facecolor=COLOURS["model"], alpha=0.2, label="95% interval"),
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=4)
    return figure


def _observed(fit: FittedDraws, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ages (months) and cumulative counts of a base model, from month 1 on."""
    history, rows = fit.history, _rows_of(fit, name)
    return history.month[rows], history.previous[rows] + history.new[rows]


def _rows_of(fit: FittedDraws, name: str) -> slice:
    index = fit.history.base_models.index(name)
    return slice(fit.history.start[index], fit.history.start[index + 1])


def _explained(age: np.ndarray, count: np.ndarray, parameters: pd.Series) -> float:
    """Share of the variance of cumulative counts that the published curve explains."""
    error = np.sum((published_curve(age, parameters) - count) ** 2)
    spread = np.sum((count - count.mean()) ** 2)
    return float(1.0 - error / spread) if spread > 0 else -np.inf


def _ours(fit: FittedDraws, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ages (months) and our cumulative fine-tunes at them under each draw."""
    month = fit.history.month[_rows_of(fit, name)]
    if fit.spec.likelihood == "surge":
        replicated = fit.tree["posterior_predictive"].to_dataset()["new_finetunes"]
        months = flat_draws(replicated, "observation")[:, _rows_of(fit, name)]
        summed = np.cumsum(months, axis=1, dtype=float)
        return np.append(0.0, month), np.insert(summed, 0, 0.0, axis=1)
    age = np.linspace(0.0, month[-1], 121)
    own = fit.posterior.sel(base_model=name)
    fitness, immediacy, longevity = (
        flat_draws(own[parameter]).astype(float)[:, None]
        for parameter in ("fitness", "immediacy", "longevity")
    )
    return age, cumulative(age, fitness, immediacy, longevity, fit.spec.m)


def _draw(axes: Axes, fit: FittedDraws, name: str, parameters: pd.Series) -> None:
    age, count = _observed(fit, name)
    fine, draws = _ours(fit, name)
    lower, median, upper = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
    smooth = np.linspace(0.0, age[-1], 121)
    published = published_curve(smooth, parameters)
    band(axes, fine, lower, upper, 0.2)
    axes.plot(fine, median, color=COLOURS["model"])
    axes.plot(smooth, published, "--", color=COLOURS["paper"])
    axes.plot(age, count, "o", color=COLOURS["observed"], markersize=1.8)
    # A curve that runs away leaves the panel rather than flattening the data.
    highest = max(count[-1], min(max(upper[-1], published[-1]), 2.0 * count[-1]))
    axes.set_ylim(-0.02 * highest, 1.15 * highest)
    axes.set_xlim(0, 1.03 * age[-1])
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.locator_params(axis="y", nbins=4)
    counts_on(axes, y=True)
