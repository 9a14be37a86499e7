"""Run the transition law for draws of the parameters: densities, replicates, futures."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayes_hfgrowth.growth.paths import simulate
from bayes_hfgrowth.growth.transition import (
    LIKELIHOODS,
    month_constants,
    pointwise,
    replicate,
)
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History

__all__ = [
    "base_model_parameters",
    "carry_over",
    "dormancy_shares",
    "futures",
    "log_likelihood",
    "narrowed",
    "replicates",
    "simulated_history",
]

type Floats = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]


def base_model_parameters(spec: GrowthSpec, draws: xr.Dataset) -> Floats:
    """Growth parameters as the transition law takes them.

    Parameters
    ----------
    spec : GrowthSpec
        Names the parameters.
    draws : xarray.Dataset
        Variables of a posterior or prior, over ``chain``, ``draw`` and ``base_model``.

    Returns
    -------
    ndarray of float64, shape (chains * draws, base models, parameters)
        ln fitness, immediacy, ln longevity, and ln dispersion where there is one.
    """
    columns = []
    for name in spec.parameters:
        values = draws[name].transpose("chain", "draw", "base_model").to_numpy()
        values = values.reshape(-1, values.shape[-1]).astype(np.float64)
        columns.append(np.log(values) if LOG_SCALE[name] else values)
    return np.stack(columns, axis=-1)


def carry_over(spec: GrowthSpec, draws: xr.Dataset) -> Floats:
    """Strength and memory of the carry-over, drawn or as set; zero where there is none.

    Parameters
    ----------
    spec : GrowthSpec
        Holds the settings.
    draws : xarray.Dataset
        Holds ``carry_over_strength`` and ``carry_over_memory`` where they have priors.

    Returns
    -------
    ndarray of float64, shape (chains * draws, 2)
    """
    number = draws.sizes["chain"] * draws.sizes["draw"]
    carry = np.zeros((number, 2))
    if spec.carry_over is not None:
        for index, part in enumerate(("strength", "memory")):
            name = f"carry_over_{part}"
            if name in draws:
                carry[:, index] = draws[name].transpose("chain", "draw").to_numpy().ravel()
            else:
                carry[:, index] = getattr(spec.carry_over, part)
    return carry


def dormancy_shares(spec: GrowthSpec, draws: xr.Dataset) -> Floats | None:
    """Share of dormant base models of each organization, where the growth model has one.

    Parameters
    ----------
    spec : GrowthSpec
        Says whether there is one.
    draws : xarray.Dataset
        Then holds ``organization_dormancy``.

    Returns
    -------
    ndarray of float64, shape (chains * draws, organizations), or None
    """
    if spec.dormancy is None:
        return None
    shares = draws["organization_dormancy"].transpose("chain", "draw", "organization").to_numpy()
    return np.asarray(shares.reshape(-1, shares.shape[-1]), dtype=np.float64)


def _shares(spec: GrowthSpec, history: History, draws: int, dormancy: Floats | None) -> Floats:
    """The shares as the compiled law takes them; 0 where the growth model has none."""
    if spec.dormancy is not None and dormancy is None:
        raise ValueError(f"the growth model {spec.name} needs the shares of dormant base models")
    if spec.dormancy is None or dormancy is None:
        return np.zeros((draws, max(1, len(history.organizations))))
    return np.ascontiguousarray(dormancy, dtype=np.float64)


def log_likelihood(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    carry: Floats,
    dormancy: Floats | None = None,
) -> npt.NDArray[np.float32]:
    """Log density of every observed month under every draw, given the months before it.

    Parameters
    ----------
    spec : GrowthSpec
        Names the law.
    history : History
        The months.
    theta, carry : ndarray
        From `base_model_parameters` and `carry_over`.
    dormancy : ndarray, optional
        From `dormancy_shares`; needed where the growth model has one.

    Returns
    -------
    ndarray of float32, shape (draws, months)
    """
    law = LIKELIHOODS[spec.likelihood]
    out = np.empty((len(theta), len(history.new)), dtype=np.float32)
    constants = month_constants(law, history.previous, history.new, spec.m)
    pointwise(
        law, history.start, history.log_age, history.previous, history.new, constants,
        spec.m, theta, carry, history.organization_of,
        _shares(spec, history, len(theta), dormancy), out,
    )  # fmt: skip
    return out


def replicates(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    carry: Floats,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> Counts:
    """Draw every observed month anew, given the months observed before it.

    Parameters
    ----------
    spec, history, theta, carry, dormancy
        As in `log_likelihood`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (draws, months)
    """
    out = np.empty((len(theta), len(history.new)), dtype=np.int64)
    replicate(
        LIKELIHOODS[spec.likelihood], history.start, history.log_age, history.previous,
        history.new, spec.m, theta, carry, history.organization_of,
        _shares(spec, history, len(theta), dormancy), rng, out,
    )  # fmt: skip
    return out


def futures(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    carry: Floats,
    months: int,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> Counts:
    """Continue every base model from the count known today, one path for each draw.

    Parameters
    ----------
    spec, history, theta, carry, dormancy
        As in `log_likelihood`.
    months : int
        How far to go, in months.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (draws, base models, months)
        Cumulative fine-tunes; never below the last known count, never falling.
    """
    out = np.empty((len(theta), len(history.base_models), months), dtype=np.int64)
    simulate(
        LIKELIHOODS[spec.likelihood], history.start, history.log_age, history.previous,
        history.new, spec.m, theta, carry, history.organization_of,
        _shares(spec, history, len(theta), dormancy), months, rng, out,
    )  # fmt: skip
    return out


def narrowed(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Counts as 32-bit integers where they fit, which take half the place."""
    return counts.astype(np.int32) if counts.max(initial=0) < np.iinfo(np.int32).max else counts


def simulated_history(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    carry: Floats,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> History:
    """Make up the counts of a history from the model, ages and names as they are.

    Parameters
    ----------
    spec, history
        Law, and the base models with their ages.
    theta : ndarray, shape (base models, parameters)
        Growth parameters.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    rng : numpy.random.Generator
        Source of randomness.
    dormancy : ndarray, shape (organizations,), optional
        Shares of dormant base models; needed where the growth model has them.
    """
    newborn = replace(
        History.newborn(len(history.base_models)),
        organizations=history.organizations,
        organization_of=history.organization_of,
    )
    longest = int(history.months.max(initial=0))
    shares = None if dormancy is None else dormancy[None]
    paths = futures(spec, newborn, theta[None], carry[None], longest, rng, shares)[0]
    column = history.month.astype(np.int64) - 1
    counts = paths[history.base_model_of, column].astype(np.float64)
    first = column == 0
    previous = np.where(first, 0.0, np.roll(counts, 1))
    return replace(history, previous=previous, new=counts - previous)
