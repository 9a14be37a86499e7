"""Panel files read some base models at a time, so that they may be larger than memory."""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
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
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.months import as_utc

__all__ = ["WHOLE", "PanelChunks"]

WHOLE = 500_000
"""Rows of a Parquet file up to which it is read at once."""

_ROWS = 65_536  # rows that are read at a time from a larger one


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
    as_of : date, optional
        Leave nothing in the pieces that was not known at this date.
    relation : str, optional
        As in `bayes_hfgrowth.panel.table.read_panel`.

    Raises
    ------
    PanelError
        When the file cannot be read or breaks a rule of the panel format, a base model is not
        in it, or `as_of` is no date or one by which no base model had been created.

    Attributes
    ----------
    counted : Counted
        What is counted.
    base_models : int
        How many there are in the pieces.
    organizations : set of str
        Theirs.
    last_date : pandas.Timestamp
        Date that a forecast is from: that of the observation or `as_of`, whichever is earlier;
        where the former is not known and nothing was cut off, the end of the last month of any
        base model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: int,
        base_models: Collection[str] | None = None,
        as_of: Date | None = None,
        *,
        relation: Relation | None = None,
    ) -> None:
        self._path, self._size, self._relation = Path(path), size, relation
        self._wanted = None if base_models is None else frozenset(base_models)
        self._cut = None if as_of is None else as_utc(as_of, "as-of date")
        self._panel: Panel | None = None
        if table_format(path, PanelError) == "csv" or parquet_rows(path, PanelError) <= WHOLE:
            self._panel = read_panel(path, relation=relation)
            if base_models is not None:
                self._panel = self._panel.select(base_models=base_models)
        self.counted, self.base_models = Counted(), 0
        self.organizations: set[str] = set()
        names: set[str] = set()
        born: list[pd.Timestamp] = []
        observed: list[pd.Timestamp] = []
        ends: list[pd.Timestamp] = []
        for part in self._pieces():
            self.counted = part.counted
            models = part.table[part.table["month"] == 0]
            if self._wanted is not None:
                names.update(models["base_model"])
            born.append(models["created_at"].min())
            known = self._known(part)
            if known is None:  # what was cut off makes the date that of the observation
                assert self._cut is not None
                observed.append(self._cut)
                continue
            models = known.table[known.table["month"] == 0]
            self.base_models += len(models)
            self.organizations.update(models["organization"])
            if known.observed_at is not None:
                observed.append(known.observed_at)
            else:
                ends.append(known.base_models["observed_until"].max())
        if self._wanted is not None and names != self._wanted:
            missing = sorted(self._wanted - names)[0]
            raise PanelError(f"{path}: base model {missing!r} is not in the panel; check the id")
        if not self.base_models:
            raise PanelError(
                f"no base model of the panel was created by {self._cut:%Y-%m-%d}; the first one "
                f"is of {min(born):%Y-%m-%d}, so give a later date"
                if born
                else "the panel holds no base model; give one that does"
            )
        self.last_date = min(observed) if observed else max(ends)

    def __iter__(self) -> Iterator[Panel]:
        for part in self._pieces():
            known = self._known(part)
            if known is not None:
                yield known

    def _known(self, part: Panel) -> Panel | None:
        """What was known of a piece; None where nothing was."""
        if self._cut is None:
            return part
        return part.as_of(self._cut) if part.table["created_at"].min() <= self._cut else None

    def _pieces(self) -> Iterator[Panel]:
        """The base models that are wanted, so many at a time, as the file has them."""
        for part in self._read() if self._panel is None else [self._panel]:
            table = part.table
            if self._wanted is not None:
                table = table[table["base_model"].isin(self._wanted)]
            first = np.flatnonzero(table["month"].to_numpy() == 0)
            for begin, end in pairwise([*first[:: self._size].tolist(), len(table)]):
                yield replace(part, table=table.iloc[begin:end].reset_index(drop=True))

    def _read(self) -> Iterator[Panel]:
        """Check and give what is read, base models whole."""
        labels = dict(organization_table().labels)
        seen: set[int] = set()
        first: Panel | None = None
        end = 0
        for rows in self._whole_base_models():
            begin, end = end, end + len(rows)
            if self._is_of_others(rows):
                continue
            by_name = "organization" not in rows
            part = Panel(
                *checked(
                    rows,
                    os.fspath(self._path),
                    OrganizationTable(labels) if by_name else None,
                    partial(_place, begin),
                    self._relation,
                )
            )
            models = part.table[part.table["month"] == 0]
            for name in models["base_model"]:
                if hash(name) in seen:
                    raise PanelError(
                        f"{self._path}: the rows of {name!r} do not stand together; a file with "
                        "this many rows is read in pieces, so sort it by base_model"
                    )
                seen.add(hash(name))
            first = first or part
            self._check_alike(part, first, begin)
            if by_name:  # a namespace has one label in all pieces, that of its first spelling
                for name, label in zip(models["base_model"], models["organization"], strict=True):
                    labels.setdefault(namespace(name).lower(), label)
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
