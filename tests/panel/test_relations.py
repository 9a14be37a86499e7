"""Relations of the same base models side by side."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth import Panel, PanelError, RelationPanels, read_panel, read_relations
from bayes_hfgrowth.panel.counted import FINETUNES


def panel(relation, counts, *, metric="finetunes", created="2024-01-31", observed="2024-12-10"):
    rows = [
        (name, created, month, count, min(count, month))
        for name, each in counts.items()
        for month, count in enumerate(each)
    ]
    columns = ["base_model", "created_at", "month", "finetunes", "authors"]
    return Panel.from_table(
        pd.DataFrame(rows, columns=columns).assign(
            observed_at=observed, relation=relation, metric=metric
        )
    )


@pytest.fixture
def relations():
    return RelationPanels(
        {
            "finetune": panel("finetune", {"a/x": [0, 1, 3, 6, 10], "b/y": [0, 0]}),
            "adapter": panel("adapter", {"a/x": [0, 2, 4, 6, 30]}),
            "all": panel("all", {"a/x": [0, 3, 7, 12, 40]}),
        }
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("metric", ["finetunes", "authors"])
def test_they_survive_one_file(relations, metric, ending, tmp_path):
    path = tmp_path / f"p.{ending}"
    relations.counting(metric).write(path)
    again = read_relations(path)
    assert again.relations == relations.relations
    for relation in relations.relations:
        assert again[relation].digest == relations.counting(metric)[relation].digest
        assert read_panel(path, relation=relation).digest == again[relation].digest


def test_an_old_panel_is_one_relation(small_panel, tmp_path):
    small_panel.write(tmp_path / "p.csv")
    found = read_relations(tmp_path / "p.csv")
    assert found.relations == ("finetune",)
    assert found["finetune"].counted == FINETUNES


def test_last_counts_stand_side_by_side(relations):
    table = relations.last_counts()
    assert table[["base_model", "relation"]].to_numpy().tolist() == [
        ["a/x", "finetune"], ["a/x", "adapter"], ["a/x", "all"], ["b/y", "finetune"],
    ]  # fmt: skip
    assert table["count"].tolist() == [10, 30, 40, 0]
    assert table["recent"].tolist() == [9, 28, 37, 0]
    assert table["share"].tolist()[:2] == [0.25, 0.75]
    assert table["share"].isna().tolist() == [False, False, True, True]
    assert table["authors"].tolist() == [4, 4, 4, 0]
    assert np.isnan(table["largest_author_share"]).all()


def test_the_order_asked_for_is_kept(relations):
    assert relations.last_counts(["b/y", "a/x"])["base_model"].tolist() == ["b/y", *["a/x"] * 3]
    with pytest.raises(PanelError, match="c/z"):
        relations.last_counts(["c/z"])


def test_what_does_not_fit_together_is_refused():
    first = panel("finetune", {"a/x": [0, 1]})
    for other, says in (
        (panel("adapter", {"a/x": [0, 1]}, observed="2024-11-10"), "observed at"),
        (panel("adapter", {"a/x": [0, 1]}, metric="authors"), "one metric"),
        (panel("adapter", {"a/x": [0, 1]}, created="2024-02-01"), "'a/x' was created on"),
        (panel("merge", {"a/x": [0, 1]}), "of relation 'adapter' counts merges"),
    ):
        with pytest.raises(PanelError, match=says):
            RelationPanels({"finetune": first, "adapter": other})
    with pytest.raises(PanelError, match="no relation is given"):
        RelationPanels({})


def test_one_that_was_not_collected_is_refused(relations):
    with pytest.raises(PanelError, match="no panel of relation 'merge'"):
        relations.chosen(["merge"])


def test_nothing_later_than_a_date_is_known(relations):
    assert relations.as_of("2024-03-31").last_counts(["a/x"])["count"].tolist() == [3, 4, 7]
