"""Reading tickets: search, the whole of a list, and how many are in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgebox.model import CheckInList, PastCheckIn, Ticket
from edgebox.store import history
from edgebox.store.db import Connection
from edgebox.store.folding import fold
from edgebox.store.history import TICKET_COLUMNS, ticket_from
from edgebox.store.readers import Readers

COUNTED = "is_withdrawn = 0 AND (is_paid = 1 OR checkin_allowed = 1)"
"""The positions that a list counts (written exactly as in the index `ticket_counted`)."""

SETTLED_NOW = (
    "SELECT ticket_id FROM told_checkin WHERE list_id = :list"
    " UNION SELECT ticket_id FROM checkin JOIN ticket ON ticket.id = ticket_id"
    " WHERE list_id = :list AND settled_number > :told AND settled_number > ticket.told"
)
"""Tickets that are in on a list as far as upstream knows; the rule itself is in `store.history`."""

IS_IN = (
    "(EXISTS (SELECT 1 FROM told_checkin WHERE list_id = :list AND ticket_id = ticket.id)"
    " OR EXISTS (SELECT 1 FROM checkin INDEXED BY checkin_nonce"
    "  WHERE ticket_id = ticket.id AND list_id = :list AND state <> 'cancelled'"
    "  AND (settled_number IS NULL OR settled_number > max(ticket.told, :told))))"
)
"""Whether a ticket has a history on a list, for a few of them."""

MOST_SORTED = 1_000
"""A quarter of a million guests have many a name in common."""

BY_NAME = "attendee_name IS NULL, folded_name, id"

IN_NOW = SETTLED_NOW + (
    " UNION SELECT ticket_id FROM checkin WHERE list_id = :list AND settled_number IS NULL AND state <> 'cancelled'"
)
"""Tickets with a history on a list."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many positions there are, and how many of them are in."""

    total: int = 0
    checkins: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """A list's counts: all, by item, by (item, variation)."""

    all: Count
    by_item: dict[int, Count] = field(default_factory=dict)
    by_variation: dict[tuple[int, int], Count] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket, and whether it is in."""

    ticket: Ticket
    is_redeemed: bool


class Tickets:
    """The tickets of a list as of the last commit."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def find(self, list_: CheckInList, secret: str) -> Found | None:
        """The ticket with exactly this secret."""
        with self._readers.reading() as connection:
            held = history.find(connection, list_, secret)
            return Found(held.ticket, bool(held.history)) if held else None

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
    ) -> list[Found]:
        """Tickets whose secret or order code starts with the query, or whose name contains it.

        Case and accents do not matter. Items other than `item_ids` are left out, and withdrawn tickets unless
        `withdrawn_too`; without `by_name` only the start of the secret counts. Sorted by name; of what is typed so
        short that more than MOST_SORTED are found in one of these ways, so many are sorted, whichever they are.
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
        wanted = (
            "source_id = :source AND is_withdrawn <= :withdrawn"
            " AND (:items IS NULL OR item_id IN (SELECT value FROM json_each(:items)))"
        )
        found = [f"SELECT id FROM (SELECT id FROM {way} AND {wanted} LIMIT :most)" for way in ways]
        with self._readers.reading() as connection:
            rows = connection.execute(
                f"SELECT {TICKET_COLUMNS}, {IS_IN} AS is_in FROM ticket WHERE id IN ("
                f" SELECT id FROM ticket WHERE id IN ({' UNION '.join(found)})"
                f"  ORDER BY {BY_NAME} LIMIT :limit"
                f") ORDER BY {BY_NAME}",
                {
                    "source": list_.source.id,
                    "start": start,
                    "end": end,
                    "phrase": '"' + folded.replace('"', '""') + '"',
                    "items": None if item_ids is None else json.dumps(sorted(item_ids)),
                    "limit": limit,
                    "most": MOST_SORTED,
                    "withdrawn": withdrawn_too,
                    "list": list_.id,
                    "told": told_of(connection, list_),
                },
            ).fetchall()
            return [Found(ticket_from(row), bool(row["is_in"])) for row in rows]

    def counted(self, list_: CheckInList, item_ids: frozenset[int] | None) -> Iterator[Found]:
        """Every position that the list counts, in a stable order; streams from one consistent state."""
        with self._readers.reading() as connection:
            tickets_in = _tickets_in(connection, list_)
            rows = connection.execute(
                f"SELECT {TICKET_COLUMNS} FROM ticket WHERE source_id = ? AND {COUNTED}"
                " ORDER BY item_id, variation_id, id",  # as the index has them: nothing needs to be sorted
                (list_.source.id,),
            )
            for row in rows:
                if item_ids is None or row["item_id"] in item_ids:
                    yield Found(ticket_from(row), row["id"] in tickets_in)

    def counts(self, list_: CheckInList) -> Counts:
        """How many there are and how many are in: a ticket once, however often it was forced."""
        per_item = f" FROM ticket WHERE source_id = :source AND {COUNTED}{{}} GROUP BY item_id, variation_id"
        with self._readers.reading() as connection:
            parameters = {"source": list_.source.id, "list": list_.id, "told": told_of(connection, list_)}
            totals = connection.execute("SELECT item_id, variation_id, count(*)" + per_item.format(""), parameters)
            total_by = {(row[0], row[1]): row[2] for row in totals}
            checkins = connection.execute(
                "SELECT item_id, variation_id, count(*)" + per_item.format(f" AND id IN ({IN_NOW})"), parameters
            )
            checkins_by = {(row[0], row[1]): row[2] for row in checkins}
        by_item: dict[int, Count] = {}
        for (item_id, variation_id), total in total_by.items():
            before = by_item.get(item_id, Count())
            checked_in = checkins_by.get((item_id, variation_id), 0)
            by_item[item_id] = Count(before.total + total, before.checkins + checked_in)
        return Counts(
            all=Count(sum(total_by.values()), sum(checkins_by.values())),
            by_item=by_item,
            by_variation={
                (item_id, variation_id): Count(total, checkins_by.get((item_id, variation_id), 0))
                for (item_id, variation_id), total in total_by.items()
                if variation_id is not None
            },
        )

    def held(self, list_: CheckInList) -> int:
        """Tickets of the list's source that the box holds and that are not withdrawn."""
        with self._readers.reading() as connection:
            count: int = connection.execute(
                "SELECT count(*) FROM ticket WHERE source_id = ? AND is_withdrawn = 0", (list_.source.id,)
            ).fetchone()[0]
        return count


def _tickets_in(connection: Connection, list_: CheckInList) -> set[int]:
    rows = connection.execute(IN_NOW, {"list": list_.id, "told": told_of(connection, list_)})
    return {row[0] for row in rows}


def told_of(connection: Connection, list_: CheckInList) -> int:
    """What the list's source has been told by, whole."""
    return int(connection.execute("SELECT told FROM source WHERE id = ?", (list_.source.id,)).fetchone()[0])
