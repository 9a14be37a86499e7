"""The population posterior: what a fit learned of organizations, without its base models.

It is small, and enough to forecast base models that were never fitted.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from scipy.special import expit, logit

from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.posterior.convergence import Convergence, population_names
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FORMAT, FittedDraws, read_group, write_tree
from bayes_hfgrowth.posterior.importance import Population
from bayes_hfgrowth.posterior.sharing import Shared
from bayes_hfgrowth.posterior.simulation import Floats
from bayes_hfgrowth.support.errors import FitError, ForecastError

__all__ = ["PopulationPosterior", "load_population"]

_KEPT = ("format", "specification", "panel", "seed", "convergence", "versions", "sampler")


@dataclass(frozen=True, eq=False)
class PopulationPosterior(Shared):
    """Draws of a population.

    Parameters
    ----------
    posterior : xarray.Dataset
        ``global_p``, ``between_organizations_p``, ``between_base_models_p`` and
        ``organization_p`` for each growth parameter p, and what the growth model has of
        dormancy and carry-over, over ``chain``, ``draw`` and ``organization``.
    about : dict
        How the fit was made: specification, panel, seed, convergence, versions.
    """

    posterior: xr.Dataset
    about: dict[str, Any]

    _kind = "population"
    _shared_files = ("population.nc", "fit.nc")

    @classmethod
    def _read_shared(cls, path: Path) -> Self:
        return cls.load(path)

    @classmethod
    def from_fit(cls, fit: FittedDraws, draws: int | None = None) -> Self:
        """Take the population out of a fit.

        Parameters
        ----------
        fit : FittedDraws
            The fit.
        draws : int, optional
            Draws to keep, at most; all by default.
        """
        posterior = fit.posterior
        kept = posterior[population_names(posterior)].drop_vars("base_model", errors="ignore")
        found = cls(kept, {name: fit.about[name] for name in _KEPT if name in fit.about})
        return found if draws is None else found.thinned(draws)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the population from its own file or from that of a fit.

        Raises
        ------
        FitError
            When the file is missing, damaged, or holds no population.
        """
        name = os.fspath(path)
        posterior, about = read_group(path, "posterior")
        try:
            if about["format"] != FORMAT:
                raise ValueError(f"it has format {about['format']}, not {FORMAT}")
            found = cls(posterior[population_names(posterior)], about)
            Population.from_posterior(found.spec, found.posterior)
            assert isinstance(found.convergence.problems, tuple)
            assert isinstance(found.counted, Counted)
        except (FitError, AttributeError, KeyError, TypeError, ValueError) as failure:
            raise FitError(
                f"{name} holds no population that this version reads "
                f"({type(failure).__name__}: {failure}); fit the panel again"
            ) from failure
        return found

    def thinned(self, most: int) -> Self:
        """Every n-th draw, so that at most so many are left."""
        number = self.posterior.sizes["chain"] * self.posterior.sizes["draw"]
        every = max(1, -(-number // most))
        return type(self)(self.posterior.isel(draw=slice(None, None, every)), self.about)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a NetCDF file, whole or not at all.

        Raises
        ------
        FitError
            When the name does not end in ``.nc``, or the file cannot be written.
        """
        small = self.posterior.astype(np.float32)
        tree = xr.DataTree.from_dict({"posterior": small})
        tree.attrs = {ATTRIBUTE: json.dumps(self.about)}
        write_tree(tree, path)

    @cached_property
    def spec(self) -> GrowthSpec:
        """The growth model."""
        return GrowthSpec.from_json(json.dumps(self.about["specification"]))

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on the sampler, made when the model was fitted."""
        return Convergence.from_json(json.dumps(self.about["convergence"]))

    @cached_property
    def counted(self) -> Counted:
        """What the base models that it was learned from were counted by."""
        return Counted.read(self.about.get("panel", {}))

    def check_counted(self, counted: Counted) -> None:
        """Check that it was learned from counts of the same.

        Parameters
        ----------
        counted : Counted
            What a panel counts that is to be forecast from it.

        Raises
        ------
        ForecastError
            When it was not.
        """
        if counted != self.counted:
            raise ForecastError(
                f"the panel counts {counted.many}, and the population posterior knows only how "
                f"{self.counted.many} grow; fit the panel (hfgrowth fit PANEL --out FIT) and "
                "forecast from that fit"
            )

    @property
    def organizations(self) -> tuple[str, ...]:
        """Organizations that the fit knew."""
        return tuple(str(name) for name in self.posterior["organization"].to_numpy())

    @cached_property
    def _known(self) -> Population:
        return Population.from_posterior(self.spec, self.posterior)

    @property
    def spreads(self) -> Floats:
        """Standard deviations of base models within organizations; (draws, parameters)."""
        return self._known.spreads

    @property
    def carry(self) -> Floats:
        """Strength and memory of the carry-over; (draws, 2)."""
        return self._known.carry

    def of_organizations(
        self, names: Sequence[str], rng: np.random.Generator
    ) -> tuple[Floats, Floats | None]:
        """Means of organizations; those that the fit never saw are drawn from the global level.

        Parameters
        ----------
        names : sequence of str
            Organizations.
        rng : numpy.random.Generator
            Source of the unknown ones.

        Returns
        -------
        means : ndarray, shape (draws, organizations, parameters)
            On the scale that is normal.
        shares : ndarray, shape (draws, organizations), or None
            Of dormant base models, where the growth model has them.
        """
        known = {name: index for index, name in enumerate(self.organizations)}
        means = np.empty((len(self.spreads), len(names), self.spreads.shape[1]))
        with_dormancy = self.spec.dormancy is not None
        shares = np.empty(means.shape[:2]) if with_dormancy else None
        for o, name in enumerate(names):
            if name in known:
                means[:, o] = self._known.means[:, known[name]]
            else:
                for k, parameter in enumerate(self.spec.parameters):
                    means[:, o, k] = self._drawn(parameter, LOG_SCALE[parameter], rng)
            if shares is not None and name in known:
                own = self.posterior["organization_dormancy"].transpose("chain", "draw", ...)
                shares[:, o] = own.to_numpy().reshape(len(means), -1)[:, known[name]]
            elif shares is not None:
                shares[:, o] = expit(self._drawn("dormancy", None, rng))
        if shares is not None:
            shares = np.clip(shares, 1e-12, 1.0 - 1e-12)
        return means, shares

    def _drawn(self, parameter: str, log: bool | None, rng: np.random.Generator) -> Floats:
        """Mean of an organization drawn anew under each draw; ``log`` None means logit."""

        def flat(name: str) -> Floats:
            values = self.posterior[name].transpose("chain", "draw").to_numpy()
            return np.asarray(values, dtype=np.float64).ravel()

        location = flat(f"global_{parameter}")
        location = logit(location) if log is None else np.log(location) if log else location
        name = f"between_organizations_{parameter}"
        if name not in self.posterior:
            return location
        return np.asarray(location + flat(name) * rng.standard_normal(len(location)))


def load_population() -> PopulationPosterior:
    """Load the population posterior that comes with the package.

    The card beside the file, ``bayes_hfgrowth/data/population.md``, tells what it was fitted to,
    whether the sampler converged, and its limits.

    Returns
    -------
    PopulationPosterior
        For `bayes_hfgrowth.forecast.paths.forecast_new`.

    Examples
    --------
    >>> population = load_population()
    >>> "Meta" in population.organizations
    True
    """
    with as_file(files("bayes_hfgrowth") / "data" / "population.nc") as path:
        return PopulationPosterior.load(path)
