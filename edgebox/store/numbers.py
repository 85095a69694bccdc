"""The store's own counter: what tells earlier from later, whatever the clocks say.

Every request for tickets takes a number, and so does every settlement.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from edgebox.store.db import Connection

REMEMBERED = 100_000
"""Numbers whose time is known, to date back an answer that is older than its request."""


class Numbers:
    """Hands out numbers in order. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.Lock()
        self._value = -1
        self._taken: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self.reload(connection)

    def reload(self, connection: Connection) -> None:
        """Never go below what is on disk."""
        on_disk = int(connection.execute("SELECT value FROM counter").fetchone()[0])
        with self._lock:
            if on_disk > self._value:
                self._value = on_disk
                self._taken.append((time.monotonic(), on_disk))

    def next(self) -> int:
        """The next number, for a request: on disk only once something is written under it (`keep`)."""
        with self._lock:
            self._value += 1
            self._taken.append((time.monotonic(), self._value))
            return self._value

    def take(self, connection: Connection) -> int:
        """Within a job: the next number, kept on disk with what the job writes."""
        number = self.next()
        self.keep(connection)
        return number

    def keep(self, connection: Connection) -> None:
        """Within a job: make sure that no number is handed out twice after a restart."""
        with self._lock:
            value = self._value
        connection.execute("UPDATE counter SET value = ? WHERE value < ?", (value, value))

    def dated_back(self, number: int, age_s: float) -> int:
        """The newest number that was taken at least `age_s` before `number` was.

        For an answer that is older than its request. 0 where that goes back further than this process remembers: then
        the answer overrules nothing.
        """
        with self._lock:
            taken = list(self._taken)
        at_s = next((at_s for at_s, taken_number in reversed(taken) if taken_number == number), None)
        if at_s is None:
            return 0
        return next((earlier for earlier_s, earlier in reversed(taken) if earlier_s <= at_s - age_s), 0)
