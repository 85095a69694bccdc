"""A little room on the disk that is kept for the start: without any SQLite cannot even open a database to read it.

Beside an open database lie two more files, which are gone after a clean stop. On a full disk the next start could not
make them anew: nobody could scan, search or see what is wrong. So a file of the box's own holds the room until then.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "edgebox.reserve"
SIZE_BYTES = 1_000_000
"""Many times what is needed: a few scans are recorded with what is left of it."""


class Reserve:
    """The file that holds the room."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME

    def keep(self) -> None:
        """Hold the room, if there is any. Cheap where it is held already."""
        try:
            if self._path.exists() and self._path.stat().st_size == SIZE_BYTES:
                return
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, SIZE_BYTES)
            finally:
                os.close(file)
        except OSError:
            self._remove()

    def give_up(self) -> bool:
        """Let others have the room; False where there was none."""
        had = self._path.exists()
        self._remove()
        if had:
            log.warning("the disk is full: the box starts with the room that was kept for this")
        return had

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._path, error.strerror)
