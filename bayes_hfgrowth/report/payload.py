"""The numbers that the page's own script reads, written compactly."""

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.comparison import Comparison
from bayes_hfgrowth.comparison.quantities import quantity_of
from bayes_hfgrowth.diagnostics import VERDICTS
from bayes_hfgrowth.diagnostics.text import surge_sentence
from bayes_hfgrowth.forecast.paths import interval_columns
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.report.content import LEVELS, ReportContent
from bayes_hfgrowth.support.months import month_end

__all__ = ["payload"]

MEAN_SCALE = 10
"""Means are kept to a tenth, as whole numbers of tenths."""

type Integers = npt.NDArray[np.int64]


def payload(content: ReportContent) -> dict[str, Any]:
    """Forecasts, histories and comparison as plain lists, ready to be written as JSON.

    Counts never fall, neither over the observed months nor, quantile by quantile, over the
    horizons, so each series is kept as its differences: small whole numbers, most of them
    short. The first difference of a forecast is from the last known count.

    Parameters
    ----------
    content : ReportContent
        What the report tells.

    Returns
    -------
    dict
        ``months`` (the longest horizon), ``levels`` (percent), ``mean_scale``,
        ``organizations``, ``verdicts`` (names), ``series`` (names of the forecast series, in
        the order they have in each base model), ``base_models`` and ``comparison`` (None
        without one). Each base model has ``name``, ``organization`` and ``verdict`` (indices),
        ``remarks`` (sentences behind the verdict), ``surges`` (ages in months), ``days``
        (differences of the days since 1970-01-01 on which its months 0, 1, 2, ... end, to the
        last horizon), ``new`` (observed new fine-tunes of each month), ``forecast`` (one list
        of differences for each series), and ``growth`` (median, lower, upper for each growth
        parameter).
    """
    history, table, months = content.fit.history, content.forecast, content.months
    series = ["mean", "median", *interval_columns(LEVELS)]
    columns = [_differences(table, name, months) for name in series]
    days = _days(history, months)
    growth = _significant(content.growth.to_numpy()).tolist()
    new = history.new.astype(np.int64).tolist()
    verdicts, surges = list(VERDICTS), content.diagnostics.surges
    surges_of = {str(name): table for name, table in surges.groupby("base_model")}
    judged = content.diagnostics.verdicts.to_dict("records")
    base_models = [
        {
            "name": name,
            "organization": int(history.organization_of[i]),
            "verdict": verdicts.index(judged[i]["verdict"]),
            "remarks": _remarks(
                judged[i], surges_of.get(name, surges.iloc[:0]), content.fit.counted
            ),
            "surges": sorted(map(int, surges_of[name]["month"])) if name in surges_of else [],
            "days": days[i],
            "new": new[history.start[i] : history.start[i + 1]],
            "forecast": [column[i] for column in columns],
            "growth": growth[i],
        }
        for i, name in enumerate(history.base_models)
    ]
    return {
        "months": months,
        "levels": list(LEVELS),
        "mean_scale": MEAN_SCALE,
        "series": series,
        "organizations": list(history.organizations),
        "verdicts": verdicts,
        "base_models": base_models,
        "comparison": _comparison(content.comparison) if content.comparison else None,
    }


def _remarks(judged: dict[Hashable, Any], surges: pd.DataFrame, counted: Counted) -> list[str]:
    """What lies behind the verdict on a base model."""
    name = judged["base_model"]
    remarks = [f"{VERDICTS[judged['verdict']].capitalize()}."]
    for _, surge in surges.iterrows():
        remarks.append(f"{surge_sentence(surge, counted).removeprefix(f'{name}: ').capitalize()}.")
    if isinstance(judged["fault"], str):
        remarks.append(
            f"Its months together fail the check of {judged['fault']} "
            f"(probability {judged['fault_probability']:.2g})."
        )
    if isinstance(judged["published_verdict"], str):
        remarks.append(f"Published least-squares verdict: {judged['published_verdict'].lower()}.")
    return remarks


def _differences(table: pd.DataFrame, name: str, months: int) -> list[list[int]]:
    """One forecast series of every base model, as differences from the last known count."""
    scale = MEAN_SCALE if name == "mean" else 1
    values = np.rint(table[name].to_numpy(np.float64).reshape(-1, months) * scale)
    observed = table["observed"].to_numpy(np.float64).reshape(-1, months)[:, :1] * scale
    differences: list[list[int]] = np.diff(values, axis=1, prepend=observed).astype(int).tolist()
    return differences


def _days(history: History, months: int) -> list[list[int]]:
    """Days on which the months end, as differences."""
    ages: Integers = history.months + months + 1
    start = np.append(0, np.cumsum(ages))
    position = np.arange(start[-1]) - np.repeat(start[:-1], ages)
    born = history.created_at.repeat(ages)
    ends = month_end(born, position).tz_localize(None).to_numpy().astype("M8[D]").astype(np.int64)
    return [
        np.diff(ends[begin:end], prepend=0).tolist() for begin, end in itertools.pairwise(start)
    ]


def _significant(values: npt.NDArray[np.float64], digits: int = 3) -> npt.NDArray[np.float64]:
    """Round to significant digits."""
    with np.errstate(divide="ignore"):
        power = np.where(values == 0, 0.0, np.floor(np.log10(np.abs(values))))
    scale = 10.0 ** (digits - 1 - power)
    return np.asarray(np.rint(values * scale) / scale)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    """Pairwise probabilities as one matrix for each quantity, and ranks."""
    names = list(comparison.organizations)
    quantities = []
    for key, pairs in comparison.pairs.groupby("quantity", sort=False):
        quantity = quantity_of(str(key), comparison.counted)
        ranks = comparison.ranks[comparison.ranks["quantity"] == key].set_index("organization")
        columns = ["median_rank", "lower_95", "upper_95", "largest", "smallest"]
        quantities.append(
            {
                "label": quantity.label,
                "unit": quantity.unit,
                "larger": quantity.larger,
                "probabilities": _matrix(pairs, names),
                "ranks": ranks.loc[names, columns].round(4).to_numpy().tolist(),
            }
        )
    return {"organizations": names, "quantities": quantities}


def _matrix(pairs: pd.DataFrame, names: Sequence[str]) -> list[list[float | None]]:
    """P(row's is larger than column's); None on the diagonal."""
    position = {name: index for index, name in enumerate(names)}
    matrix: list[list[float | None]] = [[None] * len(names) for _ in names]
    for pair in pairs.itertuples():
        first, second = position[pair.first], position[pair.second]
        probability = round(float(pair.probability), 4)
        matrix[first][second] = probability
        matrix[second][first] = round(1.0 - probability, 4)
    return matrix
