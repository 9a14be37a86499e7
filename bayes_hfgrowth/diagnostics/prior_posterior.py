"""What the data add to the priors of the population's parameters."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from bayes_hfgrowth.model.priors import LOG_SCALE, frozen
from bayes_hfgrowth.model.specification import GrowthSpec, Prior
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.population import PopulationPosterior

__all__ = ["prior_posterior_table"]

type Floats = npt.NDArray[np.float64]
type Scale = Callable[[Floats], Floats]


def prior_posterior_table(fit: FittedDraws | PopulationPosterior) -> pd.DataFrame:
    """Prior against posterior of every population parameter that has a prior of its own.

    The prior's numbers are exact, from the specification. The ratio of the standard deviations
    is taken on the scale on which the prior is symmetric or nearly so: the logarithm of fitness,
    longevity, dispersion and whatever has a log-normal prior, the logit of the dormancy, else
    the parameter as it is. 1 says that the data tell nothing, 0.1 that they leave a tenth of
    the prior's standard deviation.

    Parameters
    ----------
    fit : FittedDraws or PopulationPosterior
        A fit, or the population taken out of one.

    Returns
    -------
    pandas.DataFrame
        One row for each global mean (``global_*``, as fitness, months and shares are read, not
        on the log scale), standard deviation between organizations and between base models
        (``between_*``) and parameter that all base models share: ``parameter``,
        ``prior_median``, ``prior_lower_95``, ``prior_upper_95``, ``posterior_median``,
        ``posterior_lower_95``, ``posterior_upper_95`` (equal tails) and
        ``posterior_to_prior_sd``.
    """
    posterior, rows = fit.posterior, []
    tails = [0.5, 0.025, 0.975]
    for name, (prior, normal, natural) in _parameters(fit.spec).items():
        known = posterior[name].to_numpy().ravel().astype(np.float64)
        before = frozen(prior)
        if prior.distribution == "LogNormal":
            normal, scale = np.log, prior.parameters["sigma"]
        else:
            scale = float(before.std())
        rows.append(
            [
                name,
                *natural(before.ppf(tails)),
                *np.quantile(known, tails),
                float(normal(known).std(ddof=1)) / scale,
            ]
        )
    ends = [
        f"{when}_{end}"
        for when in ("prior", "posterior")
        for end in ("median", "lower_95", "upper_95")
    ]
    return pd.DataFrame(rows, columns=["parameter", *ends, "posterior_to_prior_sd"])


def _parameters(spec: GrowthSpec) -> dict[str, tuple[Prior, Scale, Scale]]:
    """Prior of each posterior variable, the scale that it speaks of, and the way back."""
    found: dict[str, tuple[Prior, Scale, Scale]] = {}

    def put(name: str, prior: Prior | None, normal: Scale = _same, natural: Scale = _same) -> None:
        if prior is not None:
            found[name] = (prior, normal, natural)

    for name, pooling in spec.parameters.items():
        scale = (np.log, np.exp) if LOG_SCALE[name] else (_same, _same)
        put(f"global_{name}", pooling.location, *scale)
        put(f"between_organizations_{name}", pooling.between_organizations)
        put(f"between_base_models_{name}", pooling.between_base_models)
    if spec.dormancy is not None:
        put("global_dormancy", spec.dormancy.location, logit, expit)
        put("between_organizations_dormancy", spec.dormancy.between_organizations)
    for name, entry in spec.shared.items():
        put(name, entry if isinstance(entry, Prior) else None)
    return found


def _same(values: Floats) -> Floats:
    return values
