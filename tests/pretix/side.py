"""What tests of the pretix dialect share: the box's side of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from edgebox.clock import Clock
from edgebox.model import CheckIn, CheckInState, StampKind, ToldTicket
from edgebox.upstream import Page
from edgebox.upstream.pretix import Limits, PretixConnection
from edgebox.upstream.transport import Http
from tests.support.pretix import ORGANIZER, PretixStub

AT = datetime(2026, 11, 24, 8, 15, 30, 123456, tzinfo=UTC)


class Seconds:
    """Seconds that pass when somebody rests, and when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def rest(self, for_s: float) -> bool:
        self.rests.append(for_s)
        self.now_s += for_s
        return False


def http(clock: Clock | None = None, timeout_s: float = 10.0) -> Http:
    """A clock that can be believed; machines that run tests are often never synchronised."""
    return Http(clock or Clock(system_synchronised=lambda: True), timeout_s, timeout_s)


def connected(stub: PretixStub, seconds: Seconds, *, is_limited: bool = False) -> PretixConnection:
    limits = Limits(is_limited=is_limited, monotonic=seconds, sleep=seconds.rest)
    return PretixConnection(stub.url, stub.api_token, ORGANIZER, http(), limits)


def a_checkin(**told: Any) -> CheckIn:
    usual = CheckIn(
        id=1, list_id=1, ticket_id=1, device_name="door", secret="secret1", nonce="nonce-1", datetime=AT,
        stamp=StampKind.TRUSTED, received_at=AT, boot_id="", boottime_s=0.0, is_forced=False, is_offline=False,
        ignores_unpaid=False, answers={}, state=CheckInState.PENDING, tries=0, push_note=None, settled_at=None,
        conflict=None, conflict_note=None, conflict_opened_at=None, conflict_closed_at=None, closed_reason=None,
    )  # fmt: skip
    return replace(usual, **told)


def tickets(pages: Iterable[Page]) -> dict[int, ToldTicket]:
    """All tickets of some pages, by the ids of their positions; each is told once."""
    found: dict[int, ToldTicket] = {}
    for page in pages:
        for order in page.orders:
            for ticket in order.tickets:
                assert ticket.data.position_id is not None
                assert ticket.data.position_id not in found, "a ticket was told twice"
                found[ticket.data.position_id] = ticket
    return found
