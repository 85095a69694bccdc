"""What a list's rules may ask about: the ticket, the gate, the time, and the entries so far.

Days and times of day are those of the event's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from edgebox.model import Direction, Facts, PastCheckIn, Ticket
from edgebox.rules.presence import emptied_at, in_order, is_inside
from edgebox.rules.times import in_zone, zone_of


class NotUnderstoodError(Exception):
    """A rule asks for what this box does not know: it can be neither kept nor broken."""


class MalformedError(Exception):
    """A rule that cannot be meant so: pretix itself lets nobody in by it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """One guest at the door. `history` is in order of time; `dates` are those of the event, or of the ticket's date."""

    product: int
    variation: int | None = None
    gate: int | None = None
    at: datetime | None = None
    zone: tzinfo = UTC
    history: tuple[PastCheckIn, ...] = ()
    dates: tuple[str | None, str | None, str | None] = (None, None, None)
    """Begin, end and admission, as the text that upstream sent."""

    @property
    def now(self) -> datetime:
        """Raises NotUnderstoodError where nobody said what time it is."""
        if self.at is None:
            raise NotUnderstoodError
        return self.at

    @property
    def entries(self) -> tuple[PastCheckIn, ...]:
        return tuple(past for past in self.history if past.direction is Direction.ENTRY)

    def since(self, cutoff: datetime) -> tuple[PastCheckIn, ...]:
        """Entries at or after the cutoff."""
        return tuple(past for past in self.entries if past.at is not None and past.at >= cutoff)

    def before(self, cutoff: datetime) -> tuple[PastCheckIn, ...]:
        """Entries before the cutoff; one without a time is long ago."""
        return tuple(past for past in self.entries if past.at is None or past.at < cutoff)

    def days(self, entries: tuple[PastCheckIn, ...]) -> int:
        """On how many days these were; those without a time count as one."""
        return len({past.at and in_zone(past.at, self.zone).date() for past in entries})

    def today(self) -> tuple[PastCheckIn, ...]:
        """Entries since midnight."""
        return self.since(in_zone(self.now, self.zone).replace(hour=0, minute=0, second=0, microsecond=0))

    def minutes_since(self, which: int) -> int:
        """Whole minutes since the first (0) or last (-1) entry; -1 where there is none."""
        if not self.entries:
            return -1
        at = self.entries[which].at
        if at is None:
            raise NotUnderstoodError
        return int((self.now - at).total_seconds() // 60)

    def time(self, kind: object, text: object = None) -> datetime:
        """What a rule calls a time: `custom`, `customtime` (today), `date_from`, `date_to` or `date_admission`."""
        if kind == "customtime":
            return self._today_at(text)
        begin, end, admission = self.dates
        texts = {"custom": text, "date_from": begin, "date_to": end or begin, "date_admission": admission or begin}
        named = texts.get(kind) if isinstance(kind, str) else None
        if not isinstance(named, str):
            raise NotUnderstoodError
        try:
            instant = datetime.fromisoformat(named)
        except ValueError:
            raise NotUnderstoodError from None
        if instant.utcoffset() is None:
            raise MalformedError
        return instant

    def _today_at(self, text: object) -> datetime:
        try:
            at = time.fromisoformat(str(text))
        except ValueError:
            raise NotUnderstoodError from None
        wall_clock = in_zone(self.now, self.zone).replace(
            hour=at.hour, minute=at.minute, second=at.second, microsecond=at.microsecond
        )
        return in_zone(wall_clock, UTC)


VARIABLES: Mapping[str, Callable[[Circumstances], object]] = {
    "product": lambda door: door.product,
    "variation": lambda door: door.variation,
    "gate": lambda door: door.gate,
    "now": lambda door: door.now,
    "now_isoweekday": lambda door: in_zone(door.now, door.zone).isoweekday(),
    "entries_number": lambda door: len(door.entries),
    "entries_today": lambda door: len(door.today()),
    "entries_days": lambda door: door.days(door.entries),
    "minutes_since_last_entry": lambda door: door.minutes_since(-1),
    "minutes_since_first_entry": lambda door: door.minutes_since(0),
    "entry_status": lambda door: "present" if is_inside(door.history) else "absent",
}
"""What a rule may name, and what it is worth."""


def circumstances_of(facts: Facts, ticket: Ticket) -> Circumstances:
    """The circumstances of a decision."""
    zone = zone_of(facts.catalog)
    emptied = emptied_at(facts.terms, zone, facts.at) if facts.at else None
    return Circumstances(
        product=ticket.data.item_id,
        variation=ticket.data.variation_id,
        gate=facts.gate_id,
        at=facts.at,
        zone=zone,
        history=in_order(facts.history, emptied),
        dates=_dates(facts, ticket),
    )


def _dates(facts: Facts, ticket: Ticket) -> tuple[str | None, str | None, str | None]:
    if facts.catalog is None:
        return None, None, None
    if ticket.data.subevent is None:
        event = facts.catalog.event
        return event.date_from, event.date_to, event.date_admission
    for date in facts.catalog.subevents:
        if date.id == ticket.data.subevent:
            return date.date_from, date.date_to, date.date_admission
    return None, None, None
