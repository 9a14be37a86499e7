"""The engine ``marginal``: the No-U-Turn sampler of nutpie on a compiled density.

The density and its gradient are those of `bayes_hfgrowth.inference.posterior_density`, in
coordinates that look standard normal to the sampler (`bayes_hfgrowth.inference.adaptation`).
Whether a zero count is a structural zero is summed over.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_hfgrowth.growth.law import Floats
from bayes_hfgrowth.inference.adaptation import Adaptation, NonCentredPosterior
from bayes_hfgrowth.inference.posterior_density import posterior_density
from bayes_hfgrowth.support.errors import FitError

if TYPE_CHECKING:
    from nutpie.compiled_pyfunc import PyFuncModel

__all__ = ["compiled_for"]

_OVERDISPERSED = 1.5  # how much further from the middle chains start than draws of the pilot lie


def compiled_for(posterior: NonCentredPosterior, adaptation: Adaptation) -> "PyFuncModel":
    """The posterior in given coordinates, as nutpie samples it.

    Parameters
    ----------
    posterior : NonCentredPosterior
        What to sample.
    adaptation : Adaptation
        In which coordinates, and where to start from.

    Raises
    ------
    FitError
        If no start has a finite density.
    """
    from nutpie.compiled_pyfunc import from_pyfunc

    data, layout = posterior.data(adaptation), posterior.layout
    if not np.isfinite(posterior_density(posterior.start(adaptation, 0, 1.0), data)[0]):
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
            return {"point": point, "theta": theta}

        return expand

    return from_pyfunc(
        posterior.dimensions,
        make_density,
        make_expansion,
        [np.dtype(np.float64)] * 2,
        [(layout.size,), (posterior.members, layout.parameters)],
        ["point", "theta"],
        make_initial_point_fn=lambda seed: posterior.start(adaptation, seed, _OVERDISPERSED),
    )
