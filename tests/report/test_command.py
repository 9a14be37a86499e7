"""`hfgrowth report`, as users run it, on a real fit."""

import subprocess
import sys

import pandas as pd
import pytest
from report_pages import island

from bayes_hfgrowth.cli import main

HFGROWTH = [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()"]


def run(*arguments):
    command = [*HFGROWTH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def refused(monkeypatch, capsys, *arguments):
    """The one line of a refusal, from the same command line without a process of its own."""
    monkeypatch.setattr(sys, "argv", ["hfgrowth", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


@pytest.fixture(scope="module")
def made(tiny_fit_file, tmp_path_factory):
    """What the command said, and the page."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    done = run("report", tiny_fit_file, "--out", out, "--months", 3, "--seed", 5)
    assert done.returncode == 0, done.stderr
    return done, out.read_text(encoding="utf-8")


def test_it_says_what_it_wrote(made):
    done, _ = made
    assert done.stdout == ""
    assert "15 base models, 3 months" in done.stderr
    assert " MB" in done.stderr


def test_its_numbers_are_those_of_hfgrowth_forecast_with_the_same_seed(
    made, tiny_fit_file, tmp_path, monkeypatch
):
    out = tmp_path / "forecast.csv"
    command = ["forecast", tiny_fit_file, "--months", 3, "--seed", 5, "--out", out]
    monkeypatch.setattr(sys, "argv", ["hfgrowth", *map(str, command)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    table = pd.read_csv(out)
    _, page = made
    numbers = island(page)
    assert [model["name"] for model in numbers["base_models"]] == list(
        table["base_model"].drop_duplicates()
    )
    for model in numbers["base_models"]:
        own = table[table["base_model"] == model["name"]]
        for name, differences in zip(numbers["series"], model["forecast"], strict=True):
            if name == "mean":
                continue
            running, value = [], own["observed"].iloc[0]
            for difference in differences:
                value += difference
                running.append(value)
            assert running == list(own[name])


def test_it_says_how_the_fit_was_made(made, tiny_fit):
    _, page = made
    assert tiny_fit.about["panel"]["digest"] in page
    for name, version in tiny_fit.about["versions"].items():
        assert f'<th scope="row">{name}</th><td>{version}</td>' in page
    for prior in ("global", "location", "between organizations"):
        assert prior in page


def test_it_opens_in_a_browser(made, look):
    _, page = made
    tab = look(page)
    assert tab.locator("#base-model-table tbody tr").count() == 15
    assert tab.locator("#organization-table tbody tr").count() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "report.pdf"], "does not end in .html"),
        (["--out", "nowhere/report.html"], "there is no folder"),
        (["--out", "report.html", "--months", "0"], "0 months ahead"),
        (["--out", "report.html", "--seed", "-2"], "the seed is -2"),
        (["--out", "report.html", "--panel", "none.csv"], "none.csv: no such file"),
        ([], "Missing option '--out'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tiny_fit_file, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert refused(monkeypatch, capsys, tiny_fit_file, *arguments).count(message) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_fit(tmp_path, monkeypatch, capsys):
    (tmp_path / "fit.nc").write_text("nothing")
    monkeypatch.chdir(tmp_path)
    said = refused(monkeypatch, capsys, "fit.nc", "--out", "report.html")
    assert "is not a NetCDF file" in said
