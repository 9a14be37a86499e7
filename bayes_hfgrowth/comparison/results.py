"""Compare organizations: the table, the pairs, the ranks, and all of it without the largest."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.comparison.claim import CLAIMED, EarlyPeaks, early_peaks
from bayes_hfgrowth.comparison.quantities import (
    NEW_MONTHS,
    QUANTITIES,
    QuantityDraws,
    peak_months,
    quantity_draws,
    quantity_of,
)
from bayes_hfgrowth.comparison.without import Without, log_weights_without
from bayes_hfgrowth.comparison.words import largest_sentence, pair_sentence
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.support.errors import ComparisonError
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.names import indices_of, suggestion
from bayes_hfgrowth.support.ranks import rank_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison", "compare", "largest_base_models"]

_PORTFOLIO = f"portfolio_after_{NEW_MONTHS}_months"

# As in the forecast table, a quantile is itself a draw, rounded outwards, so that an interval
# holds at least its probability and a count stays a whole number.
_TAILS: dict[str, tuple[float, Literal["lower", "higher"]]] = {
    "median": (0.5, "lower"),
    "lower_50": (0.25, "lower"),
    "upper_50": (0.75, "higher"),
    "lower_95": (0.025, "lower"),
    "upper_95": (0.975, "higher"),
}
_TAILS_WITHOUT = ("median", "lower_95", "upper_95")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a fit says of organizations, one against another.

    Everything that one base model could dominate is said twice: by all base models, and
    without the largest of the organization (of each of the two, where two are compared), as
    if the panel had not held it. The second is the same posterior, reweighted; see
    `bayes_hfgrowth.comparison.without`. Where the Pareto k of its weights is above 0.7 the
    draws say it badly, and only a fit without the base model says it well.

    Parameters
    ----------
    organizations : tuple of str
        In the order asked for.
    table : pandas.DataFrame
        One row for each organization and quantity: ``organization``, ``quantity``, ``unit``,
        ``median``, the central intervals ``lower_50``, ``upper_50``, ``lower_95``,
        ``upper_95``, then ``median_without_largest``, ``lower_95_without_largest``,
        ``upper_95_without_largest`` and ``pareto_k`` (of these three; 0 where nothing is
        reweighted). Quantities:

        - ``immediacy``, ``longevity``, ``fitness``: of the organization's median base model;
        - ``peak_age``: the age of that base model at the end of the month that brings most
          fine-tunes, 1 to 600 months;
        - ``ultimate_impact``: the fine-tunes that its curve ends at;
        - ``dormancy``: the share of base models that never get any fine-tune (NaN, and no
          pairs, where the growth model has none);
        - ``median_at_6_months``, ``median_at_12_months``: fine-tunes of the median base model
          at these ages, on its curve;
        - ``finetunes_after_12_months``: of a new base model, drawn from the organization's
          population, so its interval holds the spread among base models and the chance of
          the months besides the uncertainty of the fit;
        - ``share_passing_100``, ``share_without_finetune``: of new base models, those that
          pass 100 fine-tunes within 12 months, and those that have none by then (250 are
          simulated under each draw, so the shares are multiples of 0.004);
        - ``portfolio_after_12_months``: fine-tunes that the organization's present base
          models have in all, 12 months after the last known count;
        - ``base_models``, ``finetunes``, ``share_of_largest``: counted in the data of the
          fit (all five numbers of the row are the same): base models, their fine-tunes, and
          the share of these that the largest of them holds (NaN without any fine-tune).
    pairs : pandas.DataFrame
        One row for each pair of organizations and quantity with uncertainty: ``first``,
        ``second``, ``quantity``, ``probability`` that the first's is larger (a tie counts
        half), ``sentence``, ``probability_without_largest`` (without the largest base model
        of each) and its ``pareto_k``.
    ranks : pandas.DataFrame
        One row for each quantity with uncertainty and organization: ``quantity``,
        ``organization``, ``median_rank``, ``lower_95``, ``upper_95``, ``largest``,
        ``smallest``; rank 1 has the largest value. See `bayes_hfgrowth.support.ranks.rank_table`.
    largest : pandas.DataFrame
        Indexed by organization: ``base_model`` with most fine-tunes, its ``finetunes``, its
        ``share`` of the organization's, and the ``pareto_k`` of leaving it out.
    early : EarlyPeaks
        The paper's claim that some organizations peak early, asked of all in the fit.
    min_finetunes : int
        Fewest fine-tunes of any base model in the fit. Where it is not 0, the fit knows
        nothing of less successful base models, and neither do the new ones simulated here.
    counted : Counted
        What was counted; it stands in the place of fine-tunes everywhere here.
    """

    organizations: tuple[str, ...]
    table: pd.DataFrame
    pairs: pd.DataFrame
    ranks: pd.DataFrame
    largest: pd.DataFrame
    early: EarlyPeaks
    min_finetunes: int
    counted: Counted = FINETUNES

    def sections(self) -> dict[str, list[str]]:
        """Plain statements under short headings; no section is empty.

        First the probabilities of each pair, ordered as in `pairs`, then the `notes`.
        """
        pairs = self.pairs.groupby(["first", "second"], sort=False)["sentence"]
        told = {f"{first} and {second}": list(said) for (first, second), said in pairs}
        return told | self.notes()

    def notes(self) -> dict[str, list[str]]:
        """What there is to say besides the probabilities of pairs, under short headings.

        The paper's claim, then how much of each organization hangs on its largest base model,
        then, where the fit leaves out base models with few fine-tunes, a reminder of it. No
        section is empty.
        """
        cells = self.table.set_index(["organization", "quantity"])
        notes = {
            "The paper's claim: who peaks early": self.early.sentences(),
            "What hangs on one base model": [
                largest_sentence(str(organization), row, cells.loc[organization], self.counted)
                for organization, row in self.largest.iterrows()
            ],
        }
        if self.min_finetunes > 0:
            notes["Mind"] = [
                f"Every base model in the fit has at least {self.min_finetunes} "
                f"{self.counted.many}: a new base model here means one that is as successful, "
                "not just any."
            ]
        return {heading: lines for heading, lines in notes.items() if lines}

    def sentences(self) -> list[str]:
        """The statements of `sections`, one after another."""
        return [line for lines in self.sections().values() for line in lines]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file (``.csv``, ``.parquet``), which appears whole or not at all.

        Raises
        ------
        ComparisonError
            When the ending is another, or the file cannot be written.
        """
        write_table(self.table, path, ComparisonError)

    def plot(self, **options: Any) -> "Figure":
        """Forest plot; see `bayes_hfgrowth.figures.organizations.organization_forest`."""
        from bayes_hfgrowth.figures.organizations import organization_forest  # a view of this

        return organization_forest(self.table, **{"counted": self.counted} | options)


def compare(fit: FittedDraws, organizations: Sequence[str], seed: int | None = None) -> Comparison:
    """Compare organizations by the draws of a fit.

    Probabilities compare the organizations draw by draw, so what the fit does not know of
    both alike cancels. They are posterior probabilities under the growth model of the fit.

    Parameters
    ----------
    fit : FittedDraws
        A fit whose growth model has an organization level.
    organizations : sequence of str
        At least two, each once.
    seed : int, optional
        Same seed, same result; by default the seed of the fit.

    Raises
    ------
    ComparisonError
        When fewer than two organizations are given, one is named twice or not in the fit,
        the seed is negative, or the fit has no organization level.
    """
    chosen = _checked(fit, organizations)
    seed = fit.about["seed"] if seed is None else seed
    if seed < 0:
        raise ComparisonError(f"the seed is {seed}; give a number from 0 on")
    names = tuple(fit.organizations[index] for index in chosen)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 5]))
    largest = largest_base_models(fit)
    left_out = dict(enumerate(largest["position"]))
    peaks = peak_months(fit.spec, fit.posterior)
    draws, smaller = quantity_draws(fit, chosen, peaks, left_out, rng)
    # Their own randomness for each, so that one's numbers do not depend on who else is asked.
    claimed = np.flatnonzero(np.isin(fit.organizations, CLAIMED))
    log_weights = {
        index: log_weights_without(
            fit, left_out[index], np.random.default_rng(np.random.SeedSequence([seed, 6, index]))
        )
        for index in np.union1d(chosen, claimed).tolist()
    }
    without = {index: Without.from_logarithms(each) for index, each in log_weights.items()}
    own = [without[index] for index in chosen.tolist()]
    largest = largest.loc[list(names)].drop(columns="position")
    return Comparison(
        organizations=names,
        table=_table(names, draws, smaller, own, _counted(fit, names), fit.counted),
        pairs=_pairs(names, draws, smaller, [log_weights[i] for i in chosen.tolist()], fit.counted),
        ranks=rank_table(names, {name: of.sample for name, of in draws.items()}),
        largest=largest.assign(pareto_k=[each.pareto_k for each in own]),
        early=early_peaks(fit.organizations, peaks, without),
        min_finetunes=int(fit.history.finetunes.min()),
        counted=fit.counted,
    )


def largest_base_models(fit: FittedDraws) -> pd.DataFrame:
    """Each organization's base model with most fine-tunes; the first of equals.

    Returns
    -------
    pandas.DataFrame
        Indexed by organization, all in the order of the fit: ``base_model``, its
        ``finetunes``, its ``share`` of the organization's (NaN where these are none), and its
        ``position`` in the fit.
    """
    finetunes, group = fit.history.finetunes, fit.history.organization_of
    rows = []
    for index in range(len(fit.organizations)):
        own = np.flatnonzero(group == index)
        top, total = int(own[np.argmax(finetunes[own])]), int(finetunes[own].sum())
        most = int(finetunes[top])
        rows.append((fit.base_models[top], most, most / total if total else np.nan, top))
    return pd.DataFrame(
        rows,
        index=pd.Index(fit.organizations, name="organization"),
        columns=["base_model", "finetunes", "share", "position"],
    )


def _checked(fit: FittedDraws, organizations: Sequence[str]) -> npt.NDArray[np.int64]:
    """Positions of the organizations in the fit."""
    if fit.spec.pooling == "global":
        raise ComparisonError(
            f"growth model {fit.spec.name!r} pools all base models as one and knows no "
            'organization level; fit a growth model with pooling = "organization" to compare'
        )
    wanted = [organizations] if isinstance(organizations, str) else list(organizations)
    chosen = indices_of(wanted, fit.organizations, "organization", "fit", ComparisonError)
    for name in wanted:
        if wanted.count(name) > 1:
            raise ComparisonError(f"organization {name!r} is named twice; name each once")
    if len(chosen) < 2:
        others = [name for name in fit.organizations if name not in wanted]
        raise ComparisonError(
            "a comparison needs at least two organizations; besides "
            f"{wanted[0]!r}, {suggestion('', others, 'other organization', 'fit')}"
        )
    return chosen


def _counted(fit: FittedDraws, names: tuple[str, ...]) -> dict[tuple[str, str], list[float]]:
    """What was counted, of all base models and without the largest, by organization and name."""
    counted = {}
    for name in names:
        own = fit.history.organization_of == fit.organizations.index(name)
        finetunes = np.sort(fit.history.finetunes[own])[::-1].astype(np.float64)
        both = [finetunes, finetunes[1:]]
        counted[name, "base_models"] = [float(len(part)) for part in both]
        counted[name, "finetunes"] = [float(part.sum()) for part in both]
        counted[name, "share_of_largest"] = [
            float(part[0] / part.sum()) if part.sum() > 0 else np.nan for part in both
        ]
    return counted


def _table(
    names: tuple[str, ...],
    draws: dict[str, QuantityDraws],
    smaller: QuantityDraws,
    without: Sequence[Without],
    sums: dict[tuple[str, str], list[float]],
    counted: Counted,
) -> pd.DataFrame:
    """Medians and intervals."""
    columns = [*_TAILS, *(f"{at}_without_largest" for at in _TAILS_WITHOUT), "pareto_k"]
    rows = []
    for position, name in enumerate(names):
        for key in QUANTITIES:
            if key in draws:
                sample, weights = draws[key].sample[:, position], without[position]
                whole = [float(np.quantile(sample, p, method=way)) for p, way in _TAILS.values()]
                left = smaller if key == _PORTFOLIO else draws[key]
                probabilities = [_TAILS[at][0] for at in _TAILS_WITHOUT]
                part = weights.quantiles(
                    left.sample[:, position], probabilities, left.draw
                ).tolist()
                k = weights.pareto_k
            else:  # counted, or the growth model has no such thing
                both, k = sums.get((name, key), [np.nan, np.nan]), 0.0
                whole, part = [both[0]] * len(_TAILS), [both[1]] * len(_TAILS_WITHOUT)
            about = {"organization": name, "quantity": key, "unit": quantity_of(key, counted).unit}
            rows.append(about | dict(zip(columns, [*whole, *part, k], strict=True)))
    return pd.DataFrame(rows)


def _pairs(
    names: tuple[str, ...],
    draws: dict[str, QuantityDraws],
    smaller: QuantityDraws,
    log_weights: Sequence[npt.NDArray[np.float64]],
    counted: Counted,
) -> pd.DataFrame:
    """Probability, for each pair and quantity, that the first's is larger."""
    rows = []
    for i, j in itertools.combinations(range(len(names)), 2):
        # Given the population base models are independent: of two, the weights multiply.
        without = Without.from_logarithms(log_weights[i] + log_weights[j])
        first, second, k = names[i], names[j], without.pareto_k
        for key, of in draws.items():
            tied = float(np.mean(of.sample[:, i] == of.sample[:, j]))
            probability = float(np.mean(_larger(of, i, j)))
            left = smaller if key == _PORTFOLIO else of
            without_largest = without.mean(_larger(left, i, j), left.draw)
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "quantity": key,
                    "probability": probability,
                    "sentence": pair_sentence(
                        key, first, second, probability, tied, without_largest, k, counted=counted
                    ),
                    "probability_without_largest": without_largest,
                    "pareto_k": k,
                }
            )
    return pd.DataFrame(rows)


def _larger(draws: QuantityDraws, i: int, j: int) -> npt.NDArray[np.float64]:
    """1 where the first is larger, one half where they tie."""
    first, second = draws.sample[:, i], draws.sample[:, j]
    return np.asarray((first > second) + 0.5 * (first == second))
