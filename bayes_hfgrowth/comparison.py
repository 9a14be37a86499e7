"""Organizations against each other, with the uncertainty of every statement."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.draws import FittedDraws
from bayes_hfgrowth.errors import ComparisonError
from bayes_hfgrowth.files import write_table
from bayes_hfgrowth.growth import cumulative, ultimate_impact
from bayes_hfgrowth.history import History
from bayes_hfgrowth.names import indices_of, suggestion
from bayes_hfgrowth.priors import LOG_SCALE
from bayes_hfgrowth.ranks import rank_table
from bayes_hfgrowth.simulation import carry_over, dormancy_shares, futures
from bayes_hfgrowth.spec import GrowthSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["NEW_MONTHS", "QUANTITIES", "Comparison", "Quantity", "compare"]

NEW_MONTHS = 12
"""Months for which new base models are simulated."""

LONGEST_PEAK = 600
"""Last month, fifty years on, in which a peak is looked for."""

NEW_BASE_MODELS = 10
"""New base models that each organization gets under each draw of the posterior."""

type Draws = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """Something that organizations can be compared by.

    Parameters
    ----------
    unit : str
        Unit of its values.
    label : str
        What figures call it.
    larger : str or None
        The statement that the first organization's is larger, with ``{first}`` and
        ``{second}``; None for what was counted and has no uncertainty.
    """

    unit: str
    label: str
    larger: str | None = None


QUANTITIES = {
    "immediacy": Quantity(
        "log-months",
        "Immediacy",
        "the median base model of {first} has larger immediacy, so later attention, "
        "than that of {second}",
    ),
    "peak_age": Quantity(
        "months",
        "Age at peak",
        "the median base model of {first} peaks at a later age than that of {second}",
    ),
    "longevity": Quantity(
        "log-months",
        "Longevity",
        "the median base model of {first} has larger longevity, so attention over a wider "
        "span of ages, than that of {second}",
    ),
    "fitness": Quantity(
        "dimensionless",
        "Fitness",
        "the median base model of {first} has larger fitness than that of {second}",
    ),
    "ultimate_impact": Quantity(
        "fine-tunes",
        "Ultimate impact",
        "the median base model of {first} has larger ultimate impact than that of {second}",
    ),
    "dormancy": Quantity(
        "share",
        "Dormant base models",
        "{first} has a larger share of base models that never get any fine-tune than {second}",
    ),
    f"finetunes_after_{NEW_MONTHS}_months": Quantity(
        "fine-tunes",
        f"New base model after {NEW_MONTHS} months",
        f"a new base model of {{first}} has more fine-tunes after {NEW_MONTHS} months "
        "than one of {second}",
    ),
    "base_models": Quantity("base models", "Base models in the fit"),
    "finetunes": Quantity("fine-tunes", "Fine-tunes so far"),
    "share_of_largest": Quantity("share", "Share of the largest base model"),
}
"""The quantities of a comparison, in the order of its table."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a fit says of organizations, one against another.

    Parameters
    ----------
    organizations : tuple of str
        In the order asked for.
    table : pandas.DataFrame
        One row for each organization and quantity: ``organization``, ``quantity``, ``unit``,
        ``median``, and the central intervals ``lower_50``, ``upper_50``, ``lower_95``,
        ``upper_95``. Quantities:

        - ``immediacy``, ``longevity``, ``fitness``: of the organization's median base model;
        - ``peak_age``: the age of that base model at the end of the month that brings most
          fine-tunes, 1 to 600 months;
        - ``ultimate_impact``: the fine-tunes that its curve ends at;
        - ``dormancy``: the share of base models that never get any fine-tune (NaN, and no
          pairs, where the growth model has none);
        - ``finetunes_after_12_months``: of a new base model, drawn from the organization's
          population, so its interval holds the spread among base models and the chance of
          the months besides the uncertainty of the fit;
        - ``base_models``, ``finetunes``, ``share_of_largest``: counted in the data of the
          fit (all five numbers of the row are the same): base models, their fine-tunes, and
          the share of these that the largest of them holds (NaN without any fine-tune).
    pairs : pandas.DataFrame
        One row for each pair of organizations and quantity with uncertainty: ``first``,
        ``second``, ``quantity``, ``probability`` that the first's is larger (a tie counts
        half), ``sentence``.
    ranks : pandas.DataFrame
        One row for each quantity with uncertainty and organization: ``quantity``,
        ``organization``, ``median_rank``, ``lower_95``, ``upper_95``, ``largest``,
        ``smallest``; rank 1 has the largest value. See `bayes_hfgrowth.ranks.rank_table`.
    largest : pandas.DataFrame
        Indexed by organization: ``base_model`` with most fine-tunes, its ``finetunes``, and
        its ``share`` of the organization's.
    min_finetunes : int
        Fewest fine-tunes of any base model in the fit. Where it is not 0, the fit knows
        nothing of less successful base models, and neither do the new ones simulated here.
    """

    organizations: tuple[str, ...]
    table: pd.DataFrame
    pairs: pd.DataFrame
    ranks: pd.DataFrame
    largest: pd.DataFrame
    min_finetunes: int

    def sentences(self) -> list[str]:
        """Plain statements: every pair's probabilities, and what to keep in mind.

        Returns
        -------
        list of str
            First the probabilities, ordered as in `pairs`; then how much of each
            organization hangs on its largest base model; then, where the fit leaves out base
            models with few fine-tunes, a reminder of it.
        """
        lines = list(self.pairs["sentence"])
        for organization, row in self.largest.iterrows():
            if row["finetunes"] == 0:
                lines.append(f"No base model of {organization} in the fit has any fine-tune.")
                continue
            warning = (
                "; what is said of the total is mostly said of this one"
                if row["share"] > 0.5
                else ""
            )
            lines.append(
                f"{row['base_model']} holds {row['share']:.0%} of the fine-tunes of "
                f"{organization}{warning}."
            )
        if self.min_finetunes > 0:
            lines.append(
                f"Every base model in the fit has at least {self.min_finetunes} fine-tunes: a new "
                "base model here means one that is as successful, not just any."
            )
        return lines

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table.

        Parameters
        ----------
        path : path-like
            Ends in ``.csv`` or ``.parquet``. The file appears whole or not at all.

        Raises
        ------
        ComparisonError
            When the ending is another, or the file cannot be written.
        """
        write_table(self.table, path, ComparisonError)

    def plot(self, **options: Any) -> "Figure":
        """Forest plot; see `bayes_hfgrowth.figures.organizations.organization_forest`."""
        from bayes_hfgrowth.figures.organizations import organization_forest  # a view of this

        return organization_forest(self.table, **options)


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

    Returns
    -------
    Comparison

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
    draws = _quantity_draws(fit.spec, fit.posterior.isel(organization=chosen), rng)
    counts = pd.DataFrame(
        {
            "organization": np.array(fit.organizations, dtype=object)[fit.history.organization_of],
            "base_model": np.array(fit.base_models, dtype=object),
            "finetunes": fit.history.finetunes,
        }
    )
    largest = _largest(counts, names)
    return Comparison(
        organizations=names,
        table=_table(names, draws, counts, largest),
        pairs=_pairs(names, draws),
        ranks=rank_table(names, draws),
        largest=largest,
        min_finetunes=int(counts["finetunes"].min()),
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


def _quantity_draws(
    spec: GrowthSpec, posterior: xr.Dataset, rng: np.random.Generator
) -> dict[str, Draws]:
    """Draws of every uncertain quantity, each of shape (draws, organizations)."""

    def of_organizations(name: str) -> Draws:
        values = posterior[f"organization_{name}"].transpose("chain", "draw", "organization")
        return values.to_numpy().astype(np.float64).reshape(-1, posterior.sizes["organization"])

    fitness = of_organizations("fitness")
    immediacy = of_organizations("immediacy")
    longevity = of_organizations("longevity")
    shares = dormancy_shares(spec, posterior)
    return {
        "immediacy": immediacy,
        "peak_age": _peak_month(fitness, immediacy, longevity, spec.m),
        "longevity": longevity,
        "fitness": fitness,
        "ultimate_impact": ultimate_impact(fitness, spec.m),
        **({} if shares is None else {"dormancy": shares}),
        f"finetunes_after_{NEW_MONTHS}_months": _new_base_models(spec, posterior, rng),
    }


def _peak_month(fitness: Draws, immediacy: Draws, longevity: Draws, m: float) -> Draws:
    """Month in which the curve grows most.

    The rate itself has a second maximum at the age exp(μ - σ²), which for a wide longevity is
    a spike within the first hours that brings next to nothing. Counts are monthly, so months
    are compared, not instants.
    """
    before = np.zeros_like(fitness)
    best = np.full_like(fitness, -np.inf)
    month = np.zeros_like(fitness)
    for age in range(1, LONGEST_PEAK + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the largest float it is over
            count = cumulative(age, fitness, immediacy, longevity, m)
            growth = count - before
        better = growth > best
        best[better], month[better] = growth[better], age
        before = count
    return month


def _new_base_models(spec: GrowthSpec, posterior: xr.Dataset, rng: np.random.Generator) -> Draws:
    """Fine-tunes of new base models after `NEW_MONTHS` months.

    Each draw brings the organization means and the spread of base models around them; from
    these come `NEW_BASE_MODELS` base models for each organization, and the transition law
    runs each from birth; with dormancy in the growth model, some of them never start.

    Returns
    -------
    ndarray, shape (draws * NEW_BASE_MODELS, organizations)
    """
    organizations = posterior.sizes["organization"]
    columns = []
    for name in spec.parameters:
        dims = ("chain", "draw", "organization")
        mean = posterior[f"organization_{name}"].transpose(*dims).to_numpy()
        mean = mean.astype(np.float64).reshape(-1, 1, organizations)
        mean = np.log(mean) if LOG_SCALE[name] else mean
        spread = posterior[f"between_base_models_{name}"].transpose("chain", "draw").to_numpy()
        offsets = rng.standard_normal((len(mean), NEW_BASE_MODELS, organizations))
        columns.append((mean + spread.reshape(-1, 1, 1) * offsets).reshape(len(mean), -1))
    newborn = replace(
        History.newborn(NEW_BASE_MODELS * organizations),
        organizations=tuple(str(name) for name in posterior["organization"].to_numpy()),
        organization_of=np.tile(np.arange(organizations), NEW_BASE_MODELS),
    )
    theta, carry = np.stack(columns, axis=-1), carry_over(spec, posterior)
    shares = dormancy_shares(spec, posterior)
    counts = futures(spec, newborn, theta, carry, NEW_MONTHS, rng, shares)[:, :, -1]
    return counts.reshape(-1, organizations).astype(np.float64)


def _largest(counts: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Each organization's largest base model and its share; the first of equals."""
    rows = []
    for name in names:
        own = counts[counts["organization"] == name]
        top, total = own.loc[own["finetunes"].idxmax()], int(own["finetunes"].sum())
        share = int(top["finetunes"]) / total if total else np.nan
        rows.append((top["base_model"], int(top["finetunes"]), share))
    index = pd.Index(names, name="organization")
    return pd.DataFrame(rows, index=index, columns=["base_model", "finetunes", "share"])


def _table(
    names: tuple[str, ...], draws: dict[str, Draws], counts: pd.DataFrame, largest: pd.DataFrame
) -> pd.DataFrame:
    """Medians and intervals."""
    grouped = counts.groupby("organization")["finetunes"]
    observed = {
        "base_models": grouped.size(),
        "finetunes": grouped.sum(),
        "share_of_largest": largest["share"],
    }
    # As in the forecast table, a quantile is itself a draw, rounded outwards, so that an
    # interval holds at least its probability and a count stays a whole number.
    tails: dict[str, tuple[float, Literal["lower", "higher"]]] = {
        "median": (0.5, "lower"),
        "lower_50": (0.25, "lower"),
        "upper_50": (0.75, "higher"),
        "lower_95": (0.025, "lower"),
        "upper_95": (0.975, "higher"),
    }
    rows = []
    for position, name in enumerate(names):
        for key, quantity in QUANTITIES.items():
            row: dict[str, Any] = {"organization": name, "quantity": key, "unit": quantity.unit}
            if key in draws:
                values = draws[key][:, position]
                row |= {
                    at: float(np.quantile(values, probability, method=method))
                    for at, (probability, method) in tails.items()
                }
            elif quantity.larger is not None:  # the growth model has no such thing
                row |= dict.fromkeys(tails, np.nan)
            else:
                row |= dict.fromkeys(tails, float(observed[key][name]))
            rows.append(row)
    return pd.DataFrame(rows)


def _pairs(names: tuple[str, ...], draws: dict[str, Draws]) -> pd.DataFrame:
    """Probability, for each pair and quantity, that the first's is larger."""
    rows = []
    for i, j in itertools.combinations(range(len(names)), 2):
        for key, values in draws.items():
            larger = float(np.mean(values[:, i] > values[:, j]))
            tied = float(np.mean(values[:, i] == values[:, j]))
            probability = larger + 0.5 * tied
            rows.append(
                {
                    "first": names[i],
                    "second": names[j],
                    "quantity": key,
                    "probability": probability,
                    "sentence": _sentence(key, names[i], names[j], probability, tied),
                }
            )
    return pd.DataFrame(rows)


def _sentence(key: str, first: str, second: str, probability: float, tied: float) -> str:
    statement = QUANTITIES[key].larger
    assert statement is not None  # only quantities with draws come here
    # Two digits, and never a certainty that a finite number of draws cannot give.
    if probability < 0.005:
        shown = "< 0.01"
    elif probability >= 0.995:
        shown = "> 0.99"
    else:
        shown = f"= {probability:.2f}"
    note = f" (ties, {tied:.0%}, count half)" if tied >= 0.005 else ""
    return f"P({statement.format(first=first, second=second)}) {shown}{note}"
