"""Reading beside the writer: a read-only connection for each thread that asks."""

from __future__ import annotations

import threading
from pathlib import Path

from edgebox.store.db import Connection, connect


class Readers:
    """Hands each thread its own connection. A reader sees the last commit and never blocks the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[Connection] = []

    def get(self) -> Connection:
        """This thread's connection."""
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
