"""Looking after the database while the box runs: all of it is checked, and copies of it are made on a schedule."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edgebox.store import Store, StoreError
from edgebox.store.copies import Copy
from edgebox.store.copying import CopyNotWhole
from edgebox.store.longwork import Stopped
from edgebox.store.restorations import Restoration

log = logging.getLogger(__name__)

FIRST_LOOK_AFTER_S = 30.0
"""After a start the scanners come first."""
AGAIN_AFTER_S = 60.0
"""Seconds after which a copy that failed is tried again, unless the next one is due sooner."""
UNCHANGED_INTERVALS = 16
"""A copy that nothing new stands against is still made anew after so many intervals: tickets change without one."""


@dataclass(frozen=True, slots=True)
class Care:
    """How the database stands."""

    newest: Copy | None
    copies: int
    failure: str | None
    """Why the last copy could not be made; None where it was, or none is due yet."""
    problem: str | None
    """What of the database is damaged; None while nothing is known to be."""
    restored: tuple[Restoration, ...]
    """What came of earlier damages, as long as staff have not dismissed it."""


class Caretaker:
    """A thread of a box that serves. `start` it; `stop` ends it, and with it whatever goes on."""

    def __init__(self, store: Store, now: Callable[[], datetime], *, copy_interval_s: float, copies_kept: int) -> None:
        self._store = store
        self._now = now
        self._interval_s = copy_interval_s
        self._kept = copies_kept
        self._failure: str | None = None
        self._is_check_due = True
        self.may_restart = False
        """Whether the box may be started anew for the sake of its database."""
        self.wants_restart = False
        self.on_restart_wanted: Callable[[], None] = lambda: None
        self._is_stopping = False
        self._wake = threading.Event()
        store.soundness.on_suspicion = self._wake.set
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()
        while self._thread.is_alive():
            self._store.stop_long_work()
            self._thread.join(0.05)

    def report(self) -> Care:
        """How things stand; cheap enough for every look at the pages."""
        copies = self._store.copies.all()
        return Care(
            copies[0] if copies else None,
            len(copies),
            self._failure,
            self._store.soundness.problem,
            tuple(self._store.restorations.unseen()),
        )

    def look_after(self) -> float:
        """Check the database, and copy it, where that is due; the seconds until the next look. Raises Stopped."""
        self._store.reserve.keep()
        if self._is_check_due or self._store.soundness.is_suspected.is_set():
            self._check()
        if self._store.soundness.problem is not None:
            return self._interval_s  # a copy would not be whole either
        due_in_s = self._due_in_s()
        return due_in_s if due_in_s > 0 else self._copy()

    def _check(self) -> None:
        """Soon after each start, when an error says so, and when a copy was not whole. Damaged, the box starts anew and
        is restored, if there is something to restore it from: that takes seconds, and each scan that meets the damage
        is refused until then."""
        problem = self._store.soundness.check()
        self._is_check_due = False
        if problem is not None and self.may_restart and self._store.copies.all():
            self.wants_restart = True
            self.on_restart_wanted()

    def _copy(self) -> float:
        try:
            copy = self._store.copies.make(self._now(), self._kept)
        except StoreError as error:
            if self._failure != str(error):
                log.error("%s", error)
            self._failure = str(error)
            if isinstance(error, CopyNotWhole):
                self._check()
                return self._interval_s
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
        while True:
            self._wake.wait(wait_s)
            self._wake.clear()
            if self._is_stopping:
                return
            try:
                wait_s = self.look_after()
            except Stopped:
                return
            except Exception:
                log.exception("the database could not be looked after")
                wait_s = AGAIN_AFTER_S
