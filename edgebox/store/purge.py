"""What of a list is personal, and how it goes: rows by rows, so that scans for other lists go on. Counts remain.

Plain functions over a connection, for the box's own database and for copies of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgebox.store.db import Connection, Row
from edgebox.store.lists import delete_tickets

FATES: Mapping[str, str] = {
    "checkin": "counted, then deleted",
    "cancellation": "deleted with its check-in",
    "attempt": "counted, then deleted",
    "ticket": "deleted with the last list of its source; until then the others need it",
    "ticket_name": "the search index of the names: follows its ticket, and is merged so that no part of a name stays",
    "note": "deleted with its ticket",
    "told_checkin": "deleted with the last list of its source",
    "held": "deleted with the last list of its source",
    "barred_secret": "deleted with the last list of its source",
    "deed": "deleted where it is about a ticket or check-in that goes; all the others with the last list of the box",
    "sync_run": "deleted",
    "device": "once it has no other list: revoked, without its name, key and phone; a pretixSCAN phone is wiped",
    "device_list": "stays: numbers",
    "list": "stays, removed: name and numbers",
    "source": "stays: the event, its items and dates; its credential goes with its last list",
    "connection": "stays until it is removed: the box's own access to the ticket server",
    "purge": "says when",
    "remains": "the counts",
    "counter": "stays: numbers",
    "staff": "stays: the box's own passwords, as digests",
    "box": "stays: a number drawn at random",
    "own_secret": "stays: with it sessions are signed",
}
"""What a purge does with each table."""

ABOUT = {
    "ticket": ("added a note", "checked in", "forced a check-in"),
    "checkin": ("undid a check-in", "retried a check-in", "dismissed a conflict"),
}
"""Deeds whose `about` begins with the id of a row of that table; free text may follow it."""

_UNUSED = "NOT EXISTS (SELECT 1 FROM list WHERE source_id = :source AND removed_at IS NULL)"
_COUNT = (
    "INSERT INTO remains (list_id, minute, item_id, variation_id, direction, verdict, count)"
    " SELECT entry.list_id, substr({at}, 1, 16), coalesce(item_id, 0), coalesce(variation_id, 0), direction, {verdict},"
    " sum({count}) FROM {table} AS entry LEFT JOIN ticket ON ticket.id = ticket_id"
    " WHERE entry.id IN (SELECT value FROM json_each(?)) GROUP BY 1, 2, 3, 4, 5, 6"
    " ON CONFLICT DO UPDATE SET count = count + excluded.count"
)
_COUNT_CHECKINS = _COUNT.format(
    at="datetime", verdict="CASE state WHEN 'cancelled' THEN 'undone' ELSE 'ok' END", count="1", table="checkin"
)
_COUNT_ATTEMPTS = _COUNT.format(
    at="at", verdict="CASE verdict WHEN 'ok' THEN 'repeat' ELSE verdict END", count="count", table="attempt"
)

Ids = Sequence[int]


@dataclass(frozen=True, slots=True)
class Part:
    """One table's rows. `find` lists the ids of those that go; `take` takes some of them away, within a job."""

    table: str
    find: str
    take: Callable[[Connection, Ids], None]

    def ids(self, connection: Connection, list_id: int, source_id: int) -> list[int]:
        """The ids of all rows that go."""
        return [row[0] for row in connection.execute(self.find, {"list": list_id, "source": source_id})]


def _in(connection: Connection, statement: str, ids: Ids, *more: object) -> None:
    """A statement whose last parameter is a JSON list of ids."""
    connection.execute(statement.format("IN (SELECT value FROM json_each(?))"), (*more, _json(ids)))


def _json(ids: Ids) -> str:
    return f"[{','.join(map(str, ids))}]"


def _take_checkins(connection: Connection, ids: Ids) -> None:
    connection.execute(_COUNT_CHECKINS, (_json(ids),))
    _in(connection, "DELETE FROM cancellation WHERE checkin_id {}", ids)
    _in(connection, "DELETE FROM checkin WHERE id {}", ids)


def _take_attempts(connection: Connection, ids: Ids) -> None:
    connection.execute(_COUNT_ATTEMPTS, (_json(ids),))
    _in(connection, "DELETE FROM attempt WHERE id {}", ids)


def _take_tickets(connection: Connection, ids: Ids) -> None:
    delete_tickets(connection, [(ticket_id,) for ticket_id in ids])


