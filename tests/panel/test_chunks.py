"""Panels in pieces: the same rows as in one, the same refusals, base models whole."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth import Panel, load_example, read_panel
from bayes_hfgrowth.panel.chunks import PanelChunks
from bayes_hfgrowth.support.errors import PanelError


@pytest.fixture(scope="module")
def panel():
    example = load_example()
    return example.select(base_models=list(example.base_models.index[::10]))


@pytest.fixture
def make_file(tmp_path):
    def make(table, name="panel.parquet"):
        path = tmp_path / name
        table.to_parquet(path, index=False) if name.endswith("t") else table.to_csv(path)
        return path

    return make


@pytest.fixture
def in_pieces(monkeypatch):
    """Read every Parquet file in pieces."""
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks.WHOLE", 0)


def put_together(chunks):
    return pd.concat([part.table for part in chunks], ignore_index=True)


@pytest.mark.parametrize("whole", [0, 10**9], ids=["in pieces", "at once"])
@pytest.mark.parametrize("size", [7, 10_000])
def test_the_pieces_are_the_panel(panel, tmp_path, monkeypatch, whole, size):
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks.WHOLE", whole)
    path = tmp_path / "panel.parquet"
    panel.write(path)
    chunks = PanelChunks(path, size)
    assert chunks.base_models == len(panel.base_models)
    assert chunks.organizations == set(panel.table["organization"])
    for _ in range(2):
        parts = list(chunks)
        pd.testing.assert_frame_equal(put_together(parts), read_panel(path).table)
        assert max(part.table["base_model"].nunique() for part in parts) <= size
        assert all(part.observed_at == panel.observed_at for part in parts)


@pytest.mark.usefixtures("in_pieces")
def test_large_files_are_read_a_few_rows_at_a_time(panel, tmp_path, monkeypatch):
    """Base models that straddle two batches come whole."""
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks._ROWS", 101)
    path = tmp_path / "panel.parquet"
    panel.write(path)
    parts = list(PanelChunks(path, 1000))
    assert len(parts) > 30
    pd.testing.assert_frame_equal(put_together(parts), read_panel(path).table)


def test_csv_is_cut_too(small_panel, tmp_path):
    path = tmp_path / "panel.csv"
    small_panel.write(path)
    assert [len(part.base_models) for part in PanelChunks(path, 2)] == [2, 1]


@pytest.mark.parametrize("whole", [0, 10**9], ids=["in pieces", "at once"])
def test_base_models_are_picked(panel, tmp_path, monkeypatch, whole):
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks.WHOLE", whole)
    path = tmp_path / "panel.parquet"
    panel.write(path)
    wanted = list(panel.base_models.index[[3, 200]])
    found = PanelChunks(path, 5, wanted)
    assert found.base_models == 2
    assert list(put_together(found)["base_model"].unique()) == wanted
    with pytest.raises(PanelError, match=r"base model 'no/such' is not in the panel"):
        PanelChunks(path, 5, [*wanted, "no/such"])


def broken(table, column, row, value):
    return table.assign(**{column: table[column].where(np.arange(len(table)) != row, value)})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("finetunes", 10**9, r"row 1502: finetunes of .* falls"),
        ("month", 99, r"jumps from month"),
        ("finetunes", -3, r"row 1501: finetunes -3 is negative"),
    ],
)
@pytest.mark.usefixtures("in_pieces")
def test_faults_are_told_by_the_row_of_the_file(
    panel, make_file, monkeypatch, column, value, message
):
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks._ROWS", 200)
    month = panel.table["month"].to_numpy()
    assert 0 < month[1500] < month[1501]
    path = make_file(broken(panel.table, column, 1500, value))
    with pytest.raises(PanelError, match=message):
        PanelChunks(path, 50)
    with pytest.raises(PanelError, match=message):
        read_panel(path)


@pytest.mark.usefixtures("in_pieces")
def test_base_models_that_do_not_stand_together_are_refused(panel, make_file):
    table = panel.table.sort_values(["month", "base_model"])
    path = make_file(table)
    assert len(read_panel(path).base_models) == len(panel.base_models)  # a small file may be so
    with pytest.raises(PanelError, match="do not stand together"):
        list(PanelChunks(make_file(pd.concat([panel.table, panel.table[:1]])), 50))


@pytest.mark.usefixtures("in_pieces")
def test_observation_dates_must_agree_across_pieces(panel, make_file, monkeypatch):
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks._ROWS", 200)
    last = panel.table["base_model"] == panel.table["base_model"].iloc[-1]
    table = panel.table.assign(observed_at=np.where(last, "2030-01-01", "2031-01-01"))
    with pytest.raises(PanelError, match="a panel has one observation date"):
        PanelChunks(make_file(table), 50)


@pytest.mark.usefixtures("in_pieces")
def test_missing_columns_and_damage_are_told(panel, make_file, tmp_path):
    with pytest.raises(PanelError, match="has no column 'month'"):
        PanelChunks(make_file(panel.table.drop(columns="month")), 50)
    with pytest.raises(PanelError, match="has no column 'base_model'"):
        PanelChunks(make_file(panel.table.drop(columns="base_model")), 50)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(PanelError, match="cannot be read as Parquet"):
        PanelChunks(tmp_path / "bad.parquet", 50)
    with pytest.raises(PanelError, match="no such file"):
        PanelChunks(tmp_path / "none.parquet", 50)


@pytest.mark.usefixtures("in_pieces")
def test_organizations_follow_from_namespaces_alike_in_all_pieces(make_file, monkeypatch):
    monkeypatch.setattr("bayes_hfgrowth.panel.chunks._ROWS", 2)
    names = ["Fresh/a", "facebook/b", "fresh/c", "FRESH/d"]
    table = pd.DataFrame(
        {
            "base_model": np.repeat(names, 2),
            "created_at": "2024-01-01",
            "month": np.tile([0, 1], 4),
            "finetunes": 0,
        }
    )
    path = make_file(table)
    parts = put_together(PanelChunks(path, 1))
    pd.testing.assert_frame_equal(parts, read_panel(path).table)
    assert parts["organization"].to_list()[::2] == ["Fresh", "Meta", "Fresh", "Fresh"]


@pytest.mark.usefixtures("in_pieces")
def test_panels_of_one_row_are_pieces_too(make_file):
    table = pd.DataFrame(
        {"base_model": ["a/b"], "organization": ["A"], "created_at": ["2024-01-01"],
         "month": [0], "finetunes": [0]}
    )  # fmt: skip
    [part] = PanelChunks(make_file(table), 5)
    pd.testing.assert_frame_equal(part.table, Panel.from_table(table).table)
