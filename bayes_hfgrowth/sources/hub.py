"""Panels from the live Hub: collect the children of base models and count them by month."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from rich.console import Console

from bayes_hfgrowth.panel.counted import KINDS, RELATIONS, Metric, Relation
from bayes_hfgrowth.panel.organizations import organization_table
from bayes_hfgrowth.panel.rules import TODAY
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.cache import (
    Answers,
    Listing,
    Row,
    Run,
    default_cache,
    file_name,
    parse_time,
)
from bayes_hfgrowth.sources.client import HubClient, NotAvailableError, Patience
from bayes_hfgrowth.sources.events import Summary, build_panel
from bayes_hfgrowth.sources.lineage import (
    RENAMED_NAMESPACES,
    carries,
    stated_children,
    stated_number,
)
from bayes_hfgrowth.sources.progress import Display, shown
from bayes_hfgrowth.support.deprecation import renamed_argument
from bayes_hfgrowth.support.errors import SourceError


@dataclass(frozen=True)
class Collection:
    """A panel from the Hub and what there is to know about it.

    Attributes
    ----------
    panel : Panel
        The counts.
    summary : Summary
        What was counted, left out and why.
    notes : tuple of str
        What else the user should know: renames, gated or disabled base models, the age of what
        was listed earlier.
    requests : int
        Requests sent to the Hub.
    """

    panel: Panel
    summary: Summary
    notes: tuple[str, ...]
    requests: int

    def lines(self) -> list[str]:
        """Say it in plain sentences, one a line."""
        return [*self.summary.lines(), *self.notes]


def checked_relations(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    """Check relations, and take each once.

    Raises
    ------
    SourceError
        When there is none, or one does not exist.
    """
    found = tuple(dict.fromkeys(relations))
    for relation in found:
        if relation not in RELATIONS:
            raise SourceError(
                f"relation {relation!r} does not exist; choose one of {', '.join(RELATIONS)}"
            )
    if not found:
        raise SourceError(f"no relation is given; choose some of {', '.join(RELATIONS)}")
    return found


@renamed_argument("organizations", "namespaces", since="0.2")
def collect(
    base_models: Iterable[str] = (),
    *,
    namespaces: Iterable[str] = (),
    relation: Relation = "finetune",
    metric: Metric = "finetunes",
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    patience: Patience | None = None,
    progress: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Collection:
    """Collect a panel from the Hub, with the summary of what was counted and what was not.

    Parameters
    ----------
    base_models : iterable of str
        Hub ids, ``namespace/name``; renames are followed.
    namespaces : iterable of str
        Hub namespaces; all their models are taken, except those that declare a base model
        themselves and have no children.
    relation : {"finetune", "adapter", "merge", "quantized", "all"}
        Which children to count, as their authors or the Hub declare it.
    metric : {"finetunes", "authors"}
        Whether to count these children, or the different namespaces that made them.
    cache : path-like, optional
        Folder for the pages that arrive (default ``HFGROWTH_CACHE`` or the user's cache folder).
        A run that was interrupted goes on where it stopped, a later one asks only for what is
        new.
    refresh : bool
        List everything again, so that children that have vanished are no longer counted and
        those that were declared late are.
    token, endpoint : optional
        As in huggingface_hub; by default its usual places.
    patience : Patience, optional
        Timeouts and limits of waiting.
    progress : bool
        Show progress on standard error.
    now : callable
        The clock. The observation date of the panel is the beginning of the day (UTC) on which
        the run began: the Hub's answers are complete up to then.

    Returns
    -------
    Collection
        The panel, its summary and notes.

    Raises
    ------
    SourceError
        If an id does not exist or may not be seen, the Hub can't be reached or limits the rate
        for too long, or no base model is left. What has arrived is kept in the cache.
    """
    found = collect_relations(
        base_models, namespaces=namespaces, relations=(relation,), metric=metric, cache=cache,
        refresh=refresh, token=token, endpoint=endpoint, patience=patience, progress=progress,
        now=now,
    )  # fmt: skip
    return found[relation]


def collect_relations(
    base_models: Iterable[str] = (),
    *,
    namespaces: Iterable[str] = (),
    relations: Iterable[Relation] = KINDS,
    metric: Metric = "finetunes",
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    patience: Patience | None = None,
    progress: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[Relation, Collection]:
    """Collect panels of several relations of the same base models, observed at one date.

    Parameters
    ----------
    relations : iterable of {"finetune", "adapter", "merge", "quantized", "all"}
        Which children to count, each relation for itself; by default all four.
    base_models, namespaces, metric, cache, refresh, token, endpoint, patience, progress, now
        As in `collect`.

    Returns
    -------
    dict
        A collection for each relation, in the order given. All have the same base models.

    Raises
    ------
    SourceError
        As `collect` does.
    """
    asked = list(dict.fromkeys(base_models))
    owners = list(dict.fromkeys(namespaces))
    if not asked and not owners:
        raise SourceError("nothing to fetch: give the ids of base models, or an --organization")
    chosen = checked_relations(relations)
    with shown(progress) as display:
        client = HubClient(endpoint, token, patience, display.waiting)
        root = (Path(cache).expanduser() if cache is not None else default_cache()) / file_name(
            _host(client.endpoint)
        )
        run = Run(
            root,
            ["+".join(chosen), str(refresh), *sorted(asked), "organizations", *sorted(owners)],
            now(),
        )
        collector = _Collector(client, root, run, chosen, refresh, display, now)
        models = collector.models(asked, owners)
        tables = collector.children(models)
        observed_at = pd.Timestamp(run.begun).tz_convert("UTC").normalize().as_unit("us")
        built = {
            relation: build_panel(
                *tables[relation], observed_at, relation=relation, source=client.endpoint,
                metric=metric,
            )
            for relation in chosen
        }  # fmt: skip
        run.done()
    notes = tuple(collector.notes())
    return {
        relation: Collection(panel, summary, notes, client.requests)
        for relation, (panel, summary) in built.items()
    }


@renamed_argument("organizations", "namespaces", since="0.2")
def fetch_panel(
    base_models: Iterable[str] = (),
    *,
    namespaces: Iterable[str] = (),
    relation: Relation = "finetune",
    metric: Metric = "finetunes",
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    progress: bool = True,
) -> Panel:
    """Fetch a panel of base models from the Hub.

    Parameters
    ----------
    base_models, namespaces, relation, metric, cache, refresh, token, endpoint, progress
        As in `bayes_hfgrowth.sources.hub.collect`, which also returns the summary that is
        printed here on standard error unless `progress` is false.

    Returns
    -------
    Panel
        Monthly cumulative counts of children with the relation, or of their authors.

    Raises
    ------
    SourceError
        See `bayes_hfgrowth.sources.hub.collect`.

    Examples
    --------
    >>> import bayes_hfgrowth as hfg
    >>> panel = hfg.fetch_panel(["meta-llama/Llama-3.1-8B"])  # doctest: +SKIP
    """
    collection = collect(
        base_models,
        namespaces=namespaces,
        relation=relation,
        metric=metric,
        cache=cache,
        refresh=refresh,
        token=token,
        endpoint=endpoint,
        progress=progress,
    )
    if progress:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for line in collection.lines():
            console.print(line, markup=False)
    return collection.panel


_CHILD_COLUMNS = ("base", "key", "name", "author", "created_at")


class _Collector:
    """One run over one Hub."""

    def __init__(
        self,
        client: HubClient,
        root: Path,
        run: Run,
        relations: tuple[Relation, ...],
        refresh: bool,
        display: Display,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._root, self._run = client, root, run
        self._relations, self._refresh = relations, refresh
        self._display, self._now = display, now
        self._answers = Answers(root, run.begun)
        self._renamed: list[str] = []
        self._marked: dict[str, list[str]] = {"gated": [], "disabled": []}
        self._foreign = 0
        self._listed: list[datetime] = []

    def models(self, asked: list[str], namespaces: list[str]) -> list[Row]:
        """Ask for the base models themselves, each repository once."""
        found: dict[str, Row] = {}

        def add(model: Row) -> None:
            key = model.get("_id") or model["id"]
            if key in found:  # named twice, say by an old name, or by its namespace
                found[key]["derived"] = found[key].get("derived", False) and model.get(
                    "derived", False
                )
            else:
                found[key] = model

        for name in asked:
            add(self._model(name))
        for namespace in namespaces:
            members = self._members(namespace)
            self._display.begin(f"models of {namespace}", len(members))
            for member in members:
                derived = any(str(t).startswith("base_model:") for t in member.get("tags") or ())
                try:
                    model = self._model(member["id"])
                    add(model | {"derived": derived})
                except NotAvailableError:
                    add({"id": member["id"], "_id": member.get("_id"), "status": "not available"})
                self._display.step()
        return list(found.values())

    def _model(self, name: str) -> Row:
        model = self._answers.get(name)
        if model is None:
            moment = self._now()
            model = self._client.model(name)
            self._answers.put(name, model, moment)
        if model["id"] != name:
            self._renamed.append(f"{name} is {model['id']} today")
        for mark, names in self._marked.items():
            if model.get(mark):
                names.append(model["id"])
        return model

    def _members(self, namespace: str) -> list[Row]:
        query = self._client.namespace_query(namespace)
        rows = list(self._listing(f"namespace/{file_name(namespace)}", query))
        prefix = f"{namespace.lower()}/"
        owned = {
            (row.get("_id") or row["id"]): row
            for row in rows
            if str(row.get("id")).lower().startswith(prefix)
        }
        if owned:
            return list(owned.values())
        today = RENAMED_NAMESPACES.get(namespace.lower())
        if today is not None:
            self._renamed.append(f"{namespace} is {today} today")
            return self._members(today)
        labels = organization_table().labels
        known = sorted(n for n, label in labels.items() if label.lower() == namespace.lower())
        mend = (
            f"its namespaces are {', '.join(known)}"
            if known
            else "check the spelling, it is what stands before the slash"
        )
        raise SourceError(f"{self._client.endpoint} lists no models of {namespace!r}; {mend}")

    def _listing(self, folder: str, query: str) -> Iterator[Row]:
        listing = Listing(self._root / folder)
        with listing.locked(
            lambda: self._display.say(f"another run is collecting {folder}; waiting for it")
        ):
            listing.update(
                self._client.page,
                query,
                self._run.begun,
                self._refresh,
                self._now,
                self._display.rows,
            )
            if listing.listed_at:
                self._listed.append(listing.listed_at)
            yield from listing.rows()

    def children(self, models: list[Row]) -> dict[Relation, tuple[pd.DataFrame, pd.DataFrame]]:
        """Collect the children of all base models, as tables for `build_panel`."""
        bases: dict[Relation, list[dict[str, object]]] = {name: [] for name in self._relations}
        children: dict[Relation, dict[str, list[object]]] = {
            relation: {name: [] for name in _CHILD_COLUMNS} for relation in self._relations
        }
        self._display.begin("base models", len(models))
        for number, model in enumerate(models):
            status = model.get("status", "")
            if not status:
                found = [
                    self._add_children(model, number, relation, columns)
                    for relation, columns in children.items()
                ]
                status = "derivative" if model.get("derived") and not any(found) else ""
            for relation, rows in bases.items():
                rows.append(
                    {
                        "base_model": model["id"],
                        "key": model.get("_id") or model["id"],
                        "created_at": parse_time(model.get("createdAt")),
                        "hub_count": stated_children(model, relation),
                        "downloads_all_time": stated_number(model, "downloadsAllTime"),
                        "downloads": stated_number(model, "downloads"),
                        "likes": stated_number(model, "likes"),
                        "status": status,
                    }
                )
            self._display.step()
        return {name: _tables(bases[name], children[name]) for name in self._relations}

    def _add_children(
        self, model: Row, number: int, relation: Relation, columns: dict[str, list[object]]
    ) -> int:
        """Add the rows of a listing that really are children; return their number."""
        folder = f"children/{relation}/{file_name(f'{model["id"]} {model.get("_id")}')}"
        query = self._client.children_query(model["id"], relation)
        before = len(columns["base"])
        for row in self._listing(folder, query):
            name = row.get("id")
            if not isinstance(name, str) or not carries(row, model, relation):
                self._foreign += 1
                continue
            author = row.get("author")
            values = (
                number,
                row.get("_id") or name,
                name,
                author if isinstance(author, str) and author else name.split("/")[0],
                parse_time(row.get("createdAt")),
            )
            for column, value in zip(_CHILD_COLUMNS, values, strict=True):
                columns[column].append(value)
        return len(columns["base"]) - before

    def notes(self) -> list[str]:
        """Say what else the user should know."""
        notes = [f"renamed: {rename}" for rename in dict.fromkeys(self._renamed)]
        for mark, names in self._marked.items():
            if names:
                names = list(dict.fromkeys(names))
                shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
                notes.append(
                    f"{len(names):,} base models are {mark}; their lineage is public ({shown})"
                )
        if self._foreign:
            notes.append(f"{self._foreign:,} rows dropped: they do not carry the wanted tag")
        if self._listed and min(self._listed).date() < self._run.begun.date():
            notes.append(
                f"some children were listed on {min(self._listed):%Y-%m-%d} and only newer ones "
                "since: what has vanished or was declared later is not seen; --refresh lists "
                "everything again"
            )
        return notes


def _tables(
    bases: list[dict[str, object]], children: dict[str, list[object]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Base models and children as `build_panel` wants them."""
    tables = pd.DataFrame(bases), pd.DataFrame(children).astype({"base": "int64"})
    for table in tables:
        table["created_at"] = pd.to_datetime(table["created_at"], utc=True).dt.as_unit("us")
    stated = dict.fromkeys(("hub_count", *TODAY), "Int64")
    return tables[0].astype(stated), tables[1]


def _host(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.netloc}{parts.path}"
