"""Run the transition law for draws of the parameters: densities, replicates, futures."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayes_hfgrowth.history import History
from bayes_hfgrowth.priors import LOG_SCALE
from bayes_hfgrowth.spec import GrowthSpec
from bayes_hfgrowth.transition import (
    LIKELIHOODS,
    month_constants,
    pointwise,
    replicate,
    simulate,
)

__all__ = [
    "base_model_parameters",
    "carry_over",
    "futures",
    "log_likelihood",
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


def log_likelihood(
    spec: GrowthSpec, history: History, theta: Floats, carry: Floats
) -> npt.NDArray[np.float32]:
    """Log density of every observed month under every draw.

    Parameters
    ----------
    spec : GrowthSpec
        Names the law.
    history : History
        The months.
    theta, carry : ndarray
        From `base_model_parameters` and `carry_over`.

    Returns
    -------
    ndarray of float32, shape (draws, months)
    """
    law = LIKELIHOODS[spec.likelihood]
    out = np.empty((len(theta), len(history.new)), dtype=np.float32)
    constants = month_constants(law, history.previous, history.new, spec.m)
    pointwise(
        law, history.start, history.log_age, history.previous, history.new, constants,
        spec.m, theta, carry, out,
    )  # fmt: skip
    return out


def replicates(
    spec: GrowthSpec, history: History, theta: Floats, carry: Floats, rng: np.random.Generator
) -> Counts:
    """Draw every observed month anew, given the months observed before it.

    Parameters
    ----------
    spec, history, theta, carry
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
        history.new, spec.m, theta, carry, rng, out,
    )  # fmt: skip
    return out


def futures(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    carry: Floats,
    months: int,
    rng: np.random.Generator,
) -> Counts:
    """Continue every base model from the count known today, one path for each draw.

    Parameters
    ----------
    spec, history, theta, carry
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
        history.new, spec.m, theta, carry, months, rng, out,
    )  # fmt: skip
    return out


def simulated_history(
    spec: GrowthSpec, history: History, theta: Floats, carry: Floats, rng: np.random.Generator
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
    """
    newborn = History.newborn(len(history.base_models))
    longest = int(history.months.max(initial=0))
    paths = futures(spec, newborn, theta[None], carry[None], longest, rng)[0]
    column = history.month.astype(np.int64) - 1
    counts = paths[history.base_model_of, column].astype(np.float64)
    first = column == 0
    previous = np.where(first, 0.0, np.roll(counts, 1))
    return replace(history, previous=previous, new=counts - previous)
