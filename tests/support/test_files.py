import stat

import pandas as pd
import pytest

from bayes_hfgrowth import ForecastError, Panel, PanelError
from bayes_hfgrowth.support.files import read_table, row_place, text_fault, whole_file, write_table


def test_whole_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "out.nc"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".nc"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_whole_file_leaves_no_trace_of_a_block_that_fails(tmp_path):
    path = tmp_path / "out.nc"
    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_whole_file_tells_what_the_file_system_says(tmp_path):
    with (
        pytest.raises(ForecastError, match=r"out\.csv cannot be written: No space left"),
        whole_file(tmp_path / "out.csv", ForecastError),
    ):
        raise OSError(28, "No space left on device")


def test_row_place_counts_lines_that_are_no_rows(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n\n1,"two\nlines"\n\n2,x\n')
    assert row_place(path, 1) == "row 1 (line 4)"
    assert row_place(path, 2) == "row 2 (line 6)"
    assert row_place("table.parquet", 2) == "row 2"


@pytest.mark.parametrize("text", ["a", "a b", "é", "漢字", "a-b_c.d/e"])
def test_text_without_fault(text):
    assert text_fault(text) is None


@pytest.mark.parametrize("text", ["", " a", "a\t", "a\nb", "a\u200bb", "\ud800", None, 1, b"a"])
def test_text_with_a_fault(text):
    assert text_fault(text)


def test_tables_are_read_back_with_their_types(tmp_path):
    table = pd.DataFrame(
        {
            "name": ["NA", "", "x,y"],
            "count": [1, 2, 3],
            "share": [0.1, 1e-300, None],
            "when": pd.DatetimeIndex(["2024-01-01", None, "2024-01-02T03:04:05.6"], tz="UTC"),
        }
    )
    for name in ("table.csv", "table.parquet"):
        write_table(table, tmp_path / name, ForecastError)
        back = read_table(tmp_path / name, ForecastError, text=["name", "when"])
        back["when"] = pd.to_datetime(back["when"], format="ISO8601", utc=True)
        pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert "2024-01-02T03:04:05.600000Z" in (tmp_path / "table.csv").read_text()


def test_write_leaves_the_old_file_when_it_fails(small_panel, tmp_path):
    path = tmp_path / "panel.parquet"
    path.write_text("old")
    unwritable = Panel(small_panel.table.assign(strange=[object()] * len(small_panel.table)))
    with pytest.raises(Exception, match="object"):
        unwritable.write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["panel.parquet"]
    assert path.read_text() == "old"


def test_write_refuses_places_it_cannot_write_to(small_panel, tmp_path):
    with pytest.raises(PanelError, match=r"ends in \.txt"):
        small_panel.write(tmp_path / "panel.txt")
    with pytest.raises(PanelError, match="there is no folder"):
        small_panel.write(tmp_path / "none" / "panel.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PanelError, match="is a folder"):
        small_panel.write(tmp_path / "folder.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.csv"]


def test_write_gives_ordinary_permissions_and_follows_links(small_panel, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    small_panel.write(tmp_path / "link.csv")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "link.csv").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.csv").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )
