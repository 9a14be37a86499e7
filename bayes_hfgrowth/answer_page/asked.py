"""What a page is asked about: base models and namespaces, and their counts from the Hub."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from huggingface_hub.constants import HUGGINGFACE_CO_URL_HOME

from bayes_hfgrowth.panel.counted import Counted, Metric, Relation
from bayes_hfgrowth.panel.relations import RelationPanels
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.client import UnreachableError
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.sources.hub import collect_relations, lines_of
from bayes_hfgrowth.support.errors import ForecastError, PanelError, SourceError
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.months import as_utc

__all__ = ["Asked", "check_asked", "from_example", "from_hub", "from_panel", "from_relations"]


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
    by_relation : RelationPanels or None
        The same base models by all relations that were asked for, if these are several.
    """

    names: tuple[str, ...]
    panel: Panel
    source: str
    notes: tuple[str, ...]
    whole: tuple[str, ...]
    today: Mapping[str, int] = field(default_factory=dict)
    by_relation: RelationPanels | None = None

    def as_of(self, date: Date, note: str) -> "Asked":
        """What was known at a date, and a note of it."""
        by_relation = self.by_relation and _known(self.by_relation, date)
        panel, notes = self.panel.as_of(date), (*self.notes, note)
        return replace(self, panel=panel, notes=notes, today={}, by_relation=by_relation)


def check_asked(relations: Iterable[Relation], metric: Metric, counted: Counted) -> None:
    """Check that something of what is asked for can be forecast.

    Parameters
    ----------
    relations : iterable of str
        What is asked for.
    metric : str
        What is counted of each.
    counted : Counted
        What the population was learned from.

    Raises
    ------
    ForecastError
        When it is of something else.
    """
    asked = [Counted(metric, relation) for relation in relations]
    if counted not in asked:
        raise ForecastError(
            f"the page is to be of {', '.join(each.many for each in asked)}, and the population "
            f"posterior knows only how {counted.many} grow; ask for these too, or give a fit of "
            "what is asked for with --population FIT"
        )


