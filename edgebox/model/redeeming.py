"""What a device asks for, what a decision looks at, and what comes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edgebox.model.sources import Catalog, ListTerms, Question
from edgebox.model.tickets import Direction, Ticket

MAX_NONCE_CHARS = 190
"""Longest nonce, in characters: the width of the column in which pretix keeps it."""

PRETIXDROID_QUESTIONS = frozenset("NSTBCMDHW")
"""Types of questions that the pretixdroid app knows."""


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
    question_types: frozenset[str] = PRETIXDROID_QUESTIONS
    """Those that the device can ask: an app that meets another crashes."""
    answers: Mapping[int, str] = field(default_factory=dict)
    """Question id to the text that was sent; blank text is an answer too (the question was shown)."""
    direction: Direction = Direction.ENTRY


class Reason(StrEnum):
    """The true reason of a refusal. Each device dialect maps it to what it can say."""

    UNKNOWN_TICKET = "unknown_ticket"
    PRODUCT = "product"
    WITHDRAWN = "withdrawn"
    UNPAID = "unpaid"
    ALREADY_REDEEMED = "already_redeemed"
    INCOMPLETE = "incomplete"
    CANCELED = "canceled"
    """The order was cancelled or has expired."""
    BLOCKED = "blocked"
    REVOKED = "revoked"
    UNAPPROVED = "unapproved"
    INVALID_TIME = "invalid_time"
    RULES = "rules"
    AMBIGUOUS = "ambiguous"
    """It cannot be said which ticket is meant."""
    TEST_MODE = "test_mode"
    """Of an order in test mode, where a setting keeps those out."""


@dataclass(frozen=True, slots=True)
class PastCheckIn:
    """One entry of a ticket's history. `at` is None where upstream only says that it happened."""

    at: dt.datetime | None
    device_name: str | None = None
    direction: Direction = Direction.ENTRY
    device_id: int | None = field(default=None, compare=False)
    """None: by hand, or made elsewhere. (Whoever does something by hand may be called like a device.)"""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may look at."""

    request: RedeemRequest
    ticket: Ticket | None
    item_is_for_device: bool = True
    is_repeat: bool = False
    """A check-in of this ticket and list has the request's nonce, or is the same scan a moment ago."""
    history: tuple[PastCheckIn, ...] = ()
    questions: tuple[Question, ...] = ()
    """Those of the ticket's item, asked or shown, in the order of the organizer."""
    earlier_answers: tuple[Mapping[int, str], ...] = ()
    """Answers of each check-in of this ticket before, on whichever list of the event."""
    at: dt.datetime | None = None
    """When the guest stands at the door: the request's own time, else the box's."""
    terms: ListTerms | None = None
    """Those of the list; None where upstream tells none."""
    catalog: Catalog | None = None
    gate_id: int | None = None
    """Upstream's id of the gate at which the box stands."""
    is_revoked: bool = False
    """The secret is among the revoked ones."""
    ambiguity: str | None = None
    """Why it cannot be said which ticket the secret stands for, in words."""
    accepts_test_mode: bool = True


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
    explanation: str | None = None
    """The true reason in words, where there is more to say than its name."""

    @property
    def is_ok(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a device dialect needs to answer: the verdict, the ticket it is about, and whether that one is in now."""

    verdict: Verdict
    ticket: Ticket | None
    is_redeemed: bool
    answers: Mapping[int, str] = field(default_factory=dict)
    """Question id to the answer that holds now, of whichever check-in of the ticket, or before; of a redeem that was
    incomplete also what came with it."""
