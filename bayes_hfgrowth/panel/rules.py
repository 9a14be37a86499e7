"""The rules of the panel format: turn a raw table into a checked one, or say why not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_hfgrowth.panel.counted import METRICS, Counted
from bayes_hfgrowth.panel.counted_columns import METRIC, RELATION, counted_in, of_relation
from bayes_hfgrowth.panel.organizations import OrganizationTable, organization_table
from bayes_hfgrowth.panel.raw_table import RawTable, RowPlace, short
from bayes_hfgrowth.support.files import text_fault
from bayes_hfgrowth.support.months import ISO_DATE, month_end

__all__ = ["COLUMNS", "DOWNLOADS", "OBSERVED_AT", "TEXT_COLUMNS", "TODAY", "checked"]

COLUMNS = ("base_model", "organization", "created_at", "month", "finetunes")
"""Columns of a panel, in order; further columns may follow."""

OBSERVED_AT = "observed_at"
"""Column that carries the observation date in files."""

DOWNLOADS = {
    "downloads_all_time": "downloads of all time",
    "downloads": "downloads in the last 30 days",
}
"""Further columns that panels from the Hub may carry, and what each counts. The Hub tells only
today's number, so it stands in the last month of a base model and nowhere else."""

TODAY = DOWNLOADS | {"likes": "likes"}
"""All further columns that stand in the last month alone, and what each counts."""

TEXT_COLUMNS = (*COLUMNS, OBSERVED_AT, METRIC, RELATION)
"""Columns that a CSV file gives as text, to be judged here."""

LARGEST_COUNT = 2**53 - 1
"""Largest count; float64 holds every whole number up to here."""

LARGEST_MONTH = 2_400
"""Largest age in months; 200 years of age can only be a slip."""

YEARS = (1970, 2200)
"""First year of a creation date, and the first one that is too late."""


def checked(
    frame: pd.DataFrame,
    source: str,
    organizations: OrganizationTable | None = None,
    place: RowPlace = "row {}".format,
    relation: str | None = None,
) -> tuple[pd.DataFrame, pd.Timestamp | None, Counted]:
    """Check a table against the rules of the panel format and bring it into its form.

    Parameters
    ----------
    frame, source, organizations, relation
        As for `bayes_hfgrowth.panel.table.Panel.from_table`.
    place : callable
        Names a row, given its number counted from 1.

    Returns
    -------
    table : pandas.DataFrame
        The columns of `COLUMNS`, then further ones as they came. Base models in order of
        first appearance, months ascending. Where authors are counted, ``finetunes`` may be
        missing.
    observed_at : pandas.Timestamp or None
        The observation date, when the table has one.
    counted : Counted
        What is counted.

    Raises
    ------
    PanelError
        For the first rule that is broken.
    """
    raw = of_relation(RawTable(frame.reset_index(drop=True), source, place), relation)
    counted = counted_in(raw)
    _check_columns(raw, counted.metric)
    base_model = _names(raw, "base_model")
    organization = _organizations(raw, base_model, organizations)
    created_at = _times(raw, "created_at")
    month = _whole_numbers(raw, "month", LARGEST_MONTH)
    # Where authors are counted, fine-tunes may be there too, and are checked as always.
    names = [n for n in METRICS if n == counted.metric or (n in COLUMNS and n in raw.frame)]
    counts = {name: _whole_numbers(raw, name, LARGEST_COUNT) for name in names}
    observed_at = _observation_date(raw)

    # From here on, rows are looked at in the panel's order; `order` leads back to the file.
    order = np.lexsort((month, base_model.codes))
    models = _Histories(raw, order, base_model.codes[order], base_model.categories, month[order])
    models.check_constant("created_at", created_at[order], np.datetime_as_string)
    models.check_constant(
        "organization", organization.codes[order], lambda code: organization.categories[code]
    )
    models.check_months()
    for name, values in counts.items():
        models.check_counts(name, values[order])
    if len(counts) == len(METRICS):
        _check_authors(raw, **counts)
    if observed_at is not None:
        models.check_observed(created_at[order], observed_at)

    own: dict[str, object] = {
        "base_model": pd.Series(base_model.astype("str")),
        "organization": pd.Series(organization.astype("str")),
        "created_at": pd.Series(created_at).dt.tz_localize("UTC"),
        "month": month,
        **{name: values for name, values in counts.items() if name in COLUMNS},
    }
    extra = raw.frame[[column for column in raw.frame if column not in TEXT_COLUMNS]]
    table = pd.concat([pd.DataFrame(own), extra], axis="columns").assign(**counts)
    return table.take(order).reset_index(drop=True), observed_at, counted


