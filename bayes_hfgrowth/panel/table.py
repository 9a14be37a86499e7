"""The panel: monthly counts of fine-tunes of many base models, of which all else speaks."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.panel.counted import FINETUNES, METRICS, Counted, Metric, Relation
from bayes_hfgrowth.panel.organizations import OrganizationTable
from bayes_hfgrowth.panel.rules import COLUMNS, OBSERVED_AT, TEXT_COLUMNS, TODAY, checked
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.files import read_table, row_place, write_table
from bayes_hfgrowth.support.months import as_utc, month_end
from bayes_hfgrowth.support.names import indices_of

__all__ = ["Panel", "read_panel"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Monthly counts of fine-tunes of many base models.

    Make one with `read_panel`, a source, or `Panel.from_table`, which check what they are
    given; the constructor itself trusts its arguments.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each base model and month: ``base_model`` (str), ``organization`` (str),
        ``created_at`` (UTC, to the microsecond), ``month`` (int64, age in whole months: 0,
        1, 2, ... without gaps), ``finetunes`` (int64, cumulative count by the end of the
        month, 0 at month 0, never falling), then any columns that the source added. Base
        models in order of first appearance. Treat it as read-only.
    observed_at : pandas.Timestamp or None
        When the counts were read off (UTC), or None where that is not known.
    counted : Counted
        What is counted: by default fine-tunes. Where it is the namespaces that made them, their
        cumulative number is the column ``authors`` (int64), and ``finetunes`` may be missing.
    """

    table: pd.DataFrame
    observed_at: pd.Timestamp | None = None
    counted: Counted = FINETUNES

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        source: str = "table",
        organizations: OrganizationTable | None = None,
        relation: Relation | None = None,
    ) -> Self:
        """Check a table and make it a panel.

        Parameters
        ----------
        table : pandas.DataFrame
            The columns of a panel; the rows may stand in any order. ``organization`` may be
            missing: it then follows from the namespace. A column ``observed_at`` must be
            constant. So must columns ``metric`` and ``relation``, which say what is counted
            (see `Counted`). Dates without a time zone are taken as UTC, whole numbers may come
            as floats or text. Further columns are carried along untouched.
        source : str
            What to call the table in error messages.
        organizations : OrganizationTable, optional
            When given, it decides the organization of every base model, and a column
            ``organization`` is not used.
        relation : {"finetune", "adapter", "merge", "quantized", "all"}, optional
            Take only the rows of this relation; a table of several needs it.

        Raises
        ------
        PanelError
            When the table breaks a rule of the panel format; the message names the row,
            counted from 1.

        Examples
        --------
        >>> import pandas as pd
        >>> rows = [("acme/anvil-7b", "2024-03-04", k, n) for k, n in enumerate([0, 12, 41])]
        >>> table = pd.DataFrame(rows, columns=["base_model", "created_at", "month", "finetunes"])
        >>> panel = Panel.from_table(table)
        >>> panel.base_models["organization"].tolist()
        ['acme']
        """
        return cls(*checked(table, source, organizations, relation=relation))

    @property
    def base_models(self) -> pd.DataFrame:
        """The base models, in the order of the panel.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``base_model``: ``organization``, ``created_at``, ``months`` (age in
            whole months at the last row), ``finetunes`` (last cumulative count of what is
            counted), ``observed_until`` (end of the last month, UTC).
        """
        last = self.table.drop_duplicates("base_model", keep="last").set_index("base_model")
        return pd.DataFrame(
            {
                "organization": last["organization"],
                "created_at": last["created_at"],
                "months": last["month"],
                "finetunes": last[self.counted.metric],
                "observed_until": month_end(last["created_at"], last["month"].to_numpy()),
            }
        )

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Cumulative count of what is counted, for each row of the table."""
        return self.table[self.counted.metric].to_numpy()

    def counting(self, metric: Metric) -> Self:
        """Take the same base models, and count models or the namespaces that made them.

        Parameters
        ----------
        metric : {"finetunes", "authors"}
            Panels from the Hub and from snapshots hold both.

        Raises
        ------
        PanelError
            When the panel has no such column, or it breaks a rule of counts.
        """
        if metric not in METRICS:
            raise PanelError(f"metric {metric!r} does not exist; choose {' or '.join(METRICS)}")
        if metric == self.counted.metric:
            return self
        if metric not in self.table:
            raise PanelError(
                f"the panel has no column {metric!r}, so it cannot be counted; take one that "
                "hfgrowth fetch or snapshot made"
            )
        counted = replace(self.counted, metric=metric)
        table, *_ = checked(self.table.assign(**counted.written), "the panel")
        return type(self)(table, self.observed_at, counted)

    @property
    def digest(self) -> str:
        """Fingerprint of the data: SHA-256 in hexadecimal.

        It covers the five columns of the panel, the observation date and what is counted, base
        models sorted by name. So it is the same for CSV and Parquet, in whatever order the rows
        stood, and further columns do not enter it.
        """
        models = self.base_models.sort_index(key=lambda names: names.astype(object))
        rows = self.table.groupby("base_model", sort=False).indices
        head = self.counted.label | {
            "observed_at": self.observed_at.isoformat() if self.observed_at else None,
            "base_models": [
                [name, model.organization, model.created_at.isoformat(), model.months]
                for name, model in zip(models.index, models.itertuples(index=False), strict=True)
            ],
        }
        order = np.concatenate([rows[name] for name in models.index])
        counts = self.counts[order].astype("<i8")
        digest = hashlib.sha256(json.dumps(head, separators=(",", ":")).encode())
        digest.update(counts.tobytes())
        return digest.hexdigest()

    def as_of(self, date: str | dt.date | pd.Timestamp) -> Self:
        """What was known at a date: nothing later is left in the panel.

        Keeps the months that ended on or before the date (month 0 ends at the creation), so
        base models created after it go, and those younger than a month keep month 0 alone.
        Columns of downloads and likes are those of the observation date and go with an earlier one.

        Parameters
        ----------
        date : str, datetime.date, datetime.datetime or pandas.Timestamp
            The as-of date; a plain date is its midnight in UTC.

        Returns
        -------
        Panel
            Observed at the date or at the panel's own observation date, whichever is
            earlier. Where the latter is not known, it is the date if that cut anything off.

        Raises
        ------
        PanelError
            When the date is malformed, or no base model had been created by then.

        Examples
        --------
        >>> import bayes_hfgrowth as hfg
        >>> earlier = hfg.load_example().as_of("2024-08-21")
        >>> print(earlier.observed_at)
        2024-08-21 00:00:00+00:00
        """
        cut = as_utc(date, "as-of date")
        kept = np.asarray(
            month_end(self.table["created_at"], self.table["month"].to_numpy()) <= cut
        )
        if not kept.any():
            raise PanelError(
                f"no base model of the panel was created by {cut:%Y-%m-%dT%H:%M:%SZ}; the first "
                f"one is of {self.table['created_at'].min():%Y-%m-%d}, so give a later date"
            )
        observed_at = self.observed_at
        if observed_at is not None:
            observed_at = min(observed_at, cut)
        elif not kept.all():
            observed_at = cut
        table = self.table[kept].reset_index(drop=True)
        if observed_at != self.observed_at:
            table = table.drop(columns=[name for name in TODAY if name in table])
        return type(self)(table, observed_at, self.counted)

    def select(
        self,
        base_models: Iterable[str] | None = None,
        organizations: Iterable[str] | None = None,
        min_finetunes: int = 0,
    ) -> Self:
        """Part of the panel; its order stays.

        Parameters
        ----------
        base_models : iterable of str, optional
            Base models to keep; all when not given.
        organizations : iterable of str, optional
            Organizations to keep; all when not given.
        min_finetunes : int
            Smallest last count of a base model that is kept, of whatever is counted.

        Raises
        ------
        PanelError
            When a name is not in the panel, or nothing is left.

        Examples
        --------
        >>> import bayes_hfgrowth as hfg
        >>> many = hfg.load_example().select(organizations=["OpenAI"], min_finetunes=100)
        >>> bool((many.base_models["finetunes"] >= 100).all())
        True
        """
        if min_finetunes < 0:
            raise PanelError(f"min_finetunes is {min_finetunes}; give a number from 0 on")
        models = self.base_models
        kept = models["finetunes"] >= min_finetunes
        if base_models is not None:
            known = tuple(models.index)
            named = indices_of(base_models, known, "base model", "panel", PanelError)
            kept &= np.isin(np.arange(len(known)), named)
        if organizations is not None:
            known = tuple(models["organization"].unique())
            named = indices_of(organizations, known, "organization", "panel", PanelError)
            kept &= models["organization"].isin([known[index] for index in named])
        if not kept.any():
            raise PanelError(
                "no base model of the panel meets all conditions of the selection; "
                "name others or lower min_finetunes"
            )
        table = self.table[self.table["base_model"].isin(kept.index[kept])]
        return type(self)(table.reset_index(drop=True), self.observed_at, self.counted)

    def increments(self) -> pd.DataFrame:
        """New fine-tunes month by month.

        Returns
        -------
        pandas.DataFrame
            One row for each base model and month from 1 on: ``base_model``,
            ``organization``, ``month``, ``previous`` (cumulative count before the month),
            ``new`` (fine-tunes in the month). Base models of age 0 have no row.
        """
        later = (self.table["month"] > 0).to_numpy()
        counts = self.counts
        previous = np.append(0, counts[:-1])
        table = self.table.loc[later, ["base_model", "organization", "month"]]
        return table.assign(previous=previous[later], new=(counts - previous)[later]).reset_index(
            drop=True
        )

    def summary(self) -> pd.DataFrame:
        """Size of the panel by organization.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``organization`` in order of appearance, and a last row ``(all)``:
            ``base_models``, ``without_finetunes`` (base models with none so far),
            ``finetunes`` (total of the last counts), ``first_created``, ``last_created``.
        """
        models = self.base_models
        everything = models.assign(organization="(all)")
        groups = pd.concat([models, everything]).groupby("organization", sort=False)
        return groups.agg(
            base_models=("finetunes", "size"),
            without_finetunes=("finetunes", lambda counts: int((counts == 0).sum())),
            finetunes=("finetunes", "sum"),
            first_created=("created_at", "min"),
            last_created=("created_at", "max"),
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the panel as a file that `read_panel` reads back.

        Parameters
        ----------
        path : path-like
            Ends in ``.csv`` or ``.parquet``. A known observation date becomes a constant
            column ``observed_at``, and so do ``metric`` and ``relation`` where something else
            than fine-tunes is counted. The file appears whole or not at all.

        Raises
        ------
        PanelError
            When the ending is another, or the file cannot be written.
        """
        write_table(self.file_table(), path, PanelError)

    def file_table(self, labelled: bool = False) -> pd.DataFrame:
        """The table as a file holds it: with what is counted where that is unusual or `labelled`.

        A known observation date is in it in any case.
        """
        table, place = self.table.copy(), len([name for name in COLUMNS if name in self.table])
        carried = {} if self.observed_at is None else {OBSERVED_AT: self.observed_at}
        told = self.counted.written if labelled else self.counted.label
        for at, (name, value) in enumerate((carried | told).items(), start=place):
            table.insert(at, name, value)
        return table


def read_panel(
    path: str | os.PathLike[str],
    organizations: OrganizationTable | None = None,
    relation: Relation | None = None,
) -> Panel:
    """Read a panel file.

    Parameters
    ----------
    path : path-like
        CSV (UTF-8, commas, a header) or Parquet file with the columns of a panel; see
        `Panel.from_table` for what is optional.
    organizations, relation : optional
        As in `Panel.from_table`.

    Raises
    ------
    PanelError
        When the file cannot be read or breaks a rule of the panel format; the message names
        the file, the data row (counted from 1 below the header; for CSV the line too), the
        value and the mend.
    """
    table = read_table(path, PanelError, text=TEXT_COLUMNS)
    place = partial(row_place, path)
    return Panel(*checked(table, os.fspath(path), organizations, place, relation))
