"""`hfgrowth update`, as users run it."""

import pandas as pd
import xarray as xr

from bayes_hfgrowth import load_fit, read_panel


def test_update_writes_one_table_and_says_what_it_did(here, fitted, panel_file, tmp_path):
    out, draws = tmp_path / "u.csv", tmp_path / "u.nc"
    arguments = ("update", fitted[1], panel_file, "--as-of", "2024-10-01", "--months", 2)
    done = here(*arguments, "--out", out, "--draws-out", draws)
    assert done.returncode == 0, done.stderr
    assert f"wrote {out}: 15 base models" in done.stderr
    assert "Forecasts made before" in done.stdout
    assert "within their 80% interval" in done.stdout
    table = pd.read_csv(out)
    assert table["horizon"].tolist() == [1, 2] * 15
    assert set(table["source"]) <= {"reweighted", "refit", "unchanged"}
    assert table["inside_80"].notna().all()
    found = load_fit(fitted[1]).update(read_panel(panel_file).as_of("2024-10-01"))
    expected = found.forecast(2)
    pd.testing.assert_series_equal(table["median"], expected.table()["median"])
    kept = xr.load_dataset(draws)
    assert (kept["finetunes"] == expected.draws["finetunes"]).all()
    scored = here("score", draws, panel_file)
    assert scored.returncode == 0, scored.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"u.csv", "u.nc"}


def test_until_makes_a_table_of_dates(here, fitted, panel_file, tmp_path):
    out = tmp_path / "u.parquet"
    done = here("update", fitted[1], panel_file, "--until", "2025-05-01", "--out", out)
    assert done.returncode == 0, done.stderr
    dates = pd.read_parquet(out)["date"]
    assert dates.max() == pd.Timestamp("2025-05-01", tz="UTC")


def test_what_is_refused(refused, fitted, panel_file, tmp_path):
    out = tmp_path / "u.csv"
    assert "end in .csv" in refused("update", fitted[1], panel_file, "--out", tmp_path / "u.nc")
    both = ("--months", 1, "--until", "2026-01-01")
    assert "both are given" in refused("update", fitted[1], panel_file, "--out", out, *both)
    early = ("--as-of", "2024-07-01")
    assert "observed later" in refused("update", fitted[1], panel_file, "--out", out, *early)
    assert list(tmp_path.iterdir()) == []