def _check_columns(raw: RawTable, metric: str) -> None:
    names = list(raw.frame.columns)
    for column in (*COLUMNS[:-1], metric):
        raw.refuse_repeated(column)
        if column not in names and column != "organization":
            found = ", ".join(str(name) for name in names[:8])
            raw.fail(
                f"has no column {column!r} (found: {found[:120]}); a panel needs "
                f"base_model, created_at, month, {metric}, separated by commas in CSV"
            )
    if raw.frame.empty:
        raw.fail("has a header but no rows; a panel needs at least one base model")


def _names(raw: RawTable, column: str) -> pd.Categorical:
    """A column of names as codes into the names in order of first appearance."""
    codes, uniques = _factorized(raw, column, "text")
    raw.fail_where(codes < 0, lambda _: f"{column} is missing; fill it in or remove the row")
    for code, name in enumerate(uniques):
        if fault := text_fault(name):
            position = np.flatnonzero(codes == code)[0]
            raw.fail_at(position, f"{column} {short(name)} {fault}; correct it")
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(uniques), dtype="str"))


def _organizations(
    raw: RawTable, base_model: pd.Categorical, table: OrganizationTable | None
) -> pd.Categorical:
    if table is None and "organization" in raw.frame:
        return _names(raw, "organization")
    labels = (table or organization_table()).organizations(base_model.categories)
    codes, uniques = pd.factorize(np.asarray(labels, dtype=object))
    return pd.Categorical.from_codes(
        codes[base_model.codes], categories=pd.Index(list(uniques), dtype="str")
    )


def _times(raw: RawTable, column: str) -> npt.NDArray[np.datetime64]:
    """A column of dates as naive UTC microseconds; no time zone means UTC."""
    values = raw.frame[column]
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        times = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif pd.api.types.is_datetime64_dtype(values.dtype):
        times = values
    else:
        times = _parsed_times(raw, column, values)
    stamps = times.to_numpy(dtype="M8[us]")
    first, last = (np.datetime64(f"{year}-01-01", "us") for year in YEARS)
    raw.fail_where(
        np.isnat(stamps), lambda _: f"{column} is missing; fill in the date (YYYY-MM-DD)"
    )
    raw.fail_where(
        (stamps < first) | (stamps >= last),
        lambda at: (
            f"{column} {short(values.iloc[at])} is out of range; "
            f"the year must lie between {YEARS[0]} and {YEARS[1] - 1}"
        ),
    )
    return stamps


def _parsed_times(raw: RawTable, column: str, values: pd.Series) -> pd.Series:
    codes, uniques = _factorized(raw, column, "dates")
    # Dates and timestamps in a column of objects are brought to text like all others.
    texts = [value.isoformat() if hasattr(value, "isoformat") else value for value in uniques]
    dates = [text if isinstance(text, str) and ISO_DATE.fullmatch(text) else None for text in texts]
    parsed = pd.to_datetime(
        pd.Series(dates, dtype="str"), format="ISO8601", utc=True, errors="coerce"
    )
    # An empty cell is told as missing, later; so is a missing value, whose code is -1.
    bad = np.append(parsed.isna() & np.array([text != "" for text in texts], dtype=bool), False)
    raw.fail_where(
        bad[codes],
        lambda at: (
            f"{column} {short(values.iloc[at])} is not a date; "
            "write it as YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"
        ),
    )
    return parsed.dt.tz_localize(None).reindex(codes)


def _factorized(
    raw: RawTable, column: str, kind: str
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.object_]]:
    """Codes and values in order of first appearance; a missing value has the code -1."""
    try:
        codes, uniques = pd.factorize(raw.frame[column])
    except TypeError:  # lists and other values that cannot be looked up
        raw.fail(f"column {column!r} holds no {kind}; give one in each row")
    return codes, np.asarray(uniques, dtype=object)


def _whole_numbers(raw: RawTable, column: str, largest: int) -> npt.NDArray[np.int64]:
    values = raw.frame[column]
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(
        values.dtype
    ):
        raw.fail(f"column {column!r} holds {values.dtype}; give whole numbers")
    missing = values.isna().to_numpy() | (values.astype("str") == "").to_numpy(dtype=bool)
    raw.fail_where(missing, lambda _: f"{column} is missing; fill it in or remove the row")
    if pd.api.types.is_integer_dtype(values.dtype):
        numbers = values.to_numpy()
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, copy=True)
        if values.dtype == object:  # True would pass for 1
            numbers[[isinstance(value, bool) for value in values]] = np.nan

    def told(fault: str, mend: str) -> Callable[[int], str]:
        return lambda at: f"{column} {short(values.iloc[at])} {fault}; {mend}"

    raw.fail_where(np.isnan(numbers), told("is not a number", "give a whole number"))
    raw.fail_where(numbers < 0, told("is negative", "give a whole number from 0 on"))
    raw.fail_where(numbers > largest, told(f"is larger than {largest}", "give a smaller number"))
    raw.fail_where(numbers != np.floor(numbers), told("is a fraction", "give a whole number"))
    return numbers.astype(np.int64)


