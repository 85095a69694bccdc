"""Going through the whole database, which may take minutes: a box that stops does not wait for the end of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgebox.store.db import Connection


class Stopped(Exception):
    """The box is stopping; what was going on is given up."""


class LongWork:
    """What goes on, by the connections on which it does. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self.is_stopping = False

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """While the block lasts `stop` interrupts what the connection does. Raises Stopped, then and afterwards."""
        with self._lock:
            self._connections.append(connection)
        try:
            self.go_on()
            yield
        except sqlite3.Error as error:
            if self.is_stopping:
                raise Stopped from error
            raise
        finally:
            with self._lock:
                self._connections.remove(connection)

    def go_on(self) -> None:
        """Raises Stopped where the box stops."""
        if self.is_stopping:
            raise Stopped

    def stop(self) -> None:
        """Interrupt what goes on, and whatever is begun later. To be called again until whoever does it has ended: a
        statement that was about to begin is not interrupted."""
        self.is_stopping = True
        with self._lock:
            for connection in self._connections:
                connection.interrupt()
