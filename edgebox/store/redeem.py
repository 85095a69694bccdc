"""Deciding and recording redeems, as one step in the writer: all that wait at once are looked up together."""

from __future__ import annotations

import secrets as random_text
import time
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from edgebox.clock import Stamp
from edgebox.instants import to_text
from edgebox.model import (
    CheckInList,
    CheckInState,
    ConflictReason,
    Device,
    Direction,
    Facts,
    PastCheckIn,
    Reason,
    Redeemed,
    RedeemRequest,
    StampKind,
    Ticket,
    TicketData,
    Verdict,
)
from edgebox.rules import decide, in_order, ticket_meant
from edgebox.store import history
from edgebox.store.attempts import Attempt, Attempts
from edgebox.store.connections import Connections
from edgebox.store.db import Busy, Connection, Refused
from edgebox.store.lists import Lists
from edgebox.store.numbers import Numbers
from edgebox.store.presence import emptied, is_redeemed
from edgebox.store.rows import add_tickets
from edgebox.store.writer import Writer

IMPLAUSIBLE = timedelta(days=1)
"""A client's time further than this from the box's is flagged."""

ON_HOLD = "the box is being updated, which takes a minute at most; this was not recorded: scan again"
SEVERAL_ADDONS = "Several add-ons of this ticket are on the list: scan their own tickets."


@dataclass(frozen=True, slots=True)
class Scan:
    """A redeem as it arrived: who asks, on which list, what, and when by the box's clock."""

    list_id: int
    device: Device | None
    """None: somebody does it by hand."""
    request: RedeemRequest
    stamp: Stamp
    is_offline: bool
    """The list's state was not `online` when it arrived."""
    staff_name: str | None = None
    staff_reason: str | None = None
    ambiguity: str | None = None
    """Why it cannot be said which ticket is meant, in words."""

    @property
    def at(self) -> datetime:
        """When the guest stands at the door."""
        return self.request.datetime or self.stamp.at

    @property
    def device_id(self) -> int | None:
        return self.device.id if self.device else None


