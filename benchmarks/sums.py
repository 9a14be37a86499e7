"""Sums of forecasts against what came: the whole Hub, organizations, and base models beside them.

    python -m benchmarks.sums --fit-dir fits --out sums.csv

fits a growth model to all base models that the shipped data hold at each as-of date, without a
bound on their fine-tunes, forecasts them, and adds up draws: the same draw of all base models
together, so that a sum carries what base models share. What came is the count so many months of
age later minus the count at the date, of the base models whose month the shipped data hold. The
targets are on base models that were at least a month old at the date, as the figures that they are
held against. For each date and horizon it prints

- the grand total: what came, median and intervals, mean of the draws over their median, and the
  same with the base models younger than a month, which have no data of their own;
- organizations: mean CRPS of ln(1 + new fine-tunes), and how many lie inside the plain central
  intervals of the draws (not the randomised PIT: totals are large);
- base models with at least 5 fine-tunes at the date: mean CRPS of ln(1 + new fine-tunes); with at
  least 50: central shares of the randomised PIT, as in a backtest;
- base models with 1 to 4: their sum against what came, by the mean of the draws, by the median,
  and as a backtest has it, the mean forecast of ln(1 + new fine-tunes) over the observed one;

each with its target and whether it is met, then how the fits converged, and all targets in one
table. With `--fit-dir` fits are kept, and used again by a later run with the same growth model,
data and settings: remove the folder when the package has changed. Dates other than the three of
the targets are forecast 1, 3, 6 and 12 months ahead, as far as the data reach.
"""

import argparse
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.scores import (
    LEVELS,
    ensemble_crps,
    outcomes,
    score_forecast,
    summarize,
)
from bayes_hfgrowth.fit import GrowthFit
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import FitError, ForecastError, HFGrowthError
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.months import as_utc

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]
type Measures = dict[str, float]
type Place = tuple[str, int]  # as-of date, months ahead

HORIZONS: Mapping[str, tuple[int, ...]] = {
    "2024-02-21": (6, 12),
    "2024-08-21": (1, 6),
    "2024-11-21": (1, 3),
}
"""Months ahead from each date of the targets."""

OTHER_HORIZONS = (1, 3, 6, 12)
"""Months ahead from any other date."""

BASE_MODEL_CRPS: Mapping[Place, float] = {
    ("2024-02-21", 6): 0.467,
    ("2024-02-21", 12): 0.529,
    ("2024-08-21", 6): 0.555,
    ("2024-11-21", 3): 0.499,
}
"""Mean CRPS of ln(1 + new) of base models with at least 5 fine-tunes, law with exponent 1."""

LARGE = 10
"""Smallest median of a total whose mean is held against it."""

YOUNGEST = 1
"""Least age at the date, in whole months, of the base models whose sums have targets."""

