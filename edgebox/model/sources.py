"""What a source tells beside its tickets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Variation:
    """A variant of an item; `id` is upstream's."""

    id: int
    name: str
    attention: bool = False
    checkin_text: str | None = None
    """What the door is to see when a ticket of it is checked in."""


@dataclass(frozen=True, slots=True)
class Item:
    """A product; `id` is upstream's."""

    id: int
    name: str
    is_admission: bool
    variations: tuple[Variation, ...] = ()
    attention: bool = False
    checkin_text: str | None = None
    """What the door is to see when a ticket of it is checked in."""

    def variation(self, variation_id: int | None) -> Variation | None:
        """The variation with this id, or None."""
        return next((variation for variation in self.variations if variation.id == variation_id), None)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a question; `id` is upstream's."""

    id: int
    text: str
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is asked or shown at the door; ids are upstream's, `type` is pretix's code."""

    id: int
    type: str
    text: str
    is_required: bool
    position: int
    item_ids: frozenset[int]
    options: tuple[Option, ...] = ()
    identifier: str = ""
    is_asked: bool = True
    """At the door; else it was asked before, and at most its answer is shown there."""
    is_shown: bool = False
    """With its answer, at every check-in."""
    depends_on: int | None = None
    """Id of the question without whose answer being one of `depends_values` this one is not asked."""
    depends_values: tuple[str, ...] = ()
    """Identifiers of options, or `True` and `False`."""


@dataclass(frozen=True, slots=True)
class Subevent:
    """A date of a series; `id` is upstream's. Instants as the text that upstream sent."""

    id: int
    name: str
    date_from: str | None = None
    date_to: str | None = None
    date_admission: str | None = None


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
    date_admission: str | None = None
    """When the doors open; None: with `date_from`."""
    locale: str = "en"
    """The language that the texts are in."""
    has_subevents: bool = False
    """A series."""
    is_live: bool = True
    is_test: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that a source tells beside its tickets; `version` is the API version that upstream speaks."""

    version: int
    event: Event
    items: tuple[Item, ...] = ()
    questions: tuple[Question, ...] = ()
    subevents: tuple[Subevent, ...] = ()
    signature_keys: tuple[str, ...] = ()
    """Public keys (PEM) that verify signed secrets; none where secrets are not signed."""

    def item(self, item_id: int) -> Item | None:
        """The item with this id, or None."""
        return next((item for item in self.items if item.id == item_id), None)

    def questions_for(self, item_id: int) -> tuple[Question, ...]:
        """The questions of an item, asked or shown, in the order of the organizer."""
        mine = (question for question in self.questions if item_id in question.item_ids)
        return tuple(sorted(mine, key=lambda question: (question.position, question.id)))


@dataclass(frozen=True, slots=True)
class ListTerms:
    """What today's pretix says of a check-in list: which tickets are on it, and who may enter."""

    item_ids: frozenset[int] | None = None
    """None: all items."""
    subevent: int | None = None
    """None: all dates of a series."""
    include_pending: bool = False
    """Unpaid tickets are on it, and may be let in when the door says so."""
    allow_multiple_entries: bool = False
    allow_entry_after_exit: bool = True
    exit_all_at: dt.datetime | None = None
    """From the time of day of this instant, daily in the event's zone, whoever is inside counts as out."""
    addon_match: bool = False
    """The secret of a ticket stands for its one add-on on the list."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    """JSON logic that decides on an entry; empty: no rules."""
