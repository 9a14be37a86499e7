"""One run over the Hub: base models, and the listings of their children."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd

from bayes_hfgrowth.panel.counted import Relation
from bayes_hfgrowth.panel.organizations import organization_table
from bayes_hfgrowth.panel.rules import TODAY
from bayes_hfgrowth.sources.cache import Answers, Listing, Row, Run, file_name, parse_time
from bayes_hfgrowth.sources.client import HubClient, NotAvailableError
from bayes_hfgrowth.sources.lineage import (
    RENAMED_NAMESPACES,
    carries,
    stated_children,
    stated_number,
)
from bayes_hfgrowth.sources.progress import Display
from bayes_hfgrowth.support.errors import SourceError

__all__ = ["Collector"]

_CHILD_COLUMNS = ("base", "key", "name", "author", "created_at")


class Collector:
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
            known = found.setdefault(model.get("_id") or model["id"], model)
            if known is not model:  # named twice, say by an old name, or by its namespace
                known["derived"] = known.get("derived", False) and model.get("derived", False)

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