_FEW_AT: tuple[Place, ...] = (("2024-02-21", 6), ("2024-08-21", 6), ("2024-11-21", 3))
_ORGANIZATIONS = {
    "organizations_inside_50": (0.40, 0.65),
    "organizations_inside_80": (0.70, 0.95),
    "organizations_inside_95": (0.88, math.inf),
}
_FEW = ("few_mean", "few_median", "few_log")
_IMPROVEMENT = 0.97  # the mean CRPS of base models, over today's
_MEAN = 1.5  # mean of the draws of a total, over their median
_HALF = 0.0005  # today's scores are written with three decimals


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
    young : ndarray of int, shape (draws,)
        Total of the base models younger than that.
    young_came : int
        What came of them.
    few : ndarray of int, shape (draws,)
        Total of the base models with 1 to 4 fine-tunes at the date.
    few_came : int
        What came of them.
    """

    organizations: Integers
    came: Integers
    young: Integers
    young_came: int
    few: Integers
    few_came: int


class Part(NamedTuple):
    """Base models of one organization that have an outcome at one horizon.

    Parameters
    ----------
    new : ndarray of int, shape (draws, base models)
        New fine-tunes of each draw, which are the same draws of all organizations.
    came, observed, months : ndarray of int, shape (base models,)
        New fine-tunes that came; count and age (whole months) at the date.
    """

    new: Integers
    came: Integers
    observed: Integers
    months: Integers


@dataclass(frozen=True)
class Row:
    """A row of the table of targets.

    Parameters
    ----------
    words : str
        Date, months ahead and what is measured.
    today, prototype, target : str
        Figures of the law with exponent 1, of a prototype, and what is to be reached.
    cells : tuple of (Place, str)
        Measures that it needs.
    show : callable
        Writes their values.
    met : callable, optional
        Whether they meet the target together; by default each meets its own.
    """

    words: str
    today: str
    prototype: str
    target: str
    cells: tuple[tuple[Place, str], ...]
    show: Callable[[Sequence[float]], str]
    met: Callable[[Sequence[float]], bool] | None = None


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
    totals, came, young, few = [], [], [], []
    young_came = few_came = 0
    for part in parts:
        old = part.months >= YOUNGEST
        some = (part.observed >= 1) & (part.observed <= 4)
        if old.any():
            totals.append(part.new[:, old].sum(axis=1))
            came.append(part.came[old].sum())
        young.append(part.new[:, ~old].sum(axis=1))
        young_came += int(part.came[~old].sum())
        few.append(part.new[:, some].sum(axis=1))
        few_came += int(part.came[some].sum())
    return Sums(
        np.stack(totals), np.array(came),
        np.sum(young, axis=0), young_came, np.sum(few, axis=0), few_came,
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
        ``all_``; `organization_measures` under ``organizations_``; ``few_came``; ``few_mean`` and
        ``few_median``, mean and median of the total of base models with 1 to 4 fine-tunes over
        what came, minus 1.
    """
    totals, came = sums.organizations.sum(axis=0), int(sums.came.sum())
    everything = total_measures(totals + sums.young, came + sums.young_came)
    organizations = organization_measures(sums.organizations, sums.came)
    found = {f"total_{name}": value for name, value in total_measures(totals, came).items()}
    found |= {f"all_{name}": value for name, value in everything.items()}
    found |= {f"organizations_{name}": value for name, value in organizations.items()}
    few = sums.few_came
    found["few_came"] = few
    found["few_mean"] = float(sums.few.mean()) / few - 1.0 if few else math.nan
    found["few_median"] = float(np.median(sums.few)) / few - 1.0 if few else math.nan
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
                parts[horizon].append(Part(new, came, observed[known], ages[known]))
    if not scores:
        raise ForecastError("no month of the forecasts is in the shipped data; give earlier dates")
    table = summarize(pd.concat(scores, ignore_index=True))
    return {
        horizon: sum_measures(added_up(some))
        | base_model_measures(table[table["horizon"] == horizon])
        for horizon, some in parts.items()
        if any((part.months >= YOUNGEST).any() for part in some)
    }


def bounds(place: Place, measure: str) -> tuple[float, float] | None:
    """Smallest and largest value of a measure that meets its target; None where it has none."""
    first, last = place[0] == "2024-02-21", place[0] == "2024-11-21"
    found: dict[str, tuple[float, float]] = {"total_mean_over_median": (-math.inf, _MEAN)}
    if first and place[1] in (6, 12):
        found |= _ORGANIZATIONS
        found["organizations_crps"] = (-math.inf, 0.21 if place[1] == 6 else 0.31)
        found["total_factor"] = (1.0 / 1.3, 1.3)
        found["total_inside_80"] = (1.0, 1.0)
    if place == ("2024-08-21", 6) or (last and place[1] in (1, 3)):
        found["total_inside_95"] = (1.0, 1.0)
    if place in BASE_MODEL_CRPS:
        found["five_crps"] = (-math.inf, BASE_MODEL_CRPS[place] + _HALF)
        found["fifty_inside_95"] = (0.92, math.inf)
    if place in _FEW_AT:
        found |= dict.fromkeys(_FEW, (-0.2, 0.2))
    return found.get(measure)


