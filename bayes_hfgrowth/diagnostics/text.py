"""The summary of a diagnosis, in plain words."""

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

from bayes_hfgrowth.diagnostics.leave_one_out import LeaveOneOut
from bayes_hfgrowth.diagnostics.population import LEAST_BFMI
from bayes_hfgrowth.diagnostics.predictive import DEVIATION
from bayes_hfgrowth.diagnostics.verdicts import VERDICTS
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.posterior.convergence import Convergence

if TYPE_CHECKING:
    from bayes_hfgrowth.diagnostics.results import Diagnostics

__all__ = ["summary", "surge_sentence"]

_UNUSUAL = 0.025  # smaller in either tail, and the summary points at it
_SHOWN = 12  # surges, and sensitive parameters, that the summary names


def summary(found: "Diagnostics") -> str:
    """Lines of text, with a shout at the top when the sampler has not converged."""
    parts = [
        [*_convergence(found.convergence), *_energy(found.energy)],
        _loo(found.loo, found.counted),
        [
            "Does the model describe the counts? Observed against replicated panels:",
            *_checks(found.predictive, found.counted, point=True),
        ],
        _verdicts(found),
        _surges(found.surges, found.counted),
        _sensitivity(found.sensitivity),
        [
            "Before any data: observed against panels drawn from the prior:",
            *_checks(found.prior_predictive, found.counted, point=False),
        ]
        if len(found.prior_predictive)
        else [],
        _population(found.population),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def surge_sentence(surge: pd.Series, counted: Counted = FINETUNES) -> str:
    """Say one row of ``Diagnostics.surges``: when, how large, how improbable, and by whom."""
    by = f", by {surge['made_by']}" if isinstance(surge["made_by"], str) else ""
    if surge["made_by"] == "unclear":
        by = ", by how many authors is unclear"
    return (
        f"{surge['base_model']}: {surge['new']:,} new {counted.many} in month "
        f"{surge['month']} (to {surge['date']:%Y-%m-%d}), {_times(surge['size'])} times the "
        f"{_count(surge['expected'])} expected, probability "
        f"{_probability(surge['probability'])}{by}"
    )


def _convergence(verdict: Convergence) -> list[str]:
    if verdict.converged:
        return [f"The sampler {verdict}."]
    rule = "!" * 78
    about = textwrap.wrap(
        "DO NOT USE THIS FIT: THE SAMPLER HAS NOT CONVERGED. Its intervals and forecasts may be "
        f"wrong. Fit again: {verdict.advice}.",
        78,
    )
    return [rule, *about, *(f"- {problem}" for problem in verdict.problems), rule]


def _energy(table: pd.DataFrame) -> list[str]:
    if table.empty:
        return []
    least = table.loc[table["bfmi"].idxmin()]
    line = f"Energy: BFMI at least {least['bfmi']:.2f} (chain {int(least['chain'])})"
    if least["bfmi"] < LEAST_BFMI:
        return [f"{line}, BELOW {LEAST_BFMI}: the chains explored too little of the tails."]
    return [f"{line}; below {LEAST_BFMI} would be a bad sign."]


def _loo(loo: LeaveOneOut, counted: Counted) -> list[str]:
    lines = [
        f"Leave-one-out: elpd {loo.elpd:.1f} (standard error {loo.se:.1f}), "
        f"{loo.p:.0f} effective parameters, {loo.months} months.",
        f"  Pareto k is above {loo.good_k:.2f} for {len(loo.bad)} months "
        f"({len(loo.bad) / loo.months:.1%})"
        + (", so the estimate is rough there; the worst:" if len(loo.bad) else "."),
    ]
    return lines + [
        f"    {row.base_model}, month {row.month}: {row.new_finetunes} new {counted.many}, "
        f"k = {row.pareto_k:.2f}; {row.reason}"
        for row in loo.bad.head(5).itertuples()
    ]


def _checks(table: pd.DataFrame, counted: Counted, *, point: bool) -> list[str]:
    table = table.assign(said=[counted.said(check) for check in table["check"]])
    width = int(table["said"].str.len().max())
    lines = []
    for row in table.itertuples():
        unusual = point and _unusual(row.check, row.tail_probability)
        lines.append(
            f"  {row.said:<{width}}  {row.observed:>10.4g}  "
            f"replicated {row.replicated_median:.4g} "
            f"({row.lower_95:.4g} to {row.upper_95:.4g}), "
            f"tail probability {row.tail_probability:.3f}{'  <- UNUSUAL' if unusual else ''}"
        )
    return lines


def _unusual(check: str, tail_probability: float) -> bool:
    if check == DEVIATION:  # a small deviation is what one hopes for
        return tail_probability < 2 * _UNUSUAL
    return min(tail_probability, 1.0 - tail_probability) < _UNUSUAL


def _verdicts(found: "Diagnostics") -> list[str]:
    table = found.published
    number = len(found.verdicts)
    published = bool(table[["fits", "does_not_fit"]].to_numpy().any())
    lines = [f"Verdicts on the {number} base models:"]
    for row in table.itertuples():
        count = int(row.fits + row.does_not_fit + row.not_published)
        line = f"  {count:>5}  {row.verdict:<15} {VERDICTS[row.verdict]}"
        if published and count:
            line += f"; published: {row.fits} fit, {row.does_not_fit} do not"
        lines.append(line)
    return lines


def _surges(surges: pd.DataFrame, counted: Counted) -> list[str]:
    if surges.empty:
        return ["Surges: none."]
    ordered = surges.sort_values("probability", kind="stable")
    head = f"Surges: {len(surges)} months of {surges['base_model'].nunique()} base models"
    head += "; the least probable:" if len(surges) > _SHOWN else ":"
    shown = ordered.head(_SHOWN)
    return [head, *(f"  {surge_sentence(row, counted)}" for _, row in shown.iterrows())]


def _sensitivity(table: pd.DataFrame) -> list[str]:
    moved = table[table["remark"].notna()]
    if moved.empty:
        return ["Prior sensitivity: no population parameter leans on its prior."]
    lines = [
        f"Prior sensitivity: {len(moved)} of {len(table)} population parameters lean on a prior; "
        "the most (prior, likelihood):"
    ]
    width = int(moved["parameter"].head(_SHOWN).str.len().max())
    return lines + [
        f"  {row.parameter:<{width}}  {row.prior:.2f}  {row.likelihood:.2f}  {row.remark}"
        for row in moved.head(_SHOWN).itertuples()
    ]


def _population(table: pd.DataFrame) -> list[str]:
    width = int(table["parameter"].str.len().max())
    return ["Population (mean, central 95% interval, bulk ESS, R-hat):"] + [
        f"  {row.parameter:<{width}}  {row.mean:>9.3g}  ({row.lower_95:.3g} to "
        f"{row.upper_95:.3g})  {row.ess_bulk:.0f}  {row.r_hat:.3f}"
        for row in table.itertuples()
    ]


def _times(size: float) -> str:
    return f"{size:,.0f}" if size >= 10 else f"{size:.1f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}" if value >= 1e-12 else "below 1e-12"
