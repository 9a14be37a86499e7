"""The calibration that ships: of the shipped growth model, and as the backtest measured it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth import load_population, read_spec
from bayes_hfgrowth.evaluation.calibration import (
    CLASSES,
    COLUMNS,
    digest_of,
    load_calibration,
    size_class,
)
from bayes_hfgrowth.evaluation.groups import COUNT_CLASSES

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "backtest.ipynb"


@pytest.fixture(scope="module")
def shipped():
    return load_calibration(read_spec("surge"))


def test_it_is_of_the_growth_model_of_the_shipped_population(shipped):
    assert len(shipped.table)
    assert list(shipped.table.columns) == list(COLUMNS)
    assert set(shipped.table["finetunes"]) == set(CLASSES)
    population = load_population()
    assert digest_of(population.spec) == shipped.table["specification"].iloc[0]


def test_other_growth_models_have_none():
    other = load_calibration(read_spec("reinforced"))
    assert other.table.empty
    assert other.longest == 0
    assert other.near(10, 6).empty


def test_it_says_what_the_notebook_of_the_backtest_says(shipped):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(output.get("data", {}).get("text/plain", ""))
             for cell in cells for output in cell.get("outputs", [])]  # fmt: skip
    [text] = [t for t in texts if "pit_50" in t and "coverage_50" in t]
    upper, lower = text.split("\n\n")
    first = [line.split()[1:] for line in upper.splitlines()[1:]]
    second = [line.split()[1:] for line in lower.splitlines()[1:]]
    own = shipped.table.set_index(["as_of", "horizon", "finetunes"])
    found = 0
    for (date, horizon, group, number, *pit), coverage in zip(first, second, strict=True):
        if group not in CLASSES:
            continue
        row = own.loc[(date, int(horizon), group)]
        assert row["base_models"] == int(number)
        for level, share, held in zip((50, 80, 95), pit, coverage, strict=True):
            assert round(row[f"pit_{level}"], 2) == float(share)
            assert round(row[f"coverage_{level}"], 2) == float(held)
        found += 1
    assert found == 12
    [ratios] = [t for t in texts if "ratio" in t and "log_new" in t]
    date = ""
    for line in ratios.splitlines()[2:]:
        *head, _, _, ratio, _ = line.split()
        date, group = head if len(head) == 2 else (date, head[0])
        row = shipped.table[
            (shipped.table["as_of"] == date) & (shipped.table["finetunes"] == group)
        ]
        assert row["bias"].iloc[-1] == pytest.approx(float(ratio) - 1, abs=0.0051)
    assert re.fullmatch(r"[0-9a-f]{64}", shipped.table["specification"].iloc[0])


@given(st.integers(0, 10**9))
def test_every_count_is_in_one_class(count):
    low, high = COUNT_CLASSES[size_class(count)]
    assert low <= count <= high
    assert size_class(count) in CLASSES


def test_the_nearest_horizon_is_taken(shipped):
    last = shipped.table.groupby("as_of")["horizon"].transform("max")
    longest = shipped.table[shipped.table["horizon"] == last]
    shorter = longest.assign(horizon=longest["horizon"] - 2)
    both = type(shipped)(pd.concat([longest, shorter], ignore_index=True))
    assert both.near(60, 12)["horizon"].tolist() == [6, 6, 3]
    assert both.near(60, 5)["horizon"].tolist() == [4, 4, 3]
    assert both.near(60, 1)["horizon"].tolist() == [4, 4, 1]
    assert (both.near(60, 12)["finetunes"] == "50+").all()
