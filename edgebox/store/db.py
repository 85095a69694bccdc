"""Opening SQLite the way the box needs it, and what can go wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE_NAME = "edgebox.sqlite3"

Row = sqlite3.Row
Connection = sqlite3.Connection

WRITER_CACHE_KB = 16_000
"""Room for the indexes of a large event: what does not fit is read again for each slice of a pull, or written twice."""

_ABOUT_ONE_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_RANGE,
    }
)
"""SQLite's codes for a statement or its values. All others (full, I/O error, read-only, corrupt, busy, ...) are about
the database."""

_UNREADABLE = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_DATA,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)
"""SQLite's codes, beside corrupt and no database, for one of which a page cannot be read."""


class StoreError(Exception):
    """Root of all errors of the store. Its text is for staff."""


class NotWritable(StoreError):
    """The disk is full, read-only or failing. What was asked was not recorded; reading goes on."""


class Busy(StoreError):
    """The writer did not get to the redeem within its deadline; it was not recorded."""


class Refused(StoreError):
    """An action that staff asked for is not possible as things stand; the text says why and what to do."""


def connect(path: Path, *, read_only: bool = False, is_still: bool = False) -> Connection:
    """A connection in autocommit mode: transactions are begun on purpose.

    A committed transaction is on the disk (WAL with synchronous=FULL): NORMAL may lose the last commits with the
    power. Readers never block the writer nor wait for it. One that `is_still` has no log, and nobody writes it: it is
    read without any lock or other file. Raises StoreError; NotWritable unless `read_only`.
    """
    _keep_the_log(path)
    mode = "ro&immutable=1" if is_still else "ro" if read_only else "rwc"
    uri = f"file:{quoted(path)}?mode={mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # What is sorted or rolled back for a moment must not wear the card, nor be found on it.
        connection.execute("PRAGMA temp_store = MEMORY")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
            # What is deleted is overwritten; Debian's SQLite does so by itself, others must be told.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # edgebox.store.checkpoints
    except sqlite3.Error as error:
        kind = StoreError if read_only else NotWritable
        raise kind(f"the database {path} cannot be opened: {error}") from error
    return connection


def peek(path: Path) -> Connection:
    """A read-only connection to a database that nobody is writing; where it has no log, without a lock or another file.

    Raises StoreError.
    """
    log = path.with_name(f"{path.name}-wal")
    return connect(path, read_only=True, is_still=not log.exists())


def _keep_the_log(path: Path) -> None:
    """Where the database has become empty SQLite would remove the log beside it, which may be all there is."""
    log = path.with_name(f"{path.name}-wal")
    if path.is_file() and path.stat().st_size == 0 and log.exists() and log.stat().st_size:
        raise StoreError(
            f"the database {path} is empty, and its log {log.name} is not: start the box, which restores it"
        )


@contextmanager
def transaction(connection: Connection) -> Iterator[Connection]:
    """All or nothing: commits at the end, rolls back when an exception leaves the block."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(connection: Connection) -> Iterator[Connection]:
    """One consistent state for as long as the block lasts, whatever is written meanwhile; may stand inside another.

    Raises StoreError where the database cannot be read; a query that is wrong in itself is a bug and looks like one.
    """
    try:
        is_outermost = not connection.in_transaction
        if is_outermost:
            connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if is_outermost and connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if is_about_the_database(error):
            raise StoreError(f"the database cannot be read ({error})") from error
        raise


def is_about_the_database(error: Exception) -> bool:
    """Whether an error says that the database cannot be used, rather than something about one statement or job."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, NotWritable | MemoryError)
    return code & 0xFF not in _ABOUT_ONE_STATEMENT


def is_damage(error: BaseException | None) -> bool:
    """Whether an error of SQLite's says that the database itself is broken or cannot be read."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code in _UNREADABLE)


def quoted(path: Path) -> str:
    """A path as it stands in an URI of SQLite's."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
