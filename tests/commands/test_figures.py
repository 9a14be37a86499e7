"""`hfgrowth figures`, as users run it on a small fit."""

import pytest

ALWAYS = {
    "collapse", "concentration", "fan_chart", "growth_by_age", "organizations", "parameters",
    "period", "portfolios", "predictive", "prior_posterior", "ranks", "ridges",
}  # fmt: skip
SOMETIMES = {"downloads", "milestones", "paper_fits", "surges"}


def assert_every_figure_is_written_or_named_as_left_out(done, folder, ending, start):
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    written = {path.stem for path in folder.iterdir()}
    left_out = {name for name in SOMETIMES if f"left out {name}: " in done.stderr}
    assert written | left_out == ALWAYS | SOMETIMES
    assert not written & left_out
    assert f"wrote {len(written)} figures to" in done.stderr
    for path in folder.iterdir():
        assert path.suffix == ending
        assert path.read_bytes().startswith(start)


def test_every_figure_is_written_or_named_as_left_out(make_fit, here, tmp_path):
    make_fit(base_models=12, chains=2, draws=50).save(tmp_path / "fit.nc")
    out = tmp_path / "figures"
    done = here("figures", tmp_path / "fit.nc", "--out", out, "--format", "svg", "--months", "3")
    assert_every_figure_is_written_or_named_as_left_out(done, out, ".svg", b"<?xml")
    assert "left out downloads: a fit knows no downloads" in done.stderr


def test_downloads_are_drawn_from_the_panel_that_was_fitted(fitted, hfgrowth, tiny_panel, tmp_path):
    panel = tiny_panel.as_of("2024-08-01")
    carried = panel.table.assign(downloads=range(len(panel.table)))
    type(panel)(carried, panel.observed_at).write(tmp_path / "panel.parquet")
    out = tmp_path / "figures"
    done = hfgrowth(
        "figures", fitted[1], "--panel", tmp_path / "panel.parquet", "--out", out, "--months", "2"
    )
    assert_every_figure_is_written_or_named_as_left_out(done, out, ".png", b"\x89PNG")
    assert "left out downloads" not in done.stderr
    assert (out / "downloads.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "jpg"), "format 'jpg' does not exist; give one of png, svg, pdf"),
        (("--months", "0"), "0 months ahead is out of range"),
        (("--panel", "nowhere.csv"), "nowhere.csv: no such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(fitted, refused, tmp_path, options, message):
    assert message in refused("figures", fitted[1], "--out", tmp_path / "figures", *options)
    assert not (tmp_path / "figures").exists()