def is_met(place: Place, measure: str, value: float) -> bool | None:
    """Whether a measure meets its target; None where it has none."""
    limits = bounds(place, measure)
    return None if limits is None else limits[0] <= value <= limits[1]


def count(value: float) -> str:
    """Write a count."""
    return "-" if math.isnan(value) else f"{value:,.0f}"


def score(value: float) -> str:
    """Write a score."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def share(value: float) -> str:
    """Write a share."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def ratio(value: float) -> str:
    """Write a ratio."""
    return "-" if math.isnan(value) else f"{value:.2f}" if value < 1000 else f"{value:.1e}"


def percent(value: float) -> str:
    """Write a relative error."""
    return "-" if math.isnan(value) else f"{100.0 * value:+.0f}%"


def yes_no(value: float | bool | None) -> str:
    """Write whether something is so; nothing where it is not asked."""
    return "" if value is None else "yes" if value else "no"


MEASURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("total_actual", "grand total: new fine-tunes that came", count),
    ("total_median", "median of the draws", count),
    ("total_80", "80% interval", count),
    ("total_95", "95% interval", count),
    ("total_inside_80", "inside the 80% interval", yes_no),
    ("total_inside_95", "inside the 95% interval", yes_no),
    ("total_factor", "median over what came", ratio),
    ("total_mean_over_median", "mean of the draws over their median", ratio),
    ("all_actual", "with base models younger than a month: that came", count),
    ("all_median", "median of the draws", count),
    ("all_95", "95% interval", count),
    ("all_inside_95", "inside the 95% interval", yes_no),
    ("all_mean_over_median", "mean of the draws over their median", ratio),
    ("organizations_number", "organizations: number", count),
    ("organizations_crps", "mean CRPS of ln(1 + new)", score),
    ("organizations_inside_50", "share inside the plain 50% interval", share),
    ("organizations_inside_80", "share inside the plain 80% interval", share),
    ("organizations_inside_95", "share inside the plain 95% interval", share),
    ("organizations_mean_over_median", f"largest mean over median (median >= {LARGE})", ratio),
    ("five_number", "base models with >= 5 fine-tunes: number", count),
    ("five_crps", "mean CRPS of ln(1 + new)", score),
    ("fifty_number", "base models with >= 50 fine-tunes: number", count),
    ("fifty_inside_50", "50% share of the randomised PIT", share),
    ("fifty_inside_80", "80% share of the randomised PIT", share),
    ("fifty_inside_95", "95% share of the randomised PIT", share),
    ("few_number", "base models with 1 to 4 fine-tunes: number", count),
    ("few_came", "new fine-tunes that came", count),
    ("few_mean", "sum of the predicted means, against what came", percent),
    ("few_median", "median of the sum, against what came", percent),
    ("few_log", "mean of ln(1 + new), against what came", percent),
)


def target_words(place: Place, measure: str) -> str:
    """Write the target of a measure; nothing where it has none."""
    limits = bounds(place, measure)
    if limits is None:
        return ""
    if limits == (1.0, 1.0):
        return "yes"
    write = next(write for name, _, write in MEASURES if name == measure)
    low, high = limits
    if measure == "five_crps":
        high -= _HALF  # what rounds to the figure meets it
    if math.isinf(low):
        return f"<= {write(high)}"
    return f">= {write(low)}" if math.isinf(high) else f"{write(low)} to {write(high)}"


