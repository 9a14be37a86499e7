"""Fan charts: what is drawn is what the table says."""

import itertools

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from bayes_hfgrowth.figures.fan import MOST_PANELS, fan_chart
from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.support.errors import ForecastError


@pytest.fixture(scope="module")
def made_forecast(made_fit):
    return forecast(made_fit, 9)


@pytest.fixture(scope="module")
def table(made_forecast):
    return made_forecast.table()


def bands(axes):
    return [item for item in axes.collections if isinstance(item, FillBetweenPolyCollection)]


def limits(band):
    """Lower and upper end of a band at each age."""
    points = band.get_paths()[0].vertices
    return {
        age: (points[points[:, 0] == age, 1].min(), points[points[:, 0] == age, 1].max())
        for age in np.unique(points[:, 0])
    }


def test_the_six_with_most_finetunes_are_drawn_largest_first(table, made_forecast):
    figure = fan_chart(table, made_forecast.history)
    counts = table.drop_duplicates("base_model").set_index("base_model")["observed"]
    drawn = [axes.get_title(loc="left") for axes in figure.axes]
    assert drawn == list(counts.sort_values(ascending=False, kind="stable").index[:6])


@pytest.mark.parametrize("log", [False, True])
def test_bands_are_those_of_the_table_nested_and_start_today(table, made_forecast, log):
    name = table.loc[table["observed"].idxmax(), "base_model"]
    figure = fan_chart(table, made_forecast.history, [name], log=log)
    (axes,) = figure.axes
    own = table[table["base_model"] == name].sort_values("horizon")
    today = own["month"].iloc[0] - 1
    drawn = [limits(band) for band in bands(axes)]
    assert len(drawn) == 3
    for band, level in zip(drawn, (95, 80, 50), strict=True):
        assert band[today] == (own["observed"].iloc[0],) * 2
        for row in own.itertuples():
            assert band[row.month] == (
                getattr(row, f"lower_{level}"),
                getattr(row, f"upper_{level}"),
            )
    for wide, narrow in itertools.pairwise(drawn):
        assert all(wide[age][0] <= narrow[age][0] <= narrow[age][1] <= wide[age][1] for age in wide)
    median, observed = axes.lines
    np.testing.assert_array_equal(median.get_xdata(), np.append(today, own["month"]))
    np.testing.assert_array_equal(median.get_ydata()[1:], own["median"])
    assert observed.get_xdata()[-1] == today
    assert observed.get_ydata()[-1] == own["observed"].iloc[0]
    assert axes.get_yscale() == ("log" if log else "linear")


def test_axes_say_what_they_show_and_no_text_lies_on_another(table, made_forecast, assert_tidy):
    names = list(table["base_model"].unique())[:MOST_PANELS]
    figure = fan_chart(table, made_forecast.history, names)
    assert len(figure.axes) == MOST_PANELS
    assert figure.get_supxlabel() == "Age of the base model (months)"
    assert figure.get_supylabel() == "Cumulative fine-tunes"
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["observed", "median forecast", "50% interval", "80% interval", "95% interval"]
    assert_tidy(figure)


def test_long_names_stay_in_their_panel(table, made_forecast, assert_tidy):
    def renamed(frame):
        return frame.assign(base_model="some-organization/" + frame["base_model"] + "-" + "x" * 40)

    assert_tidy(fan_chart(renamed(table), renamed(made_forecast.history)))


def test_other_intervals_are_drawn_when_the_table_has_them(made_forecast):
    figure = fan_chart(made_forecast.table((90, 99.5)), made_forecast.history)
    assert all(len(bands(axes)) == 2 for axes in figure.axes)
    assert "99.5% interval" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_base_model_younger_than_a_month_starts_at_birth(made_fit, table, made_forecast):
    name = made_fit.base_models[int(np.flatnonzero(made_fit.history.months == 0)[0])]
    (axes,) = fan_chart(table, made_forecast.history, [name]).axes
    assert limits(bands(axes)[0])[0] == (0, 0)


def test_unknown_and_too_many_base_models_are_refused(table, made_forecast):
    with pytest.raises(ForecastError, match="is not in the forecast"):
        fan_chart(table, made_forecast.history, ["Meta/model-x"])
    with pytest.raises(ForecastError, match="room for 12"):
        fan_chart(table, made_forecast.history, list(table["base_model"].unique())[:13])


def test_the_forecast_draws_itself(made_forecast):
    assert len(made_forecast.plot().axes) == 6