def _deleting(table: str, column: str = "id") -> Callable[[Connection, Ids], None]:
    return lambda connection, ids: _in(connection, f"DELETE FROM {table} WHERE {column} {{}}", ids)


PARTS = (
    Part("checkin", "SELECT id FROM checkin WHERE list_id = :list", _take_checkins),
    Part("attempt", "SELECT id FROM attempt WHERE list_id = :list", _take_attempts),
    Part("sync_run", "SELECT id FROM sync_run WHERE list_id = :list", _deleting("sync_run")),
    Part(
        "told_checkin",
        f"SELECT DISTINCT ticket_id FROM told_checkin WHERE source_id = :source AND {_UNUSED}",
        _deleting("told_checkin", "ticket_id"),
    ),
    Part(
        "held",
        f"SELECT DISTINCT ticket_id FROM held WHERE source_id = :source AND {_UNUSED}",
        _deleting("held", "ticket_id"),
    ),
    Part(
        "ticket",
        f"SELECT id FROM ticket WHERE source_id = :source AND {_UNUSED}"
        " AND NOT EXISTS (SELECT 1 FROM checkin WHERE ticket_id = ticket.id AND list_id <> :list)",
        _take_tickets,
    ),
)
"""In this order: the rows of the later ones are named by those of the earlier ones."""


def finish(connection: Connection, list_id: int, source_id: int, at: str) -> list[Row]:
    """Within a job, after all parts: what is little; the list is purged with it. The devices, as they were, that no
    longer have any list."""
    connection.execute(f"DELETE FROM barred_secret WHERE source_id = :source AND {_UNUSED}", {"source": source_id})
    connection.execute("UPDATE purge SET ended_at = ? WHERE list_id = ?", (at, list_id))
    devices = connection.execute(
        "SELECT id, name FROM device WHERE id IN (SELECT device_id FROM device_list WHERE list_id = ?)"
        " AND NOT EXISTS (SELECT 1 FROM device_list WHERE device_id = device.id AND list_id NOT IN"
        "  (SELECT list_id FROM purge WHERE ended_at IS NOT NULL))",
        (list_id,),
    ).fetchall()
    connection.executemany(
        # Of a pretixSCAN device the digest of its key stays: by it the phone is known that has to be wiped.
        "UPDATE device SET name = 'scanner ' || id, key = CASE app WHEN 'pretixscan' THEN key ELSE '' END,"
        " setup_token = NULL, phone = NULL, user_agent = NULL, last_seen_at = NULL,"
        " is_to_wipe = CASE WHEN app = 'pretixscan' AND revoked_at IS NULL THEN 1 ELSE is_to_wipe END,"
        " revoked_at = coalesce(revoked_at, ?) WHERE id = ?",
        [(at, device["id"]) for device in devices],
    )
    _forget_deeds(connection)
    return devices


def _forget_deeds(connection: Connection) -> None:
    """Those about tickets and check-ins that are gone, also from before; all of them where no list is left."""
    for table, actions in ABOUT.items():
        marks = ", ".join("?" * len(actions))
        connection.execute(
            # Of "12: she had lost her ticket" SQLite casts the 12.
            f"DELETE FROM deed WHERE action IN ({marks})"
            f" AND NOT EXISTS (SELECT 1 FROM {table} WHERE id = CAST(about AS INTEGER))",
            actions,
        )
    if not connection.execute(
        "SELECT 1 FROM list WHERE id NOT IN (SELECT list_id FROM purge WHERE ended_at IS NOT NULL)"
    ).fetchone():
        connection.execute("DELETE FROM deed")


MERGE_PAGES = 64


def merges() -> Iterator[Callable[[Connection], bool]]:
    """Jobs that merge the index of the names until no part of a deleted one is left in it; each tells whether there is
    more to do."""

    def merge(connection: Connection, pages: int) -> bool:
        before = connection.total_changes
        connection.execute("INSERT INTO ticket_name (ticket_name, rank) VALUES ('merge', ?)", (pages,))
        # FTS5 says so of itself: fewer than two changes, and there was nothing to merge.
        return connection.total_changes - before >= 2

    yield lambda connection: merge(connection, -MERGE_PAGES)
    while True:
        yield lambda connection: merge(connection, MERGE_PAGES)
