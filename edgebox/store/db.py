"""Opening SQLite the way the box needs it, and what can go wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE_NAME = "edgebox.sqlite3"

Row = sqlite3.Row
Connection = sqlite3.Connection


class StoreError(Exception):
    """Root of all errors of the store. Its text is for staff."""


class NotWritable(StoreError):
    """The disk is full, read-only or failing. What was asked was not recorded; reading goes on."""


class Busy(StoreError):
    """The writer did not get to the redeem within its deadline; it was not recorded."""


class Refused(StoreError):
    """An action that staff asked for is not possible as things stand; the text says why and what to do."""


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """A connection in autocommit mode: transactions are begun on purpose.

    A committed transaction is on the disk (WAL with synchronous=FULL): NORMAL may lose the last commits with the
    power. Readers never block the writer nor wait for it.
    """
    uri = f"file:{_quoted(path)}?mode={'ro' if read_only else 'rwc'}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise NotWritable(f"the database {path} cannot be opened: {error}") from error
    return connection


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


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
