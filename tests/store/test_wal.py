"""The log as a file: what of it is whole, and whether it goes on behind a place at which SQLite stops."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store import wal
from edgebox.store.wal import Wal
from tests.store.evening import PAGE, spoil_frame

FRAME = 24 + PAGE


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "live.sqlite3", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE note (text)")
        yield connection


def note(writer: sqlite3.Connection, *texts: str) -> None:
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO note VALUES (?)", [(text,) for text in texts])
    writer.execute("COMMIT")


def power_goes(tmp_path: Path) -> Path:
    """What is on the disk, for another process to find."""
    left = tmp_path / "left.sqlite3"
    for ending in ("", "-wal"):
        shutil.copyfile(tmp_path / f"live.sqlite3{ending}", tmp_path / f"left.sqlite3{ending}")
    return left


def has_lost_commits(database: Path) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("PRAGMA schema_version").fetchone()
        return wal.has_lost_commits(database)


def whole(database: Path) -> list[int]:
    with closing(Wal(wal.beside(database, "-wal"))) as log:
        return [frame.number for frame in log.whole()]


def test_all_frames_of_a_log_are_whole_and_sqlite_reads_them(tmp_path: Path, writer: sqlite3.Connection) -> None:
    for number in range(20):
        note(writer, f"{number}")
    left = power_goes(tmp_path)
    count = (left.with_name("left.sqlite3-wal").stat().st_size - 32) // FRAME
    assert whole(left) == list(range(1, count + 1))
    assert wal.read_by_sqlite(left) == count
    assert not has_lost_commits(left)
    with closing(Wal(wal.beside(left, "-wal"))) as log:
        pages = {frame.page: frame.content for frame in log.whole()}
        assert {frame.page: frame.content for frame in log.newest(count)} == pages
        assert log.pages_up_to(count) == set(pages)
    assert wal.holds_pages(left, range(1, 2))
    assert not wal.holds_pages(left, range(1, 1000))


@pytest.mark.parametrize("at", [0, 2000, PAGE - 1, -24, -16, -4])
def test_a_damaged_frame_is_not_whole_and_those_behind_it_are(
    tmp_path: Path, writer: sqlite3.Connection, at: int
) -> None:
    for number in range(20):
        note(writer, f"{number}")
    left = power_goes(tmp_path)
    before = whole(left)
    spoil_frame(left, 10, at)
    # What the next one was reckoned from stands in its head.
    lost = {10, 11} if at == -4 else {10}
    assert set(before) - set(whole(left)) == lost
    assert wal.read_by_sqlite(left) < 10
    assert has_lost_commits(left)


@pytest.mark.parametrize("at", [4, 9, 20, 30])
def test_a_log_whose_head_is_damaged_has_lost_everything(tmp_path: Path, writer: sqlite3.Connection, at: int) -> None:
    for number in range(20):
        note(writer, f"{number}")
    left = power_goes(tmp_path)
    before = whole(left)
    spoil_frame(left, 1, at - 32 - 24)
    assert has_lost_commits(left)
    assert whole(left) == before[1 if at >= 24 else 0 :]


def test_the_end_of_a_transaction_that_the_power_cut_is_no_loss(tmp_path: Path, writer: sqlite3.Connection) -> None:
    note(writer, *(f"{number}" for number in range(10)))
    before = power_goes(tmp_path).with_name("left.sqlite3-wal").stat().st_size
    note(writer, *("long" * 1000 for number in range(10)))
    left = power_goes(tmp_path)
    log = left.with_name("left.sqlite3-wal")
    content = log.read_bytes()
    count = (len(content) - before) // FRAME
    assert count > 5
    for lost in range(count):
        place = before + lost * FRAME
        for change in (content[:place], content[:place] + bytes(FRAME) + content[place + FRAME :]):
            log.write_bytes(change)
            assert not has_lost_commits(left)


def test_what_is_left_of_an_earlier_log_is_no_loss(tmp_path: Path, writer: sqlite3.Connection) -> None:
    for number in range(50):
        note(writer, f"{number}")
    writer.execute("PRAGMA wal_checkpoint(RESTART)")
    note(writer, "the first of a new log")
    left = power_goes(tmp_path)
    assert left.with_name("left.sqlite3-wal").stat().st_size > 40 * FRAME
    assert not has_lost_commits(left)
    assert len(whole(left)) < 10
    spoil_frame(left, 1)
    assert not has_lost_commits(left), "nothing was begun behind it"


def test_what_was_rolled_back_is_no_loss(tmp_path: Path, writer: sqlite3.Connection) -> None:
    """Pages of it had to be written, for there were more than there is room for in memory."""
    writer.execute("PRAGMA cache_size = 5")
    writer.execute("PRAGMA cache_spill = 5")
    note(writer, "kept")
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO note VALUES (?)", [("long" * 900,)] * 100)
    writer.execute("ROLLBACK")
    note(writer, "kept too")
    left = power_goes(tmp_path)
    assert left.with_name("left.sqlite3-wal").stat().st_size > 50 * FRAME
    assert not has_lost_commits(left)
    assert len(whole(left)) < 20
    last = wal.read_by_sqlite(left)
    spoil_frame(left, last)
    assert not has_lost_commits(left)


def test_there_may_be_no_log(tmp_path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = power_goes(tmp_path)
    assert not has_lost_commits(left)
    left.with_name("left.sqlite3-wal").unlink()
    assert not wal.has_lost_commits(left)
    assert not wal.holds_pages(left, range(1, 2))
    assert wal.read_by_sqlite(tmp_path / "nowhere") == 0


def test_a_head_that_is_half_of_an_earlier_log_says_nothing(tmp_path: Path, writer: sqlite3.Connection) -> None:
    """The power went while a long transaction was written over an earlier log, and one sector stayed as it was: the
    frame seems to have committed something, and the next ones to go on behind that."""
    torn = 42
    for number in range(2 * torn):
        note(writer, f"{number}")
    log = tmp_path / "live.sqlite3-wal"
    begins = 32 + (torn - 1) * FRAME
    before = log.read_bytes()[begins : begins + 8]
    assert int.from_bytes(before[4:], "big") > 0, "a commit"
    assert begins % 512 == 512 - len(before), "the sector ends within the head"
    assert writer.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0] == 0
    note(writer, *(f"{number}" + PAGE * "x" for number in range(torn)))
    assert not has_lost_commits(power_goes(tmp_path))
    with log.open("r+b") as file:
        file.seek(begins)
        file.write(before)
    left = power_goes(tmp_path)
    assert wal.read_by_sqlite(left) == 0
    assert torn + 1 in whole_ones(left)
    assert not has_lost_commits(left)


def whole_ones(database: Path) -> set[int]:
    """Frames that are whole, whether their transaction is or not."""
    with closing(Wal(wal.beside(database, "-wal"))) as log:
        return {number for number in range(1, log.frames + 1) if log._frame(number)}
