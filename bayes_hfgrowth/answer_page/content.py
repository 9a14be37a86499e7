"""What a page tells: the answers, what stands behind them, and how far they can be trusted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.answer_page.asked import Asked
from bayes_hfgrowth.answer_page.checks import Check, checks_of_base_model, checks_of_forecast
from bayes_hfgrowth.answer_page.comparables import Comparables, comparables
from bayes_hfgrowth.answer_page.hindsight import Hindsight, hindsight
from bayes_hfgrowth.evaluation.calibration import Calibration, load_calibration, size_class
from bayes_hfgrowth.figures.dated import LINES
from bayes_hfgrowth.forecast.answers import DAYS_IN_MONTH, dated_table, sentence, time_to
from bayes_hfgrowth.forecast.dated_series import DatedSeries
from bayes_hfgrowth.forecast.paths import Forecast, forecast_new
from bayes_hfgrowth.forecast.races import overtaking, rank_table
from bayes_hfgrowth.forecast.totals import observed_sums
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.support.months import month_end
from bayes_hfgrowth.support.progress import Progress

__all__ = ["LEVELS", "MOST_LISTED", "MOST_SHOWN", "PageContent", "Subject", "gather"]

LEVELS = (50, 80, 95)
"""Central intervals, in percent."""

MOST_SHOWN = len(LINES)
"""Base models that get a chart and a section of their own; those with most fine-tunes are taken."""

MOST_LISTED = 100
"""Base models in the list of all."""

HINDSIGHT = 6
"""Months that the forecast is held against, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A base model, or a sum over all of an organization, with its answers.

    Parameters
    ----------
    name, organization : str
        What it is called, and who made it.
    created_at : pandas.Timestamp or None
        Creation, UTC; None for a sum.
    base_models : int
        How many are added up; 1 for a base model.
    months, observed, today : int
        Age in whole months, the count at it, and that of the observation date, which is the same
        where it is not known.
    answer, passing, pace : str
        Sentences; `passing` is empty without a threshold, `pace` for a sum.
    dates, counts : pandas.DatetimeIndex and ndarray of int
        The months so far, from birth on.
    table : pandas.DataFrame
        Its rows of `bayes_hfgrowth.forecast.answers.dated_table`.
    comparables : Comparables or None
        Base models that were alike; None for a sum, and where no fine-tunes are counted.
    calibration : pandas.DataFrame
        What was measured of forecasts at its size; see `Calibration.near`.
    checks : tuple of Check
        How far the answer can be trusted.
    relations : pandas.DataFrame or None
        Its rows of `RelationPanels.last_counts`; None where only one relation was asked for.
    """

    name: str
    organization: str
    created_at: pd.Timestamp | None = None
    base_models: int = 1
    months: int
    observed: int
    today: int
    answer: str
    passing: str
    pace: str = ""
    dates: pd.DatetimeIndex
    counts: npt.NDArray[np.int64]
    table: pd.DataFrame
    comparables: Comparables | None = None
    calibration: pd.DataFrame
    checks: tuple[Check, ...] = ()
    relations: pd.DataFrame | None = None

    @property
    def size(self) -> str:
        """Class of its count, as the calibration has it."""
        return size_class(self.observed)


@dataclass(frozen=True, eq=False)
class PageContent:
    """Everything that a page is made of.

    Parameters
    ----------
    asked : Asked
        What was asked about.
    population : PopulationPosterior
        What the forecast is from.
    start, until : pandas.Timestamp
        From when and until when, UTC.
    horizon : int
        Months between them, one that is not over counted in full.
    threshold : int or None
        Count whose passing was asked about.
    seed : int
        Of the forecast.
    sums, subjects : tuple of Subject
        Organizations that were asked for as a whole; base models, most fine-tunes first.
    listed : pandas.DataFrame
        All base models at the last date, `MOST_LISTED` at most.
    number : int
        How many base models there are in all.
    leaders : pandas.DataFrame or None
        Probability of leading by date, a column for each subject; None for a single one.
    races : tuple of str
        Who overtakes whom.
    hindsight : Hindsight
        What the same forecast would have said earlier.
    calibration : Calibration
        What was measured of the growth model.
    checks : tuple of Check
        How far the forecast as a whole can be trusted.
    """

    asked: Asked
    population: PopulationPosterior
    start: pd.Timestamp
    until: pd.Timestamp
    horizon: int
    threshold: int | None
    seed: int
    sums: tuple[Subject, ...]
    subjects: tuple[Subject, ...]
    listed: pd.DataFrame
    number: int
    leaders: pd.DataFrame | None
    races: tuple[str, ...]
    hindsight: Hindsight
    calibration: Calibration
    checks: tuple[Check, ...]

    @property
    def counted(self) -> Counted:
        """What is forecast."""
        return self.asked.panel.counted


def gather(
    asked: Asked,
    population: PopulationPosterior,
    *,
    until: pd.Timestamp | None,
    months: int | None,
    threshold: int | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> PageContent:
    """Forecast what is asked about, and collect all that a page tells.

    Parameters
    ----------
    asked : Asked
        What is asked about.
    population : PopulationPosterior
        To forecast from; nothing is fitted.
    until, months : pandas.Timestamp or None, int or None
        Horizon as a date or in months; one of them.
    threshold : int, optional
        Count whose passing is asked about.
    seed : int, optional
        Same seed, same page; by default that of the population's fit.
    progress : bool
        Whether to show progress on standard error.

    Raises
    ------
    ForecastError
        When the horizon is out of range, or the threshold or seed impossible.
    """
    shown = Progress(progress)
    panel, seed = asked.panel, population.about["seed"] if seed is None else seed
    forecast = forecast_new(population, panel, months, seed, until=until, progress=progress)
    with shown.stage("answers"):
        series = DatedSeries.of(forecast.draws)
        horizon = series.horizon(series.until)
        calibration = load_calibration(population.spec)
        if not panel.counted.usual:  # it was measured on fine-tunes
            calibration = Calibration(calibration.table.iloc[:0])
        median = np.median(series.counts[:, :, -1], axis=0)
        order = np.lexsort((-median, -series.observed))
        first = [series.names[i] for i in order[:MOST_SHOWN]]
        few = DatedSeries.of(forecast.draws, base_models=first)
        subjects = _subjects(asked, forecast, few, threshold, population, calibration)
        listed = dated_table(series, [series.until], LEVELS, threshold).iloc[order[:MOST_LISTED]]
        leaders, races = _leaders(few) if len(first) > 1 else (None, ())
        sums = _sums(asked, forecast, threshold, calibration)
    with shown.stage("hindsight"):
        past = hindsight(panel.select(base_models=first), population, HINDSIGHT, seed)
    return PageContent(
        asked=asked,
        population=population,
        start=series.start,
        until=series.until,
        horizon=horizon,
        threshold=threshold,
        seed=seed,
        sums=sums,
        subjects=subjects,
        listed=listed.reset_index(drop=True),
        number=len(series.names),
        leaders=leaders,
        races=races,
        hindsight=past,
        calibration=calibration,
        checks=tuple(checks_of_forecast(population, series.start, horizon, calibration)),
    )


def _passed(series: DatedSeries, threshold: int | None) -> list[str]:
    if threshold is None:
        return [""] * len(series.names)
    told = zip(series.names, time_to(series, threshold).sentences(), strict=True)
    return [f"It{said.removeprefix(name)}" for name, said in told]


def _subjects(
    asked: Asked,
    forecast: Forecast,
    series: DatedSeries,
    threshold: int | None,
    population: PopulationPosterior,
    calibration: Calibration,
) -> tuple[Subject, ...]:
    """Base models with all that the page tells of them."""
    example, counted = load_example(), asked.panel.counted
    same = population.about["panel"].get("digest") == example.digest
    learned = frozenset(example.base_models.index) if same else frozenset()
    table = dated_table(series, None, LEVELS, threshold)
    horizon = series.horizon(series.until)
    told = zip(series.names, series.organizations, _passed(series, threshold), strict=True)
    found = []
    for i, (name, organization, passing) in enumerate(told):
        own = asked.panel.table[asked.panel.table["base_model"] == name]
        rows = table[table["base_model"] == name]
        created, age = own["created_at"].iloc[0], int(own["month"].iloc[-1])
        counts = own[counted.metric].to_numpy()
        observed = int(counts[-1])
        alike = None
        if counted.usual:  # as the example is
            later = min(horizon, HINDSIGHT)
            alike = comparables(example, name, organization, age, observed, later)
        today = asked.today.get(name, observed)
        if threshold is not None and observed <= threshold < today:
            date = f"{series.start:%Y-%m-%d}"
            passing = f"It is above {threshold:,} already by the count of {date}, {today:,}"
        pareto_k = float(forecast.draws["pareto_k"].sel(base_model=name))
        found.append(
            Subject(
                name=name,
                organization=organization,
                created_at=created,
                months=age,
                observed=observed,
                today=today,
                answer=sentence(rows.iloc[-1].to_dict()),
                passing=passing,
                pace=_pace(series, i, counts),
                dates=month_end(created, own["month"].to_numpy()),
                counts=counts,
                table=rows,
                comparables=alike,
                calibration=calibration.near(observed, horizon),
                checks=tuple(checks_of_base_model(own, pareto_k, population, learned)),
                relations=asked.by_relation and asked.by_relation.last_counts([name]),
            )
        )
    return tuple(found)


def _pace(series: DatedSeries, i: int, counts: npt.NDArray[np.int64]) -> str:
    """Fine-tunes a month, lately and to come."""
    ahead = min(3, len(series.dates))
    end = series.dates[ahead - 1]
    months = (end - series.since[i]) / pd.Timedelta(days=DAYS_IN_MONTH)
    coming = float(np.median(series.counts[:, i, ahead - 1]) - counts[-1]) / months
    text = f"{coming:,.1f} a month until {end:%Y-%m-%d} by the median forecast"
    back = min(3, len(counts) - 1)
    if back == 0:
        return f"It has no whole month yet; {text}."
    lately = (counts[-1] - counts[-1 - back]) / back
    span = "month" if back == 1 else f"{back} months"
    return f"It gained {lately:,.1f} a month over the last {span}; {text}."


def _sums(
    asked: Asked, forecast: Forecast, threshold: int | None, calibration: Calibration
) -> tuple[Subject, ...]:
    """Sums of the organizations that were asked for as a whole."""
    found = []
    models = asked.panel.base_models
    for organization in asked.whole:
        own = models.index[models["organization"] == organization].tolist()
        if len(own) < 2:
            continue
        series = DatedSeries.of(forecast.draws, "organization", own)
        rows = dated_table(series, None, LEVELS, threshold)
        table, before = observed_sums(forecast.draws.sel(base_model=own), forecast.history, "all")
        counts = np.floor(table["finetunes"].to_numpy()).astype(np.int64)
        observed = int(series.observed[0])
        found.append(
            Subject(
                name=organization,
                organization=organization,
                base_models=len(own),
                months=len(table),
                observed=observed,
                today=observed,
                answer=sentence(rows.iloc[-1].to_dict()),
                passing=_passed(series, threshold)[0],
                dates=month_end(series.start, table["month"].to_numpy() - before["all"]),
                counts=counts,
                table=rows,
                calibration=calibration.table.iloc[:0],
            )
        )
    return tuple(found)


def _leaders(series: DatedSeries) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Probability of leading by date, and whether the one that leads today is overtaken."""
    ranks = rank_table(series, None, 1)
    shares = ranks.pivot_table(index="date", columns="base_model", values="probability")
    shares = shares[list(series.names)]
    today = series.names[int(np.argmax(series.observed))]
    races = [overtaking(series, name, today) for name in series.names if name != today]
    # Of several, those that never come near are not worth a sentence.
    told = [race for race in races if race.probability >= 0.01 or len(races) == 1]
    return shares, tuple(race.sentence() for race in told)
