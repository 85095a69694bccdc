"""Tickets, as upstream tells them and as the box holds them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class TicketData:
    """An order position as upstream tells it. Two of them are equal exactly when nothing has changed."""

    secret: str
    """Opaque; compared exactly."""
    order_code: str
    item_id: int
    variation_id: int | None
    attendee_name: str | None
    attention: bool
    is_paid: bool
    checkin_allowed: bool
    """May be let in although unpaid, when the door says so."""
    addons_text: str

    # What only today's pretix tells: absent, it never matters.
    position_id: int | None = None
    """Upstream's id of the order position: it stays when the secret changes or the position moves to another order."""
    number: int | None = None
    """Within its order, as staff and guests count."""
    addon_to: int | None = None
    """`position_id` of the ticket that this one is an add-on of."""
    subevent: int | None = None
    """Date of a series."""
    is_cancelled: bool = False
    """The position itself was cancelled: there is no such ticket any more."""
    is_closed: bool = False
    """Its order was cancelled or has expired."""
    awaits_approval: bool = False
    is_blocked: bool = False
    valid_from: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    valid_if_pending: bool = False
    """Lets in although unpaid, without anybody's saying so."""
    is_test: bool = False
    """Of an order in test mode."""
    seat: str | None = None
    checkin_text: str | None = None
    """What the door is to see at the check-in."""
    answers: tuple[tuple[int, str], ...] = ()
    """Question id and answer, given before the event or at an earlier check-in; options by their ids."""


class Direction(StrEnum):
    """Which way a check-in goes. The pretixdroid API knows only entries."""

    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class ToldCheckIn:
    """A check-in as upstream tells it. `upstream_list` is upstream's id of the list; 0 where a source is one list.

    `at` None: upstream only says that it happened.
    """

    upstream_list: int = 0
    at: dt.datetime | None = None
    direction: Direction = Direction.ENTRY


@dataclass(frozen=True, slots=True)
class ToldTicket:
    """One ticket of an answer of upstream, with the check-ins that upstream counts."""

    data: TicketData
    checkins: tuple[ToldCheckIn, ...] = ()

    @property
    def is_redeemed(self) -> bool:
        """Whether upstream counts it as checked in."""
        return bool(self.checkins)


@dataclass(frozen=True, slots=True)
class ToldOrder:
    """An order with all of its positions, cancelled ones too: whatever is not among them is not (any more) its own."""

    code: str
    tickets: tuple[ToldTicket, ...]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the box holds it."""

    id: int
    source_id: int
    data: TicketData
    is_withdrawn: bool
    """Was in a snapshot; a later one no longer has it."""
    told: int
    """Number of the request that last told this ticket."""
