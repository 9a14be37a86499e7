"""The targets of sums, and tables that hold measures against them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.sums_measures import LARGE, OWNER, Measures, Place

BASE_MODEL_CRPS: Mapping[Place, float] = {
    ("2024-02-21", 6): 0.467,
    ("2024-02-21", 12): 0.529,
    ("2024-08-21", 6): 0.555,
    ("2024-11-21", 3): 0.499,
}
"""Mean CRPS of ln(1 + new) of base models with at least 5 fine-tunes, law with exponent 1."""

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
    ("early_came", "those of them at most 4 months old: that came", count),
    ("early_median", "median of the draws", count),
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


def organization_table(values: Measures) -> list[list[str]]:
    """Make the table of the organizations' own totals, the largest first."""
    end = "_actual"
    owners = [
        name.removeprefix(OWNER).removesuffix(end)
        for name in values
        if name.startswith(OWNER) and name.endswith(end)
    ]
    rows = [["organization", "came", "median", "80% interval", "95% interval"]]
    for owner in sorted(owners, key=lambda name: -values[f"{OWNER}{name}{end}"]):
        of = {name: values[f"{OWNER}{owner}_{name}"] for name in ("actual", "median")}
        ends = [
            " to ".join(
                count(values[f"{OWNER}{owner}_{side}_{level}"]) for side in ("lower", "upper")
            )
            for level in (80, 95)
        ]
        rows.append([owner, *map(count, of.values()), *ends])
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
