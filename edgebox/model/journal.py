"""Check-ins: what was let in, and what staff must see of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from edgebox.model.tickets import Direction


class CheckInState(StrEnum):
    """Where a check-in stands on its way upstream."""

    PENDING = "pending"
    SETTLED = "settled"
    PARKED = "parked"
    DISMISSED = "dismissed"
    CANCELLED = "cancelled"
    """Undone by staff before upstream was told: it no longer counts."""
    KEPT = "kept"
    """An exit, where upstream knows none: it counts here, and is never pushed."""


class StampKind(StrEnum):
    """Who stamped a check-in's datetime, and whether it could be believed."""

    CLIENT = "client"
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    CORRECTED = "corrected"
    UNCORRECTABLE = "uncorrectable"


class ConflictReason(StrEnum):
    """Why staff must see a check-in. Up to `refused`, what force passed or upstream refused."""

    ALREADY_REDEEMED = "already_redeemed"
    UNPAID = "unpaid"
    WITHDRAWN = "withdrawn"
    CANCELED = "canceled"
    BLOCKED = "blocked"
    REVOKED = "revoked"
    UNAPPROVED = "unapproved"
    INVALID_TIME = "invalid_time"
    RULES = "rules"
    TEST_MODE = "test_mode"
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
    direction: Direction = Direction.ENTRY
    ticket_secret: str = ""
    """The ticket's secret as it is now; `secret` is what was scanned."""
    refused_as: str | None = None
    """Why upstream refused it before it was told with force."""
