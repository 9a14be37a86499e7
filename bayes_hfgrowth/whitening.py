"""The base models' parameters in coordinates that look standard normal to the sampler.

Given the population, base model i has a normal prior N(mean, diag(spread²)) on its growth
parameters θ_i. Its months are summed up beforehand as a normal likelihood in θ_i, with
precision matrix H_i and precision-weighted centre b_i. Prior and summary together are normal:

    P = H_i + diag(spread⁻²) = L Lᵀ,    centre c = P⁻¹ (b_i + spread⁻² · mean).

The sampler moves y_i in θ_i = c + L⁻ᵀ y_i. Where the summary is good, y_i is nearly standard
normal and independent of the population: strongly observed base models are centred by it,
weakly observed ones non-centred, the ridge between immediacy and fitness is turned along the
axes, and no funnel opens as a spread falls. The density is exact whatever H_i and b_i are,

    log p(y_i, data | population) = log p(data | θ_i) + log N(θ_i; mean, diag(spread²)) - ln|L|,

so a poor summary costs speed, not truth. (The idea is that of the data-based
reparameterisation of Christensen, Roberts and Sköld 2006 and of the dynamically rescaled
Hamiltonian Monte Carlo of Kleppe 2019.)
"""

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numba import njit
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import (
    numba_njit,
    register_funcify_default_op_cache_key,
)

from bayes_hfgrowth import silent, transition
from bayes_hfgrowth.silent import log_density_silent
from bayes_hfgrowth.transition import Floats, Integers, gradient

__all__ = ["WhitenedLogDensity", "log_density"]


