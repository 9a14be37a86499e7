"""Backtests keep to the calendar, go on where they stood, and score what they say."""

import pandas as pd
import pytest

from bayes_hfgrowth import Panel
from bayes_hfgrowth.evaluation import backtest as module
from bayes_hfgrowth.evaluation.backtest import backtest, read_draws
from bayes_hfgrowth.support.errors import FitError, ForecastError

DATE = "2024-05-20"
GROWING = {"a/A": [0, 2, 4, 7, 13, 20, 31, 40], "b/B": [0, 0, 0, 1, 1, 1, 1, 5]}


def run(panel, out, **options):
    settings = {"as_of": DATE, "months": 2, "models": (), "baselines": ("drift", "last_value")}
    return backtest(panel, out=out, progress=False, **{**settings, **options})


def scrambled(panel, date=DATE):
    """The same panel, with another future."""
    table = panel.table.copy()
    known = panel.as_of(date).table
    keys = pd.MultiIndex.from_frame(table[["base_model", "month"]])
    later = ~keys.isin(pd.MultiIndex.from_frame(known[["base_model", "month"]]))
    assert later.any()
    table.loc[later, "finetunes"] += 1000
    return Panel.from_table(table)


def test_baselines_are_scored_against_what_came(make_panel, tmp_path):
    result = run(make_panel(GROWING), tmp_path)
    row = result.scores.query("method == 'drift' and base_model == 'a/A' and horizon == 1").iloc[0]
    # Four months old, 13 fine-tunes, 11 of them in the last three months; 20 came.
    assert (row["observed"], row["actual"]) == (13, 20)
    assert row["mean"] == pytest.approx(13 + 11 / 3)
    assert row["crps"] == pytest.approx(7 - 11 / 3)
    for name in ("scores.csv", "runs.csv", "base_models.parquet"):
        assert (tmp_path / name).exists()
    table = pd.read_csv(tmp_path / "scores.csv")
    assert set(table["method"]) == {"drift", "last_value"}


def test_the_future_does_not_reach_the_forecast(make_panel, tmp_path):
    panel = make_panel(GROWING)
    run(panel, tmp_path / "one")
    run(scrambled(panel), tmp_path / "two")
    for name in ("drift", "last_value"):
        one, two = (read_draws(tmp_path / n / DATE / name / "forecast.nc") for n in ("one", "two"))
        assert one.identical(two)


def test_what_is_finished_is_not_made_again(make_panel, tmp_path, monkeypatch):
    panel = make_panel(GROWING)
    first = run(panel, tmp_path)
    made = []
    real = module.forecast_baseline
    monkeypatch.setattr(
        module, "forecast_baseline", lambda name, *a, **k: made.append(name) or real(name, *a, **k)
    )
    pd.testing.assert_frame_equal(run(panel, tmp_path).scores, first.scores)
    assert made == []
    (tmp_path / DATE / "drift" / "about.json").unlink()  # as after an interruption
    run(panel, tmp_path)
    assert made == ["drift"]
    run(panel, tmp_path, seed=2)
    assert made == ["drift", "drift", "last_value"]


def test_too_young_base_models_are_counted_and_stay_with_the_others(make_panel, tmp_path):
    # Its counts end at two months, drift needs three.
    result = run(make_panel({**GROWING, "c/C": [0, 1, 1]}), tmp_path)
    runs = result.runs.set_index("method")
    assert runs["too_short"].to_dict() == {"drift": 1, "last_value": 0}
    assert runs["forecast"].to_dict() == {"drift": 2, "last_value": 3}


def test_parallel_gives_the_same(make_panel, tmp_path):
    panel = make_panel(GROWING)
    one, two = run(panel, tmp_path / "one"), run(panel, tmp_path / "two", jobs=2)
    pd.testing.assert_frame_equal(one.table, two.table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"months": 0}, "0 months ahead is out of range"),
        ({"jobs": 0}, "jobs is 0"),
        ({"baselines": ("drfit",)}, "did you mean 'drift'"),
        ({"baselines": ()}, "needs an as-of date and a growth model or baseline"),
        ({"as_of": []}, "needs an as-of date"),
        ({"baselines": ("drift", "drift")}, "given twice"),
    ],
)
def test_impossible_backtests_are_refused(make_panel, tmp_path, options, message):
    with pytest.raises(ForecastError, match=message):
        run(make_panel(GROWING), tmp_path, **options)


def test_files_that_are_no_forecast_are_refused(tmp_path):
    with pytest.raises(ForecastError, match="does not exist"):
        read_draws(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("text")
    with pytest.raises(ForecastError, match="not a NetCDF file"):
        read_draws(tmp_path / "text.nc")


def test_a_fit_that_cannot_be_run_is_refused_first(make_panel, tmp_path):
    with pytest.raises(FitError, match=r"target_accept is 1\.0; give at least 0\.5"):
        run(make_panel(GROWING), tmp_path / "out", models=("surge",), target_accept=1.0)
    assert not (tmp_path / "out").exists()


def test_a_cluster_gives_the_same(make_panel, tmp_path):
    """A growth model and baselines, each a task of a real cluster."""
    options = {"models": ("surge",), "draws": 20, "tune": 40, "chains": 2, "jobs": 2}
    panel = make_panel(GROWING)
    one = run(panel, tmp_path / "one", **{**options, "jobs": 1})
    two = run(panel, tmp_path / "two", **options, dask="local")
    pd.testing.assert_frame_equal(one.scores, two.scores)
    pd.testing.assert_frame_equal(one.runs, two.runs)
    assert one.verdicts.keys() == two.verdicts.keys()
