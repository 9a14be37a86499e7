"""What a growth-model specification is made of: priors with reasons, and tables of them."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Bursts", "CarryOver", "Dormancy", "PeriodEffect", "Pooling", "Prior"]


@dataclass(frozen=True)
class Prior:
    """One prior distribution and the reason for it.

    Parameters
    ----------
    distribution : str
        ``"Normal"`` (mu, sigma), ``"LogNormal"`` (median; sigma of the logarithm),
        ``"HalfNormal"`` (sigma), ``"Gamma"`` (alpha; rate beta), ``"Exponential"`` (scale,
        which is its mean) or ``"Beta"`` (alpha, beta).
    parameters : mapping of str to float
        Value of each parameter of the distribution.
    reason : str
        Why this prior and not another one.
    """

    distribution: str
    parameters: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Pooling:
    """Hierarchy of one growth parameter: global, organizations, base models.

    All three priors speak of the scale on which the parameter is modelled: immediacy as it
    is (log-months), fitness, longevity and dispersion by their natural logarithms.

    Parameters
    ----------
    location : Prior
        Global mean; a Normal.
    between_organizations : Prior or None
        Standard deviation of the organization means around the global mean; None where the
        pooling is global.
    between_base_models : Prior
        Standard deviation of the base models around the mean of their organization (around
        the global mean where the pooling is global).
    """

    location: Prior
    between_organizations: Prior | None
    between_base_models: Prior


@dataclass(frozen=True)
class CarryOver:
    """How much of a surge lives on in the next month.

    With s the running log ratio of observed to expected increments, updated each month by
    ``s = memory * s + (1 - memory) * log((x + 0.5) / (f + 0.5))``, the mean of the next
    increment is ``f * exp(strength * s)``.

    Parameters
    ----------
    strength : float or Prior
        Between -1 and 1, or a Normal prior. Zero means no carry-over.
    memory : float or Prior
        From 0 (only the last month counts) to below 1, or a Beta prior.
    """

    strength: float | Prior
    memory: float | Prior


@dataclass(frozen=True)
class PeriodEffect:
    """How attention on the whole Hub rises and falls, the same for every base model.

    The effect z of a calendar month multiplies the mean of every base model by exp(z). It is
    a stationary autoregression, ``z[t] = persistence * z[t - 1] + innovation * e[t]`` with
    standard normal e.

    Parameters
    ----------
    persistence : float or Prior
        From 0 (each month on its own) to below 1, or a Beta prior.
    innovation : float or Prior
        Standard deviation of what a month adds, above 0, or a LogNormal, HalfNormal, Gamma or
        Exponential prior.
    """

    persistence: float | Prior
    innovation: float | Prior


@dataclass(frozen=True)
class Bursts:
    """Single months whose new fine-tunes neither reinforce nor carry over.

    Each month is a burst with the given probability. A burst is a negative binomial count
    with the mean ``factor * v``, where v is the mean of a regular month, and the variance
    ``factor * v + (factor * v)**2 / size``.

    Parameters
    ----------
    probability : float or Prior
        Above 0 and below 1, or a Beta prior.
    factor : float or Prior
        At least 1, or a LogNormal prior.
    size : float or Prior
        Above 0, or a LogNormal prior. The smaller, the more bursts differ.
    """

    probability: float | Prior
    factor: float | Prior
    size: float | Prior


@dataclass(frozen=True)
class Dormancy:
    """Share of base models that never get any fine-tune, on the logit scale.

    Parameters
    ----------
    location : Prior
        Global mean; a Normal.
    between_organizations : Prior or None
        Standard deviation of the organizations around it; None where the pooling is global.
    """

    location: Prior
    between_organizations: Prior | None