class Redeemer:
    """Takes scans; of N at once for one ticket exactly one is `ok` (unless forced, or the same nonce)."""

    def __init__(
        self, writer: Writer, lists: Lists, connections: Connections, numbers: Numbers, attempts: Attempts
    ) -> None:
        self._writer = writer
        self._lists = lists
        self._connections = connections
        self._numbers = numbers
        self._attempts = attempts
        self.accepts_test_mode = True
        """Whether tickets of orders in test mode let in."""
        self.verify: Callable[[str, tuple[str, ...]], TicketData | None] = lambda secret, keys: None
        """Reads a signed secret, with the event's public keys; None where nobody vouches for it."""
        self.grace = timedelta()
        """Within this time the same device's scan of the same ticket, without a nonce, is the same scan."""
        self._held_until_s = 0.0

    def hold(self, for_s: float) -> None:
        """Record nothing for so long (0: go on): each redeem raises Busy. What was recorded before is on the disk."""
        self._held_until_s = time.monotonic() + for_s
        self._writer.write(lambda connection: None)

    @property
    def is_held(self) -> bool:
        return time.monotonic() < self._held_until_s

    def redeem(self, scan: Scan) -> Redeemed:
        """Decide, record, and return once both are on disk.

        Raises Busy or NotWritable: then nothing was recorded. Raises Refused when the list was removed meanwhile.
        """
        return self._writer.redeem_together(scan, self._decide_and_record)

    def _decide_and_record(self, connection: Connection, scans: Sequence[Scan]) -> list[Redeemed | Exception]:
        """Decide scans in the order in which they came, and record what is accepted: in a few statements for all."""
        if self.is_held:
            return [Busy(ON_HOLD) for _ in scans]
        outcomes: dict[int, Redeemed | Exception] = {}
        waiting = list(enumerate(scans))
        while waiting:
            # Of several scans of one ticket the later ones must see what became of the first.
            firsts = {scan.request.secret: (order, scan) for order, scan in reversed(waiting)}
            chosen = sorted(firsts.values(), key=lambda each: each[0])
            for list_id in dict.fromkeys(scan.list_id for _, scan in chosen):
                mine = [(order, scan) for order, scan in chosen if scan.list_id == list_id]
                done = self._on_list(connection, list_id, [scan for _, scan in mine])
                outcomes.update(zip((order for order, _ in mine), done, strict=True))
            waiting = [(order, scan) for order, scan in waiting if order not in outcomes]
        return [outcomes[order] for order in range(len(scans))]

    def _on_list(self, connection: Connection, list_id: int, scans: list[Scan]) -> list[Redeemed | Exception]:
        """Scans of one list, each of another ticket."""
        list_ = self._lists.get(list_id)
        if list_ is None:
            return [Refused("this check-in list was removed from the box") for _ in scans]
        held = history.find_all(connection, list_, [scan.request.secret for scan in scans])
        outcomes: list[Redeemed | Exception] = []
        accepted: list[tuple[object, ...]] = []
        for scan in scans:
            facts = self._facts(connection, list_, scan, held.get(scan.request.secret))
            verdict = decide(facts)
            is_new = verdict.is_ok and not verdict.is_repeat
            if is_new:
                assert facts.ticket is not None
                accepted.append(self._row(list_, facts.ticket, scan, verdict))
            else:
                self._writer.after_commit(partial(self._attempts.add, _attempt(list_, scan, facts.ticket, verdict)))
            new = (PastCheckIn(scan.at, None, scan.request.direction),) if is_new else ()
            is_in = is_redeemed(list_, (*facts.history, *new), scan.stamp.at)
            outcomes.append(Redeemed(verdict, facts.ticket, is_in, _answers(facts, verdict)))
        if accepted:
            _insert(connection, accepted)
            if not list_.has_upstream:
                self._numbers.keep(connection)
            self._lists.touch(list_.id)
        return outcomes

    def _facts(self, connection: Connection, list_: CheckInList, scan: Scan, held: history.Held | None) -> Facts:
        facts = Facts(
            scan.request, None, at=scan.at, terms=list_.terms, catalog=list_.catalog, ambiguity=scan.ambiguity
        )
        if list_.terms is not None:
            barred = history.barred(connection, list_.source.id, scan.request.secret)
            facts = replace(
                facts,
                gate_id=self._gate_id(list_),
                is_revoked="revoked" in barred,
                accepts_test_mode=self.accepts_test_mode,
            )
            held = held or self._vouched_for(connection, list_, scan.request.secret)
            if held is not None:
                held, facts = self._as_meant(connection, list_, held, facts, is_blocked="blocked" in barred)
        if held is None:
            return facts
        item_id = held.ticket.data.item_id
        questions = list_.catalog.questions_for(item_id) if list_.catalog else ()
        nonce = scan.request.nonce
        return replace(
            facts,
            ticket=held.ticket,
            item_is_for_device=scan.device is None or scan.device.may_scan(item_id),
            is_repeat=(nonce, scan.request.direction) in held.nonces
            if nonce
            else self._is_same_scan(list_, scan, held.history),
            history=held.history,
            questions=questions,
            earlier_answers=history.earlier_answers(connection, list_, held.ticket) if questions else (),
        )

    def _is_same_scan(self, list_: CheckInList, scan: Scan, past: tuple[PastCheckIn, ...]) -> bool:
        """Whether the answer to this very scan was lost a moment ago: the last that happened is of the same device."""
        if not self.grace or scan.device is None or not past:
            return False
        last = in_order(past, emptied(list_, scan.at))[-1]
        is_own = (last.device_id, last.direction) == (scan.device.id, scan.request.direction)
        return is_own and last.at is not None and timedelta() <= scan.at - last.at <= self.grace

    def _as_meant(
        self, connection: Connection, list_: CheckInList, held: history.Held, facts: Facts, *, is_blocked: bool
    ) -> tuple[history.Held, Facts]:
        """What the secret stands for on this list: the ticket itself, or its add-on."""
        if is_blocked:
            data = replace(held.ticket.data, is_blocked=True)
            held = replace(held, ticket=replace(held.ticket, data=data))
        if list_.terms is None or not list_.terms.addon_match or facts.at is None:
            return held, facts
        candidates = {each.ticket.id: each for each in (held, *history.addons_of(connection, list_, held.ticket))}
        meant, is_ambiguous = ticket_meant([each.ticket for each in candidates.values()], list_.terms, facts.at)
        return candidates[meant.id], replace(facts, ambiguity=SEVERAL_ADDONS if is_ambiguous else facts.ambiguity)

    def _vouched_for(self, connection: Connection, list_: CheckInList, secret: str) -> history.Held | None:
        """A ticket that nobody told, but whose secret bears the event's signature: kept, for its check-in needs it."""
        keys = list_.catalog.signature_keys if list_.catalog else ()
        data = self.verify(secret, keys) if keys else None
        if data is None:
            return None
        add_tickets(connection, list_.source.id, [data], told=0)
        return history.find(connection, list_, secret)

    def _gate_id(self, list_: CheckInList) -> int | None:
        connection_id = list_.source.connection_id
        connection = self._connections.get(connection_id) if connection_id is not None else None
        return connection.gate_id if connection else None

    def _row(self, list_: CheckInList, ticket: Ticket, scan: Scan, verdict: Verdict) -> tuple[object, ...]:
        """A check-in's row, in the order of COLUMNS."""
        request, stamp = scan.request, scan.stamp
        at = to_text(stamp.at)
        if request.datetime is not None:
            kind = StampKind.CLIENT
        else:
            kind = StampKind.TRUSTED if stamp.is_trusted else StampKind.UNTRUSTED
        is_settled = not list_.has_upstream
        state = CheckInState.SETTLED if is_settled else CheckInState.PENDING
        if request.direction is Direction.EXIT and list_.terms is None:
            is_settled, state = False, CheckInState.KEPT
        conflict, note = _conflict(scan, verdict, is_pushed=state is CheckInState.PENDING)
        return (
            list_.id,
            ticket.id,
            scan.device_id,
            ticket.data.secret,
            request.nonce or random_text.token_hex(16),
            to_text(request.datetime) if request.datetime else at,
            kind,
            at,
            stamp.boot_id,
            stamp.boottime_s,
            request.is_forced,
            scan.is_offline,
            request.ignores_unpaid,
            history.answers_to_json(request.answers) if request.answers else "{}",
            state,
            self._numbers.next() if is_settled else None,
            at if is_settled else None,
            scan.staff_name,
            scan.staff_reason,
            conflict,
            note,
            at if conflict else None,
            request.direction,
        )


