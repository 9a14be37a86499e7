"""Figures of base models and organizations: numbers as counted, every axis with its unit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth import Panel
from bayes_hfgrowth.figures import (
    collapse,
    concentration,
    download_concentration,
    growth_by_age,
    observed_months,
    organization_milestones,
    organization_portfolios,
    organization_ranks,
    organization_ridges,
    parameter_pairs,
    parameters,
)
from bayes_hfgrowth.figures.concentration import lorenz_curve, share_holding
from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import ComparisonError, FitError, ForecastError


@pytest.fixture(scope="module")
def fit(make_fit):
    return make_fit(base_models=36, draws=60)


@pytest.fixture(scope="module")
def ahead(fit):
    return forecast(fit, 6)


def test_the_months_of_a_fit_are_those_of_the_panel(small_panel):
    from bayes_hfgrowth.panel.history import History

    months = observed_months(History.from_panel(small_panel))
    assert months["base_model"].tolist() == ["meta-llama/A", "meta-llama/A", "Qwen/B"]
    assert months["organization"].tolist() == ["Meta", "Meta", "Qwen"]
    assert months["new"].tolist() == [4, 5, 0]
    assert months["finetunes"].tolist() == [4, 9, 0]
    assert months["created_at"].iloc[2] == pd.Timestamp("2024-03-05", tz="UTC")


def test_each_line_is_a_base_model_coloured_by_its_creation(fit, assert_tidy):
    months = observed_months(fit.history)
    figure = growth_by_age(months)
    new, cumulative, bar = figure.axes
    first = months[months["base_model"] == fit.base_models[0]]
    for axes, column, start in ((new, "new", []), (cumulative, "finetunes", [0])):
        lines = axes.collections[0]
        assert len(lines.get_segments()) == months["base_model"].nunique()
        assert lines.get_segments()[0][:, 1].tolist() == start + first[column].tolist()
        assert np.ptp(lines.get_array()) > 0
    assert "months" in new.get_xlabel()
    assert bar.get_ylabel() == "Base model created (year-month)"
    assert_tidy(figure)
    with pytest.raises(FitError, match="no month to draw"):
        growth_by_age(months.iloc[:0])


def test_parameters_are_counted_under_every_draw(fit, assert_tidy):
    figure = parameter_pairs(fit)
    assert len(figure.axes) == 6
    points = figure.axes[1].lines[0]
    medians = fit.posterior["immediacy"].median(("chain", "draw"))
    np.testing.assert_allclose(points.get_ydata(), medians, atol=1e-2)
    assert figure.axes[-1].get_xlabel() == "Longevity σ\n(log-months)"
    assert_tidy(figure)


@pytest.mark.parametrize("model", ["citation", "surge"])
def test_counts_of_the_curve_itself_collapse_onto_the_normal_distribution(
    model, make_fit, assert_tidy, monkeypatch
):
    """Without scatter, and with parameters known, nothing is left of the difference."""
    monkeypatch.setattr(parameters, "LEAST_FINETUNES", 1)
    known = {}

    def on_the_curve(history):
        """Every month brings what growth alone brings from the count before, times its effect."""
        fit = known["fit"]
        medians = fit.posterior.median(("chain", "draw"))
        delta = 1.0 - float(medians.get("reinforcement_exponent", 1.0))
        period = medians.get("period_effect", xr.DataArray(np.zeros(history.calendar_span[1])))
        first, share = history.calendar - history.calendar_span[0], history.calendar_share
        previous, new, m = np.zeros(len(history.new)), np.zeros(len(history.new)), fit.spec.m
        for i, (b, month) in enumerate(zip(history.base_model_of, history.month, strict=True)):
            fitness, immediacy, longevity = (
                float(medians[name][b]) for name in ("fitness", "immediacy", "longevity")
            )
            ended = stats.norm.cdf(
                (np.log([max(month - 1, 1e-300), month]) - immediacy) / longevity
            )
            growth = fitness * (ended[1] - ended[0] * (month > 1))
            previous[i] = 0.0 if month == 1 else previous[i - 1] + new[i - 1]
            level = previous[i] + m
            brought = (
                level * np.expm1(growth)
                if delta == 0.0
                else (level**delta + delta * growth) ** (1.0 / delta) - level
            )
            effect = share[i] * float(period[first[i]])
            if share[i] < 1.0:
                effect += (1.0 - share[i]) * float(period[first[i] + 1])
            new[i] = brought * np.exp(effect)
        return dataclasses.replace(history, previous=previous, new=new)

    known["fit"] = make_fit(model, base_models=12, draws=60, width=1e-4)
    exact = make_fit(model, base_models=12, draws=60, width=1e-4, distort=on_the_curve)
    # The file keeps whole counts; the curve does not come in any.
    object.__setattr__(exact, "history", on_the_curve(known["fit"].history))
    figure = collapse(exact)
    assert_tidy(figure)
    median = figure.axes[1].lines[0].get_ydata()
    assert np.abs(median).max() < (1e-3 if model == "citation" else 1e-2)  # a spread of exponents


def test_a_fit_of_babies_has_no_curve_to_collapse(make_fit):
    fit = make_fit(base_models=6, draws=40)
    object.__setattr__(fit, "history", fit.history.subset(np.array([5])))
    with pytest.raises(FitError, match="no curve to collapse"):
        collapse(fit)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_the_holders_are_the_fewest_that_hold_enough(counts):
    held = float(share_holding(counts, 0.8))
    number = round(held * len(counts))
    largest = sorted(counts, reverse=True)
    assert sum(largest[:number]) >= 0.8 * sum(counts) * (1 - 1e-9)
    assert sum(largest[: number - 1]) < 0.8 * sum(counts) * (1 + 1e-9)
    curve = lorenz_curve(counts)
    assert curve[0] == 0.0
    assert curve[-1] == pytest.approx(1.0)
    assert (np.diff(curve, 2) <= 1e-9).all()


def test_a_lorenz_curve_by_hand():
    np.testing.assert_allclose(lorenz_curve([1, 6, 3, 0]), [0, 0.6, 0.9, 1, 1])
    assert share_holding([1, 6, 3, 0]) == 0.5
    np.testing.assert_array_equal(share_holding([[0, 0], [8, 2]]), [np.nan, 0.5])


def test_concentration_draws_today_as_counted(ahead, assert_tidy):
    figure = concentration(ahead)
    left, right = figure.axes
    today = ahead.draws["observed"].to_numpy()
    np.testing.assert_allclose(left.lines[0].get_ydata(), 100 * lorenz_curve(today))
    dots = [line for line in right.lines if line.get_marker() == "o"]
    assert dots[0].get_xdata()[0] == pytest.approx(100 * float(share_holding(today)))
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels[0] == "(all) (36)"
    assert set(labels[1:]) == {"Meta (12)", "Qwen (12)", "StabilityAI (12)"}
    assert_tidy(figure)
    nothing = ahead.draws.assign(observed=0 * ahead.draws["observed"])
    with pytest.raises(ForecastError, match="nothing to be concentrated"):
        concentration(type(ahead)(nothing, ahead.history))


def test_downloads_are_concentrated_as_counted(assert_tidy):
    rng = np.random.default_rng(2)
    rows = [
        (f"{organization}/{n}", organization, "2025-01-01", month, 7 * n * month)
        for organization, number in (("Meta", 9), ("Qwen", 6), ("tiny", 2))
        for n in range(number)
        for month in (0, 1)
    ]
    table = pd.DataFrame(
        rows, columns=["base_model", "organization", "created_at", "month", "finetunes"]
    )
    told = rng.integers(0, 10**6, len(table)).astype(float)
    told[table["month"] == 0] = np.nan
    told[1] = np.nan  # of Meta/0, whose source does not tell
    panel = Panel.from_table(table.assign(downloads_all_time=told, downloads=told**2))
    figure = download_concentration(panel)
    left, right = figure.axes
    known = told[1::2][1:]
    for line, counts in zip(
        left.lines, (table["finetunes"].to_numpy()[1::2][1:], known, known**2), strict=False
    ):
        np.testing.assert_allclose(line.get_ydata(), 100 * lorenz_curve(counts))
    assert "downloads of all time: " in left.get_legend().get_texts()[1].get_text()
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels[0] == "(all) (16)"
    assert set(labels[1:]) == {"Meta (8)", "Qwen (6)"}
    meta = labels.index("Meta (8)")
    assert right.lines[1].get_xdata()[meta] == pytest.approx(100 * share_holding(known[:8]))
    assert_tidy(figure)
    one = download_concentration(Panel.from_table(table.assign(downloads=told)))
    assert len(one.axes[0].get_legend().get_texts()) == 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "carries no downloads; hfgrowth fetch"),
        ({"downloads": [0.0] * 6}, "0 or missing throughout"),
        ({"downloads": [None] * 6}, "0 or missing throughout"),
        ({"downloads": [1, 1, -3, 1, 1, 1]}, "is -3 for 'meta-llama/A'; give a number from 0"),
        ({"downloads": ["many"] * 6}, "is many for 'meta-llama/A'"),
    ],
)
def test_downloads_that_are_none_are_refused(small_panel, columns, message):
    panel = Panel.from_table(small_panel.table.assign(**columns))
    with pytest.raises(FitError, match=message):
        download_concentration(panel)


def test_a_fan_that_leaves_its_panel_says_how_far(fit, ahead, assert_tidy):
    """The median stays in view, whatever the interval does."""
    wild = ahead.draws.copy(deep=True)
    first = {"base_model": 0, "horizon": -1}
    own = fit.history.organization_of == fit.history.organization_of[0]
    total = int(fit.history.finetunes[own].sum())
    wild["finetunes"] = wild["finetunes"].astype(np.int64)
    wild["finetunes"][{**first, "draw": slice(0, 36)}] = 8 * total
    wild["finetunes"][{**first, "draw": slice(36, 60)}] = 1234 * total
    figure = organization_portfolios(fit, type(ahead)(wild, ahead.history))
    axes = figure.axes[fit.history.organization_of[0]]
    (note,) = (text.get_text() for text in axes.texts)
    told = note.removeprefix("95%: to ")
    unit = {"k": 1e3, "M": 1e6, "G": 1e9}[told[-1]]
    assert float(told[:-1]) * unit == pytest.approx(1234 * total, rel=0.06)
    assert axes.get_ylim()[1] > 8 * total
    assert not figure.axes[1].texts
    assert_tidy(figure)


def test_portfolios_add_up_to_the_totals(fit, ahead, assert_tidy):
    figure = organization_portfolios(fit, ahead)
    assert len(figure.axes) == 3
    for index, axes in enumerate(figure.axes):
        own = fit.history.organization_of == index
        past, median = axes.lines[:2]
        assert past.get_ydata()[-1] == fit.history.finetunes[own].sum()
        total = ahead.draws["finetunes"].isel(base_model=np.flatnonzero(own), horizon=-1)
        expected = np.median(total.sum("base_model"))
        assert median.get_ydata()[-1] == pytest.approx(expected, rel=0.05)
        assert (np.diff(median.get_ydata()) >= 0).all()
    assert_tidy(figure)
    part = forecast(fit, 2, base_models=fit.base_models[:3])
    with pytest.raises(ForecastError, match="does not hold the base models of the fit"):
        organization_portfolios(fit, part)


def test_milestones_are_medians_of_the_counts_at_that_age(fit, assert_tidy):
    figure = organization_milestones(fit, ages=(2, 6), fitness=(0.0, 1e9))
    assert [axes.get_title("left") for axes in figure.axes] == ["at 2 months", "at 6 months"]
    history = fit.history
    for axes, age in zip(figure.axes, (2, 6), strict=True):
        own = (history.organization_of == 0) & (history.months >= age)
        rows = history.start[:-1][own] + age - 1
        counts = (history.previous + history.new)[rows]
        drawn = axes.collections[0].get_offsets()[:, 0]
        assert sorted(drawn) == sorted(counts)
        low, high = axes.collections[1].get_segments()[0][:, 0]
        assert low <= np.median(counts) <= high
    assert_tidy(figure)
    with pytest.raises(FitError, match="give another range"):
        organization_milestones(fit, fitness=(1e8, 1e9))


def test_ridges_stand_at_the_medians(fit, assert_tidy):
    figure = organization_ridges(fit, ["Qwen", "Meta"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Qwen", "Meta"]
    values = fit.posterior["organization_fitness"].sel(organization="Qwen")
    stroke = figure.axes[2].collections[1].get_segments()[0]
    assert stroke[0, 0] == pytest.approx(float(values.median()), rel=0.01)
    for axes, unit in zip(figure.axes, ("log-months", "log-months", "dimensionless"), strict=True):
        assert axes.get_xlabel().endswith(f"({unit})")
    assert_tidy(figure)
    assert_tidy(organization_ridges(fit))
    with pytest.raises(ComparisonError, match="did you mean"):
        organization_ridges(fit, ["Mata"])


def test_ridges_of_a_stored_population_are_those_of_its_fit(fit):
    own, stored = (
        organization_ridges(source, ["Qwen", "Meta"]).axes[1].collections[1].get_segments()
        for source in (fit, PopulationPosterior.from_fit(fit))
    )
    np.testing.assert_array_equal(own[0], stored[0])


def test_ranks_are_those_of_the_table(comparison, assert_tidy):
    ranks = comparison.ranks
    figure = organization_ranks(ranks, ["fitness"])
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    rows = ranks.query("quantity == 'fitness'").set_index("organization").loc[names]
    assert axes.lines[0].get_xdata().tolist() == rows["median_rank"].tolist()
    assert rows["median_rank"].is_monotonic_increasing
    drawn = [tuple(segment[:, 0]) for segment in axes.collections[0].get_segments()]
    assert drawn == list(zip(rows["lower_95"], rows["upper_95"], strict=True))
    assert_tidy(organization_ranks(ranks))
    with pytest.raises(ComparisonError, match="'speed' is not in the comparison"):
        organization_ranks(ranks, ["speed"])