def place_table(place: Place, values: Measures) -> list[list[str]]:
    """Make the table of one date and horizon: measure, value, target, met."""
    rows = [["measure", "value", "target", "met"]]
    for name, words, write in MEASURES:
        if name in ("total_80", "total_95", "all_95"):
            which, level = name.split("_")
            ends = (values[f"{which}_lower_{level}"], values[f"{which}_upper_{level}"])
            rows.append([words, " to ".join(map(write, ends)), "", ""])
            continue
        value = values[name]
        met = yes_no(is_met(place, name, value))
        rows.append([words, write(value), target_words(place, name), met])
    return rows


def _each(place: Place, *measures: str) -> tuple[tuple[Place, str], ...]:
    return tuple((place, measure) for measure in measures)


def _over(places: Iterable[Place], measure: str) -> tuple[tuple[Place, str], ...]:
    return tuple((place, measure) for place in places)


def _listed(write: Callable[[float], str]) -> Callable[[Sequence[float]], str]:
    return lambda values: ", ".join(map(write, values))


def _organizations_shown(values: Sequence[float]) -> str:
    return f"{score(values[0])}; {'/'.join(map(share, values[1:]))}"


def _total_shown(values: Sequence[float]) -> str:
    parts = []
    for first in range(0, len(values), 5):
        median, low, high, came, _ = values[first : first + 5]
        parts.append(f"{count(median)} [{count(low)} to {count(high)}], {count(came)} came")
    return "; ".join(parts)


def _total_cells(place: Place, level: int, check: str) -> tuple[tuple[Place, str], ...]:
    names = ("total_median", f"total_lower_{level}", f"total_upper_{level}", "total_actual", check)
    return _each(place, *names)


def _mean_improved(values: Sequence[float]) -> bool:
    today = np.array(list(BASE_MODEL_CRPS.values()))
    now = np.array(values)
    return bool((now <= today + _HALF).all() and now.mean() <= _IMPROVEMENT * today.mean())


def _crps_shown(values: Sequence[float]) -> str:
    change = float(np.mean(values)) / float(np.mean(list(BASE_MODEL_CRPS.values()))) - 1.0
    return f"{_listed(score)(values)}; mean {100.0 * change:+.1f}%"


def target_rows(places: Sequence[Place]) -> list[Row]:
    """Make the rows of the table of targets.

    Parameters
    ----------
    places : sequence of Place
        What was measured; the target on means is on all of it.
    """
    names = ("organizations_crps", *_ORGANIZATIONS)
    early, later = ("2024-02-21", 6), ("2024-02-21", 12)
    both = tuple(
        cell for place in (early, later) for cell in _total_cells(place, 80, "total_inside_80")
    )
    return [
        Row(
            "2024-02-21, 6: organizations' mean CRPS of log totals; inside 50/80/95%",
            ".32; .44/.62/.81",
            ".208; .54/.92/1.0",
            "<= .21; .40-.65/.70-.95/>= .88",
            _each(early, *names),
            _organizations_shown,
        ),
        Row(
            "2024-02-21, 12: the same",
            ".48; .38/.56/.75",
            ".305; .50/.79/1.0",
            "<= .31; the same",
            _each(later, *names),
            _organizations_shown,
        ),
        Row(
            "2024-02-21, 6 and 12: grand total [80%]",
            "44,582; 127,875",
            "30,376; 54,970",
            "median within a factor 1.3, actual inside 80%",
            (*both, (early, "total_factor"), (later, "total_factor")),
            lambda values: _total_shown(values[:10]),
        ),
        Row(
            "2024-08-21, 6: grand total [95%]",
            "far outside",
            "inside",
            "actual inside 95%",
            _total_cells(("2024-08-21", 6), 95, "total_inside_95"),
            _total_shown,
        ),
        Row(
            "2024-11-21, 3: grand total [95%]",
            "far outside",
            "outside",
            "actual inside 95%",
            _total_cells(("2024-11-21", 3), 95, "total_inside_95"),
            _total_shown,
        ),
        Row(
            "2024-11-21, 1: grand total [95%]",
            "37,536",
            "24,731",
            "actual inside 95%",
            _total_cells(("2024-11-21", 1), 95, "total_inside_95"),
            _total_shown,
        ),
        Row(
            "any date: mean of the draws of the grand total over their median, the largest",
            "5 x 10^7 over 127,875",
            "<= 1.2",
            "<= 1.5",
            _over(places, "total_mean_over_median"),
            lambda values: ratio(max(values)),
        ),
        Row(
            "base models (>= 5) CRPS: 2024-02-21 6 and 12, 2024-08-21 6, 2024-11-21 3",
            ".467, .529, .555, .499",
            ".459, .522, .568, .499",
            "none worse than today, mean at least 3% better",
            _over(BASE_MODEL_CRPS, "five_crps"),
            _crps_shown,
            _mean_improved,
        ),
        Row(
            "base models (>= 50) inside 95%, same four",
            ".86 at the last",
            "1.0, .98, .89, .81",
            ">= .92 each",
            _over(BASE_MODEL_CRPS, "fifty_inside_95"),
            _listed(share),
        ),
        *(
            Row(
                f"base models (1 to 4), {words} against what came: "
                "2024-02-21 6, 2024-08-21 6, 2024-11-21 3",
                "+19, +64, +46%" if name == "few_log" else "",
                "",
                "within 20%",
                _over(_FEW_AT, name),
                _listed(percent),
            )
            for name, words in zip(
                _FEW,
                ("sum of the predicted means", "median of the sum", "mean of ln(1 + new)"),
                strict=True,
            )
        ),
    ]


