"""`hfgrowth compare` and `hfgrowth diagnose`, as users run them."""

import dataclasses

import pandas as pd
import pytest

from bayes_hfgrowth import Panel, read_panel


def test_compare_prints_and_writes(fitted, hfgrowth, here, tmp_path):
    out = tmp_path / "organizations.csv"
    done = hfgrowth("compare", fitted[1], "Meta", "StabilityAI", "--out", out)
    assert done.returncode == 0, done.stderr
    for heading in ("Meta: medians", "StabilityAI: medians", "Meta and StabilityAI"):
        assert heading in done.stdout
    assert "%" in done.stdout
    assert "NOT CONVERGED" in done.stderr
    table = pd.read_csv(out)
    assert {"organization", "quantity", "median", "lower_95", "upper_95"} <= set(table.columns)
    assert table["organization"].unique().tolist() == ["Meta", "StabilityAI"]
    assert {"immediacy", "longevity", "fitness"} <= set(table["quantity"])
    again = here("compare", fitted[1], "Meta", "StabilityAI")
    assert again.stdout == done.stdout  # with the seed of the fit, and without a file


def assert_checks_are_printed_and_written(done, folder, empty=()):
    assert done.returncode == 0, done.stderr
    assert "HAS NOT CONVERGED" in done.stdout
    written = {path.suffix for path in folder.iterdir()}
    assert {".csv", ".png"} <= written
    for path in folder.glob("*.csv"):
        assert (len(pd.read_csv(path)) > 0) is (path.stem not in empty), path
    assert all(path.stat().st_size > 0 for path in folder.iterdir())


def one_month_stands_out(history):
    """The same counts with a month that the growth model cannot explain."""
    at = int(history.start[1]) - 1
    new = history.new.copy()
    new[at] += 5000
    return dataclasses.replace(history, new=new)


def test_diagnose_prints_and_writes(make_fit, here, tmp_path):
    fit = make_fit(base_models=8, chains=2, draws=30, diverging=3, distort=one_month_stands_out)
    fit.save(tmp_path / "fit.nc")
    out = tmp_path / "checks"
    done = here("diagnose", tmp_path / "fit.nc", "--out", out)
    # a fit without sampling has no energy, and no panels drawn from its prior
    assert_checks_are_printed_and_written(done, out, empty={"energy", "prior_predictive"})
    assert pd.read_csv(out / "surges.csv")["made_by"].isna().all()
    assert "one author" not in done.stdout


def test_diagnose_looks_the_authors_up_in_the_panel(
    hfgrowth, refused, panel_file, fitted, tmp_path
):
    assert "has no column 'authors'" in refused("diagnose", fitted[1], "--panel", panel_file)
    panel = read_panel(panel_file)
    Panel(panel.table.assign(authors=1, largest_author_share=1.0), panel.observed_at).write(
        tmp_path / "panel.parquet"
    )
    out = tmp_path / "checks"
    done = hfgrowth("diagnose", fitted[1], "--panel", tmp_path / "panel.parquet", "--out", out)
    assert_checks_are_printed_and_written(done, out)
    surges = pd.read_csv(out / "surges.csv")
    assert (surges["made_by"] == "one author").all()
    assert ("one author" in done.stdout) == (len(surges) > 0)


@pytest.mark.parametrize(
    ("organizations", "options", "message"),
    [
        (("Meta", "Stability"), (), "StabilityAI"),
        (("Meta",), (), "two"),
        (("Meta", "Meta"), (), "Meta"),
        ((), (), "NAME..."),
        (("Meta", "OpenAI"), ("--out", "nowhere/c.csv"), "there is no folder"),
        (("Meta", "OpenAI"), ("--out", "c.txt"), "does not end in"),
        (("Meta", "OpenAI"), ("--seed", -1), "-1"),
    ],
)
def test_comparisons_that_cannot_be(
    refused, fitted, tmp_path, monkeypatch, organizations, options, message
):
    monkeypatch.chdir(tmp_path)
    assert message in refused("compare", fitted[1], *organizations, *options)
    assert list(tmp_path.iterdir()) == []


def test_fits_that_are_none(refused, panel_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare, diagnose = ("compare", "{}", "Meta", "OpenAI"), ("diagnose", "{}", "--out", "checks")
    for command, message in ((compare, "are compared in a fit file"),
                             (diagnose, "is not a NetCDF file")):  # fmt: skip
        for name, told in ((panel_file, message), ("none.nc", "does not exist")):
            assert told in refused(*(part.format(name) for part in command))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused_before_the_work(refused, fitted, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is not a folder" in refused("diagnose", fitted[1], "--out", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
