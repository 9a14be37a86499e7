"""Attention over the life of a base model, for PyTensor tensors.

The formulas of `bayes_hfgrowth.growth.attention`, with gradients that are finite where the value
is. They stand apart, as PyTensor takes long to load and only a PyMC model needs it.
"""

from typing import Any

import numpy as np
import pytensor.tensor as pt

__all__ = [
    "FAR",
    "Tensor",
    "as_tensor",
    "attention_share_pt",
    "log_attention_increment_pt",
    "z_score_pt",
]

type Tensor = Any  # a PyTensor variable, or what becomes a constant; PyTensor has no types

_SQRT2 = np.sqrt(2.0)
FAR = 1e10
"""Z-score beyond which all is 0 or 1 in float64, while its square is not yet infinite."""


def as_tensor(values: Tensor) -> Tensor:
    """Tensor of float64; PyTensor would take a whole number for int8."""
    return pt.cast(pt.as_tensor(values), "float64")


def z_score_pt(age: Tensor, immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `z_score`."""
    age = as_tensor(age)
    born = pt.gt(age, 0)
    # A stand-in keeps the infinity at age 0 out of the gradient.
    score = (pt.log(pt.switch(born, age, 1.0)) - as_tensor(immediacy)) / as_tensor(longevity)
    return pt.switch(born, score, -np.inf)


def attention_share_pt(age: Tensor, immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `attention_share`."""
    return 0.5 * pt.erfc(-z_score_pt(age, immediacy, longevity) / _SQRT2)


def log_attention_increment_pt(
    start: Tensor, end: Tensor, immediacy: Tensor, longevity: Tensor
) -> Tensor:
    """Natural logarithm of the share of attention that comes between two ages.

    It is ln(Φ(z(end)) - Φ(z(start))), exact to rounding in both tails, and finite where the share
    itself is rounded to 0. With both scores on one side of 0 they are moved to the left tail, where
    Φ(-x) = exp(-x²/2) erfcx(x/√2) / 2, and the larger exponential is taken out. With 0 between
    them, it is what both tails leave of 1.

    Parameters
    ----------
    start, end : tensor
        Ages in months, ``start < end``.
    immediacy, longevity : tensor
        μ in log-months and σ.
    """
    first = pt.clip(z_score_pt(start, immediacy, longevity), -FAR, FAR)
    last = pt.clip(z_score_pt(end, immediacy, longevity), -FAR, FAR)
    astride = pt.lt(first, 0) & pt.gt(last, 0)
    left = pt.le(last, 0)
    near = pt.switch(astride, 0.0, pt.switch(left, -last, first))
    far = pt.switch(astride, 0.0, pt.switch(left, -first, last))
    drop = pt.exp(-0.5 * (far - near) * (far + near))
    tail = 0.5 * (pt.erfcx(near / _SQRT2) - drop * pt.erfcx(far / _SQRT2))
    middle = 0.5 * (pt.erf(last / _SQRT2) - pt.erf(first / _SQRT2))
    outside = 0.5 * (pt.erfc(last / _SQRT2) + pt.erfc(-first / _SQRT2))
    nearly_all = astride & pt.lt(outside, 0.5)  # stand-ins keep infinities out of the gradient
    logarithm = pt.switch(
        nearly_all,
        pt.log1p(-pt.switch(nearly_all, outside, 0.0)),
        pt.log(pt.switch(nearly_all, 1.0, pt.switch(astride, middle, tail))),
    )
    return -0.5 * near**2 + logarithm