@njit(error_model="numpy")
def log_density(
    law: int,
    y: Floats,
    means: Floats,
    log_spreads: Floats,
    carry: Floats,
    logit_dormancy: Floats,
    precision: Floats,
    weighted: Floats,
    group: Integers,
    start: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    number: Floats,
    points: Floats,
    m: float,
) -> tuple[float, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Log density of all base models in whitened coordinates, and its gradient.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.
    y : ndarray, shape (base models, parameters)
        Whitened coordinates; parameters are 3, or 4 under ``SURGE``.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models; -inf where there is none.
    precision, weighted : ndarray, shape (base models, parameters[, parameters])
        The normal summaries H and b.
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    start, log_age, previous, new, constants, m
        The months, as in `bayes_hfgrowth.transition.pointwise`.
    number, points : ndarray
        The base models whose parameters are summed out, which are not among those above; see
        `bayes_hfgrowth.silent.log_density_silent`.

    Returns
    -------
    total : float
        Log density, up to a constant.
    theta : ndarray, shape (base models, parameters)
        The growth parameters at `y`.
    by_y, by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Derivatives of `total`.
    """
    n, size = y.shape
    theta = np.empty((n, size))
    by_y = np.empty((n, size))
    by_means = np.zeros(means.shape)
    by_log_spreads = np.zeros(size)
    by_carry = np.zeros(2)
    by_logit_dormancy = np.zeros(means.shape[0])
    no_trace = np.empty((0, 7))
    q = np.exp(-2.0 * log_spreads)
    chol = np.zeros((size, size))
    inverse = np.zeros((size, size))  # of chol
    by_chol = np.zeros((size, size))
    half = np.zeros((size, size))
    prior_part = np.zeros(size)
    centre = np.zeros(size)
    offset = np.zeros(size)
    point = np.zeros(4)
    grad = np.zeros(6)
    by_theta = np.zeros(size)
    by_centre = np.zeros(size)
    total = log_density_silent(
        law, means, log_spreads, carry, logit_dormancy, number, points, m, by_means,
        by_log_spreads, by_carry, by_logit_dormancy,
    )  # fmt: skip
    for i in range(n):
        mean = means[group[i]]
        for r in range(size):
            for c in range(r + 1):
                value = precision[i, r, c]
                if r == c:
                    value += q[r]
                for k in range(c):
                    value -= chol[r, k] * chol[c, k]
                chol[r, c] = math.sqrt(value) if r == c else value / chol[c, c]
        for c in range(size):
            inverse[c, c] = 1.0 / chol[c, c]
            for r in range(c + 1, size):
                value = 0.0
                for k in range(c, r):
                    value -= chol[r, k] * inverse[k, c]
                inverse[r, c] = value / chol[r, r]
        for r in range(size):
            value = 0.0
            for k in range(r + 1):
                value += inverse[r, k] * (weighted[i, k] + q[k] * mean[k])
            prior_part[r] = value
        for r in range(size):
            value = 0.0
            other = 0.0
            for k in range(r, size):
                value += inverse[k, r] * prior_part[k]
                other += inverse[k, r] * y[i, k]
            centre[r] = value
            offset[r] = other
            point[r] = value + other
            theta[i, r] = point[r]
        value = gradient(
            law, start[i], start[i + 1], log_age, previous, new, constants, m, point,
            carry[0], carry[1], grad, no_trace,
        )  # fmt: skip
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[group[i]]))
        last = start[i + 1] - 1
        if last >= start[i]:  # without months there is nothing to tell
            if dormant == 0.0 or previous[last] + new[last] > 0.0:
                total += value + math.log1p(-dormant)
                by_logit_dormancy[group[i]] -= dormant
            else:
                awake = (1.0 - dormant) * math.exp(value)
                total += math.log(dormant + awake)
                weight = awake / (dormant + awake)
                by_logit_dormancy[group[i]] += (
                    dormant * (1.0 - dormant) * (1.0 - math.exp(value)) / (dormant + awake)
                )
                for r in range(6):
                    grad[r] *= weight
        by_carry[0] += grad[4]
        by_carry[1] += grad[5]
        for r in range(size):
            distance = point[r] - mean[r]
            total -= 0.5 * distance * distance * q[r] + log_spreads[r] + math.log(chol[r, r])
            by_theta[r] = grad[r] - distance * q[r]
        for r in range(size):
            value = 0.0
            for k in range(r + 1):
                value += inverse[r, k] * by_theta[k]
            by_y[i, r] = value
        for r in range(size):
            value = 0.0
            for k in range(r, size):
                value += inverse[k, r] * by_y[i, k]
            by_centre[r] = value
        # Back through the factorisation; only the diagonal of P depends on the spreads.
        for r in range(size):
            for c in range(r + 1):
                by_chol[r, c] = -offset[r] * by_y[i, c]
            by_chol[r, r] -= inverse[r, r]
        for r in range(size):
            for c in range(r + 1):
                value = 0.0
                for k in range(r, size):
                    value += chol[k, r] * by_chol[k, c]
                half[r, c] = value if r != c else 0.5 * value
        for k in range(size):
            by_q = by_centre[k] * (mean[k] - centre[k])
            for r in range(k, size):
                for c in range(k, r + 1):
                    by_q += inverse[r, k] * half[r, c] * inverse[c, k]
            distance = point[k] - mean[k]
            by_log_spreads[k] += -2.0 * q[k] * by_q + distance * distance * q[k] - 1.0
            by_means[group[i], k] += by_centre[k] * q[k] + distance * q[k]
    return total, theta, by_y, by_means, by_log_spreads, by_carry, by_logit_dormancy


class WhitenedLogDensity(Op):
    """`log_density` as a PyTensor operation, differentiable in its first five inputs.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.

    Notes
    -----
    Inputs and outputs are those of `log_density`; only the first output, the log density, may
    be differentiated.
    """

    __props__ = ("law",)
    n_differentiable = 5

    def __init__(self, law: int) -> None:
        self.law = law

    def make_node(self, *inputs: Any) -> Apply[Any]:
        """Declare the operation on the inputs of `log_density` after ``law``."""
        variables = [pt.as_tensor_variable(value) for value in inputs]
        outputs = [
            pt.dscalar(),
            *(pt.dmatrix() for _ in range(3)),
            *(pt.dvector() for _ in range(3)),
        ]
        return Apply(self, variables, outputs)

    def perform(self, node: Apply[Any], inputs: Any, output_storage: Any) -> None:
        """Evaluate outside compiled graphs."""
        results: Any = log_density(self.law, *inputs[:-1], float(inputs[-1]))  # type: ignore[call-arg]
        for storage, value in zip(output_storage, results, strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """Gradient: the operation has it among its outputs."""
        known = [cotangents[0] * outputs[2 + k] for k in range(self.n_differentiable)]
        return known + [DisconnectedType()() for _ in inputs[self.n_differentiable :]]

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        """Say that only the log density depends differentiably on anything."""
        return [
            [k < self.n_differentiable and output == 0 for output in range(len(node.outputs))]
            for k in range(len(node.inputs))
        ]


@register_funcify_default_op_cache_key(WhitenedLogDensity)
def _numba_whitened(op: WhitenedLogDensity, node: Apply[Any], **_: Any) -> tuple[Any, int]:
    """Compile the operation; the number tells PyTensor's cache one version of it from another."""
    law = op.law

    @numba_njit
    def whitened(  # type: ignore[no-untyped-def]
        y, means, log_spreads, carry, logit_dormancy, precision, weighted, group, start, log_age,
        previous, new, constants, number, points, m,
    ):  # fmt: skip
        total, theta, by_y, by_means, by_log_spreads, by_carry, by_logit = log_density(
            law, y, means, log_spreads, carry, logit_dormancy, precision, weighted, group, start,
            log_age, previous, new, constants, number, points, m.item(),
        )  # fmt: skip
        return np.asarray(total), theta, by_y, by_means, by_log_spreads, by_carry, by_logit

    sources = [Path(__file__), Path(silent.__file__), Path(transition.__file__)]
    return whitened, zlib.crc32(b"".join(path.read_bytes() for path in sources))
