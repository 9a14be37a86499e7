"""How few base models hold most of the fine-tunes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import COLOURS, band, name_rows, new_figure, styled
from bayes_hfgrowth.forecast.paths import Forecast
from bayes_hfgrowth.panel.rules import DOWNLOADS
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.simulation import flat_draws
from bayes_hfgrowth.support.errors import FitError, ForecastError

__all__ = ["MOST", "concentration", "download_concentration", "lorenz_curve", "share_holding"]

MOST = 0.8
"""Share of the fine-tunes whose holders are counted."""

LEAST_BASE_MODELS = 5
"""Base models that an organization needs for a row of its own."""

_DRAWS = 400  # paths of the forecast that the bands rest on

_LOOKS = (("observed", "o"), ("model", "s"), ("paper", "D"))  # fine-tunes, then downloads


def lorenz_curve(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of all fine-tunes that the largest base models hold together.

    Parameters
    ----------
    counts : array_like, shape (..., base models)
        Counts of any kind, from 0 on.

    Returns
    -------
    ndarray, shape (..., base models + 1)
        At position k the share that the k largest hold; NaN where all counts are 0.
    """
    ordered = -np.sort(-np.asarray(counts, dtype=np.float64), axis=-1)
    held = np.cumsum(ordered, axis=-1)
    with np.errstate(invalid="ignore"):
        share = held / held[..., -1:]
    return np.concatenate([np.zeros((*share.shape[:-1], 1)), share], axis=-1)


def share_holding(counts: npt.ArrayLike, most: float = MOST) -> npt.NDArray[np.float64]:
    """Smallest share of the base models that holds a given share of all fine-tunes.

    Parameters
    ----------
    counts : array_like, shape (..., base models)
        Counts of any kind, from 0 on.
    most : float
        The share of the counts, above 0 and at most 1.

    Returns
    -------
    ndarray, shape (...)
        Whole base models divided by all of them; NaN where all counts are 0.
    """
    curve = lorenz_curve(counts)
    # Rounding may leave the sum of all shares a hair below 1.
    enough = curve >= most - 1e-12
    number = np.argmax(enough, axis=-1) / (curve.shape[-1] - 1)
    return np.asarray(np.where(enough.any(axis=-1), number, np.nan))


def concentration(forecast: Forecast, counted: str | None = None) -> Figure:
    """Lorenz curve, and the share of base models that holds 80% of the fine-tunes.

    Left, all base models from the largest on, today and at the end of the forecast with its
    95% interval. Right, the share that holds 80%, of all and of each organization with at
    least five base models and a fine-tune. Figure 5 of arXiv 2502.15987.

    Parameters
    ----------
    forecast : bayes_hfgrowth.forecast.paths.Forecast
        Of all base models that are meant.
    counted : str
        What was counted, for the labels: ``"downloads"`` in a panel of downloads. By default
        what the forecast says.

    Raises
    ------
    ForecastError
        When the base models have no fine-tune at all.
    """
    counted = counted or forecast.counted.many
    now = forecast.draws["observed"].to_numpy()
    if now.sum() == 0:
        raise ForecastError(
            f"no base model has any {counted.rstrip('s')}, so there is nothing to be "
            "concentrated; take others"
        )
    ahead = int(forecast.draws["horizon"][-1])
    paths = forecast.draws["finetunes"].isel(horizon=-1)
    later = flat_draws(paths, "base_model", most=_DRAWS)
    of = forecast.draws["organization"].to_numpy()
    names = pd.Series(now).groupby(of).agg(["size", "sum"])
    names = names[(names["size"] >= LEAST_BASE_MODELS) & (names["sum"] > 0)]
    members = {"(all)": np.ones(len(now), dtype=bool)} | {name: of == name for name in names.index}
    today = {name: 100.0 * float(share_holding(now[inside])) for name, inside in members.items()}
    rows = sorted(members, key=lambda name: (name != "(all)", today[name]))
    with styled():
        figure = new_figure(max(3.2, 1.3 + 0.19 * len(rows)))
        left, right = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
        share = 100.0 * np.arange(len(now) + 1) / len(now)
        lower, upper = 100.0 * np.nanquantile(lorenz_curve(later), [0.025, 0.975], axis=0)
        band(left, share, lower, upper, 0.35, label=f"in {ahead} months, 95% interval")
        left.plot(share, 100.0 * lorenz_curve(now), color=COLOURS["observed"], label="today")
        _if_equal(left)
        holders = today["(all)"]
        label = f"{holders:.1f}% hold {MOST:.0%} today"
        look: Any = {"color": COLOURS["paper"], "linewidth": 0.8, "linestyle": "--"}
        left.plot([0, holders, holders], [100 * MOST, 100 * MOST, 0], label=label, **look)
        left.set_ylabel(f"Share of all {counted} (%)")
        left.legend(loc="lower right")
        for row, name in enumerate(rows):
            held = 100.0 * share_holding(later[:, members[name]])
            lower, median, upper = np.nanquantile(held, [0.025, 0.5, 0.975])
            right.hlines(row, lower, upper, color=COLOURS["model"], linewidth=3.0, alpha=0.5)
            right.plot(median, row, "|", color=COLOURS["model"], markersize=7)
            right.plot(today[name], row, "o", color=COLOURS["observed"], markersize=3)
        _rows_on(right, {name: int(members[name].sum()) for name in rows}, counted)
    return figure


