"""Sums of forecasts and of single base models, scored against what came."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.evaluation.scores import (
    LEVELS,
    ensemble_crps,
    outcomes,
    score_forecast,
    summarize,
)
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]
type Measures = dict[str, float]
type Place = tuple[str, int]  # as-of date, months ahead

OWNER = "of_"
"""Before the name of an organization, in the measures of its own total."""

LARGE = 10
"""Smallest median of a total whose mean is held against it."""

YOUNGEST = 1
"""Least age at the date, in whole months, of the base models whose sums have targets."""


EARLY = 4
"""Greatest age, in whole months, of what is early among base models with 1 to 4 fine-tunes."""


@dataclass(frozen=True, eq=False)
class Sums:
    """New fine-tunes of one horizon, added up over base models draw by draw.

    Parameters
    ----------
    organizations : ndarray of int, shape (organizations, draws)
        Totals of the organizations, of base models at least `YOUNGEST` months old at the date;
        an organization that has none with an outcome is left out.
    came : ndarray of int, shape (organizations,)
        What came of each.
    names : tuple of str
        Of these organizations.
    young : ndarray of int, shape (draws,)
        Total of the base models younger than that.
    young_came : int
        What came of them.
    few : ndarray of int, shape (draws,)
        Total of the base models with 1 to 4 fine-tunes at the date.
    few_came : int
        What came of them.
    early : ndarray of int, shape (draws,)
        Total of those of them that are at most `EARLY` months old.
    early_came : int
        What came of these.
    """

    organizations: Integers
    came: Integers
    names: tuple[str, ...]
    young: Integers
    young_came: int
    few: Integers
    few_came: int
    early: Integers
    early_came: int


class Part(NamedTuple):
    """Base models of one organization that have an outcome at one horizon.

    Parameters
    ----------
    organization : str
        Which one.
    new : ndarray of int, shape (draws, base models)
        New fine-tunes of each draw, which are the same draws of all organizations.
    came, observed, months : ndarray of int, shape (base models,)
        New fine-tunes that came; count and age (whole months) at the date.
    """

    organization: str
    new: Integers
    came: Integers
    observed: Integers
    months: Integers


def added_up(parts: Iterable[Part]) -> Sums:
    """Add up the draws of base models, organization by organization.

    Parameters
    ----------
    parts : iterable of Part
        One for each organization.

    Returns
    -------
    Sums
    """
    totals, came, names, young, few, early = [], [], [], [], [], []
    young_came = few_came = early_came = 0
    for part in parts:
        old = part.months >= YOUNGEST
        some = (part.observed >= 1) & (part.observed <= 4)
        if old.any():
            totals.append(part.new[:, old].sum(axis=1))
            came.append(part.came[old].sum())
            names.append(part.organization)
        young.append(part.new[:, ~old].sum(axis=1))
        young_came += int(part.came[~old].sum())
        few.append(part.new[:, some].sum(axis=1))
        few_came += int(part.came[some].sum())
        some &= part.months <= EARLY
        early.append(part.new[:, some].sum(axis=1))
        early_came += int(part.came[some].sum())
    return Sums(
        np.stack(totals), np.array(came), tuple(names),
        np.sum(young, axis=0), young_came, np.sum(few, axis=0), few_came,
        np.sum(early, axis=0), early_came,
    )  # fmt: skip


def central_interval(totals: Integers, level: float) -> tuple[Floats, Floats]:
    """Central interval of whole counts, rounded outwards to draws so that it holds enough.

    Parameters
    ----------
    totals : ndarray of int, shape (..., draws)
        Totals of each draw.
    level : float
        Probability, in percent.

    Returns
    -------
    lower, upper : ndarray, shape (...)
        Each is one of the draws.
    """
    tail = 0.5 - level / 200.0
    lower = np.quantile(totals, tail, axis=-1, method="lower")
    upper = np.quantile(totals, 1.0 - tail, axis=-1, method="higher")
    return lower, upper


def total_measures(totals: Integers, came: int) -> Measures:
    """Measure the draws of one total.

    Parameters
    ----------
    totals : ndarray of int, shape (draws,)
        New fine-tunes of each draw.
    came : int
        Those that came.

    Returns
    -------
    dict
        ``actual``, ``median``, ``mean``; ``lower_P``, ``upper_P`` and ``inside_P`` (1 or 0) of
        `LEVELS`; ``factor`` (median over actual) and ``mean_over_median``.
    """
    median, mean = float(np.median(totals)), float(totals.mean())
    found: Measures = {"actual": came, "median": median, "mean": mean}
    for level in LEVELS:
        lower, upper = central_interval(totals, level)
        found[f"lower_{level}"], found[f"upper_{level}"] = float(lower), float(upper)
        found[f"inside_{level}"] = float(lower <= came <= upper)
    found["factor"] = median / came if came else math.nan
    found["mean_over_median"] = mean / median if median else math.nan
    return found


def organization_measures(totals: Integers, came: Integers) -> Measures:
    """Average the scores of organizations.

    Parameters
    ----------
    totals : ndarray of int, shape (organizations, draws)
        New fine-tunes of each.
    came : ndarray of int, shape (organizations,)
        Those that came.

    Returns
    -------
    dict
        ``number``; ``crps``, the mean CRPS of ln(1 + total) in its fair form; ``inside_P``, the
        share inside the plain central intervals of `LEVELS`; ``mean_over_median``, the largest
        mean of the draws over their median, of totals with a median of at least `LARGE`.
    """
    ordered = np.sort(totals, axis=-1)
    score = ensemble_crps(np.log1p(came), np.log1p(ordered))
    found: Measures = {"number": len(came), "crps": float(score.mean())}
    for level in LEVELS:
        lower, upper = central_interval(ordered, level)
        found[f"inside_{level}"] = float(np.mean((lower <= came) & (came <= upper)))
    medians = np.median(ordered, axis=-1)
    large = medians >= LARGE
    ratios = ordered[large].mean(axis=-1) / medians[large]
    found["mean_over_median"] = float(ratios.max()) if len(ratios) else math.nan
    return found


def sum_measures(sums: Sums) -> Measures:
    """Measure the sums of one horizon.

    Parameters
    ----------
    sums : Sums
        Of the horizon.

    Returns
    -------
    dict
        `total_measures` of the grand total under ``total_``, and with the young base models under
        ``all_``, and of each organization under ``of_NAME_``; `organization_measures` under
        ``organizations_``; ``few_came``; ``few_mean`` and ``few_median``, mean and median of the
        total of base models with 1 to 4 fine-tunes over what came, minus 1; ``early_came`` and
        ``early_median`` of those of them at most `EARLY` months old.
    """
    totals, came = sums.organizations.sum(axis=0), int(sums.came.sum())
    everything = total_measures(totals + sums.young, came + sums.young_came)
    organizations = organization_measures(sums.organizations, sums.came)
    found = {f"total_{name}": value for name, value in total_measures(totals, came).items()}
    found |= {f"all_{name}": value for name, value in everything.items()}
    found |= {f"organizations_{name}": value for name, value in organizations.items()}
    for owner, draws, new in zip(sums.names, sums.organizations, sums.came, strict=True):
        own = total_measures(draws, int(new))
        found |= {f"{OWNER}{owner}_{name}": value for name, value in own.items()}
    few = sums.few_came
    found["few_came"] = few
    found["few_mean"] = float(sums.few.mean()) / few - 1.0 if few else math.nan
    found["few_median"] = float(np.median(sums.few)) / few - 1.0 if few else math.nan
    found["early_came"], found["early_median"] = sums.early_came, float(np.median(sums.early))
    return found


def base_model_measures(table: pd.DataFrame) -> Measures:
    """Take the measures of base models from the averages of one horizon.

    Parameters
    ----------
    table : pandas.DataFrame
        From `bayes_hfgrowth.evaluation.scores.summarize`.

    Returns
    -------
    dict
        ``five_number``, ``five_crps`` (at least 5 fine-tunes at the date), ``fifty_number``,
        ``fifty_inside_P`` (at least 50, randomised PIT), ``few_number``, ``few_log`` (1 to 4:
        mean forecast of ln(1 + new) over the observed mean, minus 1).
    """
    groups = table[table["grouping"] == "count"].set_index("group")

    def value(group: str, column: str) -> float:
        return float(groups.loc[group, column]) if group in groups.index else math.nan

    def number(group: str) -> float:
        return float(groups.loc[group, "base_models"]) if group in groups.index else 0.0

    found = {"five_number": number("5+"), "five_crps": value("5+", "crps_log")}
    found["fifty_number"] = number("50+")
    found |= {f"fifty_inside_{level}": value("50+", f"pit_{level}") for level in LEVELS}
    return found | {"few_number": number("1-4"), "few_log": value("1-4", "bias")}


def measured(draws: xr.Dataset, panel: Panel) -> dict[int, Measures]:
    """Measure forecasts from one date against what came.

    Parameters
    ----------
    draws : xarray.Dataset
        As `bayes_hfgrowth.forecast.paths.Forecast.draws` has them, of the horizons to be scored.
    panel : Panel
        All that is known today.

    Returns
    -------
    dict
        By months ahead, those of which something came: `sum_measures` and
        `base_model_measures`.

    Raises
    ------
    ForecastError
        When nothing can be scored.
    """
    horizons = draws["horizon"].to_numpy().tolist()
    parts: dict[int, list[Part]] = {h: [] for h in horizons}
    scores = []
    owners = draws["organization"].to_numpy()
    # One organization at a time: the draws of all base models are too many to copy.
    for owner in sorted(set(owners)):
        part = draws.isel(base_model=np.flatnonzero(owners == owner))
        at_start, at_end = outcomes(part, panel)
        if not (at_end >= 0).any():
            continue
        scores.append(score_forecast(part, panel))
        counts = part["finetunes"].transpose("chain", "draw", "base_model", "horizon").to_numpy()
        counts = counts.reshape(-1, *counts.shape[2:])
        observed, ages = part["observed"].to_numpy(), part["months"].to_numpy()
        for place, horizon in enumerate(horizons):
            known = np.flatnonzero(at_end[:, place] >= 0)
            if len(known):
                new = counts[:, known, place].astype(np.int64) - observed[known]
                came = at_end[known, place] - at_start[known]
                parts[horizon].append(Part(str(owner), new, came, observed[known], ages[known]))
    if not scores:
        raise ForecastError("no month of the forecasts is in the shipped data; give earlier dates")
    table = summarize(pd.concat(scores, ignore_index=True))
    return {
        horizon: sum_measures(added_up(some))
        | base_model_measures(table[table["horizon"] == horizon])
        for horizon, some in parts.items()
        if any((part.months >= YOUNGEST).any() for part in some)
    }
