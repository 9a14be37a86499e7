"""Where the points of a base model are drawn: around draws of earlier runs, and staying there.

The points of `bayes_hfgrowth.inference.crosses` are placed in straightened growth parameters
(`bayes_hfgrowth.inference.ridge`) as centre + root · point. They do not follow the population, so
that the months need to be read once for each point and not at every step of a trajectory.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bayes_hfgrowth.growth.transition import Floats

__all__ = ["Proposals"]

_NARROWEST = 0.02
"""Least standard deviation in every direction, in units of the population's spreads."""


@dataclass(frozen=True, eq=False)
class Proposals:
    """Centre and scale of each base model's points.

    Parameters
    ----------
    centre : ndarray, shape (base models, parameters)
    root : ndarray, shape (base models, parameters, parameters)
        Lower triangular.
    """

    centre: Floats
    root: Floats

    @classmethod
    def from_draws(cls, straight: Floats, spreads: Floats, wider: float) -> Self:
        """Take mean and covariance of draws.

        Parameters
        ----------
        straight : ndarray, shape (draws, base models, parameters)
            Straightened growth parameters.
        spreads : ndarray, shape (parameters,)
            Standard deviations of the population.
        wider : float
            Factor of the standard deviations.
        """
        centre = straight.mean(axis=0)
        away = straight - centre
        covariance = wider**2 * np.einsum("sni,snj->nij", away, away) / len(straight)
        floor = np.diag((_NARROWEST * spreads) ** 2)
        return cls(centre, np.linalg.cholesky(covariance + floor))

    def coordinates(self, straight: Floats) -> Floats:
        """Coordinates of straightened growth parameters.

        Parameters
        ----------
        straight : ndarray, shape (…, base models, parameters)

        Returns
        -------
        ndarray, the same shape
        """
        away = (straight - self.centre)[..., None]
        return np.asarray(np.linalg.solve(self.root, away)[..., 0])

    def straight(self, points: Floats) -> Floats:
        """Straightened growth parameters at coordinates, the inverse of `coordinates`."""
        return np.asarray(self.centre + np.einsum("nij,...nj->...ni", self.root, points))
