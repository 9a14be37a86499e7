"""From children with creation times to a panel: the rules that every source shares."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.panel.counted import Metric, Relation
from bayes_hfgrowth.panel.rules import TODAY
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import SourceError
from bayes_hfgrowth.support.months import month_end, whole_months

FIRST_KNOWN_TIME = pd.Timestamp("2022-03-02T23:30:00", tz="UTC")
"""When the Hub began to record creation times; older repositories all carry that evening."""


BURST_CHILDREN, BURST_SHARE = 20, 0.5
"""From so many children and such a share of one author on, the summary names a base model."""

LINEAGE_SINCE = pd.Timestamp("2023-11-01", tz="UTC")
"""Base models could be declared from late 2023 on; few children from before do so."""

_REASONS = {
    "unknown age": "base models left out: the Hub does not know their age (older than "
    "2022-03-02T23:30Z, or undated)",
    "too new": "base models left out: created after the observation date",
    "not available": "base models left out: gone, private or disabled",
    "derivative": "models left out: they name a base model themselves and nobody builds on them",
    "too few": "base models left out for their number of children",
}


@dataclass(frozen=True)
class Summary:
    """What was counted, and what was not and why.

    Attributes
    ----------
    relation : str
        Relation of the children.
    observed_at : pandas.Timestamp
        Observation date, UTC; the panel holds the months that ended on or before it.
    table : pandas.DataFrame
        One row for each base model that was looked at, with the columns

        - ``base_model``, ``created_at`` (missing if unknown),
        - ``included``: whether it is in the panel, and ``status``: if not, why not,
        - ``children``: distinct children that carry the wanted relation,
        - ``duplicates``, ``self_edges``: rows dropped as repeated or as pointing at themselves,
        - ``undated``, ``unknown_age``: children without a creation time, or from before the Hub
          recorded them; not in the panel,
        - ``older``: children created before their base model; in the panel from month 1 on,
        - ``later``: children created after the last whole month; not in the panel,
        - ``counted``: children in the panel,
        - ``authors``, ``largest_author``, ``largest_author_share``: of the children counted,
        - ``hub_count``: the number of children that the Hub itself states (missing if it does not).
    metric : str
        Whether the panel counts these children, ``finetunes``, or their ``authors``.
    """

    relation: str
    observed_at: pd.Timestamp
    table: pd.DataFrame
    metric: Metric = "finetunes"

    def total(self, column: str) -> int:
        """Sum of a column."""
        return int(self.table[column].sum())

    def lines(self) -> list[str]:
        """Say it in plain sentences, one a line."""
        kind = "children" if self.relation == "all" else f"{self.relation} children"
        lines = [
            f"{self.total('included'):,} base models, {self.total('counted'):,} {kind} "
            f"in whole months up to {self.observed_at:%Y-%m-%d}; {self.total('later'):,} more are "
            "too recent"
        ]
        if self.metric == "authors":
            lines.append(
                "the panel counts the different namespaces that made them, each once for every "
                f"base model: {self.total('authors'):,}"
            )
        for status, reason in _REASONS.items():
            out = self.table[self.table["status"] == status]
            if len(out):
                lines.append(f"{len(out):,} {reason}{_examples(out)}")
        if lost := self.total("undated") + self.total("unknown_age"):
            lines.append(
                f"{lost:,} children left out: their age is unknown (created before "
                "2022-03-02T23:30Z, or undated)"
            )
        if dropped := self.total("duplicates") + self.total("self_edges"):
            lines.append(f"{dropped:,} rows dropped: repeated, or naming themselves as their base")
        if older := self.total("older"):
            lines.append(
                f"{older:,} children are older than their base model and count from month 1; many "
                "of them mean a repository that was made anew, or a redirect to another one"
                f"{_examples(self.table[self.table['older'] > 0])}"
            )
        early = self.table[self.table["included"] & (self.table["created_at"] < LINEAGE_SINCE)]
        if len(early):
            lines.append(
                f"{len(early):,} base models are from before {LINEAGE_SINCE:%Y-%m}, when lineage "
                f"was hardly declared: their early counts are too low{_examples(early)}"
            )
        return [*lines, *self._burst_lines(), *self._difference_lines()]

    def _burst_lines(self) -> list[str]:
        bursts = self.table[
            self.table["included"]
            & (self.table["counted"] >= BURST_CHILDREN)
            & (self.table["largest_author_share"] >= BURST_SHARE)
        ]
        lines = [
            f"{row.base_model}: {row.largest_author_share:.0%} of {row.counted:,} children come "
            f"from one author ({row.largest_author})"
            for row in bursts.nlargest(3, "counted").itertuples()
        ]
        if len(bursts) > len(lines):
            lines.append(
                f"in {len(bursts):,} base models one author holds at least half of the children"
            )
        return lines

    def _difference_lines(self) -> list[str]:
        stated = self.table[self.table["hub_count"].notna()]
        apart = stated[stated["hub_count"] != stated["children"]]
        if apart.empty:
            return []
        gap = int((apart["hub_count"] - apart["children"]).sum())
        return [
            f"the Hub states {int(stated['hub_count'].sum()):,} children, "
            f"{int(stated['children'].sum()):,} were listed: a difference of {gap:+,} in "
            f"{len(apart):,} base models{_examples(apart)}"
        ]


def _examples(table: pd.DataFrame) -> str:
    names = table["base_model"].tolist()
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def build_panel(
    bases: pd.DataFrame,
    children: pd.DataFrame,
    observed_at: pd.Timestamp,
    *,
    relation: Relation,
    source: str,
    min_finetunes: int = 0,
    metric: Metric = "finetunes",
) -> tuple[Panel, Summary]:
    r"""Count children by month of age of their base model.

    A child created at time :math:`s` belongs to the month :math:`k \geq 1` with
    :math:`e_{k-1} < s \leq e_k`, where :math:`e_k` is the k-th calendar anniversary of the base
    model's creation (`bayes_hfgrowth.support.months.month_end`); a child older than its base model
    belongs to month 1. A base model has the months with :math:`e_k \leq` `observed_at`.

    Parameters
    ----------
    bases : pandas.DataFrame
        One row for each base model: ``base_model``, ``key`` (the Hub's ``_id``, or the id where
        there is none), ``created_at`` (UTC or missing); optional ``hub_count``, ``status``
        (a reason why it can't be counted, else empty), ``downloads_all_time``, ``downloads``
        and ``likes`` (missing where the source does not tell).
    children : pandas.DataFrame
        One row for each edge: ``base`` (row number in `bases`), ``key``, ``name``, ``author``,
        ``created_at`` (UTC or missing).
    observed_at : pandas.Timestamp
        Observation date, UTC.
    relation : str
        Relation of the children.
    source : str
        Where the children come from, for error messages.
    min_finetunes : int
        Leave out base models with fewer children in the panel.
    metric : {"finetunes", "authors"}
        Whether the panel counts the children or the different authors of these.

    Returns
    -------
    Panel
        Observed at `observed_at`, with the additional columns ``authors`` (distinct authors so
        far), ``largest_author_share`` (share of the children so far that the most active author
        holds; 0 without children) and ``older_than_base`` (children older than the base model);
        where any base model has them, ``downloads_all_time``, ``downloads`` and ``likes``, in
        the last month of each and missing before it, so that an earlier as-of date leaves them
        behind.
    Summary
        What was left out, and why.

    Raises
    ------
    SourceError
        If no base model is left.
    """
    bases = bases.reset_index(drop=True)
    created = pd.DatetimeIndex(bases["created_at"]).as_unit("us")
    status = _status(bases, created, observed_at)
    children, counts = _distinct(bases, children)

    base = children["base"].to_numpy(dtype=np.int64)
    born = pd.DatetimeIndex(children["created_at"]).as_unit("us")
    undated, unknown = np.asarray(born.isna()), np.asarray(born < FIRST_KNOWN_TIME)
    counts["undated"] = _by_base(base[undated], bases)
    counts["unknown_age"] = _by_base(base[unknown], bases)
    usable = (status == "").to_numpy()
    dated = ~undated & ~unknown & usable[base]
    children, base, born = children[dated], base[dated], born[dated]

    length = np.zeros(len(bases), np.int64)
    length[usable] = whole_months(created[usable], observed_at) + 1
    month = month_of_age(created[base], born)
    counted = month < length[base]
    few = usable & (_by_base(base[counted], bases) < min_finetunes)
    status = status.where(~few, "too few")
    length[few] = 0
    later = ~counted & ~few[base]
    counted &= ~few[base]
    counts["older"] = _by_base(base[counted & np.asarray(born < created[base])], bases)
    counts["later"] = _by_base(base[later], bases)
    counts["counted"] = _by_base(base[counted], bases)
    if not length.any():
        reasons = ", ".join(f"{n} {why}" for why, n in status.value_counts().items() if why)
        raise SourceError(
            f"{source}: no base model is left to count ({reasons or 'none found'}); {_mend(status)}"
        )

    author, names = pd.factorize(children["author"].to_numpy(dtype=object)[counted])
    table, leader = _monthly(length, base[counted], month[counted], author)
    share = table["largest"] / table["finetunes"].clip(lower=1)
    rows = table["row"].to_numpy()
    panel = Panel.from_table(
        pd.DataFrame(
            {
                "base_model": bases["base_model"].to_numpy()[rows],
                "created_at": created[rows],
                "month": table["month"],
                "finetunes": table["finetunes"],
                "authors": table["authors"],
                "largest_author_share": share,
                "older_than_base": counts["older"].to_numpy()[rows],
                "observed_at": observed_at,
                "metric": metric,
                "relation": relation,
            }
            | _told_today(bases, rows)
        ),
        source=source,
    )
    last = table.assign(share=share).drop_duplicates("row", keep="last").set_index("row")
    summary = pd.concat([bases[["base_model", "created_at"]], counts], axis=1).assign(
        authors=last["authors"].reindex(bases.index, fill_value=0),
        largest_author=pd.Series(np.append(names, np.nan)[leader], dtype=object),
        largest_author_share=last["share"].reindex(bases.index, fill_value=0.0),
        hub_count=bases.get("hub_count"),
        status=status,
        included=status == "",
    )
    return panel, Summary(relation, observed_at, summary.astype({"hub_count": "Int64"}), metric)


def month_of_age(created: pd.DatetimeIndex, born: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    r"""Month of age of the base model in which a child was created, for many children.

    It is the smallest :math:`k \geq 1` whose anniversary of `created` is not before `born`.
    """
    month = whole_months(created, born)
    month += np.asarray(month_end(created, month) < born)  # a month includes its end
    return np.maximum(month, 1)


def _status(bases: pd.DataFrame, created: pd.DatetimeIndex, observed_at: pd.Timestamp) -> pd.Series:
    """Say for each base model why it can't be counted; empty if it can."""
    status = bases["status"] if "status" in bases else pd.Series("", index=bases.index)
    status = status.astype(object)
    known = np.asarray(created >= FIRST_KNOWN_TIME)  # false for a missing time
    status = status.where(known | (status != ""), "unknown age")
    return status.where(np.asarray(created <= observed_at) | (status != ""), "too new")


def _distinct(bases: pd.DataFrame, children: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop self-edges and repeats; count them and what is left by base model."""
    base = children["base"].to_numpy(dtype=np.int64)
    itself = (children["key"].to_numpy() == bases["key"].to_numpy()[base]) | (
        children["name"].to_numpy() == bases["base_model"].to_numpy()[base]
    )
    others = children[~itself]
    repeated = others.duplicated(["base", "key"]).to_numpy()
    distinct = others[~repeated]
    counts = {
        "children": _by_base(distinct["base"], bases),
        "duplicates": _by_base(others["base"][repeated], bases),
        "self_edges": _by_base(base[itself], bases),
    }
    return distinct, pd.DataFrame(counts, index=bases.index)


def _told_today(
    bases: pd.DataFrame, rows: npt.NDArray[np.int64]
) -> dict[str, pd.api.extensions.ExtensionArray]:
    """Today's downloads and likes, in each base model's last row; empty where nobody tells."""
    last = np.append(rows[1:] != rows[:-1], True)
    known = [name for name in TODAY if name in bases and bases[name].notna().any()]
    return {
        name: bases[name].astype("Int64").take(rows).reset_index(drop=True).where(last).array
        for name in known
    }


def _by_base(rows: npt.ArrayLike, bases: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.bincount(np.asarray(rows, dtype=np.int64), minlength=len(bases)).astype(np.int64)


def _mend(status: pd.Series) -> str:
    if (status == "unknown age").any():
        return "the age of repositories from before 2022-03-02T23:30Z is unknown, choose later ones"
    if (status == "too few").any():
        return "lower --min-finetunes or choose another --relation"
    return "choose other base models"


def _monthly(
    length: npt.NDArray[np.int64],
    base: npt.NDArray[np.int64],
    month: npt.NDArray[np.int64],
    author: npt.NDArray[np.intp],
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Cumulate children, distinct authors and the largest author's children by month.

    `length` is the number of months of each base model, month 0 included; the others are those
    of each child. Returned beside the table, where ``row`` is the base model, is the author with
    most children of each base model, -1 without children.
    """
    start = np.cumsum(length) - length
    row = np.repeat(np.arange(len(length)), length)
    size = len(row)
    cell = start[base] + month

    # Each author's children in time order: the n-th of them brings that author to n.
    order = np.lexsort((month, author, base))
    base, author, cell = base[order], author[order], cell[order]
    first = np.ones(len(order), bool)
    first[1:] = (base[1:] != base[:-1]) | (author[1:] != author[:-1])
    place = np.arange(len(order))
    nth = place - np.maximum.accumulate(np.where(first, place, 0)) + 1

    def cumulate(increments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        running = np.cumsum(increments)
        return running - np.repeat(
            (running - increments)[np.minimum(start, size - 1)] if size else start, length
        )

    largest = np.zeros(size, np.int64)
    np.maximum.at(largest, cell, nth)
    # a running maximum within each base model: lift every base model above the one before
    lift = row * (len(order) + 1)
    largest = np.maximum.accumulate(largest + lift) - lift
    leader = np.full(len(length), -1, np.int64)
    by_size = np.lexsort((-author, nth, base))  # on a tie the author seen first
    leader[base[by_size]] = author[by_size]
    table = pd.DataFrame(
        {
            "row": row,
            "month": np.arange(size) - start[row],
            "finetunes": cumulate(np.bincount(cell, minlength=size)),
            "authors": cumulate(np.bincount(cell[first], minlength=size)),
            "largest": largest,
        }
    )
    return table, leader
