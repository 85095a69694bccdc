"""Deciding and recording a redeem, as one step in the writer."""

from __future__ import annotations

import secrets as random_text
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgebox.clock import Stamp
from edgebox.instants import to_text
from edgebox.model import (
    CheckInList,
    CheckInState,
    ConflictReason,
    Device,
    Facts,
    Redeemed,
    RedeemRequest,
    StampKind,
    Ticket,
    Verdict,
)
from edgebox.rules import decide
from edgebox.store import history
from edgebox.store.attempts import Attempt, Attempts
from edgebox.store.db import Connection, Refused
from edgebox.store.journal import open_conflict
from edgebox.store.lists import Lists
from edgebox.store.numbers import Numbers
from edgebox.store.writer import Writer

IMPLAUSIBLE = timedelta(days=1)
"""A client's time further than this from the box's is flagged."""


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

    @property
    def device_id(self) -> int | None:
        return self.device.id if self.device else None


class Redeemer:
    """Takes scans; of N at once for one ticket exactly one is `ok` (unless forced, or the same nonce)."""

    def __init__(self, writer: Writer, lists: Lists, numbers: Numbers, attempts: Attempts) -> None:
        self._writer = writer
        self._lists = lists
        self._numbers = numbers
        self._attempts = attempts

    def redeem(self, scan: Scan) -> Redeemed:
        """Decide, record, and return once both are on disk.

        Raises Busy or NotWritable: then nothing was recorded. Raises Refused when the list was removed meanwhile.
        """
        return self._writer.redeem(lambda connection: self._decide_and_record(connection, scan))

    def _decide_and_record(self, connection: Connection, scan: Scan) -> Redeemed:
        list_ = self._lists.get(scan.list_id)
        if list_ is None:
            raise Refused("this check-in list was removed from the box")
        facts = _facts(connection, list_, scan)
        verdict = decide(facts)
        if verdict.is_ok and not verdict.is_repeat:
            assert facts.ticket is not None
            self._record(connection, list_, facts.ticket, scan, verdict)
        else:
            self._writer.after_commit(lambda: self._attempts.add(_attempt(scan, facts.ticket, verdict)))
        is_redeemed = bool(facts.history) or (verdict.is_ok and not verdict.is_repeat)
        return Redeemed(verdict, facts.ticket, is_redeemed)

    def _record(self, connection: Connection, list_: CheckInList, ticket: Ticket, scan: Scan, verdict: Verdict) -> None:
        request, stamp = scan.request, scan.stamp
        if request.datetime is not None:
            kind = StampKind.CLIENT
        else:
            kind = StampKind.TRUSTED if stamp.is_trusted else StampKind.UNTRUSTED
        at = to_text(stamp.at)
        state = CheckInState.PENDING if list_.has_upstream else CheckInState.SETTLED
        is_settled = state is CheckInState.SETTLED
        checkin_id = connection.execute(
            "INSERT INTO checkin (list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at, boot_id,"
            " boottime_s, is_forced, is_offline, ignores_unpaid, answers, state, settled_number, settled_at,"
            " staff_name, staff_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                list_.id,
                ticket.id,
                scan.device_id,
                ticket.data.secret,
                request.nonce or random_text.token_hex(16),
                to_text(request.datetime or stamp.at),
                kind,
                at,
                stamp.boot_id,
                stamp.boottime_s,
                request.is_forced,
                scan.is_offline,
                request.ignores_unpaid,
                history.answers_to_json(request.answers),
                state,
                self._numbers.take(connection) if is_settled else None,
                at if is_settled else None,
                scan.staff_name,
                scan.staff_reason,
            ),
        ).lastrowid
        assert checkin_id is not None
        self._lists.touch(list_.id)
        if verdict.passed is not None:
            open_conflict(connection, checkin_id, ConflictReason(verdict.passed.value), _beside(verdict), stamp.at)
        if kind is StampKind.CLIENT and request.datetime is not None and stamp.is_trusted:
            _flag_implausible(connection, checkin_id, request.datetime, stamp.at)


def _facts(connection: Connection, list_: CheckInList, scan: Scan) -> Facts:
    ticket = history.find(connection, list_.source.id, scan.request.secret)
    if ticket is None:
        return Facts(scan.request, None)
    questions = list_.catalog.questions_for(ticket.data.item_id) if list_.catalog else ()
    nonce = scan.request.nonce
    return Facts(
        request=scan.request,
        ticket=ticket,
        item_is_for_device=scan.device is None or scan.device.may_scan(ticket.data.item_id),
        is_repeat=bool(nonce) and history.has_nonce(connection, list_.id, ticket.id, nonce or ""),
        history=history.history_of(connection, list_, ticket),
        questions=questions,
        earlier_answers=history.earlier_answers(connection, list_, ticket.data.secret) if questions else (),
    )


def _attempt(scan: Scan, ticket: Ticket | None, verdict: Verdict) -> Attempt:
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
    )


def _beside(verdict: Verdict) -> str | None:
    """The earlier check-in, to stand beside a conflict."""
    if verdict.first_use is None:
        return None
    at = to_text(verdict.first_use.at) if verdict.first_use.at else "a time that upstream does not tell"
    return f"first used at {at}" + (
        f", device {verdict.first_use.device_name}" if verdict.first_use.device_name else ""
    )


def _flag_implausible(connection: Connection, checkin_id: int, sent: datetime, now: datetime) -> None:
    if abs(sent - now) > IMPLAUSIBLE:
        note = f"the device says {to_text(sent)}, the box received it at {to_text(now)}; it is pushed as sent"
        open_conflict(connection, checkin_id, ConflictReason.DATETIME_IMPLAUSIBLE, note, now)
