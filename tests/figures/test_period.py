"""The Hub's attention over time, and prior against posterior, as figures."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth.diagnostics import period_table, prior_posterior_table
from bayes_hfgrowth.figures import attention_chart, period_effect, prior_posterior
from bayes_hfgrowth.figures.style import log_ticks
from bayes_hfgrowth.support.errors import FitError


@pytest.fixture(scope="module")
def fit(make_fit):
    return make_fit(base_models=9, chains=2, draws=50)


def test_the_lines_and_bands_are_those_of_the_table(fit, assert_tidy):
    figure = period_effect(fit, 6, seed=4)
    (axes,) = figure.axes
    table = period_table(fit, 6, seed=4)
    known = int(table["fitted"].sum())
    *_, estimated, continued = axes.lines
    np.testing.assert_allclose(estimated.get_ydata(), table["median"][:known])
    np.testing.assert_allclose(continued.get_ydata(), table["median"][known - 1 :])
    months = table["calendar_month"].to_numpy().astype("M8[M]").astype(int)
    assert continued.get_xdata()[-1] == months[-1]
    (turn,) = {line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"}
    assert turn == months[known - 1]
    for band, level in zip(axes.collections, (95, 80, 50), strict=True):
        corners = band.get_paths()[0].vertices[:, 1]
        assert corners.max() == pytest.approx(table[f"upper_{level}"].max())
        assert corners.min() == pytest.approx(table[f"lower_{level}"].min())
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "Calendar month (year-month)"
    assert axes.get_ylabel().endswith("(ratio)")
    last = table["calendar_month"][known - 1]
    assert f"last month with data, {last}" in [t.get_text() for t in figure.legends[0].texts]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert 2 <= len(labels) <= 9
    assert set(labels) <= set(table["calendar_month"])
    assert_tidy(figure)


@pytest.mark.parametrize("months", [0, 1, 120])
def test_any_horizon_can_be_drawn(fit, assert_tidy, months):
    assert_tidy(period_effect(fit, months))


@pytest.mark.parametrize(("number", "spread"), [(1, 0.01), (2, 0.5), (40, 3.0), (400, 0.2)])
def test_short_long_and_wild_series_can_be_read(assert_tidy, number, spread):
    months = np.arange(600, 600 + number).astype("M8[M]").astype(str)
    median = np.exp(spread * np.sin(np.arange(number)))
    bands = {
        f"{end}_{level}": median * np.exp(sign * spread * level / 50)
        for level in (50, 80, 95)
        for end, sign in (("lower", -1), ("upper", 1))
    }
    table = pd.DataFrame({"calendar_month": months, "fitted": True, "median": median, **bands})
    figure = attention_chart(table)
    assert len(figure.axes[0].get_yticks()) >= 2
    assert_tidy(figure)


def test_there_is_no_figure_without_a_period_effect(make_fit):
    with pytest.raises(FitError, match="growth model citation has no period effect to draw"):
        period_effect(make_fit("citation", base_models=6, chains=1, draws=20))


@given(st.floats(-6, 6), st.floats(0.05, 6), st.integers(3, 9))
def test_ticks_of_a_logarithmic_axis_are_few_round_and_inside(start, width, most):
    low, high = 10.0**start, 10.0 ** (start + width)
    ticks = log_ticks(low, high, most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)
    assert len(ticks) >= min(2, int(width))
    assert all(float(f"{tick:.1e}") == tick for tick in ticks)


@pytest.mark.parametrize("model", ["surge", "citation"])
def test_prior_and_posterior_are_those_of_the_table(make_fit, assert_tidy, model):
    table = prior_posterior_table(make_fit(model, base_models=9, chains=2, draws=50))
    figure = prior_posterior(table)
    assert len(figure.axes) == len(table)
    for axes, row in zip(figure.axes, table.itertuples(), strict=True):
        kinds = ("prior", "posterior")
        for line, segments, kind in zip(axes.lines, axes.collections, kinds, strict=True):
            assert line.get_xdata()[0] == getattr(row, f"{kind}_median")
            (ends,) = segments.get_segments()
            assert ends[0, 0] == getattr(row, f"{kind}_lower_95")
            assert ends[1, 0] == getattr(row, f"{kind}_upper_95")
        low, high = axes.get_xlim()
        assert low < row.prior_lower_95
        assert high > row.posterior_upper_95
        assert axes.get_xlabel()
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles[:2] == ["Fitness, global", "Fitness, between organizations"]
    assert_tidy(figure)
