"""Push: tell upstream each pending check-in, oldest first, exactly once in effect."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgebox.clock import Clock
from edgebox.model import CheckIn, ConflictReason, StampKind
from edgebox.store import Store
from edgebox.upstream import Accepted, Poisonous, Refused, Unreachable, Upstream

log = logging.getLogger(__name__)

BATCH = 100
MAX_TRIES = 5
"""Upstream may choke this often on one check-in before it is parked."""
CHOKED_RETRY_S = 2.0
"""After the first choke; doubled with each further one."""
TROUBLE_AFTER = 3
"""Check-ins in a row on which upstream chokes: then it is upstream that is ill, not the check-ins."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class Pushed:
    """What a run came to."""

    settled: int = 0
    conflicts: int = 0
    parked: int = 0
    choked: int = 0


class Pusher:
    """Pushes one list. One run at a time; a run goes on until nothing is left that may be tried now."""

    def __init__(self, list_id: int, upstream: Upstream, store: Store, clock: Clock) -> None:
        self._list_id = list_id
        self._upstream = upstream
        self._journal = store.journal
        self._clock = clock
        self._retry_at_s: dict[int, float] = {}
        """When a check-in on which upstream choked may be tried again (`time.monotonic()`)."""
        self._chokes_in_a_row = 0

    def run(self, *, progress: Progress = lambda done: None, retry_all: bool = False) -> Pushed:
        """Push what is pending; those on which upstream choked come after all others, each when its time has come.

        `retry_all` does not wait for that time. Raises an UpstreamError when upstream is lost: what was told is
        settled by then, the rest waits.
        """
        pushed = Pushed()
        self._chokes_in_a_row = 0
        for choked in (False, True):
            after_id = 0
            while batch := self._next(after_id, choked):
                for checkin in batch:
                    after_id = checkin.id
                    if choked and not retry_all and self._wait_s(checkin.id) > 0:
                        continue
                    self._push(checkin, pushed)
                    progress(pushed.settled + pushed.parked)
        return pushed

    def next_retry_in_s(self) -> float | None:
        """Seconds until a choked check-in may be tried again; None without any."""
        waits = [self._wait_s(checkin_id) for checkin_id in self._retry_at_s]
        return min(waits) if waits else None

    def _next(self, after_id: int, choked: bool) -> list[CheckIn]:
        batch = self._journal.pending(self._list_id, after_id=after_id, limit=BATCH, choked=choked)
        if any(checkin.stamp is StampKind.UNTRUSTED for checkin in batch):
            # One answer of upstream is all it takes to know the time; without its Date they go as they are.
            if not self._clock.is_trusted():
                self._upstream.describe()
            boot_id = self._clock.boot_id
            self._journal.correct_stamps(
                boot_id, lambda boottime_s: self._clock.corrected(boot_id, boottime_s), self._clock.now()
            )
            batch = self._journal.pending(self._list_id, after_id=after_id, limit=BATCH, choked=choked)
        return batch

    def _push(self, checkin: CheckIn, pushed: Pushed) -> None:
        """Without force first, so that a double entry is noticed; what upstream refuses has happened all the same."""
        outcome = self._upstream.push(checkin, force=False)
        refusal: Refused | None = None
        if isinstance(outcome, Refused) and outcome.can_force:
            refusal = outcome
            outcome = self._upstream.push(checkin, force=True)
        now = self._clock.now()
        if isinstance(outcome, Poisonous):
            self._choke(checkin, outcome, pushed)
            return
        self._chokes_in_a_row = 0
        self._retry_at_s.pop(checkin.id, None)
        if isinstance(outcome, Accepted):
            note = f"upstream had refused it: {refusal.reason}; it was sent again with force" if refusal else None
            self._journal.settle(checkin, now, conflict=_conflict(refusal) if refusal else None, note=note)
            pushed.settled += 1
            pushed.conflicts += refusal is not None
        else:
            self._park(checkin, ConflictReason.REFUSED, f"upstream refuses it: {outcome.reason}", pushed)

    def _choke(self, checkin: CheckIn, outcome: Poisonous, pushed: Pushed) -> None:
        self._chokes_in_a_row += not outcome.is_final
        if outcome.is_final or checkin.tries + 1 >= MAX_TRIES:
            self._retry_at_s.pop(checkin.id, None)
            self._park(checkin, ConflictReason.POISONOUS, outcome.message, pushed)
        else:
            self._retry_at_s[checkin.id] = time.monotonic() + CHOKED_RETRY_S * 2**checkin.tries
            self._journal.choked(checkin, outcome.message)
            pushed.choked += 1
        if self._chokes_in_a_row >= TROUBLE_AFTER:
            raise Unreachable("upstream has trouble with every check-in")

    def _park(self, checkin: CheckIn, reason: ConflictReason, note: str, pushed: Pushed) -> None:
        log.warning("check-in %d of list %d is parked: %s", checkin.id, self._list_id, note)
        self._journal.park(checkin, reason, note, self._clock.now())
        pushed.parked += 1

    def _wait_s(self, checkin_id: int) -> float:
        return max(0.0, self._retry_at_s.get(checkin_id, 0.0) - time.monotonic())


def _conflict(refusal: Refused) -> ConflictReason:
    try:
        return ConflictReason(refusal.reason)
    except ValueError:
        return ConflictReason.REFUSED
