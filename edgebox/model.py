"""The words of the box as frozen dataclasses. No I/O, and nothing of the box is imported here.

Instants are aware datetimes in UTC. Ids are the box's own unless a field says that upstream gave it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_NONCE_CHARS = 190
"""Longest nonce, in characters: the width of the column in which pretix keeps it."""


# --- what a source tells beside its tickets ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variation:
    """A variant of an item; `id` is upstream's."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """A product; `id` is upstream's."""

    id: int
    name: str
    is_admission: bool
    variations: tuple[Variation, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a question; `id` is upstream's."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is asked at the door; `id` and `item_ids` are upstream's, `type` is pretix's one-letter code."""

    id: int
    type: str
    text: str
    is_required: bool
    position: int
    item_ids: frozenset[int]
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """What upstream says of the event (or of the date of a series). Dates are kept as the text that upstream sent."""

    name: str
    list_name: str | None = None
    subevent: int | str | None = None
    """The date's id in a series; old servers put the event's name here where there is no series."""
    date_from: str | None = None
    date_to: str | None = None
    timezone: str = "UTC"
    url: str | None = None
    organizer_name: str | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that a source tells beside its tickets; `version` is the API version that upstream speaks."""

    version: int
    event: Event
    items: tuple[Item, ...] = ()
    questions: tuple[Question, ...] = ()

    def item(self, item_id: int) -> Item | None:
        """The item with this id, or None."""
        return next((item for item in self.items if item.id == item_id), None)

    def questions_for(self, item_id: int) -> tuple[Question, ...]:
        """The questions of an item, in the order in which they are asked."""
        mine = (question for question in self.questions if item_id in question.item_ids)
        return tuple(sorted(mine, key=lambda question: (question.position, question.id)))


# --- tickets ----------------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class ToldTicket:
    """One ticket of an answer of upstream, with whether upstream counts it as checked in on the list asked for."""

    data: TicketData
    is_redeemed: bool


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


# --- lists and devices ------------------------------------------------------------------------------------------------


class SourceKind(StrEnum):
    """Where tickets come from."""

    PRETIXDROID = "pretixdroid"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the tickets of a list come from, and the credential for it. `told` numbers its last whole snapshot."""

    id: int
    kind: SourceKind
    url: str
    credential: str = field(repr=False)
    told: int = 0
    last_pull: dt.datetime | None = None
    last_pull_duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckInList:
    """What a scanner is configured for: the unit of counting and of "already redeemed"."""

    id: int
    source: Source
    organizer: str
    event: str
    subevent: int | None
    name: str
    catalog: Catalog | None = None
    """None until upstream was first reached."""
    last_push: dt.datetime | None = None
    is_paused: bool = False
    """Sync stops, scanning goes on."""

    @property
    def has_upstream(self) -> bool:
        """False for a list from a file: its check-ins are settled at once."""
        return self.source.kind is not SourceKind.FILE

    @property
    def version(self) -> int:
        """API version that upstream speaks; 2 where none was ever reached."""
        return self.catalog.version if self.catalog else 2

    @property
    def path(self) -> str:
        """`ORGANIZER/EVENT[/SUBEVENT]`, as it stands in addresses and messages."""
        parts = [self.organizer, self.event] + ([str(self.subevent)] if self.subevent is not None else [])
        return "/".join(parts)


@dataclass(frozen=True, slots=True)
class Device:
    """A scanner with its own key. `item_ids` None means all items."""

    id: int
    name: str
    key: str = field(repr=False)
    list_ids: tuple[int, ...]
    item_ids: frozenset[int] | None
    allow_search: bool
    show_info: bool
    added_at: dt.datetime
    revoked_at: dt.datetime | None = None
    last_seen_at: dt.datetime | None = None
    user_agent: str | None = None

    def may_scan(self, item_id: int) -> bool:
        """Whether the item is among those that this device is for."""
        return self.item_ids is None or item_id in self.item_ids


