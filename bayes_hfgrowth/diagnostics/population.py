"""The population's parameters: summary, energy of the chains, and what the priors do to them."""

import logging

import arviz_stats as az
import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.posterior.convergence import population_names
from bayes_hfgrowth.posterior.draws import FittedDraws

__all__ = ["LEAST_BFMI", "SENSITIVE", "energy", "prior_sensitivity", "summarised"]

LEAST_BFMI = 0.3
"""Fraction of missing information below which a chain has hardly explored the energy (Betancourt
2016)."""

SENSITIVE = 0.05
"""Power-scaling sensitivity above which a posterior leans on what is scaled (Kallioinen, Paananen,
Bürkner and Vehtari 2024)."""


def summarised(posterior: xr.Dataset) -> pd.DataFrame:
    """``population`` of `bayes_hfgrowth.diagnostics.Diagnostics`, from all draws."""
    population = posterior[population_names(posterior)]
    table = az.summary(population, ci_prob=0.95, ci_kind="eti", round_to="none")
    table = table.rename(columns={"eti95_lb": "lower_95", "eti95_ub": "upper_95"})
    columns = ["mean", "sd", "lower_95", "upper_95", "ess_bulk", "ess_tail", "r_hat"]
    return table[columns].astype(np.float64).rename_axis("parameter").reset_index()


def energy(tree: xr.DataTree) -> pd.DataFrame:
    """Bayesian fraction of missing information of each chain; see `Diagnostics`.

    No rows where the sampler kept no energy.
    """
    statistics = tree["sample_stats"].to_dataset()
    if "energy" not in statistics:
        return pd.DataFrame({"chain": np.array([], dtype=int), "bfmi": np.array([], dtype=float)})
    values = az.bfmi(statistics)["energy"]
    return pd.DataFrame({"chain": values["chain"].to_numpy(), "bfmi": values.to_numpy()})


def prior_sensitivity(fit: FittedDraws) -> pd.DataFrame:
    """How far the posterior moves when the priors or the likelihood count for more or less.

    Power-scaling by importance weights, without a refit. The priors are those of the
    specification: of the global means, of the scales and of what all base models share. The fit
    has the groups ``log_prior`` and ``log_likelihood``.

    Returns
    -------
    pandas.DataFrame
        For each parameter of the population ``parameter``, ``prior`` and ``likelihood`` (the
        sensitivities), ``remark``: ``"prior and data both matter"`` where both are above
        `SENSITIVE`, ``"mostly the prior"`` where only the first is, else missing. The most
        sensitive to the prior first.
    """
    posterior = fit.posterior.isel(draw=slice(None, None, fit.about["pointwise_every"]))
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior[population_names(posterior)],
            "log_prior": fit.tree["log_prior"].to_dataset(),
            "log_likelihood": fit.tree["log_likelihood"].to_dataset(),
        }
    )
    logger = logging.getLogger("arviz_stats.psense")
    before = logger.disabled
    logger.disabled = True  # it repeats in a warning what the table says
    try:
        table = az.psense_summary(tree, round_to=12)
    finally:
        logger.disabled = before
    table = table[["prior", "likelihood"]].astype(np.float64)
    table["remark"] = [
        None
        if row.prior < SENSITIVE
        else "prior and data both matter"
        if row.likelihood >= SENSITIVE
        else "mostly the prior"
        for row in table.itertuples()
    ]
    ordered = table.sort_values("prior", ascending=False, kind="stable")
    return ordered.rename_axis("parameter").reset_index()
