"""The commands `hfgrowth backtest` and `score`, run for real."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd

from bayes_hfgrowth.evaluation.backtest import read_draws

DATE = "2024-05-20"
COUNTS = {"a/A": [0, 2, 4, 7, 13, 20, 31, 40], "b/B": [0, 0, 0, 1, 1, 1, 1, 5]}


def run(*arguments):
    code = "from bayes_hfgrowth.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_command_line(here, tmp_path):
    rows = [
        (name, "Meta", "2024-01-10", month, count)
        for name, series in COUNTS.items()
        for month, count in enumerate(series)
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "panel.csv", index=False)
    out = tmp_path / "out"
    fit = ("--draws", 40, "--tune", 60, "--chains", 2, "--target-accept", 0.8)
    ran = run("backtest", tmp_path / "panel.csv", "--as-of", DATE, "--months", 2, *fit,
              "--baseline", "drift", "--out", out)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "At the longest horizon" in ran.stdout
    for figure in ("calibration", "pit", "crps", f"extremes_{DATE}"):
        assert (out / f"{figure}.png").read_bytes().startswith(b"\x89PNG"), ran.stderr
    weights = pd.read_csv(out / "weights.csv")
    assert set(weights["method"]) == {"surge", "drift"}
    assert np.isclose(weights["weight"].sum(), 1.0)
    about = json.loads((out / DATE / "surge" / "about.json").read_text())
    assert about["settings"]["target_accept"] == 0.8
    assert "NOT CONVERGED" in ran.stderr or about["convergence"]["converged"]
    saved = out / DATE / "surge" / "forecast.nc"
    assert np.prod([read_draws(saved).sizes[d] for d in ("chain", "draw")]) <= 1000
    scored = here("score", saved, tmp_path / "panel.csv", "--out", tmp_path / "scores.csv")
    assert scored.returncode == 0, scored.stderr
    assert "within their 95% interval" in scored.stdout
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 4
