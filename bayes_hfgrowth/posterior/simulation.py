"""Run the transition law for draws of the parameters: densities, replicates, futures."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayes_hfgrowth.growth.law import LAW_NAMES, Floats, LawDraws
from bayes_hfgrowth.growth.monthwise import pointwise, replicate
from bayes_hfgrowth.growth.paths import Ahead, simulate
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.model.specification import FIXED, GrowthSpec, Prior
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.period import calendar_position, continued

__all__ = [
    "SharedDraws",
    "base_model_parameters",
    "calendar_needed",
    "dormancy_shares",
    "flat",
    "flat_draws",
    "futures",
    "growth_parameters",
    "log_likelihood",
    "narrowed",
    "replicates",
    "simulated_history",
]

type Counts = npt.NDArray[np.int64]


def flat_draws(values: xr.DataArray, *over: str, most: int | None = None) -> npt.NDArray[Any]:
    """Draws of all chains one after the other, evenly thinned.

    Parameters
    ----------
    values : xarray.DataArray
        Over ``chain``, ``draw`` and `over`.
    *over : str
        The other dimensions, in the order of the result's.
    most : int, optional
        Draws to keep, about; all when not given.

    Returns
    -------
    ndarray, shape (draws, *over)
    """
    each = values.transpose("chain", "draw", *over).to_numpy()
    each = each.reshape(-1, *each.shape[2:])
    return each[:: max(1, len(each) // (most or len(each)))]


def flat(draws: xr.Dataset, name: str, *over: str) -> Floats:
    """Values of a variable as float64, as `flat_draws` has them; shape (chains * draws, *over)."""
    return flat_draws(draws[name], *over).astype(np.float64)


def growth_parameters(spec: GrowthSpec, draws: xr.Dataset, level: str, *over: str) -> Floats:
    """Growth parameters of a level on the scale that is normal.

    Parameters
    ----------
    spec : GrowthSpec
        Names the parameters.
    draws : xarray.Dataset
        Variables of a posterior or prior.
    level : str
        How the variables' names begin: ``organization_``, ``global_``, or nothing.
    *over : str
        Their dimension besides ``chain`` and ``draw``, if they have one.

    Returns
    -------
    ndarray of float64, shape (chains * draws, *over, parameters)
        ln fitness, immediacy, ln longevity, and ln dispersion where there is one.
    """
    columns = []
    for name in spec.parameters:
        values = flat(draws, level + name, *over)
        columns.append(np.log(values) if LOG_SCALE[name] else values)
    return np.stack(columns, axis=-1)


def base_model_parameters(spec: GrowthSpec, draws: xr.Dataset) -> Floats:
    """As `growth_parameters`, of base models; shape (chains * draws, base models, parameters)."""
    return growth_parameters(spec, draws, "", "base_model")


@dataclass(frozen=True, eq=False)
class SharedDraws:
    """Draws of what all base models share: the law's parameters and the period effects.

    Parameters
    ----------
    values : ndarray, shape (draws, SHARED)
        In the order of `bayes_hfgrowth.growth.law`.
    period : ndarray, shape (draws, calendar months), or None
        Period effects; None where the growth model has none, or they are taken out.
    first : int
        Calendar month of the first of them, counted from January 1970.
    persistence, innovation : ndarray, shape (draws,)
        Of the autoregression that continues them.
    """

    values: Floats
    period: Floats | None = None
    first: int = 0
    persistence: Floats | None = None
    innovation: Floats | None = None

    @classmethod
    def of(cls, spec: GrowthSpec, draws: xr.Dataset) -> "SharedDraws":
        """Take them from a posterior or prior, and what is fixed from the specification."""
        number = draws.sizes["chain"] * draws.sizes["draw"]

        def drawn(name: str) -> Floats:
            value = spec.shared.get(name, FIXED[name])
            return flat(draws, name) if isinstance(value, Prior) else np.full(number, float(value))

        values = np.stack([drawn(name) for name in LAW_NAMES], axis=1)
        if spec.period_effect is None:
            return cls(values)
        period, first = flat(draws, "period_effect", "calendar_month"), 0
        if "calendar_month" in draws.coords:
            name = str(draws["calendar_month"].to_numpy()[0])
            first = int(np.datetime64(name, "M").astype(np.int64))
        return cls(values, period, first, drawn("period_persistence"), drawn("period_innovation"))

    def __len__(self) -> int:
        """Number of draws."""
        return len(self.values)

    def take(self, draws: npt.NDArray[np.integer]) -> "SharedDraws":
        """Some of the draws, in the order given."""
        parts = (self.period, self.persistence, self.innovation)
        period, persistence, innovation = (None if p is None else p[draws] for p in parts)
        return SharedDraws(self.values[draws], period, self.first, persistence, innovation)

    def over(self, first: int, number: int) -> Floats:
        """Period effects of calendar months in a row.

        Parameters
        ----------
        first, number : int
            The first one, counted from January 1970, and how many.

        Returns
        -------
        ndarray, shape (draws, number)
            0 where there are none.

        Raises
        ------
        ValueError
            When a month is not covered; see `continued`.
        """
        if self.period is None:
            return np.zeros((len(self), number))
        at = first - self.first
        if at < 0 or at + number > self.period.shape[1]:
            raise ValueError("the period effects do not cover these calendar months")
        return np.ascontiguousarray(self.period[:, at : at + number])

    def continued(self, first: int, number: int, rng: np.random.Generator) -> "SharedDraws":
        """Continue the period effects so that they cover the calendar months, as in `over`.

        There is one path for each draw, the same for all base models.
        """
        if self.period is None:
            return self
        assert self.persistence is not None
        assert self.innovation is not None
        before = max(0, self.first - first)
        after = max(0, first + number - self.first - self.period.shape[1])
        period = continued(self.period, self.persistence, self.innovation, before, after, rng)
        return replace(self, period=period, first=self.first - before)

    def ahead_of(self, history: History, months: int, rng: np.random.Generator) -> "SharedDraws":
        """Continue them over all that is `calendar_needed`."""
        if self.period is None:
            return self
        return self.continued(*calendar_needed(history, months), rng)


def calendar_needed(history: History, months: int) -> tuple[int, int]:
    """First calendar month that a history and further months of age touch, and how many they do."""
    return _months_ahead(history, months)[2]


def _months_ahead(history: History, months: int) -> tuple[Counts, Floats, tuple[int, int]]:
    """Where further months of age lie, each (base models, months), and `calendar_needed`."""
    ages = history.months[:, None] + np.arange(1, months + 1)
    calendar, share = calendar_position(history.created_at.repeat(months), ages.ravel())
    first, number = history.calendar_span
    if calendar.size:  # those of a base model follow its own, so no observed one is later
        begin = int(calendar.min())
        first = min(first, begin) if len(history.month) else begin
        number = int(calendar.max()) + 2 - first
    return calendar.reshape(ages.shape), share.reshape(ages.shape), (first, number)


def dormancy_shares(spec: GrowthSpec, draws: xr.Dataset) -> Floats | None:
    """Share of structural zeros of each organization, where the growth model has one.

    Returns
    -------
    ndarray of float64, shape (chains * draws, organizations), or None
    """
    return None if spec.dormancy is None else flat(draws, "organization_dormancy", "organization")


def _law_draws(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    shared: SharedDraws,
    dormancy: Floats | None,
    span: tuple[int, int],
) -> LawDraws:
    """Draws as the compiled law takes them; dormancy is 0 where the growth model has none."""
    if spec.dormancy is None:
        dormancy = np.zeros((len(theta), max(1, len(history.organizations))))
    elif dormancy is None:
        raise ValueError(f"the growth model {spec.name} needs the shares of dormant base models")
    # One layout for all callers: another one would be compiled for once more.
    theta, dormancy = (np.ascontiguousarray(x, dtype=np.float64) for x in (theta, dormancy))
    return LawDraws(theta, shared.values, shared.over(*span), history.organization_of, dormancy)


def log_likelihood(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    shared: SharedDraws,
    dormancy: Floats | None = None,
) -> npt.NDArray[np.float32]:
    """Log density of every observed month under every draw, given the months before it.

    Parameters
    ----------
    spec : GrowthSpec
        Names the law.
    history : History
        The months.
    theta : ndarray
        From `base_model_parameters`.
    shared : SharedDraws
        What all base models share; the period effects must cover the history.
    dormancy : ndarray, optional
        From `dormancy_shares`; needed where the growth model has one.

    Returns
    -------
    ndarray of float32, shape (draws, months)
    """
    out = np.empty((len(theta), len(history.new)), dtype=np.float32)
    draws = _law_draws(spec, history, theta, shared, dormancy, history.calendar_span)
    pointwise(observed_of(spec, history), draws, out)
    return out


def replicates(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    shared: SharedDraws,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> Counts:
    """Draw every observed month anew, given the months observed before it.

    Parameters
    ----------
    spec, history, theta, shared, dormancy
        As in `log_likelihood`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (draws, months)
    """
    out = np.empty((len(theta), len(history.new)), dtype=np.int64)
    draws = _law_draws(spec, history, theta, shared, dormancy, history.calendar_span)
    replicate(observed_of(spec, history), draws, rng, out)
    return out


def futures(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    shared: SharedDraws,
    months: int,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> Counts:
    """Continue every base model from the count known today, one path for each draw.

    Parameters
    ----------
    spec, history, theta, shared, rng, dormancy
        As in `replicates`; the period effects must cover `calendar_needed`.
    months : int
        How far to go, in months.

    Returns
    -------
    ndarray of int64, shape (draws, base models, months)
        Cumulative fine-tunes; never below the last known count, never falling.
    """
    out = np.empty((len(theta), len(history.base_models), months), dtype=np.int64)
    calendar, share, span = _months_ahead(history, months)
    draws = _law_draws(spec, history, theta, shared, dormancy, span)
    ahead = Ahead(calendar - span[0], share)
    simulate(observed_of(spec, history, span[0]), draws, ahead, rng, out)
    return out


def narrowed(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Counts as 32-bit integers where they fit, which take half the place."""
    return counts.astype(np.int32) if counts.max(initial=0) < np.iinfo(np.int32).max else counts


def simulated_history(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    shared: SharedDraws,
    rng: np.random.Generator,
    dormancy: Floats | None = None,
) -> History:
    """Make up the counts of a history from the model, ages and names as they are.

    Parameters
    ----------
    spec, history, shared, rng
        As in `replicates`; one draw of what is shared.
    theta : ndarray, shape (base models, parameters)
        Growth parameters.
    dormancy : ndarray, shape (organizations,), optional
        Shares of structural zeros; needed where the growth model has them.
    """
    newborn = replace(
        History.newborn(len(history.base_models)),
        organizations=history.organizations,
        organization_of=history.organization_of,
        created_at=history.created_at,
    )
    longest = int(history.months.max(initial=0))
    shares = None if dormancy is None else dormancy[None]
    # Younger base models are simulated further than they go; what that needs is thrown away.
    shared = shared.ahead_of(newborn, longest, rng)
    paths = futures(spec, newborn, theta[None], shared, longest, rng, shares)[0]
    column = history.month.astype(np.int64) - 1
    counts = paths[history.base_model_of, column].astype(np.float64)
    first = column == 0
    previous = np.where(first, 0.0, np.roll(counts, 1))
    return replace(history, previous=previous, new=counts - previous)