def _observation_date(raw: RawTable) -> pd.Timestamp | None:
    if OBSERVED_AT not in raw.frame:
        return None
    stamps = _times(raw, OBSERVED_AT)
    raw.fail_where(
        stamps != stamps[0],
        lambda at: (
            f"{OBSERVED_AT} is {stamps[at]} here but {stamps[0]} in row 1; "
            "a panel has one observation date, so keep two of them in two files"
        ),
    )
    return pd.Timestamp(stamps[0], tz="UTC").as_unit("us")


def _check_authors(
    raw: RawTable, finetunes: npt.NDArray[np.int64], authors: npt.NDArray[np.int64]
) -> None:
    raw.fail_where(
        authors > finetunes,
        lambda at: (
            f"authors {authors[at]} of {short(raw.frame['base_model'].iloc[at])} are more than "
            f"its {finetunes[at]} finetunes in month {raw.frame['month'].iloc[at]}; each author "
            "made one or more, so correct one of the counts"
        ),
    )


@dataclass(frozen=True, eq=False)
class _Histories:
    """The rows sorted by base model and month."""

    raw: RawTable
    order: npt.NDArray[np.intp]
    codes: npt.NDArray[np.integer]
    names: pd.Index
    month: npt.NDArray[np.int64]

    @cached_property
    def first(self) -> npt.NDArray[np.bool]:
        return np.append(True, self.codes[1:] != self.codes[:-1])

    def name(self, at: int) -> str:
        return short(self.names[self.codes[at]])

    def row(self, at: int) -> str:
        return self.raw.place(int(self.order[at]) + 1)

    def fail_where(self, bad: npt.NDArray[np.bool], what: Callable[[int], str]) -> None:
        positions = np.flatnonzero(bad)
        if positions.size:
            at = int(positions[0])
            self.raw.fail_at(self.order[at], what(at))

    def check_constant(
        self, column: str, values: npt.NDArray[np.generic], written: Callable[..., str]
    ) -> None:
        changed = ~self.first
        changed[1:] &= values[1:] != values[:-1]
        self.fail_where(
            changed,
            lambda at: (
                f"{column} of {self.name(at)} is {written(values[at])} here but "
                f"{written(values[at - 1])} in {self.row(at - 1)}; "
                f"a base model has one {column}, so make them agree"
            ),
        )

    def check_observed(
        self, created_at: npt.NDArray[np.datetime64], observed_at: pd.Timestamp
    ) -> None:
        ends = month_end(created_at, self.month)
        self.fail_where(
            np.asarray(ends > observed_at),
            lambda at: (
                f"month {self.month[at]} of {self.name(at)} ends at "
                f"{ends[at]:%Y-%m-%dT%H:%M:%SZ}, after the observation date "
                f"{observed_at:%Y-%m-%dT%H:%M:%SZ}; remove the row or correct {OBSERVED_AT}"
            ),
        )

    def check_months(self) -> None:
        self.fail_where(
            self.first & (self.month != 0),
            lambda at: (
                f"{self.name(at)} starts at month {self.month[at]}; "
                "start at month 0 with 0 fine-tunes"
            ),
        )
        step = np.diff(self.month, prepend=0)
        self.fail_where(
            ~self.first & (step == 0),
            lambda at: (
                f"month {self.month[at]} of {self.name(at)} stands in "
                f"{self.row(at - 1)} already; keep one of the two"
            ),
        )
        self.fail_where(
            ~self.first & (step > 1),
            lambda at: (
                f"{self.name(at)} jumps from month {self.month[at - 1]} to "
                f"{self.month[at]}; give every month between"
            ),
        )

    def check_counts(self, column: str, counts: npt.NDArray[np.int64]) -> None:
        self.fail_where(
            self.first & (counts != 0),
            lambda at: (
                f"{self.name(at)} has {counts[at]} {column} at month 0; "
                "month 0 is the moment of creation, so its count is 0"
            ),
        )
        fall = np.diff(counts, prepend=0) < 0
        self.fail_where(
            ~self.first & fall,
            lambda at: (
                f"{column} of {self.name(at)} falls from {counts[at - 1]} to "
                f"{counts[at]} in month {self.month[at]}; "
                "counts are cumulative, so give the total so far"
            ),
        )
