import datetime as dt
import os
import stat

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_hfgrowth import OrganizationTable, Panel, PanelError, load_example, read_panel

HEADER = "base_model,organization,created_at,month,finetunes\n"
GOOD = (
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,0,0\n"
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,1,4\n"
    "meta-llama/A,Meta,2024-01-31T10:00:00Z,2,9\n"
    "Qwen/B,Qwen,2024-03-05T00:00:00Z,0,0\n"
)


def history(base_model, created_at, counts, organization="Meta"):
    return pd.DataFrame(
        {
            "base_model": base_model,
            "organization": organization,
            "created_at": pd.Timestamp(created_at),
            "month": range(len(counts)),
            "finetunes": counts,
        }
    )


def panel_of(*histories, observed_at=None):
    table = pd.concat(histories, ignore_index=True)
    if observed_at:
        table["observed_at"] = observed_at
    return Panel.from_table(table)


@pytest.fixture
def small():
    return panel_of(
        history("meta-llama/A", "2024-01-31T10:00Z", [0, 4, 9]),
        history("Qwen/B", "2024-03-05", [0, 0], "Qwen"),
        history("facebook/C", "2024-03-31", [0]),
        observed_at="2024-04-10",
    )


@st.composite
def panels(draw):
    """Panels of a few base models, some with extra columns and an observation date."""
    names = draw(st.lists(st.text("abcXYZ-_.", min_size=1), min_size=1, max_size=5, unique=True))
    histories = []
    for number, name in enumerate(names):
        created = draw(st.datetimes(dt.datetime(2022, 3, 3), dt.datetime(2025, 1, 1)))
        steps = draw(st.lists(st.integers(0, 10**12), max_size=12))
        counts = np.cumsum([0, *steps])
        histories.append(history(f"owner{number % 2}/{name}", created, counts, f"O{number % 2}"))
    table = pd.concat(histories, ignore_index=True)
    if draw(st.booleans()):
        table["authors"] = np.arange(len(table))
    if draw(st.booleans()):
        table["observed_at"] = pd.Timestamp("2027-01-01", tz="UTC")
    return Panel.from_table(table)


# The table


def test_columns_types_and_order(small):
    assert list(small.table.columns) == [
        "base_model",
        "organization",
        "created_at",
        "month",
        "finetunes",
    ]
    assert list(map(str, small.table.dtypes)) == [
        "str",
        "str",
        "datetime64[us, UTC]",
        "int64",
        "int64",
    ]
    assert small.observed_at == pd.Timestamp("2024-04-10", tz="UTC")


def test_rows_may_stand_in_any_order():
    table = panel_of(
        history("o/b", "2024-01-01", [0, 1, 2]), history("o/a", "2024-01-01", [0])
    ).table
    shuffled = table.iloc[[1, 3, 2, 0]].set_index("month", drop=False)
    pd.testing.assert_frame_equal(Panel.from_table(shuffled).table, table)


