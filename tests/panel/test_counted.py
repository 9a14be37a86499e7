"""What a panel counts, and that it is never mixed up."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth import Panel, PanelError, read_panel
from bayes_hfgrowth.panel.chunks import PanelChunks
from bayes_hfgrowth.panel.counted import FINETUNES, KINDS, METRICS, RELATIONS, Counted
from bayes_hfgrowth.panel.history import History

EVERY = [Counted(metric, relation) for metric in METRICS for relation in RELATIONS]


def table(finetunes=(0, 4, 9), authors=(0, 2, 3), **columns):
    rows = pd.DataFrame(
        {
            "base_model": "acme/anvil",
            "organization": "Acme",
            "created_at": "2024-01-31",
            "month": np.arange(len(finetunes)),
            "finetunes": finetunes,
            "authors": authors,
        }
    )
    return rows.assign(observed_at="2024-04-10", **columns)


@pytest.fixture
def authors():
    """A panel that counts namespaces and knows the fine-tunes too."""
    return Panel.from_table(table(metric="authors"))


def test_a_panel_that_says_nothing_counts_fine_tunes(small_panel):
    assert small_panel.counted == FINETUNES
    assert small_panel.counts.tolist() == small_panel.table["finetunes"].tolist()


def test_a_panel_of_fine_tunes_is_written_without_new_columns(small_panel, tmp_path):
    small_panel.write(tmp_path / "p.csv")
    assert list(pd.read_csv(tmp_path / "p.csv").columns) == [
        "base_model", "organization", "created_at", "month", "finetunes", "observed_at",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("counted", EVERY, ids=str)
def test_what_is_counted_survives_a_file(counted, ending, tmp_path):
    panel = Panel.from_table(table(**counted.written))
    path = tmp_path / f"p.{ending}"
    panel.write(path)
    again = read_panel(path, relation=counted.relation)
    assert again.counted == counted
    assert again.digest == panel.digest
    pd.testing.assert_frame_equal(again.table, panel.table)


def test_fine_tunes_may_be_missing_where_authors_are_counted(tmp_path):
    panel = Panel.from_table(table(metric="authors").drop(columns="finetunes"))
    panel.write(tmp_path / "p.csv")
    assert read_panel(tmp_path / "p.csv").base_models["finetunes"].tolist() == [3]


def test_the_digest_tells_what_is_counted_apart():
    panels = [Panel.from_table(table(authors=(0, 4, 9), **each.written)) for each in EVERY]
    assert len({panel.digest for panel in panels}) == len(EVERY)
    assert panels[0].digest == Panel.from_table(table(authors=(0, 4, 9))).digest


def test_cuts_keep_what_is_counted(authors):
    for part in (authors.as_of("2024-03-01"), authors.select(["acme/anvil"])):
        assert part.counted == Counted("authors")
    assert authors.as_of("2024-03-01").base_models["finetunes"].tolist() == [2]
    assert authors.increments()["new"].tolist() == [2, 1]


def test_a_history_carries_it_there_and_back(authors):
    history = History.from_panel(authors)
    assert history.counted == Counted("authors")
    assert history.subset(np.array([0])).counted == Counted("authors")
    assert history.to_panel().counted == Counted("authors")
    assert history.finetunes.tolist() == [3]


def test_a_panel_from_the_hub_counts_either(authors):
    finetunes = authors.counting("finetunes")
    assert finetunes.base_models["finetunes"].tolist() == [9]
    assert finetunes.counting("authors").digest == authors.digest


def test_a_panel_that_knows_no_authors_cannot_count_them(small_panel):
    with pytest.raises(PanelError, match="no column 'authors'"):
        small_panel.counting("authors")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"metric": "likes"}, "row 1: metric 'likes' is none of finetunes, authors"),
        ({"metric": ["authors", "authors", "finetunes"]}, "row 3: metric is 'finetunes' here"),
        ({"relation": ["merge", "merge", "cousin"]}, "row 3: relation 'cousin' is none of"),
        ({"relation": [["a"], ["a"], ["a"]]}, "row 1: relation"),
        ({"relation": ["merge", "adapter", "merge"]}, "several relations .*--relation"),
        ({"metric": "authors", "authors": (0, 2, 1)}, "row 3: authors of .* falls from 2 to 1"),
        ({"metric": "authors", "authors": (0, 2, 10)}, "row 3: authors 10 .* more than its 9"),
        ({"metric": "authors", "authors": (0, None, 1)}, "row 2: authors is missing"),
        ({"metric": "authors", "authors": (1, 1, 1)}, "row 1: .* has 1 authors at month 0"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_line(columns, says):
    with pytest.raises(PanelError, match=says) as refused:
        Panel.from_table(table(**columns))
    assert "\n" not in str(refused.value)


def test_authors_that_are_not_counted_are_nobodys_business():
    assert Panel.from_table(table(authors=("x", None, "y"))).counted == FINETUNES


def test_the_column_of_authors_must_be_there():
    with pytest.raises(PanelError, match="has no column 'authors'"):
        Panel.from_table(table(metric="authors").drop(columns="authors"))


class TestRelations:
    @pytest.fixture
    def path(self, tmp_path):
        rows = [table(finetunes=(0, n, 2 * n), relation=name) for n, name in enumerate(KINDS, 4)]
        pd.concat(rows).to_csv(tmp_path / "p.csv", index=False)
        return tmp_path / "p.csv"

    @pytest.mark.parametrize(("n", "relation"), list(enumerate(KINDS, 4)))
    def test_one_is_taken_by_name(self, path, n, relation):
        panel = read_panel(path, relation=relation)
        assert panel.counted == Counted(relation=relation)
        assert panel.base_models["finetunes"].tolist() == [2 * n]

    def test_none_is_taken_where_none_is_named(self, path):
        with pytest.raises(PanelError, match="choose one with --relation"):
            read_panel(path)

    def test_one_that_is_not_there_is_refused(self, path):
        with pytest.raises(PanelError, match="holds no row of relation 'all'"):
            read_panel(path, relation="all")

    def test_a_file_that_says_nothing_holds_fine_tunes_alone(self, small_panel, tmp_path):
        small_panel.write(tmp_path / "p.csv")
        assert read_panel(tmp_path / "p.csv", relation="finetune").counted == FINETUNES
        with pytest.raises(PanelError, match="counts fine-tunes and not 'merge'"):
            read_panel(tmp_path / "p.csv", relation="merge")

    def test_rows_keep_their_numbers(self, path):
        rows = pd.read_csv(path)
        rows.loc[5, "finetunes"] = -1
        rows.to_csv(path, index=False)
        with pytest.raises(PanelError, match=r"row 6 \(line 7\).*negative"):
            read_panel(path, relation="adapter")
        assert read_panel(path, relation="merge").counted.relation == "merge"

    def test_large_files_are_narrowed_piece_by_piece(self, path, monkeypatch):
        monkeypatch.setattr("bayes_hfgrowth.panel.chunks.WHOLE", 0)
        large = path.with_suffix(".parquet")
        rows = pd.read_csv(path)
        pd.concat([rows, rows.assign(base_model="acme/other")]).sort_values(
            ["relation", "base_model", "month"]
        ).to_parquet(large)
        with pytest.raises(PanelError, match=r"choose one .*--relation"):
            PanelChunks(large, 1)
        found = PanelChunks(large, 1, relation="merge")
        assert found.counted == Counted(relation="merge")
        assert found.base_models == 2
        assert [part.counts.tolist() for part in found] == [[0, 6, 12]] * 2
        with pytest.raises(PanelError, match="no row of relation 'all'"):
            PanelChunks(large, 1, relation="all")


@pytest.mark.parametrize("counted", EVERY, ids=str)
def test_words_tell_everything_apart(counted):
    others = [each for each in EVERY if each != counted]
    for say in (lambda c: c.one, lambda c: c.many, lambda c: c.defined, lambda c: c.of("a/b")):
        assert say(counted) not in map(say, others)
    assert counted.noun(1) == counted.one
    assert counted.noun(2) == counted.many


@given(st.sampled_from(EVERY), st.lists(st.sampled_from(["Fine-tunes", "fine-tune", " of "])))
def test_phrases_lose_the_word_they_stand_for(counted, parts):
    said = counted.said(" ".join(parts))
    if counted.usual:
        assert said == " ".join(parts)
    elif counted.relation != "finetune":
        assert "fine-tune" not in said.lower()


def test_what_nobody_counts_is_not_read():
    with pytest.raises(ValueError, match="nothing is counted"):
        Counted.read({"metric": "stars"})
