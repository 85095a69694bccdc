"""Copying the database into another file while scans go on: whole, of one moment, and checked before it counts.

SQLite's own backup copies the pages as they are, a few at a time, as a reader that keeps to the commit with which it
began: the writer waits for none of it, and nothing of a copy is ever half of this and half of that. (`VACUUM INTO`
would build every index anew, in one go: twice the work for the same file.)
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgebox.store.db import Connection, Refused, StoreError, connect, is_damage, peek
from edgebox.store.longwork import LongWork

ROOM_FOR_SCANNING_BYTES = 100_000_000
"""What a copy of the database must leave free."""

STEP_PAGES = 256
"""After so many (a megabyte) what was copied is written to the disk: all at once would hold up whoever syncs beside."""
LONGEST_REST_S = 0.5
"""After each step it rests for as long as that took, so that half of a slow card is left to the scans."""


class CopyNotWhole(StoreError):
    """The copy was damaged, and was removed; or the database is."""


class Copying:
    """Makes copies of a database, one at a time. Thread-safe."""

    def __init__(self, path: Path, long_work: LongWork) -> None:
        self._path = path
        self._long_work = long_work
        self._one_at_a_time = threading.Lock()

    def copy_to(self, path: Path, *, keeps_sessions: bool = False, wait_s: float = 0.0) -> None:
        """A copy in a new file with mode 0600 that stands alone, on the disk and checked when this returns.

        Unless it `keeps_sessions`, nobody can forge a session with it: what those are signed with is not in it.
        Scanning goes on meanwhile, so there must be room for both. Another copy that is being made is waited for, up to
        `wait_s`. Raises Refused, StoreError when it cannot be made,
        CopyNotWhole, and Stopped: then nothing of it is left.
        """
        if not self._one_at_a_time.acquire(timeout=wait_s):
            raise Refused("a copy is being made already; wait for that one")
        try:
            self._require_room(path.parent)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._copy(path, file, keeps_sessions)
            except BaseException:
                for left in (path, path.with_name(f"{path.name}-journal")):
                    left.unlink(missing_ok=True)
                raise
            finally:
                os.close(file)
        except sqlite3.Error as error:
            if is_damage(error):
                raise CopyNotWhole(f"the copy could not be made ({error}): the database may be damaged") from error
            raise StoreError(f"the copy could not be made ({error}); the box itself is unharmed") from error
        except OSError as error:
            raise StoreError(f"the copy could not be made ({error.strerror}); the box itself is unharmed") from error
        finally:
            self._one_at_a_time.release()

    @contextmanager
    def none(self, wait_s: float) -> Iterator[None]:
        """Nobody makes a copy until the block ends. Raises Refused where one is being made for longer than `wait_s`."""
        if not self._one_at_a_time.acquire(timeout=wait_s):
            raise Refused("a copy of the database is being made; nothing was done: try again when that is ready")
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def _require_room(self, folder: Path) -> None:
        size_bytes = sum(file.stat().st_size for file in self._path.parent.glob(f"{self._path.name}*"))
        if shutil.disk_usage(folder).free < size_bytes + ROOM_FOR_SCANNING_BYTES:
            raise Refused("there is too little room for a copy: scanning could stop for it; nothing was copied")

    def _copy(self, path: Path, file: int, keeps_sessions: bool) -> None:
        with (
            closing(connect(self._path, read_only=True)) as source,
            closing(sqlite3.connect(path, isolation_level=None)) as copy,
            self._long_work.on(source),
        ):
            source.execute("BEGIN")
            counts = row_counts(source)  # from here on the source stays as it is, for this connection
            # Where the copying fails the file is gone anyway: it needs neither a journal nor syncs of SQLite's.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            copy.execute(f"PRAGMA cache_size = {STEP_PAGES}")  # so that each step reaches the file
            source.backup(copy, pages=STEP_PAGES, progress=_Pace(file, self._long_work))
            # One that stands alone: no file beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            if not keeps_sessions:
                copy.execute("PRAGMA secure_delete = ON")
                counts["own_secret"] -= copy.execute("DELETE FROM own_secret").rowcount
        os.fsync(file)
        # What is checked is what lies on the disk, not what memory still has of it.
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        problem = problem_of(path, self._long_work, counts)
        if problem is not None:
            raise CopyNotWhole(f"the copy is not whole ({problem}): the disk or the database itself may be damaged")


class _Pace:
    """Between two steps: writes what was copied, rests, and sees whether the box stops."""

    def __init__(self, file: int, long_work: LongWork) -> None:
        self._file = file
        self._long_work = long_work
        self._began_s = time.monotonic()

    def __call__(self, status: int, remaining: int, total: int) -> None:
        self._long_work.go_on()
        os.fdatasync(self._file)
        time.sleep(min(time.monotonic() - self._began_s, LONGEST_REST_S))
        self._began_s = time.monotonic()


def row_counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage")]
    return {table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def problem_of(path: Path, long_work: LongWork, counts: dict[str, int] | None = None) -> str | None:
    """What is wrong with a copy, in words; None where it is whole and has as many rows as `counts` says.

    Raises Stopped.
    """
    try:
        with closing(peek(path)) as connection, long_work.on(connection):
            problem = full_check(connection)
            if problem is None and counts is not None and (found := row_counts(connection)) != counts:
                wrong = next(table for table in counts if found.get(table) != counts[table])
                problem = f"of {wrong} it has {found.get(wrong, 0)} rows instead of {counts[wrong]}"
    except (sqlite3.Error, StoreError) as error:
        return str(error)
    return problem


def full_check(connection: Connection) -> str | None:
    """Look through the whole database; the first thing that is wrong, in words. Raises SQLite's errors.

    The check is the thorough one: an index that lacks a row, which `quick_check` does not see, may let somebody in
    twice.
    """
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return None if found == "ok" else " ".join(found.split())
