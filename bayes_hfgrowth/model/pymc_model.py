"""A specification and a panel's history make a PyMC model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_hfgrowth.growth.attention_pt import Tensor, attention_share_pt
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.pymc_months import (
    log_hazard,
    log_means,
    log_reinforced,
    period_of_months,
    stationary_pt,
)
from bayes_hfgrowth.model.specification import Dormancy, GrowthSpec, Pooling, Prior
from bayes_hfgrowth.panel.history import History

__all__ = ["build_model"]


def build_model(spec: GrowthSpec, history: History) -> pm.Model:
    """Hierarchical model of the monthly fine-tunes.

    Every growth parameter of a base model is normal around its organization's mean, and the
    organization's mean is normal around a global one; both are written non-centred. Fitness,
    longevity and dispersion are normal on the log scale. The months follow the transition
    law of `bayes_hfgrowth.growth.law`.

    Parameters
    ----------
    spec : GrowthSpec
        Likelihood, pooling and priors.
    history : History
        The observed months.

    Returns
    -------
    pymc.Model
        Dimensions ``organization``, ``base_model``, ``observation``, ``calendar_month``.
        Variables for each growth parameter p: ``global_p`` (the median base model's, natural
        scale), ``between_organizations_p`` and ``between_base_models_p`` (standard deviations,
        on the scale that is normal), ``organization_p`` and ``p`` (natural scale). Those of
        `GrowthSpec.shared` that have a prior, under the names they have there. With a period
        effect, ``period_effect`` over ``calendar_month``, made of ``period_innovations``. Where
        some base models may be structural zeros, ``global_dormancy``,
        ``between_organizations_dormancy`` (on the logit scale) and ``organization_dormancy``.
        Observed: ``new_finetunes``, each month given those before it.
    """
    with pm.Model(coords=history.coords) as model:
        values = {name: _hierarchy(name, spec, history) for name in spec.parameters}
        law = _observe(spec, history, values)
        if spec.dormancy is not None:
            _let_sleep(spec.dormancy, history, law)
    return model


def _variable(prior: Prior, name: str) -> Tensor:
    """Random variable with a prior."""
    parameters = dict(prior.parameters)
    if prior.distribution == "LogNormal":
        parameters["mu"] = float(np.log(parameters.pop("median")))
    return getattr(pm, prior.distribution)(name, **parameters)


def _organization_means(
    name: str, pooling: Pooling | Dormancy, natural: Callable[[Tensor], Tensor], history: History
) -> Tensor:
    """Means of the organizations, on the scale that is normal."""
    location = _variable(pooling.location, f"location_{name}")
    pm.Deterministic(f"global_{name}", natural(location))
    mean = location + pt.zeros(len(history.organizations))
    if pooling.between_organizations is not None:
        scale = _variable(pooling.between_organizations, f"between_organizations_{name}")
        mean = mean + scale * pm.Normal(f"organization_{name}_offset", dims="organization")
    pm.Deterministic(f"organization_{name}", natural(mean), dims="organization")
    return mean


def _hierarchy(name: str, spec: GrowthSpec, history: History) -> Tensor:
    """Values of one growth parameter for the base models, on the natural scale."""
    pooling = spec.parameters[name]
    natural = pt.exp if LOG_SCALE[name] else (lambda value: value)
    mean = _organization_means(name, pooling, natural, history)
    scale = _variable(pooling.between_base_models, f"between_base_models_{name}")
    offset = pm.Normal(f"{name}_offset", dims="base_model")
    value = mean[history.organization_of] + scale * offset
    return pm.Deterministic(name, natural(value), dims="base_model")


def _period(
    shared: dict[str, Tensor | float], spec: GrowthSpec, history: History
) -> Tensor | float:
    """Period effect of each observed month, made of standard normal innovations."""
    if spec.period_effect is None:
        return 0.0
    innovations = pm.Normal("period_innovations", dims="calendar_month")
    effects = stationary_pt(
        innovations,
        shared["period_persistence"],
        shared["period_innovation"],
        history.calendar_span[1],
    )
    pm.Deterministic("period_effect", effects, dims="calendar_month")
    return period_of_months(effects, history)


def _observe(spec: GrowthSpec, history: History, values: dict[str, Tensor]) -> Tensor:
    """Declare the likelihood of the observed months, and return their law."""
    observed: Any = {"observed": history.new, "dims": "observation"}
    if spec.likelihood == "surge":
        return _observe_surge(spec, history, values, observed)
    hazard = log_hazard(history, values)
    if spec.likelihood == "poisson":
        fitness, immediacy, longevity = (
            values[name][history.base_model_of] for name in ("fitness", "immediacy", "longevity")
        )
        # m (exp(λ F(k)) - exp(λ F(k-1))) is m exp(λ F(k-1)) times exp(h) - 1.
        grown = fitness * attention_share_pt(history.month - 1.0, immediacy, longevity)
        rate = pt.exp(log_reinforced(hazard, np.log(spec.m) + grown, 1.0))
        pm.Poisson("new_finetunes", rate, **observed)
        return pm.Poisson.dist(rate)
    size = history.previous + spec.m
    law = {"mu": pt.exp(log_reinforced(hazard, np.log(size), 1.0)), "alpha": size}
    pm.NegativeBinomial("new_finetunes", **law, **observed)
    return pm.NegativeBinomial.dist(**law)


def _observe_surge(
    spec: GrowthSpec, history: History, values: dict[str, Tensor], observed: dict[str, Any]
) -> Tensor:
    """Surge law: a negative binomial count, or with bursts a mixture of two."""
    shared = {
        name: _variable(entry, name) if isinstance(entry, Prior) else float(entry)
        for name, entry in spec.shared.items()
    }
    period = _period(shared, spec, history)
    mean = pt.exp(log_means(shared, spec.m, history, values, period))
    dispersion = values["dispersion"][history.base_model_of]
    regular = {"mu": mean, "alpha": pt.sqrt(mean) / dispersion}
    if spec.bursts is None:
        pm.NegativeBinomial("new_finetunes", **regular, **observed)
        return pm.NegativeBinomial.dist(**regular)
    probability = shared["burst_probability"]
    weights = pt.stack([1.0 - probability, probability])
    burst = {"mu": shared["burst_factor"] * mean, "alpha": shared["burst_size"]}
    parts = [pm.NegativeBinomial.dist(**regular), pm.NegativeBinomial.dist(**burst)]
    pm.Mixture("new_finetunes", weights, parts, **observed)
    return pm.Mixture.dist(weights, parts)


def _let_sleep(dormancy: Dormancy, history: History, law: Tensor) -> None:
    """Mix the likelihood of each base model with that of a structural zero.

    With the share π of structural zeros, and the likelihood L of its months if it is none, a base
    model has the likelihood (1 - π) L, and π + (1 - π) L if all its months are empty.
    """
    mean = _organization_means("dormancy", dormancy, pt.sigmoid, history)
    dormant = mean[history.organization_of]
    log_structural, log_at_risk = -pt.softplus(-dormant), -pt.softplus(dormant)
    likelihood = pt.zeros(len(history.base_models))
    likelihood = pt.inc_subtensor(likelihood[history.base_model_of], pm.logp(law, history.new))
    zero_count = (history.finetunes == 0) & (history.months > 0)
    either = pt.logaddexp(log_structural - likelihood, log_at_risk)
    observed = np.where(history.months > 0, 1.0, 0.0)  # a newborn says nothing
    pm.Potential("dormancy", (observed * pt.where(zero_count, either, log_at_risk)).sum())
