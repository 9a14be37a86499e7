"""A fit and the months that came after it: new forecasts without a new fit."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.forecast.dated_counts import dates_ahead, last_date, months_needed
from bayes_hfgrowth.forecast.draws import Forecast
from bayes_hfgrowth.forecast.paths import (
    CHUNK,
    assembled,
    check_request,
    followed,
    forecast,
    forecast_chunk,
    put,
    simulated,
    until_attribute,
    with_releases,
)
from bayes_hfgrowth.forecast.totals import counts_of
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.common_random_numbers import OF_FIT
from bayes_hfgrowth.posterior.conditional import Conditional
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.reweighting import Reweighted, alone, reweigh
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    base_model_parameters,
    calendar_needed,
    dormancy_shares,
)
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import Date, months_ahead, until_date
from bayes_hfgrowth.support.progress import Progress

__all__ = ["POPULATION", "REFIT", "REWEIGHTED", "UNCHANGED", "Update", "update"]

UNCHANGED, REWEIGHTED, REFIT, POPULATION = "unchanged", "reweighted", "refit", "population"
"""Where a base model's draws are from: the fit, as it has no new months; the fit, weighed by its
new months; the same, but the fit's draws are too few for them; the fit's population."""

type Counts = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Update:
    """A fit conditioned on the months of a later panel, base model by base model.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    panel : Panel
        What is known now.
    history : History
        Its months.
    conditional : Conditional
        The fit's population, all its draws in order.
    in_panel, in_fit : ndarray of int, shape (known base models,)
        Where the base models that the fit knows stand in the panel and in the fit.
    theta : ndarray, shape (draws, known base models, parameters)
        The fit's draws of them.
    shares : ndarray, shape (draws, known base models), or None
        Shares of dormant base models of their organizations.
    reweighted : Reweighted
        Weights of these draws, and which are chosen.
    """

    fit: FittedDraws
    panel: Panel
    history: History
    conditional: Conditional
    in_panel: npt.NDArray[np.int64]
    in_fit: npt.NDArray[np.int64]
    theta: Floats
    shares: Floats | None
    reweighted: Reweighted

    @cached_property
    def base_models(self) -> pd.DataFrame:
        """What was made of each base model of the panel.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``base_model``: ``source`` (``unchanged``, ``reweighted``, ``refit`` or
            ``population``), ``pareto_k`` and ``effective`` (of the weights: shape of the tail and
            effective number of draws; missing where the source is the population),
            ``new_months`` and ``new`` (months and fine-tunes since the fit; of base models that
            it does not know, all).
        """
        history, old, known = self.history, self.fit.history, self.in_panel
        number = len(history.base_models)
        pareto_k, effective = np.full(number, np.nan), np.full(number, np.nan)
        new_months, new = history.months.copy(), history.finetunes.copy()
        pareto_k[known] = self.reweighted.pareto_k
        effective[known] = self.reweighted.effective
        new_months[known] -= old.months[self.in_fit]
        new[known] -= old.finetunes[self.in_fit]
        source = np.full(number, POPULATION, dtype=object)
        weighed = np.where(pareto_k[known] > GOOD_K, REFIT, REWEIGHTED)
        source[known] = np.where(new_months[known] == 0, UNCHANGED, weighed)
        columns = {"source": source, "pareto_k": pareto_k, "effective": effective}
        return pd.DataFrame(
            columns | {"new_months": new_months, "new": new},
            index=pd.Index(history.base_models, name="base_model"),
        )

    @property
    def refit(self) -> tuple[str, ...]:
        """Base models for whose new months the fit's draws are too few; fit them again."""
        return self._of(REFIT)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Base models that the fit does not know, which its population forecasts."""
        return self._of(POPULATION)

    @property
    def missing(self) -> tuple[str, ...]:
        """Base models of the fit that the panel does not hold; they are not forecast."""
        here = set(self.history.base_models)
        return tuple(name for name in self.fit.base_models if name not in here)

    def _of(self, source: str) -> tuple[str, ...]:
        table = self.base_models
        return tuple(table.index[table["source"] == source])

    def forecast(
        self, months: int | None = None, *, until: Date | None = None, progress: bool = False
    ) -> Forecast:
        """Forecast all base models of the panel from its last date on.

        Parameters
        ----------
        months, until
            As in `bayes_hfgrowth.forecast.paths.forecast`.
        progress : bool
            Whether to show progress on standard error.

        Returns
        -------
        Forecast
            As many draws as the fit has. Its draws also have ``pareto_k`` and ``source`` over
            ``base_model``. Without a new month it is that of `fit.forecast` with the same seed.

        Raises
        ------
        ForecastError
            When the horizon is out of range, not given or given twice.
        """
        last = until_date(months, until)
        start = last_date(self.history, self.panel.observed_at)
        months = months_ahead(months, last, start)
        check_request(months, self.conditional.seed)
        dates = dates_ahead(start, months)
        number = len(self.history.base_models)
        counts: Counts = np.empty((2, len(self.theta), number, months), np.int32)
        pareto_k = np.full(number, np.nan)
        pareto_k[self.in_panel] = self.reweighted.pareto_k
        new = np.setdiff1d(np.arange(number), self.in_panel)
        # One path of the period effect for each draw, made before threads read it.
        ahead = int(np.maximum(months_needed(self.history, dates), months).max())
        self.conditional.over_calendar(*calendar_needed(self.history, ahead))
        with (
            workers(None) as (submit, _, hands),
            Progress(progress).stage("base models", number) as advance,
        ):
            pieces = ((self._paths, k, dates) for k in range(len(self.in_panel)))
            paths = in_order(submit, pieces, 8 * hands)
            for done, (place, both) in enumerate(zip(self.in_panel, paths, strict=True), 1):
                counts = put(counts, place, both)
                advance(done, "")
            for first in range(0, len(new), CHUNK):
                some = new[first : first + CHUNK]
                part = forecast_chunk(self.conditional, self.history.subset(some), months, start)
                both = [counts_of(part.draws, name) for name in ("finetunes", "finetunes_at_date")]
                counts = put(counts, some, np.stack(both))
                pareto_k[some] = part.draws["pareto_k"].to_numpy()
                advance(len(self.in_panel) + first + len(some), "")
        sizes = self.fit.posterior.sizes
        shape = (2, sizes["chain"], sizes["draw"], number, months)
        found = assembled(self.history, counts.reshape(shape), start)
        source = self.base_models["source"].to_numpy(dtype=object)
        draws = found.draws.assign(pareto_k=("base_model", pareto_k), source=("base_model", source))
        known, seed = self.conditional.population, self.conditional.seed
        found = with_releases(replace(found, draws=draws), known, self.history, seed, OF_FIT)
        return until_attribute(found, last)

    def earlier(self) -> Forecast | None:
        """The forecast that the fit made, without what came, of base models with new months.

        It goes as far as the panel's months do; None where no base model has a new month.
        """
        table = self.base_models
        some = table[table["source"].isin([REWEIGHTED, REFIT])]
        if not len(some):
            return None
        months = int(some["new_months"].max())
        return forecast(self.fit, months, list(some.index), self.conditional.seed)

    def _paths(self, k: int, dates: pd.DatetimeIndex) -> Counts:
        """Counts of a base model that the fit knows, as `simulated` gives them."""
        conditional, one = self.conditional, alone(self.history, int(self.in_panel[k]))
        draw = self.reweighted.draw[:, k]
        theta = self.theta[draw, k][:, None]
        shares = None if self.shares is None else self.shares[draw, k][:, None]
        ahead = max(int(months_needed(one, dates)[0]), len(dates))
        shared = followed(conditional, one, draw, ahead)
        spec, seed = conditional.spec, conditional.seed
        return simulated(spec, one, theta, shared, ahead, dates, seed, 3, shares=shares)


def update(fit: FittedDraws, panel: Panel, seed: int | None = None) -> Update:
    """Condition a fit on the months that came after it, base model by base model.

    Nothing is fitted again: the fit's draws of a base model, with all that base models share, are
    weighed by the likelihood of its new months, and drawn again by their weights. See
    `bayes_hfgrowth.posterior.reweighting`.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    panel : Panel
        A later panel of the same source, with the months of the fit and those after them.
    seed : int, optional
        Same seed, same numbers; by default the seed of the fit.

    Raises
    ------
    ForecastError
        When the panel counts something else or holds no base model of the fit, ends before the
        fit does, or says otherwise than the fit of months that it was fitted to, or the seed is
        negative.
    """
    seed = fit.about["seed"] if seed is None else seed
    check_request(1, seed)
    history, old = History.from_panel(panel), fit.history
    if panel.counted != fit.counted:
        raise ForecastError(
            f"the panel counts {panel.counted.many} and the fit {fit.counted.many}; give a panel "
            "that counts the same, or fit this one"
        )
    place = pd.Index(old.base_models).get_indexer(list(history.base_models))  # -1 if unknown
    in_panel = np.flatnonzero(place >= 0)
    if not len(in_panel):
        raise ForecastError(
            "the panel holds no base model of the fit, so there is nothing to update; forecast "
            "new ones with hfgrowth forecast FIT --panel PANEL"
        )
    in_fit = place[in_panel]
    _check_past(fit, panel, history, zip(in_panel.tolist(), in_fit.tolist(), strict=True))
    sizes = fit.posterior.sizes
    population = PopulationPosterior.from_fit(fit)
    conditional = Conditional(population, seed, sizes["chain"] * sizes["draw"], OF_FIT)
    theta = base_model_parameters(fit.spec, fit.posterior.isel(base_model=in_fit))
    shares = dormancy_shares(fit.spec, fit.posterior)
    if shares is not None:
        shares = np.ascontiguousarray(shares[:, old.organization_of[in_fit]])
    known = history.subset(in_panel)
    weighed = reweigh(conditional, known, theta, shares, old.months[in_fit])
    return Update(fit, panel, history, conditional, in_panel, in_fit, theta, shares, weighed)


def _check_past(
    fit: FittedDraws, panel: Panel, history: History, pairs: Iterable[tuple[int, int]]
) -> None:
    """Refuse a panel that says otherwise than the fit of what both know."""
    old = fit.history
    before, now = last_date(old, fit.observed_at), last_date(history, panel.observed_at)
    if now < before:
        raise ForecastError(
            f"the panel ends on {now:%Y-%m-%d} and the fit on {before:%Y-%m-%d}; give a panel "
            "that was observed later"
        )
    for p, i in pairs:
        name = old.base_models[i]
        theirs = history.organizations[history.organization_of[p]]
        ours = old.organizations[old.organization_of[i]]
        if history.created_at[p] != old.created_at[i]:
            raise _contradiction(
                f"{name!r} was created on {history.created_at[p]:%Y-%m-%d %H:%M}",
                f"{old.created_at[i]:%Y-%m-%d %H:%M}",
            )
        if theirs != ours:
            raise _contradiction(f"{name!r} is of {theirs!r}", f"of {ours!r}")
        number = int(old.months[i])
        if history.months[p] < number:
            raise ForecastError(
                f"{name!r} has {history.months[p]} months in the panel and {number} in the fit; "
                "give a panel that was observed later"
            )
        mine = old.new[old.start[i] : old.start[i] + number]
        other = history.new[history.start[p] : history.start[p] + number]
        apart = np.flatnonzero(mine != other)
        if len(apart):
            month = int(apart[0])
            raise _contradiction(
                f"{name!r} got {other[month]:.0f} {old.counted.many} in month {month + 1}",
                f"{mine[month]:.0f}",
            )


def _contradiction(panel: str, fit: str) -> ForecastError:
    return ForecastError(
        f"{panel} by the panel and {fit} by the fit, so the panel contradicts what was fitted; "
        "fit it again, or leave the base model out"
    )
