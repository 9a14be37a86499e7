"""Panels from the stand-in Hub, trap by trap."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil

import pandas as pd
import pytest
from hub_server import NOW, Hub, child_row, make_children, object_id

import bayes_hfgrowth as hfg
from bayes_hfgrowth import SourceError
from bayes_hfgrowth.sources.client import Patience
from bayes_hfgrowth.sources.hub import Collection

type Collect = Callable[..., Collection]

BASE = "meta-llama/Llama-3.1-8B"
CREATED = datetime(2024, 7, 14, 22, 20, 9, tzinfo=UTC)


def fill(hub: Hub, count: int = 2500, base: str = BASE, **fields: object) -> None:
    """Add a base model and children of it, scattered up to two weeks ago."""
    hub.add_base(base, CREATED, **fields)
    hub.add_children(make_children(base, count, CREATED, NOW - timedelta(days=14)))


def expected(hub: Hub, base: str = BASE, day: str = "2025-06-15") -> list[int]:
    """Count by hand what the panel must hold."""
    tag = f"base_model:finetune:{base}"
    born = [pd.Timestamp(r["createdAt"]) for r in hub.children if tag in r["tags"]]
    ends = [pd.Timestamp(CREATED) + pd.DateOffset(months=k) for k in range(40)]
    ends = [end for end in ends if end <= pd.Timestamp(day, tz="UTC")]
    return [0, *(sum(b <= end for b in born) for end in ends[1:])]


def counts(collection: Collection, base: str = BASE) -> list[int]:
    table = collection.panel.table
    return table.loc[table["base_model"] == base, "finetunes"].tolist()


def says(collection: Collection, text: str) -> bool:
    return any(text in line for line in collection.lines())


def test_many_pages_give_the_right_panel_in_few_requests(hub: Hub, collect_here: Collect) -> None:
    fill(hub)
    collection = collect_here(BASE)
    assert counts(collection) == expected(hub)
    assert len(hub.requests) <= ceil(2500 / 1000) + 2
    assert collection.panel.observed_at == pd.Timestamp("2025-06-15", tz="UTC")
    assert collection.panel.base_models.loc[BASE, "organization"] == "Meta"
    assert not says(collection, "difference")


def test_trouble_on_the_way_gives_the_same_panel(hub: Hub, collect_here: Collect) -> None:
    fill(hub)
    hub.page_size = 100
    hub.faults.every_429, hub.faults.drop_share = 3, 0.1
    collection = collect_here(BASE)
    assert counts(collection) == expected(hub)
    assert len(set(hub.pages_asked())) == 25


@pytest.mark.parametrize("refused", [False, True])
def test_children_are_found_with_and_without_base_models(
    hub: Hub, collect_here: Collect, refused: bool
) -> None:
    fill(hub, 1500)
    hub.faults.refuse_base_models = refused
    assert counts(collect_here(BASE)) == expected(hub)
    assert len(hub.requests) <= ceil(1500 / 1000) + 2


def test_a_run_that_died_goes_on_without_asking_twice(hub: Hub, collect_here: Collect) -> None:
    fill(hub)
    hub.page_size = 100
    for stop in (3, 9, 17):

        def cut(number: int, target: str, stop: int = stop) -> None:
            hub.faults.always_429 = number > stop

        hub.before_answer = cut
        with pytest.raises(SourceError, match="what was collected is kept"):
            collect_here(BASE, patience=Patience(attempts=1))
        hub.requests[:] = [r for r in hub.requests if r.status == 200]
    hub.before_answer, hub.faults.always_429 = None, False
    collection = collect_here(BASE)
    assert counts(collection) == expected(hub)
    pages = hub.pages_asked()
    assert len(pages) == len(set(pages)) == 25


def test_tomorrow_asks_only_for_what_is_new(hub: Hub, collect_here: Collect) -> None:
    fill(hub)
    collect_here(BASE)
    hub.requests.clear()
    fresh = NOW + timedelta(hours=5)
    hub.add_children([child_row(f"new/{n}", BASE, fresh) for n in range(30)])
    later = NOW + timedelta(days=40)
    collection = collect_here(BASE, now=later)
    assert counts(collection) == expected(hub, day="2025-07-25")
    assert len(hub.requests) == 2
    assert says(collection, "listed on 2025-06-15 and only newer ones since")


def test_vanished_children_stay_until_everything_is_listed_again(
    hub: Hub, collect_here: Collect
) -> None:
    fill(hub, 100)
    collect_here(BASE)
    del hub.children[:40]
    tomorrow = NOW + timedelta(days=1)
    collection = collect_here(BASE, now=tomorrow)
    assert says(collection, "the Hub states 60 children, 100 were listed: a difference of -40")
    collection = collect_here(BASE, now=tomorrow, refresh=True)
    assert counts(collection) == expected(hub)
    assert not says(collection, "difference")


def test_only_rows_with_the_wanted_tag_count(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 50)
    good = expected(hub)
    hub.add_children(make_children("other/base", 30, CREATED, NOW, seed=5))
    hub.add_children(make_children(BASE, 30, CREATED, NOW, relation="adapter", seed=6))
    hub.faults.ignore_filter = True  # as the Hub does with parameters it does not know
    collection = collect_here(BASE)
    assert counts(collection) == good
    assert says(collection, "60 rows dropped: they do not carry the wanted tag")


def test_relations(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20)
    hub.add_children(make_children(BASE, 7, CREATED, NOW - timedelta(days=30), relation="merge"))
    old = child_row("x/untyped", BASE, CREATED + timedelta(days=1), tags=[f"base_model:{BASE}"])
    hub.add_children([old])
    assert counts(collect_here(BASE, relation="merge"))[-1] == 7
    assert counts(collect_here(BASE, relation="all"))[-1] == 28
    assert counts(collect_here(BASE, relation="quantized"))[-1] == 0
    with pytest.raises(SourceError, match="choose one of finetune, adapter"):
        collect_here(BASE, relation="distilled")


def test_downloads_are_those_that_the_hub_states(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20)
    hub.add_base("o/known", CREATED, downloads=7, downloadsAllTime=123_456)
    hub.add_base("o/odd", CREATED, downloads=True, downloadsAllTime=-1)
    last = collect_here(BASE, "o/known", "o/odd").panel.table.groupby("base_model").last()
    assert last.loc["o/known", ["downloads", "downloads_all_time"]].tolist() == [7, 123_456]
    assert last.loc[BASE, "downloads"] == 100
    assert last["downloads_all_time"].isna().sum() == 2
    assert last.index[last["downloads"].isna()].tolist() == ["o/odd"]


def test_only_direct_children_count(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20)
    middle = hub.children[0]["id"]
    hub.add_children([child_row("a/grandchild", middle, CREATED + timedelta(days=60))])
    hub.faults.ignore_filter = True
    assert counts(collect_here(BASE)) == expected(hub)


def test_early_lineage_is_called_incomplete(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 3)
    assert not says(collect_here(BASE), "early counts are too low")
    hub.add_base("o/early", datetime(2023, 3, 1, tzinfo=UTC))
    assert says(collect_here("o/early"), "their early counts are too low (o/early)")


def test_repeats_self_edges_and_rows_with_missing_fields(hub: Hub, collect_here: Collect) -> None:
    hub.add_base(BASE, CREATED)
    born = CREATED + timedelta(days=3)
    twin = child_row("a/twin", BASE, born)
    hub.add_children(
        [
            twin,
            dict(twin),
            child_row(BASE, BASE, CREATED),
            child_row("b/no-tags", BASE, born, tags=None),
            {k: v for k, v in child_row("c/no-author", BASE, born).items() if k != "author"},
            child_row("d/no-lineage", BASE, born, baseModels=None),
            child_row("e/undated", BASE, born, createdAt=None),
            child_row("f/other", BASE, born, tags=["base_model:finetune:other/base"]),
            {"_id": object_id("g"), "id": "g/bare"},
        ]
    )
    hub.faults.ignore_filter = True
    collection = collect_here(BASE)
    assert counts(collection)[-1] == 4
    assert collection.panel.table["authors"].max() == 4
    row = collection.summary.table.loc[0]
    assert row[["duplicates", "self_edges", "undated"]].tolist() == [1, 1, 1]
    assert says(collection, "2 rows dropped: they do not carry the wanted tag")


def test_unknown_ages(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20)
    evening = datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)
    hub.add_base("openai-community/gpt2", evening)
    hub.add_children([child_row("a/ancient", BASE, evening)])
    collection = collect_here(BASE, "openai-community/gpt2")
    assert list(collection.panel.base_models.index) == [BASE]
    assert says(collection, "1 base models left out: the Hub does not know their age")
    assert says(collection, "1 children left out: their age is unknown")
    with pytest.raises(SourceError, match="choose later ones"):
        collect_here("openai-community/gpt2")


def test_children_older_than_their_base_model_are_reported(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20)
    hub.add_children([child_row("a/older", BASE, CREATED - timedelta(days=90))])
    collection = collect_here(BASE)
    assert counts(collection) == expected(hub)
    assert says(collection, "1 children are older than their base model")


def test_renames_are_followed_and_named(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 30)
    hub.renames["facebook/Llama-3.1-8B"] = BASE
    collection = collect_here("facebook/Llama-3.1-8B", BASE)
    assert list(collection.panel.base_models.index) == [BASE]  # one repository, one row
    assert counts(collection) == expected(hub)
    assert says(collection, "facebook/Llama-3.1-8B is meta-llama/Llama-3.1-8B today")


def test_a_name_that_goes_to_another_repository_starts_afresh(
    hub: Hub, collect_here: Collect
) -> None:
    fill(hub, 30)
    collect_here(BASE)
    hub.models[BASE]["_id"] = object_id("another repository")
    hub.children.clear()
    hub.sorted.clear()
    assert counts(collect_here(BASE, now=NOW + timedelta(hours=1)))[-1] == 0


@pytest.mark.parametrize(
    "stated", [None, {}, {"finetune": None}, {"adapter": 3, "finetune": 20, "merge": "?"}]
)
def test_a_missing_count_of_children_is_no_obstacle(
    hub: Hub, collect_here: Collect, stated: object
) -> None:
    fill(hub, 20, childrenModelCount=stated)
    assert counts(collect_here(BASE)) == expected(hub)


def test_gated_and_disabled_are_collected_and_named(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 20, gated="manual", disabled=True)
    collection = collect_here(BASE)
    assert says(collection, "1 base models are gated")
    assert says(collection, "1 base models are disabled")


def test_all_base_models_of_a_namespace(hub: Hub, collect_here: Collect) -> None:
    fill(hub, 30)
    fill(hub, 0, "meta-llama/unused")
    fill(hub, 10, "other/base")
    hub.add_base("meta-llama/gone", CREATED)
    hub.disabled.add("meta-llama/gone")
    made_from = {"tags": [f"base_model:quantized:{BASE}"]}
    fill(hub, 0, "meta-llama/Llama-3.1-8B-FP8", **made_from)
    fill(hub, 5, "meta-llama/Llama-3.1-8B-Instruct", **made_from)
    collection = collect_here(namespaces=["meta-llama"])
    models = collection.panel.base_models["finetunes"].to_dict()
    assert models == {BASE: 30, "meta-llama/unused": 0, "meta-llama/Llama-3.1-8B-Instruct": 5}
    assert says(collection, "gone, private or disabled (meta-llama/gone)")
    assert says(collection, "nobody builds on them (meta-llama/Llama-3.1-8B-FP8)")


def test_an_interrupted_namespace_goes_on(hub: Hub, collect_here: Collect) -> None:
    for number in range(12):
        fill(hub, number, f"meta-llama/m{number}")

    def cut(number: int, target: str) -> None:
        hub.faults.always_429 = number > 18

    hub.before_answer = cut
    with pytest.raises(SourceError, match="kept"):
        collect_here(namespaces=["meta-llama"], patience=Patience(attempts=1))
    first = [r.target for r in hub.requests if r.status == 200]
    hub.before_answer, hub.faults.always_429 = None, False
    hub.requests.clear()
    collection = collect_here(namespaces=["meta-llama"], now=NOW + timedelta(minutes=5))
    assert len(collection.panel.base_models) == 12
    again = [r.target for r in hub.requests]
    assert not set(first) & set(again)
    assert len(first) + len(again) == 1 + 12 + 12


@pytest.mark.parametrize(("old", "today"), [("CohereForAI", "CohereLabs"), ("THUDM", "zai-org")])
def test_renamed_namespaces(hub: Hub, collect_here: Collect, old: str, today: str) -> None:
    fill(hub, 5, f"{today}/model")
    collection = collect_here(namespaces=[old])
    assert list(collection.panel.base_models.index) == [f"{today}/model"]
    assert says(collection, f"{old} is {today} today")


def test_an_organization_is_not_a_namespace(hub: Hub, collect_here: Collect) -> None:
    with pytest.raises(SourceError, match="its namespaces are facebook, facebookai, meta-llama"):
        collect_here(namespaces=["Meta"])
    with pytest.raises(SourceError, match="check the spelling"):
        collect_here(namespaces=["nobody"])


def test_nothing_asked_for(collect_here: Collect) -> None:
    with pytest.raises(SourceError, match="give the ids"):
        collect_here()


def test_the_panel_starts_at_the_beginning_of_the_day(hub: Hub, collect_here: Collect) -> None:
    hub.add_base(BASE, datetime(2025, 5, 15, 6, tzinfo=UTC))
    hub.add_children([child_row("a/b", BASE, datetime(2025, 6, 1, tzinfo=UTC))])
    # month 1 ends on June 15 at 06:00; the observation date is that day's midnight
    assert counts(collect_here(BASE)) == [0]
    assert counts(collect_here(BASE, now=NOW + timedelta(days=1))) == [0, 1]


def test_the_python_call(hub: Hub, cache: object, capsys: pytest.CaptureFixture[str]) -> None:
    fill(hub, 10)
    panel = hfg.fetch_panel([BASE], endpoint=hub.endpoint, cache=cache, token=False)
    assert panel.base_models.loc[BASE, "finetunes"] == 10
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("1 base models, 10 finetune children")
