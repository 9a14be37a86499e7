"""Laplace's approximation of a base model's parameters: their mode, and the curvature there.

It is made under a middling draw of the population. Under another draw the likelihood has nearly
the same form elsewhere: the exponent and the period effects act on a month's mean as a shift of
the growth parameters does. So every draw has a shift, which to first order brings its gradient to
that of the middling draw. All of it is compiled.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.adjoint import backward
from bayes_hfgrowth.growth.blocks import Block, forward
from bayes_hfgrowth.growth.law import SHARED, Floats, Observed, Shared

__all__ = ["Centre", "Mode", "PopulationDraws", "mode_of", "shifts_of"]

_LARGEST = 1e8  # curvature in units of the prior's; keeps factorisations finite
_STEPS, _HALVINGS, _FLAT, _LONGEST = 20, 8, 1e-4, 2.0  # of the search for the mode
_WIDTH = 1e-4  # of the differences that give the curvature
_MOVES, _DAMPED, _FARTHEST = 4, 0.5, 3.0  # of the shifts
_MOVED = 3  # growth parameters that are shifted: none acts on months' means through dispersion


class PopulationDraws(NamedTuple):
    """Draws of the population for the base model's organization and calendar months.

    Parameters
    ----------
    means, scales : ndarray, shape (draws, parameters)
        Of the base models of the organization; if it is not known, of those of all organizations.
    shared : ndarray, shape (draws, SHARED)
        Parameters that all base models share.
    period : ndarray, shape (draws, calendar months)
        Period effects.
    """

    means: Floats
    scales: Floats
    shared: Floats
    period: Floats


class Centre(NamedTuple):
    """A middling population.

    Parameters
    ----------
    mean, scales : ndarray, shape (parameters,)
        Of the growth parameters.
    shared : Shared
        What all base models share.
    """

    mean: Floats
    scales: Floats
    shared: Shared


class Mode(NamedTuple):
    """Where the likelihood of a base model is largest, given a middling population.

    Parameters
    ----------
    theta : ndarray, shape (parameters,)
        Growth parameters at the mode.
    values, vectors : ndarray, shape (parameters,) and (parameters, parameters)
        Eigenvalues and vectors of minus the Hessian of the log likelihood, in units of the
        scales; negative ones are taken as 0.
    """

    theta: Floats
    values: Floats
    vectors: Floats


@njit(error_model="numpy")
def _slope(observed: Observed, shared: Shared, theta: Floats, slope: Floats, block: Block) -> float:
    """Log likelihood, and its gradient by the growth parameters alone."""
    for k in range(len(theta)):
        block.theta[k, 0] = theta[k]
    block.seed[0] = 1.0
    forward(observed, block, shared)
    backward(observed, block, shared)
    for k in range(len(theta)):
        slope[k] = block.by_theta[k, 0]
    return float(block.value[0])


@njit(error_model="numpy")
def _curvature(
    observed: Observed, centre: Centre, theta: Floats, block: Block
) -> tuple[Floats, Floats]:
    """Eigenvalues (at least 0) and vectors of minus the Hessian, in units of the scales."""
    size = len(theta)
    up, down, moved = np.empty(size), np.empty(size), theta.copy()
    hessian = np.empty((size, size))
    for k in range(size):
        moved[k] = theta[k] + _WIDTH
        _slope(observed, centre.shared, moved, up, block)
        moved[k] = theta[k] - _WIDTH
        _slope(observed, centre.shared, moved, down, block)
        moved[k] = theta[k]
        for r in range(size):
            difference = (down[r] - up[r]) / (2.0 * _WIDTH)
            scaled = difference * centre.scales[k] * centre.scales[r]
            hessian[r, k] = scaled if np.isfinite(scaled) else 0.0
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    return np.minimum(np.maximum(values, 0.0), _LARGEST), vectors


@njit(error_model="numpy")
def _penalty(theta: Floats, centre: Centre) -> float:
    total = 0.0
    for k in range(len(theta)):
        distance = (theta[k] - centre.mean[k]) / centre.scales[k]
        total += 0.5 * distance * distance
    return total


@njit(error_model="numpy")
def mode_of(observed: Observed, centre: Centre, block: Block) -> Mode:
    """Mode of a base model's parameters under a population, and the curvature there.

    `block` has one lane with the months of the base model.
    """
    size = len(centre.mean)
    theta, slope, pull = centre.mean.copy(), np.empty(size), np.empty(size)
    for _ in range(_STEPS):
        current = _slope(observed, centre.shared, theta, slope, block)
        current -= _penalty(theta, centre)
        steepest = 0.0
        for k in range(size):
            by = slope[k] * centre.scales[k]
            distance = (theta[k] - centre.mean[k]) / centre.scales[k]
            pull[k] = (by if np.isfinite(by) else 0.0) - distance
            steepest = max(steepest, abs(pull[k]))
        if steepest < _FLAT:
            break
        values, vectors = _curvature(observed, centre, theta, block)
        move = np.zeros(size)
        for j in range(size):
            along = 0.0
            for k in range(size):
                along += vectors[k, j] * pull[k]
            for k in range(size):
                move[k] += vectors[k, j] * along / (values[j] + 1.0)
        length = math.sqrt((move * move).sum())
        scale = min(1.0, _LONGEST / max(length, 1e-12))
        better = False
        for _ in range(_HALVINGS):
            trial = theta + scale * move * centre.scales
            found = _slope(observed, centre.shared, trial, slope, block)
            if found - _penalty(trial, centre) > current:
                theta[:] = trial
                better = True
                break
            scale *= 0.5
        if not better:
            break
    values, vectors = _curvature(observed, centre, theta, block)
    return Mode(theta, values, vectors)


@njit(error_model="numpy")
def shifts_of(
    observed: Observed,
    population: PopulationDraws,
    centre: Centre,
    found: Mode,
    shifts: Floats,
    block: Block,
) -> None:
    """Where each draw of the population moves the likelihood, to first order.

    The mixed derivatives of the log likelihood say how a draw changes its gradient, the curvature
    what move brings the gradient back. Along directions of which the months say little, moves
    are damped, since there the likelihood is as good unmoved.

    Parameters
    ----------
    observed, centre, block
        As in `mode_of`, which found the mode.
    population : PopulationDraws
        The draws; the centre is in the middle of them.
    shifts : ndarray, shape (draws, parameters)
        Filled with what a draw adds to the growth parameters.
    """
    mode, values, vectors = found
    size, (draws, calendar) = len(mode), population.period.shape
    mixed_shared, mixed_period = np.empty((_MOVED, SHARED)), np.empty((_MOVED, calendar))
    moved, slope = mode.copy(), np.empty(size)
    for k in range(_MOVED):
        moved[k] = mode[k] + _WIDTH
        _slope(observed, centre.shared, moved, slope, block)
        mixed_shared[k], mixed_period[k] = block.by_shared[:, 0], block.by_period[:, 0]
        moved[k] = mode[k] - _WIDTH
        _slope(observed, centre.shared, moved, slope, block)
        moved[k] = mode[k]
        width = 2.0 * _WIDTH
        mixed_shared[k] = (mixed_shared[k] - block.by_shared[:, 0]) / width
        mixed_period[k] = (mixed_period[k] - block.by_period[:, 0]) / width
    change = np.empty(_MOVED)
    for d in range(draws):
        for k in range(_MOVED):
            total = 0.0
            for j in range(SHARED):
                total += mixed_shared[k, j] * (population.shared[d, j] - centre.shared.values[j])
            for j in range(calendar):
                total += mixed_period[k, j] * (population.period[d, j] - centre.shared.period[j])
            change[k] = total * centre.scales[k] if math.isfinite(total) else 0.0
        shifts[d] = 0.0
        for j in range(size):
            along = 0.0
            for k in range(_MOVED):
                along += vectors[k, j] * change[k]
            # What so many damped Newton steps would come to if the likelihood were quadratic.
            left = (_DAMPED / (values[j] ** 2 + _DAMPED)) ** _MOVES
            along *= (1.0 - left) / max(values[j], _FLAT)
            for k in range(_MOVED):
                shifts[d, k] += vectors[k, j] * along * centre.scales[k]
        for k in range(_MOVED):
            most = _FARTHEST * centre.scales[k]
            shifts[d, k] = min(max(shifts[d, k], -most), most)
