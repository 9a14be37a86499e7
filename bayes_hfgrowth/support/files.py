"""Read tables of CSV or Parquet with one-line errors, and write files whole or not at all."""

import csv
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bayes_hfgrowth.support.errors import HFGrowthError

__all__ = [
    "first_line",
    "growing_table",
    "is_file",
    "is_folder",
    "is_there",
    "parquet_batches",
    "parquet_rows",
    "read_csv",
    "read_table",
    "row_place",
    "table_format",
    "text_fault",
    "whole_file",
    "write_table",
]


_ROW_GROUP = 250_000  # rows of a Parquet file that are collected before they are written


# pathlib's own raise where a folder may not be looked into or a name is too long, and would have
# to be caught wherever they are asked.


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of that name, as far as one may look."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file of that name, as far as one may look."""
    return os.path.isfile(path)  # noqa: PTH113


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything of that name, as far as one may look."""
    return os.path.exists(path)  # noqa: PTH110


@contextmanager
def whole_file(
    path: str | os.PathLike[str], error: type[HFGrowthError] = HFGrowthError
) -> Iterator[Path]:
    """Give a temporary name beside `path`, and move it there when the block succeeds.

    Whoever reads `path` meets the old file or the complete new one, never half of it. The
    temporary name has the ending of `path`.

    Raises
    ------
    HFGrowthError
        Of the type `error`, when the folder is missing or cannot be written to.
    """
    target = Path(path)
    if is_folder(target):
        raise error(f"{target} is a folder; give the name of a file")
    if not is_folder(target.parent):
        raise error(f"{target}: there is no folder {target.parent}; create it first")
    real = target.resolve()  # a symbolic link keeps pointing at what it pointed at
    temporary = real.with_name(f".{real.stem}.{secrets.token_hex(4)}{real.suffix}")
    try:
        yield temporary
        temporary.replace(real)
    except OSError as failure:
        raise error(f"{target} cannot be written: {failure.strerror or failure}") from failure
    finally:
        temporary.unlink(missing_ok=True)


def table_format(path: str | os.PathLike[str], error: type[HFGrowthError]) -> str:
    """Return ``"csv"`` or ``"parquet"``, by the ending of the name.

    Raises
    ------
    HFGrowthError
        Of the given type, for any other ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in {".csv", ".parquet"}:
        raise error(
            f"{os.fspath(path)} ends in {ending or 'nothing'}; "
            "tables are written and read as .csv or .parquet"
        )
    return ending[1:]


def write_table(
    table: pd.DataFrame, path: str | os.PathLike[str], error: type[HFGrowthError]
) -> None:
    """Write the columns of a table, without its index, as CSV or Parquet.

    In CSV, points in time are written in ISO 8601 with a ``Z`` for UTC. Errors as for
    `growing_table`.
    """
    with growing_table(path, error) as append:
        append(table)


