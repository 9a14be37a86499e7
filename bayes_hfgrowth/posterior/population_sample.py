"""A sample of a population posterior, the same for all base models that are forecast from it.

Draw j has organizations, what all base models share, and one path of the period effects, which
goes on before and after the months of the fit. Organizations that the population does not know are
drawn from its global level, each by its name.
"""

from functools import cached_property

import numpy as np

from bayes_hfgrowth.growth.law import FACTOR, SIZE, Floats, Integers
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.posterior.common_random_numbers import OF_POPULATION, Moves, random_of
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import SharedDraws

__all__ = ["PopulationSample"]


class PopulationSample:
    """Draws of a population posterior, made ready for base models that were in no fit.

    It may be pickled and sent to other processes, and used by several threads.

    Parameters
    ----------
    population : PopulationPosterior
        Of an earlier fit.
    seed : int
        Same seed, same draws.
    draws : int
        How many draws of each base model. As many are taken from the population, evenly spaced,
        or some of them several times where it has fewer; draw j is the same for all base models.
    ahead : int
        Purpose, as in `random_of`, of the numbers that continue the period effects: `OF_FIT` for
        the paths that forecasts of a fit's own base models follow.
    """

    def __init__(
        self, population: PopulationPosterior, seed: int, draws: int, ahead: int = OF_POPULATION
    ) -> None:
        self.spec: GrowthSpec = population.spec
        self.seed, self.draws, self._ahead = seed, draws, ahead
        number = population.posterior.sizes["chain"] * population.posterior.sizes["draw"]
        self.population = population.taken((np.arange(draws) * number) // draws)
        self.scales = np.ascontiguousarray(self.population.spreads)
        self.shared = self.population.shared
        self._covering = self.shared
        self._place = {name: o for o, name in enumerate(population.organizations)}
        means, shares = self.population.of_organizations(tuple(self._place), random_of(seed, 7))
        self._means = np.ascontiguousarray(means.transpose(1, 0, 2))
        self._shares = None if shares is None else np.ascontiguousarray(shares.T)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "moves"}

    @cached_property
    def moves(self) -> Moves:
        """What couples the draws of base models."""
        return Moves.of(self.draws, random_of(self.seed, 15))

    @cached_property
    def middle(self) -> Floats:
        """Middling parameters that all base models share; (SHARED,)."""
        values = self.shared.values.mean(axis=0)
        for k in (FACTOR, SIZE):
            values[k] = np.exp(np.log(self.shared.values[:, k]).mean())
        return np.asarray(values)

    def knows(self, organization: str) -> bool:
        """Whether the population has an organization of this name."""
        return organization in self._place

    def of_base_models(self, organization: str) -> tuple[Floats, Floats]:
        """Means and standard deviations of base models; (draws, parameters) each.

        Of those of the organization if the population knows it, else of those of any.
        """
        if self.knows(organization):
            return self._means[self._place[organization]], self.scales
        location, between = self.population.global_level
        return location, np.sqrt(between**2 + self.scales**2)

    def of_organization(self, name: str) -> tuple[Floats, Floats | None]:
        """Means of an organization, and its shares of structural zeros where there are any.

        One that the population does not know is drawn from the global level, each by its name,
        so that two of them share no more than that.

        Returns
        -------
        means : ndarray, shape (draws, parameters)
            On the scale that is normal.
        shares : ndarray, shape (draws,), or None
        """
        if self.knows(name):
            place = self._place[name]
            return self._means[place], None if self._shares is None else self._shares[place]
        rng = random_of(self.seed, 7, name.encode())
        means, shares = self.population.of_organizations([name], rng)
        return np.ascontiguousarray(means[:, 0]), None if shares is None else shares[:, 0]

    def over_calendar(self, first: int, number: int) -> SharedDraws:
        """What all base models share, its period effects covering calendar months in a row.

        There is one path of them for each draw, the same for all base models. The months are given
        as in `bayes_hfgrowth.posterior.simulation.SharedDraws.over`.
        """
        found = self._covering
        if found.period is None:
            return found
        end = found.first + found.period.shape[1]
        if first < found.first or first + number > end:
            known = self.shared.period
            assert known is not None
            begin = min(first, found.first)
            # From sources of their own, so that a path hangs on neither end of what is asked for.
            back = self.shared.first + known.shape[1] - begin
            found = self.shared.continued(begin, back, random_of(self.seed, 13))
            length = max(first + number, end) - begin
            found = found.continued(begin, length, random_of(self.seed, self._ahead))
            self._covering = found
        return found

    def shared_of(self, which: Integers, first: int, number: int, known: int) -> SharedDraws:
        """What forecasts of a base model go with, its draws being coupled to the population's.

        Draw j follows the period effects of its draw of the population as long as something is
        known of them, and from then on has innovations of its own, the same for all base models.

        Parameters
        ----------
        which : ndarray of int, shape (draws,)
            The draw of the population of each.
        first, number : int
            Calendar months to cover, as in `over_calendar`.
        known : int
            Last calendar month that the base model's months lie in; those of the fit are known
            besides.
        """
        whole = self.over_calendar(first, number)
        taken = whole.take(which)
        if whole.period is None or self.shared.period is None:
            return taken
        assert whole.persistence is not None
        assert whole.innovation is not None
        assert taken.period is not None
        known = max(known, self.shared.first + self.shared.period.shape[1] - 1)
        moved = np.flatnonzero(which != np.arange(len(which)))
        own, path = whole.period[moved], taken.period[moved]
        for month in range(known + 1 - whole.first, path.shape[1]):
            step = own[:, month] - whole.persistence[moved] * own[:, month - 1]
            step *= whole.innovation[which[moved]] / whole.innovation[moved]
            path[:, month] = whole.persistence[which[moved]] * path[:, month - 1] + step
        taken.period[moved] = path
        return taken
