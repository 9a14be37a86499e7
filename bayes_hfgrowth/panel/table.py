"""The panel: monthly counts of fine-tunes of many base models, of which all else speaks."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from bayes_hfgrowth.panel.organizations import OrganizationTable
from bayes_hfgrowth.panel.rules import COLUMNS, DOWNLOADS, OBSERVED_AT, TEXT_COLUMNS, checked
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
    """

    table: pd.DataFrame
    observed_at: pd.Timestamp | None = None

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        source: str = "table",
        organizations: OrganizationTable | None = None,
    ) -> Self:
        """Check a table and make it a panel.

        Parameters
        ----------
        table : pandas.DataFrame
            The columns of a panel; the rows may stand in any order. ``organization`` may be
            missing: it then follows from the namespace. A column ``observed_at`` must be
            constant. Dates without a time zone are taken as UTC, whole numbers may come as
            floats or text. Further columns are carried along untouched.
        source : str
            What to call the table in error messages.
        organizations : OrganizationTable, optional
            When given, it decides the organization of every base model, and a column
            ``organization`` is not used.

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
        return cls(*checked(table, source, organizations))

    @property
    def base_models(self) -> pd.DataFrame:
        """The base models, in the order of the panel.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``base_model``: ``organization``, ``created_at``, ``months`` (age in
            whole months at the last row), ``finetunes`` (last cumulative count),
            ``observed_until`` (end of the last month, UTC).
        """
        last = self.table.drop_duplicates("base_model", keep="last").set_index("base_model")
        return pd.DataFrame(
            {
                "organization": last["organization"],
                "created_at": last["created_at"],
                "months": last["month"],
                "finetunes": last["finetunes"],
                "observed_until": month_end(last["created_at"], last["month"].to_numpy()),
            }
        )

    @property
    def digest(self) -> str:
        """Fingerprint of the data: SHA-256 in hexadecimal.

        It covers the five columns of the panel and the observation date, base models sorted
        by name. So it is the same for CSV and Parquet, in whatever order the rows stood, and
        further columns do not enter it.
        """
        models = self.base_models.sort_index(key=lambda names: names.astype(object))
        rows = self.table.groupby("base_model", sort=False).indices
        head = {
            "observed_at": self.observed_at.isoformat() if self.observed_at else None,
            "base_models": [
                [name, model.organization, model.created_at.isoformat(), model.months]
                for name, model in zip(models.index, models.itertuples(index=False), strict=True)
            ],
        }
        order = np.concatenate([rows[name] for name in models.index])
        counts = self.table["finetunes"].to_numpy()[order].astype("<i8")
        digest = hashlib.sha256(json.dumps(head, separators=(",", ":")).encode())
        digest.update(counts.tobytes())
        return digest.hexdigest()

    def as_of(self, date: str | dt.date | pd.Timestamp) -> Self:
        """What was known at a date: nothing later is left in the panel.

        Keeps the months that ended on or before the date (month 0 ends at the creation), so
        base models created after it go, and those younger than a month keep month 0 alone.
        Columns of downloads are those of the observation date and go with an earlier one.

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
            table = table.drop(columns=[name for name in DOWNLOADS if name in table])
        return type(self)(table, observed_at)

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
            Smallest last count of a base model that is kept.

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
        return type(self)(table.reset_index(drop=True), self.observed_at)

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
        counts = self.table["finetunes"].to_numpy()
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
            column ``observed_at``. The file appears whole or not at all.

        Raises
        ------
        PanelError
            When the ending is another, or the file cannot be written.
        """
        table = self.table
        if self.observed_at is not None:
            table = table.copy()
            table.insert(len(COLUMNS), OBSERVED_AT, self.observed_at)
        write_table(table, path, PanelError)


def read_panel(
    path: str | os.PathLike[str],
    organizations: OrganizationTable | None = None,
) -> Panel:
    """Read a panel file.

    Parameters
    ----------
    path : path-like
        CSV (UTF-8, commas, a header) or Parquet file with the columns of a panel; see
        `Panel.from_table` for what is optional.
    organizations : OrganizationTable, optional
        When given, it decides the organization of every base model, and a column
        ``organization`` in the file is not used.

    Raises
    ------
    PanelError
        When the file cannot be read or breaks a rule of the panel format; the message names
        the file, the data row (counted from 1 below the header; for CSV the line too), the
        value and the mend.
    """
    table = read_table(path, PanelError, text=TEXT_COLUMNS)
    return Panel(
        *checked(table, os.fspath(path), organizations, lambda row: row_place(Path(path), row))
    )
