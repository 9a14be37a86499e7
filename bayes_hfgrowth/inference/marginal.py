"""The engine ``marginal``: the No-U-Turn sampler of nutpie on a compiled density.

The density and its gradient are those of `bayes_hfgrowth.inference.posterior_density`, in
coordinates that look standard normal to the sampler (`bayes_hfgrowth.inference.adaptation`).
Whether a base model without fine-tunes is dormant is summed over.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from nutpie.compiled_pyfunc import PyFuncModel, from_pyfunc

from bayes_hfgrowth.growth.law import Floats
from bayes_hfgrowth.inference.adaptation import Aim, WhitenedPosterior
from bayes_hfgrowth.inference.posterior_density import posterior_density
from bayes_hfgrowth.support.errors import FitError

__all__ = ["OVERDISPERSED", "compiled_for", "draws_of"]

OVERDISPERSED = 1.5
"""How much further from the middle chains start than draws of the pilot lie."""


def compiled_for(posterior: WhitenedPosterior, aim: Aim) -> PyFuncModel:
    """The posterior in given coordinates, as nutpie samples it.

    Parameters
    ----------
    posterior : WhitenedPosterior
        What to sample.
    aim : Aim
        In which coordinates, and where to start from.

    Raises
    ------
    FitError
        If no start has a finite density.
    """
    data, layout = posterior.data(aim), posterior.layout
    if not np.isfinite(posterior_density(posterior.start(aim, 0, 1.0), data)[0]):
        raise FitError(
            "the sampler has no start with a finite density; give other priors, or look for "
            "counts that no parameters allow"
        )

    def make_density() -> Callable[[Floats], tuple[float, Floats]]:
        def density(x: Floats) -> tuple[float, Floats]:
            value, slope, _, _ = posterior_density(np.ascontiguousarray(x), data)
            return value, slope

        return density

    def make_expansion(*_: Any) -> Callable[[Floats], dict[str, Floats]]:
        def expand(x: Floats) -> dict[str, Floats]:
            _, _, point, theta = posterior_density(np.ascontiguousarray(x), data)
            return {"point": point, "theta": theta.ravel()}

        return expand

    shapes = (layout.size,), (posterior.members * layout.parameters,)
    return from_pyfunc(
        posterior.dimensions,
        make_density,
        make_expansion,
        [np.dtype(np.float64)] * 2,
        list(shapes),
        ["point", "theta"],
        make_initial_point_fn=lambda seed: posterior.start(aim, seed, OVERDISPERSED),
    )


def draws_of(posterior: WhitenedPosterior, found: xr.Dataset) -> xr.Dataset:
    """What nutpie drew, as `WhitenedPosterior.aim_by` and `WhitenedPosterior.named` read it.

    Parameters
    ----------
    posterior : WhitenedPosterior
        What was sampled.
    found : xarray.Dataset
        ``point`` and ``theta``, flat, over ``chain`` and ``draw``.

    Returns
    -------
    xarray.Dataset
        ``point`` over ``coordinate``; ``theta`` over ``member`` and ``parameter``.
    """
    theta = found["theta"].to_numpy()
    theta = theta.reshape(*theta.shape[:2], posterior.members, posterior.layout.parameters)
    lead = ("chain", "draw")
    return xr.Dataset(
        {
            "point": ((*lead, "coordinate"), found["point"].to_numpy()),
            "theta": ((*lead, "member", "parameter"), theta.astype(np.float32)),
        },
        coords={name: found[name] for name in lead},
    )
