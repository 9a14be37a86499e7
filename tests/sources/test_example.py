"""The shipped data is what its data card says."""

import pandas as pd
import pytest

from bayes_hfgrowth import Panel, load_example, load_paper_fits
from bayes_hfgrowth.data import make_example
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.months import whole_months


@pytest.fixture(scope="module")
def panel():
    return load_example()


@pytest.fixture(scope="module")
def models(panel):
    return panel.base_models


@pytest.fixture(scope="module")
def fits():
    return load_paper_fits()


def test_size(panel, models):
    assert len(models) == 3120
    assert len(panel.table) == 49_812
    assert models["finetunes"].sum() == 241_833
    assert models["organization"].nunique() == 17
    assert f"{models['created_at'].min():%Y-%m-%d}" == "2022-03-07"
    assert f"{models['created_at'].max():%Y-%m-%d}" == "2025-02-17"
    assert panel.observed_at == pd.Timestamp("2025-02-21", tz="UTC")
    assert panel.digest == "0759817e998dbed08558502398fe5d06962f882510b1adbb90aaf8ed119dfece"


def test_the_observation_date_explains_the_ages(panel, models):
    missing = whole_months(models["created_at"], panel.observed_at) - models["months"]
    assert missing.value_counts().to_dict() == {0: 3068, 1: 52}


def test_traps_of_the_counts(panel, models):
    assert (models["finetunes"] == 0).sum() == 2113

    burst = [
        "Qwen/Qwen1.5-0.5B",
        "Qwen/Qwen1.5-1.8B",
        "google/gemma-2b",
        "google/gemma-7b",
    ]
    total = models["finetunes"].sum()
    assert round(models.loc[burst, "finetunes"].sum() / total, 2) == 0.43
    before = panel.as_of("2024-07-07").base_models.loc[burst, "finetunes"]
    after = panel.as_of("2024-11-08").base_models.loc[burst, "finetunes"]
    assert ((after - before) / models.loc[burst, "finetunes"] > 0.5).all()

    by_organization = models.groupby("organization")["finetunes"].sum()
    for name in ("BAAI/EVA", "allenai/DREAM", "apple/AIM"):
        of = models.loc[name, "organization"]
        assert round(models.loc[name, "finetunes"] / by_organization[of], 2) == 0.74

    voices = models[models.index.str.startswith("facebook/mms-tts-")]
    assert len(voices) == 724
    assert (voices["finetunes"] == 0).sum() == 697
    assert (models["organization"] == "Meta").sum() == 1315

    grown = models.index[(models["finetunes"] >= 10) & (models["months"] >= 6)]
    increments = panel.increments().query("base_model in @grown").groupby("base_model")["new"]
    assert len(grown) == 346
    assert round((increments.var() / increments.mean()).median(), 1) == 5.9


def test_traps_of_the_published_parameters(models, fits):
    assert list(fits.index) == list(models.index)
    assert list(fits.columns) == ["lambda", "mu", "sigma", "verdict"]
    assert fits[["lambda", "mu", "sigma"]].isna().all(axis="columns").sum() == 5

    first_guess = (fits["lambda"] == 0.5) & (fits["mu"] == 2) & (fits["sigma"] == 0.5)
    assert first_guess.sum() == 902
    assert (first_guess & (models["finetunes"] > 0)).sum() == 122
    assert (fits["verdict"][first_guess] == "Fit the model").all()

    grown = fits[models["finetunes"] >= 10]
    assert len(grown) == 443
    assert (grown["mu"] < 0.001).sum() == 230
    assert (grown["verdict"] == "Does not fit").sum() == 96


def test_the_script_makes_the_shipped_files(tmp_path, panel, fits):
    counts, published = tmp_path / "counts.csv", tmp_path / "fits.csv"
    Panel(panel.table).write(counts)
    write_table(fits.iloc[::-1].reset_index(), published, ValueError)

    assert make_example.main([str(counts), str(published), "--out", str(tmp_path)]) == 0

    made = make_example.read_panel(tmp_path / "example.parquet")
    assert made.digest == panel.digest
    pd.testing.assert_frame_equal(made.table, panel.table)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "paper_fits.parquet"), fits.reset_index()
    )


def test_the_script_refuses_files_that_do_not_match(tmp_path, capsys, panel, fits):
    counts, published = tmp_path / "counts.csv", tmp_path / "fits.csv"
    panel.select(organizations=["IBM"]).write(counts)
    write_table(fits.reset_index(), published, ValueError)
    assert make_example.main([str(counts), str(published), "--out", str(tmp_path)]) == 2
    assert "has other base models than the counts" in capsys.readouterr().err
    assert not (tmp_path / "example.parquet").exists()
