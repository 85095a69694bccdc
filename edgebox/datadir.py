"""The data directory, and who holds it: one box, or one command at a time."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "edgebox.lock"
SOCKET_NAME: Final = "edgebox.sock"
"""Where a running box takes the actions of commands."""

OWN: Final = "edgebox."
"""How everything is called that is in a directory that is a box's alone, or about to be."""

BOX: Final = "box"
COMMAND: Final = "command"

WAIT_FOR_COMMAND_S: Final = 30.0
LOOK_AGAIN_S: Final = 0.1

_LOCK_BYTES: Final = 64
"""The lock's text has one length for ever: on a full disk it can still be written anew."""


class DataDirError(Exception):
    """The data directory cannot be used. The text is for staff."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a data directory; `role` is BOX or COMMAND."""

    pid: int
    role: str

    def __str__(self) -> str:
        return f"a {self.role} (process {self.pid})"


class InUse(DataDirError):
    """Somebody else holds the data directory; None where nobody knows who."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        super().__init__(f"{path} is in use by {holder or 'another process'}; nothing was done")
        self.holder = holder

    @property
    def is_by_box(self) -> bool:
        return self.holder is not None and self.holder.role == BOX


class DataDir:
    """A directory that holds one box: made with mode 0700 where it is missing, and given that mode where it is a box's
    and others could look into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def take(self, role: str, *, wait_s: float = 0.0, announce: Callable[[Holder], None] = lambda holder: None) -> None:
        """Hold the directory until `release` or the end of the process, however that comes.

        A command that holds it is waited for, up to `wait_s`, and told to `announce` before; a box is not. Raises InUse
        with the holder, DataDirError where the directory cannot be made or written.
        """
        self._create()
        if role == COMMAND and not (self.path / LOCK_NAME).exists():
            self._refuse_to_be_root_for_others()
        try:
            lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(f"the data directory {self.path} cannot be written: {error.strerror}") from None
        try:
            self._wait_for(lock, wait_s, announce)
            if role == COMMAND:  # beside a running box, which would do it, root may ask for whatever it likes
                self._refuse_to_be_root_for_others()
            os.pwrite(lock, json.dumps({"pid": os.getpid(), "role": role}).ljust(_LOCK_BYTES).encode(), 0)
        except OSError as error:
            os.close(lock)
            raise DataDirError(f"the data directory {self.path} cannot be written: {error.strerror}") from None
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def release(self) -> None:
        """Let others have it. What stands in the lock's file stays: it is read only while somebody holds the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _create(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._shut_others_out()
        except OSError as error:
            raise DataDirError(f"the data directory {self.path} cannot be made: {error.strerror}") from None

    def _shut_others_out(self) -> None:
        """Somebody made it with mkdir. What is not a box's alone (/tmp, a home) stays as it is."""
        found = self.path.stat()
        is_open = stat.S_IMODE(found.st_mode) & 0o077
        if is_open and found.st_uid == os.geteuid() and all(each.name.startswith(OWN) for each in self.path.iterdir()):
            self.path.chmod(0o700)

    def _refuse_to_be_root_for_others(self) -> None:
        """What root wrote here, the box's own user could not open: the box would not start again."""
        owner = self.path.stat().st_uid
        if os.geteuid() == 0 and owner != 0:
            name = _user_name(owner)
            raise DataDirError(
                f"{self.path} belongs to the user {name}, and no box is running to do this for root; nothing was done: "
                f"run it as {name} (sudo -u {name} ...)"
            )

    def _wait_for(self, lock: int, wait_s: float, announce: Callable[[Holder], None]) -> None:
        give_up_s = time.monotonic() + wait_s
        is_announced = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                holder = _holder(lock)
            if (holder and holder.role == BOX) or time.monotonic() >= give_up_s:
                raise InUse(self.path, holder)
            if holder and not is_announced:
                announce(holder)
                is_announced = True
            time.sleep(LOOK_AGAIN_S)


def _holder(lock: int) -> Holder | None:
    """Who holds the lock, as the holder wrote it; None in the moment before it has."""
    try:
        said = json.loads(os.pread(lock, _LOCK_BYTES, 0))
        holder = Holder(int(said["pid"]), str(said["role"]))
        os.kill(holder.pid, 0)  # only asks whether it is there: what a dead process wrote says nothing
    except PermissionError:
        return holder  # there, and another user's
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return holder


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
