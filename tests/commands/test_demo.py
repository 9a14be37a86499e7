"""`hfgrowth demo` to its end, on few base models and draws."""

import pandas as pd

from bayes_hfgrowth import load_fit
from bayes_hfgrowth.commands.demo import HORIZON, ORGANIZATIONS, QUICK_BASE_MODELS

FILES = {"fit.nc", "forecast.csv", "forecast.nc", "fan_chart.png", "organizations.csv",
         "organizations.png", "paper_fits.png", "diagnostics"}  # fmt: skip


def test_demo_writes_what_it_promises(hfgrowth, tmp_path):
    out = tmp_path / "new" / "demo"
    done = hfgrowth("demo", "--out", out, HFGROWTH_QUICK="1")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"new"}
    for name in FILES:
        assert name in done.stdout
    # nobody takes the numbers of the quick run for those of the real one
    assert "do not use these numbers" in done.stdout
    assert "HFGROWTH_QUICK is set" in done.stderr
    fit = load_fit(out / "fit.nc")
    assert set(fit.base_models) == set(QUICK_BASE_MODELS)
    table = pd.read_csv(out / "forecast.csv")
    assert table.groupby("base_model")["horizon"].max().eq(HORIZON).all()
    assert set(pd.read_csv(out / "organizations.csv")["organization"]) == set(ORGANIZATIONS)
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert any((out / "diagnostics").iterdir())


def test_a_place_that_cannot_be_is_refused_before_the_fit(refused, tmp_path):
    (tmp_path / "demo").write_text("mine")
    assert "is not a folder" in refused("demo", "--out", tmp_path / "demo")
    assert (tmp_path / "demo").read_text() == "mine"
