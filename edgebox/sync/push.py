"""Push: tell upstream each pending check-in, oldest first, exactly once in effect."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from edgebox.clock import Clock
from edgebox.instants import to_text
from edgebox.model import CheckIn, ConflictReason, StampKind
from edgebox.store import Store
from edgebox.upstream import (
    Accepted,
    NotUpstream,
    Poisonous,
    PushOutcome,
    Refused,
    Unreachable,
    Upstream,
    UpstreamError,
)

log = logging.getLogger(__name__)

BATCH = 100
MAX_TRIES = 5
"""Upstream may choke this often on one check-in before it is parked."""
CHOKED_RETRY_S = 4.0
"""After the first choke; twice as long after each further one: parked after a minute, and staff are told."""
TROUBLE_AFTER = 3
"""So many check-ins on which upstream chokes, and none that it digests between: it is upstream that is ill."""
TROUBLE_RETRY_S = 600.0
"""Until a check-in is tried again on which an ill upstream choked: parked after 40 minutes, not in a short outage."""
IMPLAUSIBLE = timedelta(days=1)
"""A client's time further than this from the box's is flagged."""

Progress = Callable[[int], None]


class Trouble(UpstreamError):
    """Upstream answers, but chokes on whatever check-in it is told."""


@dataclass(slots=True)
class Pushed:
    """What a run has come to so far."""

    settled: int = 0
    conflicts: int = 0
    parked: int = 0
    choked: int = 0


class Pusher:
    """Pushes one list. One run at a time; a run goes on until nothing is left that may be tried now."""

    def __init__(
        self,
        list_id: int,
        upstream: Upstream,
        store: Store,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_id = list_id
        self._upstream = upstream
        self._journal = store.journal
        self._stamps = store.stamps
        self._clock = clock
        self._monotonic = monotonic
        self._retry_at_s: dict[int, float] = {}
        """When a check-in on which upstream choked may be tried again."""
        self._choking: set[int] = set()
        """Check-ins on which upstream choked since it last digested one."""
        self._digested_s = float("-inf")
        self._held_up: set[int] = set()
        """Tickets of which upstream choked on a check-in in this pass: their later ones wait behind it."""
        self._lost: set[tuple[int, bool]] = set()
        self._lost_before: set[tuple[int, bool]] = set()
        """The check-ins with which upstream was lost in this run and in the one before, and whether with force."""
        self._silence: UpstreamError | None = None
        """Why upstream did not tell the time when it was asked. What it would correct waits for its next answer, to
        anything: told once with a wrong time, it would have that for good."""

    def run(self, pushed: Pushed, *, progress: Progress = lambda done: None, retry_all: bool = False) -> None:
        """Push what is pending; those on which upstream choked come after all others, each when its time has come.

        `retry_all` does not wait for that time. Raises an UpstreamError when upstream is lost, or ill (Trouble): what
        was told is settled by then, and counted in `pushed`; the rest waits.
        """
        self._lost_before, self._lost = self._lost or self._lost_before, set()
        self._silence = None
        postponed = frozenset(checkin_id for checkin_id in list(self._retry_at_s) if self._wait_s(checkin_id) > 0)
        self._push_all(lambda checkin_id: self._wait_s(checkin_id) == 0, pushed, progress)
        if retry_all and postponed:
            self._push_all(
                lambda checkin_id: checkin_id in postponed or self._wait_s(checkin_id) == 0, pushed, progress
            )
        if self._silence is not None:
            if not self._clock.is_trusted():
                raise self._silence
            self._silence = None
            self._push_all(lambda checkin_id: self._wait_s(checkin_id) == 0, pushed, progress)

    @property
    def is_upstream_ill(self) -> bool:
        """Whether upstream, as far as is known, chokes on whatever check-in it is told."""
        return len(self._choking) >= TROUBLE_AFTER

    def next_retry_in_s(self) -> float | None:
        """Seconds until a choked check-in may be tried again; None without any."""
        waits = [self._wait_s(checkin_id) for checkin_id in list(self._retry_at_s)]
        return min(waits) if waits else None

    def _push_all(self, is_due: Callable[[int], bool], pushed: Pushed, progress: Progress) -> None:
        """Those on which upstream choked come after the others, and what had waited for them at the end."""
        for choked in (False, True, False):
            self._pass(choked, is_due, pushed, progress)

    def _pass(self, choked: bool, is_due: Callable[[int], bool], pushed: Pushed, progress: Progress) -> None:
        self._held_up.clear()
        after_id = 0
        while batch := self._next(after_id, choked):
            after_id = batch[-1].id
            due = [checkin for checkin in batch if is_due(checkin.id) and not self._waits_for_the_time(checkin)]
            for together in _rounds(due, self._upstream.at_once):
                self._push(together, pushed)
                progress(pushed.settled + pushed.parked)

    def _next(self, after_id: int, choked: bool) -> list[CheckIn]:
        batch = self._journal.pending(self._list_id, after_id=after_id, limit=BATCH, choked=choked)
        is_untrusted = any(checkin.stamp is StampKind.UNTRUSTED for checkin in batch)
        if is_untrusted or (self._clock.is_trusted() and self._stamps.has_kept(self._list_id)):
            # One answer of upstream is all it takes to know the time; without its Date they go as they are.
            if not self._clock.is_trusted() and self._silence is None:
                try:
                    self._upstream.describe()
                except UpstreamError as error:
                    self._silence = error
            boot_id = self._clock.boot_id
            self._stamps.correct(
                boot_id, lambda boottime_s: self._clock.corrected(boot_id, boottime_s), self._clock.now()
            )
            batch = self._journal.pending(self._list_id, after_id=after_id, limit=BATCH, choked=choked)
        return batch

    def _waits_for_the_time(self, checkin: CheckIn) -> bool:
        return self._silence is not None and checkin.stamp is StampKind.UNTRUSTED

    def _push(self, together: list[CheckIn], pushed: Pushed) -> None:
        """Tell check-ins of different tickets at the same time. Those behind one that is lost are not told."""
        # Staff may have undone one a moment ago.
        due = [checkin for checkin in together if checkin.ticket_id not in self._held_up]
        claimed = [checkin for checkin in due if self._journal.claims.claim(checkin.id)]
        if len(claimed) > 1:
            with ThreadPoolExecutor(len(claimed), thread_name_prefix="push") as pool:
                outcomes = list(pool.map(self._try, claimed))
        else:
            outcomes = [self._try(checkin) for checkin in claimed]
        troubles = [outcome for _, outcome in outcomes if isinstance(outcome, UpstreamError)]
        for checkin, outcome in outcomes:
            if isinstance(outcome, UpstreamError):
                continue
            try:
                self._digest(checkin, outcome, pushed)
            except Trouble as trouble:
                troubles.append(trouble)
        if troubles:
            raise troubles[0]

    def _try(self, checkin: CheckIn) -> tuple[CheckIn, PushOutcome | UpstreamError]:
        try:
            return self._tell(checkin)
        except UpstreamError as error:
            return checkin, error

    def _digest(self, checkin: CheckIn, outcome: PushOutcome, pushed: Pushed) -> None:
        if isinstance(outcome, Poisonous):
            self._choke(checkin, outcome, pushed)
            return
        if self.is_upstream_ill:
            self._retry_at_s.clear()  # upstream has recovered: nothing that it choked on meanwhile has to wait
        self._choking.clear()
        self._digested_s = self._monotonic()
        self._retry_at_s.pop(checkin.id, None)
        if isinstance(outcome, Accepted):
            self._settle(checkin, pushed)
        else:
            self._park(checkin, ConflictReason.REFUSED, f"upstream refuses it: {outcome.reason}", pushed)

    def _tell(self, checkin: CheckIn) -> tuple[CheckIn, PushOutcome]:
        """Without force first, so that a double entry is noticed; what upstream refuses has happened all the same.

        The check-in comes back with why it was refused: that is on the disk before it is told with force. For that
        answer may be lost, and this process end; and then upstream, which has it, just says yes.
        """
        outcome = self._tell_once(checkin, force=False)
        if not isinstance(outcome, Refused) or not outcome.can_force:
            return checkin, outcome
        if checkin.refused_as is None and not outcome.was_held:
            self._journal.refused(checkin, outcome.reason)
            checkin = replace(checkin, refused_as=outcome.reason)
        return checkin, self._tell_once(checkin, force=True)

    def _tell_once(self, checkin: CheckIn, *, force: bool) -> PushOutcome:
        try:
            return self._upstream.push(checkin, force=force)
        except (Unreachable, NotUpstream) as error:
            says_later = isinstance(error, Unreachable) and error.retry_after_s is not None
            if says_later or (checkin.id, force) not in self._lost_before:
                self._lost.add((checkin.id, force))
                raise
            lost = error
        # Lost with the very same as last time, and back in between? Then those behind it must not wait for it.
        self._upstream.describe()
        return Poisonous(f"upstream is lost whenever it is told this check-in: {lost.message}", is_final=False)

    def _settle(self, checkin: CheckIn, pushed: Pushed) -> None:
        conflict, note = self._doubt(checkin)
        if checkin.refused_as is not None:
            conflict = _conflict(checkin.refused_as)
            note = f"upstream had refused it: {checkin.refused_as}; it was sent again with force"
        self._journal.settle(checkin, self._clock.now(), conflict=conflict, note=note)
        pushed.settled += 1
        pushed.conflicts += conflict is not None

    def _doubt(self, checkin: CheckIn) -> tuple[ConflictReason | None, str | None]:
        """What is wrong with the time of a check-in that was not flagged when it was recorded."""
        if checkin.conflict is not None:
            return None, None
        if checkin.stamp is StampKind.UNTRUSTED:
            return ConflictReason.CLOCK_UNTRUSTED, "nobody could tell the box the time: this one's may be wrong"
        received_at = self._clock.corrected(checkin.boot_id, checkin.boottime_s)
        if checkin.stamp is StampKind.CLIENT and received_at and abs(checkin.datetime - received_at) > IMPLAUSIBLE:
            return ConflictReason.DATETIME_IMPLAUSIBLE, (
                f"the device says {to_text(checkin.datetime)}, the box received it at {to_text(received_at)}; "
                "it was pushed as sent"
            )
        return None, None

    def _choke(self, checkin: CheckIn, outcome: Poisonous, pushed: Pushed) -> None:
        self._held_up.add(checkin.ticket_id)
        # One that upstream choked on before says nothing new, as long as it digested another a while ago.
        if checkin.tries == 0 or self._monotonic() - self._digested_s > TROUBLE_RETRY_S:
            self._choking.add(checkin.id)
        is_ill = self.is_upstream_ill
        if (outcome.is_final and not is_ill) or checkin.tries + 1 >= MAX_TRIES:
            self._retry_at_s.pop(checkin.id, None)
            self._park(checkin, ConflictReason.POISONOUS, outcome.message, pushed)
        else:
            wait_s = TROUBLE_RETRY_S if is_ill else CHOKED_RETRY_S * 2**checkin.tries
            self._retry_at_s[checkin.id] = self._monotonic() + wait_s
            self._journal.choked(checkin, outcome.message)
            pushed.choked += 1
        if is_ill:
            raise Trouble(f"upstream has trouble with every check-in; the last: {outcome.message}")

    def _park(self, checkin: CheckIn, reason: ConflictReason, note: str, pushed: Pushed) -> None:
        log.warning("check-in %d of list %d is parked: %s", checkin.id, self._list_id, note)
        self._journal.park(checkin, reason, note, self._clock.now())
        pushed.parked += 1

    def _wait_s(self, checkin_id: int) -> float:
        return max(0.0, self._retry_at_s.get(checkin_id, float("-inf")) - self._monotonic())


def _rounds(checkins: list[CheckIn], at_once: int) -> Iterator[list[CheckIn]]:
    """In order, so many at a time, and those of one ticket one after the other."""
    together: list[CheckIn] = []
    for checkin in checkins:
        if len(together) == at_once or any(each.ticket_id == checkin.ticket_id for each in together):
            yield together
            together = []
        together.append(checkin)
    if together:
        yield together


def _conflict(refused_as: str) -> ConflictReason:
    try:
        return ConflictReason(refused_as)
    except ValueError:
        return ConflictReason.REFUSED
