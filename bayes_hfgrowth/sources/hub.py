"""Panels from the live Hub: collect the children of base models and count them by month."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from bayes_hfgrowth.panel.counted import KINDS, Metric, Relation
from bayes_hfgrowth.panel.relations import RelationPanels
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.cache import Run, default_cache, file_name
from bayes_hfgrowth.sources.client import HubClient, Patience
from bayes_hfgrowth.sources.collector import Collector
from bayes_hfgrowth.sources.events import Summary, build_panel
from bayes_hfgrowth.sources.lineage import checked_relations
from bayes_hfgrowth.sources.progress import shown, tell
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
        place = urlsplit(client.endpoint)
        root = Path(cache).expanduser() if cache is not None else default_cache()
        root /= file_name(f"{place.netloc}{place.path}")
        key = ["+".join(chosen), str(refresh), *sorted(asked), "organizations", *sorted(owners)]
        run = Run(root, key, now())
        collector = Collector(client, root, run, chosen, refresh, display, now)
        tables = collector.children(collector.models(asked, owners))
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
    panels = fetch_relations(
        base_models, namespaces=namespaces, relations=(relation,), metric=metric, cache=cache,
        refresh=refresh, token=token, endpoint=endpoint, progress=progress,
    )  # fmt: skip
    return panels[relation]


def fetch_relations(
    base_models: Iterable[str] = (),
    *,
    namespaces: Iterable[str] = (),
    relations: Iterable[Relation] = KINDS,
    metric: Metric = "finetunes",
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    progress: bool = True,
) -> RelationPanels:
    """Fetch panels of several relations of base models from the Hub.

    Parameters
    ----------
    base_models, namespaces, relations, metric, cache, refresh, token, endpoint, progress
        As in `collect_relations`; the summaries are printed on standard error unless `progress`
        is false.

    Returns
    -------
    RelationPanels
        A panel for each relation, all observed at one date.

    Raises
    ------
    SourceError
        See `collect`.

    Examples
    --------
    >>> import bayes_hfgrowth as hfg
    >>> relations = hfg.fetch_relations(["meta-llama/Llama-3.1-8B"])  # doctest: +SKIP
    >>> relations.last_counts()  # doctest: +SKIP
    """
    found = collect_relations(
        base_models, namespaces=namespaces, relations=relations, metric=metric, cache=cache,
        refresh=refresh, token=token, endpoint=endpoint, progress=progress,
    )  # fmt: skip
    if progress:
        tell(lines_of(found.values()))
    return RelationPanels({relation: one.panel for relation, one in found.items()})


def lines_of(collections: Iterable[Collection]) -> list[str]:
    """Say in plain sentences what was collected; what all have in common is said once."""
    lines = [line for one in collections for line in one.summary.lines()]
    notes = [note for one in collections for note in one.notes]
    return [*dict.fromkeys(lines), *dict.fromkeys(notes)]
