"""What a panel file or table may not be, and how it is told."""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth import Panel, PanelError, read_panel

HEADER = "base_model,organization,created_at,month,finetunes\n"
ROWS = (
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,0,0\n"
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,1,4\n"
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,2,9\n"
    "Qwen/B,Qwen,2024-03-05T00:00:00Z,0,0\n"
)


def refusal(tmp_path, content, name="panel.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PanelError) as caught:
        read_panel(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert ";" in message, "a mend follows the semicolon"
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("old", "new", "place", "fault"),
    [
        ("Z,2,9", "Z,2,3", "row 3 (line 4)", "finetunes of 'meta-llama/A' falls from 4 to 3"),
        ("Z,1,4", "Z,1,-4", "row 2 (line 3)", "finetunes '-4' is negative"),
        ("Z,1,4", "Z,1,3.5", "row 2 (line 3)", "finetunes '3.5' is a fraction"),
        ("Z,1,4", "Z,1,many", "row 2 (line 3)", "finetunes 'many' is not a number"),
        ("Z,1,4", "Z,1,", "row 2 (line 3)", "finetunes is missing"),
        ("Z,1,4", "Z,1,nan", "row 2 (line 3)", "finetunes 'nan' is not a number"),
        ("Z,1,4", "Z,1,inf", "row 2 (line 3)", "finetunes 'inf' is larger than 9007199254740991"),
        ("Z,1,4", "Z,1,9007199254740993", "row 2 (line 3)", "is larger than 9007199254740991"),
        ("Z,1,4", "Z,1,1e300", "row 2 (line 3)", "is larger than"),
        ("Z,1,4", "Z,one,4", "row 2 (line 3)", "month 'one' is not a number"),
        ("Z,1,4", "Z,-1,4", "row 2 (line 3)", "month '-1' is negative"),
        ("Z,1,4", "Z,1.5,4", "row 2 (line 3)", "month '1.5' is a fraction"),
        ("Z,2,9", "Z,9999,9", "row 3 (line 4)", "month '9999' is larger than 2400"),
        ("Z,2,9", "Z,3,9", "row 3 (line 4)", "jumps from month 1 to 3"),
        ("Z,2,9", "Z,1,9", "row 3 (line 4)", "month 1 of 'meta-llama/A' stands in row 2 (line 3)"),
        ("05T00:00:00Z,0,0", "05T00:00:00Z,1,0", "row 4 (line 5)", "'Qwen/B' starts at month 1"),
        ("05T00:00:00Z,0,0", "05T00:00:00Z,0,2", "row 4 (line 5)", "has 2 finetunes at month 0"),
        ("2024-03-05T00:00:00Z", "yesterday", "row 4 (line 5)", "'yesterday' is not a date"),
        ("2024-03-05T00:00:00Z", "2024-02-30", "row 4 (line 5)", "'2024-02-30' is not a date"),
        ("2024-03-05T00:00:00Z", "1709596800", "row 4 (line 5)", "'1709596800' is not a date"),
        ("2024-03-05T00:00:00Z", "", "row 4 (line 5)", "created_at is missing"),
        ("2024-03-05T00:00:00Z", "0024-03-05", "row 4 (line 5)", "is out of range"),
        ("2024-03-05T00:00:00Z", "9999-03-05", "row 4 (line 5)", "is out of range"),
        (
            "2024-01-31T10:00:00Z,2",
            "2024-01-30T10:00:00Z,2",
            "row 3 (line 4)",
            "created_at of 'meta-llama/A' is 2024-01-30T10:00:00.000000 here but",
        ),
        (
            "Meta,2024-01-31T10:00:00Z,2",
            "Qwen,2024-01-31T10:00:00Z,2",
            "row 3 (line 4)",
            "organization of 'meta-llama/A' is Qwen here but Meta in row 2 (line 3)",
        ),
        ("Qwen/B,", ",", "row 4 (line 5)", "base_model '' is empty"),
        ("Qwen/B,", "   ,", "row 4 (line 5)", "base_model '   ' has white space at an end"),
        ("Qwen/B,", "Qwen/B ,", "row 4 (line 5)", "base_model 'Qwen/B ' has white space"),
        ("Qwen/B,", "Qwen/\x1b[31mB,", "row 4 (line 5)", "has control or invisible characters"),
        ("Qwen/B,", "Qwen/\u202eB,", "row 4 (line 5)", "has control or invisible characters"),
        ("Qwen/B,", '"Qwen/\nB",', "row 4 (line 6)", "has control or invisible characters"),
        (",Qwen,", ",,", "row 4 (line 5)", "organization '' is empty"),
        (
            "meta-llama/A,Meta,2024-01-31T10:00:00Z,1",
            "\n\nm/A,Meta,x,1",
            "row 2 (line 5)",
            "'x' is not",
        ),
    ],
)
def test_a_bad_row_is_named_with_its_value(tmp_path, old, new, place, fault):
    assert ROWS.count(old) == 1
    message = refusal(tmp_path, HEADER + ROWS.replace(old, new))
    assert message.startswith(f", {place}: ")
    assert fault in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "has a header but no rows"),
        (HEADER.strip(), "has a header but no rows"),
        ("just some words\n", "has no column 'base_model' (found: just some words)"),
        (HEADER.replace(",finetunes", "") + "a,b,2024-01-01,0\n", "has no column 'finetunes'"),
        ((HEADER + ROWS).replace(",", ";"), "separated by commas"),
        (HEADER.replace("month", "finetunes") + ROWS, "column 'finetunes' more than once"),
        (HEADER + ROWS + "x/y,z\n", "cannot be read as CSV (CSV parse error: Row #6"),
        ("<!DOCTYPE html><html></html>", "it holds a web page"),
        (b"\xef\xbb\xbf  <html></html>", "it holds a web page"),
        (b"\x00\x01\x02\x03" * 50, "it holds binary data"),
        (b"PAR1 and so on", "it holds Parquet, so name it .parquet"),
        (b"\x1f\x8b\x08 and so on", "it is compressed"),
        ((HEADER + ROWS).encode("utf-16"), "UTF-16, so save it as UTF-8"),
        ((HEADER + ROWS.replace("Qwen/B", "Qwen/é")).encode("latin-1"), "save it as UTF-8"),
    ],
)
def test_a_csv_file_without_a_panel_is_refused(tmp_path, content, fault):
    assert fault in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is empty"),
        (HEADER.encode(), "name it .csv"),
        (b"<html>", "it holds a web page"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "damaged or incomplete"),
    ],
)
def test_a_parquet_file_without_a_panel_is_refused(tmp_path, content, fault):
    assert fault in refusal(tmp_path, content, "panel.parquet")


