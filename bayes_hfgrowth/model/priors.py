"""Draws from the priors of a specification, and their densities."""

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from scipy.special import expit, logit

from bayes_hfgrowth.model.specification import Dormancy, GrowthSpec, Prior
from bayes_hfgrowth.panel.period import stationary

__all__ = ["LOG_SCALE", "draw_prior", "frozen", "log_prior"]

LOG_SCALE = {"fitness": True, "immediacy": False, "longevity": True, "dispersion": True}
"""Which growth parameters are modelled on the log scale, in the order of the transition law."""


def frozen(prior: Prior) -> Any:
    """Make the frozen SciPy distribution of a prior."""
    p = prior.parameters
    match prior.distribution:
        case "Normal":
            return stats.norm(p["mu"], p["sigma"])
        case "LogNormal":
            return stats.lognorm(s=p["sigma"], scale=p["median"])
        case "HalfNormal":
            return stats.halfnorm(scale=p["sigma"])
        case "Gamma":
            return stats.gamma(p["alpha"], scale=1.0 / p["beta"])
        case "Exponential":
            return stats.expon(scale=p["scale"])
        case _:
            return stats.beta(p["alpha"], p["beta"])


def draw_prior(
    spec: GrowthSpec,
    organization_of: npt.NDArray[np.int64],
    organizations: int,
    draws: int,
    rng: np.random.Generator,
    calendar_months: int,
) -> xr.Dataset:
    """Draw population and base models from the prior.

    Parameters
    ----------
    spec : GrowthSpec
        Hierarchy and priors.
    organization_of : ndarray of int, shape (base models,)
        Organization of each base model.
    organizations : int
        Number of organizations.
    draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.
    calendar_months : int
        Number of calendar months that the period effect is drawn for; not used without one.

    Returns
    -------
    xarray.Dataset
        One ``chain``; the same variables as a posterior, without coordinates: parameters that
        the specification holds fixed are left out, and ``period_effect``, over
        ``calendar_month``, is there whenever the specification has one.
    """
    variables: dict[str, Any] = {}
    lead = ("chain", "draw")

    def put(name: str, values: npt.NDArray[np.float64], *dims: str) -> None:
        variables[name] = ((*lead, *dims), values[None])

    def draw(prior: Prior) -> npt.NDArray[np.float64]:
        values = np.asarray(frozen(prior).rvs(size=draws, random_state=rng))
        if prior.distribution == "Beta":
            # One that leans on 0 or 1 gives draws that round to it, outside of its support.
            values = np.clip(values, np.finfo(np.float64).tiny, np.nextafter(1.0, 0.0))
        return values

    for name, pooling in spec.hierarchies.items():
        natural: Any = expit if name == "dormancy" else np.exp if LOG_SCALE[name] else np.asarray
        location = draw(pooling.location)
        put(f"global_{name}", natural(location))
        mean = np.repeat(location[:, None], organizations, axis=1)
        if pooling.between_organizations is not None:
            scale = draw(pooling.between_organizations)
            put(f"between_organizations_{name}", scale)
            mean = mean + scale[:, None] * rng.standard_normal(mean.shape)
        put(f"organization_{name}", natural(mean), "organization")
        if isinstance(pooling, Dormancy):  # which no base model has for itself
            continue
        scale = draw(pooling.between_base_models)
        put(f"between_base_models_{name}", scale)
        offsets = rng.standard_normal((draws, len(organization_of)))
        with np.errstate(over="ignore"):
            values = natural(mean[:, organization_of] + scale[:, None] * offsets)
        put(name, values, "base_model")
    shared: dict[str, npt.NDArray[np.float64]] = {}
    for name, entry in spec.shared.items():
        if isinstance(entry, Prior):
            shared[name] = draw(entry)
            put(name, shared[name])
        else:
            shared[name] = np.full(draws, entry)
    if spec.period_effect is not None:
        effect = stationary(
            rng.standard_normal((draws, calendar_months)),
            shared["period_persistence"],
            shared["period_innovation"],
        )
        put("period_effect", effect, "calendar_month")
    return xr.Dataset(variables)


def log_prior(spec: GrowthSpec, posterior: xr.Dataset) -> xr.Dataset:
    """Log prior density of the population's parameters, on the scale they are modelled on.

    Parameters
    ----------
    spec : GrowthSpec
        The priors.
    posterior : xarray.Dataset
        Draws of the population.

    Returns
    -------
    xarray.Dataset
        Over ``chain`` and ``draw``, for each population parameter that has a prior of its
        own in the specification. What power-scaling of the prior works on.
    """
    densities: dict[str, xr.DataArray] = {}

    def put(name: str, prior: Prior, values: Any) -> None:
        densities[name] = values.copy(data=frozen(prior).logpdf(values.to_numpy()))

    for name, pooling in spec.hierarchies.items():
        location: Any = posterior[f"global_{name}"]
        if name == "dormancy":
            location = logit(location)
        elif LOG_SCALE[name]:
            location = np.log(location)
        put(f"global_{name}", pooling.location, location)
        for level in ("between_organizations", "between_base_models"):
            if (prior := getattr(pooling, level, None)) is not None:
                put(f"{level}_{name}", prior, posterior[f"{level}_{name}"])
    # The period effect is not here: its density is part of the model, as the base models' is.
    for name, entry in spec.shared.items():
        if isinstance(entry, Prior):
            put(name, entry, posterior[name])
    return xr.Dataset(densities)
