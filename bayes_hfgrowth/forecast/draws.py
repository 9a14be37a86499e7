"""Forecast draws of base models, and what is made of them: tables, files, figures."""

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.forecast.answers import LABEL, TimeTo, dated_table, probability_above, time_to
from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.forecast.races import Overtaking, overtaking, rank_table
from bayes_hfgrowth.forecast.totals import (
    BASE_MODEL,
    FROM,
    UNTIL,
    Totals,
    check_new_releases,
    checked_by,
    checked_intervals,
    counts_of,
    observed_sums,
    summaries,
)
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.files import whole_file, write_table
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.months import month_end

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_hfgrowth.forecast.releases import Releases

__all__ = ["Forecast", "joined"]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Simulated futures of base models.

    Parameters
    ----------
    draws : xarray.Dataset
        ``finetunes`` (cumulative counts) over ``chain``, ``draw``, ``base_model`` and
        ``horizon`` (1, 2, ... months of age ahead); ``finetunes_at_date``, the same at the
        calendar dates ``date`` (UTC) over ``horizon``, which can be added up over base models:
        ``draws["finetunes_at_date"].sel(base_model=some).sum("base_model")`` are draws of a
        sum. Over ``base_model``: ``observed`` (last known count), ``months`` (age at that
        count), ``organization``, ``created_at`` (UTC).
    history : pandas.DataFrame
        The observed months: ``base_model``, ``month``, ``finetunes``.
    releases : Releases or None
        Base models yet to be released, of a forecast of all base models of a fit or panel; they
        are in sums that ask for them, and in nothing else.

    Notes
    -----
    Its methods take the same arguments. `intervals` are the probabilities of central intervals, in
    percent. `by` is ``base_model``, or ``organization`` or ``all`` for sums over base models.
    `base_models` are those that are told of or added up; all when not given. `with_new_releases`
    adds to sums of all base models those that organizations have yet to release; see
    `bayes_hfgrowth.forecast.releases`. `ForecastError` is raised when one of them is impossible
    or not in the forecast, or counts at dates are asked for and it has none.

    Base models have their months at different days, so ``finetunes`` of one horizon is of as
    many dates as there are base models. The dates of ``finetunes_at_date`` are whole calendar
    months after the date of the observation; where that is not known, after the last observed
    month of any base model. `bayes_hfgrowth.forecast.dated_counts` says how a month that is not
    over by then is counted. What a base model has got since its last observed month is unknown, so
    it is simulated too.
    """

    draws: xr.Dataset
    history: pd.DataFrame
    releases: "Releases | None" = None

    def table(self, intervals: Iterable[float] = (50, 80, 95)) -> pd.DataFrame:
        """Point forecasts and central intervals.

        Returns
        -------
        pandas.DataFrame
            One row for each base model and horizon: ``base_model``, ``organization``,
            ``month`` (age, months), ``date`` (end of that month, UTC), ``horizon`` (months),
            ``observed`` (last known count), ``mean``, ``median``, and for each interval
            ``lower_P`` and ``upper_P``, all in cumulative fine-tunes. Quantiles are whole
            counts; an interval holds at least its probability. The mean of a young or silent
            base model can hang on one path in a thousand; quote the median.
        """
        levels = checked_intervals(intervals)
        values = counts_of(self.draws, "finetunes")

        def column(name: str) -> np.ndarray:
            return np.repeat(self.draws[name].to_numpy(), values.shape[2])

        horizon = np.tile(self.draws["horizon"].to_numpy(), values.shape[1])
        month = column("months") + horizon
        return pd.DataFrame(
            {
                "base_model": column("base_model"),
                "organization": column("organization"),
                **self.counted.label,
                "month": month,
                "date": month_end(column("created_at"), month),
                "horizon": horizon,
                "observed": column("observed"),
                **summaries(values, levels),
            }
        )

    @property
    def counted(self) -> Counted:
        """What is counted."""
        return Counted.read(self.draws.attrs)

    def total(
        self,
        by: str = "organization",
        intervals: Iterable[float] = (50, 80, 95),
        base_models: Iterable[str] | None = None,
        *,
        with_new_releases: bool = False,
    ) -> pd.DataFrame:
        """Point forecasts and central intervals of sums over base models.

        A sum is a count at a calendar date; the same draw of all base models is added up, so it
        carries what they share.

        Returns
        -------
        pandas.DataFrame
            One row for each sum and horizon: ``organization`` (sorted; ``all`` for the sum of
            all), ``month`` (the same as ``horizon``: a sum has no age), ``date`` (UTC),
            ``horizon`` (months after the date of the observation), ``observed`` (sum of the
            last known counts, which lack the months that are not over), and the other columns
            of `table`. With new releases, ``with_new_releases`` (true) and ``new_base_models``
            (median number of base models released by the date) stand behind ``observed``.
        """
        return self._totals(by, base_models, with_new_releases).table(intervals)

    def _totals(self, by: str, base_models: Iterable[str] | None, with_new: bool) -> Totals:
        """Sums, with base models yet to be released or without."""
        if with_new:
            check_new_releases(by, base_models is not None or self.releases is None)
        found = Totals.of(self.draws, by, base_models)
        if with_new and self.releases is not None:
            found.add(self.releases.totals(by))
        return found

    def at_dates(
        self,
        dates: Iterable[Date] | None = None,
        intervals: Iterable[float] = (50, 80, 95),
        *,
        by: str = BASE_MODEL,
        threshold: int | None = None,
        base_models: Iterable[str] | None = None,
        with_new_releases: bool = False,
    ) -> pd.DataFrame:
        """Point forecasts and central intervals of counts at calendar dates.

        Between two dates a month apart, the month's fine-tunes are spread evenly over its time;
        see `bayes_hfgrowth.forecast.dated_series`.

        Parameters
        ----------
        dates : iterable of date, optional
            When, between the date that the forecast is from and its last one. By default one,
            two, ... calendar months after the date that it is from, and last the date
            that the forecast was made until.
        threshold : int, optional
            A count whose passing is asked about.

        Returns
        -------
        pandas.DataFrame
            One row for each base model or sum and date: ``base_model`` (not of sums),
            ``organization``, ``month`` (age in whole months at the date; of a sum, the horizon),
            ``date`` (UTC), ``horizon`` (months after the date that the forecast is from, one
            that is not over counted in full), ``observed`` (last known count), ``mean``,
            ``median``, ``lower_P`` and ``upper_P``; with a threshold, ``threshold`` and
            ``probability_above``: that the count is above it at the date, which is that it has
            passed it by then. With new releases, ``with_new_releases`` (true).
        """
        if with_new_releases:
            totals, about = self._totals(by, base_models, True), self.draws.attrs
            series = DatedSeries.of_totals(totals, by, about[FROM], about.get(UNTIL))
        else:
            series = DatedSeries.of(self.draws, by, base_models)
        return dated_table(series, dates, intervals, threshold)

    def probability_above(
        self,
        n: int,
        date: Date | None = None,
        *,
        by: str = BASE_MODEL,
        base_models: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Probability that the count is above `n` at a date, by default the last one.

        Returns
        -------
        pandas.DataFrame
            One row for each base model or sum: ``base_model`` (not of sums), ``organization``,
            ``date``, ``observed``, ``threshold``, ``probability``, ``standard_error`` (of the
            probability, for so many independent draws), ``already`` (whether the last known
            count is above the number; the probability is then 1).
        """
        return probability_above(DatedSeries.of(self.draws, by, base_models), n, date)

    def time_to(
        self, n: int, *, by: str = BASE_MODEL, base_models: Iterable[str] | None = None
    ) -> TimeTo:
        """When the count passes a number, that is, is above `n`.

        Returns
        -------
        TimeTo
            ``table()`` has quantiles of the date and the share of draws that never pass the
            number within the horizon, ``by_date()`` the probability by date, ``sentences()`` says
            it, ``days`` are the draws.
        """
        return time_to(DatedSeries.of(self.draws, by, base_models), n)

    def rank(
        self,
        date: Date | Iterable[Date] | None = None,
        *,
        top: int | None = None,
        by: str = BASE_MODEL,
        base_models: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Probability of each rank by count at a date; rank 1 has most fine-tunes.

        Parameters
        ----------
        date : date or iterable of date, optional
            When; by default the date that the forecast was made until.
        top : int, optional
            Ranks from 1 to this; by default all, up to 20.

        Returns
        -------
        pandas.DataFrame
            One row for each date, base model or organization, and rank: ``base_model`` (not of
            organizations), ``organization``, ``date``, ``horizon`` (months), ``observed``,
            ``rank``, ``probability``, ``at_least`` (this rank or a better one). The likeliest
            leaders stand first. Where draws have equal counts, their ranks are shared evenly.

        Raises
        ------
        ForecastError
            Also when there are not two to rank or `top` is below 1.
        """
        series = DatedSeries.of(self.draws, by, base_models)
        if date is None or isinstance(date, (str, dt.date)):
            return rank_table(series, [series.date(date)], top)
        return rank_table(series, date, top)

    def overtakes(self, a: str, b: str, *, by: str = BASE_MODEL) -> Overtaking:
        """Whether one base model overtakes another: has strictly more fine-tunes at a date.

        Parameters
        ----------
        a, b : str
            The one that overtakes, and the one that is overtaken; base models, or
            organizations.

        Returns
        -------
        Overtaking
            ``probability`` that `a` is ahead of `b` at any date of the forecast, ``by_date()``
            the probabilities by date and of the first such date, ``already`` whether it is
            ahead by the last known counts, ``sentence()`` says it.

        Raises
        ------
        ForecastError
            Also when both are the same.
        """
        chosen = [a, b] if by == BASE_MODEL else None
        return overtaking(DatedSeries.of(self.draws, by, chosen), a, b)

    def save(
        self,
        path: str | os.PathLike[str],
        intervals: Iterable[float] = (50, 80, 95),
        by: str = BASE_MODEL,
        *,
        with_new_releases: bool = False,
    ) -> None:
        """Write `table` or `total` (``.csv``, ``.parquet``), or the draws (``.nc``).

        The draws are those of base models in any case. The file appears whole or not at all.

        Raises
        ------
        ForecastError
            Also when the ending is another, or the file cannot be written.
        """
        checked_by(by)
        if with_new_releases:
            check_new_releases(by, self.releases is None, path)
        if Path(path).suffix.lower() == ".nc":
            packed = {"zlib": True, "complevel": 1, "shuffle": True}
            names = {"finetunes", "finetunes_at_date"} & set(map(str, self.draws.data_vars))
            encoding = dict.fromkeys(names, packed)
            with whole_file(path, ForecastError) as temporary:
                self.draws.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        elif by == BASE_MODEL:
            write_table(self.table(intervals), path, ForecastError)
        else:
            table = self.total(by, intervals, with_new_releases=with_new_releases)
            write_table(table, path, ForecastError)

    def plot(self, base_models: Sequence[str] | None = None, **options: Any) -> "Figure":
        """Fan chart of at most twelve base models; by default the six with most fine-tunes.

        Options are passed on to `bayes_hfgrowth.figures.fan.fan_chart`.
        """
        from bayes_hfgrowth.figures.fan import fan_chart  # a view of this, not a part of it

        options = {"counted": f"Cumulative {self.counted.many}"} | options
        return fan_chart(self.table(), self.history, base_models, **options)

    def plot_total(
        self,
        by: str = "organization",
        organizations: Sequence[str] | None = None,
        *,
        with_new_releases: bool = False,
        **options: Any,
    ) -> "Figure":
        """Fan chart of sums over base models, by calendar month.

        Of at most twelve `organizations`, by default the six with most fine-tunes. Options are
        passed on to `bayes_hfgrowth.figures.fan.fan_chart`.

        Notes
        -----
        The observed months of base models end at different days, so the fine-tunes of each are
        spread evenly over its days to be added up by calendar month. The last observed point
        lacks, as ``observed`` does, the months that are not over; the forecast makes up for them.
        """
        from bayes_hfgrowth.figures.fan import fan_chart

        table = self.total(by, with_new_releases=with_new_releases)
        table = table.rename(columns={"organization": "base_model"})
        history, before = observed_sums(self.draws, self.history, by)
        # Months are counted from the birth of the first base model of each sum.
        table["month"] += table["base_model"].map(before)
        label = f", {LABEL}" if with_new_releases else ""
        options = {"counted": f"Cumulative {self.counted.many}{label}"} | options
        along = "Months since the first base model"
        return fan_chart(table, history, organizations, what="organization", along=along, **options)


def joined(parts: Sequence[Forecast]) -> Forecast:
    """Put forecasts of different base models together."""
    if len(parts) == 1:
        return parts[0]
    draws = xr.concat([part.draws for part in parts], "base_model", data_vars="minimal")
    return Forecast(draws, pd.concat([part.history for part in parts], ignore_index=True))
