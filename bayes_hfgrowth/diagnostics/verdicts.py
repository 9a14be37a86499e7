"""A verdict on every base model: whether the growth model describes its months.

Two kinds of posterior predictive check decide it. The months one by one: is any of them too
large (`bayes_hfgrowth.diagnostics.surges`)? And the months together: do they lie above the
curve early and below it late, or the reverse (drift); do they scatter more or less than the
law says (scatter); does a month above its expectation tell the next one (persistence)? The
latter are taken on the normal scores of the months' randomised PIT, against those of
replicated panels.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from bayes_hfgrowth.diagnostics.authors import who_made
from bayes_hfgrowth.diagnostics.predictive import Counts, Floats, randomised_pit
from bayes_hfgrowth.diagnostics.surges import judge_months
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.months import month_end
from bayes_hfgrowth.support.progress import Progress

__all__ = ["CHECKS", "FAULT", "LEVEL", "NOTICED", "VERDICTS", "Judgement", "judge"]

LEVEL = 0.04
"""A month is called a surge where the model gives it less probability than this, all months of its
base model taken together. Below one in twenty, so that of base models without any surge no more
than that are called surging, whatever the approximations; see ``benchmarks/verdicts.py``."""

NOTICED = 0.005
"""A tenfold month would have been noticed where the model gives it less probability than this:
far enough below `LEVEL` for chance not to blur it."""

FAULT = 0.02
"""A base model is off the curve where a check of its months together is less probable than this."""

VERDICTS = {
    "surge": "at least one month brought more than the model can explain",
    "off the curve": "no single month stands out, but together they miss the curve or its scatter",
    "as expected": "every check passed, and a tenfold month would have been noticed",
    "too few counts": "every check passed, but even a tenfold month would not have been noticed",
}
"""The verdicts, and what they mean."""

CHECKS = ("drift", "scatter", "persistence")
"""The checks of a base model's months together."""

LEAST_MONTHS, LEAST_FINETUNES = 6, 10
"""Months and fine-tunes that a base model needs for the checks of its months together."""


class Judgement(NamedTuple):
    """Verdicts, one row for each base model; all surges, one row for each; all months.

    The months are those of `bayes_hfgrowth.diagnostics.surges.judge_months`, where
    ``probability`` and ``tenfold`` are of all months of the base model taken together.
    """

    verdicts: pd.DataFrame
    surges: pd.DataFrame
    months: pd.DataFrame


def judge(
    fit: FittedDraws,
    replicated: Counts,
    rng: np.random.Generator,
    panel: Panel | None = None,
    progress: Progress | None = None,
) -> Judgement:
    """Judge every base model of a fit; `bayes_hfgrowth.diagnostics.Diagnostics` has the columns.

    Parameters
    ----------
    fit, panel, progress
        As for `bayes_hfgrowth.diagnostics.diagnose`.
    replicated : ndarray of int, shape (replicates, months)
        Replicated months of the fit.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    FitError
        When the panel does not know authors, or has other counts.
    """
    history = fit.history
    months = judge_months(fit, rng, progress)
    number = np.maximum(history.months, 1)[history.base_model_of]
    for name in ("probability", "tenfold"):
        months[name] = _at_least_one(months[name], number)
    surges = _surges(history, months)
    surges = surges.join(who_made(surges, panel))
    strongest = surges.drop_duplicates("base_model").set_index("base_model")
    names = pd.Index(history.base_models, name="base_model", dtype=object)
    table = pd.DataFrame(
        {
            "organization": np.array(history.organizations, dtype=object)[history.organization_of],
            "months": history.months,
            "finetunes": history.finetunes,
        },
        index=names,
    )
    for column in ("month", "date", "new", "expected", "size", "probability", "made_by"):
        table[f"surge_{column}"] = strongest[column].reindex(names)
    table["surge_month"] = table["surge_month"].astype("Int64")
    table["surge_new"] = table["surge_new"].astype("Int64")
    table["surges"] = surges["base_model"].value_counts().reindex(names, fill_value=0)
    table["lowest_probability"] = _lowest(history, months["probability"])
    checks = _months_together(history, replicated, rng)
    faults = checks.min(axis=1) * len(CHECKS)
    table["fault"] = np.where(faults < FAULT, checks.fillna(1.0).idxmin(axis=1), None)
    table["fault_probability"] = np.minimum(faults.to_numpy(), 1.0)
    noticed = _lowest(history, months["tenfold"]) < NOTICED
    found = [table["surges"] > 0, table["fault"].notna(), noticed]
    surge, off, expected, few = VERDICTS
    table.insert(1, "verdict", np.select(found, [surge, off, expected], few))
    return Judgement(table.reset_index(), surges, months)


def _at_least_one(probability: pd.Series, number: np.ndarray) -> np.ndarray:
    """Probability that the least probable of so many independent months is no likelier."""
    with np.errstate(divide="ignore"):
        return -np.expm1(number * np.log1p(-probability.to_numpy()))


def _lowest(history: History, values: pd.Series | np.ndarray) -> Floats:
    """Smallest value of each base model's months; 1 without any."""
    lowest = np.ones(len(history.base_models))
    np.minimum.at(lowest, history.base_model_of, np.nan_to_num(np.asarray(values), nan=1.0))
    return lowest


def _surges(history: History, months: pd.DataFrame) -> pd.DataFrame:
    """All surges, each base model's least probable one first."""
    found = months[(months["probability"] < LEVEL) & (months["new"] > months["expected"])]
    found = found.sort_values(["base_model", "probability"], kind="stable", ignore_index=True)
    owner = found["base_model"].to_numpy()
    organizations = np.array(history.organizations, dtype=object)
    return pd.DataFrame(
        {
            "base_model": np.array(history.base_models, dtype=object)[owner],
            "organization": organizations[history.organization_of[owner]],
            "month": found["month"],
            "date": month_end(history.created_at[owner], found["month"]),
            "new": found["new"],
            "expected": found["expected"],
            "size": found["new"] / found["expected"],
            "probability": found["probability"],
            "draws": found["draws"],
        }
    )


def _months_together(
    history: History, replicated: Counts, rng: np.random.Generator
) -> pd.DataFrame:
    """Two-sided tail probabilities of the checks of each base model's months together."""
    observed = history.new.astype(np.int64)
    ranks = randomised_pit(np.sort(replicated, axis=0), np.vstack([observed, replicated]), rng)
    scores = special.ndtri(np.clip(ranks, 1e-4, 1.0 - 1e-4))
    owner = history.base_model_of
    counts = np.maximum(history.months, 1)
    middle = (counts[owner] + 1) / 2.0

    def total(values: Floats) -> Floats:
        out = np.zeros((len(history.base_models), len(values)))
        np.add.at(out, owner, values.T)
        return out.T

    same = np.append(owner[1:] == owner[:-1], False)
    following = np.where(same, np.roll(scores, -1, axis=1), 0.0)
    statistics = {
        "drift": total(scores * (history.month - middle)),
        "scatter": total(scores**2),
        "persistence": total(scores * following),
    }
    enough = (history.months >= LEAST_MONTHS) & (history.finetunes >= LEAST_FINETUNES)
    columns = {}
    for name in CHECKS:
        values = statistics[name]
        above = (values >= values[0]).sum(axis=0)  # itself among them
        below = (values <= values[0]).sum(axis=0)
        tail = np.minimum(2.0 * np.minimum(above, below) / len(values), 1.0)
        columns[name] = np.where(enough, tail, np.nan)
    return pd.DataFrame(columns, index=list(history.base_models))