def download_concentration(panel: Panel) -> Figure:
    """Whether downloads are as concentrated as fine-tunes.

    Left, Lorenz curves of the fine-tunes and of each kind of downloads that the panel carries,
    all on the observation date and counted, not estimated. Right, the share of base models
    that holds 80% of each, of all and of each organization with at least five base models.
    Base models whose downloads the source did not tell are left out of both.

    Parameters
    ----------
    panel : Panel
        With one of the columns of `bayes_hfgrowth.panel.rules.DOWNLOADS`, or more.

    Raises
    ------
    FitError
        When the panel carries no downloads, they are 0 or missing throughout, or one is no
        count.
    """
    last = panel.table.drop_duplicates("base_model", keep="last")
    carried = {name: what for name, what in DOWNLOADS.items() if name in last}
    if not carried:
        raise FitError(
            "the panel carries no downloads; hfgrowth fetch and snapshot make one that does"
        )
    kinds = {panel.counted.metric: panel.counted.many, **carried}
    counts = last[list(kinds)].apply(pd.to_numeric, errors="coerce")
    for name, what in carried.items():
        wrong = last[name].notna() & ~(counts[name] >= 0)
        if wrong.any():
            at = last[wrong].iloc[0]
            raise FitError(
                f"column {name!r} of the panel, the {what}, is {at[name]} for "
                f"{at['base_model']!r}; give a number from 0 on, or leave it empty"
            )
    told = counts.notna().all(axis=1)
    counts, organization = counts[told].astype(np.float64), last["organization"][told]
    kinds = {name: what for name, what in kinds.items() if counts[name].sum() > 0}
    if not carried.keys() & kinds:
        raise FitError("the downloads in the panel are 0 or missing throughout; take another one")
    sizes = organization.value_counts()
    shown = sizes.index[(sizes >= LEAST_BASE_MODELS)]
    members = {"(all)": counts} | {name: counts[organization == name] for name in shown}
    held = {
        name: {kind: 100.0 * float(share_holding(own[kind])) for kind in kinds}
        for name, own in members.items()
    }
    first = next(kind for kind in kinds if kind in carried)
    rows = sorted(members, key=lambda name: (name != "(all)", held[name][first], name))
    looks = dict(zip((panel.counted.metric, *DOWNLOADS), _LOOKS, strict=True))
    with styled():
        figure = new_figure(max(3.2, 1.5 + 0.19 * len(rows)))
        left, right = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
        share = 100.0 * np.arange(len(counts) + 1) / len(counts)
        for place, (kind, what) in enumerate(kinds.items()):
            colour, marker = looks[kind]
            look: Any = {"color": COLOURS[colour], "marker": marker, "markersize": 3.5}
            label = f"{what}: {held['(all)'][kind]:.1f}%"
            left.plot(share, 100.0 * lorenz_curve(counts[kind]), markevery=[], label=label, **look)
            apart = 0.22 * (place - (len(kinds) - 1) / 2)  # so that none hides another
            places = np.arange(len(rows)) + apart
            right.plot([held[name][kind] for name in rows], places, linestyle="none", **look)
        _if_equal(left)
        left.axhline(100 * MOST, color=COLOURS["muted"], linewidth=0.5, linestyle="--")
        left.set_ylabel("Share of the total (%)")
        left.legend(
            loc="lower right",
            frameon=True,
            framealpha=1.0,
            edgecolor="none",
            borderpad=0.2,
            title=f"Base models that hold {MOST:.0%}",
            title_fontsize=7.5,
            alignment="left",
        )
        _rows_on(right, {name: len(members[name]) for name in rows}, "total")
    return figure


def _if_equal(axes: Axes) -> None:
    """Draw the curve of base models that all have the same, and set the ends of the left side."""
    muted = COLOURS["muted"]
    label = "if all had the same"
    axes.plot([0, 100], [0, 100], color=muted, linewidth=0.8, linestyle=":", label=label)
    axes.set(xlim=(0, 100), ylim=(0, 101), xlabel="Base models, from the largest on (%)")


def _rows_on(axes: Axes, members: dict[str, int], counted: str) -> None:
    """Name the rows of the right side, each with its number of base models."""
    name_rows([axes], [f"{name} ({number:,})" for name, number in members.items()])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"Base models that hold {MOST:.0%}\nof the {counted} (%)")
