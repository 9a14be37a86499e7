"""`hfgrowth forecast --until --threshold` and `hfgrowth rank`, as users run them."""

import numpy as np
import pandas as pd
import pytest

import bayes_hfgrowth as hfg

COLUMNS = [
    "base_model", "organization", "month", "date", "horizon", "observed", "mean", "median",
    "lower_80", "upper_80", "threshold", "probability_above",
]  # fmt: skip


@pytest.fixture(scope="module")
def expected(panel_file):
    """The same by the package: from what was known in November, until June."""
    panel = hfg.read_panel(panel_file).as_of("2024-11-21")
    population = hfg.load_population()
    return hfg.forecast_new(population, panel, until="2025-06-01", progress=False)


def test_a_panel_is_forecast_until_a_date(here, panel_file, expected, tmp_path):
    done = here(
        "forecast", "--panel", panel_file, "--as-of", "2024-11-21", "--until", "2025-06-01",
        "--threshold", 1000, "--intervals", 80, "--out", tmp_path / "f.csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "f.csv")
    assert list(table.columns) == COLUMNS
    same = expected.at_dates(intervals=[80], threshold=1000)
    for column in ("median", "probability_above", "horizon", "observed"):
        np.testing.assert_allclose(table[column], same[column])
    assert table["date"].iloc[-1] == "2025-06-01T00:00:00Z"
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert all(" by 2025-06-01: " in line and "; above 1,000" in line for line in lines)
    assert "the 12 base models with most fine-tunes, of 15" in done.stderr


def test_sums_and_fits_are_forecast_until_a_date(fitted, here, tmp_path):
    done = here("forecast", fitted[1], "--until", "2025-01-15", "--by", "all", "--threshold", "9",
                "--out", tmp_path / "f.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["horizon"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (table["probability_above"] == 1.0).all()
    assert done.stdout.startswith("all by 2025-01-15: ")
    assert "above 9 already, with " in done.stdout
    draws = here("forecast", fitted[1], "--until", "2025-01-15", "--out", tmp_path / "f.nc")
    assert draws.returncode == 0
    assert draws.stdout == ""
    rank = here("rank", fitted[1], "--months", "2", "--by", "organization")
    assert rank.returncode == 0, rank.stderr
    assert "Probability of leading on 2024-10-01" in rank.stdout


def test_ranks_of_a_panel(here, panel_file, expected, tmp_path):
    done = here("rank", "--panel", panel_file, "--as-of", "2024-11-21", "--until", "2025-06-01",
                "--top", 3, "--out", tmp_path / "ranks.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "ranks.csv")
    assert list(table.columns) == [
        "base_model", "organization", "date", "horizon", "observed", "rank", "probability",
        "at_least",
    ]  # fmt: skip
    assert len(table) == 7 * 15 * 3
    last = table[table["horizon"] == 7].reset_index(drop=True)
    same = expected.rank("2025-06-01", top=3)
    assert last["base_model"].tolist() == same["base_model"].tolist()
    np.testing.assert_allclose(last["probability"], same["probability"])
    assert "Probability of leading on 2025-06-01" in done.stdout


def test_overtaking_in_a_panel(here, panel_file, expected, tmp_path):
    pair = ("openai/whisper-tiny", "openai/whisper-small")
    done = here("rank", "--panel", panel_file, "--as-of", "2024-11-21", "--until", "2025-06-01",
                "--overtakes", *pair, "--out", tmp_path / "race.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    race = expected.overtakes(*pair)
    assert done.stdout.strip() == race.sentence()
    table = pd.read_csv(tmp_path / "race.csv")
    assert list(table.columns) == ["date", "horizon", "ahead", "overtaken", "first"]
    np.testing.assert_allclose(table["overtaken"], race.by_date()["overtaken"])


PANEL = ("--panel", "{panel}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("forecast", *PANEL, "--until", "2025-01-01", "--out", "f.csv"),
            "is not after 2025-02-21",
        ),
        (("forecast", *PANEL, "--until", "soon", "--out", "f.csv"), "until 'soon' is not a date"),
        (("forecast", *PANEL, "--out", "f.csv"), "--until"),
        (("forecast", *PANEL, "--months", 3, "--until", "2026-01-01", "--out", "f.csv"), "both"),
        (("forecast", *PANEL, "--months", 3, "--threshold", -1, "--out", "f.csv"), "is no count"),
        (("forecast", *PANEL, "--months", 3, "--threshold", 1.5, "--out", "f.csv"), "threshold"),
        (("forecast", *PANEL, "--months", 3, "--threshold", 9, "--out", "f.nc"), "are draws"),
        (("forecast", *PANEL, "--months", 3, "--as-of", "x", "--out", "f.csv"), "as-of date 'x'"),
        (
            ("forecast", "{fit}", "--months", 3, "--as-of", "2024-01-01", "--out", "f.csv"),
            "--panel",
        ),
        (("rank", *PANEL), "neither is given"),
        (("rank", "--months", 3), "there is nothing to rank"),
        (("rank", "{fit}", "--months", 3, "--as-of", "2024-01-01"), "--as-of goes with --panel"),
        (("rank", *PANEL, "--months", 3, "--by", "country"), "nothing is ranked by 'country'"),
        (("rank", *PANEL, "--months", 3, "--by", "all"), "nothing is ranked by 'all'"),
        (("rank", *PANEL, "--months", 3, "--top", 0), "top is 0"),
        (("rank", *PANEL, "--months", 3, "--base-model", "a/b", "--base-model", "c/d"), "'a/b'"),
        (("rank", *PANEL, "--months", 3, "--base-model", "openai/whisper-tiny"), "one alone"),
        (("rank", *PANEL, "--months", 3, "--overtakes", "openai/whisper-tiny", "a/b"), "'a/b'"),
        (("rank", *PANEL, "--months", 3, "--overtakes", "apple/AIM", "apple/AIM"), "itself"),
        (
            ("rank", *PANEL, "--months", 3, "--overtakes", "a/b", "c/d", "--top", 2),
            "--top is of ranks",
        ),
        (
            ("rank", *PANEL, "--months", 3, "--overtakes", "a/b", "c/d", "--base-model", "a/b"),
            "--base-model is of ranks",
        ),
        (("rank", *PANEL, "--months", 3, "--out", "r.txt"), "does not end in .csv or .parquet"),
        (("rank", *PANEL, "--months", 3, "--out", "none/r.csv"), "there is no folder"),
    ],
)
def test_questions_that_cannot_be(
    here, panel_file, fitted, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    files = {"panel": panel_file, "fit": fitted[1]}
    done = here(*(str(part).format(**files) for part in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("hfgrowth: ")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
