"""The rules that turn children into monthly counts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_hfgrowth import SourceError
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.sources.events import FIRST_KNOWN_TIME, build_panel, month_of_age

OBSERVED = pd.Timestamp("2025-06-15", tz="UTC")
KNOWN = FIRST_KNOWN_TIME.to_pydatetime()


def bases(*created: datetime | None, **columns: list[Any]) -> pd.DataFrame:
    """Base models o/m0, o/m1, … with keys k0, k1, …."""
    table = pd.DataFrame(
        {
            "base_model": [f"o/m{n}" for n in range(len(created))],
            "key": [f"k{n}" for n in range(len(created))],
            "created_at": pd.to_datetime(pd.Series(created), utc=True),
        }
    )
    return table.assign(**columns)


def children(*rows: tuple[int, str, datetime | None]) -> pd.DataFrame:
    """Children given by base, `author/name` and creation time; the name is the key."""
    table = pd.DataFrame(rows, columns=["base", "name", "created_at"])
    table["created_at"] = pd.to_datetime(table["created_at"], utc=True)
    names = table["name"].astype("str")
    return table.assign(key=names, author=names.str.split("/").str[0]).astype({"base": "int64"})


def build(base: pd.DataFrame, child: pd.DataFrame, **options: Any) -> Any:
    return build_panel(base, child, OBSERVED, relation="finetune", source="test", **options)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_months_end_at_calendar_anniversaries() -> None:
    created = day("2025-01-31T10:00")
    edges = [
        (0, "a/1", day("2025-02-28T10:00")),  # the anniversary itself belongs to the month
        (0, "a/2", day("2025-02-28T10:00") + timedelta(microseconds=1)),
        (0, "a/3", day("2025-05-31T10:00")),
        (0, "a/4", day("2025-05-31T10:01")),  # after the last whole month
    ]
    panel, summary = build(bases(created), children(*edges))
    assert panel.table["month"].tolist() == [0, 1, 2, 3, 4]
    assert panel.table["finetunes"].tolist() == [0, 1, 2, 2, 3]
    assert summary.table.loc[0, ["children", "counted", "later"]].tolist() == [4, 3, 1]
    assert panel.observed_at == OBSERVED


def test_repeats_and_self_edges_are_dropped_and_counted() -> None:
    created = day("2025-01-01")
    edges = children(
        (0, "a/1", day("2025-01-02")),
        (0, "a/1", day("2025-01-02")),
        (0, "a/2", day("2025-01-02")),
        (1, "a/1", day("2025-01-02")),
        (0, "o/m0", day("2025-01-01")),
        (0, "b/x", day("2025-01-03")),
    )
    edges.loc[5, "key"] = "k0"  # the base model under an older name
    panel, summary = build(bases(created, created), edges)
    assert summary.table["children"].tolist() == [2, 1]
    assert summary.table["duplicates"].tolist() == [1, 0]
    assert summary.table["self_edges"].tolist() == [2, 0]
    assert panel.base_models["finetunes"].tolist() == [2, 1]
    assert any(line.startswith("3 rows dropped") for line in summary.lines())


def test_unknown_ages_stay_out_of_the_panel_and_in_the_summary() -> None:
    evening = day("2022-03-02T23:29:04")
    edges = children(
        (0, "a/1", day("2022-05-01")),
        (1, "a/2", evening),
        (1, "a/3", None),
        (1, "a/4", day("2022-05-01")),
    )
    panel, summary = build(bases(evening, day("2022-04-01"), None), edges)
    assert panel.base_models["finetunes"].to_dict() == {"o/m1": 1}
    assert summary.table["status"].tolist() == ["unknown age", "", "unknown age"]
    assert summary.table["unknown_age"].tolist() == [0, 1, 0]
    assert summary.table["undated"].tolist() == [0, 1, 0]
    text = " ".join(summary.lines())
    assert "2 base models left out: the Hub does not know their age" in text
    assert "2 children left out: their age is unknown" in text


def test_the_first_known_second_is_known() -> None:
    panel, _ = build(bases(KNOWN), children((0, "a/1", KNOWN + timedelta(days=1))))
    assert panel.base_models["finetunes"].tolist() == [1]


def test_children_older_than_their_base_model_count_from_month_1_and_are_reported() -> None:
    edges = children((0, "a/1", day("2024-01-01")), (0, "a/2", day("2025-03-10")))
    panel, summary = build(bases(day("2025-02-01")), edges)
    assert panel.table["finetunes"].tolist() == [0, 1, 2, 2, 2]
    assert panel.table["older_than_base"].tolist() == [1] * 5
    assert any(line.startswith("1 children are older") for line in summary.lines())


def test_bursts_by_one_author_are_named() -> None:
    rows = [(0, f"burst/{n}", day("2025-02-10")) for n in range(30)]
    rows += [(0, f"other{n}/x", day("2025-01-10")) for n in range(10)]
    panel, summary = build(bases(day("2025-01-01")), children(*rows))
    assert panel.table["authors"].tolist()[:3] == [0, 10, 11]
    assert panel.table["largest_author_share"].tolist()[:3] == [0, 0.1, 0.75]
    assert summary.table.loc[0, "largest_author"] == "burst"
    assert "o/m0: 75% of 40 children come from one author (burst)" in summary.lines()


def test_downloads_stand_in_the_last_month_and_do_not_reach_back() -> None:
    told = {"downloads_all_time": [900, None, 70], "downloads": [None, None, None]}
    counted = bases(day("2025-01-31"), day("2025-05-20"), day("2025-04-01"), **told)
    panel, _ = build(counted, children())
    assert "downloads" not in panel.table  # nobody tells
    column = panel.table.set_index(["base_model", "month"])["downloads_all_time"]
    assert column.dropna().to_dict() == {("o/m0", 4): 900, ("o/m2", 2): 70}
    assert "downloads_all_time" in panel.as_of("2030-01-01").table
    assert "downloads_all_time" not in panel.as_of("2025-06-14").table
    assert "downloads_all_time" not in build(bases(day("2025-01-31")), children())[0].table


def test_the_hubs_own_count_is_compared() -> None:
    edges = children((0, "a/1", day("2025-02-01")), (1, "a/2", day("2025-02-01")))
    counted = bases(*[day("2025-01-01")] * 3, hub_count=[5, 1, None])
    _, summary = build(counted, edges)
    assert "a difference of +4 in 1 base models (o/m0)" in summary.lines()[-1]


def test_a_base_model_created_after_the_observation_date_is_left_out() -> None:
    _, summary = build(bases(day("2025-01-01"), day("2025-06-16")), children())
    assert summary.table["status"].tolist() == ["", "too new"]


def test_min_finetunes_leaves_out_and_says_so() -> None:
    base = bases(day("2025-01-01"), day("2025-01-01"))
    panel, summary = build(base, children((1, "a/1", day("2025-02-01"))), min_finetunes=1)
    assert list(panel.base_models.index) == ["o/m1"]
    assert summary.table["status"].tolist() == ["too few", ""]


@pytest.mark.parametrize(
    ("created", "options", "mend"),
    [
        (day("2022-03-02T23:29:04"), {}, "choose later ones"),
        (day("2025-01-01"), {"min_finetunes": 1}, "--min-finetunes"),
    ],
)
def test_nothing_left_is_an_error_with_its_mend(
    created: datetime, options: dict[str, int], mend: str
) -> None:
    with pytest.raises(SourceError, match=mend):
        build(bases(created), children(), **options)


times = st.datetimes(datetime(2022, 3, 3), datetime(2025, 6, 14)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@settings(max_examples=40)
@given(
    created=st.lists(times, min_size=1, max_size=4),
    edges=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 3), times), max_size=40
    ),
)
def test_the_panel_is_what_counting_by_hand_gives(
    created: list[datetime], edges: list[tuple[int, int, int, datetime]]
) -> None:
    rows = [(b % len(created), f"author{a}/{n}", born) for b, n, a, born in edges]
    panel, _ = build(bases(*created), children(*rows))
    for number, birth in enumerate(created):
        found: dict[str, datetime] = {}
        for base, name, born in rows:
            if base == number:
                found.setdefault(name, born)
        table = panel.table[panel.table["base_model"] == f"o/m{number}"]
        ends = [pd.Timestamp(birth) + pd.DateOffset(months=k) for k in range(60)]
        assert len(table) == sum(end <= OBSERVED for end in ends)
        for row in table.itertuples():
            inside = [n for n, born in found.items() if row.month and born <= ends[row.month]]
            authors = Counter(name.split("/")[0] for name in inside)
            assert row.finetunes == len(inside)
            assert row.authors == len(authors)
            assert row.largest_author_share == max(authors.values(), default=0) / max(
                len(inside), 1
            )


@given(created=times, born=times)
def test_month_of_age_is_the_first_anniversary_not_before_the_child(
    created: datetime, born: datetime
) -> None:
    month = int(month_of_age(pd.DatetimeIndex([created]), pd.DatetimeIndex([born]))[0])
    start = pd.Timestamp(created)
    assert month >= 1
    assert born <= start + pd.DateOffset(months=month)
    assert month == 1 or born > start + pd.DateOffset(months=month - 1)


@settings(max_examples=40)
@given(
    created=st.lists(times, min_size=1, max_size=3),
    edges=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 3), times), max_size=30
    ),
    order=st.randoms(use_true_random=False),
)
def test_authors_are_never_more_than_fine_tunes_never_fall_and_ask_for_no_order(
    created: list[datetime], edges: list[tuple[int, int, int, datetime]], order: Any
) -> None:
    rows = [(b % len(created), f"author{a}/{n}", born) for b, n, a, born in edges]
    # A record that is there twice has one date.
    rows = list({(base, name): (base, name, born) for base, name, born in rows}.values())
    panel, summary = build(bases(*created), children(*rows), metric="authors")
    assert panel.counted == Counted("authors")
    table = panel.table
    assert (panel.counts == table["authors"]).all()
    assert (table["authors"] <= table["finetunes"]).all()
    assert ((table["authors"] > 0) == (table["finetunes"] > 0)).all()
    assert (table.groupby("base_model")["authors"].diff().dropna() >= 0).all()
    assert summary.total("authors") == panel.base_models["finetunes"].sum()
    order.shuffle(rows)
    again, _ = build(bases(*created), children(*rows), metric="authors")
    pd.testing.assert_frame_equal(again.table, table)
    assert again.digest == panel.digest


def test_a_burst_by_one_author_counts_once() -> None:
    rows = [(0, "one/x", day("2025-01-05"))]
    rows += [(0, f"burst/{n}", day("2025-02-10")) for n in range(300)]
    panel, summary = build(bases(day("2025-01-01")), children(*rows), metric="authors")
    assert panel.increments()["new"].tolist() == [1, 1, 0, 0, 0]
    assert panel.table["finetunes"].max() == 301
    assert any("different namespaces" in line for line in summary.lines())


def test_likes_stand_beside_downloads_and_do_not_reach_back() -> None:
    panel, _ = build(bases(day("2025-01-31"), likes=[12]), children())
    assert panel.table["likes"].isna().tolist() == [True] * 4 + [False]
    assert panel.table["likes"].iloc[-1] == 12
    assert "likes" not in panel.as_of("2025-06-14").table
