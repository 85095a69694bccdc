"""Reading beside the writer: a read-only connection for each thread that asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgebox.store.db import Connection, StoreError, connect, reading


class Readers:
    """Hands each thread its own connection. A reader sees the last commit and never blocks the writer."""

    def __init__(self, path: Path, on_failure: Callable[[BaseException | None], None] = lambda error: None) -> None:
        """`on_failure` gets what SQLite says where the database cannot be read."""
        self._path = path
        self._on_failure = on_failure
        self._local = threading.local()
        self._lock = threading.Lock()
        # One that has read stays open as long as the box runs: with the last connection SQLite removes the files beside
        # the database, and on a full disk it could not make them anew. Then nobody could read any more.
        self._all: list[Connection] = [connect(path, read_only=True)]
        self._all[0].execute("SELECT count(*) FROM sqlite_schema")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """This thread's connection, in one consistent state until the block ends. Raises StoreError."""
        try:
            with reading(self.get()) as connection:
                yield connection
        except StoreError as error:
            self._on_failure(error.__cause__)
            raise

    def get(self) -> Connection:
        """This thread's connection. Raises StoreError."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, read_only=True)
            self._local.connection = connection
            with self._lock:
                self._all.append(connection)
        return connection

    def close(self) -> None:
        """Close every thread's connection; nobody may be reading any more."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
