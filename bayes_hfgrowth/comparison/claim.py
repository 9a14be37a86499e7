"""The paper's claim that some organizations peak early, as probabilities for every one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hfgrowth.comparison.quantities import Draws
from bayes_hfgrowth.comparison.without import Without
from bayes_hfgrowth.comparison.words import probability_words, reliability_words

__all__ = ["CLAIMED", "EarlyPeaks", "early_peaks"]

CLAIMED = ("BAAI", "Meta", "StabilityAI")
"""Organizations of which arXiv 2502.15987 says that their base models peak early."""

LIKELY = 0.9
"""Probability from which something is called likely."""


@dataclass(frozen=True, eq=False)
class EarlyPeaks:
    """Which organizations peak early.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each organization of the fit, the earliest first: ``organization``,
        ``claimed`` (whether the paper says that it peaks early), ``median``, ``lower_95``,
        ``upper_95`` of the age at which its median base model peaks (months),
        ``earlier_than_median`` (probability that it peaks before the median organization; a
        tie counts half), ``among_earliest`` (probability that it is among the `few`
        earliest; ties share), ``earlier_without_largest`` (of the first probability, without
        its largest base model; NaN where not asked for) and the ``pareto_k`` of that.
    few : int
        As many as the paper names of those in the fit.
    all_earlier : float
        Probability that all of the named peak before the median organization.
    are_earliest : float
        Probability that the named are the `few` earliest, all of them.
    """

    table: pd.DataFrame
    few: int
    all_earlier: float
    are_earliest: float

    def sentences(self) -> list[str]:
        """The claim and its answer; none where the fit holds none of the named."""
        rows = self.table[self.table["claimed"]]
        if rows.empty or len(self.table) < 3 or len(rows) == len(self.table):
            return []
        who = _listed(sorted(rows["organization"]))
        lines = [f"The paper says that base models of {who} peak early. {self._answer(rows)}"]
        for row in rows.itertuples():
            line = (
                f"P({row.organization} peaks before the median organization) "
                f"{probability_words(row.earlier_than_median)}"
            )
            if not np.isnan(row.earlier_without_largest):
                words = probability_words(row.earlier_without_largest)
                line += f"; without its largest base model {words}{reliability_words(row.pareto_k)}"
            lines.append(line)
        if len(rows) > 1:
            lines += [
                f"P({who} all peak before the median organization) "
                f"{probability_words(self.all_earlier)}",
                f"P({who} are the {self.few} earliest of {len(self.table)}) "
                f"{probability_words(self.are_earliest)}",
            ]
        return lines

    @staticmethod
    def _answer(rows: pd.DataFrame) -> str:
        """What the probabilities come to, in words."""
        probability = rows["earlier_than_median"]
        sides = {
            "likely": probability >= LIKELY,
            "unlikely": probability <= 1.0 - LIKELY,
            "open": (probability < LIKELY) & (probability > 1.0 - LIKELY),
        }
        parts = [
            f"{word} for {_listed(sorted(rows.loc[side, 'organization']))}"
            for word, side in sides.items()
            if side.any()
        ]
        return (
            f"That one peaks before the median organization is {_listed(parts)} "
            f"(likely: at least {LIKELY:.0%}; unlikely: at most {1.0 - LIKELY:.0%})."
        )


def early_peaks(
    organizations: tuple[str, ...], peaks: Draws, without: Mapping[int, Without] | None = None
) -> EarlyPeaks:
    """Ask of every organization whether it peaks early.

    Parameters
    ----------
    organizations : tuple of str
        All organizations of a fit.
    peaks : ndarray, shape (draws, organizations)
        Ages at the peak.
    without : mapping of int to Without, optional
        Weights that leave out the largest base model of organizations, by their positions.
    """
    claimed, without = np.isin(organizations, CLAIMED), without or {}
    few, number = int(claimed.sum()), len(organizations)
    middle = np.median(peaks, axis=1, keepdims=True)
    earlier = np.where(peaks < middle, 1.0, np.where(peaks == middle, 0.5, 0.0))
    # Of the places left to those who tie, each of them has an equal part.
    first = stats.rankdata(peaks, method="min", axis=1)
    last = stats.rankdata(peaks, method="max", axis=1)
    among = np.clip((few - first + 1) / (last - first + 1), 0.0, 1.0)
    draw = np.arange(len(peaks))
    table = pd.DataFrame(
        {
            "organization": list(organizations),
            "claimed": claimed,
            "median": np.quantile(peaks, 0.5, axis=0, method="lower"),
            "lower_95": np.quantile(peaks, 0.025, axis=0, method="lower"),
            "upper_95": np.quantile(peaks, 0.975, axis=0, method="higher"),
            "earlier_than_median": earlier.mean(axis=0),
            "among_earliest": among.mean(axis=0),
            "earlier_without_largest": [
                without[i].mean(earlier[:, i], draw) if i in without else np.nan
                for i in range(number)
            ],
            "pareto_k": [without[i].pareto_k if i in without else np.nan for i in range(number)],
        }
    )
    table = table.sort_values(
        ["earlier_than_median", "organization"], ascending=[False, True], ignore_index=True
    )
    all_earlier = are_earliest = np.nan
    named, others = peaks[:, claimed], peaks[:, ~claimed]
    if few:
        all_earlier = float((named < middle).all(axis=1).mean())
    if 0 < few < number:
        are_earliest = float((named.max(axis=1) < others.min(axis=1)).mean())
    return EarlyPeaks(table, few, all_earlier, are_earliest)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
