"""Panels from a snapshot of the whole Hub: a Parquet or CSV file with one row for each model."""

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb
import pandas as pd

from bayes_hfgrowth.panel.counted import Metric, Relation
from bayes_hfgrowth.panel.rules import TODAY
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.events import FIRST_KNOWN_TIME, Summary, build_panel
from bayes_hfgrowth.sources.lineage import checked_relations, spellings
from bayes_hfgrowth.sources.progress import tell
from bayes_hfgrowth.sources.snapshot_files import snapshot_files
from bayes_hfgrowth.sources.snapshot_schema import Rows, models_query, quoted, reader
from bayes_hfgrowth.support.deprecation import renamed_argument
from bayes_hfgrowth.support.errors import SourceError
from bayes_hfgrowth.support.files import first_line
from bayes_hfgrowth.support.months import as_utc
from bayes_hfgrowth.support.progress import Progress

MEMORY_LIMIT = "1GB"
"""What DuckDB may hold; what goes beyond it goes to disk."""

MAX_ROWS = 5_000_000
"""Largest panel that is built, in monthly rows; it takes about 3.5 GB of memory."""


@renamed_argument("organizations", "namespaces", since="0.2")
def snapshot_panel(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    relation: Relation = "finetune",
    metric: Metric = "finetunes",
    min_finetunes: int = 1,
    namespaces: Iterable[str] = (),
    observed_at: str | dt.date | None = None,
    threads: int | None = None,
    token: str | bool | None = None,
    progress: bool = True,
) -> tuple[Panel, Summary, list[str]]:
    """Build a panel of all base models in a snapshot, with the summary of what was counted.

    Parameters
    ----------
    path : path-like or sequence of path-like
        Parquet in the schema of ``cfahlgren1/hub-stats`` or CSV in that of
        ``modelbiome/ai_ecosystem``: files, a folder, a pattern with ``*``, or an address
        ``hf://datasets/…``. Of a set of shards ``…-00000-of-00003.parquet`` one name is enough.
    relation : {"finetune", "adapter", "merge", "quantized", "all"}
        Which children to count.
    metric : {"finetunes", "authors"}
        Whether to count these children, or the different namespaces that made them.
    min_finetunes : int
        Fewest children of a base model. A base model is one with at least one child of the
        relation; 0 adds all models that declare no base model themselves.
    namespaces : iterable of str
        Keep only base models of these Hub namespaces; by default all.
    observed_at : str or date, optional
        When the snapshot was taken, where it is known; by default the beginning of the day (UTC)
        of the newest model in it.
    threads : int, optional
        Threads for DuckDB; by default all cores.
    token : str or bool, optional
        For an ``hf://`` address, as in huggingface_hub.
    progress : bool
        Show progress on standard error.

    Returns
    -------
    Panel
        The counts; see `bayes_hfgrowth.sources.events.build_panel`.
    Summary
        What was counted, left out and why.
    list of str
        What else the user should know.

    Raises
    ------
    SourceError
        If a file is missing, damaged, no snapshot, or without the columns that are needed.
    """
    checked_relations((relation,))
    if min_finetunes < 0:
        raise SourceError(f"min_finetunes is {min_finetunes}; give a number from 0 on")
    names = [path] if isinstance(path, str | os.PathLike) else list(path)
    display = Progress(progress)
    with display.stage("looking at the files") as advance:
        files = snapshot_files(names, token, lambda text: advance(0, text))
    label = os.fspath(names[0]) if len(names) == 1 else f"{len(files)} files"
    with _connect(threads) as connection:
        snapshot = _Snapshot(connection, label, relation, min_finetunes, list(namespaces))
        try:
            with display.stage("reading the snapshot"):
                snapshot.open(reader(files))
                observed = snapshot.observed_at(observed_at)
            with display.stage("finding the base models"):
                snapshot.find_bases(observed)
                bases, children = snapshot.tables()
        except duckdb.OutOfMemoryException as error:
            raise SourceError(
                f"{label} is too large for {MEMORY_LIMIT} of memory; choose with --organization"
            ) from error
        except duckdb.Error as error:
            raise SourceError(
                f"{label} can't be read ({first_line(error)}); it is damaged or incomplete, so "
                "fetch it again"
            ) from error
    with display.stage("counting the children"):
        panel, summary = build_panel(
            bases, children, observed, relation=relation, source=label,
            min_finetunes=min_finetunes, metric=metric,
        )  # fmt: skip
    if min_finetunes > 0:
        snapshot.notes.append(
            "base models without children are not in the panel; --min-finetunes 0 adds them"
        )
    return panel, summary, snapshot.notes


