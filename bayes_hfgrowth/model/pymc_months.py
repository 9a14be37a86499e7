"""The law of a month in PyTensor: what the PyMC model expects of the observed months.

The formulas are those of `bayes_hfgrowth.growth.law`, on the log scale, where values and
gradients stay finite however little or much a month is expected to bring.
"""

import numpy as np
import numpy.typing as npt
import pytensor
import pytensor.tensor as pt

from bayes_hfgrowth.growth.attention_pt import Tensor, log_attention_increment_pt
from bayes_hfgrowth.panel.history import History

__all__ = ["log_hazard", "log_means", "log_reinforced", "period_of_months", "stationary_pt"]

_HUGE = 600.0  # exp of it is still a float, with room for products
_LOG_HUGE = float(np.log(_HUGE))
_LOG_TINY = -690.0
_LOG_SMALL = -37.0  # below this logarithm of g, exp(g) - 1 and g agree in float64
_SERIES = 3e-3  # below it ln(1 + y) / y is a series


def stationary_pt(innovations: Tensor, persistence: Tensor, scale: Tensor, number: int) -> Tensor:
    """PyTensor form of `bayes_hfgrowth.panel.period.stationary`.

    Parameters
    ----------
    innovations : tensor, shape (number,)
        Standard normal.
    persistence, scale : float or tensor
        Of the autoregression.
    number : int
        How many calendar months.
    """
    lag = np.arange(number)[:, None] - np.arange(number)[None, :]
    weights = pt.where(lag >= 0, persistence ** np.maximum(lag, 0).astype(float), 0.0)
    # Written so that it does not cancel where the persistence is close to 1.
    start = 1.0 / pt.sqrt((1.0 - persistence) * (1.0 + persistence))
    first = np.arange(number) == 0
    return scale * (weights @ (innovations * pt.where(first, start, 1.0)))


def period_of_months(effects: Tensor, history: History) -> Tensor:
    """Period effect of each observed month of age, the mean of those of its days.

    Parameters
    ----------
    effects : tensor, shape (calendar months,)
        As `History.calendar_span` counts them.
    history : History
        The months that were observed.
    """
    first, number = history.calendar_span
    begin = history.calendar - first
    end = np.minimum(begin + 1, number - 1)  # the last may have no day in the next
    share = history.calendar_share
    return share * effects[begin] + (1.0 - share) * effects[end]


def log_hazard(history: History, parameters: dict[str, Tensor]) -> Tensor:
    """Ln h of each observed month, with h = λ ΔF: fitness times the attention of the month.

    Parameters
    ----------
    history : History
        The months that were observed.
    parameters : dict of str to tensor, shape (base models,)
        ``fitness``, ``immediacy``, ``longevity``.

    Returns
    -------
    tensor, shape (months,)
    """
    fitness, immediacy, longevity = (
        parameters[name][history.base_model_of] for name in ("fitness", "immediacy", "longevity")
    )
    return pt.log(fitness) + log_attention_increment_pt(
        history.month - 1.0, history.month, immediacy, longevity
    )


def log_reinforced(hazard: Tensor, log_count: Tensor, exponent: Tensor) -> Tensor:
    """Ln of what a month is expected to bring before the period effect.

    Parameters
    ----------
    hazard : tensor
        Ln h, from `log_hazard`.
    log_count : tensor
        Ln (c + m).
    exponent : float or tensor
        Of the reinforcement, from above 0 to 1.

    Returns
    -------
    tensor
        Ln (c + m) + ln (exp(g) - 1) with g = ln(1 + δu) / δ and u = h (c + m)^(-δ),
        where δ is 1 less the exponent.
    """
    hazard = pt.clip(hazard, _LOG_TINY, _LOG_HUGE)
    if isinstance(exponent, float) and exponent == 1.0:
        log_g = hazard
    else:
        less = 1.0 - exponent
        log_u = hazard - less * log_count
        log_g = log_u + pt.log(_log1p_ratio(less * pt.exp(log_u)))
    g = pt.exp(pt.clip(log_g, _LOG_SMALL, _LOG_HUGE))
    log_growth = pt.switch(pt.lt(log_g, _LOG_SMALL), log_g, g + pt.log(-pt.expm1(-g)))
    return _bounded(log_count + log_growth)


def _log1p_ratio(y: Tensor) -> Tensor:
    """Ln(1 + y) / y for y >= 0, 1 at 0; its derivative does not cancel close to 0 either."""
    series = 1.0 - y * (
        1 / 2 - y * (1 / 3 - y * (1 / 4 - y * (1 / 5 - y * (1 / 6 - y * (1 / 7 - y / 8)))))
    )
    small = pt.lt(y, _SERIES)
    away = pt.switch(small, 1.0, y)  # a stand-in keeps the division by 0 out of the gradient
    return pt.switch(small, series, pt.log1p(away) / away)


