import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_hfgrowth import OrganizationTable, Panel, PanelError, load_example, read_panel

HEADER = "base_model,organization,created_at,month,finetunes\n"
ROWS = (
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


def test_columns_types_and_order(small_panel):
    assert list(small_panel.table.columns) == [
        "base_model",
        "organization",
        "created_at",
        "month",
        "finetunes",
    ]
    assert list(map(str, small_panel.table.dtypes)) == [
        "str",
        "str",
        "datetime64[us, UTC]",
        "int64",
        "int64",
    ]
    assert small_panel.observed_at == pd.Timestamp("2024-04-10", tz="UTC")


def test_rows_may_stand_in_any_order():
    table = panel_of(
        history("o/b", "2024-01-01", [0, 1, 2]), history("o/a", "2024-01-01", [0])
    ).table
    shuffled = table.iloc[[1, 3, 2, 0]].set_index("month", drop=False)
    pd.testing.assert_frame_equal(Panel.from_table(shuffled).table, table)


def test_extra_columns_are_carried_along(small_panel, tmp_path):
    table = small_panel.table.assign(authors=[0, 2, 5, 0, 0, 0], note='say "x, y"\n€')
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


def test_byte_order_mark_line_ends_and_quotes_do_no_harm(tmp_path, small_panel):
    content = (
        "\ufeff" + (HEADER + ROWS).replace("\n", "\r\n").replace("Meta", '"Meta"') + "\r\n\r\n"
    )
    (tmp_path / "panel.CSV").write_bytes(content.encode())
    (tmp_path / "plain.csv").write_text(HEADER + ROWS)
    assert read_panel(tmp_path / "panel.CSV").digest == read_panel(tmp_path / "plain.csv").digest


def test_names_that_look_like_missing_values_are_names(tmp_path):
    row = "NA/nan,null,2024-01-01,0,0\n"
    (tmp_path / "panel.csv").write_text(HEADER + row)
    table = read_panel(tmp_path / "panel.csv").table
    assert list(table.loc[0, ["base_model", "organization"]]) == ["NA/nan", "null"]


# Questions


def test_base_models(small_panel):
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
    pd.testing.assert_frame_equal(small_panel.base_models, expected)


def test_increments(small_panel):
    expected = pd.DataFrame(
        {
            "base_model": ["meta-llama/A", "meta-llama/A", "Qwen/B"],
            "organization": ["Meta", "Meta", "Qwen"],
            "month": [1, 2, 1],
            "previous": [0, 4, 0],
            "new": [4, 5, 0],
        }
    )
    pd.testing.assert_frame_equal(small_panel.increments(), expected)


@settings(max_examples=50)
@given(panels())
def test_increments_add_up_to_the_last_counts(panel):
    sums = panel.increments().groupby("base_model")["new"].sum()
    last = panel.base_models["finetunes"]
    assert (sums.reindex(last.index, fill_value=0) == last).all()


def test_summary(small_panel):
    summary = small_panel.summary()
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


def test_as_of_keeps_months_that_ended_on_or_before_the_date(small_panel):
    def kept(date):
        table = small_panel.as_of(date).table
        return list(zip(table["base_model"].str[-1], table["month"], strict=True))

    assert kept("2024-01-31T10:00:00Z") == [("A", 0)]
    assert kept("2024-02-29T09:59:59Z") == [("A", 0)]  # January 31 plus a month: February 29
    assert kept("2024-02-29T10:00:00Z") == [("A", 0), ("A", 1)]
    assert kept("2024-03-05") == [("A", 0), ("A", 1), ("B", 0)]
    assert kept(dt.date(2024, 4, 1)) == [("A", 0), ("A", 1), ("A", 2), ("B", 0), ("C", 0)]
    assert kept("2030-01-01") == kept("2024-04-10")


def test_as_of_date_is_observed_at_the_earlier_date(small_panel):
    assert small_panel.as_of("2024-03-01").observed_at == pd.Timestamp("2024-03-01", tz="UTC")
    assert small_panel.as_of("2030-03-01").observed_at == small_panel.observed_at
    unknown = Panel(small_panel.table)
    assert unknown.as_of("2024-03-01").observed_at == pd.Timestamp("2024-03-01", tz="UTC")
    assert unknown.as_of("2030-03-01").observed_at is None


def test_as_of_before_everything_is_refused(small_panel):
    with pytest.raises(PanelError, match=r"no base model .* by 2024-01-31T09:59:59Z; the first"):
        small_panel.as_of("2024-01-31T09:59:59Z")


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


def test_select(small_panel):
    assert list(small_panel.select(base_models=["Qwen/B"]).base_models.index) == ["Qwen/B"]
    assert list(small_panel.select(base_models="Qwen/B").base_models.index) == ["Qwen/B"]
    assert list(small_panel.select(organizations=["Meta"]).base_models.index) == [
        "meta-llama/A",
        "facebook/C",
    ]
    assert list(small_panel.select(organizations=["Meta"], min_finetunes=9).base_models.index) == [
        "meta-llama/A"
    ]
    assert small_panel.select(min_finetunes=1).observed_at == small_panel.observed_at
    pd.testing.assert_frame_equal(small_panel.select().table, small_panel.table)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"base_models": ["Qwen/b"]}, "base model 'Qwen/b' is not in the panel; .* 'Qwen/B'"),
        ({"base_models": ["zzz"]}, "is not in the panel; the panel holds 3 base models, such as"),
        ({"organizations": ["meta"]}, "organization 'meta' is not .*; did you mean 'Meta'"),
        ({"min_finetunes": 10}, "no base model of the panel meets all conditions"),
        ({"base_models": []}, "no base model is named"),
        ({"min_finetunes": -1}, "min_finetunes is -1"),
    ],
)
def test_select_refuses_unknown_names_and_empty_selections(small_panel, condition, message):
    with pytest.raises(PanelError, match=message):
        small_panel.select(**condition)


def test_digest_is_of_the_data_alone(small_panel):
    table = small_panel.table.assign(observed_at=small_panel.observed_at)
    same = [
        table.iloc[::-1],
        table.assign(authors=7),
        table[table.columns[::-1]],
        table.assign(created_at=table["created_at"].dt.tz_convert("Asia/Tokyo")),
    ]
    for other in same:
        assert Panel.from_table(other).digest == small_panel.digest
    different = [
        table.assign(finetunes=[0, 4, 10, 0, 0, 0]),
        table.assign(organization="Meta"),
        table.assign(observed_at="2024-04-11"),
        table.drop(columns="observed_at"),
        table.assign(created_at=table["created_at"] - pd.Timedelta("1us")),
        table.iloc[:-1],
    ]
    assert len({small_panel.digest, *(Panel.from_table(other).digest for other in different)}) == 7


def test_the_panel_is_frozen(small_panel):
    with pytest.raises(AttributeError):
        small_panel.observed_at = None


def test_a_cut_of_the_example_is_a_panel():
    cropped = load_example().as_of("2024-08-21")
    again = Panel.from_table(cropped.table.assign(observed_at=cropped.observed_at))
    assert again.digest == cropped.digest
    assert len(cropped.base_models) == 2580
