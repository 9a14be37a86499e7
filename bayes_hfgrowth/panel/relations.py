"""Panels of several relations side by side: fine-tunes, adapters, merges, quantized versions."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import pandas as pd

from bayes_hfgrowth.panel.counted import RELATIONS, Metric, Relation
from bayes_hfgrowth.panel.counted_columns import RELATION
from bayes_hfgrowth.panel.organizations import OrganizationTable
from bayes_hfgrowth.panel.rules import TEXT_COLUMNS, checked
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.files import read_table, row_place, write_table
from bayes_hfgrowth.support.names import indices_of

__all__ = ["RECENT", "RelationPanels", "read_relations"]

RECENT = 3
"""Months that count as recent where relations are compared."""


@dataclass(frozen=True, eq=False)
class RelationPanels:
    """One panel for each relation, observed at one date, and counted alike.

    Parameters
    ----------
    panels : mapping of str to Panel
        By relation. A base model may be in some of them only.

    Raises
    ------
    PanelError
        When there is none, one is not of its relation, or they do not fit together: another
        observation date, other things counted, or a base model created at two times.
    """

    panels: Mapping[Relation, Panel]

    def __post_init__(self) -> None:
        if not self.panels:
            raise PanelError("no relation is given; give a panel for one at least")
        first = next(iter(self.panels.values()))
        created: dict[str, pd.Timestamp] = {}
        for relation, panel in self.panels.items():
            if panel.counted != replace(first.counted, relation=relation):
                raise PanelError(
                    f"the panel of relation {relation!r} counts {panel.counted.many}; relations "
                    "stand side by side by one metric, so collect them together"
                )
            if panel.observed_at != first.observed_at:
                raise PanelError(
                    f"{panel.counted.many} were observed at {panel.observed_at} and "
                    f"{first.counted.many} at {first.observed_at}; collect them together"
                )
            for name, at in panel.base_models["created_at"].items():
                if created.setdefault(str(name), at) != at:
                    raise PanelError(
                        f"{name!r} was created on {at} by its {panel.counted.many} and on "
                        f"{created[str(name)]} by others; collect them together"
                    )

    def __getitem__(self, relation: Relation) -> Panel:
        if relation not in self.panels:
            raise PanelError(
                f"there is no panel of relation {relation!r}; there are {', '.join(self.panels)}"
            )
        return self.panels[relation]

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations, in order."""
        return tuple(self.panels)

    @property
    def base_models(self) -> tuple[str, ...]:
        """All base models, in the order in which they first appear."""
        return tuple(
            dict.fromkeys(name for p in self.panels.values() for name in p.base_models.index)
        )

    def chosen(self, relations: Iterable[Relation]) -> Self:
        """Some of the relations, in the order given.

        Raises
        ------
        PanelError
            When there is no panel of one of them.
        """
        return type(self)({relation: self[relation] for relation in relations})

    def as_of(self, date: str | pd.Timestamp) -> Self:
        """What was known at a date; see `Panel.as_of`."""
        return type(self)({relation: p.as_of(date) for relation, p in self.panels.items()})

    def counting(self, metric: Metric) -> Self:
        """Count models or the namespaces that made them; see `Panel.counting`."""
        return type(self)({relation: p.counting(metric) for relation, p in self.panels.items()})

    def last_counts(self, base_models: Iterable[str] | None = None) -> pd.DataFrame:
        """Put the last counts of each base model side by side.

        Parameters
        ----------
        base_models : iterable of str, optional
            Which; all when not given.

        Returns
        -------
        pandas.DataFrame
            One row for each base model and relation that it has: ``base_model``,
            ``organization``, ``relation``, ``counted`` (noun), ``month`` (age in whole months),
            ``date`` (end of that month, UTC), ``count`` (cumulative), ``recent`` (of them in the
            last `RECENT` months, or since birth), ``share`` (of the sum over relations, ``all``
            left out; missing where that is 0), ``authors`` and ``largest_author_share`` (missing
            where the panel does not know authors).

        Raises
        ------
        PanelError
            When a base model is in none of the panels.
        """
        known = self.base_models
        places = indices_of(base_models, known, "base model", "panel", PanelError)
        table = pd.concat([_last_rows(panel) for panel in self.panels.values()])
        order = {known[place]: at for at, place in enumerate(places)}
        table = table[table["base_model"].isin(order.keys())]
        rank = {relation: at for at, relation in enumerate(RELATIONS)}
        table = table.sort_values(
            ["base_model", "relation"],
            key=lambda column: column.map(order if column.name == "base_model" else rank),
            ignore_index=True,
        )
        own = table["count"].where(table["relation"] != "all", 0)
        total = own.groupby(table["base_model"]).transform("sum")
        share = (own / total.where(total > 0)).where(table["relation"] != "all")
        table.insert(table.columns.get_loc("recent") + 1, "share", share)
        return table

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one panel file with a column ``relation``, which `read_relations` reads back.

        Otherwise as `Panel.write`.
        """
        tables = [panel.file_table(labelled=True) for panel in self.panels.values()]
        write_table(pd.concat(tables, ignore_index=True), path, PanelError)


def read_relations(
    path: str | os.PathLike[str], organizations: OrganizationTable | None = None
) -> RelationPanels:
    """Read a panel file of one or several relations.

    Parameters
    ----------
    path : path-like
        CSV or Parquet file with the columns of a panel and, where it counts something else than
        fine-tunes, ``relation``.
    organizations : OrganizationTable, optional
        As in `read_panel`.

    Raises
    ------
    PanelError
        As `read_panel` does, or when the relations do not fit together.

    Examples
    --------
    >>> import bayes_hfgrowth as hfg
    >>> hfg.read_relations("relations.parquet").last_counts(["org/name"])  # doctest: +SKIP
    """
    table = read_table(path, PanelError, text=TEXT_COLUMNS)
    known: list[Relation | None] = [None]
    if RELATION in table:
        written = {value for value in table[RELATION] if isinstance(value, str)}
        # Words that are no relation are refused by the rules, which name the row.
        known = [name for name in RELATIONS if name in written] or [None]
    place = partial(row_place, path)
    panels = [
        Panel(*checked(table, os.fspath(path), organizations, place, relation))
        for relation in known
    ]
    return RelationPanels({panel.counted.relation: panel for panel in panels})


def _last_rows(panel: Panel) -> pd.DataFrame:
    """One row for each base model of a panel; see `RelationPanels.last_counts`."""
    models, counts = panel.base_models.reset_index(), panel.counts
    at = (models["months"] + 1).cumsum().to_numpy() - 1
    earlier = at - models["months"].clip(upper=RECENT).to_numpy()
    last = panel.table.iloc[at].reset_index(drop=True)
    authors = last.reindex(columns=["authors", "largest_author_share"])
    return pd.DataFrame(
        {
            "base_model": models["base_model"],
            "organization": models["organization"],
            "relation": panel.counted.relation,
            "counted": panel.counted.many,
            "month": models["months"],
            "date": models["observed_until"],
            "count": counts[at],
            "recent": counts[at] - counts[earlier],
            **authors.apply(pd.to_numeric, errors="coerce"),
        }
    )
