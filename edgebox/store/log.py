"""The log: every attempt, accepted or refused. The union of the journal and the attempts' table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.model import Direction
from edgebox.store.db import Connection, reading
from edgebox.store.folding import fold

_DEVICE = "coalesce(device.name, entry.staff_name)"
_NAMES = (
    f"entry.list_id, list.name AS list_name, {_DEVICE} AS device_name, entry.ticket_id, entry.secret, order_code,"
    " attendee_name, entry.is_forced, entry.direction"
)
_JOINS = (
    # Not the other way round: the attempts are read in the order of time, however few the lists are.
    "CROSS JOIN list ON list.id = entry.list_id LEFT JOIN device ON device.id = entry.device_id"
    " LEFT JOIN ticket ON ticket.id = entry.ticket_id"
)
_JOURNAL = (
    "SELECT received_at AS at, received_at AS last_at, 1 AS count, 'ok' AS verdict, 0 AS is_repeat,"
    f" state = 'cancelled' AS is_undone, {_NAMES} FROM checkin AS entry {_JOINS}"
)
_ATTEMPTS = (
    "SELECT at, last_at, count, verdict, verdict = 'ok' AS is_repeat, 0 AS is_undone,"
    f" {_NAMES} FROM attempt AS entry {_JOINS}"
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One attempt. `count` above 1: the same refused attempt came again, last at `last_at`."""

    at: datetime
    last_at: datetime
    count: int
    list_id: int
    list_name: str
    device_name: str | None
    """Of an attempt by hand, the name of who made it."""
    ticket_id: int | None
    secret: str
    order_code: str | None
    attendee_name: str | None
    verdict: str
    is_forced: bool
    is_repeat: bool
    is_undone: bool
    """A check-in that staff undid."""
    direction: Direction = Direction.ENTRY


def entries(
    connection: Connection,
    *,
    list_id: int | None = None,
    device: str | None = None,
    secret: str | None = None,
    name: str | None = None,
    since: datetime | None = None,
    is_newest_first: bool = False,
) -> Iterator[LogEntry]:
    """The attempts that fit all that is asked for, newest last unless `is_newest_first`; streams."""
    conditions: list[str] = []
    parameters: dict[str, object] = {}
    if list_id is not None:
        conditions.append("+entry.list_id = :list_id")  # no index but that of the time
        parameters["list_id"] = list_id
    if device is not None:
        conditions.append(f"{_DEVICE} = :device")
        parameters["device"] = device
    if secret is not None:
        conditions.append("entry.secret = :secret")
        parameters["secret"] = secret
    if since is not None:
        conditions.append("last_at >= :since")
        parameters["since"] = to_text(since)
    if name is not None:
        conditions.append("instr(ticket.folded_name, :name)")
        parameters["name"] = fold(name)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "ORDER BY at DESC" if is_newest_first else "ORDER BY at"
    with reading(connection):
        rows = connection.execute(f"{_JOURNAL} {where} UNION ALL {_ATTEMPTS} {where} {order}", parameters)
        for row in rows:
            yield LogEntry(
                at=from_text(row["at"]),
                last_at=from_text(row["last_at"]),
                count=row["count"],
                list_id=row["list_id"],
                list_name=row["list_name"],
                device_name=row["device_name"],
                ticket_id=row["ticket_id"],
                secret=row["secret"],
                order_code=row["order_code"],
                attendee_name=row["attendee_name"],
                verdict=row["verdict"],
                is_forced=bool(row["is_forced"]),
                is_repeat=bool(row["is_repeat"]),
                is_undone=bool(row["is_undone"]),
                direction=Direction(row["direction"]),
            )