def log_means(
    shared: dict[str, Tensor | float],
    m: float,
    history: History,
    parameters: dict[str, Tensor],
    period: Tensor | float,
) -> Tensor:
    """Ln of the mean ν of each observed month under the surge law, if it is no burst.

    Parameters
    ----------
    shared : dict of str to tensor or float
        Parameters that all base models share, named as in `GrowthSpec.shared`.
    m : float
        The constant m of the curve.
    history : History
        The months that were observed; each mean is given those before.
    parameters : dict of str to tensor, shape (base models,)
        ``fitness``, ``immediacy``, ``longevity``, ``dispersion``.
    period : tensor, shape (months,), or float
        Period effect of each month.

    Returns
    -------
    tensor, shape (months,)
    """
    hazard = log_hazard(history, parameters)
    if "burst_probability" in shared and len(history.new):
        return _log_means_bursting(shared, m, history, hazard, period, parameters["dispersion"])
    # Without bursts the past is what was counted, and no month waits for another one.
    log_count = np.log(history.previous + m)
    log_f = _bounded(log_reinforced(hazard, log_count, shared["reinforcement_exponent"]) + period)
    if "carry_over_strength" not in shared:
        return log_f
    ratio = _log_ratio(history.new, log_f)
    carried = _remembered(ratio, shared["carry_over_memory"], history)
    return _bounded(log_f + shared["carry_over_strength"] * carried)


def _bounded(value: Tensor) -> Tensor:
    return pt.clip(value, -_HUGE, _HUGE)


def _log_ratio(regular: Tensor, log_f: Tensor) -> Tensor:
    """How far a month surpassed what was expected of it, on the log scale."""
    return pt.log(regular + 0.5) - pt.log(pt.exp(log_f) + 0.5)


def _position(history: History) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Row and column of each month in a table of ages by base models, and its number of rows."""
    row = history.month.astype(np.int64) - 1
    return row, history.base_model_of, int(row.max(initial=0)) + 1


def _remembered(ratio: Tensor, memory: Tensor, history: History) -> Tensor:
    """State s of the carry-over before each month.

    Month k of a base model remembers (1 - memory) Σ_{j<k} memory^(k-1-j) ratio_j, so all base
    models together are one product with a triangular matrix.
    """
    age, owner, longest = _position(history)
    table = pt.zeros((longest, len(history.base_models)))[age, owner].set(ratio)
    lag = np.arange(longest)[:, None] - 1 - np.arange(longest)[None, :]
    weights = pt.where(lag >= 0, (1.0 - memory) * memory ** np.maximum(lag, 0), 0.0)
    return (weights @ table)[age, owner]


def _rising(new: Tensor, size: Tensor) -> Tensor:
    """Ln Γ(new + size) - ln Γ(size)."""
    return pt.gammaln(new + size) - pt.gammaln(size)


def _log_density(new: Tensor, log_mean: Tensor, size: Tensor, rising: Tensor) -> Tensor:
    """Log density of a negative binomial count but for its constant; `rising` is `_rising`."""
    log_odds = log_mean - pt.log(size)
    return rising - size * pt.softplus(log_odds) - new * pt.softplus(-log_odds)


def _log_means_bursting(
    shared: dict[str, Tensor | float],
    m: float,
    history: History,
    hazard: Tensor,
    period: Tensor | float,
    dispersion: Tensor,
) -> Tensor:
    """`log_means` with bursts: from one month of age to the next, all base models at once.

    Base models younger than the oldest are continued with empty months, which nothing reads.
    """

    def scalar(name: str) -> Tensor:
        return pt.as_tensor(shared.get(name, 0.0), dtype="float64")

    age, owner, longest = _position(history)
    empty = pt.zeros((longest, len(history.base_models)))
    probability, size = scalar("burst_probability"), scalar("burst_size")
    by_age = [
        empty[age, owner].set(values)
        for values in (history.new, hazard, period, _rising(history.new, size))
    ]
    constant = [
        dispersion,
        pt.log(probability) - pt.log1p(-probability),
        pt.log(scalar("burst_factor")),
        size,
        scalar("reinforcement_exponent"),
        scalar("carry_over_strength"),
        scalar("carry_over_memory"),
    ]

    def month(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        new, hazard, period, rising, count, carried, *rest = arguments
        dispersion, log_odds, log_factor, burst_size, exponent, strength, memory = rest
        log_f = _bounded(log_reinforced(hazard, pt.log(count + m), exponent) + period)
        log_mean = _bounded(log_f + strength * carried)
        mean = pt.exp(log_mean)
        size = pt.sqrt(mean) / dispersion
        burst = pt.sigmoid(
            log_odds
            + _log_density(new, log_mean + log_factor, burst_size, rising)
            - _log_density(new, log_mean, size, _rising(new, size))
        )
        regular = new - burst * pt.maximum(new - mean, 0.0)
        carried = memory * carried + (1.0 - memory) * _log_ratio(regular, log_f)
        return count + regular, carried, log_mean

    # A loop unrolled into one graph takes more than ten times as long to compile.
    born = pt.zeros(len(history.base_models))
    outputs = pytensor.scan(
        month,
        sequences=by_age,
        outputs_info=[born, born, None],
        non_sequences=constant,
        strict=True,
        return_updates=False,
    )
    return outputs[2][age, owner]
