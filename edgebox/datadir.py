"""The data directory, and who holds it: one box, or one command at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK_NAME = "edgebox.lock"
WAIT_FOR_COMMAND_S = 30.0


class DataDirError(Exception):
    """The data directory cannot be used, or somebody else holds it. The text is for staff."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a data directory; `role` is `box` or `command`."""

    pid: int
    role: str

    def __str__(self) -> str:
        return f"{'a box' if self.role == 'box' else 'a command'} (process {self.pid})"


class DataDir:
    """A directory that holds one box: made with mode 0700 where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def create(self) -> None:
        """Make the directory. Raises DataDirError where that is not possible."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirError(f"the data directory {self.path} cannot be made: {error.strerror}") from None

    def take(self, role: str, *, wait_s: float = 0.0, announce: Any = None) -> None:
        """Hold the directory until `release` (or the end of the process).

        Waits up to `wait_s` for a command that holds it (`announce(holder)` is called once, before); a box that holds
        it is not waited for. Raises DataDirError naming the holder.
        """
        self.create()
        give_up_s = time.monotonic() + wait_s
        try:
            lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(f"the data directory {self.path} cannot be written: {error.strerror}") from None
        is_announced = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = self.holder()
                if (holder and holder.role == "box") or time.monotonic() > give_up_s:
                    os.close(lock)
                    raise DataDirError(
                        f"{self.path} is in use by {holder or 'another process'}; nothing was done"
                    ) from None
                if not is_announced and announce is not None and holder is not None:
                    announce(holder)
                    is_announced = True
                time.sleep(0.1)
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid(), "role": role}).encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def holder(self) -> Holder | None:
        """Who holds it, as the holder has said; None when nobody does."""
        try:
            with open(self.path / LOCK_NAME, "rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return None
                except BlockingIOError:
                    said = json.loads(lock.read() or b"{}")
        except (FileNotFoundError, ValueError):
            return None
        return Holder(int(said["pid"]), str(said["role"])) if "pid" in said else None
