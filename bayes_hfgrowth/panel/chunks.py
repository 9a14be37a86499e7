"""Panel files read some base models at a time, so that they may be larger than memory."""

import os
from collections.abc import Collection, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hfgrowth.panel.counted import METRICS, RELATIONS, Counted, Relation
from bayes_hfgrowth.panel.counted_columns import RELATION
from bayes_hfgrowth.panel.organizations import OrganizationTable, namespace, organization_table
from bayes_hfgrowth.panel.rules import TEXT_COLUMNS, checked
from bayes_hfgrowth.panel.table import Panel, read_panel
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.files import parquet_batches, parquet_rows, table_format

__all__ = ["PanelChunks", "chunks_of"]

WHOLE = 500_000
"""Rows of a Parquet file up to which it is read at once."""

_ROWS = 65_536  # rows that are read at a time from a larger one


def chunks_of(panel: Panel, size: int) -> Iterator[Panel]:
    """Cut a panel into pieces of so many base models, in its order."""
    first = np.flatnonzero(panel.table["month"].to_numpy() == 0)
    edges = [*first[::size].tolist(), len(panel.table)]
    for begin, end in pairwise(edges):
        rows = panel.table.iloc[begin:end].reset_index(drop=True)
        yield type(panel)(rows, panel.observed_at, panel.counted)


class PanelChunks:
    """A panel file as pieces of some base models each, which can be gone through again and again.

    The whole file is checked as soon as this is made. CSV and small Parquet files are kept in
    memory; of a large Parquet file, only some thousand base models at a time are. There the rows
    of each base model must stand together, and columns that no panel needs are not read.

    Parameters
    ----------
    path : path-like
        CSV or Parquet file with the columns of a panel.
    size : int
        Most base models of a piece.
    base_models : collection of str, optional
        Base models to keep; all when not given.
    organizations : OrganizationTable, optional
        As in `bayes_hfgrowth.panel.table.read_panel`.
    relation : str, optional
        As there.
    whole : int
        Rows of a Parquet file up to which it is read at once.

    Raises
    ------
    PanelError
        When the file cannot be read or breaks a rule of the panel format, or a base model is not
        in it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: int,
        base_models: Collection[str] | None = None,
        organizations: OrganizationTable | None = None,
        *,
        relation: Relation | None = None,
        whole: int = WHOLE,
    ) -> None:
        self._path, self._size, self._given = Path(path), size, organizations
        self._relation = relation
        self._wanted = None if base_models is None else frozenset(base_models)
        self._panel: Panel | None = None
        large = (
            table_format(path, PanelError) == "parquet" and parquet_rows(path, PanelError) > whole
        )
        if not large:
            self._panel = read_panel(path, organizations, relation)
            if base_models is not None:
                self._panel = self._panel.select(base_models=base_models)
        names: set[str] = set()
        self.organizations: set[str] = set()
        """Organizations of the base models."""
        self.base_models = 0
        """Number of base models."""
        self.counted = Counted()
        """What is counted."""
        for part in self:
            self.counted = part.counted
            models = part.table.loc[part.table["month"] == 0, ["base_model", "organization"]]
            self.organizations.update(models["organization"])
            self.base_models += len(models)
            if self._wanted is not None:
                names.update(models["base_model"])
        if self._wanted is not None and names != self._wanted:
            missing = sorted(self._wanted - names)[0]
            raise PanelError(f"{path}: base model {missing!r} is not in the panel; check the id")

    def __iter__(self) -> Iterator[Panel]:
        if self._panel is not None:
            yield from chunks_of(self._panel, self._size)
            return
        for part in self._read():
            kept = part
            if self._wanted is not None:
                rows = part.table["base_model"].isin(self._wanted)
                if not rows.any():
                    continue
                kept = Panel(
                    part.table[rows].reset_index(drop=True), part.observed_at, part.counted
                )
            yield from chunks_of(kept, self._size)

    def _read(self) -> Iterator[Panel]:
        """Check and give what is read, base models whole."""
        labels = dict((self._given or organization_table()).labels)
        seen: set[int] = set()
        first: Panel | None = None
        offset = 0
        for rows in self._whole_base_models():
            if self._is_of_others(rows):
                offset += len(rows)
                continue
            by_name = self._given is not None or "organization" not in rows
            part = Panel(
                *checked(
                    rows,
                    os.fspath(self._path),
                    OrganizationTable(labels) if by_name else None,
                    partial(_place, offset),
                    self._relation,
                )
            )
            table = part.table
            names = table.loc[table["month"] == 0, "base_model"]
            for name in names:
                if hash(name) in seen:
                    raise PanelError(
                        f"{self._path}: the rows of {name!r} do not stand together; a file with "
                        "this many rows is read in pieces, so sort it by base_model"
                    )
                seen.add(hash(name))
            first = first or part
            self._check_alike(part, first, offset)
            if by_name:  # a namespace has one label in all pieces, that of its first spelling
                found = table.loc[table["month"] == 0, "organization"]
                for name, label in zip(names, found, strict=True):
                    labels.setdefault(namespace(name).lower(), label)
            offset += len(rows)
            yield part
        if first is None:
            raise PanelError(f"{self._path}: holds no row of relation {self._relation!r}")

    def _is_of_others(self, rows: pd.DataFrame) -> bool:
        """Whether no row is of the relation that is asked for."""
        if self._relation is None or RELATION not in rows:
            return False
        return bool(rows[RELATION].isin([r for r in RELATIONS if r != self._relation]).all())

    def _check_alike(self, part: Panel, first: Panel, offset: int) -> None:
        """Check that a piece has the observation date of the first one, and counts the same."""
        if part.observed_at != first.observed_at:
            raise PanelError(
                f"{self._path}, row {offset + 1}: observed_at is {part.observed_at} here but "
                f"{first.observed_at} in row 1; a panel has one observation date, so keep two of "
                "them in two files"
            )
        for name, value in part.counted.written.items():
            if value != (known := first.counted.written[name]):
                raise PanelError(
                    f"{self._path}, row {offset + 1}: {name} is {value!r} here but {known!r} "
                    f"before; choose one {name}"
                    + (" with --relation" if name == RELATION else ", so keep them in two files")
                )

    def _whole_base_models(self) -> Iterator[pd.DataFrame]:
        waiting = pd.DataFrame()
        for batch in parquet_batches(self._path, PanelError, (*TEXT_COLUMNS, *METRICS), _ROWS):
            rows = pd.concat([waiting, batch], ignore_index=True) if len(waiting) else batch
            if "base_model" not in rows:
                yield rows  # to be refused
                return
            names = rows["base_model"].to_numpy(dtype=object)
            last = np.flatnonzero(names != names[-1])
            complete = int(last[-1]) + 1 if last.size else 0
            if complete:
                yield rows.iloc[:complete].reset_index(drop=True)
            waiting = rows.iloc[complete:]
        yield waiting.reset_index(drop=True)


def _place(before: int, row: int) -> str:
    return f"row {before + row}"
