"""A specification and a panel's history make a PyMC model."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_hfgrowth.growth.attention import Tensor, attention_increment_pt
from bayes_hfgrowth.growth.curve import curve_increment_pt, reinforced_increment_pt
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.specification import GrowthSpec, Prior
from bayes_hfgrowth.panel.history import History

__all__ = ["build_model", "distribution"]


def distribution(prior: Prior, name: str | None = None) -> Tensor:
    """Make the PyMC distribution of a prior.

    Parameters
    ----------
    prior : Prior
        From a specification.
    name : str, optional
        Name of the random variable in the model of the context; without one, a distribution
        outside any model is returned.
    """
    parameters = dict(prior.parameters)
    if prior.distribution == "LogNormal":
        parameters["mu"] = float(np.log(parameters.pop("median")))
    kind = getattr(pm, prior.distribution)
    return kind.dist(**parameters) if name is None else kind(name, **parameters)


def build_model(spec: GrowthSpec, history: History) -> pm.Model:
    """Hierarchical model of the monthly fine-tunes.

    Every growth parameter of a base model is normal around its organization's mean, and the
    organization's mean is normal around a global one; both are written non-centred. Fitness,
    longevity and dispersion are normal on the log scale. The months follow the transition
    law of `bayes_hfgrowth.growth.transition`.

    Parameters
    ----------
    spec : GrowthSpec
        Likelihood, pooling and priors.
    history : History
        The months that were observed.

    Returns
    -------
    pymc.Model
        Dimensions ``organization``, ``base_model``, ``observation``. Variables for each
        growth parameter p: ``global_p`` (the median base model's, natural scale),
        ``between_organizations_p`` and ``between_base_models_p`` (standard deviations, on
        the scale that is normal), ``organization_p`` and ``p`` (natural scale); under the
        surge law ``carry_over_strength`` and ``carry_over_memory``; ``global_dormancy``,
        ``between_organizations_dormancy`` (on the logit scale) and ``organization_dormancy``
        where some base models may be dormant; observed ``new_finetunes``.
    """
    with pm.Model(coords=history.coords) as model:
        values = {name: _hierarchy(name, spec, history) for name in spec.parameters}
        law = _observe(spec, history, values)
        if spec.dormancy is not None:
            _let_sleep(spec, history, law)
    return model


def _hierarchy(name: str, spec: GrowthSpec, history: History) -> Tensor:
    """Values of one growth parameter for the base models, on the natural scale."""
    pooling = spec.parameters[name]
    natural = pt.exp if LOG_SCALE[name] else (lambda value: value)
    location = distribution(pooling.location, f"location_{name}")
    pm.Deterministic(f"global_{name}", natural(location))
    mean = location + pt.zeros(len(history.organizations))
    if pooling.between_organizations is not None:
        spread = distribution(pooling.between_organizations, f"between_organizations_{name}")
        mean = mean + spread * pm.Normal(f"organization_{name}_offset", dims="organization")
    pm.Deterministic(f"organization_{name}", natural(mean), dims="organization")
    spread = distribution(pooling.between_base_models, f"between_base_models_{name}")
    offset = pm.Normal(f"{name}_offset", dims="base_model")
    value = mean[history.organization_of] + spread * offset
    return pm.Deterministic(name, natural(value), dims="base_model")


def _carry_over(spec: GrowthSpec) -> tuple[Tensor | float, Tensor | float]:
    """Strength and memory of the carry-over: random variables, or the numbers given."""
    if spec.carry_over is None:
        return 0.0, 0.0
    pair = []
    for name in ("strength", "memory"):
        value = getattr(spec.carry_over, name)
        pair.append(
            distribution(value, f"carry_over_{name}") if isinstance(value, Prior) else value
        )
    return pair[0], pair[1]


def _observe(spec: GrowthSpec, history: History, values: dict[str, Tensor]) -> Tensor:
    """Declare the likelihood of the observed months, and return their law."""
    index = history.base_model_of
    fitness, immediacy, longevity = (
        values[name][index] for name in ("fitness", "immediacy", "longevity")
    )
    start, end = history.month - 1.0, history.month
    observed: Any = {"observed": history.new, "dims": "observation"}
    if spec.likelihood == "poisson":
        rate = curve_increment_pt(start, end, fitness, immediacy, longevity, spec.m)
        pm.Poisson("new_finetunes", rate, **observed)
        return pm.Poisson.dist(rate)
    if spec.likelihood == "birth":
        hazard = fitness * attention_increment_pt(start, end, immediacy, longevity)
        law = {"n": history.previous + spec.m, "p": pt.exp(-hazard)}
    else:
        expected = reinforced_increment_pt(
            history.previous, start, end, fitness, immediacy, longevity, spec.m
        )
        strength, memory = _carry_over(spec)
        surge = pt.log((history.new + 0.5) / (expected + 0.5))
        mean = expected * pt.exp(strength * _remembered(surge, memory, history))
        law = {"mu": mean, "alpha": pt.sqrt(mean) / values["dispersion"][index]}
    pm.NegativeBinomial("new_finetunes", **law, **observed)
    return pm.NegativeBinomial.dist(**law)


def _let_sleep(spec: GrowthSpec, history: History, law: Tensor) -> None:
    """Mix the likelihood of each base model with that of a dormant one.

    With share π of dormant base models and likelihood L of its months if it is not dormant, a
    base model has the likelihood (1 - π) L, and π + (1 - π) L if all its months are empty.
    """
    assert spec.dormancy is not None
    location = distribution(spec.dormancy.location, "location_dormancy")
    pm.Deterministic("global_dormancy", pt.sigmoid(location))
    mean = location + pt.zeros(len(history.organizations))
    if spec.dormancy.between_organizations is not None:
        spread = distribution(spec.dormancy.between_organizations, "between_organizations_dormancy")
        mean = mean + spread * pm.Normal("organization_dormancy_offset", dims="organization")
    pm.Deterministic("organization_dormancy", pt.sigmoid(mean), dims="organization")
    dormant = mean[history.organization_of]
    log_dormant, log_awake = -pt.softplus(-dormant), -pt.softplus(dormant)
    likelihood = pt.zeros(len(history.base_models))
    likelihood = pt.inc_subtensor(likelihood[history.base_model_of], pm.logp(law, history.new))
    silent = (history.finetunes == 0) & (history.months > 0)
    either = pt.logaddexp(log_dormant - likelihood, log_awake)
    told = np.where(history.months > 0, 1.0, 0.0)  # a newborn tells nothing
    pm.Potential("dormancy", (told * pt.where(silent, either, log_awake)).sum())


def _remembered(surge: Tensor, memory: Tensor | float, history: History) -> Tensor:
    """Exponentially weighted mean of the surges before each month.

    Month k of a base model remembers (1 - memory) Σ_{j<k} memory^(k-1-j) surge_j, so all base
    models together are one product with a triangular matrix.
    """
    columns = history.month.astype(int) - 1
    longest = int(columns.max(initial=0)) + 1
    table = pt.zeros((len(history.base_models), longest))
    table = table[history.base_model_of, columns].set(surge)
    lag = np.arange(longest)[None, :] - 1 - np.arange(longest)[:, None]
    weights = pt.where(lag >= 0, (1.0 - memory) * memory ** np.maximum(lag, 0), 0.0)
    return (table @ weights)[history.base_model_of, columns]