# --- redeeming --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """What a device asks for, whatever dialect it speaks."""

    secret: str
    nonce: str | None = None
    """None where the client sent none (or an empty one)."""
    datetime: dt.datetime | None = None
    """None where the client left it to the box."""
    is_forced: bool = False
    ignores_unpaid: bool = False
    questions_supported: bool = False
    answers: Mapping[int, str] = field(default_factory=dict)
    """Question id to the text that was sent; blank text is an answer too (the question was shown)."""


class Reason(StrEnum):
    """The true reason of a refusal. Each device dialect maps it to what it can say."""

    UNKNOWN_TICKET = "unknown_ticket"
    PRODUCT = "product"
    WITHDRAWN = "withdrawn"
    UNPAID = "unpaid"
    ALREADY_REDEEMED = "already_redeemed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class PastCheckIn:
    """One entry of a ticket's history. `at` is None where upstream only says that it happened."""

    at: dt.datetime | None
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may look at."""

    request: RedeemRequest
    ticket: Ticket | None
    item_is_for_device: bool = True
    is_repeat: bool = False
    """A check-in of this ticket and list has the request's nonce."""
    history: tuple[PastCheckIn, ...] = ()
    questions: tuple[Question, ...] = ()
    """Those of the ticket's item, in the order in which they are asked."""
    earlier_answers: tuple[Mapping[int, str], ...] = ()
    """Answers of each check-in of this ticket before, on whichever list of the event."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a decision. `reason` is None exactly when the guest may enter."""

    reason: Reason | None = None
    is_repeat: bool = False
    """The same `ok` again: nothing new is recorded."""
    passed: Reason | None = None
    """What force let pass; staff must see it."""
    first_use: PastCheckIn | None = None
    questions: tuple[Question, ...] = ()
    """With INCOMPLETE: the questions that lack a valid answer."""

    @property
    def is_ok(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a device dialect needs to answer: the verdict, the ticket it is about, and whether that one is in now."""

    verdict: Verdict
    ticket: Ticket | None
    is_redeemed: bool


# --- the journal ------------------------------------------------------------------------------------------------------


class CheckInState(StrEnum):
    """Where a check-in stands on its way upstream."""

    PENDING = "pending"
    SETTLED = "settled"
    PARKED = "parked"
    DISMISSED = "dismissed"
    CANCELLED = "cancelled"
    """Undone by staff before upstream was told: it no longer counts."""


class StampKind(StrEnum):
    """Who stamped a check-in's datetime, and whether it could be believed."""

    CLIENT = "client"
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    CORRECTED = "corrected"
    UNCORRECTABLE = "uncorrectable"


class ConflictReason(StrEnum):
    """Why staff must see a check-in. The first four are what force passed or upstream refused."""

    ALREADY_REDEEMED = "already_redeemed"
    UNPAID = "unpaid"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    POISONOUS = "poisonous"
    CLOCK_UNTRUSTED = "clock_untrusted"
    DATETIME_IMPLAUSIBLE = "datetime_implausible"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One accepted redeem: a row of the journal, with what is needed to push and to show it."""

    id: int
    list_id: int
    ticket_id: int
    device_name: str | None
    """Of a check-in by hand, the name of who made it."""
    secret: str
    nonce: str
    datetime: dt.datetime
    stamp: StampKind
    received_at: dt.datetime
    boot_id: str
    boottime_s: float
    is_forced: bool
    is_offline: bool
    ignores_unpaid: bool
    answers: Mapping[int, str]
    state: CheckInState
    tries: int
    """How often upstream choked on this very check-in."""
    push_note: str | None
    """What upstream last said of it, in words."""
    settled_at: dt.datetime | None
    conflict: str | None
    conflict_note: str | None
    conflict_opened_at: dt.datetime | None
    conflict_closed_at: dt.datetime | None
    closed_reason: str | None
    staff_reason: str | None = None
    """Why somebody forced it by hand."""
