"""How base models move along with the population, to first order.

In their own coordinates (those of `bayes_hfgrowth.inference.whitening` and
`bayes_hfgrowth.inference.zero_counts`) base models are nearly independent of the population, but
not quite: many of them lean a little the same way, and together they hold back a parameter such as
the scale of immediacy. So the coordinates y of the base models of one cohort get a common
translation,

    y = y' + B (v - centre),

with v the coordinates of the population. A translation has no Jacobian. By the implicit function
theorem B is the derivative of y's slopes by v, as the curvature by y is near 1; it is the mean over
the base models of a cohort and over draws, shrunk to zero where it is no larger than its error.
"""

import numpy as np

from bayes_hfgrowth.growth.law import Floats, Integers

__all__ = ["SIZES", "Following", "cohorts_of"]

SIZES = (1, 5)
"""Fine-tunes from which on base models of an organization make a cohort of their own."""


def cohorts_of(group: Integers, finetunes: Integers) -> Integers:
    """Cohort of each base model: its organization, and how many fine-tunes it has.

    Parameters
    ----------
    group : ndarray of int64, shape (base models,)
        Organization of each.
    finetunes : ndarray of int64, shape (base models,)
    """
    return np.asarray(group * (len(SIZES) + 1) + np.searchsorted(SIZES, finetunes, side="right"))


class Following:
    """Gathers B from the slopes of base models at several draws.

    Parameters
    ----------
    cohort : ndarray of int64, shape (base models,)
        From `cohorts_of`.
    number : int
        Cohorts.
    shape : tuple of (int, int)
        Growth parameters of a base model, and coordinates of the population.
    """

    def __init__(self, cohort: Integers, number: int, shape: tuple[int, int]) -> None:
        self._cohort, self._draws = cohort, 0
        self._members = np.bincount(cohort, minlength=number)
        self._sums, self._squares = np.zeros((2, number, *shape))

    def add(self, column: int, derivatives: Floats) -> None:
        """Count one draw's derivatives of the slopes by one coordinate of the population.

        Parameters
        ----------
        column : int
        derivatives : ndarray, shape (base models, parameters)
        """
        np.add.at(self._sums[:, :, column], self._cohort, derivatives)
        np.add.at(self._squares[:, :, column], self._cohort, derivatives**2)

    def estimate(self, draws: int) -> Floats:
        """B, by so many draws.

        Returns
        -------
        ndarray, shape (cohorts, parameters, coordinates of the population)
        """
        number = np.maximum(self._members * draws, 1)[:, None, None]
        mean = self._sums / number
        error = np.maximum(self._squares / number - mean**2, 0.0) / number
        square = np.maximum(mean**2, np.finfo(np.float64).tiny)
        return np.asarray(mean * np.maximum(1.0 - error / square, 0.0))
