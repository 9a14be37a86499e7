"""Growth of every base model against its age, coloured by its creation date."""

from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hfgrowth.figures.style import counts_on, new_figure, styled
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.errors import FitError

__all__ = ["growth_by_age", "observed_months"]


def observed_months(history: History) -> pd.DataFrame:
    """Observed months as a table, for figures of the data.

    Parameters
    ----------
    history : History
        The months of a fit, ``fit.history``.

    Returns
    -------
    pandas.DataFrame
        One row for each base model and month from 1 on: ``base_model``, ``organization``,
        ``created_at`` (UTC), ``month`` (age), ``new`` and ``finetunes`` (cumulative).
    """
    of = history.base_model_of
    organizations = np.array(history.organizations, dtype=object)
    return pd.DataFrame(
        {
            "base_model": np.array(history.base_models, dtype=object)[of],
            "organization": organizations[history.organization_of][of],
            "created_at": history.created_at[of],
            "month": history.month.astype(np.int64),
            "new": history.new.astype(np.int64),
            "finetunes": (history.previous + history.new).astype(np.int64),
        }
    )


def growth_by_age(months: pd.DataFrame, counted: Counted = FINETUNES) -> Figure:
    """New fine-tunes of each month and cumulative ones against age, one line a base model.

    The colour is the creation date: late base models are short lines, since little of their
    life has been seen. Figures 1 and 4 of arXiv 2502.15987. Counts are logarithmic from one
    fine-tune on, and still have room for none.

    Parameters
    ----------
    months : pandas.DataFrame
        From `observed_months`.
    counted : Counted
        What was counted.

    Raises
    ------
    FitError
        When there is no month.
    """
    if months.empty:
        raise FitError("there is no month to draw; take base models that are a month old")
    groups = [part for _, part in months.groupby("base_model", sort=False)]
    created = np.array([mdates.date2num(part["created_at"].iloc[0]) for part in groups])
    # A day on either side, so that base models of one day still span a scale.
    norm = Normalize(created.min() - 1.0, created.max() + 1.0)
    viridis = mpl.colormaps["viridis"]
    with styled():
        figure = new_figure(3.2)
        panels = figure.subplots(1, 2)
        labels = {
            "new": f"New {counted.many} in the month",
            "finetunes": f"Cumulative {counted.many}",
        }
        for axes, (column, label) in zip(panels, labels.items(), strict=True):
            birth = [0] if column == "finetunes" else []  # nothing stands there
            lines = [
                np.column_stack([[*birth, *part["month"]], [*birth, *part[column]]])
                for part in groups
            ]
            look: Any = {"linewidths": 0.6, "alpha": 0.6, "capstyle": "round"}
            axes.add_collection(
                LineCollection(lines, array=created, cmap=viridis, norm=norm, **look)
            )
            axes.set_yscale("symlog", linthresh=1.0, linscale=0.5)
            axes.set_ylim(-0.1, 2.0 * max(int(months[column].max()), 1))
            axes.set_xlim(0, int(months["month"].max()) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axes.set_xlabel("Age of the base model (months)")
            axes.set_ylabel(label)
            counts_on(axes, y=True)
        bar = figure.colorbar(ScalarMappable(norm, viridis), ax=panels, aspect=30, pad=0.02)
        bar.ax.yaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))
        bar.ax.yaxis.set_major_formatter(mdates.DateFormatter("%Y-%m"))
        bar.set_label("Base model created (year-month)")
        bar.outline.set_linewidth(0.6)
    return figure
