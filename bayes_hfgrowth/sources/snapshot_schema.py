"""How DuckDB sees the files of a snapshot: as models with a name, a date and parents."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bayes_hfgrowth.panel.counted import KINDS, Relation
from bayes_hfgrowth.sources.snapshot_files import file_kind
from bayes_hfgrowth.support.errors import SourceError

type Rows = list[tuple[Any, ...]]

_BASE_MODELS = re.compile(
    r'STRUCT\("?relation"? VARCHAR, "?models"? STRUCT\((?P<models>.*"?id"? VARCHAR.*)\)\[\]\)'
)
_CREATED = "try_cast(createdAt AS TIMESTAMPTZ)::TIMESTAMP"
_NO_KEY = "lambda n: struct_pack(name := n, key := NULL::VARCHAR)"


def reader(files: list[Path]) -> str:
    """Return the table function that reads the files, which are Parquet or CSV, not both.

    Raises
    ------
    SourceError
        If a file is no snapshot, or not whole.
    """
    kinds = {file_kind(file) for file in files}
    if len(kinds) > 1:
        raise SourceError(f"{files[0].parent} holds Parquet and CSV files; name those of one kind")
    listed = "[" + ", ".join(quoted(os.fspath(file)) for file in files) + "]"
    if kinds == {"parquet"}:
        return f"read_parquet({listed}, union_by_name = true)"
    return (
        f"read_csv({listed}, header = true, all_varchar = true, delim = ',', quote = '\"', "
        "escape = '\"', union_by_name = true, max_line_size = 20000000)"
    )


def models_query(
    source: str, relation: Relation, label: str, ask: Callable[[str], Rows]
) -> tuple[str, list[str]]:
    """Return a query that sees a snapshot as models.

    Parameters
    ----------
    source : str
        What `reader` returned.
    relation, label : str
        The relation whose parents are wanted, and what to call the snapshot in messages.
    ask : callable
        Runs a query.

    Returns
    -------
    str
        A SELECT with the columns ``name``, ``key`` (``_id``, or the name), ``author``,
        ``created`` (UTC), ``parents`` (list of name and key), ``derived`` (whether it
        declares any base model), ``downloads_all_time``, ``downloads`` and ``likes`` (NULL
        where the snapshot does not tell).
    list of str
        What the user should know about the way the lineage is read.

    Raises
    ------
    SourceError
        If columns are missing.
    """
    columns = {str(row[0]): str(row[1]) for row in ask(f"DESCRIBE SELECT * FROM {source}")}
    if "model_id" in columns and "finetune_parent" in columns:
        return _ecosystem_query(source, columns, relation, label), []
    for name in ("id", "createdAt"):
        if name not in columns:
            raise SourceError(
                f"{label} lacks the column {name!r} (it has {', '.join(list(columns)[:6])}, …); "
                "a snapshot has id, createdAt and baseModels or tags"
            )
    lineage = _BASE_MODELS.fullmatch(columns.get("baseModels", ""))
    tagged = columns.get("tags", "").endswith("[]")
    if (
        lineage
        and tagged
        and not ask(f"SELECT 1 FROM {source} WHERE len(baseModels.models) > 0 LIMIT 1")
    ):
        lineage = None
    notes = []
    if lineage:
        parents, derived = _lineage_columns(relation, "_id" in lineage["models"])
    elif tagged:
        parents, derived = _tag_columns(relation)
        notes.append("lineage read from the tags: baseModels is missing or empty")
    else:
        raise SourceError(
            f"{label} has neither a column 'baseModels' nor a list 'tags', so nothing tells which "
            "model descends from which; give the file as published"
        )
    owner = "split_part(id, '/', 1)"
    key = 'coalesce("_id"::VARCHAR, id)' if "_id" in columns else "id"
    author = f"coalesce(author, {owner})" if "author" in columns else owner
    return (
        f"SELECT id AS name, {key} AS key, {author} AS author, {_CREATED} AS created, "
        f"{parents} AS parents, {derived} AS derived, {_told_today(columns)} FROM {source} "
        "WHERE id IS NOT NULL",
        notes,
    )


def quoted(text: str) -> str:
    """Write a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _told_today(columns: dict[str, str]) -> str:
    """Columns of downloads and likes, as whole numbers from 0 on or NULL."""
    return ", ".join(
        (f'greatest(try_cast("{theirs}" AS DOUBLE), 0)::BIGINT' if theirs in columns else "NULL")
        + f"::BIGINT AS {ours}"
        for ours, theirs in (
            ("downloads_all_time", "downloadsAllTime"),
            ("downloads", "downloads"),
            ("likes", "likes"),
        )
    )


def _lineage_columns(relation: Relation, keyed: bool) -> tuple[str, str]:
    chosen = "TRUE" if relation == "all" else f"baseModels.relation = '{relation}'"
    key = "m._id" if keyed else "NULL"
    parents = (
        f"CASE WHEN {chosen} THEN list_transform(baseModels.models, lambda m: "
        f"struct_pack(name := m.id, key := {key}::VARCHAR)) END"
    )
    return parents, "coalesce(len(baseModels.models), 0) > 0"


def _tag_columns(relation: Relation) -> tuple[str, str]:
    prefix = "base_model:" if relation == "all" else f"base_model:{relation}:"
    stripped = f"regexp_replace(t, '^base_model:(({'|'.join(KINDS)}):)?', '')"
    chosen = f"list_filter(tags, lambda t: starts_with(t, '{prefix}'))"
    names = f"list_distinct(list_transform({chosen}, lambda t: {stripped}))"
    derived = "coalesce(len(list_filter(tags, lambda t: starts_with(t, 'base_model:'))), 0) > 0"
    return f"list_transform({names}, {_NO_KEY})", derived


def _ecosystem_query(source: str, columns: dict[str, str], relation: Relation, label: str) -> str:
    """See the CSV so, where parents are lists written as text: ``['a/b', 'c/d']``."""
    wanted = [f"{kind}_parent" for kind in KINDS if relation in (kind, "all")]
    for name in ("createdAt", *wanted):
        if name not in columns:
            raise SourceError(f"{label} lacks the column {name!r}; give the CSV as published")

    def names(column: str) -> str:
        bare = rf"regexp_replace({column}, '[\[\]''\"\s]', '', 'g')"
        return (
            f"list_filter(string_split(coalesce({bare}, ''), ','), "
            "lambda n: n <> '' AND lower(n) NOT IN ('nan', 'none', 'null'))"
        )

    parents = f"list_distinct(flatten([{', '.join(names(column) for column in wanted)}]))"
    declared = [f"{kind}_parent" for kind in KINDS if f"{kind}_parent" in columns]
    derived = " OR ".join(f"len({names(column)}) > 0" for column in declared)
    return (
        "SELECT model_id AS name, model_id AS key, split_part(model_id, '/', 1) AS author, "
        f"{_CREATED} AS created, list_transform({parents}, {_NO_KEY}) AS parents, "
        f"({derived}) AS derived, {_told_today(columns)} FROM {source} WHERE model_id IS NOT NULL"
    )
