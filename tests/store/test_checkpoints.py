"""Moving what was committed into the database: beside the scans, never in their way, and never at their cost."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store import checkpoints
from edgebox.store.checkpoints import look_at
from edgebox.store.db import Connection
from tests.store.desk import Desk
from tests.store.venue import DEADLINE_S, commits_in_wal, frames_in_wal, full_disk, wait_until

FRAME_BYTES = 24 + 4096
NOTE = 20 * "a note of some length"
EAGER_BYTES = 20 * FRAME_BYTES


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is a lot, and the thread looks often."""
    monkeypatch.setattr(checkpoints, "GROWN_BYTES", EAGER_BYTES)
    monkeypatch.setattr(checkpoints, "IDLE_BYTES", FRAME_BYTES)
    monkeypatch.setattr(checkpoints, "IDLE_AFTER_S", 0.01)
    monkeypatch.setattr(checkpoints, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(checkpoints, "AFTER_FAILURE_S", 0.001)


def wal_of(desk: Desk) -> Path:
    return desk.path.with_name(f"{desk.path.name}-wal")


def in_use(desk: Desk) -> int:
    return look_at(wal_of(desk)).size_bytes


def copied(desk: Desk) -> list[str]:
    """What the database has without its log; nothing while it is being copied and can be half of this and of that."""
    with closing(sqlite3.connect(f"file:{desk.path}?immutable=1", uri=True)) as connection:
        try:
            return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY rowid")]
        except sqlite3.DatabaseError:
            return []


def test_a_commit_leaves_the_database_as_it_is(desk: Desk) -> None:
    """SQLite would copy from the thousandth page on, within somebody's commit."""

    def many(connection: Connection) -> None:
        connection.executemany("INSERT INTO note VALUES (?)", ((f"{number}{NOTE * 8}",) for number in range(1200)))

    before = desk.path.read_bytes()
    desk.write_now(many)
    desk.redeem_now(desk.note("a scan"))
    assert frames_in_wal(desk.path.parent) > 1000
    assert desk.path.read_bytes() == before


def test_the_length_of_the_log_is_what_is_in_use_of_it(desk: Desk) -> None:
    for number in range(20):
        desk.write_now(desk.note(f"{number}{NOTE}"))
    before = in_use(desk)
    assert before == frames_in_wal(desk.path.parent) * FRAME_BYTES
    desk.writer._checkpoints.is_due = True
    desk.write_now(desk.note("copied after this"))
    wait_until(lambda: copied(desk)[-1:] == ["copied after this"])
    desk.write_now(desk.note("the first of a new log"))
    assert wal_of(desk).stat().st_size > before, "the file stays as it was"
    assert in_use(desk) == frames_in_wal(desk.path.parent) * FRAME_BYTES <= 10 * FRAME_BYTES


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    assert look_at(tmp_path / "none").size_bytes == 0
    (tmp_path / "empty").touch()
    assert look_at(tmp_path / "empty").size_bytes == 0


@pytest.mark.usefixtures("eager")
def test_once_nobody_writes_everything_is_copied(desk: Desk) -> None:
    for number in range(5):
        desk.write_now(desk.note(str(number)))
    wait_until(lambda: copied(desk) == ["0", "1", "2", "3", "4"])

    def begins_anew() -> bool:
        """SQLite notes that it has copied everything a moment after everything can be read from the database."""
        desk.write_now(desk.note(f"number {len(desk.notes)}"))
        return commits_in_wal(desk.path.parent) == 1

    wait_until(begins_anew)


@pytest.mark.usefixtures("eager")
def test_under_load_the_log_stays_short(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always a commit that is not copied yet, so the writer has to help."""
    monkeypatch.setattr(checkpoints, "IDLE_AFTER_S", 60.0)
    monkeypatch.setattr(checkpoints, "LONG_BYTES", 2 * EAGER_BYTES)
    began_anew = number = 0

    def goes_on() -> bool:
        nonlocal began_anew, number
        number += 1
        before = in_use(desk)
        desk.redeem_now(desk.note(f"{number}{NOTE}"))
        began_anew += in_use(desk) < before
        return began_anew >= 3

    wait_until(goes_on)
    assert len(desk.notes) == number


@pytest.mark.usefixtures("eager")
def test_a_reader_holds_up_nobody_and_is_not_disturbed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LONG_BYTES", 2 * EAGER_BYTES)
    desk.write_now(desk.note("before"))
    desk.reader.execute("BEGIN")
    assert desk.notes == ["before"]
    for number in range(200):
        desk.redeem_now(desk.note(f"{number}{NOTE}"))
    assert desk.notes == ["before"]
    desk.reader.execute("COMMIT")
    assert len(desk.notes) == 201


@pytest.mark.usefixtures("eager")
def test_where_copying_fails_no_scan_does_and_it_is_said_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints, "LONG_BYTES", EAGER_BYTES)
    tries: list[Connection] = []
    works = checkpoints._copy

    def fails(connection: Connection) -> None:
        tries.append(connection)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(checkpoints, "_copy", fails)
    for number in range(60):
        desk.writer._checkpoints.is_due = True
        assert desk.redeem_now(desk.note(f"{number}{NOTE}"))
    wait_until(lambda: len(tries) > 1)
    assert desk.writer.failure is None
    said = [record.getMessage() for record in caplog.records if record.name == checkpoints.__name__]
    assert len(said) == 1
    assert "disk I/O error" in said[0]
    monkeypatch.setattr(checkpoints, "_copy", works)
    desk.redeem_now(desk.note("it recovers by itself"))
    wait_until(lambda: copied(desk)[-1:] == ["it recovers by itself"])


@pytest.mark.usefixtures("eager")
def test_what_a_reader_kept_from_being_copied_is_copied_once_it_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Semaphore(0)
    works = checkpoints._copy

    def counted(connection: Connection) -> int | None:
        frames = works(connection)
        looked.release()
        return frames

    monkeypatch.setattr(checkpoints, "_copy", counted)
    desk.write_now(desk.note("seen by a reader"))
    desk.reader.execute("BEGIN")
    assert desk.notes == ["seen by a reader"]
    desk.write_now(desk.note("too new for it"))
    for _ in range(3):
        assert looked.acquire(timeout=DEADLINE_S), "it goes on trying, though nobody writes"
    assert "too new for it" not in copied(desk)
    desk.reader.execute("COMMIT")
    wait_until(lambda: copied(desk) == ["seen by a reader", "too new for it"])


@pytest.mark.usefixtures("eager")
def test_on_a_full_disk_it_is_tried_again_until_there_is_room(desk: Desk) -> None:
    desk.write_now(desk.note("before"))
    with full_disk():
        desk.writer._checkpoints._look(0)
        wait_until(lambda: desk.writer._checkpoints._has_failed)
    desk.redeem_now(desk.note("room again"))
    wait_until(lambda: copied(desk) == ["before", "room again"])


@pytest.mark.usefixtures("eager")
def test_while_the_log_is_copied_a_pull_waits_and_scans_do_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "ROOM_WITHIN_S", DEADLINE_S)
    monkeypatch.setattr(checkpoints, "IDLE_BYTES", EAGER_BYTES)
    copies, goes_on = threading.Event(), threading.Event()
    works = checkpoints._copy

    def held(connection: Connection) -> int | None:
        copies.set()
        assert goes_on.wait(DEADLINE_S)
        return works(connection)

    monkeypatch.setattr(checkpoints, "_copy", held)
    number = 0
    while not copies.is_set():
        number += 1
        desk.redeem_now(desk.note(f"{number}{NOTE}"))
    pulled = desk.write_slice(desk.note("a slice"))
    desk.redeem_now(desk.note("a scan"))
    assert not pulled.done()
    goes_on.set()
    pulled.result(DEADLINE_S)
    assert desk.notes[-2:] == ["a scan", "a slice"]


def test_a_box_that_is_closed_leaves_no_log(desk: Desk) -> None:
    desk.write_now(desk.note("a"))
    desk.reader.close()
    desk.writer.close()
    assert not wal_of(desk).exists()
    assert copied(desk) == ["a"]
