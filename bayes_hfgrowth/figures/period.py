"""The Hub's attention over time: the period effect that all base models share."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_hfgrowth.diagnostics.period import LEVELS, MONTHS, period_table
from bayes_hfgrowth.figures.fan import draw_bands, keys_of_bands
from bayes_hfgrowth.figures.style import COLOURS, counts_on, key_line, log_ticks, new_figure, styled
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import FitError

__all__ = ["attention_chart", "period_effect"]

_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)  # months between two labels of the horizontal axis
_LABELS = 9  # most of them
_WIDEST_FIRST = sorted(LEVELS, reverse=True)


def period_effect(fit: FittedDraws, months: int = MONTHS, seed: int | None = None) -> Figure:
    """The Hub's attention over time, with its intervals and its continuation.

    What each calendar month multiplies the mean of every base model by, relative to the last
    twelve of the fit: median, and the central 50, 80 and 95% of the posterior. Beyond the last
    one each draw goes on along one path, that of the forecasts with the same seed.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    months : int
        How many calendar months to continue it, from 0 on.
    seed : int, optional
        Of the continuation; by default the seed of the fit.

    Raises
    ------
    FitError
        When the growth model has no period effect, or the number of months or the seed is
        negative.
    """
    table = period_table(fit, months, seed)
    if table.empty:
        raise FitError(
            f"the growth model {fit.spec.name} has no period effect to draw; fit one whose "
            "specification has the table period_effect"
        )
    return attention_chart(table)


def attention_chart(table: pd.DataFrame) -> Figure:
    """The Hub's attention over time, of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        From `bayes_hfgrowth.diagnostics.period_table`, with at least one row.
    """
    time = table["calendar_month"].to_numpy().astype("M8[M]").astype(np.int64)
    fitted = table["fitted"].to_numpy(dtype=bool)
    last = int(fitted.sum()) - 1
    known = table["calendar_month"].iloc[last]
    blue, muted = COLOURS["model"], COLOURS["muted"]
    with styled():
        figure = new_figure(3.1)
        axes = figure.subplots()
        draw_bands(
            axes, time, [(table[f"lower_{at}"], table[f"upper_{at}"]) for at in _WIDEST_FIRST]
        )
        axes.axhline(1.0, color=muted, linewidth=0.6)
        axes.axvline(time[last], color=COLOURS["observed"], linewidth=0.8, linestyle=":")
        median = table["median"].to_numpy()
        axes.plot(time[: last + 1], median[: last + 1], color=blue)
        axes.plot(time[last:], median[last:], color=blue, linestyle=(0, (3, 1.5)))
        widest = _WIDEST_FIRST[0]
        low, high = float(table[f"lower_{widest}"].min()), float(table[f"upper_{widest}"].max())
        low, high = min(low, 0.9) / 1.05, max(high, 1.1) * 1.05
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(log_ticks(low, high, 8))
        axes.set_yticks([], minor=True)
        counts_on(axes, y=True)
        axes.set_xlim(time[0] - 0.5, time[-1] + 0.5)
        step = next((n for n in _STEPS if (time % n == 0).sum() <= _LABELS), 12 * len(time))
        # Counted from January 1970, so steps of half a year and more begin with a January.
        ticks = time[time % step == 0]
        axes.set_xticks(ticks, [str(month) for month in ticks.astype("M8[M]")])
        axes.set_xlabel("Calendar month (year-month)")
        axes.set_ylabel("Attention relative to the last\n12 months with data (ratio)")
        lines = [
            key_line("median, estimated", "model"),
            key_line("median, continued", "model", linestyle=(0, (3, 1.5))),
            key_line(f"last month with data, {known}", "observed", linewidth=0.8, linestyle=":"),
        ]
        # A legend fills its columns from the top down.
        pairs = zip(lines, keys_of_bands(_WIDEST_FIRST), strict=True)
        keys = [key for pair in pairs for key in pair]
        figure.legend(handles=keys, loc="outside upper left", ncols=3, columnspacing=1.5)
    return figure
