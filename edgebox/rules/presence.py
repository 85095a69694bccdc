"""Who is inside, and whether another entry would be one too many: pure functions over a ticket's history on a list.

A history is in the store's order. What counts is the order of the datetimes, as pretix has it; where two are equal, or
unknown, the store's order. A check-in whose time upstream does not tell is older than any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from edgebox.model import Direction, ListTerms, PastCheckIn

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

History = Sequence[PastCheckIn]


def emptied_at(terms: ListTerms | None, zone: tzinfo, at: datetime) -> datetime | None:
    """When the list was last emptied by its `exit_all_at`, as seen from `at`; None: never yet.

    pretix records exits at that instant for whoever is inside and moves it on by a day in the event's zone. So what it
    tells is the first time that it has not yet dealt with: what came before stands in the history already, and only the
    days from then on are the box's to count. Where the clock is put forward over that time of day, it is an hour later;
    where it is put back, the second time counts.
    """
    if terms is None or terms.exit_all_at is None or at < terms.exit_all_at:
        return None
    try:
        first = terms.exit_all_at.astimezone(zone)
        today = at.astimezone(zone).date()
        for day in (today, today - timedelta(days=1)):
            passage = _instant(datetime.combine(day, first.time()), zone)
            if day > first.date() and passage <= at:
                return passage
    except OverflowError:
        pass  # a phone's date at the edge of the calendar
    return terms.exit_all_at


def _instant(wall_clock: datetime, zone: tzinfo) -> datetime:
    later = wall_clock.replace(tzinfo=zone, fold=1).astimezone(UTC)
    exists = later.astimezone(zone).replace(tzinfo=None) == wall_clock
    return later if exists else wall_clock.replace(tzinfo=zone, fold=0).astimezone(UTC)


def in_order(history: History, emptied: datetime | None = None) -> tuple[PastCheckIn, ...]:
    """The history by time, with an exit at `emptied` if the guest was inside then.

    Who came in at that very instant came in after it.
    """
    ordered = tuple(sorted(history, key=_when))
    if emptied is None:
        return ordered
    before = tuple(past for past in ordered if _when(past) < emptied)
    if not before or before[-1].direction is Direction.EXIT:
        return ordered
    return (*before, PastCheckIn(emptied, direction=Direction.EXIT), *ordered[len(before) :])


def _when(past: PastCheckIn) -> datetime:
    return past.at or _LONG_AGO


def is_inside(history: History, emptied: datetime | None = None) -> bool:
    """Whether the guest is in: the last that happened is an entry."""
    ordered = in_order(history, emptied)
    return bool(ordered) and ordered[-1].direction is Direction.ENTRY


def is_used_up(history: History, terms: ListTerms | None, emptied: datetime | None = None) -> bool:
    """Whether another entry now would be refused as already redeemed.

    An exit permits a second entry only where upstream knows exits and the list allows it. Where upstream tells no
    terms, each ticket lets in once.
    """
    if not any(past.direction is Direction.ENTRY for past in history):
        return False
    if terms is None:
        return True
    if terms.allow_multiple_entries:
        return False
    return not terms.allow_entry_after_exit or is_inside(history, emptied)


def first_use(history: History) -> PastCheckIn | None:
    """The earliest entry that has a time; where none has one, the first entry; None where there is none."""
    entries = [past for past in history if past.direction is Direction.ENTRY]
    timed = [past for past in entries if past.at is not None]
    return min(timed, key=_when) if timed else next(iter(entries), None)