def test_a_truncated_parquet_file_is_refused(tmp_path, small_panel):
    small_panel.write(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for part in (100, len(whole) // 2, len(whole) - 1):
        assert "damaged or incomplete" in refusal(tmp_path, whole[:part], "panel.parquet")
    broken = whole[:20] + bytes(len(whole) // 2) + whole[20 + len(whole) // 2 :]
    assert "damaged or incomplete" in refusal(tmp_path, broken, "panel.parquet")


def test_a_bad_row_of_a_parquet_file_is_named_without_a_line(tmp_path, small_panel):
    table = small_panel.table.assign(finetunes=[0, 4, 2, 0, 0, 0])
    table.to_parquet(tmp_path / "panel.parquet")
    with pytest.raises(
        PanelError, match=r"panel\.parquet, row 3: finetunes of .* falls from 4 to 2"
    ):
        read_panel(tmp_path / "panel.parquet")


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("base_model", [1, 2], "row 1: base_model 1 is not text"),
        ("base_model", [b"o/a", b"o/a"], "row 1: base_model b'o/a' is not text"),
        ("base_model", ["o/a", None], "row 2: base_model is missing"),
        ("base_model", [["o/a"], ["o/a"]], "column 'base_model' holds no text"),
        ("organization", ["Meta", None], "row 2: organization is missing"),
        ("created_at", ["2024-01-01", None], "row 2: created_at is missing"),
        ("created_at", [pd.Timestamp("2024-01-01"), pd.NaT], "row 2: created_at is missing"),
        ("created_at", [1704067200, 1704067200], "row 1: created_at 1704067200 is not a date"),
        ("created_at", [["2024"], ["2024"]], "column 'created_at' holds no dates"),
        ("month", [False, True], "column 'month' holds bool"),
        ("finetunes", [pd.Timestamp(0), pd.Timestamp(1)], "column 'finetunes' holds datetime64"),
        ("finetunes", [0, [1]], "row 2: finetunes [1] is not a number"),
        ("finetunes", [0, True], "row 2: finetunes True is not a number"),
        ("finetunes", [0.0, np.nan], "row 2: finetunes is missing"),
        ("finetunes", [0, 2**53], "row 2: finetunes 9007199254740992 is larger than"),
        ("finetunes", pd.array([0, None], dtype="Int64"), "row 2: finetunes is missing"),
        ("finetunes", np.array([0, 2**64 - 1], dtype=np.uint64), "is larger than"),
        ("observed_at", ["2024-09-01", "2024-09-02"], "row 2: observed_at is 2024-09-02"),
        ("observed_at", ["2024-09-01", None], "row 2: observed_at is missing"),
        ("observed_at", ["2023-09-01", "2023-09-01"], "row 1: month 0 of 'o/a' ends at 2024-01-01"),
        ("observed_at", ["2024-01-31", "2024-01-31"], "row 2: month 1 of 'o/a' ends at 2024-02-01"),
    ],
)
def test_a_bad_table_is_refused(column, values, fault):
    table = pd.DataFrame(
        {
            "base_model": "o/a",
            "organization": "O",
            "created_at": "2024-01-01",
            "month": [0, 1],
            "finetunes": [0, 1],
        }
    )
    table[column] = pd.Series(values)
    with pytest.raises(PanelError) as caught:
        Panel.from_table(table, source="my table")
    assert str(caught.value).startswith("my table")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_without_a_file_is_refused(tmp_path):
    for path, fault in [
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "none.parquet", "no such file"),
        (tmp_path / "panel.xlsx", "ends in .xlsx"),
        (tmp_path / "panel", "ends in nothing"),
    ]:
        with pytest.raises(PanelError, match=fault):
            read_panel(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PanelError, match="is a folder"):
        read_panel(tmp_path / "folder.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(PanelError, match="not a regular file"):
        read_panel(tmp_path / "pipe.csv")


@pytest.mark.parametrize("name", ["panel.csv", "panel.parquet"])
@given(data=st.data())
def test_damage_of_any_kind_is_refused_or_harmless(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("damage")
    (folder / "whole.csv").write_text(HEADER + ROWS)
    read_panel(folder / "whole.csv").write(folder / "whole.parquet")
    content = bytearray((folder / name.replace("panel", "whole")).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 40)))
        content[start:stop] = data.draw(st.binary(max_size=8))
    path = folder / name
    path.write_bytes(content)
    refusal = None
    try:
        panel = read_panel(path)
    except PanelError as error:
        refusal = str(error)
    if refusal is None:
        again = Panel.from_table(panel.table)
        pd.testing.assert_frame_equal(again.table, panel.table)
    else:
        assert refusal.startswith(str(path))
        assert "\n" not in refusal
