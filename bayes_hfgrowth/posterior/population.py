"""The population posterior: what a fit learned of organizations, without its base models.

It is small, and enough to forecast base models that were never fitted.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import expit, logit

from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.posterior.convergence import population_names
from bayes_hfgrowth.posterior.draws import (
    ATTRIBUTE,
    FORMAT,
    FittedDraws,
    read_group,
    write_tree,
    writer_of,
)
from bayes_hfgrowth.posterior.importance import Population
from bayes_hfgrowth.posterior.sharing import Shared
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    SharedDraws,
    dormancy_shares,
    flat,
    growth_parameters,
)
from bayes_hfgrowth.support.errors import FitError, ForecastError, HFGrowthError

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
        dormancy, carry-over, exponent of reinforcement, period effects and bursts, over
        ``chain``, ``draw``, ``organization`` and ``calendar_month``.
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
        writer, own = writer_of(about), f"this version, {version('bayes-hfgrowth')}"
        written = about.get("format") if isinstance(about, dict) else None
        if isinstance(written, int) and written != FORMAT:
            mend = "update the package" if written > FORMAT else "fit the panel again"
            raise FitError(
                f"{name} was written by {writer} in format {written}, and {own}, reads format "
                f"{FORMAT}; {mend}"
            )
        try:
            if about["format"] != FORMAT:
                raise ValueError(f"it has format {about['format']}, not {FORMAT}")
            found = cls(posterior[population_names(posterior)], about)
            if found.spec.period_effect is not None and "calendar_month" not in posterior.coords:
                raise ValueError("it does not say of which calendar months its period effects are")
            # What forecasts read: all levels, those of an organization that it does not know too.
            names = (*found.organizations[:1], "")
            found.of_organizations(names, np.random.default_rng(0))
            if not isinstance(about["seed"], int):
                raise ValueError(f"its seed is {about['seed']!r}")
            assert isinstance(found.convergence.problems, tuple)
            assert isinstance(found.counted, Counted)
        except (HFGrowthError, AttributeError, KeyError, TypeError, ValueError) as failure:
            raise FitError(
                f"{name}, written by {writer}, holds no population that {own}, reads "
                f"({type(failure).__name__}: {failure}); fit the panel again"
            ) from failure
        return found

    def thinned(self, most: int) -> Self:
        """Every n-th draw, so that at most so many are left."""
        number = self.posterior.sizes["chain"] * self.posterior.sizes["draw"]
        every = max(1, -(-number // most))
        return type(self)(self.posterior.isel(draw=slice(None, None, every)), self.about)

    def taken(self, draws: npt.NDArray[np.integer]) -> Self:
        """One chain of the draws at some positions, perhaps repeated, chain after chain."""
        chains, draw = np.divmod(draws, self.posterior.sizes["draw"])
        some = self.posterior.drop_vars(("chain", "draw"), errors="ignore")
        some = some.isel(chain=xr.Variable("taken", chains), draw=xr.Variable("taken", draw))
        return type(self)(some.rename(taken="draw").expand_dims("chain"), self.about)

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

    def check_counted(self, counted: Counted) -> None:
        """Check that it was learned from counts of what a panel counts.

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
        return self._known.scales

    @property
    def shared(self) -> SharedDraws:
        """What all base models share, draw by draw."""
        return self._known.shared

    def of_organizations(
        self, names: Sequence[str], rng: np.random.Generator
    ) -> tuple[Floats, Floats | None]:
        """Means of organizations; those that the fit never saw are drawn from the global level.

        Returns
        -------
        means : ndarray, shape (draws, organizations, parameters)
            On the scale that is normal.
        shares : ndarray, shape (draws, organizations), or None
            Of structural zeros, where the growth model has them.
        """
        place = {name: index for index, name in enumerate(self.organizations)}
        known_shares = dormancy_shares(self.spec, self.posterior)
        location, between = self.global_level
        means, shares = [], []
        for name in names:
            at = place.get(name)
            if at is None:
                means.append(location + between * rng.standard_normal(location.shape))
            else:
                means.append(self._known.means[:, at])
            if known_shares is not None and at is None:
                middle = logit(flat(self.posterior, "global_dormancy"))
                spread = self._between("dormancy") * rng.standard_normal(len(middle))
                shares.append(expit(middle + spread))
            elif known_shares is not None:
                shares.append(known_shares[:, at])
        clipped = np.clip(np.stack(shares, axis=1), 1e-12, 1.0 - 1e-12) if shares else None
        return np.stack(means, axis=1), clipped

    @cached_property
    def global_level(self) -> tuple[Floats, Floats]:
        """Global means and standard deviations of organizations; (draws, parameters) each."""
        between = [self._between(name) for name in self.spec.parameters]
        return growth_parameters(self.spec, self.posterior, "global_"), np.stack(between, axis=1)

    def _between(self, parameter: str) -> Floats:
        """Standard deviation of organizations; 0 where base models vary around the global mean."""
        if self.spec.pooling == "global":
            return np.zeros(len(self.spreads))
        return flat(self.posterior, f"between_organizations_{parameter}")


def load_population() -> PopulationPosterior:
    """Load the population posterior that comes with the package.

    It is for `bayes_hfgrowth.forecast.paths.forecast_new`. The card beside the file,
    ``bayes_hfgrowth/data/population.md``, tells what it was fitted to, whether the sampler
    converged, and its limits.

    Examples
    --------
    >>> population = load_population()
    >>> "Meta" in population.organizations
    True
    """
    with as_file(files("bayes_hfgrowth") / "data" / "population.nc") as path:
        return PopulationPosterior.load(path)
