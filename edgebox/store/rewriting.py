"""Making the database's files anew, so that nothing that was deleted is left in them.

Deleted rows are overwritten (`secure_delete`), but SQLite has moved rows about before: copies of them lie in the gaps
of pages that are still in use, and in the write-ahead log. VACUUM writes all that is left into fresh pages. It cannot
be done in slices, so it waits until nobody has scanned for a while, and gives way to the first scan that comes; only
while the result is written into the log that one has to wait.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TypeVar

from edgebox.store.db import Connection, StoreError, connect
from edgebox.store.purge import merges
from edgebox.store.writer import Writer

T = TypeVar("T")

QUIET_S = 60.0
"""For so long nobody must have scanned."""
LOOK_EVERY_S = 0.2
LOOK_EVERY_STEPS = 1_000
"""Of SQLite's, between two looks whether a scan waits: less than a millisecond."""


class Rewriting:
    """Rewrites one database that is in use. `quiet_s` is a seam for tests."""

    def __init__(self, path: Path, writer: Writer, quiet_s: float = QUIET_S) -> None:
        self._path = path
        self._writer = writer
        self.quiet_s = quiet_s

    def run(self, done: Callable[[Connection], None], *, within_s: float) -> bool:
        """Rewrite once it is quiet; `done` is a job that is written then.

        False where nobody would let it within `within_s` seconds: then it is to be tried again. Raises StoreError.
        """
        give_up_s = time.monotonic() + within_s
        self._merge_names()
        while not (self.is_quiet() and self._writer.alone(self._vacuum)):
            if time.monotonic() >= give_up_s:
                return False
            Event().wait(LOOK_EVERY_S)
        while not self._empty_log():
            if time.monotonic() >= give_up_s:
                return False
            Event().wait(LOOK_EVERY_S)
        self._writer.write(done)
        return True

    def is_quiet(self) -> bool:
        """Whether nobody has scanned for a while."""
        return self._writer.quiet_for_s() >= self.quiet_s

    def _merge_names(self) -> None:
        for merge in merges():
            if not self._writer.write_slice(merge):
                return

    def _vacuum(self, connection: Connection) -> bool:
        """In the writer. False when a scan came, and all is as it was."""

        def work(connection: Connection) -> bool:
            connection.execute("VACUUM")
            return True

        try:
            return giving_way(connection, self._writer, work) or False
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"the database could not be rewritten ({error}); it is as it was. What was deleted is gone from it, "
                "but traces may be left in its files until that succeeds: see that there is room on the disk"
            ) from error

    def _empty_log(self) -> bool:
        """Move what is in the log into the database, and cut it to nothing. False while somebody reads it."""
        with closing(connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # all of it, while nobody waits
        return self._writer.alone(_truncate)


def giving_way(connection: Connection, writer: Writer, work: Callable[[Connection], T]) -> T | None:
    """Do `work` alone in the writer, unless a scan comes: then None, and all is as it was."""
    connection.set_progress_handler(writer.is_waiting, LOOK_EVERY_STEPS)
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _truncate(connection: Connection) -> bool:
    """In the writer: what is left of it."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute("PRAGMA busy_timeout = 5000")
    return not is_busy
