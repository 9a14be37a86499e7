"""A linear preconditioner of the population's coordinates, and a sinh-arcsinh transform.

Both are adapted to a pilot run:

    v = centre + scale · u,      ψ_k = middle_k + width_k · S(v_k; δ_k),
    S(v; δ) = (sinh(asinh v + δ) - sinh δ) / cosh δ,

the transformation of Jones and Pewsey (2009), which for δ = 0 changes nothing: where the data
hardly bound a coordinate on one side, as the share of structural zeros from below, its long
tail is drawn in.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.law import Floats

__all__ = [
    "fit_sinh_arcsinh",
    "inverse_sinh_arcsinh",
    "no_sinh_arcsinh",
    "preconditioned",
    "preconditioned_back",
]

_GRID = np.linspace(-0.9, 0.9, 37)
_TRUST = 0.8  # of the skewness of short chains


@njit(error_model="numpy")
def preconditioned(
    u: Floats, centre: Floats, scale: Floats, sinh_arcsinh: Floats, psi: Floats, slopes: Floats
) -> float:
    """Coordinates ψ at u.

    Parameters
    ----------
    u : ndarray
        Its first places are used.
    centre, scale : ndarray, shape (size,) and (size, size)
        The linear part; `scale` is lower triangular.
    sinh_arcsinh : ndarray, shape (3, size)
        ``middle``, ``width`` and δ.
    psi : ndarray, shape (size,)
        Gets ψ.
    slopes : ndarray, shape (2, size)
        Gets dψ/dv, and the derivative by v of its logarithm.

    Returns
    -------
    float
        ln |dψ/dv|, up to a constant.
    """
    total = 0.0
    for row in range(len(centre)):
        v = centre[row]
        for column in range(row + 1):
            v += scale[row, column] * u[column]
        middle, width, skew = sinh_arcsinh[0, row], sinh_arcsinh[1, row], sinh_arcsinh[2, row]
        if skew == 0.0:
            psi[row] = middle + width * v
            slopes[0, row], slopes[1, row] = width, 0.0
            continue
        place, level = math.asinh(v), math.cosh(skew)
        stretch = math.cosh(place + skew) / (math.cosh(place) * level)
        psi[row] = middle + width * (math.sinh(place + skew) - math.sinh(skew)) / level
        slopes[0, row] = width * stretch
        slopes[1, row] = (math.tanh(place + skew) - math.tanh(place)) / math.cosh(place)
        total += math.log(stretch)
    return total


@njit(error_model="numpy")
def preconditioned_back(by_psi: Floats, scale: Floats, slopes: Floats, by_u: Floats) -> None:
    """Fill the first places of `by_u` with the derivative by u, that of ln |dψ/dv| included.

    Parameters
    ----------
    by_psi : ndarray, shape (size,)
        Derivative by ψ.
    scale, slopes
        As in `preconditioned`.
    by_u : ndarray
        Gets the derivative.
    """
    size = len(by_psi)
    by_u[:size] = 0.0
    for row in range(size):
        by_v = by_psi[row] * slopes[0, row] + slopes[1, row]
        for column in range(row + 1):
            by_u[column] += scale[row, column] * by_v


def no_sinh_arcsinh(size: int) -> Floats:
    """``middle``, ``width`` and δ that change nothing."""
    return np.stack([np.zeros(size), np.ones(size), np.zeros(size)])


def inverse_sinh_arcsinh(psi: Floats, sinh_arcsinh: Floats) -> Floats:
    """From ψ to v.

    Parameters
    ----------
    psi : ndarray, shape (…, size)
    sinh_arcsinh : ndarray, shape (3, size)

    Returns
    -------
    ndarray, the same shape
    """
    middle, width, skew = sinh_arcsinh
    ratio = (psi - middle) / width
    return np.asarray(np.sinh(np.arcsinh(ratio * np.cosh(skew) + np.sinh(skew)) - skew))


def fit_sinh_arcsinh(psi: Floats) -> Floats:
    """Choose ``middle``, ``width`` and δ by draws.

    Parameters
    ----------
    psi : ndarray, shape (draws, size)

    Returns
    -------
    ndarray, shape (3, size)
        δ is what takes most of the skewness away, and a little less.
    """
    sinh_arcsinh = np.stack([psi.mean(axis=0), psi.std(axis=0), np.zeros(psi.shape[1])])
    left = []
    for skew in _GRID:
        sinh_arcsinh[2] = skew
        v = inverse_sinh_arcsinh(psi, sinh_arcsinh)
        v = (v - v.mean(axis=0)) / v.std(axis=0)
        left.append(np.abs((v**3).mean(axis=0)))
    sinh_arcsinh[2] = _TRUST * _GRID[np.argmin(left, axis=0)]
    return sinh_arcsinh
