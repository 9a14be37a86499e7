"""`hfgrowth figures`, as users run it on a small fit."""

import subprocess
import sys

import pytest

HFGROWTH = [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()"]
ALWAYS = {
    "collapse", "concentration", "fan_chart", "growth_by_age", "organizations", "parameters",
    "period", "portfolios", "predictive", "prior_posterior", "ranks", "ridges",
}  # fmt: skip
SOMETIMES = {"downloads", "milestones", "paper_fits", "surges"}


def run(*arguments):
    return subprocess.run(
        [*HFGROWTH, "figures", *map(str, arguments)], capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


def test_every_figure_is_written_or_named_as_left_out(tiny_fit_file, tmp_path):
    done = run(tiny_fit_file, "--out", tmp_path / "figures", "--format", "svg", "--months", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    written = {path.stem for path in (tmp_path / "figures").iterdir()}
    left_out = {name for name in SOMETIMES if f"left out {name}: " in done.stderr}
    assert written | left_out == ALWAYS | SOMETIMES
    assert not written & left_out
    assert f"wrote {len(written)} figures to" in done.stderr
    for path in (tmp_path / "figures").iterdir():
        assert path.suffix == ".svg"
        assert path.read_bytes().startswith(b"<?xml")


def test_downloads_are_drawn_from_the_panel_that_was_fitted(tiny_fit_file, tiny_panel, tmp_path):
    panel = tiny_panel.as_of("2024-08-01")
    carried = panel.table.assign(downloads=range(len(panel.table)))
    type(panel)(carried, panel.observed_at).write(tmp_path / "panel.parquet")
    done = run(
        tiny_fit_file, "--panel", tmp_path / "panel.parquet", "--out", tmp_path / "figures",
        "--months", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "left out downloads" not in done.stderr
    assert (tmp_path / "figures" / "downloads.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "jpg"), "format 'jpg' does not exist; give one of png, svg, pdf"),
        (("--months", "0"), "0 months ahead is out of range"),
        (("--panel", "nowhere.csv"), "nowhere.csv: no such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(tiny_fit_file, tmp_path, options, message):
    done = run(tiny_fit_file, "--out", tmp_path / "figures", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "figures").exists()