@renamed_argument("organizations", "namespaces", since="0.2")
def read_snapshot(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    relation: Relation = "finetune",
    metric: Metric = "finetunes",
    min_finetunes: int = 1,
    namespaces: Iterable[str] = (),
    observed_at: str | dt.date | None = None,
    threads: int | None = None,
    token: str | bool | None = None,
    progress: bool = True,
) -> Panel:
    """Read a panel of all base models from a snapshot of the Hub.

    Parameters
    ----------
    path, relation, metric, min_finetunes, namespaces, observed_at, threads, token, progress
        As in `bayes_hfgrowth.sources.snapshot.snapshot_panel`, which also returns the summary
        that is printed here on standard error unless `progress` is false.

    Returns
    -------
    Panel
        Monthly cumulative counts of children with the relation, or of their authors.

    Raises
    ------
    SourceError
        See `bayes_hfgrowth.sources.snapshot.snapshot_panel`.

    Examples
    --------
    >>> import bayes_hfgrowth as hfg
    >>> panel = hfg.read_snapshot("models.parquet")  # doctest: +SKIP
    """
    panel, summary, notes = snapshot_panel(
        path, relation=relation, metric=metric, min_finetunes=min_finetunes, namespaces=namespaces,
        observed_at=observed_at, threads=threads, token=token, progress=progress,
    )  # fmt: skip
    if progress:
        tell([*summary.lines(), *notes])
    return panel


