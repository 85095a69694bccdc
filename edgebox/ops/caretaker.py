"""Looking after the database while the box runs: copies of it, on a schedule."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edgebox.store import Store, StoreError
from edgebox.store.copies import Copy
from edgebox.store.longwork import Stopped

log = logging.getLogger(__name__)

FIRST_LOOK_AFTER_S = 30.0
"""After a start the scanners come first."""
AGAIN_AFTER_S = 60.0
"""Seconds after which a copy that failed is tried again, unless the next one is due sooner."""
UNCHANGED_INTERVALS = 16
"""A copy that nothing new stands against is still made anew after so many intervals: tickets change without one."""


@dataclass(frozen=True, slots=True)
class Care:
    """How the copies stand."""

    newest: Copy | None
    copies: int
    failure: str | None
    """Why the last copy could not be made; None where it was, or none is due yet."""


class Caretaker:
    """A thread of a box that serves. `start` it; `stop` ends it, and with it whatever copy is being made."""

    def __init__(self, store: Store, now: Callable[[], datetime], *, copy_interval_s: float, copies_kept: int) -> None:
        self._store = store
        self._now = now
        self._interval_s = copy_interval_s
        self._kept = copies_kept
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        while self._thread.is_alive():
            self._store.stop_long_work()
            self._thread.join(0.05)

    def report(self) -> Care:
        """How things stand; cheap enough for every look at the pages."""
        copies = self._store.copies.all()
        return Care(copies[0] if copies else None, len(copies), self._failure)

    def look_after(self) -> float:
        """Make a copy where one is due; the seconds until the next look."""
        due_in_s = self._due_in_s()
        if due_in_s > 0:
            return due_in_s
        try:
            copy = self._store.copies.make(self._now(), self._kept)
        except Stopped:
            return 0.0
        except StoreError as error:
            if self._failure != str(error):
                log.error("%s", error)
            self._failure = str(error)
            return min(AGAIN_AFTER_S, self._interval_s)
        if self._failure is not None:
            log.warning("the database can be copied again")
        self._failure = None
        log.info("the database was copied: %s", copy.path)
        return self._interval_s

    def _due_in_s(self) -> float:
        copies = self._store.copies.all()
        if not copies:
            return 0.0
        age_s = (self._now() - copies[0].made_at).total_seconds()
        if 0 <= age_s < self._interval_s:
            return self._interval_s - age_s
        is_old = not 0 <= age_s < UNCHANGED_INTERVALS * self._interval_s
        return 0.0 if is_old or self._store.copies.has_news(self._store.reading(), copies[0]) else self._interval_s

    def _run(self) -> None:
        wait_s = min(FIRST_LOOK_AFTER_S, self._interval_s)
        while not self._stopping.wait(wait_s):
            try:
                wait_s = self.look_after()
            except Exception:
                log.exception("the database could not be looked after")
                wait_s = AGAIN_AFTER_S
