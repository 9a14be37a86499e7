"""What a page is asked about: base models and namespaces, and their counts from the Hub."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bayes_hfgrowth.panel.counted import Relation
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.hub import collect
from bayes_hfgrowth.support.errors import PanelError, SourceError
from bayes_hfgrowth.support.horizon import Date

__all__ = ["Asked", "from_hub", "from_panel"]


@dataclass(frozen=True, eq=False)
class Asked:
    """Base models that a page is about.

    Parameters
    ----------
    names : tuple of str
        What was asked for: ids, ``namespace/name``, and namespaces.
    panel : Panel
        Their counts.
    source : str
        Where these come from, in words.
    notes : tuple of str
        What else there is to know of them.
    whole : tuple of str
        Organizations all of whose base models were asked for.
    today : mapping of str to int
        Counts on the observation date, with the month that is not over, where they are known.
    """

    names: tuple[str, ...]
    panel: Panel
    source: str
    notes: tuple[str, ...]
    whole: tuple[str, ...]
    today: Mapping[str, int] = field(default_factory=dict)


def from_hub(
    names: Iterable[str],
    *,
    relation: Relation = "finetune",
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    progress: bool = True,
) -> Asked:
    """Collect what is asked for from the Hub.

    Parameters
    ----------
    names : iterable of str
        Ids, ``namespace/name``, or namespaces, for all their base models.
    relation, cache, refresh, token, endpoint, progress
        As in `bayes_hfgrowth.sources.hub.collect`, which goes on where it stopped after an
        interruption.

    Raises
    ------
    SourceError
        When an id or a namespace does not exist or may not be seen, or nothing is left to count.
    """
    asked = _checked(names)
    ids = [name for name in asked if "/" in name]
    namespaces = [name for name in asked if "/" not in name]
    found = collect(
        ids, namespaces=namespaces, relation=relation, cache=cache, refresh=refresh,
        token=token, endpoint=endpoint, progress=progress,
    )  # fmt: skip
    told = found.summary.table.set_index("base_model")
    status = told["status"]
    today = (told["counted"] + told["later"])[told["included"]]
    notes = list(found.lines())
    if len(ids) > 1 or namespaces:
        # Named base models that cannot be counted are missing from the page, so it says which.
        gone = status[status.isin(["unknown age", "too new"]) & status.index.isin(ids)]
        reasons = {"unknown age": "the Hub does not know its age", "too new": "it is of today"}
        notes += [f"{name} is not on this page: {reasons[why]}" for name, why in gone.items()]
    kind = "children of any relation" if relation == "all" else f"{relation} children"
    whole = _organizations(found.panel, namespaces)
    return Asked(
        asked, found.panel, f"the Hugging Face Hub ({kind})", tuple(notes), whole, today.to_dict()
    )


def from_panel(panel: Panel, names: Iterable[str], as_of: Date | None, source: str) -> Asked:
    """Take what is asked for from a panel.

    Parameters
    ----------
    panel : Panel
        Holds it.
    names : iterable of str
        Base models, or organizations or namespaces, for all their base models; all base models
        of the panel when none is given.
    as_of : date, optional
        What was known at this date.
    source : str
        What the panel is called.

    Raises
    ------
    PanelError
        When the panel holds no such base model or organization, or nothing was known.
    """
    known = panel if as_of is None else panel.as_of(as_of)
    asked = tuple(dict.fromkeys(names))
    models = known.base_models
    ids = [name for name in asked if "/" in name or name in models.index]
    groups = [name for name in asked if name not in ids]
    chosen = list(ids)
    owners = models.index.str.split("/").str[0].str.lower()
    labels = models["organization"].str.lower()
    for name in groups:
        own = models.index[(owners == name.lower()) | (labels == name.lower())]
        if not len(own):
            raise PanelError(
                f"organization or namespace {name!r} is not in the panel; it holds "
                f"{', '.join(sorted(set(models['organization']))[:5])}"
            )
        chosen += own.tolist()
    part = known.select(base_models=dict.fromkeys(chosen) if asked else None)
    whole = _organizations(part, groups)
    return Asked(asked, part, source, (), whole)


def _checked(names: Iterable[str]) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(name.strip() for name in names))
    if not asked or not all(asked):
        raise SourceError(
            "nothing is asked for; give the id of a base model, namespace/name, or a namespace"
        )
    for name in asked:
        if name.count("/") > 1 or name.startswith("/") or name.endswith("/"):
            raise SourceError(f"{name!r} is not a Hub id; write it as namespace/name")
    return asked


def _organizations(panel: Panel, namespaces: Iterable[str]) -> tuple[str, ...]:
    """Organizations of the panel that namespaces or labels name."""
    wanted = {name.lower() for name in namespaces}
    if not wanted:
        return ()
    models = panel.base_models
    owners = models.index.str.split("/").str[0].str.lower()
    own = owners.isin(wanted) | models["organization"].str.lower().isin(wanted)
    return tuple(sorted(set(models.loc[own, "organization"])))
