"""The copies beside the database: whole or not there, the newest kept, and never in the way of what they are for."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgebox.store import Refused, StoreError, copies, copying
from edgebox.store.copying import CopyNotWhole
from edgebox.store.longwork import Stopped
from tests.store.venue import EIGHT, LET_IN, Venue, full_disk, many, told, wait_until


def folder(venue: Venue) -> Path:
    return venue.data_dir / copies.FOLDER


def names(venue: Venue) -> list[str]:
    return sorted(path.name for path in folder(venue).iterdir())


def checkins(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT secret FROM checkin ORDER BY id")]


def test_a_copy_lies_beside_the_database_and_is_nobody_elses(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    mask = os.umask(0)
    try:
        copy = venue.store.copies.make(EIGHT, keep=3)
    finally:
        os.umask(mask)
    assert names(venue) == ["000001-20261124T200000Z.sqlite3"]
    assert (copy.path, copy.number, copy.made_at) == (folder(venue) / names(venue)[0], 1, EIGHT)
    assert venue.store.copies.all() == [copy]
    assert checkins(copy.path) == ["t1"]
    assert stat.S_IMODE(folder(venue).stat().st_mode) == 0o700
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600


def test_whoever_is_logged_in_stays_so_after_a_restoration(venue: Venue) -> None:
    secret = venue.store.staff.session_secret()
    assert secret.encode() in venue.store.copies.make(EIGHT, keep=1).path.read_bytes()


def test_the_newest_are_kept_by_their_numbers_whatever_the_clock_says(venue: Venue) -> None:
    for hours in (0, -9000, 4, 2):
        venue.store.copies.make(EIGHT + timedelta(hours=hours), keep=3)
    assert [copy.number for copy in venue.store.copies.all()] == [4, 3, 2]
    assert names(venue)[0].startswith("000002-2025")
    venue.store.copies.make(EIGHT, keep=1)
    assert names(venue) == ["000005-20261124T200000Z.sqlite3"]


def test_what_else_lies_there_is_left_alone(venue: Venue) -> None:
    folder(venue).mkdir()
    (folder(venue) / "from-the-stick.sqlite3").touch()
    venue.store.copies.make(EIGHT, keep=1)
    venue.store.copies.make(EIGHT, keep=1)
    assert names(venue) == ["000002-20261124T200000Z.sqlite3", "from-the-stick.sqlite3"]


def test_what_a_killed_box_left_of_a_copy_goes_with_the_next_one(venue: Venue) -> None:
    folder(venue).mkdir()
    for ending in ("", "-journal"):
        (folder(venue) / f"000001-20261124T200000Z.sqlite3.part{ending}").touch()
    assert venue.store.copies.all() == []
    venue.store.copies.make(EIGHT, keep=3)
    assert names(venue) == ["000001-20261124T200000Z.sqlite3"]


def test_nothing_is_left_of_a_copy_for_which_the_disk_had_no_room(venue: Venue) -> None:
    venue.pull(told())
    kept = venue.store.copies.make(EIGHT, keep=1)
    with full_disk(), pytest.raises(StoreError, match="the copy could not be made") as raised:
        venue.store.copies.make(EIGHT, keep=1)
    assert "unharmed" in str(raised.value)
    assert names(venue) == [kept.path.name]
    assert venue.scan() is LET_IN
    assert venue.store.copies.make(EIGHT, keep=1).number == 2


def test_where_there_is_little_room_none_is_made(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "ROOM_FOR_SCANNING_BYTES", 10**18)
    with pytest.raises(Refused, match="too little room"):
        venue.store.copies.make(EIGHT, keep=3)
    assert names(venue) == []


def test_where_the_folder_cannot_be_made_that_is_said(venue: Venue) -> None:
    folder(venue).write_text("in the way")
    with pytest.raises(StoreError, match="File exists"):
        venue.store.copies.make(EIGHT, keep=3)


@pytest.mark.parametrize("reaches", ["the check", "the count"])
def test_a_copy_that_is_not_whole_never_gets_its_name(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, reaches: str
) -> None:
    """As a bad card does: what was written is not what is read."""
    venue.take_in(many(50))
    venue.scan("s0001")
    kept = venue.store.copies.make(EIGHT, keep=1)
    sync = os.fsync

    def spoil(file: int) -> None:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return sync(file)
        path = Path(f"/proc/self/fd/{file}").readlink()
        if reaches == "the check":
            os.pwrite(file, b"\xa5" * 4096, 5 * 4096)
        else:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("DELETE FROM checkin")
                connection.commit()

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(CopyNotWhole, match="of checkin it has 0 rows" if reaches == "the count" else "not whole"):
        venue.store.copies.make(EIGHT, keep=1)
    assert names(venue) == [kept.path.name]


def test_a_box_that_stops_does_not_wait_for_a_copy(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.take_in(many(3000))
    monkeypatch.setattr(copying, "STEP_PAGES", 1)
    begun, outcomes = threading.Event(), list[str]()
    pace = copying._Pace.__call__

    def noticed(self: copying._Pace, *told: int) -> None:
        begun.set()
        pace(self, *told)

    monkeypatch.setattr(copying._Pace, "__call__", noticed)

    def make() -> None:
        with pytest.raises(Stopped):
            venue.store.copies.make(EIGHT, keep=3)
        outcomes.append("stopped")

    maker = threading.Thread(target=make)
    maker.start()
    assert begun.wait(60)
    venue.store.stop_long_work()
    maker.join()
    assert outcomes == ["stopped"]
    assert names(venue) == []


def test_a_copy_is_written_to_the_disk_a_little_at_a_time(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once would hold up every scan's own sync."""
    venue.take_in(many(3000))
    monkeypatch.setattr(copying, "STEP_PAGES", 10)
    sizes: list[int] = []
    sync = os.fdatasync

    def noted(file: int) -> None:
        sizes.append(os.fstat(file).st_size)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", noted)
    copy = venue.store.copies.make(EIGHT, keep=3)
    size = copy.path.stat().st_size
    steps = [later - earlier for earlier, later in zip([0, *sizes], [*sizes, size], strict=True)]
    assert len(steps) > 10
    assert max(steps) <= 2 * copying.STEP_PAGES * 4096


