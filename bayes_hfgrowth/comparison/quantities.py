"""What organizations are compared by: names, units, statements, and the draws of each."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayes_hfgrowth.growth import cumulative, ultimate_impact
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.period import RECENT_MONTHS
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    calendar_needed,
    dormancy_shares,
    flat,
    futures,
)

__all__ = [
    "EQUAL_AGES",
    "MANY",
    "NEW_BASE_MODELS",
    "NEW_MONTHS",
    "QUANTITIES",
    "Draws",
    "Quantity",
    "QuantityDraws",
    "curve_draws",
    "exponents",
    "peak_months",
    "population_draws",
    "quantity_draws",
    "quantity_of",
    "recent_period_effect",
]

NEW_MONTHS = 12
"""Months for which new base models are simulated, and present ones forecast."""

MANY = 100
"""Fine-tunes that a new base model may pass within those months."""

EQUAL_AGES = (6, 12)
"""Ages, in months, at which median base models are compared."""

LONGEST_PEAK = 600
"""Last month, fifty years on, in which a peak is looked for."""

NEW_BASE_MODELS = 250
"""New base models that each organization gets under each draw that is simulated."""

SIMULATED_DRAWS = 500
"""Most draws of the posterior under which base models are simulated."""

type Draws = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]


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
    **{
        f"median_at_{age}_months": Quantity(
            "fine-tunes",
            f"Median base model at {age} months",
            f"at the age of {age} months the median base model of {{first}} has more fine-tunes "
            "than that of {second}",
        )
        for age in EQUAL_AGES
    },
    f"finetunes_after_{NEW_MONTHS}_months": Quantity(
        "fine-tunes",
        f"New base model after {NEW_MONTHS} months",
        f"a new base model of {{first}} has more fine-tunes after {NEW_MONTHS} months "
        "than one of {second}",
    ),
    f"share_passing_{MANY}": Quantity(
        "share",
        f"New base models that pass {MANY} fine-tunes",
        f"a new base model of {{first}} passes {MANY} fine-tunes within {NEW_MONTHS} months more "
        "often than one of {second}",
    ),
    "share_without_finetune": Quantity(
        "share",
        "New base models without a fine-tune",
        f"a new base model of {{first}} stays without any fine-tune for {NEW_MONTHS} months more "
        "often than one of {second}",
    ),
    f"portfolio_after_{NEW_MONTHS}_months": Quantity(
        "fine-tunes",
        f"Present base models in {NEW_MONTHS} months",
        f"{NEW_MONTHS} months on, the present base models of {{first}} have more fine-tunes in "
        "all than those of {second}",
    ),
    "base_models": Quantity("base models", "Base models in the fit"),
    "finetunes": Quantity("fine-tunes", "Fine-tunes so far"),
    "share_of_largest": Quantity("share", "Share of the largest base model"),
}
"""The quantities of a comparison, in the order of its table."""


def quantity_of(key: str, counted: Counted = FINETUNES) -> Quantity:
    """One of `QUANTITIES` in the words of what was counted."""
    known = QUANTITIES[key]
    larger = None if known.larger is None else counted.said(known.larger)
    return Quantity(counted.said(known.unit), counted.said(known.label), larger)


@dataclass(frozen=True, eq=False)
class QuantityDraws:
    """Draws of one quantity.

    Parameters
    ----------
    sample : ndarray, shape (rows, organizations)
        One or more rows for each draw of the posterior that was used.
    draw : ndarray of int, shape (rows,)
        Position of that draw.
    """

    sample: Draws
    draw: Integers


def population_draws(posterior: xr.Dataset, name: str) -> Draws:
    """Organization means of a growth parameter; shape (draws, organizations)."""
    return flat(posterior, f"organization_{name}", "organization")


def exponents(spec: GrowthSpec, posterior: xr.Dataset) -> Draws:
    """Exponent of the reinforcement, drawn or as set; shape (draws,)."""
    if "reinforcement_exponent" in posterior:
        return flat(posterior, "reinforcement_exponent")
    return np.full(posterior.sizes["chain"] * posterior.sizes["draw"], spec.reinforcement)


def recent_period_effect(posterior: xr.Dataset) -> Draws:
    """Mean period effect of the last `RECENT_MONTHS` calendar months, or 0; shape (draws,).

    Fitness and period effects are known together better than apart: λ exp(z) decides what comes.
    So what is said of counts is said of months like those of the last year, alike for all
    organizations, and not of months with the effect 0, which may lie years back.
    """
    if "period_effect" not in posterior:
        return np.zeros(posterior.sizes["chain"] * posterior.sizes["draw"])
    effects = flat(posterior, "period_effect", "calendar_month")
    return np.asarray(effects[:, -RECENT_MONTHS:].mean(axis=1))


def _paced_fitness(posterior: xr.Dataset) -> Draws:
    """Fitness of organizations, times the recent pace of the Hub; shape (draws, organizations)."""
    pace = np.exp(recent_period_effect(posterior))
    return population_draws(posterior, "fitness") * pace[:, None]


def peak_months(spec: GrowthSpec, posterior: xr.Dataset) -> Draws:
    """Month in which the curve of each organization's median base model grows most.

    At the recent pace of the Hub, see `recent_period_effect`.

    The rate itself has a second maximum at the age exp(μ - σ²), which for a wide longevity is
    a spike within the first hours that brings next to nothing. Counts are monthly, so months
    are compared, not instants.

    Returns
    -------
    ndarray, shape (draws, organizations)
        Age at the end of that month, at most `LONGEST_PEAK` months.
    """
    organizations = posterior.sizes["organization"]
    curve = np.stack(
        [
            _paced_fitness(posterior).ravel(),
            *(population_draws(posterior, name).ravel() for name in ("immediacy", "longevity")),
            np.repeat(exponents(spec, posterior), organizations),
        ]
    )
    middle = np.exp(curve[1])
    month, going = np.zeros(curve.shape[1]), np.arange(curve.shape[1])
    before, last = np.zeros(len(going)), np.full(len(going), -np.inf)
    best = last.copy()
    for age in range(1, LONGEST_PEAK + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the largest float it is over
            fitness, immediacy, longevity, exponent = curve[:, going]
            count = cumulative(age, fitness, immediacy, longevity, spec.m, exponent)
            growth = count - before
        better = growth > best
        best[better], month[going[better]] = growth[better], age
        # The rate λ F'(t) (c + m)^γ rises where γ v φ(z) / (1 + (1 - γ) v Φ(z)) - z - σ > 0, with
        # v = λ m^(γ-1). That falls from the age exp(μ), z = 0, on, as φ falls and Φ rises there:
        # a month there that brings less than the one before is followed by none that brings more.
        on = ~((growth < last) & (age - 2 >= middle[going]))
        going, before, last, best = going[on], count[on], growth[on], best[on]
        if len(going) == 0:
            break
    return month.reshape(-1, organizations)


def curve_draws(spec: GrowthSpec, posterior: xr.Dataset, peaks: Draws) -> dict[str, Draws]:
    """What draws of the population say of organizations without any simulation.

    Counts are those at the recent pace of the Hub, see `recent_period_effect`. `peaks` are from
    `peak_months`.

    Returns
    -------
    dict of str to ndarray, shape (draws, organizations)
        By the name of the quantity.
    """
    immediacy = population_draws(posterior, "immediacy")
    longevity = population_draws(posterior, "longevity")
    exponent, paced = exponents(spec, posterior)[:, None], _paced_fitness(posterior)
    at_ages = {
        f"median_at_{age}_months": cumulative(age, paced, immediacy, longevity, spec.m, exponent)
        for age in EQUAL_AGES
    }
    shares = dormancy_shares(spec, posterior)
    return {
        "immediacy": immediacy,
        "peak_age": peaks,
        "longevity": longevity,
        "fitness": population_draws(posterior, "fitness"),
        "ultimate_impact": ultimate_impact(paced, spec.m, exponent),
        **({} if shares is None else {"dormancy": shares}),
        **at_ages,
    }


def quantity_draws(
    fit: FittedDraws,
    chosen: Integers,
    peaks: Draws,
    left_out: dict[int, int],
    rng: np.random.Generator,
) -> tuple[dict[str, QuantityDraws], QuantityDraws]:
    """Draws of every uncertain quantity of some organizations.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    chosen : ndarray of int, shape (organizations,)
        Positions of the organizations in the fit.
    peaks : ndarray, shape (draws, organizations of the fit)
        From `peak_months`.
    left_out : dict of int to int
        A base model of each organization, by their positions in the fit, without which the
        portfolio is added up a second time.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    draws : dict of str to QuantityDraws
        By the name of the quantity, columns in the order of `chosen`.
    smaller_portfolio : QuantityDraws
        The portfolio without the base models left out.
    """
    spec, posterior = fit.spec, fit.posterior
    exact = curve_draws(spec, posterior.isel(organization=chosen), peaks[:, chosen])
    everyone = np.arange(len(peaks))
    draws = {name: QuantityDraws(values, everyone) for name, values in exact.items()}
    every = max(1, -(-len(peaks) // SIMULATED_DRAWS))
    used = everyone.reshape(posterior.sizes["chain"], -1)[:, ::every].ravel()
    thin = posterior.isel(draw=slice(None, None, every))
    new = np.stack([_new_base_models(spec, thin, int(o), rng) for o in chosen], axis=-1)
    draws[f"finetunes_after_{NEW_MONTHS}_months"] = QuantityDraws(
        new.reshape(-1, len(chosen)).astype(np.float64), np.repeat(used, NEW_BASE_MODELS)
    )
    draws[f"share_passing_{MANY}"] = QuantityDraws((new > MANY).mean(axis=1), used)
    draws["share_without_finetune"] = QuantityDraws((new == 0).mean(axis=1), used)
    # Whatever speeds up or slows down the whole Hub does so for all organizations of a draw.
    shared = SharedDraws.of(spec, thin).ahead_of(fit.history, NEW_MONTHS, rng)
    totals = [_portfolio(fit, thin, shared, int(o), left_out[int(o)], rng) for o in chosen]
    portfolio, smaller = (np.stack(columns, axis=-1) for columns in zip(*totals, strict=True))
    draws[f"portfolio_after_{NEW_MONTHS}_months"] = QuantityDraws(portfolio, used)
    return draws, QuantityDraws(smaller, used)


def _new_base_models(
    spec: GrowthSpec, posterior: xr.Dataset, organization: int, rng: np.random.Generator
) -> Integers:
    """Fine-tunes of new base models after `NEW_MONTHS` months; shape (draws, NEW_BASE_MODELS).

    Each draw brings the organization means and the scale of base models around them; from
    these come base models, and the transition law runs each from birth; with dormancy in the
    growth model, some of them never start.
    """
    own = posterior.isel(organization=[organization])
    columns = []
    for name in spec.parameters:
        mean = population_draws(own, name)
        mean = np.log(mean) if LOG_SCALE[name] else mean
        scale = flat(posterior, f"between_base_models_{name}")[:, None]
        columns.append(mean + scale * rng.standard_normal((len(mean), NEW_BASE_MODELS)))
    theta = np.stack(columns, axis=-1)
    newborn = History.newborn(NEW_BASE_MODELS)
    # New base models of different organizations are compared in months that are all alike.
    shared = SharedDraws.of(spec, own)
    if shared.period is not None:
        first, number = calendar_needed(newborn, NEW_MONTHS)
        recent = np.repeat(recent_period_effect(own)[:, None], number, axis=1)
        shared = replace(shared, period=recent, first=first)
    shares = dormancy_shares(spec, own)
    return futures(spec, newborn, theta, shared, NEW_MONTHS, rng, shares)[:, :, -1]


def _portfolio(
    fit: FittedDraws,
    posterior: xr.Dataset,
    shared: SharedDraws,
    organization: int,
    left_out: int,
    rng: np.random.Generator,
) -> tuple[Draws, Draws]:
    """Total of an organization's base models `NEW_MONTHS` months on, and without one of them."""
    own = np.flatnonzero(fit.history.organization_of == organization)
    theta = base_model_parameters(fit.spec, posterior.isel(base_model=own))
    shares, part = dormancy_shares(fit.spec, posterior), fit.history.subset(own)
    paths = futures(fit.spec, part, theta, shared, NEW_MONTHS, rng, shares)
    counts = paths[:, :, -1].astype(np.float64)
    total = counts.sum(axis=1)
    return total, total - counts[:, own == left_out].sum(axis=1)
