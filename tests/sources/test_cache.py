"""Pages on disk: resuming, topping up, damage, and two runs at once."""

import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bayes_hfgrowth import SourceError
from bayes_hfgrowth.sources.cache import CursorRefusedError, Listing, Row, Run, write_whole

MORNING = datetime(2025, 6, 15, 8, tzinfo=UTC)


class Pages:
    """A Hub of numbered rows, newest first, that may fail before a page."""

    def __init__(self, count: int, size: int = 10) -> None:
        self.rows: list[Row] = [row(number) for number in range(count)]
        self.size, self.asked, self.fail_at = size, [], -1

    def __call__(self, address: str) -> tuple[list[Row], str | None]:
        if len(self.asked) == self.fail_at:
            raise SourceError("down")
        self.asked.append(address)
        newest = sorted(self.rows, key=lambda r: r["_id"], reverse=True)
        if address != "top":
            newest = [r for r in newest if r["_id"] < address]
        page = newest[: self.size]
        return page, page[-1]["_id"] if len(newest) > self.size else None


def row(number: int) -> Row:
    created = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return {"_id": f"{number:05d}", "id": f"a/{number}", "createdAt": created.isoformat()}


def update(folder: Path, ask: Any, when: datetime = MORNING, **options: Any) -> list[str]:
    with Listing(folder).locked(lambda: None) as listing:
        listing.update(ask, "top", when, now=lambda: when, **options)
        return [r["_id"] for r in listing.rows()]


def test_an_interrupted_listing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pages = Pages(95)
    pages.fail_at = 4
    with pytest.raises(SourceError, match="down"):
        update(tmp_path, pages)
    pages.fail_at = -1
    found = update(tmp_path, pages, MORNING + timedelta(hours=1))
    assert sorted(found) == [r["_id"] for r in pages.rows]
    assert len(pages.asked) == len(set(pages.asked)) == 10


def test_a_second_run_asks_only_for_what_is_new(tmp_path: Path) -> None:
    pages = Pages(95)
    update(tmp_path, pages)
    pages.asked.clear()
    pages.rows += [row(n) for n in range(95, 110)]
    found = update(tmp_path, pages, MORNING + timedelta(days=3))
    assert len(pages.asked) == 2  # 15 new rows are on two pages of 10
    assert sorted(found) == [r["_id"] for r in pages.rows]  # each once


def test_rows_as_old_as_the_newest_known_one_are_not_missed(tmp_path: Path) -> None:
    pages = Pages(20)
    update(tmp_path, pages)
    twins = [{**row(19), "_id": f"00019-{n}", "id": f"b/{n}"} for n in range(25)]
    pages.rows += twins  # created in the same second as the newest row known
    found = update(tmp_path, pages, MORNING + timedelta(days=1))
    assert {t["_id"] for t in twins} <= set(found)


def test_a_run_does_not_repeat_its_own_finished_listing(tmp_path: Path) -> None:
    pages = Pages(30)
    update(tmp_path, pages)
    pages.asked.clear()
    update(tmp_path, pages)  # the same run, resumed
    assert pages.asked == []


def test_an_old_unfinished_listing_is_finished_and_then_topped_up(tmp_path: Path) -> None:
    pages = Pages(40)
    pages.fail_at = 2
    with pytest.raises(SourceError):
        update(tmp_path, pages)
    pages.fail_at = -1
    pages.rows += [row(n) for n in range(40, 45)]
    found = update(tmp_path, pages, MORNING + timedelta(days=2))
    assert sorted(found) == [r["_id"] for r in pages.rows]


def test_refresh_lists_again_and_forgets_what_has_vanished(tmp_path: Path) -> None:
    pages = Pages(30)
    update(tmp_path, pages)
    del pages.rows[5]
    tomorrow = MORNING + timedelta(days=1)
    assert "00005" in update(tmp_path, pages, tomorrow)  # not looked at again
    assert "00005" not in update(tmp_path, pages, tomorrow + timedelta(hours=1), refresh=True)


def test_an_interrupted_refresh_keeps_what_was_known(tmp_path: Path) -> None:
    pages = Pages(30)
    update(tmp_path, pages)
    pages.asked.clear()
    pages.fail_at = 1
    with pytest.raises(SourceError):
        update(tmp_path, pages, MORNING + timedelta(days=1), refresh=True)
    with Listing(tmp_path).locked(lambda: None) as listing:
        assert len(list(listing.rows())) == 30
    pages.fail_at = -1
    assert len(update(tmp_path, pages, MORNING + timedelta(days=1), refresh=True)) == 30
    assert len(pages.asked) == len(set(pages.asked)) == 3


