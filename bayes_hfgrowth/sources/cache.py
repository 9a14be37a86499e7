"""What the Hub has answered, kept on disk page by page, so that nothing is asked for twice.

A *listing* is one query of the Hub, newest repositories first. It is read in *passes*: a full
pass goes to the end, a later one only down to what is known already. Every page is one file,
written under a temporary name, flushed to disk and then renamed, and it carries the address of
the page that follows. Whatever moment a run is killed at, the files that are there are whole
and say where to go on.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bayes_hfgrowth.support.errors import SourceError

Row = dict[str, Any]
Ask = Callable[[str], tuple[list[Row], str | None]]
"""Takes the relative address of a page; returns its rows and the address of the next page."""

RESUME_WITHIN = timedelta(hours=1)
"""How long an interrupted run may rest across midnight and still go on as the same run."""


class CursorRefusedError(SourceError):
    """The Hub no longer accepts the address of a page that follows."""


def default_cache() -> Path:
    """Return the folder that keeps the pages: `HFGROWTH_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("HFGROWTH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bayes-hfgrowth"


def file_name(text: str) -> str:
    """Turn an id into a file name; the digest keeps apart what differs only in case or signs."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "--", text)[:80]
    return f"{plain}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def parse_time(text: object) -> datetime | None:
    """Read a time as the Hub writes it; `None` when it is missing or is no time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there in full or not at all, even if the power goes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".writing-", dir=path.parent) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SourceError(
            f"cannot write the page cache at {path.parent}: {error.strerror or error}; "
            "free some space or choose another folder with --cache"
        ) from error


@dataclass(frozen=True)
class Page:
    """One page of a listing, as its first line in the file describes it."""

    path: Path
    asked: datetime
    request: str
    next: str | None
    last: bool
    """Nothing more is needed after this page: the listing ends, or the rest is known."""
    newest: datetime | None

    @classmethod
    def load(cls, path: Path) -> "Page | None":
        """Read the description; `None` for a file that was damaged from outside."""
        try:
            with gzip.open(path, "rb") as file:
                head = json.loads(file.readline())
                while file.read(1 << 20):  # to the end, where the checksum is
                    pass
            asked, newest = parse_time(head["asked"]), parse_time(head["newest"])
            if asked is None:
                return None
            return cls(path, asked, head["request"], head["next"], head["last"], newest)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            return None

    def rows(self) -> list[Row]:
        """Return the rows of the page."""
        with gzip.open(self.path, "rb") as file:
            file.readline()
            rows: list[Row] = json.loads(file.read())
        return rows


@dataclass
class Pass:
    """One reading of a listing from the top."""

    folder: Path
    full: bool
    pages: list[Page]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask for."""
        return bool(self.pages) and self.pages[-1].last

    @property
    def started(self) -> datetime | None:
        """When its first page was asked for: up to then the pass sees everything."""
        return self.pages[0].asked if self.pages else None

    @property
    def newest(self) -> datetime | None:
        """The newest creation time on its pages."""
        return max((page.newest for page in self.pages if page.newest), default=None)


class Listing:
    """One listing on disk, whose passes are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passes: list[Pass] = []

    @contextmanager
    def locked(self, on_wait: Callable[[], None]) -> Iterator["Listing"]:
        """Hold the listing alone; a second run waits here. The lock ends with its process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire(poll_interval=0.2)
        except OSError as error:
            raise SourceError(
                f"cannot use the page cache at {self.folder}: {error.strerror or error}; "
                "choose another with --cache"
            ) from error
        try:
            self._load()
            yield self
        finally:
            lock.release()

    def _load(self) -> None:
        """Read what is there; pages after a damaged one are of no use and go."""
        for leftover in self.folder.glob("*/.writing-*"):
            leftover.unlink(missing_ok=True)
        self.passes = []
        for folder in sorted(self.folder.glob("pass-*")):
            pages: list[Page] = []
            for number, path in enumerate(sorted(folder.glob("page-*.json.gz")), start=1):
                page = Page.load(path) if path.name == _page_name(number) else None
                if page is None:
                    break
                pages.append(page)
            for path in sorted(folder.glob("page-*.json.gz"))[len(pages) :]:
                path.unlink()
            self.passes.append(Pass(folder, folder.name.endswith("full"), pages))

    def update(
        self,
        ask: Ask,
        first: str,
        begun: datetime,
        refresh: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_page: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """Ask for what is missing, page by page.

        Parameters
        ----------
        ask : callable
            Fetches one page.
        first : str
            Relative address of the top of the listing.
        begun : datetime
            When the run began; a pass begun since then is not repeated.
        refresh : bool
            List everything again. What was known stays until the new pass is complete.
        now, on_page : callable
            The clock; told the number of rows after each page.

        Raises
        ------
        SourceError
            If the Hub does not answer, or its pages run in a circle.
        """
        restarted = False
        while (current := self._next_pass(begun, refresh)) is not None:
            try:
                self._finish(current, ask, first, now, on_page)
            except CursorRefusedError as error:
                if restarted:
                    raise SourceError(
                        f"the Hub refuses the address of its own next page ({first}); "
                        "try again later"
                    ) from error
                # the place where an old run stopped can't be found any more: begin at the top
                restarted = True
                shutil.rmtree(current.folder)
                self.passes.remove(current)

    def _next_pass(self, begun: datetime, refresh: bool) -> Pass | None:
        """Return the pass to work on, or `None` when all is known."""
        last = self.passes[-1] if self.passes else None
        relisted = any(p.full and p.started and p.started >= begun for p in self.passes)
        if last is None or (refresh and not relisted):
            return self._new_pass(full=True)
        unfinished = [p for p in self.passes if not p.complete]
        if unfinished:  # a full pass replaces all others, so the latest of them goes first
            return next((p for p in reversed(unfinished) if p.full), unfinished[0])
        assert last.started is not None
        # A pass of an earlier run that this run has finished counts if it began today: the panel
        # is dated to the beginning of the day, so it misses nothing.
        finished_here = last.pages[-1].asked >= begun
        if last.started >= begun or (finished_here and last.started.date() >= begun.date()):
            return None
        return self._new_pass(full=False)

    def _new_pass(self, full: bool) -> Pass:
        number = int(self.passes[-1].folder.name.split("-")[1]) + 1 if self.passes else 1
        added = Pass(self.folder / f"pass-{number:05d}-{'full' if full else 'new'}", full, [])
        self.passes.append(added)
        return added

    def _finish(
        self,
        current: Pass,
        ask: Ask,
        first: str,
        now: Callable[[], datetime],
        on_page: Callable[[int], None],
    ) -> None:
        before = self.passes[: self.passes.index(current)]
        known = None if current.full else max((p.newest for p in before if p.newest), default=None)
        seen = {page.request for page in current.pages}
        while not current.complete:
            following = current.pages[-1].next if current.pages else first
            assert following is not None
            if following in seen:
                raise SourceError(
                    f"the Hub's pages run in a circle after {len(current.pages)} pages of {first}; "
                    "what was collected is kept, list again from the top with --refresh"
                )
            asked = now()
            rows, after = ask(following)
            seen.add(following)
            times = [moment for row in rows if (moment := parse_time(row.get("createdAt")))]
            descending = all(a >= b for a, b in pairwise(times))
            # Rows as old as the newest known one may still be new, so only older ones end the pass.
            reached = known is not None and descending and bool(times) and times[-1] < known
            head = {
                "asked": asked.isoformat(),
                "request": following,
                "next": after,
                "last": after is None or reached,
                "newest": max(times).isoformat() if times else None,
            }
            path = current.folder / _page_name(len(current.pages) + 1)
            content = json.dumps(head).encode() + b"\n" + json.dumps(rows).encode()
            write_whole(path, gzip.compress(content, 6))
            page = Page.load(path)
            if page is None:
                raise SourceError(f"{path} can't be read back right after writing; check the disk")
            current.pages.append(page)
            on_page(len(rows))
        if current.full:  # it replaces all that was read before
            for old in before:
                shutil.rmtree(old.folder, ignore_errors=True)
            self.passes = self.passes[len(before) :]

    def rows(self) -> Iterator[Row]:
        """Yield every row of the complete passes, the latest reading of each repository.

        Rows that the Hub repeats within one pass are repeated here.
        """
        later: set[object] = set()
        for one in reversed([p for p in self.passes if p.complete]):
            here: set[object] = set()
            for page in one.pages:
                for row in page.rows():
                    key = row.get("_id") or row.get("id")
                    if key not in later:
                        here.add(key)
                        yield row
            later |= here

    @property
    def listed_at(self) -> datetime | None:
        """When everything was last listed; children that have vanished since are still counted."""
        return next((p.started for p in self.passes if p.complete), None)


def _page_name(number: int) -> str:
    return f"page-{number:06d}.json.gz"


class Run:
    """A run that may be interrupted: started again on the same day (UTC), it is the same run.

    `folder` is the cache of one endpoint, and `key` what the run is asked to do.
    """

    def __init__(self, folder: Path, key: Sequence[str], now: datetime) -> None:
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
        self._record = folder / "runs" / f"{name}.json"
        self.begun = now
        try:
            earlier = parse_time(json.loads(self._record.read_bytes())["begun"])
        except (OSError, ValueError, KeyError, TypeError):
            earlier = None
        if (
            earlier is not None
            and earlier <= now
            and (earlier.date() == now.date() or now - earlier <= RESUME_WITHIN)
        ):
            self.begun = earlier
        else:
            record = {"begun": now.isoformat(), "of": list(key)}
            write_whole(self._record, json.dumps(record).encode())

    def done(self) -> None:
        """Forget the run: the next one asks for what is new."""
        self._record.unlink(missing_ok=True)


class Answers:
    """Answers about single models, kept as long as the run that asked for them."""

    def __init__(self, folder: Path, begun: datetime) -> None:
        self._folder, self._begun = folder / "models", begun

    def get(self, name: str) -> Row | None:
        """Return the answer of this run, if it has one."""
        try:
            kept = json.loads((self._folder / f"{file_name(name)}.json").read_bytes())
            asked = parse_time(kept["asked"])
            answer: Row = kept["answer"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return answer if asked is not None and asked >= self._begun else None

    def put(self, name: str, answer: Row, asked: datetime) -> None:
        """Keep an answer."""
        kept = {"asked": asked.isoformat(), "answer": answer}
        write_whole(self._folder / f"{file_name(name)}.json", json.dumps(kept).encode())
