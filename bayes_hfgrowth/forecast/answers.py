"""Answers to questions of a forecast: how many by a date, above a number or not, and when.

All are shares and quantiles of draws. A count *passes* n when it is above
n, and as counts never fall, the probability that n was passed by a date is that of a count above
n at the date.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.forecast.totals import (
    BASE_MODEL,
    WITH_NEW,
    checked_intervals,
    quantile,
    quantiles_of,
    summaries,
)
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.horizon import Date

__all__ = [
    "DAYS_IN_MONTH",
    "LABEL",
    "TimeTo",
    "checked_threshold",
    "dated_table",
    "named",
    "percent",
    "probability_above",
    "sentence",
    "time_to",
]

LABEL = "with base models yet to be released"
"""How sentences and figures tell that these are in a sum."""

LARGEST_THRESHOLD = 2**53
"""Counts of forecasts are below it."""

DAYS_IN_MONTH = 30.4375
"""Mean length of a calendar month, in which times to an event are given."""


def checked_threshold(threshold: float) -> int:
    """Check a number of fine-tunes.

    Raises
    ------
    ForecastError
        When it is not a whole number from 0 to `LARGEST_THRESHOLD`.
    """
    number = isinstance(threshold, (int, float, np.integer, np.floating))
    number = number and not isinstance(threshold, bool)
    if not number or not 0 <= threshold <= LARGEST_THRESHOLD or threshold % 1:
        raise ForecastError(
            f"threshold {threshold} is no count; give a whole number from 0 to {LARGEST_THRESHOLD}"
        )
    return int(threshold)


def dated_table(
    series: DatedSeries,
    dates: Iterable[Date] | None = None,
    intervals: Iterable[float] = (50, 80, 95),
    threshold: int | None = None,
) -> pd.DataFrame:
    """Make the table of counts at calendar dates; see `Forecast.at_dates` for its columns.

    Raises
    ------
    ForecastError
        When a date is outside the forecast, an interval is not between 0 and 100 percent, or the
        threshold is no count.
    """
    levels = checked_intervals(intervals)
    when = series.chosen(dates)
    limit = None if threshold is None else checked_threshold(threshold)
    values = np.stack([series.at(date) for date in when], axis=-1)
    shape = values.shape[1:]
    columns: dict[str, Any] = named(series, np.repeat(np.arange(shape[0]), shape[1]))
    columns |= {
        "month": np.stack([series.months(date) for date in when], axis=1).ravel(),
        "date": pd.DatetimeIndex(list(when) * shape[0]),
        "horizon": np.tile([series.horizon(date) for date in when], shape[0]),
        "observed": np.repeat(series.observed, shape[1]),
        **summaries(values, levels),
    }
    if limit is not None:
        columns |= {"threshold": limit, "probability_above": (values > limit).mean(axis=0).ravel()}
    return pd.DataFrame(columns)


def probability_above(
    series: DatedSeries, threshold: int, date: Date | None = None
) -> pd.DataFrame:
    """Probability that counts are above a number; see `Forecast.probability_above`."""
    limit, when = checked_threshold(threshold), series.date(date)
    above = series.at(when) > limit
    share = above.mean(axis=0)
    return pd.DataFrame(
        named(series)
        | {
            "date": when,
            "observed": series.observed,
            "threshold": limit,
            "probability": share,
            "standard_error": np.sqrt(share * (1.0 - share) / len(above)),
            "already": series.observed > limit,
        }
    )


@dataclass(frozen=True, eq=False)
class TimeTo:
    """When counts pass a number.

    Parameters
    ----------
    series : DatedSeries
        Whose counts.
    threshold : int
        The number; it is passed when the count is above it.
    days : ndarray, shape (draws, series)
        Days from the date that the forecast is from; 0 where the last known count is above
        the number already, infinite where it is not passed within the horizon.
    """

    series: DatedSeries
    threshold: int
    days: npt.NDArray[np.float64]

    @property
    def already(self) -> npt.NDArray[np.bool_]:
        """Which last known counts are above the number; (series,)."""
        return np.asarray(self.series.observed > self.threshold)

    @property
    def never(self) -> npt.NDArray[np.float64]:
        """Share of draws that do not pass the number within the horizon; (series,)."""
        return np.asarray(np.isinf(self.days).mean(axis=0))

    def table(self, intervals: Iterable[float] = (80,)) -> pd.DataFrame:
        """Quantiles of the date, over all draws; intervals are given in percent.

        Returns
        -------
        pandas.DataFrame
            One row for each series: ``base_model`` (not of sums), ``organization``,
            ``observed``, ``threshold``, ``already`` (bool), ``until`` (end of the horizon, UTC),
            ``never`` (share of draws that do not pass it until then), ``median`` (date, UTC),
            ``median_months`` (months of 30.4375 days after the date that the forecast is from),
            and for each interval ``lower_P``, ``lower_P_months``, ``upper_P``,
            ``upper_P_months``. A quantile that lies after the horizon is missing, and so is the
            median where half of the draws or more never pass the number.

        Raises
        ------
        ForecastError
            When an interval is not between 0 and 100 percent.
        """
        # The median is rounded to the later draw.
        quantiles = quantiles_of(checked_intervals(intervals)) | {"median": (0.5, True)}
        ordered = np.sort(self.days, axis=0).T
        columns: dict[str, Any] = named(self.series) | {
            "observed": self.series.observed,
            "threshold": self.threshold,
            "already": self.already,
            "until": self.series.until,
            "never": self.never,
        }
        for name, (probability, upper) in quantiles.items():
            days = quantile(ordered, probability, upper=upper)
            known = np.where(np.isfinite(days), days, np.nan)
            columns[name] = self.series.start + pd.to_timedelta(known, unit="D").round("s")
            columns[f"{name}_months"] = known / DAYS_IN_MONTH
        return pd.DataFrame(columns)

    def by_date(self) -> pd.DataFrame:
        """Probability that the number was passed by each date.

        Returns
        -------
        pandas.DataFrame
            One row for each series and date: ``base_model`` (not of sums), ``organization``,
            ``date`` (UTC), ``horizon`` (months), ``threshold``, ``probability``.
        """
        series, dates, number = self.series, self.series.asked, len(self.series.names)
        ends = np.array([(date - series.start) / pd.Timedelta(days=1) for date in dates])
        # A hair more, as a date is known to the microsecond only.
        share = (self.days[:, :, None] <= ends + 1e-9).mean(axis=0)
        return pd.DataFrame(
            named(series, np.repeat(np.arange(number), len(dates)))
            | {
                "date": pd.DatetimeIndex(list(dates) * number),
                "horizon": np.tile([series.horizon(date) for date in dates], number),
                "threshold": self.threshold,
                "probability": share.ravel(),
            }
        )

    def sentences(self) -> list[str]:
        """One sentence for each series."""
        found, until, number = [], f"{self.series.until:%Y-%m-%d}", f"{self.threshold:,}"
        for row in self.table((80,)).to_dict("records"):
            name = row.get(BASE_MODEL, row["organization"])
            if row["already"]:
                found.append(f"{name} is above {number} already, with {row['observed']:,}")
                continue
            never = f"{percent(row['never'])} of the draws are not above it by {until}"
            if pd.isna(row["median"]):
                found.append(f"{name} is not expected to pass {number}: {never}")
                continue
            last = row["upper_80"]
            late = f"after {until}" if pd.isna(last) else f"{last:%Y-%m-%d}"
            found.append(
                f"{name} passes {number} on {row['median']:%Y-%m-%d}, 80% between "
                f"{row['lower_80']:%Y-%m-%d} and {late}; {never}"
            )
        return found


def time_to(series: DatedSeries, threshold: int) -> TimeTo:
    """When counts pass a number; errors are those of `checked_threshold`."""
    limit = checked_threshold(threshold)
    return TimeTo(series, limit, series.passing(limit))


def sentence(row: dict[str, Any], level: str = "80") -> str:
    """Say what a row of `dated_table` says, with its interval of that level in percent.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"organization": "o", "date": pd.Timestamp("2027-06-01"), "median": 4120,
    ...        "observed": 9, "lower_80": 3300, "upper_80": 5600, "threshold": 5000,
    ...        "probability_above": 0.19}
    >>> sentence(row)
    'by 2027-06-01: 4,120 fine-tunes, 80% between 3,300 and 5,600; above 5,000: 19%'
    """
    counted = Counted.read(row)
    text = (
        f"by {row['date']:%Y-%m-%d}: {row['median']:,} {counted.noun(row['median'])}, "
        f"{level}% between {row[f'lower_{level}']:,} and {row[f'upper_{level}']:,}"
    )
    if counted.metric == "authors" and BASE_MODEL not in row:  # a sum knows no names
        text += ", each counted once for every base model"
    if row.get(WITH_NEW):
        text += f", {LABEL}"
    if "threshold" not in row:
        return text
    if row["observed"] > row["threshold"]:
        return f"{text}; above {row['threshold']:,} already, with {row['observed']:,}"
    return f"{text}; above {row['threshold']:,}: {percent(row['probability_above'])}"


def percent(share: float) -> str:
    """A probability in percent; a share of a thousand draws is never called 0 or 100%."""
    if share < 0.01:
        return "under 1%"
    if share > 0.99:
        return "over 99%"
    return f"{100.0 * share:.0f}%"


def named(
    series: DatedSeries, places: Sequence[int] | npt.NDArray[np.intp] | None = None
) -> dict[str, Any]:
    """First columns of a table of series, at the `places` of the rows; each once by default."""
    chosen = np.arange(len(series.names)) if places is None else np.asarray(places)
    columns: dict[str, Any] = {"organization": np.array(series.organizations, dtype=object)[chosen]}
    if series.by == BASE_MODEL:
        columns = {BASE_MODEL: np.array(series.names, dtype=object)[chosen]} | columns
    label = {WITH_NEW: True} if series.with_new_releases else {}
    return columns | series.counted.label | label
