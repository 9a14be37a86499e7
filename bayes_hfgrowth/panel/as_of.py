"""The pieces of a panel file as they were known at a date."""

from collections.abc import Iterator

import pandas as pd

from bayes_hfgrowth.panel.chunks import PanelChunks
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.horizon import Date
from bayes_hfgrowth.support.months import as_utc, month_end

__all__ = ["PanelAsOf"]


class PanelAsOf:
    """A panel file in pieces, and nothing in them that was not known at a date.

    Parameters
    ----------
    source : PanelChunks
        The pieces.
    as_of : date, optional
        The as-of date; without it the pieces stay as they are.

    Raises
    ------
    PanelError
        When the date is none, or no base model had been created by then.

    Attributes
    ----------
    counted : Counted
        What is counted.
    base_models : int
        How many had been created.
    organizations : set of str
        Theirs.
    last_date : pandas.Timestamp
        Date that a forecast is from: that of the observation or the as-of date, whichever is
        earlier; where the former is not known and nothing was cut off, the end of the last
        month of any base model.
    """

    def __init__(self, source: PanelChunks, as_of: Date | None = None) -> None:
        self._source = source
        self.counted = source.counted
        self._cut = None if as_of is None else as_utc(as_of, "as-of date")
        self.base_models, self.organizations = source.base_models, source.organizations
        ends: list[pd.Timestamp] = []
        observed: list[pd.Timestamp] = []
        number, first = 0, None
        organizations: set[str] = set()
        for part in source:
            born = part.table["created_at"].min()
            first = born if first is None else min(first, born)
            known = self._known(part)
            if known is None:  # what was cut off makes the date that of the observation
                assert self._cut is not None
                observed.append(self._cut)
                continue
            models = known.table.loc[known.table["month"] == 0, "organization"]
            number += len(models)
            organizations.update(models)
            if known.observed_at is not None:
                observed.append(known.observed_at)
                if self._cut is None:  # the same in all parts, and no month ends later
                    break
            rows = known.table
            ends.append(month_end(rows["created_at"], rows["month"].to_numpy()).max())
        if not number:
            raise PanelError(
                "the panel holds no base model; give one that does"
                if first is None
                else f"no base model of the panel was created by {self._cut:%Y-%m-%d}; the first "
                f"one is of {first:%Y-%m-%d}, so give a later date"
            )
        self.last_date = min(observed) if observed else max(ends)
        if self._cut is not None:
            self.base_models, self.organizations = number, organizations

    def __iter__(self) -> Iterator[Panel]:
        for part in self._source:
            known = self._known(part)
            if known is not None:
                yield known

    def _known(self, part: Panel) -> Panel | None:
        """What was known of a piece; None where nothing was."""
        if self._cut is None:
            return part
        if part.table["created_at"].min() > self._cut:
            return None
        return part.as_of(self._cut)
