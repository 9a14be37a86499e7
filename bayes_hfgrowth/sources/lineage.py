"""What a row of the Hub says about its base models, and a base model about its children."""

from collections.abc import Iterable

from bayes_hfgrowth.panel.counted import KINDS, RELATIONS, Relation
from bayes_hfgrowth.sources.cache import Row
from bayes_hfgrowth.support.errors import SourceError

RENAMED_NAMESPACES = {"cohereforai": "CohereLabs", "thudm": "zai-org"}
"""Renamed namespaces: the Hub redirects their repositories, but lists nothing under them."""


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


def spellings(namespace: str) -> set[str]:
    """Return a namespace in lower case with the earlier or later name it has.

    Examples
    --------
    >>> sorted(spellings("THUDM"))
    ['thudm', 'zai-org']
    """
    wanted = namespace.lower()
    pairs = [{old, today.lower()} for old, today in RENAMED_NAMESPACES.items()]
    return {wanted}.union(*(pair for pair in pairs if wanted in pair))


def carries(row: Row, base: Row, relation: str) -> bool:
    """Tell whether a row of a listing really declares a base model with the relation, or ``all``.

    The tags decide. A row that has lost its tags is judged by ``baseModels``.
    """
    name = base["id"]
    relations = KINDS if relation == "all" else (relation,)
    tags = row.get("tags")
    if isinstance(tags, list):
        wanted = {f"base_model:{r}:{name}" for r in relations}
        if relation == "all":
            wanted.add(f"base_model:{name}")
        return not wanted.isdisjoint(t for t in tags if isinstance(t, str))
    lineage = row.get("baseModels")
    if not isinstance(lineage, dict) or (relation != "all" and lineage.get("relation") != relation):
        return False
    return any(
        isinstance(m, dict)
        and (m.get("id") == name or (base.get("_id") and m.get("_id") == base["_id"]))
        for m in lineage.get("models") or ()
    )


def stated_children(model: Row, relation: str) -> int | None:
    """Return the Hub's own number of children of a relation, or of ``all``, if it states one."""
    counts = model.get("childrenModelCount")
    if not isinstance(counts, dict):
        return None
    numbers = [counts.get(r) for r in KINDS if relation in (r, "all")]
    whole = [n for n in numbers if isinstance(n, int)]
    return sum(whole) if whole else None


def stated_number(model: Row, name: str) -> int | None:
    """Return a count that the Hub states of a model, ``downloadsAllTime`` say, if it does."""
    number = model.get(name)
    counted = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return number if counted else None