def target_table(found: Mapping[Place, Measures]) -> list[list[str]]:
    """Make the table of targets; a row whose dates were not all measured has no verdict."""
    rows = [["date, months ahead", "today", "prototype", "now", "to reach", "met"]]
    for row in target_rows(list(found)):
        if all(place in found for place, _ in row.cells):
            values = [found[place][name] for place, name in row.cells]
            if row.met is not None:
                met = row.met(values)
            else:
                verdicts = (is_met(p, n, v) for (p, n), v in zip(row.cells, values, strict=True))
                met = all(verdict for verdict in verdicts if verdict is not None)
            now, verdict = row.show(values), yes_no(met)
        else:
            now, verdict = "not measured", ""
        rows.append([row.words, row.today, row.prototype, now, row.target, verdict])
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown, its columns aligned; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def long_table(found: Mapping[Place, Measures]) -> pd.DataFrame:
    """Put all measures into one table: ``as_of``, ``horizon``, ``measure``, ``value``, ...

    Then ``lower`` and ``upper``, the bounds of the target (infinite or missing where there is
    none), and ``met``.
    """
    rows = []
    for place, values in found.items():
        for name, value in values.items():
            lower, upper = bounds(place, name) or (math.nan, math.nan)
            met = yes_no(is_met(place, name, value))
            rows.append((*place, name, value, lower, upper, met))
    columns = ["as_of", "horizon", "measure", "value", "lower", "upper", "met"]
    return pd.DataFrame(rows, columns=columns)


def fitted(
    model: hfg.GrowthModel, panel: Panel, settings: Mapping[str, int], path: Path | None
) -> GrowthFit:
    """Fit a growth model, or read the fit when one of the same data and settings is there.

    Parameters
    ----------
    model : GrowthModel
        What to fit.
    panel : Panel
        What was known at the date.
    settings : mapping
        ``draws``, ``tune``, ``seed``.
    path : Path or None
        Where the fit is kept, if anywhere.

    Raises
    ------
    FitError
        When the fit cannot be made, read or written.
    """
    if path is not None and path.exists():
        kept = hfg.load_fit(path)
        about = kept.about
        if (
            about["specification"] == json.loads(model.spec.to_json())
            and about["panel"]["digest"] == panel.digest
            and settings.items() <= about["sampler"].items()
        ):
            return kept
    fit = model.fit(panel, draws=settings["draws"], tune=settings["tune"], seed=settings["seed"])
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise FitError(f"{path.parent} cannot be made: {failure.strerror}") from failure
        fit.save(path)
    return fit


