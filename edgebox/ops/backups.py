"""The backup folder while the box runs: what happens is written to it within seconds, and copies of the database now
and then. It may be a stick, which comes and goes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from edgebox.store import Refused, Store, StoreError
from edgebox.store.copies import Copy
from edgebox.store.longwork import Stopped
from edgebox.store.trail import Trail

log = logging.getLogger(__name__)

FOLLOW_EVERY_S = 5.0
WAIT_FOR_COPY_S = 600.0
"""For a copy that somebody else is making."""


class State(StrEnum):
    """How the backup folder stands."""

    UNSET = "unset"
    AWAY = "away"
    """It is not there, or cannot be written: a stick that is not plugged in."""
    EMPTY = "empty"
    """There is no list yet, so nothing to keep."""
    BEGINS = "begins"
    """Its first copy is being made."""
    FOLLOWS = "follows"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the backup stands. `told_until`: what was recorded until then is in it; None where nothing is."""

    state: State
    folder: str
    told_until: datetime | None = None
    newest: Copy | None = None
    failure: str | None = None

    @property
    def is_trouble(self) -> bool:
        """It worked since the box was started, and does not any more; or it should, and does not."""
        return self.state is State.FAILS or (self.state is State.AWAY and self.told_until is not None)


class Backups:
    """Copies on demand, and a thread of a box that serves: `start` it; `stop` ends it."""

    def __init__(self, store: Store, now: Callable[[], datetime], folder: str, kept: int) -> None:
        self._store = store
        self._now = now
        self._folder = Path(folder) if folder else None
        self._kept = kept
        self._lock = threading.Lock()
        """Held by whoever writes to the trail, or begins another one."""
        self._trail: Trail | None = None
        self._standing = Standing(State.AWAY if folder else State.UNSET, folder)
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)

    @property
    def folder(self) -> Path | None:
        return self._folder

    def start(self) -> None:
        if self._folder is not None:
            self._thread.start()

    def stop(self) -> None:
        """What was recorded until now is in the backup when this returns, where the folder is there and answers."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(FOLLOW_EVERY_S)  # a stick that hangs holds up nobody for longer
        if not self._thread.is_alive():
            self._leave()

    def standing(self) -> Standing:
        """Cheap, also while a stick does not answer."""
        return self._standing

    def back_up(self, folder: Path | None = None, *, only_if_needed: bool = False) -> Copy | None:
        """A new copy in the backup folder, or in another one. With `only_if_needed` None where no folder is there, or
        nothing has happened since the last one.

        Raises Refused where there is no folder, StoreError and Stopped as Copying does.
        """
        to = folder or self._folder
        if to is None or not is_there(to):
            if only_if_needed:
                return None
            raise Refused(
                f"{to} is not there, or cannot be written; nothing was copied: plug the stick in"
                if to
                else "no backup folder is set; nothing was copied: name one, or set backup_folder"
            )
        copies = self._store.backups_in(to)
        before = copies.all()
        if only_if_needed and before and not copies.has_news(self._store.reading(), before[0]):
            return None
        copy = copies.make(self._now(), self._kept, wait_s=WAIT_FOR_COPY_S)
        log.info("a backup was made: %s", copy.path)
        if to == self._folder:
            with self._lock:
                self._begin(copy)
        return copy

    def follow(self) -> None:
        """Write what has happened since, and begin where a folder has appeared. Raises Stopped, OSError, StoreError."""
        if self._folder is None or not is_there(self._folder):
            self._is(State.AWAY)
        elif self._goes_on():
            return
        elif not self._store.lists.all():
            self._is(State.EMPTY)
        elif found := self._store.backups_in(self._folder).all():  # of this box, from an earlier run
            with self._lock:
                self._begin(found[0])
        else:
            self._is(State.BEGINS)
            self.back_up()

    def _goes_on(self) -> bool:
        """Whether there is a trail, and what has happened is in it now."""
        with self._lock:
            trail = self._trail
            if trail is None or not trail.copy.path.exists():  # another stick
                return False
            self._write(trail)
            return True

    def begin_anew(self) -> None:
        """Somebody has changed what lies in the folder: the trail is opened again, and told what it may lack."""
        with self._lock:
            self._leave()

    def _is(self, state: State) -> None:
        with self._lock:
            self._leave()
            self._standing = replace(self._standing, state=state)

    def _begin(self, copy: Copy) -> None:
        self._leave()
        self._trail = Trail(copy)
        self._write(self._trail)

    def _write(self, trail: Trail) -> None:
        at = self._now()
        trail.follow(self._store.reading(), at)
        if self._standing.failure is not None:
            log.warning("the backup can be written again")
        self._standing = Standing(State.FOLLOWS, self._standing.folder, at, trail.copy)

    def _leave(self) -> None:
        if self._trail is not None:
            self._trail.close()
            self._trail = None

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self.follow()
            except Stopped:
                return
            except (OSError, StoreError) as error:
                self._failed(error.strerror or str(error) if isinstance(error, OSError) else str(error))
            except Exception:
                log.exception("the backup cannot be written")
                self._failed("a fault in the program; the log says more")
            self._wake.wait(FOLLOW_EVERY_S)
        try:
            self.follow()
        except (Stopped, OSError, StoreError) as error:
            log.warning("the backup does not have the last entries: %s", error)

    def _failed(self, reason: str) -> None:
        if self._standing.failure != reason:
            log.error("the backup cannot be written: %s", reason)
        self._is(State.FAILS)
        self._standing = replace(self._standing, failure=reason)


def is_there(folder: Path) -> bool:
    """Whether a folder can be written. The place of a stick that is not plugged in cannot."""
    try:
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, ValueError):  # no folder can have such a name
        return False
