"""Points at which base models are averaged: crosses turned at random.

The points of a base model are ±r_k q_k for the p columns q_k of a random rotation, with radii r_k
from p equally likely parts of the radius of a multivariate t distribution. Each point by itself
has that distribution, so a mean over them is unbiased; together they cancel all that is odd and
nearly all that is quadratic, which is most of what a mean of independent points would get wrong.

Any of the 2p points may be kept and the others drawn anew around it (`crosses` with ``kept``):
the joint distribution is the same whichever is called the first. So picking one in proportion to
its weight and drawing the rest anew leaves the distribution of population, points and pick as it
is (conditional importance sampling; Andrieu, Doucet and Holenstein 2010), and the pick is a draw
of the base model's posterior under the population.
"""

import numpy as np
from scipy.special import fdtr, fdtri

from bayes_hfgrowth.transition import Floats

__all__ = ["DEGREES", "WIDER", "crosses"]

DEGREES = 8.0
"""Degrees of freedom of the t distribution: posteriors have heavier tails than the normal."""

WIDER = 1.1
"""Its scale, in standard deviations of the normal approximation of a base model."""

_EDGE = 1e-12


def crosses(
    shape: tuple[int, ...], rng: np.random.Generator, kept: Floats | None = None
) -> tuple[Floats, Floats]:
    """Draw the points of every base model.

    Parameters
    ----------
    shape : (int, int)
        Base models, and coordinates of each.
    rng : numpy.random.Generator
        Source of randomness.
    kept : ndarray, shape (members, parameters), optional
        The first point of each; drawn like the others by default.

    Returns
    -------
    points : ndarray, shape (2 * parameters, members, parameters)
        In units of whitened coordinates.
    log_density : ndarray, shape (2 * parameters, members)
        Of the distribution of each point by itself, up to a constant.
    """
    members, parameters = shape
    directions = rng.standard_normal((members, parameters, parameters))
    if kept is not None:
        directions[:, :, 0] = kept
    turned = np.linalg.qr(directions)[0]
    if kept is None:
        part = rng.random(members)
    else:
        square = (kept**2).sum(axis=1) / (WIDER**2 * parameters)
        part = np.clip(fdtr(parameters, DEGREES, square), _EDGE, 1.0 - _EDGE)
    taken = (part * parameters).astype(np.int64)
    order = np.argsort(rng.random((members, parameters - 1)), axis=1)
    others = order + (order >= taken[:, None])  # the parts that are left, in random order
    spread = (others + rng.random((members, parameters - 1))) / parameters
    shares = np.clip(np.concatenate([part[:, None], spread], axis=1), _EDGE, 1.0 - _EDGE)
    radii = WIDER * np.sqrt(parameters * fdtri(parameters, DEGREES, shares))
    axes = np.ascontiguousarray((turned * radii[:, None, :]).transpose(2, 0, 1))
    if kept is not None:
        axes[0] = kept
    points = np.stack([axes, -axes], axis=1).reshape(2 * parameters, members, parameters)
    square = (points**2).sum(axis=-1) / WIDER**2
    return points, -0.5 * (DEGREES + parameters) * np.log1p(square / DEGREES)