COLUMNS = (
    "list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at, boot_id, boottime_s, is_forced,"
    " is_offline, ignores_unpaid, answers, state, settled_number, settled_at, staff_name, staff_reason, conflict,"
    " conflict_note, conflict_opened_at, direction"
)
ROW = f"({', '.join('?' * len(COLUMNS.split(',')))})"


def _insert(connection: Connection, rows: list[tuple[object, ...]]) -> None:
    """Add to the journal, in order. (A power of two each time: so there are few statements to prepare.)"""
    while rows:
        count = 1 << (len(rows).bit_length() - 1)
        some, rows = rows[:count], rows[count:]
        connection.execute(f"INSERT INTO checkin ({COLUMNS}) VALUES {', '.join([ROW] * count)}", tuple(chain(*some)))


def _answers(facts: Facts, verdict: Verdict) -> dict[int, str]:
    """What holds now, of each question that ever was answered for this ticket; what is to be asked again, too."""
    if not facts.questions:
        return {}
    is_taken = not verdict.is_repeat and verdict.reason in (None, Reason.INCOMPLETE)
    sent = facts.request.answers if is_taken else {}
    return dict(ChainMap(*map(dict, (sent, *reversed(facts.earlier_answers)))))


def _conflict(scan: Scan, verdict: Verdict, *, is_pushed: bool) -> tuple[ConflictReason | None, str | None]:
    """What staff must see of a check-in, and what stands beside it. A doubtful time is the lesser matter: its note
    stands beside that of any other conflict."""
    sent, now = scan.request.datetime, scan.stamp.at
    doubt = None
    if sent is not None and scan.stamp.is_trusted and abs(sent - now) > IMPLAUSIBLE:
        doubt = f"the device says {to_text(sent)}, the box received it at {to_text(now)}"
        doubt += "; it is pushed as sent" if is_pushed else ""
    if verdict.passed is None:
        return (ConflictReason.DATETIME_IMPLAUSIBLE if doubt else None), doubt
    notes = [note for note in (_beside(verdict), doubt) if note]
    return ConflictReason(verdict.passed.value), "; ".join(notes) or None


def _attempt(list_: CheckInList, scan: Scan, ticket: Ticket | None, verdict: Verdict) -> Attempt:
    return Attempt(
        list_id=scan.list_id,
        device_id=scan.device_id,
        ticket_id=ticket.id if ticket else None,
        secret=scan.request.secret,
        nonce=scan.request.nonce or "",
        verdict=verdict.reason.value if verdict.reason else "ok",
        is_forced=scan.request.is_forced,
        at=scan.stamp.at,
        staff_name=scan.staff_name,
        direction=scan.request.direction,
        # Whoever is asked a question comes again.
        is_to_report=list_.terms is not None and verdict.reason not in (None, Reason.INCOMPLETE),
    )


def _beside(verdict: Verdict) -> str | None:
    """The earlier check-in, to stand beside a conflict."""
    if verdict.first_use is None:
        return None
    at = to_text(verdict.first_use.at) if verdict.first_use.at else "a time that upstream does not tell"
    return f"first used at {at}" + (
        f", device {verdict.first_use.device_name}" if verdict.first_use.device_name else ""
    )
