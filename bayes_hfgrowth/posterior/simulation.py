"""Run the transition law for draws of the parameters: densities, replicates, futures."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayes_hfgrowth.growth.law import LAW_NAMES, LawDraws
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
    "futures",
    "log_likelihood",
    "narrowed",
    "replicates",
    "simulated_history",
]

type Floats = npt.NDArray[np.float64]
type Counts = npt.NDArray[np.int64]


def base_model_parameters(spec: GrowthSpec, draws: xr.Dataset) -> Floats:
    """Growth parameters as the transition law takes them.

    Parameters
    ----------
    spec : GrowthSpec
        Names the parameters.
    draws : xarray.Dataset
        Variables of a posterior or prior, over ``chain``, ``draw`` and ``base_model``.

    Returns
    -------
    ndarray of float64, shape (chains * draws, base models, parameters)
        ln fitness, immediacy, ln longevity, and ln dispersion where there is one.
    """
    columns = []
    for name in spec.parameters:
        values = draws[name].transpose("chain", "draw", "base_model").to_numpy()
        values = values.reshape(-1, values.shape[-1]).astype(np.float64)
        columns.append(np.log(values) if LOG_SCALE[name] else values)
    return np.stack(columns, axis=-1)


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
        """Take them from the variables of a posterior or prior.

        Parameters
        ----------
        spec : GrowthSpec
            Holds what is fixed.
        draws : xarray.Dataset
            Variables over ``chain`` and ``draw``.
        """
        number = draws.sizes["chain"] * draws.sizes["draw"]

        def drawn(name: str) -> Floats:
            value = spec.shared.get(name, FIXED[name])
            if isinstance(value, Prior):
                flat = draws[name].transpose("chain", "draw").to_numpy().ravel()
                return flat.astype(np.float64)
            return np.full(number, float(value))

        values = np.stack([drawn(name) for name in LAW_NAMES], axis=1)
        if spec.period_effect is None:
            return cls(values)
        effects = draws["period_effect"].transpose("chain", "draw", "calendar_month")
        period = effects.to_numpy().astype(np.float64).reshape(number, -1)
        first = 0
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
        """Continue the period effects so that they cover calendar months in a row.

        Parameters
        ----------
        first, number : int
            As in `over`.
        rng : numpy.random.Generator
            Source of one path for each draw, the same for all base models.
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
        """Continue them over a history and the months that follow it.

        Parameters
        ----------
        history : History
            What was observed.
        months : int
            Further months of age of every base model.
        rng : numpy.random.Generator
            As in `continued`.
        """
        if self.period is None:
            return self
        first, number = calendar_needed(history, months)
        return self.continued(first, number, rng)


def calendar_needed(history: History, months: int) -> tuple[int, int]:
    """First calendar month that a history and what follows it touch, and how many they do.

    Parameters
    ----------
    history : History
        What was observed.
    months : int
        Further months of age of every base model.
    """
    return _span(history, _positions_ahead(history, months)[0])


def _span(history: History, ahead: npt.NDArray[np.int64]) -> tuple[int, int]:
    """As `calendar_needed`, given the positions of the months that follow."""
    first, number = history.calendar_span if len(history.month) else (int(ahead.min()), 1)
    first = min(first, int(ahead.min())) if ahead.size else first
    last = max(first + number, int(ahead.max()) + 2) if ahead.size else first + number
    return first, last - first


def _positions_ahead(history: History, months: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Calendar positions of further months of age, shape (base models, months)."""
    ages = history.months[:, None] + np.arange(1, months + 1)
    calendar, share = calendar_position(
        history.created_at.repeat(months), ages.ravel().astype(np.int64)
    )
    return calendar.reshape(ages.shape), share.reshape(ages.shape)


def dormancy_shares(spec: GrowthSpec, draws: xr.Dataset) -> Floats | None:
    """Share of structural zeros of each organization, where the growth model has one.

    Parameters
    ----------
    spec : GrowthSpec
        Says whether there is one.
    draws : xarray.Dataset
        Then holds ``organization_dormancy``.

    Returns
    -------
    ndarray of float64, shape (chains * draws, organizations), or None
    """
    if spec.dormancy is None:
        return None
    shares = draws["organization_dormancy"].transpose("chain", "draw", "organization").to_numpy()
    return np.asarray(shares.reshape(-1, shares.shape[-1]), dtype=np.float64)


def _law_draws(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    values: Floats,
    period: Floats,
    dormancy: Floats | None,
) -> LawDraws:
    """Draws as the compiled law takes them; dormancy is 0 where the growth model has none."""
    if spec.dormancy is not None and dormancy is None:
        raise ValueError(f"the growth model {spec.name} needs the shares of dormant base models")
    if spec.dormancy is None or dormancy is None:
        dormancy = np.zeros((len(theta), max(1, len(history.organizations))))
    dormancy = np.ascontiguousarray(dormancy, dtype=np.float64)
    return LawDraws(theta, values, period, history.organization_of, dormancy)


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
    period = shared.over(*history.calendar_span)
    draws = _law_draws(spec, history, theta, shared.values, period, dormancy)
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
    period = shared.over(*history.calendar_span)
    draws = _law_draws(spec, history, theta, shared.values, period, dormancy)
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
    spec, history, theta, shared, dormancy
        As in `log_likelihood`.
    months : int
        How far to go, in months.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (draws, base models, months)
        Cumulative fine-tunes; never below the last known count, never falling.
    """
    out = np.empty((len(theta), len(history.base_models), months), dtype=np.int64)
    calendar, share = _positions_ahead(history, months)
    first, number = _span(history, calendar)
    period = shared.over(first, number)
    draws = _law_draws(spec, history, theta, shared.values, period, dormancy)
    simulate(observed_of(spec, history, first), draws, Ahead(calendar - first, share), rng, out)
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
    spec, history
        Law, and the base models with their ages.
    theta : ndarray, shape (base models, parameters)
        Growth parameters.
    shared : SharedDraws
        One draw; the period effects must cover the history.
    rng : numpy.random.Generator
        Source of randomness.
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