def test_scans_go_on_while_a_copy_is_made(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.take_in(many(300))
    monkeypatch.setattr(copying, "STEP_PAGES", 1)
    held, go_on = threading.Event(), threading.Event()
    pace = copying._Pace.__call__

    def hold(self: copying._Pace, *told: int) -> None:
        held.set()
        assert go_on.wait(60)
        pace(self, *told)

    monkeypatch.setattr(copying._Pace, "__call__", hold)
    maker = threading.Thread(target=venue.store.copies.make, args=(EIGHT, 3))
    maker.start()
    assert held.wait(60)
    assert [venue.scan(f"s{number:04d}") for number in range(20)] == [LET_IN] * 20
    assert venue.store.write_failure() is None
    go_on.set()
    maker.join()
    assert checkins(venue.store.copies.all()[0].path) == [], "it is of the moment at which it was begun"


def test_what_is_new_since_a_copy(venue: Venue) -> None:
    def has_news() -> bool:
        return venue.store.copies.has_news(venue.store.reading(), venue.store.copies.all()[0])

    for change in (
        lambda: venue.pull(told("t1"), told("t2")),
        lambda: venue.scan("t1"),
        venue.settle,
        lambda: venue.add_device("Gate 2"),
        lambda: venue.add_list(event="another"),
    ):
        venue.store.copies.make(EIGHT, keep=1)
        assert not has_news()
        change()
        assert has_news()
    venue.store.copies.make(EIGHT, keep=1)
    assert venue.scan("nobody") is not LET_IN
    wait_until(lambda: any(entry.secret == "nobody" for entry in venue.log()))
    assert not has_news()
    venue.store.copies.all()[0].path.write_bytes(b"no database")
    assert has_news()


def test_the_time_of_a_copy_is_in_its_name_in_utc(venue: Venue) -> None:
    at = datetime.fromisoformat("2026-11-25T01:30:00+05:30")
    assert venue.store.copies.make(at, keep=1).path.name == "000001-20261124T200000Z.sqlite3"
    assert venue.store.copies.all()[0].made_at == at.astimezone(UTC)


def test_copies_do_not_count_for_the_room_of_the_next_one(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.take_in(many(500))
    venue.store.copies.make(EIGHT, keep=3)
    size = sum(path.stat().st_size for path in venue.data_dir.glob("edgebox.sqlite3*"))
    usage = shutil.disk_usage(venue.data_dir)._replace(free=size + copying.ROOM_FOR_SCANNING_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    venue.store.copies.make(EIGHT, keep=3)
