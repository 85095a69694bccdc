"""Keeping a record of a line's syncs, on the page Log and in the system's journal, without wearing the card."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from edgebox.clock import Clock
from edgebox.store import Store, StoreError
from edgebox.store.snapshots import Taken
from edgebox.sync.push import Pushed
from edgebox.upstream import UpstreamError

log = logging.getLogger(__name__)

PUSHES_EVERY_S = 60.0
"""At the doors there is a push every second: all that went well within this time is one entry."""

SAME_PULLS_EVERY_S = 3600.0


class RunRecord:
    """The record of one line."""

    def __init__(
        self, list_id: int, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._list_id = list_id
        self._runs = store.runs
        self._clock = clock
        self._monotonic = monotonic
        self._written_s = float("-inf")
        self._settled = 0
        self._conflicts = 0
        self._took_s = 0.0
        self._pulled_s = float("-inf")
        self._pulled_text = ""

    def pushed(self, run: Pushed, took_s: float) -> None:
        """A push went through."""
        self._settled += run.settled
        self._conflicts += run.conflicts
        self._took_s += took_s
        is_due = self._monotonic() - self._written_s >= PUSHES_EVERY_S
        if not (run.parked or run.choked or (self._settled and is_due)):
            return
        text = f"{self._settled} check-ins pushed, {self._conflicts} of them conflicts"
        if run.parked or run.choked:
            text += f"; {run.parked} parked, {run.choked} to be tried again"
        log.info("list %d: %s", self._list_id, text)
        self._add("push", self._took_s, not run.parked and not run.choked, text)
        self._written_s = self._monotonic()
        self._settled = self._conflicts = 0
        self._took_s = 0.0

    def broke_off(self, told: int, took_s: float) -> None:
        """A push lost upstream after it had told so many; why, `failed` says."""
        self._settled += told
        self._took_s += took_s

    def pulled(self, taken: Taken, took_s: float) -> None:
        """A pull went through. One that changed nothing is told now and then: an idle night wears no card."""
        text = f"{taken.tickets} tickets, {taken.written} new or changed, {taken.withdrawn} withdrawn"
        if taken.held:
            text += f"; {taken.held.tickets + taken.held.checkins} wait for staff"
        has_changed = bool(taken.written or taken.withdrawn or taken.undone)
        is_due = self._monotonic() - self._pulled_s >= SAME_PULLS_EVERY_S
        if has_changed or is_due or text != self._pulled_text:
            self._add("pull", took_s, True, text)
            self._pulled_s, self._pulled_text = self._monotonic(), text

    def failed(self, verb: str, error: UpstreamError) -> None:
        """An attempt came to nothing."""
        self._pulled_text = ""  # that the next one succeeds is news
        self._add(verb, 0.0, False, str(error))

    def _add(self, verb: str, took_s: float, is_ok: bool, text: str) -> None:
        # The sync itself is what matters: a record that cannot be written does not make it fail.
        with contextlib.suppress(StoreError):
            self._runs.add(self._list_id, verb, self._clock.now(), took_s, is_ok=is_ok, text=text)