def fit_row(date: str, fit: GrowthFit) -> list[str]:
    """Make the row of a fit in the table on convergence."""
    verdict = fit.convergence
    return [
        date,
        count(len(fit.base_models)),
        yes_no(verdict.converged),
        f"{verdict.r_hat:.3f} ({verdict.r_hat_name})",
        f"{verdict.ess_bulk:.0f} ({verdict.ess_bulk_name})",
        f"{verdict.ess_tail:.0f} ({verdict.ess_tail_name})",
        f"{verdict.base_model_ess:.0f}",
        str(verdict.divergences),
        f"{sum(fit.about['seconds'].values()):.0f}",
    ]


def horizons_of(date: str, panel: Panel) -> tuple[int, ...]:
    """Months ahead to be scored from a date, as far as the panel reaches.

    Raises
    ------
    ForecastError
        When it does not reach a month beyond the date.
    """
    start = as_utc(date, "as-of date")
    # Base models end their months at different days, the last of them up to a day before this.
    end = panel.base_models["observed_until"].max() + pd.DateOffset(days=1)
    wanted = HORIZONS.get(date, OTHER_HORIZONS)
    found = tuple(h for h in wanted if start + pd.DateOffset(months=h) <= end)
    if not found:
        raise ForecastError(
            f"the shipped data end on {end:%Y-%m-%d}, not a month after {date}; "
            "give an earlier date"
        )
    return found


def main() -> None:
    """Run the benchmark."""
    defaults = inspect.signature(hfg.GrowthModel.fit).parameters
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="surge", help="shipped name or specification file")
    parser.add_argument("--date", action="append", help="as-of date; the three of the targets")
    parser.add_argument("--draws", type=int, default=defaults["draws"].default)
    parser.add_argument("--tune", type=int, default=defaults["tune"].default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit-dir", type=Path, help="folder to keep the fits in, and to use")
    parser.add_argument("--out", type=Path, help="all measures, .csv or .parquet")
    options = parser.parse_args()
    settings = {"draws": options.draws, "tune": options.tune, "seed": options.seed}
    found: dict[Place, Measures] = {}
    fits = [
        ["as of", "base models", "converged", "R-hat", "bulk ESS", "tail ESS",
         "ESS of base models", "divergences", "seconds"]
    ]  # fmt: skip
    try:
        model, panel = hfg.GrowthModel(options.model), hfg.load_example()
        given = options.date or list(HORIZONS)
        dates = sorted({f"{as_utc(date, 'as-of date'):%Y-%m-%d}" for date in given})
        horizons = {date: horizons_of(date, panel) for date in dates}
        for date in dates:
            folder = options.fit_dir
            path = None if folder is None else folder / date / model.spec.name / "fit.nc"
            fit = fitted(model, panel.as_of(date), settings, path)
            draws = fit.forecast(months=max(horizons[date])).draws
            fits.append(fit_row(date, fit))
            some = np.isin(draws["horizon"].to_numpy(), horizons[date])
            for months, values in measured(draws.isel(horizon=some), panel).items():
                found[date, months] = values
                print(f"\n{model.spec.name}, {date}, {months} months ahead\n")
                print(markdown(place_table((date, months), values)), flush=True)
            del fit, draws  # before the next date asks for as much
        print(f"\nFits ({options.draws} draws and {options.tune} of warm-up a chain)\n")
        print(markdown(fits))
        print(f"\nTargets, {model.spec.name}, seed {options.seed}\n")
        print(markdown(target_table(found)))
        if options.out is not None:
            write_table(long_table(found), options.out, ForecastError)
    except HFGrowthError as failure:
        parser.exit(2, f"{parser.prog}: {failure}\n")


if __name__ == "__main__":
    main()
