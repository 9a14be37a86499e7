"""Base models that were alike, against looking them up by hand."""

import numpy as np
import pytest

from bayes_hfgrowth import Panel, load_example
from bayes_hfgrowth.answer_page.comparables import WIDEST, comparables


@pytest.fixture(scope="module")
def panel():
    return load_example()


def by_hand(panel, name, age, months, low, high):
    """Gains of all base models within the band."""
    gains = {}
    for other, rows in panel.table.groupby("base_model"):
        counts = rows.set_index("month")["finetunes"]
        if other != name and age + months in counts.index and low <= counts[age] <= high:
            gains[other] = int(counts[age + months] - counts[age])
    return gains


@pytest.mark.parametrize(("age", "finetunes"), [(6, 0), (6, 7), (12, 150), (3, 40)])
def test_those_within_the_band_are_found(panel, age, finetunes):
    small = panel.select(base_models=list(panel.base_models.index[::4]))
    name = small.base_models.index[0]
    found = comparables(small, name, "Meta", age, finetunes, 6)
    assert found.lowest <= finetunes <= found.highest
    assert found.highest <= max(finetunes, WIDEST * finetunes)
    gains = by_hand(small, name, age, 6, found.lowest, found.highest)
    assert sorted(found.new) == sorted(gains.values())
    for row in found.nearest.itertuples():
        assert row.new == gains[row.base_model]
        assert row.later - row.finetunes == row.new
    distance = np.abs(np.log1p(found.nearest["finetunes"]) - np.log1p(finetunes))
    assert (np.diff(distance) >= 0).all()
    for ages, counts in found.paths:
        assert ages.tolist() == list(range(age + 7))
        assert (np.diff(counts) >= 0).all()


def test_it_is_not_its_own_comparable(panel):
    name = "mistralai/Mistral-7B-v0.1"
    rows = panel.table[panel.table["base_model"] == name].set_index("month")["finetunes"]
    for spelt in (name, name.upper()):
        found = comparables(panel, spelt, "MistralAI", 10, int(rows[10]), 6)
        assert name not in set(found.nearest["base_model"])


def test_sentences_tell_quantiles_of_many_only(panel):
    many = comparables(panel, "a/b", "Meta", 6, 0, 6)
    assert "the middle one of them gained 0; eight in ten gained 0 to " in many.sentence()
    assert "had 0 fine-tunes at the age of 6 months" in many.sentence()
    few = comparables(panel, "a/b", "Meta", 6, 3000, 6)
    assert 0 < len(few.new) < 10
    assert few.sentence().startswith(f"Only {len(few.new)} base models")
    none = comparables(panel, "a/b", "Meta", 6, 10**7, 6)
    assert not len(none.new)
    assert len(none.nearest) == 6
    assert "had about as many fine-tunes; the nearest are shown" in none.sentence()
    old = comparables(panel, "a/b", "Meta", 500, 10, 6)
    assert old.nearest.empty
    assert old.sentence().endswith("had about as many fine-tunes.")


def test_newborns_are_compared_with_newborns(panel):
    found = comparables(panel, "a/b", "Meta", 0, 0, 3)
    months = panel.base_models["months"]
    assert len(found.new) == (months >= 3).sum()
    assert (found.nearest["organization"] == "Meta").all()


def test_a_panel_without_others(panel):
    name = "apple/AIM"
    alone = Panel(panel.table[panel.table["base_model"] == name].reset_index(drop=True), None)
    found = comparables(alone, name, "Apple", 3, 10, 3)
    assert found.nearest.empty
    assert found.paths == []
