"""Why a list's rules keep somebody out, in a few words: which comparison to blame, and what to say of it.

Of alternatives that all fail, the one is named that the guest comes closest to: one can come back later or leave first,
but hardly change the ticket. Of conditions that must all be met, all that fail are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from edgebox.rules.circumstances import Circumstances
from edgebox.rules.times import in_words, in_zone

_MAX_REASONS = 3

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_COUNTED: Mapping[str, str] = {
    "entries_number": "number of entries",
    "entries_today": "number of entries today",
    "entries_days": "number of days with an entry",
    "entries_since": "number of entries since {}",
    "entries_before": "number of entries before {}",
    "entries_days_since": "number of days with an entry since {}",
    "entries_days_before": "number of days with an entry before {}",
}

_WAITED: Mapping[str, str] = {
    "minutes_since_last_entry": "the last entry",
    "minutes_since_first_entry": "the first entry",
}


class _Weight(IntEnum):
    """How hard it is for a guest to do something about it."""

    PRESENCE = 1
    ENTRIES = 2
    TIME = 3
    WEEKDAY = 4
    GATE = 5
    TICKET = 6
    OTHER = 7


@dataclass(frozen=True, slots=True, order=True)
class Blame:
    """What keeps somebody out. The least comes closest to being met."""

    weight: int = _Weight.OTHER
    distance: float = 0.0
    reasons: tuple[str, ...] = field(default=("Not allowed by the rules of this list",), compare=False)

    @property
    def words(self) -> str:
        return ", ".join(self.reasons[:_MAX_REASONS])

    @classmethod
    def all_of(cls, blamed: Sequence[Blame]) -> Blame:
        """All of them together: as far from being met as the worst. `blamed` is not empty."""
        worst = max(blamed)
        reasons = dict.fromkeys(reason for each in blamed for reason in each.reasons)
        return cls(worst.weight, worst.distance, tuple(reasons))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a comparison is about: a variable or a count, its value, and the instant from or up to which it counts."""

    name: str
    value: object
    cutoff: datetime | None = None


def blame(operator: str, subject: Subject, values: Sequence[Any], door: Circumstances) -> Blame:
    """What to say of a comparison that is not met; `values` are those of its operands."""
    name = subject.name
    if name == "now":
        return _of_time(operator, values, door)
    if name in ("product", "variation"):
        return Blame(_Weight.TICKET, 0, ("Ticket type not allowed",))
    if name == "gate":
        return Blame(_Weight.GATE, 0, ("Wrong entrance gate",))
    if name == "now_isoweekday":
        return Blame(_Weight.WEEKDAY, 0, (f"Not allowed on a {_WEEKDAYS[in_zone(door.now, door.zone).weekday()]}",))
    if name == "entry_status":
        return Blame(_Weight.PRESENCE, 0, ("Already inside" if subject.value == "present" else "Not inside",))
    if name in _COUNTED:
        return _of_count(operator, subject, values, door)
    if name in _WAITED:
        return _of_wait(operator, subject, values)
    return Blame()


def _of_time(operator: str, values: Sequence[Any], door: Circumstances) -> Blame:
    if operator not in ("isBefore", "isAfter") or not isinstance(values[1], datetime):
        return Blame(_Weight.TIME, 0, ("Not allowed at this time",))
    tolerance = timedelta(minutes=float(values[2] or 0) if len(values) > 2 else 0)
    limit = values[1] + tolerance if operator == "isBefore" else values[1] - tolerance
    when = "before" if operator == "isBefore" else "after"
    words = f"Only allowed {when} {in_words(limit, door.zone, door.now)}"
    return Blame(_Weight.TIME, abs((door.now - limit).total_seconds()), (words,))


def _of_count(operator: str, subject: Subject, values: Sequence[Any], door: Circumstances) -> Blame:
    cutoff = in_words(subject.cutoff, door.zone, door.at) if subject.cutoff else ""
    what = _COUNTED[subject.name].format(cutoff)
    if operator in ("<", "<="):
        words = f"Maximum {what} exceeded"
    elif operator in (">", ">="):
        words = f"Minimum {what} not reached"
    else:
        words = f"{what.capitalize()} is {subject.value}"
    return Blame(_Weight.ENTRIES, _distance(values), (words,))


def _of_wait(operator: str, subject: Subject, values: Sequence[Any]) -> Blame:
    event = _WAITED[subject.name]
    limit = values[1] if len(values) > 1 else None
    if subject.value == -1:
        return Blame(_Weight.ENTRIES, 0, ("Only after an earlier entry",))
    if not isinstance(limit, int | float) or limit <= 0:
        # "-1" is how rules ask whether there was an entry at all: there was, and nothing undoes it.
        return Blame(_Weight.OTHER, 0, ("Only for a first entry",))
    words = f"Too soon after {event}" if operator in (">", ">=") else f"Too long after {event}"
    return Blame(_Weight.ENTRIES, _distance(values), (words,))


def _distance(values: Sequence[Any]) -> float:
    try:
        return abs(float(values[0]) - float(values[1]))
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0.0
