"""Several relations, and authors, from the stand-in Hub and from snapshots."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import NOW, Hub, make_children

import bayes_hfgrowth as hfg
from bayes_hfgrowth import SourceError
from bayes_hfgrowth.cli import main
from bayes_hfgrowth.panel.counted import KINDS, Counted
from bayes_hfgrowth.sources.client import Patience
from bayes_hfgrowth.sources.hub import Collection, collect_relations, lines_of
from bayes_hfgrowth.sources.snapshot import snapshot_panel

type Collect = Callable[..., Collection]

BASE = "acme/anvil"
CREATED = datetime(2024, 7, 14, 22, 20, 9, tzinfo=UTC)
NUMBERS = {"finetune": 40, "adapter": 90, "merge": 5}


@pytest.fixture
def filled(hub: Hub) -> Hub:
    """A base model with children of three relations, and one without any."""
    hub.add_base(BASE, CREATED)
    hub.add_base("acme/none", CREATED)
    for seed, (relation, number) in enumerate(NUMBERS.items()):
        end = NOW - timedelta(days=35)
        hub.add_children(make_children(BASE, number, CREATED, end, relation=relation, seed=seed))
    return hub


def collect_all(hub: Hub, cache: Path, **options: object) -> dict[str, Collection]:
    settings: dict[str, object] = {
        "endpoint": hub.endpoint,
        "cache": cache,
        "token": False,
        "progress": False,
        "patience": Patience(first_wait=0.01, timeout=5),
        "now": lambda: NOW,
    }
    return collect_relations([BASE, "acme/none"], **(settings | options))  # type: ignore[return-value, arg-type]


def authors_of(hub: Hub, relation: str) -> int:
    tag = f"base_model:{relation}:{BASE}"
    return len({row["author"] for row in hub.children if tag in row["tags"]})


def test_every_relation_gets_a_panel_of_the_same_base_models(filled: Hub, cache: Path) -> None:
    found = collect_all(filled, cache)
    assert tuple(found) == KINDS
    for relation, one in found.items():
        assert one.panel.counted == Counted(relation=relation)
        counts = one.panel.base_models["finetunes"]
        assert counts.to_dict() == {BASE: NUMBERS.get(relation, 0), "acme/none": 0}
    assert len({one.panel.observed_at for one in found.values()}) == 1
    assert len(lines_of(found.values())) == len(set(lines_of(found.values())))


def test_a_base_model_is_asked_for_once(filled: Hub, cache: Path) -> None:
    collect_all(filled, cache)
    assert len([r for r in filled.requests if r.path == f"/api/models/{BASE}"]) == 1


def test_one_relation_is_what_it_is_alone(
    filled: Hub, cache: Path, collect_here: Collect, tmp_path: Path
) -> None:
    alone = collect_here(BASE, "acme/none", relation="adapter", cache=tmp_path / "other")
    assert collect_all(filled, cache)["adapter"].panel.digest == alone.panel.digest


def test_a_derivative_is_taken_if_anybody_builds_on_it_by_any_relation(
    filled: Hub, cache: Path
) -> None:
    middle = next(row for row in filled.children if "base_model:merge:acme/anvil" in row["tags"])
    space = middle["author"]
    filled.add_base(middle["id"], CREATED, tags=middle["tags"])
    filled.add_children(
        make_children(middle["id"], 3, CREATED, NOW - timedelta(days=60), relation="quantized")
    )
    found = collect_relations(
        namespaces=[space], relations=("finetune", "quantized"), endpoint=filled.endpoint,
        cache=cache, token=False, progress=False, now=lambda: NOW,
    )  # fmt: skip
    assert found["quantized"].panel.base_models["finetunes"].to_dict() == {middle["id"]: 3}
    assert found["finetune"].panel.base_models["finetunes"].to_dict() == {middle["id"]: 0}


def test_authors_are_counted_from_the_hub(filled: Hub, cache: Path) -> None:
    for relation, one in collect_all(filled, cache, metric="authors").items():
        assert one.panel.counted == Counted("authors", relation)  # type: ignore[arg-type]
        assert one.panel.base_models.loc[BASE, "finetunes"] == authors_of(filled, relation)
        assert one.panel.counting("finetunes").base_models.loc[BASE, "finetunes"] == NUMBERS.get(
            relation, 0
        )


def test_fetched_relations_are_one_file(filled: Hub, cache: Path, tmp_path: Path) -> None:
    relations = hfg.fetch_relations(
        [BASE], endpoint=filled.endpoint, cache=cache, token=False, progress=False
    )
    relations.write(tmp_path / "p.parquet")
    table = hfg.read_relations(tmp_path / "p.parquet").last_counts([BASE])
    assert dict(zip(table["relation"], table["count"], strict=True)) == NUMBERS | {"quantized": 0}
    assert table["authors"].tolist() == [authors_of(filled, name) for name in table["relation"]]


def test_what_does_not_exist_is_refused(filled: Hub, cache: Path) -> None:
    with pytest.raises(SourceError, match="'cousin' does not exist"):
        collect_all(filled, cache, relations=("finetune", "cousin"))
    with pytest.raises(SourceError, match="no relation is given"):
        collect_all(filled, cache, relations=())


@pytest.fixture
def snapshot(filled: Hub, tmp_path: Path) -> Path:
    """The same Hub as one file."""
    rows = [*filled.models.values(), *filled.children]
    created = [datetime.fromisoformat(row["createdAt"]).replace(tzinfo=None) for row in rows]
    lineage = pa.array([row.get("baseModels") for row in rows])
    plain = {name: [row[name] for row in rows] for name in ("_id", "id", "author", "likes")}
    table = pa.table(plain | {"createdAt": pa.array(created, pa.timestamp("us"))})
    pq.write_table(table.append_column("baseModels", lineage), tmp_path / "models.parquet")
    return tmp_path / "models.parquet"


@pytest.mark.parametrize("relation", list(NUMBERS))
def test_a_snapshot_tells_authors_and_likes(filled: Hub, snapshot: Path, relation: str) -> None:
    panel, _, _ = snapshot_panel(
        snapshot,
        relation=relation,
        metric="authors",
        progress=False,  # type: ignore[arg-type]
    )
    assert panel.counted == Counted("authors", relation)  # type: ignore[arg-type]
    last = panel.table.iloc[-1]
    inside = [
        row["author"]
        for row in filled.children
        if f"base_model:{relation}:{BASE}" in row["tags"]
        and datetime.fromisoformat(row["createdAt"]) <= panel.base_models["observed_until"].iloc[0]
    ]
    assert (last["authors"], last["finetunes"]) == (len(set(inside)), len(inside))
    assert last["likes"] == 5


def test_a_snapshot_of_several_relations_is_one_panel_file(
    snapshot: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "p.csv"
    options = ["--relation", "merge", "--relation", "finetune", "--metric", "authors"]
    monkeypatch.setattr(
        "sys.argv", ["hfgrowth", "snapshot", str(snapshot), "--out", str(out), *options]
    )
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert not end.value.code, said
    assert said.count("observation date taken from") == 1
    found = hfg.read_relations(out)
    assert set(found.relations) == {"finetune", "merge"}
    alone, _, _ = snapshot_panel(snapshot, relation="merge", metric="authors", progress=False)
    assert found["merge"].digest == alone.digest
