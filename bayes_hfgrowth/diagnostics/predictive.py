"""Posterior predictive checks made for counts: the observed months against replicated ones."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import flat_draws

__all__ = [
    "DEVIATION",
    "LEVELS",
    "MOST_REPLICATES",
    "compared",
    "predictive_checks",
    "randomised_pit",
    "replicated_months",
    "rootogram",
]

type Counts = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

LEVELS = (50, 80, 95)
"""Central predictive intervals whose coverage is checked, in percent."""

MOST_REPLICATES = 400
"""Replicated panels that the predictive checks are computed for."""

DEVIATION = "largest ECDF deviation of the PIT"
"""The one check of which only a large value is bad."""


def replicated_months(fit: FittedDraws, group: str = "posterior_predictive") -> Counts:
    """Replicated months of a group, evenly thinned; shape (replicates, months)."""
    values = flat_draws(fit.tree[group].dataset["new_finetunes"], "observation")
    chosen = np.linspace(0, len(values) - 1, min(len(values), MOST_REPLICATES)).round().astype(int)
    return values[chosen].astype(np.int64)


def predictive_checks(
    observed: Counts, replicated: Counts, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Statistics of the observed months against those of each replicate; and the PIT.

    Parameters
    ----------
    observed : ndarray of int, shape (months,)
        New fine-tunes.
    replicated : ndarray of int, shape (replicates, months)
        The same months drawn anew, from the posterior or from the prior.
    rng : numpy.random.Generator
        Source of the random part of the PIT.

    Returns
    -------
    predictive, pit : pandas.DataFrame
        As `bayes_hfgrowth.diagnostics.Diagnostics` describes them.
    """
    checks = compared(observed, replicated)
    rows = []
    everything = np.vstack([observed, replicated])
    ordered = np.sort(replicated, axis=0)
    for level in LEVELS:
        tail = 0.5 - level / 200.0
        lower = np.quantile(ordered, tail, axis=0, method="lower")
        upper = np.quantile(ordered, 1.0 - tail, axis=0, method="higher")
        inside = np.mean((everything >= lower) & (everything <= upper), axis=1)
        rows.append(_check(f"share of months in the {level}% interval", inside[0], inside[1:]))
    curves, pit = _pit_deviation(randomised_pit(ordered, everything, rng))
    largest = np.abs(curves).max(axis=1)
    rows.append(_check(DEVIATION, largest[0], largest[1:]))
    return pd.concat([checks, pd.DataFrame(rows)], ignore_index=True), pit


def compared(observed: Counts, replicated: Counts) -> pd.DataFrame:
    """Those of the `predictive_checks` that need neither intervals nor the PIT, as one table."""
    statistics: dict[str, Callable[[Counts], float]] = {
        "share of months without a new fine-tune": lambda x: float(np.mean(x == 0)),
        "mean new fine-tunes of a month": lambda x: float(np.mean(x)),
        "standard deviation of new fine-tunes": lambda x: float(np.std(x)),
        "mean of log(1 + new fine-tunes)": lambda x: float(np.mean(np.log1p(x))),
        "most new fine-tunes of a month": lambda x: float(np.max(x)),
    }
    rows = [
        _check(name, statistic(observed), np.array([statistic(x) for x in replicated]))
        for name, statistic in statistics.items()
    ]
    return pd.DataFrame(rows)


def _check(name: str, observed: float, replicated: Floats) -> dict[str, str | float]:
    larger = np.mean(replicated > observed) + 0.5 * np.mean(replicated == observed)
    lower, median, upper = np.quantile(replicated, [0.025, 0.5, 0.975])
    return {
        "check": name,
        "observed": float(observed),
        "replicated_median": float(median),
        "lower_95": float(lower),
        "upper_95": float(upper),
        "tail_probability": float(larger),
    }


def randomised_pit(ordered: Counts, panels: Counts, rng: np.random.Generator) -> Floats:
    """Randomised PIT of every month of several panels.

    u = P(X < x) + V P(X = x), V uniform (Smith 1985): uniform for counts, too, where the
    predictive distribution is right.

    Parameters
    ----------
    ordered : ndarray of int, shape (replicates, months)
        Draws from the predictive distribution of each month, sorted.
    panels : ndarray of int, shape (1 + replicates, months)
        What to look up: the observed months, then the replicates themselves.
    rng : numpy.random.Generator
        Source of V.

    Returns
    -------
    ndarray, shape (panels, months)
    """
    # The observed count joins the replicates to be ranked; they rank among themselves already.
    joins = np.zeros(len(panels))
    joins[0] = 1.0
    values = np.empty(panels.shape)
    for month in range(panels.shape[1]):
        column = ordered[:, month]
        below = np.searchsorted(column, panels[:, month], side="left")
        until = np.searchsorted(column, panels[:, month], side="right")
        values[:, month] = below + rng.random(len(panels)) * (until - below + joins)
    return values / (len(ordered) + joins)[:, None]


def _pit_deviation(pit: Floats) -> tuple[Floats, pd.DataFrame]:
    """Deviation of each panel's PIT from uniform, and the first panel's with a band.

    The band is as wide, in units of the standard deviation of a uniform ECDF, as keeps 95%
    of the other panels inside everywhere.
    """
    grid = np.linspace(0.0, 1.0, 101)
    curves = np.array([np.searchsorted(row, grid, side="right") for row in np.sort(pit, axis=1)])
    curves = curves / pit.shape[1] - grid
    inner = slice(1, -1)
    scale = np.sqrt(grid * (1.0 - grid))
    width = np.quantile(np.abs(curves[1:, inner] / scale[inner]).max(axis=1), 0.95)
    table = pd.DataFrame(
        {"pit": grid, "deviation": curves[0], "lower_95": -width * scale, "upper_95": width * scale}
    )
    return curves, table


def rootogram(observed: Counts, replicated: Counts) -> pd.DataFrame:
    """Months by their count, in single counts up to 4 and then in bins that double."""
    largest = int(max(observed.max(initial=0), np.quantile(replicated.max(axis=1), 0.975)))
    edges = [0, 1, 2, 3, 4, 5]
    while edges[-1] <= largest:
        edges.append(edges[-1] * 2 if edges[-1] >= 8 else 8)
    bins = np.array([*edges[:-1], np.iinfo(np.int64).max])
    last = int(bins[-2])
    counted = np.array([np.histogram(x, bins)[0] for x in (observed, *replicated)])
    lower, median, upper = np.quantile(counted[1:], [0.025, 0.5, 0.975], axis=0)
    return pd.DataFrame(
        {
            "lower": bins[:-1],
            "upper": [*(bins[1:-1] - 1), max(last, largest)],
            "observed": counted[0],
            "median": median,
            "lower_95": lower,
            "upper_95": upper,
        }
    )
