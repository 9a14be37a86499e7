"""Whether a surge is the work of one author or of many, where the panel can tell."""

import pandas as pd

from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import FitError

__all__ = ["AUTHOR_COLUMNS", "who_made"]

AUTHOR_COLUMNS = ("authors", "largest_author_share")
"""Columns of a panel from the Hub that tell authors apart, both cumulative."""

_MAJORITY = 0.5


def who_made(surges: pd.DataFrame, panel: Panel | None) -> pd.DataFrame:
    """Look the authors of surges up in the panel that was fitted.

    The panel counts authors so far and the share of the most active one so far. The latter's
    gain in the month is a lower bound of what one author brought in it; new authors are a
    lower bound of how many took part. Surges have ``base_model``, ``month`` and ``new``.

    Returns
    -------
    pandas.DataFrame
        For each surge ``new_authors`` (authors who had no fine-tune of the base model before),
        ``author_share`` (at least this share of the month's fine-tunes came from one author)
        and ``made_by``: ``"one author"`` where that is at least half, ``"many authors"``
        where the new authors are at least half as many as the fine-tunes, ``"unclear"``
        otherwise; all missing where the panel does not know.

    Raises
    ------
    FitError
        When a panel is given that has no such columns, or other counts than the fit.
    """
    table = pd.DataFrame(index=surges.index)
    table["new_authors"] = pd.array([pd.NA] * len(surges), dtype="Int64")
    table["author_share"] = float("nan")
    table["made_by"] = pd.Series([None] * len(surges), index=surges.index, dtype=object)
    if panel is None:
        return table
    if panel.counted.metric == "authors":
        raise FitError(
            "the panel counts authors, each of them once, so a surge is always made by many; "
            "give no panel"
        )
    for column in AUTHOR_COLUMNS:
        if column not in panel.table:
            raise FitError(
                f"the panel has no column {column!r}, so it cannot tell authors apart; give one "
                "that hfgrowth fetch or snapshot made, or none"
            )
    rows = panel.table.set_index(["base_model", "month"])
    for at, surge in surges.iterrows():
        try:
            before = rows.loc[(surge["base_model"], surge["month"] - 1)]
            after = rows.loc[(surge["base_model"], surge["month"])]
        except KeyError:
            continue
        new = int(after["finetunes"] - before["finetunes"])
        if new != surge["new"]:
            raise FitError(
                f"the panel counts {new} new fine-tunes of {surge['base_model']} in month "
                f"{surge['month']}, the fit {surge['new']}; give the panel that was fitted"
            )
        if pd.isna(after["authors"]) or pd.isna(before["authors"]):
            continue
        authors = int(after["authors"] - before["authors"])
        leading = [
            0.0 if row["finetunes"] == 0 else float(row[AUTHOR_COLUMNS[1]] * row["finetunes"])
            for row in (before, after)
        ]
        share = min(max((leading[1] - leading[0]) / new, 0.0), 1.0)
        table.loc[at, "new_authors"] = authors
        table.loc[at, "author_share"] = share
        table.loc[at, "made_by"] = (
            "one author"
            if share >= _MAJORITY
            else "many authors"
            if authors >= _MAJORITY * new
            else "unclear"
        )
    return table