def test_extra_columns_are_carried_along(small, tmp_path):
    table = small.table.assign(authors=[0, 2, 5, 0, 0, 0], note='say "x, y"\n€')
    panel = Panel.from_table(table)
    assert list(panel.as_of("2024-03-01").table["authors"]) == [0, 2]
    panel.write(tmp_path / "p.csv")
    panel.write(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(read_panel(tmp_path / "p.csv").table, panel.table)
    pd.testing.assert_frame_equal(read_panel(tmp_path / "p.parquet").table, panel.table)


def test_organization_comes_from_the_namespace_when_missing():
    table = pd.concat(
        [history("facebook/a", "2024-01-01", [0]), history("me/b", "2024-01-01", [0])]
    )
    bare = table.drop(columns="organization")
    assert list(Panel.from_table(bare).table["organization"]) == ["Meta", "me"]
    mine = OrganizationTable({"me": "Myself"})
    assert list(Panel.from_table(table).table["organization"]) == ["Meta", "Meta"]
    relabelled = Panel.from_table(table, organizations=mine)
    assert list(relabelled.table["organization"]) == ["facebook", "Myself"]


@pytest.mark.parametrize(
    "created_at",
    [
        "2024-01-31T10:00:00Z",
        "2024-01-31T10:00:00",
        "2024-01-31 12:00:00+02:00",
        dt.datetime(2024, 1, 31, 10),
        pd.Timestamp("2024-01-31T10:00Z"),
        np.datetime64("2024-01-31T10:00:00"),
    ],
)
@pytest.mark.parametrize("kind", [None, object, "category"])
def test_dates_of_every_kind_become_utc(created_at, kind):
    table = history("o/a", "2024-01-01", [0, 1]).assign(created_at=created_at)
    table["created_at"] = table["created_at"].astype(kind or table["created_at"].dtype)
    panel = Panel.from_table(table)
    assert panel.table["created_at"].iloc[1] == pd.Timestamp("2024-01-31T10:00:00Z")


def test_whole_numbers_may_come_as_floats_or_text():
    for kind in ("float64", "str", "Int64", "uint8", "float32", object, "category"):
        table = history("o/a", "2024-01-01", [0, 3]).astype({"month": kind, "finetunes": kind})
        panel = Panel.from_table(table)
        assert list(panel.table["finetunes"]) == [0, 3]
        assert panel.table["finetunes"].dtype == np.int64


@settings(max_examples=25)
@given(panels())
def test_what_is_written_is_read_back(tmp_path_factory, panel):
    folder = tmp_path_factory.mktemp("panels")
    for name in ("panel.csv", "panel.parquet"):
        panel.write(folder / name)
        back = read_panel(folder / name)
        pd.testing.assert_frame_equal(back.table, panel.table)
        assert back.observed_at == panel.observed_at
        assert back.digest == panel.digest


# What is refused


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
    assert GOOD.count(old) == 1
    message = refusal(tmp_path, HEADER + GOOD.replace(old, new))
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
        ((HEADER + GOOD).replace(",", ";"), "separated by commas"),
        (HEADER.replace("month", "finetunes") + GOOD, "column 'finetunes' more than once"),
        (HEADER + GOOD + "x/y,z\n", "cannot be read as CSV (CSV parse error: Row #6"),
        ("<!DOCTYPE html><html></html>", "it holds a web page"),
        (b"\xef\xbb\xbf  <html></html>", "it holds a web page"),
        (b"\x00\x01\x02\x03" * 50, "it holds binary data"),
        (b"PAR1 and so on", "it holds Parquet, so name it .parquet"),
        (b"\x1f\x8b\x08 and so on", "it is compressed"),
        ((HEADER + GOOD).encode("utf-16"), "UTF-16, so save it as UTF-8"),
        ((HEADER + GOOD.replace("Qwen/B", "Qwen/é")).encode("latin-1"), "save it as UTF-8"),
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


def test_a_truncated_parquet_file_is_refused(tmp_path, small):
    small.write(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for part in (100, len(whole) // 2, len(whole) - 1):
        assert "damaged or incomplete" in refusal(tmp_path, whole[:part], "panel.parquet")
    broken = whole[:20] + bytes(len(whole) // 2) + whole[20 + len(whole) // 2 :]
    assert "damaged or incomplete" in refusal(tmp_path, broken, "panel.parquet")


def test_a_bad_row_of_a_parquet_file_is_named_without_a_line(tmp_path, small):
    table = small.table.assign(finetunes=[0, 4, 2, 0, 0, 0])
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
    table = history("o/a", "2024-01-01", [0, 1])
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


def test_byte_order_mark_line_ends_and_quotes_do_no_harm(tmp_path, small):
    content = (
        "\ufeff" + (HEADER + GOOD).replace("\n", "\r\n").replace("Meta", '"Meta"') + "\r\n\r\n"
    )
    (tmp_path / "panel.CSV").write_bytes(content.encode())
    (tmp_path / "plain.csv").write_text(HEADER + GOOD)
    assert read_panel(tmp_path / "panel.CSV").digest == read_panel(tmp_path / "plain.csv").digest


def test_names_that_look_like_missing_values_are_names(tmp_path):
    row = "NA/nan,null,2024-01-01,0,0\n"
    (tmp_path / "panel.csv").write_text(HEADER + row)
    table = read_panel(tmp_path / "panel.csv").table
    assert list(table.loc[0, ["base_model", "organization"]]) == ["NA/nan", "null"]


# Writing


def test_write_leaves_the_old_file_when_it_fails(small, tmp_path):
    path = tmp_path / "panel.parquet"
    path.write_text("old")
    unwritable = Panel(small.table.assign(strange=[object()] * len(small.table)))
    with pytest.raises(Exception, match="object"):
        unwritable.write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["panel.parquet"]
    assert path.read_text() == "old"


def test_write_refuses_places_it_cannot_write_to(small, tmp_path):
    with pytest.raises(PanelError, match=r"ends in \.txt"):
        small.write(tmp_path / "panel.txt")
    with pytest.raises(PanelError, match="there is no folder"):
        small.write(tmp_path / "none" / "panel.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PanelError, match="is a folder"):
        small.write(tmp_path / "folder.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.csv"]


def test_write_gives_ordinary_permissions_and_follows_links(small, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    small.write(tmp_path / "link.csv")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "link.csv").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.csv").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )


# Questions


def test_base_models(small):
    expected = pd.DataFrame(
        {
            "organization": ["Meta", "Qwen", "Meta"],
            "created_at": pd.DatetimeIndex(
                ["2024-01-31T10:00Z", "2024-03-05T00:00Z", "2024-03-31T00:00Z"]
            ),
            "months": [2, 1, 0],
            "finetunes": [9, 0, 0],
            "observed_until": pd.DatetimeIndex(
                ["2024-03-31T10:00Z", "2024-04-05T00:00Z", "2024-03-31T00:00Z"]
            ),
        },
        index=pd.Index(["meta-llama/A", "Qwen/B", "facebook/C"], name="base_model"),
    )
    pd.testing.assert_frame_equal(small.base_models, expected)


def test_increments(small):
    expected = pd.DataFrame(
        {
            "base_model": ["meta-llama/A", "meta-llama/A", "Qwen/B"],
            "organization": ["Meta", "Meta", "Qwen"],
            "month": [1, 2, 1],
            "previous": [0, 4, 0],
            "new": [4, 5, 0],
        }
    )
    pd.testing.assert_frame_equal(small.increments(), expected)


@settings(max_examples=50)
@given(panels())
def test_increments_add_up_to_the_last_counts(panel):
    sums = panel.increments().groupby("base_model")["new"].sum()
    last = panel.base_models["finetunes"]
    assert (sums.reindex(last.index, fill_value=0) == last).all()


def test_summary(small):
    summary = small.summary()
    assert list(summary.index) == ["Meta", "Qwen", "(all)"]
    assert summary.to_dict("list") == {
        "base_models": [2, 1, 3],
        "without_finetunes": [1, 1, 2],
        "finetunes": [9, 0, 9],
        "first_created": list(
            pd.DatetimeIndex(["2024-01-31T10:00Z", "2024-03-05T00:00Z", "2024-01-31T10:00Z"])
        ),
        "last_created": list(
            pd.DatetimeIndex(["2024-03-31T00:00Z", "2024-03-05T00:00Z", "2024-03-31T00:00Z"])
        ),
    }


def test_as_of_keeps_months_that_ended_on_or_before_the_date(small):
    def kept(date):
        table = small.as_of(date).table
        return list(zip(table["base_model"].str[-1], table["month"], strict=True))

    assert kept("2024-01-31T10:00:00Z") == [("A", 0)]
    assert kept("2024-02-29T09:59:59Z") == [("A", 0)]  # January 31 plus a month: February 29
    assert kept("2024-02-29T10:00:00Z") == [("A", 0), ("A", 1)]
    assert kept("2024-03-05") == [("A", 0), ("A", 1), ("B", 0)]
    assert kept(dt.date(2024, 4, 1)) == [("A", 0), ("A", 1), ("A", 2), ("B", 0), ("C", 0)]
    assert kept("2030-01-01") == kept("2024-04-10")


def test_as_of_date_is_observed_at_the_earlier_date(small):
    assert small.as_of("2024-03-01").observed_at == pd.Timestamp("2024-03-01", tz="UTC")
    assert small.as_of("2030-03-01").observed_at == small.observed_at
    unknown = Panel(small.table)
    assert unknown.as_of("2024-03-01").observed_at == pd.Timestamp("2024-03-01", tz="UTC")
    assert unknown.as_of("2030-03-01").observed_at is None


def test_as_of_before_everything_is_refused(small):
    with pytest.raises(PanelError, match=r"no base model .* by 2024-01-31T09:59:59Z; the first"):
        small.as_of("2024-01-31T09:59:59Z")


@settings(max_examples=50)
@given(panels(), st.datetimes(dt.datetime(2022, 3, 1), dt.datetime(2026, 1, 1)))
def test_as_of_is_what_row_by_row_arithmetic_gives(panel, date):
    cut = pd.Timestamp(date, tz="UTC")
    keep = [
        created + pd.DateOffset(months=month) <= cut
        for created, month in zip(panel.table["created_at"], panel.table["month"], strict=True)
    ]
    if not any(keep):
        with pytest.raises(PanelError):
            panel.as_of(date)
        return
    cropped = panel.as_of(date)
    pd.testing.assert_frame_equal(cropped.table, panel.table[keep].reset_index(drop=True))
    pd.testing.assert_frame_equal(cropped.as_of(date).table, cropped.table)
    again = Panel.from_table(cropped.table.assign(observed_at=cropped.observed_at or cut))
    assert again.observed_at <= cut


def test_select(small):
    assert list(small.select(base_models=["Qwen/B"]).base_models.index) == ["Qwen/B"]
    assert list(small.select(base_models="Qwen/B").base_models.index) == ["Qwen/B"]
    assert list(small.select(organizations=["Meta"]).base_models.index) == [
        "meta-llama/A",
        "facebook/C",
    ]
    assert list(small.select(organizations=["Meta"], min_finetunes=9).base_models.index) == [
        "meta-llama/A"
    ]
    assert small.select(min_finetunes=1).observed_at == small.observed_at
    pd.testing.assert_frame_equal(small.select().table, small.table)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"base_models": ["Qwen/b"]}, "base model 'Qwen/b' is not in the panel; .* 'Qwen/B'"),
        ({"base_models": ["zzz"]}, "is not in the panel; the panel has 3 base models, such as"),
        ({"organizations": ["meta"]}, "organization 'meta' is not .*; did you mean 'Meta'"),
        ({"min_finetunes": 10}, "no base model of the panel meets all conditions"),
        ({"base_models": []}, "no base model of the panel meets all conditions"),
        ({"min_finetunes": -1}, "min_finetunes is -1"),
    ],
)
def test_select_refuses_unknown_names_and_empty_selections(small, condition, message):
    with pytest.raises(PanelError, match=message):
        small.select(**condition)


def test_digest_is_of_the_data_alone(small):
    table = small.table.assign(observed_at=small.observed_at)
    same = [
        table.iloc[::-1],
        table.assign(authors=7),
        table[table.columns[::-1]],
        table.assign(created_at=table["created_at"].dt.tz_convert("Asia/Tokyo")),
    ]
    for other in same:
        assert Panel.from_table(other).digest == small.digest
    different = [
        table.assign(finetunes=[0, 4, 10, 0, 0, 0]),
        table.assign(organization="Meta"),
        table.assign(observed_at="2024-04-11"),
        table.drop(columns="observed_at"),
        table.assign(created_at=table["created_at"] - pd.Timedelta("1us")),
        table.iloc[:-1],
    ]
    assert len({small.digest, *(Panel.from_table(other).digest for other in different)}) == 7


def test_the_panel_is_frozen(small):
    with pytest.raises(AttributeError):
        small.observed_at = None


def test_a_cut_of_the_example_is_a_panel():
    cropped = load_example().as_of("2024-08-21")
    again = Panel.from_table(cropped.table.assign(observed_at=cropped.observed_at))
    assert again.digest == cropped.digest
    assert len(cropped.base_models) == 2580