def from_hub(names: Iterable[str], *, forecast: Relation, metric: Metric, **options: Any) -> Asked:
    """Collect what is asked for from the Hub.

    Parameters
    ----------
    names : iterable of str
        Ids, ``namespace/name``, or namespaces, for all their base models.
    forecast : str
        Which of the relations is to be forecast.
    metric : str
        What is counted.
    **options
        Passed on to `bayes_hfgrowth.sources.hub.collect_relations`, which goes on where it
        stopped after an interruption.

    Raises
    ------
    SourceError
        When an id or a namespace does not exist or may not be seen, or nothing is left to count.
    """
    asked = _checked(names)
    ids = [name for name in asked if "/" in name]
    namespaces = [name for name in asked if "/" not in name]
    by_relation = collect_relations(ids, namespaces=namespaces, metric=metric, **options)
    found = by_relation[forecast]
    told = found.summary.table.set_index("base_model")
    status = told["status"]
    today = (told["counted"] + told["later"])[told["included"]].to_dict()
    notes = lines_of(by_relation.values())
    if len(ids) > 1 or namespaces:
        # Named base models that cannot be counted are missing from the page, so it says which.
        gone = status[status.isin(["unknown age", "too new"]) & status.index.isin(ids)]
        reasons = {"unknown age": "the Hub does not know its age", "too new": "it is of today"}
        notes += [f"{name} is not on this page: {reasons[why]}" for name, why in gone.items()]
    panels = {name: one.panel for name, one in by_relation.items()}
    return Asked(
        names=asked,
        panel=found.panel,
        source=f"the Hugging Face Hub ({_kind(found.panel.counted)})",
        notes=tuple(notes),
        whole=_organizations(found.panel, namespaces),
        today=today if metric == "finetunes" else {},
        by_relation=RelationPanels(panels) if len(panels) > 1 else None,
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
    models, later = known.base_models, panel.base_models
    for name in asked:
        if as_of is not None and name in later.index and name not in models.index:
            created = later.loc[name, "created_at"]
            raise PanelError(
                f"{name} was created on {created:%Y-%m-%d}, so nothing was known of it on "
                f"{as_utc(as_of):%Y-%m-%d}; give a later date"
            )
    ids = [name for name in asked if "/" in name or name in models.index]
    groups = [name for name in asked if name not in ids]
    chosen = list(ids)
    for name in groups:
        own = models.index[_owned(models, [name])]
        if not len(own):
            raise PanelError(
                f"organization or namespace {name!r} is not in the panel; it holds "
                f"{', '.join(sorted(set(models['organization']))[:5])}"
            )
        chosen += own.tolist()
    part = known.select(base_models=dict.fromkeys(chosen) if asked else None)
    return Asked(asked, part, source, (), _organizations(part, groups))


def from_relations(
    panels: RelationPanels, names: Iterable[str], as_of: Date | None, forecast: Relation
) -> Asked:
    """Take what is asked for from a panel file of one or several relations.

    Parameters
    ----------
    panels : RelationPanels
        Hold it.
    names, as_of
        As in `from_panel`; names are looked up in the panel that is forecast.
    forecast : str
        Which of the relations is to be forecast.

    Raises
    ------
    PanelError
        As `from_panel` does.
    """
    asked = from_panel(panels[forecast], names, as_of, "a panel file")
    by_relation = panels if as_of is None else _known(panels, as_of)
    return replace(asked, by_relation=by_relation if len(panels.relations) > 1 else None)


def from_example(
    names: Iterable[str],
    as_of: Date | None,
    *,
    relations: Iterable[Relation],
    metric: Metric,
    failure: UnreachableError | None = None,
) -> Asked:
    """Take what is asked for from the data that come with the package.

    Parameters
    ----------
    names, as_of
        As in `from_panel`; without a name nothing is asked for.
    relations, metric
        What is to be counted. The data are of fine-tunes and of nothing else.
    failure : UnreachableError, optional
        Why they stand in for the Hub.

    Raises
    ------
    SourceError
        When they do not hold a name, or do not count what is asked for.
    PanelError
        When nothing was known at the date.
    """
    asked = _checked(names)
    panel = load_example()
    models = panel.base_models
    unknown = [
        name for name in asked if name not in models.index and not _owned(models, [name]).any()
    ]
    counted = [Counted(metric, relation) for relation in relations]
    uncounted = [each.many for each in counted if each != panel.counted]
    shipped = "the data that come with the package"
    if unknown or uncounted:
        verb = "is" if len(unknown) == 1 and not uncounted else "are"
        lacks = f"{', '.join(unknown + uncounted)} {verb} not in {shipped}"
        raise SourceError(lacks if failure is None else f"{failure}; {lacks}")
    source = shipped if failure is None else f"{shipped}, since the Hub does not answer"
    return from_panel(panel, asked, as_of, source)


def _known(panels: RelationPanels, date: Date) -> RelationPanels:
    """What was known at a date, of the relations of which anything was."""
    when = as_utc(date)
    born = {name: panel.base_models["created_at"].min() for name, panel in panels.panels.items()}
    return panels.chosen(name for name, first in born.items() if first <= when).as_of(date)


def _kind(counted: Counted) -> str:
    """What is counted, in the Hub's words."""
    kinds = f"{counted.relation} children"
    if counted.relation == "all":
        kinds = "children of any relation"
    return kinds if counted.metric == "finetunes" else f"namespaces with {kinds}"


def _checked(names: Iterable[str]) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(_id(name.strip()) for name in names))
    if not asked or not all(asked):
        raise SourceError(
            "nothing is asked for; give the id of a base model, namespace/name, or a namespace"
        )
    for name in asked:
        if name.count("/") > 1 or name.startswith("/") or name.endswith("/"):
            raise SourceError(f"{name!r} is not a Hub id; write it as namespace/name")
    return asked


def _id(name: str) -> str:
    """Take the id out of an address, as it is copied from a browser."""
    found = name.removeprefix(HUGGINGFACE_CO_URL_HOME)
    return name if found == name else found.rstrip("/")


def _owned(models: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Whether base models are of one of these organizations or namespaces, in any case."""
    wanted = {name.lower() for name in names}
    owners = models.index.str.split("/").str[0].str.lower()
    return models["organization"].str.lower().isin(wanted) | owners.isin(wanted)


def _organizations(panel: Panel, namespaces: Iterable[str]) -> tuple[str, ...]:
    """Organizations of the panel that namespaces or labels name."""
    models = panel.base_models
    return tuple(sorted(set(models.loc[_owned(models, namespaces), "organization"])))
