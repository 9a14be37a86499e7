"""One author or many: bounds from the panel's cumulative columns."""

import pandas as pd
import pytest

from bayes_hfgrowth import Panel
from bayes_hfgrowth.diagnostics.authors import who_made
from bayes_hfgrowth.support.errors import FitError

SURGES = pd.DataFrame({"base_model": ["a/one", "b/many", "c/mixed"], "month": 2, "new": 100})


def panel(**columns):
    rows = [
        ("a/one", 0, 0, 0, 0.0), ("a/one", 1, 10, 8, 0.2), ("a/one", 2, 110, 12, 92 / 110),
        ("b/many", 0, 0, 0, 0.0), ("b/many", 1, 10, 8, 0.2), ("b/many", 2, 110, 78, 5 / 110),
        ("c/mixed", 0, 0, 0, 0.0), ("c/mixed", 1, 10, 8, 0.2), ("c/mixed", 2, 110, 18, 22 / 110),
    ]  # fmt: skip
    names = ["base_model", "month", "finetunes", "authors", "largest_author_share"]
    table = pd.DataFrame(rows, columns=names).assign(created_at="2024-01-01", **columns)
    return Panel.from_table(table)


def test_one_author_or_many():
    found = who_made(SURGES, panel())
    assert found["made_by"].tolist() == ["one author", "many authors", "unclear"]
    # Two of the first ten, 92 of 110 afterwards: at least 90 of the 100 in between.
    assert found["author_share"].tolist() == pytest.approx([0.90, 0.03, 0.20])
    assert found["new_authors"].tolist() == [4, 70, 10]


def test_nothing_is_said_without_a_panel():
    found = who_made(SURGES, None)
    assert found.isna().all(axis=None)
    assert len(found) == 3


def test_months_that_the_panel_does_not_hold_stay_unknown():
    later = SURGES.assign(month=[2, 7, 2])
    assert who_made(later, panel())["made_by"].tolist()[1] is None


def test_a_panel_without_authors_is_refused(small_panel):
    with pytest.raises(FitError, match=r"no column 'authors'.*give one that hfgrowth fetch"):
        who_made(SURGES, small_panel)


def test_another_panel_is_refused():
    with pytest.raises(FitError, match="counts 100 new fine-tunes of a/one in month 2, the fit 99"):
        who_made(SURGES.assign(new=99), panel())
