"""Panels from bulk snapshots."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import object_id

import bayes_hfgrowth as hfg
from bayes_hfgrowth import SourceError
from bayes_hfgrowth.sources import snapshot as snapshot_module
from bayes_hfgrowth.sources.snapshot import snapshot_panel

START = datetime(2024, 1, 31, 12)
LINEAGE = pa.struct(
    [
        ("relation", pa.string()),
        ("models", pa.list_(pa.struct([("_id", pa.string()), ("id", pa.string())]))),
    ]
)
SCHEMA = pa.schema(
    [
        ("_id", pa.string()),
        ("id", pa.string()),
        ("author", pa.string()),
        ("createdAt", pa.timestamp("us")),
        ("downloads", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("baseModels", LINEAGE),
    ]
)

Row = dict[str, Any]


def model(name: str, created: datetime | None, *parents: str, relation: str = "finetune") -> Row:
    lineage = {
        "relation": relation,
        "models": [{"_id": object_id(parent), "id": parent} for parent in parents],
    }
    tags = [f"base_model:{p}" for p in parents]
    return {
        "_id": object_id(name),
        "id": name,
        "author": name.split("/")[0],
        "createdAt": created,
        "downloads": 1,
        "tags": ["pytorch", *tags, *(f"base_model:{relation}:{p}" for p in parents)],
        "baseModels": lineage if parents else None,
    }


def hub_rows(seed: int = 3, bases: int = 12, children: int = 250) -> list[Row]:
    """A small Hub: base models, children of several relations, an end on 2025-03-31."""
    dice = np.random.default_rng(seed)
    days = (datetime(2025, 3, 31) - START).days
    rows = [
        model(f"org{n % 3}/base{n}", START + timedelta(days=int(dice.integers(0, 300))))
        for n in range(bases)
    ]
    for n in range(children):
        born = START + timedelta(
            days=int(dice.integers(0, days)), seconds=int(dice.integers(0, 86400))
        )
        parents = dice.choice(bases - 2, size=1 + (n % 17 == 0), replace=False)
        names = [rows[int(p)]["id"] for p in parents]
        relation = ["finetune", "adapter", "merge"][int(dice.integers(0, 3))]
        rows.append(
            model(f"user{int(dice.integers(0, 30))}/child{n}", born, *names, relation=relation)
        )
    rows.append(model("late/comer", datetime(2025, 3, 31, 23, 10)))
    return rows


def write(path: Path, rows: list[Row], drop: tuple[str, ...] = ()) -> Path:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table.drop_columns(list(drop)), path)
    return path


def by_hand(rows: list[Row], relation: str, observed: str = "2025-03-31") -> dict[str, list[int]]:
    """Count with loops."""
    observed_at = pd.Timestamp(observed)
    created = {r["id"]: pd.Timestamp(r["createdAt"]) for r in rows}
    born: dict[str, list[datetime]] = {}
    for row in rows:
        lineage = row["baseModels"]
        if lineage and relation in (lineage["relation"], "all"):
            for parent in lineage["models"]:
                born.setdefault(parent["id"], []).append(row["createdAt"])
    found: dict[str, list[int]] = {}
    for base, children in born.items():
        ends = [created[base] + pd.DateOffset(months=k) for k in range(30)]
        ends = [end for end in ends if end <= observed_at]
        counts = [0, *(sum(b <= end for b in children) for end in ends[1:])]
        if counts[-1]:
            found[base] = counts
    return found


def panel_of(path: Any, **options: Any) -> dict[str, list[int]]:
    panel, _, _ = snapshot_panel(path, progress=False, **options)
    return {name: group["finetunes"].tolist() for name, group in panel.table.groupby("base_model")}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return hub_rows()


@pytest.mark.parametrize("relation", ["finetune", "adapter", "merge", "all"])
@pytest.mark.parametrize("drop", [(), ("tags",), ("baseModels",), ("_id", "author")])
def test_the_panel_is_what_counting_by_hand_gives(
    rows: list[Row], tmp_path: Path, relation: str, drop: tuple[str, ...]
) -> None:
    path = write(tmp_path / "models.parquet", rows, drop)
    assert panel_of(path, relation=relation) == by_hand(rows, relation)


def test_downloads_are_those_of_the_base_models(rows: list[Row], tmp_path: Path) -> None:
    rows = [row | {"downloads": 10 + n} for n, row in enumerate(rows)]
    path = write(tmp_path / "models.parquet", rows)
    panel, _, _ = snapshot_panel(path, progress=False)
    right = {row["id"]: row["downloads"] for row in rows}
    last = panel.table.drop_duplicates("base_model", keep="last").set_index("base_model")
    assert last["downloads"].to_dict() == {name: right[name] for name in last.index}
    assert panel.table["downloads"].notna().sum() == len(last)
    assert "downloads_all_time" not in panel.table
    earlier, _, _ = snapshot_panel(path, observed_at="2025-02-28", progress=False)
    assert "downloads" not in earlier.table  # they are of a later day
    without, _, _ = snapshot_panel(write(path, rows, ("downloads",)), progress=False)
    assert "downloads" not in without.table


def test_shards_folders_and_patterns_are_read_whole(rows: list[Row], tmp_path: Path) -> None:
    parts = [rows[:100], rows[100:250], rows[250:]]
    paths = [
        write(tmp_path / f"models-{n:05d}-of-00003.parquet", part) for n, part in enumerate(parts)
    ]
    right = by_hand(rows, "finetune")
    assert panel_of(paths[1]) == right  # one shard names its set
    assert panel_of(tmp_path) == right
    assert panel_of(str(tmp_path / "models-*.parquet")) == right
    assert panel_of(paths) == right
    paths[2].unlink()
    with pytest.raises(SourceError, match=r"1 are missing \(models-00002-of-00003.parquet\)"):
        panel_of(paths[0])


def test_the_ecosystem_csv(rows: list[Row], tmp_path: Path) -> None:
    table = pd.DataFrame({"model_id": [r["id"] for r in rows]})
    table["createdAt"] = [r["createdAt"].isoformat() + ".000Z" for r in rows]
    for kind in ("finetune", "adapter", "quantized", "merge"):
        table[f"{kind}_parent"] = [
            str([m["id"] for m in r["baseModels"]["models"]])
            if r["baseModels"] and r["baseModels"]["relation"] == kind
            else "[]"
            for r in rows
        ]
    table["modelCard"] = 'A card, with "quotes"\nand lines'
    table["downloads"] = [f"{n}.0" if n else "n/a" for n in range(len(rows))]
    path = tmp_path / "ai_ecosystem.csv"
    table.to_csv(path, index=False)
    for relation in ("finetune", "merge", "all"):
        assert panel_of(path, relation=relation) == by_hand(rows, relation)
    told = snapshot_panel(path, progress=False)[0].table.set_index("base_model")["downloads"]
    place = {row["id"]: n for n, row in enumerate(rows)}
    assert told.dropna().to_dict() == {name: place[name] for name in told.dropna().index}
    assert set(told.index) - set(told.dropna().index) <= {rows[0]["id"]}
    cut = tmp_path / "cut.csv"
    cut.write_bytes(path.read_bytes()[:-10])  # in the middle of a quoted card
    with pytest.raises(SourceError, match="fetch it again"):
        panel_of(cut)
    table.drop(columns="merge_parent").to_csv(path, index=False)
    with pytest.raises(SourceError, match="lacks the column 'merge_parent'"):
        panel_of(path, relation="merge")


def test_the_observation_date_is_the_day_of_the_newest_model(
    rows: list[Row], tmp_path: Path
) -> None:
    path = write(tmp_path / "models.parquet", rows)
    panel, _, notes = snapshot_panel(path, progress=False)
    assert panel.observed_at == pd.Timestamp("2025-03-31", tz="UTC")
    assert any("2025-03-31T23:10Z" in note for note in notes)
    assert any(note.startswith("5% of the 263 models declare no base model") for note in notes)
    earlier = panel_of(path, observed_at="2024-12-31")
    assert earlier == by_hand(rows, "finetune", "2024-12-31")


def test_an_observation_date_after_the_snapshot_is_doubted(rows: list[Row], tmp_path: Path) -> None:
    path = write(tmp_path / "models.parquet", rows)
    _, _, notes = snapshot_panel(path, observed_at="2025-06-30", progress=False)
    assert any("90 days after the newest model of the snapshot" in note for note in notes)
    _, _, notes = snapshot_panel(path, observed_at="2025-04-01", progress=False)
    assert not any("after the newest model" in note for note in notes)


def test_a_date_in_the_future_does_not_move_the_observation(
    rows: list[Row], tmp_path: Path
) -> None:
    future = model("odd/clock", datetime.now(UTC).replace(tzinfo=None) + timedelta(days=400))
    path = write(tmp_path / "models.parquet", [*rows, future])
    assert panel_of(path) == by_hand(rows, "finetune")


def test_traps_are_counted(tmp_path: Path) -> None:
    evening = datetime(2022, 3, 2, 23, 29, 4)
    base, ancient = model("o/base", START), model("o/ancient", evening)
    child = model("a/child", datetime(2024, 3, 1), "o/base")
    renamed = model("b/renamed", datetime(2024, 3, 2), "old/base")
    renamed["baseModels"]["models"][0]["_id"] = base["_id"]  # the old id of the same repository
    path = write(
        tmp_path / "models.parquet",
        [
            base,
            ancient,
            child,
            child,
            renamed,
            model("c/of-ancient", datetime(2024, 3, 1), "o/ancient"),
            model("d/orphan", datetime(2024, 3, 1), "gone/base"),
            model("e/old", evening, "o/base"),
            model("f/undated", None, "o/base"),
            model("o/base2", datetime(2024, 2, 1), "o/base2"),
            model("z/newest", datetime(2024, 6, 2)),
        ],
    )
    panel, summary, notes = snapshot_panel(path, progress=False)
    assert panel.base_models["finetunes"].to_dict() == {"o/base": 2}
    row = summary.table.set_index("base_model").loc["o/base"]
    assert row[["duplicates", "undated", "unknown_age"]].tolist() == [1, 1, 1]
    assert summary.total("self_edges") == 1
    assert (summary.table["status"] == "unknown age").sum() == 1
    assert any("1 children name a base model that is not in the snapshot" in n for n in notes)


def test_base_models_without_children_are_added_on_request(rows: list[Row], tmp_path: Path) -> None:
    path = write(tmp_path / "models.parquet", rows)
    with_zero = panel_of(path, min_finetunes=0)
    # all but the children, and but the newest one, created after the observation date
    assert set(with_zero) == {f"org{n % 3}/base{n}" for n in range(12)}
    assert with_zero["org1/base10"][-1] == 0
    many = panel_of(path, min_finetunes=12)
    assert many == {k: v for k, v in by_hand(rows, "finetune").items() if v[-1] >= 12}
    ours = panel_of(path, min_finetunes=0, namespaces=["ORG1"])
    assert set(ours) == {name for name in with_zero if name.startswith("org1/")}


@pytest.mark.parametrize("asked", ["THUDM", "zai-org"])
def test_a_renamed_namespace_has_both_names(tmp_path: Path, asked: str) -> None:
    path = write(
        tmp_path / "old.parquet",
        [
            model("THUDM/glm", START),
            model("a/b", START + timedelta(days=9), "THUDM/glm"),
            model("z/newest", START + timedelta(days=90)),
        ],
    )
    assert list(panel_of(path, namespaces=[asked])) == ["THUDM/glm"]


def test_a_panel_too_large_for_memory_is_refused(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "models.parquet", rows)
    monkeypatch.setattr(snapshot_module, "MAX_ROWS", 50)
    with pytest.raises(SourceError, match="more than 50; ask for less with --organization"):
        panel_of(path)


@pytest.mark.parametrize(
    ("content", "name", "mend"),
    [
        (b"<!DOCTYPE html><html>404</html>", "models.parquet", "download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1", "models.parquet", "git lfs pull"),
        (b"", "models.parquet", "fetch it again"),
        (b"PAR1 and then nothing", "models.parquet", "fetch it again"),
        (b"PAR1 rubbish in between PAR1", "models.parquet", "fetch it again"),
        (b"\x89PNG\0", "models.png", "neither Parquet nor a .csv"),
        (b"a,b\n1,2\n", "models.csv", "lacks the column 'id'"),
        (b"<html>", "models.csv", "download the file itself"),
    ],
)
def test_what_is_no_snapshot_is_one_line(
    tmp_path: Path, content: bytes, name: str, mend: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=mend) as caught:
        panel_of(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_snapshot_cut_in_half_is_one_line(rows: list[Row], tmp_path: Path) -> None:
    path = write(tmp_path / "models.parquet", rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="broke off; fetch it again"):
        panel_of(path)


@pytest.mark.parametrize(
    ("drop", "mend"),
    [
        (("createdAt",), "lacks the column 'createdAt'"),
        (("id",), "lacks the column 'id'"),
        (("tags", "baseModels"), "neither a column 'baseModels' nor a list 'tags'"),
    ],
)
def test_missing_columns_are_named(
    rows: list[Row], tmp_path: Path, drop: tuple[str, ...], mend: str
) -> None:
    with pytest.raises(SourceError, match=mend):
        panel_of(write(tmp_path / "models.parquet", rows, drop))


def test_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.parquet", tmp_path, tmp_path / "*.parquet"):
        with pytest.raises(SourceError):
            panel_of(path)


def test_nothing_of_the_relation(rows: list[Row], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no base model with a quantized child"):
        panel_of(write(tmp_path / "models.parquet", rows), relation="quantized")


def test_the_python_call(
    rows: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = hfg.read_snapshot(write(tmp_path / "models.parquet", rows))
    assert panel.base_models["finetunes"].sum() == sum(
        counts[-1] for counts in by_hand(rows, "finetune").values()
    )
    said = capsys.readouterr()
    assert said.out == ""
    assert "finetune children in whole months up to 2025-03-31" in said.err
