"""The table of calibration is what a backtest's folder holds."""

import json

import pandas as pd
import pytest

from bayes_hfgrowth.data.make_calibration import calibration_of, main
from bayes_hfgrowth.evaluation.calibration import CLASSES, COLUMNS
from bayes_hfgrowth.evaluation.scores import score_forecast, summarize
from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.support.errors import ForecastError


@pytest.fixture
def folder(make_fit, tmp_path):
    """What `hfgrowth backtest` leaves behind, of a fit that needs no sampling."""
    fit = make_fit(base_models=60, draws=80)
    panel = fit.history.to_panel()
    known = forecast(make_fit(base_models=60, draws=80), 3)
    later = panel.table.copy()
    earlier = known.draws.assign(months=known.draws["months"] - 3)
    keep = (earlier["months"] > 0).to_numpy()
    counts = later.set_index(["base_model", "month"])["finetunes"]
    names = earlier["base_model"].to_numpy()[keep]
    earlier = earlier.sel(base_model=names)
    observed = [counts[name, int(m)] for name, m in zip(names, earlier["months"], strict=True)]
    scores = score_forecast(earlier.assign(observed=("base_model", observed)), panel)
    scores.insert(0, "as_of", "2024-08-21")
    scores.insert(1, "method", "surge")
    summarize(scores, ["as_of", "method"]).to_csv(tmp_path / "scores.csv", index=False)
    place = tmp_path / "2024-08-21" / "surge"
    place.mkdir(parents=True)
    about = {"specification": "ab" * 32, "convergence": {"converged": False, "r_hat": 1.0237}}
    (place / "about.json").write_text(json.dumps(about))
    return tmp_path


def test_the_classes_by_horizon_are_taken(folder):
    table = calibration_of(folder)
    assert list(table.columns) == list(COLUMNS)
    assert set(table["finetunes"]) <= set(CLASSES)
    assert set(table["horizon"]) == {1, 2, 3}
    assert (table["specification"] == "ab" * 32).all()
    assert (table["r_hat"] == 1.024).all()
    scores = pd.read_csv(folder / "scores.csv", dtype={"group": str})
    for row in table.itertuples():
        [same] = scores[
            (scores["horizon"] == row.horizon) & (scores["group"] == row.finetunes)
            & (scores["grouping"] == "count")
        ].to_dict("records")  # fmt: skip
        assert same["coverage_80"] == pytest.approx(row.coverage_80)
        assert same["base_models"] == row.base_models


def test_the_module_writes_the_table(folder, capsys):
    assert main([str(folder), "--out", str(folder / "calibration.csv")]) == 0
    read = pd.read_csv(folder / "calibration.csv", dtype={"finetunes": str})
    assert list(read.columns) == list(COLUMNS)
    assert main([str(folder), "--method", "gompertz", "--out", str(folder / "c.csv")]) == 2
    assert "holds no backtest of 'gompertz'" in capsys.readouterr().err
    assert main([str(folder / "none"), "--out", str(folder / "c.csv")]) == 2
    assert not (folder / "c.csv").exists()


def test_fits_whose_chains_disagree_are_refused(folder):
    path = folder / "2024-08-21" / "surge" / "about.json"
    path.write_text(json.dumps({"specification": "x", "convergence": {"r_hat": 1.31}}))
    with pytest.raises(ForecastError, match="the chains disagree"):
        calibration_of(folder)
    path.unlink()
    with pytest.raises(ForecastError, match="cannot be read"):
        calibration_of(folder)