@pytest.mark.parametrize("content", [b"", b"junk", gzip.compress(b"{}\n[]", mtime=0), "half"])
def test_a_damaged_page_is_fetched_again(tmp_path: Path, content: bytes | str) -> None:
    pages = Pages(50)
    update(tmp_path, pages)
    page = sorted(tmp_path.glob("pass-*/page-*"))[2]
    page.write_bytes(page.read_bytes()[:-9] if isinstance(content, str) else content)
    assert sorted(update(tmp_path, pages, MORNING + timedelta(hours=1))) == [
        r["_id"] for r in pages.rows
    ]


def test_a_repeating_cursor_is_an_error_not_a_loop(tmp_path: Path) -> None:
    def ask(address: str) -> tuple[list[Row], str | None]:
        return [row(1)], "again"

    with pytest.raises(SourceError, match=r"circle after 2 pages.*--refresh"):
        update(tmp_path, ask)


def test_an_expired_cursor_begins_at_the_top(tmp_path: Path) -> None:
    pages = Pages(30)
    pages.fail_at = 1
    with pytest.raises(SourceError):
        update(tmp_path, pages)
    pages.fail_at = -1
    refused: list[str] = []

    def ask(address: str) -> tuple[list[Row], str | None]:
        if address != "top" and not refused:
            refused.append(address)
            raise CursorRefusedError("expired")
        return pages(address)

    assert len(update(tmp_path, ask, MORNING + timedelta(hours=1))) == 30


def test_unordered_pages_are_read_to_the_end(tmp_path: Path) -> None:
    pages = Pages(40)
    update(tmp_path, pages)

    def shuffled(address: str) -> tuple[list[Row], str | None]:
        rows, following = pages(address)
        return rows[5:] + rows[:5], following

    pages.asked.clear()
    update(tmp_path, shuffled, MORNING + timedelta(days=1))
    assert len(pages.asked) == 4


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    pages, waited = Pages(200), []
    begun = threading.Event()

    def slow(address: str) -> tuple[list[Row], str | None]:
        begun.set()
        threading.Event().wait(0.01)
        return pages(address)

    def other() -> None:
        begun.wait(5)
        with Listing(tmp_path).locked(lambda: waited.append(True)) as listing:
            listing.update(slow, "top", MORNING, now=lambda: MORNING)

    thread = threading.Thread(target=other)
    thread.start()
    update(tmp_path, slow)
    thread.join()
    assert waited == [True]
    assert len(pages.asked) == 20


def test_pages_say_what_they_are(tmp_path: Path) -> None:
    update(tmp_path, Pages(15))
    with gzip.open(tmp_path / "pass-00001-full" / "page-000001.json.gz") as file:
        head = json.loads(file.readline())
    assert set(head) == {"asked", "request", "next", "last", "newest"}


def test_a_run_is_resumed_on_its_day_only(tmp_path: Path) -> None:
    run = Run(tmp_path, ["finetune", "a/b"], MORNING)
    assert run.begun == MORNING
    assert Run(tmp_path, ["finetune", "a/b"], MORNING + timedelta(hours=3)).begun == MORNING
    assert Run(tmp_path, ["adapter", "a/b"], MORNING + timedelta(hours=3)).begun != MORNING
    later = MORNING + timedelta(hours=17)  # past midnight
    run = Run(tmp_path, ["finetune", "a/b"], later)
    assert run.begun == later
    run.done()
    again = later + timedelta(minutes=5)
    assert Run(tmp_path, ["finetune", "a/b"], again).begun == again
    evening = MORNING.replace(hour=23, minute=50)
    Run(tmp_path, ["all", "a/b"], evening)
    assert Run(tmp_path, ["all", "a/b"], evening + timedelta(minutes=30)).begun == evening


def test_a_cache_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="--cache") as caught:
        write_whole(tmp_path / "file" / "page", b"")
    assert "\n" not in str(caught.value)
    with (
        pytest.raises(SourceError, match="--cache"),
        Listing(tmp_path / "file").locked(lambda: None),
    ):
        pass
