"""What the data add to the priors of the population's parameters."""

from collections.abc import Callable
from typing import Any

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
        ends = [*natural(before.ppf(tails)), *np.quantile(known, tails)]
        rows.append([name, *ends, float(normal(known).std(ddof=1)) / scale])
    sides = ("median", "lower_95", "upper_95")
    columns = [f"{when}_{side}" for when in ("prior", "posterior") for side in sides]
    return pd.DataFrame(rows, columns=["parameter", *columns, "posterior_to_prior_sd"])


def _parameters(spec: GrowthSpec) -> dict[str, tuple[Prior, Scale, Scale]]:
    """Prior of each posterior variable, the scale that it speaks of, and the way back."""
    plain, logs = (np.asarray, np.asarray), (np.log, np.exp)
    found: dict[str, tuple[Any, Scale, Scale]] = {}
    for name, pooling in spec.parameters.items():
        found[f"global_{name}"] = (pooling.location, *(logs if LOG_SCALE[name] else plain))
        found[f"between_organizations_{name}"] = (pooling.between_organizations, *plain)
        found[f"between_base_models_{name}"] = (pooling.between_base_models, *plain)
    if (dormancy := spec.dormancy) is not None:
        found["global_dormancy"] = (dormancy.location, logit, expit)
        found["between_organizations_dormancy"] = (dormancy.between_organizations, *plain)
    found |= {name: (entry, *plain) for name, entry in spec.shared.items()}
    return {name: entry for name, entry in found.items() if isinstance(entry[0], Prior)}
