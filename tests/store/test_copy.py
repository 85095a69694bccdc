"""A copy of the database: whole and consistent, made while scanning goes on, and never at its cost."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edgebox.store import Refused, StoreError, copying
from edgebox.store.staff import Role
from tests.store.venue import LET_IN, Venue, many, wait_until

Disk = namedtuple("Disk", "total used free")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def test_a_copy_is_a_box_of_its_own(venue: Venue, tmp_path: Path) -> None:
    venue.take_in(many(20))
    venue.scan("s0001")
    venue.store.staff.set_password(Role.LEAD, "hash", code=None)
    (tmp_path / "copy").mkdir()
    path = tmp_path / "copy" / "edgebox.sqlite3"
    venue.store.copy_to(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["edgebox.sqlite3"], "it stands alone"
    assert path.stat().st_mode & 0o777 == 0o600
    copy = Venue(path.parent)
    assert [row.checkin.secret for row in copy.journal] == ["s0001"]
    assert copy.is_in("s0001")
    assert copy.store.staff.credential(Role.LEAD).password_hash == "hash"
    copy.close()


def test_with_a_copy_nobody_can_forge_a_session(venue: Venue, tmp_path: Path) -> None:
    secret = venue.store.staff.session_secret()
    venue.store.copy_to(tmp_path / "copy")
    assert secret.encode() not in (tmp_path / "copy").read_bytes()
    assert venue.store.staff.session_secret() == secret
    wal = tmp_path / "edgebox.sqlite3-wal"
    assert secret.encode() in (tmp_path / "edgebox.sqlite3").read_bytes() + wal.read_bytes(), "the test would see it"


def test_a_copy_under_load_is_one_moment_of_the_evening(venue: Venue, tmp_path: Path) -> None:
    venue.take_in(many(3000))
    stop = threading.Event()
    accepted: list[str] = []

    def scan() -> None:
        for number in range(3000):
            if stop.is_set():
                return
            if venue.scan(f"s{number:04d}") is LET_IN:
                accepted.append(f"s{number:04d}")

    scanner = threading.Thread(target=scan)
    scanner.start()
    try:
        for number in range(5):
            wait_until(lambda number=number: len(accepted) > 20 * (number + 1))  # type: ignore[misc]
            before = len(accepted)
            path = tmp_path / f"copy{number}"
            venue.store.copy_to(path)
            with opened(path) as copy:
                rows = [row["secret"] for row in copy.execute("SELECT secret FROM checkin ORDER BY id")]
                assert rows == accepted[: len(rows)]
                assert len(rows) >= before
                assert copy.execute("SELECT value FROM counter").fetchone()[0] > 0
    finally:
        stop.set()
        scanner.join()
    assert len(accepted) > before, "scanning went on"


def test_a_file_that_is_there_is_not_written_over(venue: Venue, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("something else")
    with pytest.raises(StoreError, match="File exists"):
        venue.store.copy_to(tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "something else"


def test_where_there_is_little_room_no_copy_is_made(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum((tmp_path / f"edgebox.sqlite3{end}").stat().st_size for end in ("", "-wal", "-shm"))
    room = size + copying.ROOM_FOR_SCANNING_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(10 * room, 9 * room, room - 1))
    with pytest.raises(Refused, match="too little room"):
        venue.store.copy_to(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(10 * room, 9 * room, room))
    venue.store.copy_to(tmp_path / "copy")


def test_one_copy_is_made_at_a_time(venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> Disk:
        begun.set()
        assert go_on.wait(60)
        return Disk(10**12, 0, 10**12)

    monkeypatch.setattr(shutil, "disk_usage", slow)
    first = threading.Thread(target=venue.store.copy_to, args=(tmp_path / "first",))
    first.start()
    assert begun.wait(60)
    with pytest.raises(Refused, match="is being made already"):
        venue.store.copy_to(tmp_path / "second")
    go_on.set()
    first.join()
    venue.store.copy_to(tmp_path / "second")
    assert (tmp_path / "first").stat().st_size == (tmp_path / "second").stat().st_size
