"""A fit and the months that came after it: new forecasts without a new fit."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.forecast.dated_counts import (
    counts_at_dates,
    dates_ahead,
    last_date,
    months_needed,
)
from bayes_hfgrowth.forecast.draws import Forecast
from bayes_hfgrowth.forecast.paths import (
    CHUNK,
    assembled,
    check_request,
    forecast,
    forecast_chunk,
    put,
    until_attribute,
    with_releases,
)
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.common_random_numbers import OF_FIT, random_of
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
    futures,
    narrowed,
)
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import Date, months_ahead, until_date
from bayes_hfgrowth.support.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        history, old = self.history, self.fit.history
        number = len(history.base_models)
        pareto_k, effective = np.full(number, np.nan), np.full(number, np.nan)
        new_months, new = history.months.copy(), history.finetunes.copy()
        pareto_k[self.in_panel] = self.reweighted.pareto_k
        effective[self.in_panel] = self.reweighted.effective
        new_months[self.in_panel] -= old.months[self.in_fit]
        new[self.in_panel] -= old.finetunes[self.in_fit]
        source = np.full(number, POPULATION, dtype=object)
        source[self.in_panel] = np.where(
            new_months[self.in_panel] == 0,
            UNCHANGED,
            np.where(self.reweighted.pareto_k > GOOD_K, REFIT, REWEIGHTED),
        )
        return pd.DataFrame(
            {
                "source": source,
                "pareto_k": pareto_k,
                "effective": effective,
                "new_months": new_months,
                "new": new,
            },
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
        months : int, optional
            How far ahead, in months; at least 1.
        until : date, optional
            How far ahead as a date, in place of `months`.
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
        shape = (len(self.theta), number, months)
        counts: Counts = np.empty(shape, np.int32)
        at_dates: Counts = np.empty(shape, np.int32)
        done = 0
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
            pieces = ((self._paths, k, months, dates) for k in range(len(self.in_panel)))
            for place, (path, dated) in zip(
                self.in_panel, in_order(submit, pieces, 8 * hands), strict=True
            ):
                counts, at_dates = put(counts, place, path), put(at_dates, place, dated)
                done += 1
                advance(done, "")
            for first in range(0, len(new), CHUNK):
                some = new[first : first + CHUNK]
                part = forecast_chunk(self.conditional, self.history.subset(some), months, start)
                counts = put(counts, some, part.draws["finetunes"].to_numpy()[0])
                at_dates = put(at_dates, some, part.draws["finetunes_at_date"].to_numpy()[0])
                pareto_k[some] = part.draws["pareto_k"].to_numpy()
                done += len(some)
                advance(done, "")
        sizes = self.fit.posterior.sizes
        whole = (sizes["chain"], sizes["draw"], number, months)
        found = assembled(self.history, counts.reshape(whole), at_dates.reshape(whole), start)
        source = self.base_models["source"].to_numpy(dtype=object)
        draws = found.draws.assign(pareto_k=("base_model", pareto_k), source=("base_model", source))
        found = with_releases(
            Forecast(draws, found.history),
            self.conditional.population,
            self.history,
            self.conditional.seed,
            OF_FIT,
        )
        return until_attribute(found, last)

    def earlier(self) -> Forecast | None:
        """The forecast that the fit made, without what came, of base models with new months.

        Returns
        -------
        Forecast or None
            As far as the panel's months go; None where no base model has a new month.
        """
        table = self.base_models
        some = table[table["source"].isin([REWEIGHTED, REFIT])]
        if not len(some):
            return None
        return forecast(
            self.fit, int(some["new_months"].max()), list(some.index), self.conditional.seed
        )

    def _paths(self, k: int, months: int, dates: pd.DatetimeIndex) -> tuple[Counts, Counts]:
        """Paths of a base model that the fit knows; (draws, months) by age and by date."""
        conditional, seed = self.conditional, self.conditional.seed
        one = alone(self.history, int(self.in_panel[k]))
        name, draw = one.base_models[0].encode(), self.reweighted.draw[:, k]
        theta = self.theta[draw, k][:, None]
        shares = None if self.shares is None else self.shares[draw, k][:, None]
        ahead = max(int(months_needed(one, dates)[0]), months)
        first, span = calendar_needed(one, ahead)
        known = sum(one.calendar_span) - 1 if len(one.month) else first
        shared = conditional.shared_of(draw, first, span, known)
        path = futures(
            conditional.spec, one, theta, shared, ahead, random_of(seed, 3, name), shares
        )
        dated = counts_at_dates(one, path, theta, dates, random_of(seed, 12, name))
        return narrowed(path[:, 0, :months]), narrowed(dated[:, 0])


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
    position = {name: i for i, name in enumerate(old.base_models)}
    in_panel = np.array(
        [p for p, name in enumerate(history.base_models) if name in position], dtype=np.int64
    )
    if not len(in_panel):
        raise ForecastError(
            "the panel holds no base model of the fit, so there is nothing to update; forecast "
            "new ones with hfgrowth forecast FIT --panel PANEL"
        )
    in_fit = np.array([position[history.base_models[p]] for p in in_panel], dtype=np.int64)
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
    fit: FittedDraws, panel: Panel, history: History, pairs: "Iterable[tuple[int, int]]"
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
