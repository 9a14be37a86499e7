"""The coordinates of the population turned, scaled and unskewed by a pilot run.

    v = centre + scale · u,      ψ_k = middle_k + width_k · S(v_k; δ_k),
    S(v; δ) = (sinh(asinh v + δ) - sinh δ) / cosh δ,

the transformation of Jones and Pewsey (2009), which for δ = 0 changes nothing: where the data
hardly bound a coordinate on one side, as the share of dormant base models from below, its long
tail is drawn in.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.law import Floats

__all__ = ["find_skews", "no_skews", "turned", "turned_back", "unskewed"]

_GRID = np.linspace(-0.9, 0.9, 37)
_TRUST = 0.8  # of the skewness of short chains


@njit(error_model="numpy")
def turned(
    u: Floats, centre: Floats, scale: Floats, skews: Floats, psi: Floats, slopes: Floats
) -> float:
    """Coordinates ψ at u.

    Parameters
    ----------
    u : ndarray
        Its first places are used.
    centre, scale : ndarray, shape (size,) and (size, size)
        The linear part; `scale` is lower triangular.
    skews : ndarray, shape (3, size)
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
        middle, width, skew = skews[0, row], skews[1, row], skews[2, row]
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
def turned_back(by_psi: Floats, scale: Floats, slopes: Floats, by_u: Floats) -> None:
    """Fill the first places of `by_u` with the derivative by u, that of ln |dψ/dv| included.

    Parameters
    ----------
    by_psi : ndarray, shape (size,)
        Derivative by ψ.
    scale, slopes
        As in `turned`.
    by_u : ndarray
        Gets the derivative.
    """
    size = len(by_psi)
    by_u[:size] = 0.0
    for row in range(size):
        by_v = by_psi[row] * slopes[0, row] + slopes[1, row]
        for column in range(row + 1):
            by_u[column] += scale[row, column] * by_v


def no_skews(size: int) -> Floats:
    """``middle``, ``width`` and δ that change nothing."""
    return np.stack([np.zeros(size), np.ones(size), np.zeros(size)])


def unskewed(psi: Floats, skews: Floats) -> Floats:
    """From ψ to v.

    Parameters
    ----------
    psi : ndarray, shape (…, size)
    skews : ndarray, shape (3, size)

    Returns
    -------
    ndarray, the same shape
    """
    middle, width, skew = skews
    ratio = (psi - middle) / width
    return np.asarray(np.sinh(np.arcsinh(ratio * np.cosh(skew) + np.sinh(skew)) - skew))


def find_skews(psi: Floats) -> Floats:
    """Choose ``middle``, ``width`` and δ by draws.

    Parameters
    ----------
    psi : ndarray, shape (draws, size)

    Returns
    -------
    ndarray, shape (3, size)
        δ is what takes most of the skewness away, and a little less.
    """
    skews = np.stack([psi.mean(axis=0), psi.std(axis=0), np.zeros(psi.shape[1])])
    left = []
    for skew in _GRID:
        skews[2] = skew
        v = unskewed(psi, skews)
        v = (v - v.mean(axis=0)) / v.std(axis=0)
        left.append(np.abs((v**3).mean(axis=0)))
    skews[2] = _TRUST * _GRID[np.argmin(left, axis=0)]
    return skews
