"""Where the points of a base model are drawn: around draws of earlier runs, and staying there.

The points of `bayes_hfgrowth.crosses` are placed in straightened growth parameters
(`bayes_hfgrowth.straightening`) as centre + root · point. They do not follow the population, so
that the months need to be read once for each point and not at every step of a trajectory.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bayes_hfgrowth.growth.law import Floats

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
    shift : ndarray, shape (some of the base models, parameters, 1 + calendar months)
        How the centres move with the exponent and the period effects; base models beyond it stay.
    """

    centre: Floats
    root: Floats
    shift: Floats

    def moved(self, shared: Floats) -> Self:
        """Where they are for other exponents and period effects.

        Parameters
        ----------
        shared : ndarray, shape (1 + calendar months,)
            Distance from where the centres were found.
        """
        centre = self.centre.copy()
        centre[: len(self.shift)] += self.shift @ shared
        return type(self)(centre, self.root, self.shift)

    @classmethod
    def from_draws(cls, straight: Floats, spreads: Floats, wider: float, shift: Floats) -> Self:
        """Take mean and covariance of draws.

        Parameters
        ----------
        straight : ndarray, shape (draws, base models, parameters)
            Straightened growth parameters.
        spreads : ndarray, shape (parameters,)
            Standard deviations of the population.
        wider : float
            Factor of the standard deviations.
        shift : ndarray
            As in the class.
        """
        centre = straight.mean(axis=0)
        away = straight - centre
        covariance = wider**2 * np.einsum("sni,snj->nij", away, away) / len(straight)
        floor = np.diag((_NARROWEST * spreads) ** 2)
        return cls(centre, np.linalg.cholesky(covariance + floor), shift)

    def joined(self, others: Self) -> Self:
        """These base models and others behind them."""
        return type(self)(
            np.concatenate([self.centre, others.centre]),
            np.concatenate([self.root, others.root]),
            self.shift,
        )

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
