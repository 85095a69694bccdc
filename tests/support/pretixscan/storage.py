"""What the phone keeps of what it was told: deleted when the box says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
# An event's slug and the name of a resource.
Table = tuple[str, str]

NUMBER_WITH_EXIT = 30090001000
NUMBER_WITH_SEVERAL_EVENTS = 40120001001


@dataclass(frozen=True)
class Stamp:
    """`last_modified` is sent back as it came; `meta` tells for which date of a series the rows are."""

    last_modified: str
    meta: str = ""


@dataclass
class Storage:
    """`tables` has rows by their id, `events` and `settings` are by slug.

    `stamps` belong to tables that are only fetched when they have changed, `since` to those of which only changes are.
    """

    pretix_numeric: int = 0
    subevents: dict[int, Row] = field(default_factory=dict)
    events: dict[str, Row] = field(default_factory=dict)
    settings: dict[str, Row] = field(default_factory=dict)
    tables: dict[Table, dict[int, Row]] = field(default_factory=dict)
    stamps: dict[Table, Stamp] = field(default_factory=dict)
    since: dict[Table, str] = field(default_factory=dict)

    def rows(self, slug: str, resource: str) -> list[Row]:
        return list(self.tables.get((slug, resource), {}).values())

    def delete(self) -> None:
        """All that was downloaded; which pretix the box says to be stays known (section 1.1, the 401 that wipes)."""
        for kept in (self.subevents, self.events, self.settings, self.tables, self.stamps, self.since):
            kept.clear()
