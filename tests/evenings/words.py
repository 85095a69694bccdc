"""The words of the model: what is asked and answered at the door, what upstream has, what the journal has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

ENTRY, EXIT = "entry", "exit"
OK, REPEAT = "ok", "repeat"
UNKNOWN, WITHDRAWN, CANCELED, UNPAID, USED = "unknown_ticket", "withdrawn", "canceled", "unpaid", "already_redeemed"
VOID = "void"
"""Of a cancelled order, told in words that mean unpaid; but not even who ignores that lets it in."""

AGREED = timedelta(seconds=4)
"""How true a known time is: upstream tells whole seconds, its answer was a while on the way, and a clock that is less
than two seconds off is left alone."""
FAR_OFF = timedelta(days=1)
CHOKES = 5


@dataclass(frozen=True)
class Terms:
    """How often a list lets a ticket in: once, if nothing else is said."""

    several_entries: bool = False
    entry_after_exit: bool = False
    include_pending: bool = False
    is_paged: bool = False
    """Whether upstream tells its tickets bit by bit, changes meanwhile included; else all at one moment."""
    knows_exits: bool = False


@dataclass(frozen=True)
class Told:
    """A check-in that upstream has; the old API does not tell when."""

    list_id: int
    direction: str
    at: datetime | None


Standing = tuple[str, str | None] | None
"""A ticket's secret, and why it would be turned away; None where upstream tells of no such ticket."""


@dataclass(frozen=True)
class Ask:
    """A scan, or an upload, or staff. `secret` None: by whatever secret the box has."""

    ticket: str
    list_id: int = 1
    direction: str = ENTRY
    secret: str | None = None
    nonce: str | None = None
    sent: datetime | None = None
    forced: bool = False
    ignores_unpaid: bool = False

    def __str__(self) -> str:
        how = [f"sent {self.sent:%d %b %H:%M}"] if self.sent else []
        how += [text for text, is_so in (("forced", self.forced), ("unpaid or not", self.ignores_unpaid)) if is_so]
        how += [self.nonce] if self.nonce else []
        return f"{self.direction} of {self.ticket} ({self.secret}) on list {self.list_id}" + "".join(
            f", {each}" for each in how
        )


@dataclass(frozen=True)
class When:
    """When it was answered: between two moments, in which boot and process; whether the box knew the time, and whether
    its clock was right, known or not."""

    earliest: datetime
    latest: datetime
    boot: str
    process: int
    is_known: bool
    is_right: bool


@dataclass
class CheckIn:
    """A scan that was answered `ok`."""

    id: int
    nonce: str
    ask: Ask
    when: When
    on_record: frozenset[str | None]
    """What force may have passed; None: nothing."""
    state: str = "pending"
    may_be_claimed: bool = False
    is_told: bool = False
    taken: str | None = None
    """How upstream first took it: `plain` or `forced`."""
    was_stored: bool = False
    is_acknowledged: bool = False
    is_corrected: bool = False
    is_off: bool = False
    refusals: set[str | None] = field(default_factory=set)
    refused_for_good: bool = False
    troubles: int = 0
    is_poison: bool = False
    is_undone: bool = False
    is_closed: bool = False
    """Staff have looked at what was wrong with it."""
    is_given_up: bool = False

    def __str__(self) -> str:
        return f"check-in {self.id}: {self.ask}, at {self.when.earliest:%H:%M:%S}"

    @property
    def at(self) -> datetime | None:
        """Its time, as far as the box goes by the right one."""
        return self.ask.sent or (self.when.earliest if self.when.is_right or self.is_corrected else None)

    @property
    def is_far_off(self) -> bool:
        return self.ask.sent is not None and abs(self.ask.sent - self.when.earliest) > FAR_OFF / 2

    @property
    def has_choked(self) -> bool:
        return self.is_poison or self.troubles >= CHOKES


@dataclass(frozen=True)
class Row:
    """A check-in as the journal has it."""

    id: int
    list_id: int
    direction: str
    nonce: str
    state: str
    conflict: str | None


@dataclass(frozen=True)
class Record:
    """A check-in as upstream has it; `nonce` None: somebody else's."""

    ticket: str
    list_id: int
    direction: str
    nonce: str | None
    is_deleted: bool


@dataclass
class Belief:
    """What the box may hold for true of a ticket: how it stands, and upstream's check-ins of it, with those of its own
    that upstream had acknowledged before it was asked."""

    standings: set[Standing] = field(default_factory=lambda: {None})
    told: set[tuple[frozenset[Told], frozenset[int]]] = field(default_factory=lambda: {(frozenset(), frozenset())})

    def __or__(self, other: Belief) -> Belief:
        return Belief(self.standings | other.standings, self.told | other.told)
