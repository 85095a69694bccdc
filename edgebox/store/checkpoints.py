"""Moving what was committed from the write-ahead log into the database, out of the scans' way.

SQLite would do it within a commit, which then takes three syncs more and all of the copying. Here a thread copies with
a connection of its own while scans go on. SQLite begins the log anew once all of it is copied and nothing is added
meanwhile; under load something always is. So when the log has grown long, and all but the last of it is copied, the
writer copies the rest between two batches. Where any of this fails, the log grows and is copied later: no scan fails.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from edgebox.store.db import Connection, StoreError, connect

log = logging.getLogger(__name__)

GROWN_BYTES = 16_000_000
"""So much is copied at once: what is changed again and again until then is moved into the database one time."""
IDLE_BYTES = 4_000_000
IDLE_AFTER_S = 5.0
"""The same once nothing was committed for so long: nobody is in the way, and the log begins anew without the writer."""
LONG_BYTES = 30_000_000
"""From here on the writer helps, so that the log can begin anew: one commit in many takes longer."""
LOOK_EVERY_S = 0.1
AFTER_FAILURE_S = 5.0
ROOM_WITHIN_S = 5.0

_FILE_HEAD_BYTES, _FRAME_HEAD_BYTES = 32, 24


@dataclass(frozen=True, slots=True)
class Log:
    """A write-ahead log: `salts` are others whenever it has begun anew; how much of the file is in use."""

    salts: bytes
    frame_bytes: int
    frames: int

    @property
    def size_bytes(self) -> int:
        return self.frames * self.frame_bytes


NO_LOG = Log(b"", 0, 0)


class Checkpoints:
    """A thread that copies. `is_quiet` tells it whether nobody scans; `is_due` tells the writer to `finish`."""

    def __init__(self, path: Path, is_quiet: Callable[[], bool]) -> None:
        self._path = path
        self._is_quiet = is_quiet
        self._wal = path.with_name(f"{path.name}-wal")
        self.is_due = False
        self._has_new = threading.Event()
        self._is_closing = threading.Event()
        self._has_room = threading.Event()
        self._has_room.set()
        self._copied = NO_LOG
        """The log, with as many frames as are known to be copied."""
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End; what is not copied is copied when the database is closed."""
        self._is_closing.set()
        self._has_new.set()
        self._thread.join()

    def wait_for_room(self) -> None:
        """While the log is being copied whoever has much to write waits, so that it does not outrun that."""
        self._has_room.wait(ROOM_WITHIN_S)

    # --- called by the writer -----------------------------------------------------------------------------------------

    def committed(self) -> None:
        if not self._has_new.is_set():
            self._has_new.set()

    def finish(self, connection: Connection) -> None:
        """Copy the rest, between two transactions: the next one then begins the log anew, unless somebody reads it."""
        self.is_due = False
        try:
            _copy(connection)
        except sqlite3.Error as error:
            self._failed(error)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_closing.is_set():
            is_idle = not self._has_new.wait(IDLE_AFTER_S)
            self._has_new.clear()
            self._look(IDLE_BYTES if is_idle else GROWN_BYTES)
            self._is_closing.wait(AFTER_FAILURE_S if self._has_failed else LOOK_EVERY_S)

    def _look(self, enough_bytes: int) -> None:
        """Copy, if the log has grown by so much since that was last done."""
        try:
            found = look_at(self._wal)
            known_bytes = self._copied.size_bytes if found.salts == self._copied.salts else 0
            if found.size_bytes - known_bytes < enough_bytes:
                return
            self._has_room.clear()
            with closing(connect(self._path)) as connection:
                frames = _copy(connection)
            if frames is not None:
                self._copied = replace(found, frames=frames)
            self._has_failed = False
            # The writer has to help only where it went on writing meanwhile; sooner where no scan waits for it.
            may_help = found.size_bytes >= LONG_BYTES or self._is_quiet()
            self.is_due = may_help and look_at(self._wal) != found
        except (OSError, sqlite3.Error, StoreError) as error:
            self._failed(error)
        finally:
            self._has_room.set()

    def _failed(self, error: Exception) -> None:
        if not self._has_failed:
            log.warning("what was recorded waits in the database's log, where it is safe: %s", error)
        self._has_failed = True


def _copy(connection: Connection) -> int | None:
    """Copy what no reader keeps from it. How many frames of the log are copied now; None where another is copying."""
    # PASSIVE waits for nobody, neither for the writer nor for readers, and nobody waits for it.
    is_busy, _, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return None if is_busy else copied


def look_at(wal: Path) -> Log:
    """A write-ahead log as it is. Frames in use lie at its beginning and have the salts of its head: the file does not
    shrink when the log begins anew, it is written over. (The format is documented, and SQLite takes no lock on it.)"""
    try:
        file = os.open(wal, os.O_RDONLY)
    except FileNotFoundError:
        return NO_LOG
    try:
        head = os.pread(file, _FILE_HEAD_BYTES, 0)
        if len(head) < _FILE_HEAD_BYTES:
            return NO_LOG
        salts = head[16:24]
        frame_bytes = _FRAME_HEAD_BYTES + int.from_bytes(head[8:12], "big")
        low, high = 0, (os.fstat(file).st_size - _FILE_HEAD_BYTES) // frame_bytes
        while low < high:
            middle = (low + high) // 2
            if os.pread(file, 8, _FILE_HEAD_BYTES + middle * frame_bytes + 8) == salts:
                low = middle + 1
            else:
                high = middle
        return Log(salts, frame_bytes, low)
    finally:
        os.close(file)
