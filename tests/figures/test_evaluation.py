"""Pictures of a backtest: what is drawn is what the scores say. Real baselines, real counts."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth import load_example
from bayes_hfgrowth.evaluation.baselines import forecast_baseline
from bayes_hfgrowth.evaluation.scores import LEVELS, score_forecast, summarize
from bayes_hfgrowth.evaluation.skill import common, skill
from bayes_hfgrowth.figures.evaluation import (
    calibration_curves,
    extreme_forecasts,
    pit_histograms,
    score_by_horizon,
)
from bayes_hfgrowth.support.errors import ForecastError

DATES = ("2024-02-21", "2024-08-21")
MONTHS = 3


@pytest.fixture(scope="module")
def panel():
    return load_example()


@pytest.fixture(scope="module")
def forecasts(panel):
    """Draws by date and method: every fifth base model, whatever its count."""
    made = {}
    for date in DATES:
        known = panel.as_of(date)
        names = list(known.base_models.index[::5])
        for method in ("analogues", "drift", "last_value"):
            made[date, method] = forecast_baseline(method, known, MONTHS, names).draws
    return made


@pytest.fixture(scope="module")
def scores(panel, forecasts):
    parts = [
        score_forecast(draws, panel).assign(as_of=date, method=method)
        for (date, method), draws in forecasts.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_calibration_draws_the_shares_of_the_summary(scores, assert_tidy):
    figure = calibration_curves(scores, "analogues")
    summary = summarize(scores, ["as_of", "method"]).set_index(
        ["as_of", "method", "horizon", "group"]
    )
    titles = {axes.get_title(loc="left").splitlines()[0]: axes for axes in figure.axes}
    assert list(titles) == [
        "no fine-tune", "1 to 4 fine-tunes", "5 to 49 fine-tunes", "50+ fine-tunes",
        "5+ fine-tunes",
    ]  # fmt: skip
    for name, group in (("no fine-tune", "0"), ("5+ fine-tunes", "5+")):
        _, *lines = titles[name].lines  # after the diagonal: a curve and its circles, by date
        for place, date in enumerate(DATES):
            curve, circles = lines[2 * place], lines[2 * place + 1]
            row = summary.loc[(date, "analogues", MONTHS, group)]
            for level in LEVELS:
                drawn = np.interp(level, curve.get_xdata(), curve.get_ydata())
                assert drawn == pytest.approx(100 * row[f"pit_{level}"])
            assert list(circles.get_ydata()) == pytest.approx(
                [100 * row[f"coverage_{level}"] for level in LEVELS]
            )
    assert_tidy(figure)


def test_pit_histograms_hold_every_outcome_once(scores, assert_tidy):
    figure = pit_histograms(scores, "analogues")
    last = scores.query("method == 'analogues' and horizon == @MONTHS")
    for axes in figure.axes:
        filled, line = (patch.get_data()[0] for patch in axes.patches[-2:])
        assert filled.sum() == pytest.approx(100)
        np.testing.assert_array_equal(line, filled)
    everyone = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("5+")]
    part = last[last["observed"] >= 5]
    assert everyone[0].get_title(loc="left").endswith(f"n = {len(part)}")
    # The bins agree with the drawn randomisation on average; here with its own luck.
    drawn, _ = np.histogram(part["pit"], np.linspace(0, 1, 11))
    shown = everyone[0].patches[-1].get_data()[0] * len(part) / 100
    assert np.abs(drawn - shown).max() < 4 * np.sqrt(len(part) / 10)
    assert_tidy(figure)


def test_score_by_horizon_compares_like_with_like(scores, assert_tidy):
    figure = score_by_horizon(scores, "analogues")
    above, below = figure.axes[:2], figure.axes[2:]
    together = common(scores[scores["observed"] >= 5])
    gains = skill(scores, "analogues").set_index(["as_of", "rival", "horizon"])
    for axes, lower, date in zip(above, below, DATES, strict=True):
        part = together[together["as_of"] == date]
        assert axes.get_title(loc="left") == (
            f"as of {date}: {part['base_model'].nunique()} base models"
        )
        means = part.groupby(["method", "horizon"])["crps_log"].mean()
        drawn = [line.get_ydata().tolist() for line in axes.lines]
        for method in ("analogues", "drift", "last_value"):
            assert means.loc[method].tolist() in drawn
        points = sorted(y for c in lower.containers for y in c.lines[0].get_ydata())
        assert points == pytest.approx(sorted(100 * gains.loc[date]["skill"]))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["analogues", "drift", "last value"]
    assert_tidy(figure)


def test_extreme_forecasts_are_ranked_and_show_what_came(panel, forecasts, scores, assert_tidy):
    date = DATES[1]
    own = scores.query("as_of == @date and method == 'analogues'")
    figure = extreme_forecasts(forecasts[date, "analogues"], own, panel)
    last = own.query("horizon == @MONTHS and observed >= 5").sort_values("crps_log")
    drawn = [float(axes.get_title(loc="left").rpartition(" ")[2]) for axes in figure.axes]
    assert len(drawn) == 20
    assert drawn[:10] == pytest.approx(last["crps_log"].head(10).tolist(), abs=0.005)
    assert drawn[10:] == pytest.approx(last["crps_log"].tail(10).tolist()[::-1], abs=0.005)
    for axes, row in ((figure.axes[0], last.iloc[0]), (figure.axes[10], last.iloc[-1])):
        came = axes.lines[-1]
        assert came.get_ydata()[-1] == row["actual"]
        assert came.get_xdata()[-1] == row["months"] + MONTHS
        assert axes.get_ylim()[1] >= max(row["actual"], row["upper_95"])
    assert_tidy(figure)


def test_few_forecasts_are_shared_between_best_and_worst(panel, forecasts, scores):
    date = DATES[1]
    own = scores.query("as_of == @date and method == 'analogues'")
    names = own.query("observed >= 50")["base_model"].unique()[:4]
    few = own[own["base_model"].isin(names)]
    figure = extreme_forecasts(forecasts[date, "analogues"], few, panel)
    assert len(figure.axes) == 4
    with pytest.raises(ForecastError, match="lower min_finetunes"):
        extreme_forecasts(forecasts[date, "analogues"], few, panel, min_finetunes=10**7)


@pytest.mark.parametrize("draw", [calibration_curves, pit_histograms])
def test_what_has_no_calibration_is_refused(scores, draw):
    with pytest.raises(ForecastError, match="drift gives point forecasts"):
        draw(scores, "drift")
    with pytest.raises(ForecastError, match="method 'drfit' is not in the backtest; did you mean"):
        draw(scores, "drfit")