def _connect(threads: int | None) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,  # nothing is ever fetched from elsewhere
    }
    if threads:
        settings["threads"] = threads
    connection = duckdb.connect(config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output
    return connection


@dataclass
class _Snapshot:
    """A snapshot under examination, and what is asked of it."""

    connection: duckdb.DuckDBPyConnection
    label: str
    relation: Relation
    min_finetunes: int
    namespaces: list[str]
    notes: list[str] = field(default_factory=list)
    newer: bool = False  # than the observation date, so are the downloads that it tells

    def ask(self, query: str, values: dict[str, object] | None = None) -> Rows:
        return self.connection.execute(query, values or {}).fetchall()

    def open(self, source: str) -> None:
        """Make `models` and `edges`, one row for each child and parent."""
        query, notes = models_query(source, self.relation, self.label, self.ask)
        self.notes += notes
        self.ask(f"CREATE TEMP VIEW models AS {query}")
        self.ask(
            "CREATE TEMP TABLE edges AS SELECT name, key, author, created, "
            "unnest(parents) AS parent FROM models WHERE len(parents) > 0"
        )

    def observed_at(self, given: str | dt.date | None) -> pd.Timestamp:
        """Date the snapshot: as the user says, or by its newest model."""
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        newest, silent, models = self.ask(
            "SELECT max(created) FILTER (created <= $now), count(*) FILTER (NOT derived), count(*) "
            "FROM models",
            {"now": now},
        )[0]
        if newest is None:
            raise SourceError(
                f"{self.label}: no row has a creation time in 'createdAt'; fetch it again"
            )
        self.notes.append(
            f"{silent / models:.0%} of the {models:,} models declare no base model: the counts are "
            "of declared lineage"
        )
        if given is not None:
            observed_at = as_utc(given, "observed_at")
            self.newer = observed_at < pd.Timestamp(newest, tz="UTC").normalize()
            if (late := (observed_at - pd.Timestamp(newest, tz="UTC")).days) > 1:
                self.notes.append(
                    f"the observation date is {late} days after the newest model of the snapshot "
                    f"({newest:%Y-%m-%d}): what was made in between is missing, not absent"
                )
            return observed_at
        self.notes.append(
            "observation date taken from the newest model in the snapshot "
            f"({newest:%Y-%m-%dT%H:%M}Z); give --observed-at if you know better"
        )
        return pd.Timestamp(newest, tz="UTC").normalize()

    def find_bases(self, observed_at: pd.Timestamp) -> None:
        """Make `bases`, and `children` that know the number of their base."""
        wanted = "TRUE"
        if self.namespaces:
            names = sorted(set().union(*map(spellings, self.namespaces)))
            listed = ", ".join(map(quoted, names))
            wanted = f"lower(split_part(name, '/', 1)) IN ({listed})"
        roots = "OR NOT derived" if self.min_finetunes == 0 else ""
        self.ask(
            f"""
            CREATE TEMP TABLE bases AS
            SELECT row_number() OVER (ORDER BY name) - 1 AS base, * FROM (
                SELECT name, any_value(key) AS key, min(created) AS created,
                max(downloads_all_time) AS downloads_all_time, max(downloads) AS downloads,
                max(likes) AS likes
                FROM models
                WHERE ({wanted}) AND (
                    name IN (SELECT parent.name FROM edges)
                    OR key IN (SELECT parent.key FROM edges WHERE parent.key IS NOT NULL)
                    {roots}
                )
                GROUP BY name
            )
            """
        )
        # A snapshot may name a base model by an earlier id: its _id comes first, then the name.
        self.ask(
            """
            CREATE TEMP TABLE children AS
            SELECT coalesce(by_key.base, by_name.base) AS base, edges.* EXCLUDE (parent)
            FROM edges
            LEFT JOIN (SELECT key, min(base) AS base FROM bases GROUP BY key) AS by_key
                ON by_key.key = edges.parent.key
            LEFT JOIN bases AS by_name ON by_name.name = edges.parent.name
            """
        )
        if not self.ask("SELECT 1 FROM bases LIMIT 1"):
            kind = "" if self.relation == "all" else f"{self.relation} "
            place = f" in {', '.join(self.namespaces)}" if self.namespaces else ""
            raise SourceError(
                f"{self.label} has no base model with a {kind}child{place}; choose another "
                "--relation or --organization"
            )
        orphans = self.ask("SELECT count(*) FROM children WHERE base IS NULL")[0][0]
        if orphans and not self.namespaces:
            self.notes.append(
                f"{orphans:,} children name a base model that is not in the snapshot (deleted, "
                "private or renamed) and are not counted"
            )
        self._refuse_too_large(observed_at)

    def _refuse_too_large(self, observed_at: pd.Timestamp) -> None:
        span = {
            "first": FIRST_KNOWN_TIME.tz_localize(None).to_pydatetime(),
            "last": observed_at.tz_localize(None).to_pydatetime(),
        }
        rows = self.ask(
            "SELECT coalesce(sum(datediff('month', created, $last) + 1), 0)::BIGINT FROM bases "
            "WHERE created BETWEEN $first AND $last",
            span,
        )[0][0]
        if rows > MAX_ROWS:
            raise SourceError(
                f"{self.label}: the panel would have {rows:,} rows, more than {MAX_ROWS:,}; ask "
                "for less with --organization or --min-finetunes 1"
            )

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return base models and children as `build_panel` wants them, and drop them here."""
        bases = self.connection.execute(
            "SELECT name AS base_model, key, created AS created_at, downloads_all_time, "
            "downloads, likes FROM bases ORDER BY base"
        ).df()
        children = self.connection.execute(
            "SELECT base, key, name, author, created AS created_at FROM children "
            "WHERE base IS NOT NULL ORDER BY base, created, key"
        ).df()
        self.ask("DROP TABLE children; DROP TABLE edges; DROP TABLE bases")
        for table in (bases, children):
            table["created_at"] = pd.DatetimeIndex(table["created_at"]).tz_localize("UTC")
        return bases.drop(columns=list(TODAY)) if self.newer else bases, children
