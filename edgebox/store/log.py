"""The log: every attempt, accepted or refused. The union of the journal and the attempts' table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.store.db import Connection
from edgebox.store.folding import fold


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One attempt. `count` above 1: the same refused attempt came again, last at `last_at`."""

    at: datetime
    last_at: datetime
    count: int
    list_id: int
    list_name: str
    device_name: str | None
    secret: str
    order_code: str | None
    attendee_name: str | None
    verdict: str
    is_forced: bool
    is_repeat: bool


def entries(
    connection: Connection,
    *,
    list_id: int | None = None,
    device: str | None = None,
    secret: str | None = None,
    name: str | None = None,
    since: datetime | None = None,
) -> Iterator[LogEntry]:
    """The attempts that fit all that is asked for, newest last; streams."""
    conditions: list[str] = []
    parameters: dict[str, object] = {}
    if list_id is not None:
        conditions.append("list_id = :list_id")
        parameters["list_id"] = list_id
    if device is not None:
        conditions.append("device_id IN (SELECT id FROM device WHERE name = :device)")
        parameters["device"] = device
    if secret is not None:
        conditions.append("secret = :secret")
        parameters["secret"] = secret
    if since is not None:
        conditions.append("at >= :since")
        parameters["since"] = to_text(since)
    if name is not None:
        conditions.append("ticket_id IN (SELECT id FROM ticket WHERE instr(folded_name, :name))")
        parameters["name"] = fold(name)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        "SELECT entry.*, list.name AS list_name, device.name AS device_name, order_code, attendee_name FROM ("
        " SELECT received_at AS at, received_at AS last_at, 1 AS count, list_id, device_id, ticket_id, secret,"
        "  'ok' AS verdict, is_forced, 0 AS is_repeat FROM checkin"
        " UNION ALL SELECT at, last_at, count, list_id, device_id, ticket_id, secret, verdict, is_forced,"
        "  verdict = 'ok' AS is_repeat FROM attempt"
        f") AS entry JOIN list ON list.id = list_id LEFT JOIN device ON device.id = device_id"
        f" LEFT JOIN ticket ON ticket.id = ticket_id{where.replace('list_id', 'entry.list_id')}"
        " ORDER BY at",
        parameters,
    )
    for row in rows:
        yield LogEntry(
            at=from_text(row["at"]),
            last_at=from_text(row["last_at"]),
            count=row["count"],
            list_id=row["list_id"],
            list_name=row["list_name"],
            device_name=row["device_name"],
            secret=row["secret"],
            order_code=row["order_code"],
            attendee_name=row["attendee_name"],
            verdict=row["verdict"],
            is_forced=bool(row["is_forced"]),
            is_repeat=bool(row["is_repeat"]),
        )
