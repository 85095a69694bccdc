"""Reading tickets: search, the whole of a list, and how many are in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from edgebox.model import CheckInList, PastCheckIn, Ticket
from edgebox.store import history, presence
from edgebox.store.db import Connection, reading
from edgebox.store.folding import fold
from edgebox.store.history import Held
from edgebox.store.readers import Readers
from edgebox.store.rows import TICKET_COLUMNS, ticket_from

MOST_SORTED = 1_000
"""A quarter of a million guests have many a name in common."""

BY_NAME = "attendee_name IS NULL, folded_name, id"


@dataclass(frozen=True, slots=True)
class Count:
    """How many positions there are, how many of them have entered, and how many are inside now."""

    total: int = 0
    checkins: int = 0
    inside: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.total + other.total, self.checkins + other.checkins, self.inside + other.inside)


@dataclass(frozen=True, slots=True)
class Counts:
    """A list's counts: all, by item, by (item, variation)."""

    all: Count
    by_item: dict[int, Count] = field(default_factory=dict)
    by_variation: dict[tuple[int, int], Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket, and whether another entry now would be refused as already redeemed."""

    ticket: Ticket
    is_redeemed: bool


class Tickets:
    """The tickets of a list as of the last commit."""

    def __init__(self, readers: Readers, now: Callable[[], datetime]) -> None:
        self._readers = readers
        self._now = now

    def find(self, list_: CheckInList, secret: str) -> Found | None:
        """The ticket with exactly this secret."""
        with self._readers.reading() as connection:
            held = history.find(connection, list_, secret)
            return _found(list_, held, self._now()) if held else None

    def get(self, list_: CheckInList, ticket_id: int) -> tuple[Ticket, tuple[PastCheckIn, ...]] | None:
        """A ticket of the list's source with its history on the list; None where the list has no such ticket."""
        with self._readers.reading() as connection:
            held = history.get(connection, list_, ticket_id)
            return (held.ticket, held.history) if held else None

    def search(
        self,
        list_: CheckInList,
        query: str,
        *,
        item_ids: frozenset[int] | None,
        by_name: bool,
        limit: int,
        withdrawn_too: bool = False,
        any_state: bool = False,
    ) -> list[Found]:
        """Tickets whose secret or order code starts with the query, or whose name contains it.

        Case and accents do not matter. Items other than `item_ids` are left out, and, unless `withdrawn_too`, withdrawn
        tickets and those that are not on the list; `any_state`: it does not matter in which state their orders are.
        Without `by_name` only the start of the secret counts. Sorted by name; of what is typed so short that more than
        MOST_SORTED are found in one of these ways, so many are sorted, whichever they are.
        """
        folded = fold(query)
        if not folded.strip():
            return []
        start, end = folded, folded + "\U0010ffff"
        ways = [
            "ticket WHERE secret BETWEEN :start AND :end AND folded_secret = secret",
            "ticket WHERE folded_secret BETWEEN :start AND :end AND folded_secret <> secret",
        ]
        if by_name:
            ways.append("ticket WHERE folded_code BETWEEN :start AND :end")
        if by_name and "\0" not in folded:  # where the phrase of a full-text search would end
            ways.append("ticket_name CROSS JOIN ticket ON id = ticket_name.rowid WHERE ticket_name MATCH :phrase")
        now = self._now()
        is_wanted = "1" if withdrawn_too else "is_withdrawn = 0"
        if any_state:
            is_wanted = presence.for_list(list_)
        elif list_.terms is not None and not withdrawn_too:
            is_wanted = presence.on_list(list_)
        wanted = (
            f"source_id = :source AND {is_wanted}"
            " AND (:items IS NULL OR item_id IN (SELECT value FROM json_each(:items)))"
        )
        found_by = [f"SELECT id FROM (SELECT id FROM {way} AND {wanted} LIMIT :most)" for way in ways]
        with self._readers.reading() as connection:
            rows = connection.execute(
                f"SELECT id FROM ticket WHERE id IN ({' UNION '.join(found_by)}) ORDER BY {BY_NAME} LIMIT :limit",
                {
                    **presence.parameters(connection, list_),
                    "start": start,
                    "end": end,
                    "phrase": '"' + folded.replace('"', '""') + '"',
                    "items": None if item_ids is None else json.dumps(sorted(item_ids)),
                    "limit": limit,
                    "most": MOST_SORTED,
                },
            ).fetchall()
            found = history.get_all(connection, list_, [row["id"] for row in rows])
            return [_found(list_, found[row["id"]], now) for row in rows]

    def counted(self, list_: CheckInList, item_ids: frozenset[int] | None) -> Iterator[Found]:
        """Every position that the list counts, in a stable order; streams from one consistent state."""
        with self._readers.reading() as connection:
            values = presence.parameters(connection, list_, self._now())
            tickets_in = {row[0] for row in connection.execute(presence.redeemed(list_), values)}
            rows = connection.execute(
                f"SELECT {TICKET_COLUMNS} FROM ticket WHERE source_id = :source AND {presence.on_list(list_)}"
                " ORDER BY item_id, variation_id, id",  # as the index has them: nothing needs to be sorted
                values,
            )
            for row in rows:
                if item_ids is None or row["item_id"] in item_ids:
                    yield Found(ticket_from(row), row["id"] in tickets_in)

    def counts(self, list_: CheckInList) -> Counts:
        """How many there are, have entered and are inside: a ticket once, however often it was forced."""
        query = (
            "SELECT item_id, variation_id, count(*) AS total, count(last_entry) AS checkins,"
            f" count(*) FILTER (WHERE {presence.is_inside(list_)}) AS inside"
            f" FROM ticket LEFT JOIN ({presence.SEEN}) AS seen ON seen.ticket_id = ticket.id"
            f" WHERE source_id = :source AND {presence.on_list(list_)} GROUP BY item_id, variation_id"
        )
        with self._readers.reading() as connection:
            rows = connection.execute(query, presence.parameters(connection, list_, self._now())).fetchall()
        by_variation = {
            (row["item_id"], row["variation_id"]): Count(row["total"], row["checkins"], row["inside"]) for row in rows
        }
        by_item: dict[int, Count] = {}
        for (item_id, _variation_id), count in by_variation.items():
            by_item[item_id] = by_item.get(item_id, Count()) + count
        return Counts(
            all=sum(by_item.values(), Count()),
            by_item=by_item,
            by_variation={
                (item, variation): n for (item, variation), n in by_variation.items() if variation is not None
            },
        )

    def held(self, list_: CheckInList) -> int:
        """Tickets of the list's source that the box holds and that are not withdrawn."""
        with self._readers.reading() as connection:
            count: int = connection.execute(
                "SELECT count(*) FROM ticket WHERE source_id = ? AND is_withdrawn = 0", (list_.source.id,)
            ).fetchone()[0]
        return count


def by_name(connection: Connection, list_: CheckInList, now: datetime) -> Iterator[Found]:
    """Every position that the list counts, by name, order and item; those without a name last. Streams."""
    with reading(connection):
        values = presence.parameters(connection, list_, now)
        tickets_in = {row[0] for row in connection.execute(presence.redeemed(list_), values)}
        rows = connection.execute(
            f"SELECT {TICKET_COLUMNS} FROM ticket WHERE source_id = :source AND {presence.on_list(list_)}"
            " ORDER BY attendee_name IS NULL, folded_name, order_code, item_id, variation_id, id",
            values,
        )
        for row in rows:
            yield Found(ticket_from(row), row["id"] in tickets_in)


def _found(list_: CheckInList, held: Held, now: datetime) -> Found:
    return Found(held.ticket, presence.is_redeemed(list_, held.history, now))