@contextmanager
def growing_table(
    path: str | os.PathLike[str], error: type[HFGrowthError]
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table piece by piece; the file appears when the block succeeds.

    Yields
    ------
    callable
        Takes the next rows; all pieces have the same columns and types.

    Raises
    ------
    HFGrowthError
        Of the type `error`, when the ending is neither .csv nor .parquet or the file cannot be
        written.
    """
    kind = table_format(path, error)
    with whole_file(path, error) as temporary, ExitStack() as opened:
        if kind == "csv":
            file = opened.enter_context(temporary.open("w", encoding="utf-8", newline=""))

            def append(table: pd.DataFrame) -> None:
                times = table.select_dtypes("datetimetz").items()
                text = table.assign(**{column: _iso(values) for column, values in times})
                text.to_csv(file, index=False, lineterminator="\n", header=file.tell() == 0)

            yield append
            return
        waiting: list[pa.Table] = []
        writers: list[pa.parquet.ParquetWriter] = []

        def flush() -> None:
            if not writers:
                writer = pa.parquet.ParquetWriter(
                    temporary, waiting[0].schema, compression="zstd", compression_level=12
                )
                writers.append(opened.enter_context(writer))
            writers[0].write_table(pa.concat_tables(waiting))
            waiting.clear()

        def collect(table: pd.DataFrame) -> None:
            waiting.append(pa.Table.from_pandas(table, preserve_index=False))
            if sum(len(part) for part in waiting) >= _ROW_GROUP:
                flush()

        yield collect
        if waiting:
            flush()


def read_table(
    path: str | os.PathLike[str], error: type[HFGrowthError], text: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a CSV or Parquet file into a table of columns.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.csv`` or ``.parquet``.
    error : type of HFGrowthError
        What to raise.
    text : iterable of str
        Columns that a CSV file gives as text, to be judged by the caller; the types of
        the others are guessed. Parquet has its own types.

    Returns
    -------
    pandas.DataFrame
        With a plain index, one row for each data row of the file.

    Raises
    ------
    HFGrowthError
        Of the given type, when there is no such file or it holds no table.
    """
    if table_format(path, error) == "csv":
        return read_csv(path, error, text)
    with _parquet(path, error) as file:
        table: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
    return table


def parquet_batches(
    path: str | os.PathLike[str], error: type[HFGrowthError], columns: Collection[str], rows: int
) -> Iterator[pd.DataFrame]:
    """Read a Parquet file some rows at a time; errors as for `read_table`.

    Parameters
    ----------
    path, error
        As for `read_table`.
    columns : collection of str
        Columns to read, where the file has them.
    rows : int
        Most rows at a time.
    """
    with _parquet(path, error) as file:
        wanted = [name for name in file.schema_arrow.names if name in columns]
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield batch.to_pandas()


def parquet_rows(path: str | os.PathLike[str], error: type[HFGrowthError]) -> int:
    """Count the rows of a Parquet file, which its footer knows."""
    with _parquet(path, error) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _parquet(
    path: str | os.PathLike[str], error: type[HFGrowthError]
) -> Iterator[pa.parquet.ParquetFile]:
    head = _head(path, error)
    if not head.startswith(b"PAR1"):
        raise error(f"{os.fspath(path)} is not a Parquet file; {_what_it_is(head)}")
    try:
        with pa.parquet.ParquetFile(path) as file:
            _refuse_repeated(file.schema_arrow.names, path, error)
            yield file
    except HFGrowthError:
        raise  # some are ValueErrors too
    except (pa.ArrowException, OSError, ValueError) as failure:
        raise error(
            f"{os.fspath(path)} cannot be read as Parquet ({first_line(failure)}); "
            "it is damaged or incomplete, so fetch or write it again"
        ) from failure


def read_csv(
    path: str | os.PathLike[str], error: type[HFGrowthError], text: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a CSV file with a header, UTF-8 and commas; empty lines are skipped.

    Parameters and errors as for `read_table`, whatever the file's ending.
    """
    name = os.fspath(path)
    head = _head(path, error)
    if not head.strip():
        raise error(f"{name} is empty; a header and rows are needed")
    if b"\0" in head or head.startswith((b"PAR1", b"\x1f\x8b", b"PK\x03\x04")) or _is_page(head):
        raise error(f"{name} is not a CSV file; {_what_it_is(head)}")
    # One thread, so that the parser can name the row it stumbles over, and one block, so that
    # the type of a column is guessed from all of its cells.
    block_size = min(Path(path).stat().st_size + 1, 2**31 - 1)
    try:
        table = pa.csv.read_csv(
            name,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=block_size),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(text, pa.string()), strings_can_be_null=False
            ),
        )
        names = table.column_names
    except UnicodeDecodeError as failure:
        raise error(f"{name} has a header that is not UTF-8; save it as UTF-8") from failure
    except (pa.ArrowException, OSError) as failure:
        message = first_line(failure)
        if "Empty CSV file" in message:  # a header without even a line end
            raise error(f"{name} has a header but no rows; add the rows") from failure
        mend = (
            "save it as UTF-8"
            if "UTF8" in message
            else "every row needs the header's columns, "
            "with commas between and quotes around text that holds commas"
        )
        raise error(f"{name} cannot be read as CSV ({message}); {mend}") from failure
    _refuse_repeated(names, path, error)
    for column, kind in zip(names, table.schema.types, strict=True):
        if pa.types.is_binary(kind):
            raise error(f"{name} has a column {column!r} that is not UTF-8; save it as UTF-8")
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    return frame


def row_place(path: str | os.PathLike[str], row: int) -> str:
    """Where a data row stands: ``row 7``, and for CSV its line, ``row 7 (line 8)``.

    Parameters
    ----------
    path : path-like
        The file; only a CSV file is opened.
    row : int
        Data row, counted from 1 below the header.
    """
    if Path(path).suffix.lower() != ".csv":
        return f"row {row}"
    return f"row {row} (line {_csv_line(path, row)})"


def first_line(failure: BaseException) -> str:
    """First line of an error's message, or its type where it says nothing."""
    return next(iter(str(failure).splitlines()), "")[:160] or type(failure).__name__


def text_fault(text: object) -> str | None:
    """Say what makes a value unfit as the name of a base model or an organization.

    The fault is to stand after the value in a sentence; None when there is none.
    """
    if not isinstance(text, str):
        return "is not text"
    if not text:
        return "is empty"
    if text != text.strip():
        return "has white space at an end"
    if not text.isprintable():
        return "has control or invisible characters"
    return None


def _csv_line(path: str | os.PathLike[str], row: int) -> int:
    """Line on which a data row ends: `row` + 1, but for empty lines and quoted line breaks."""
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        records = -1  # the header is no data row
        try:
            for record in reader:
                records += bool(record)
                if records == row:
                    return reader.line_num
        except csv.Error:  # a cell beyond this reader's limit
            pass
    return row + 1


def _iso(times: pd.Series) -> pd.Series:
    # Few distinct times, many rows: format each time once.
    codes, uniques = pd.factorize(times.dt.tz_convert("UTC"))
    written = [stamp.isoformat().replace("+00:00", "Z") for stamp in uniques]
    missing = len(written)
    lookup = pd.Series([*written, None], dtype="str")
    return lookup.take([missing if code < 0 else code for code in codes]).set_axis(times.index)


def _head(path: str | os.PathLike[str], error: type[HFGrowthError]) -> bytes:
    name = os.fspath(path)
    if is_folder(path):
        raise error(f"{name} is a folder; give a file")
    if is_there(path) and not is_file(path):
        raise error(f"{name} is not a regular file; save what it gives to a file first")
    try:
        with Path(path).open("rb") as file:
            return file.read(4096)
    except FileNotFoundError as failure:
        raise error(f"{name}: no such file; check the path") from failure
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise error(f"{name} cannot be read: {reason}") from failure


def _is_page(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _what_it_is(head: bytes) -> str:
    if not head:
        return "it is empty, so fetch or write it again"
    if head.startswith(b"PAR1"):
        return "it holds Parquet, so name it .parquet"
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        return "it is compressed, so unpack it first"
    if _is_page(head):
        return "it holds a web page, so download the file itself"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it is text in UTF-16, so save it as UTF-8"
    if b"\0" in head:
        return "it holds binary data, so check the path"
    return "it seems to hold text, so name it .csv if it is CSV"


def _refuse_repeated(
    names: list[str], path: str | os.PathLike[str], error: type[HFGrowthError]
) -> None:
    for column in names:
        if names.count(column) > 1:
            raise error(
                f"{os.fspath(path)} has the column {column!r} more than once; keep one of them"
            )
