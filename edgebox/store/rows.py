"""Tickets as rows: what upstream tells, in columns where queries look at it, else as JSON in the column `more`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from edgebox.instants import from_text, to_text
from edgebox.model import Ticket, TicketData
from edgebox.store import names
from edgebox.store.db import Connection, Row
from edgebox.store.folding import fold

DATA_COLUMNS = (
    "secret", "order_code", "item_id", "variation_id", "attendee_name", "attention", "is_paid", "checkin_allowed",
    "addons_text", "position_id", "addon_to", "subevent", "is_cancelled", "is_closed",
)  # fmt: skip
"""Columns that bear the model's names; what is not among them is in `more`."""

TICKET_COLUMNS = ", ".join(
    f"ticket.{name}" for name in ("id", "source_id", "is_withdrawn", "told", *DATA_COLUMNS, "more")
)

_MORE = tuple(field for field in fields(TicketData) if field.name not in DATA_COLUMNS)
_INSTANTS = ("valid_from", "valid_until")


def data_from(row: Row) -> TicketData:
    """A row with DATA_COLUMNS and `more` as the model has it."""
    return TicketData(
        secret=row["secret"],
        order_code=row["order_code"],
        item_id=row["item_id"],
        variation_id=row["variation_id"],
        attendee_name=row["attendee_name"],
        attention=bool(row["attention"]),
        is_paid=bool(row["is_paid"]),
        checkin_allowed=bool(row["checkin_allowed"]),
        addons_text=row["addons_text"],
        position_id=row["position_id"],
        addon_to=row["addon_to"],
        subevent=row["subevent"],
        is_cancelled=bool(row["is_cancelled"]),
        is_closed=bool(row["is_closed"]),
        **(_read_more(row["more"]) if row["more"] else {}),
    )


def ticket_from(row: Row) -> Ticket:
    """A row with TICKET_COLUMNS as the model has it."""
    return Ticket(
        id=row["id"],
        source_id=row["source_id"],
        data=data_from(row),
        is_withdrawn=bool(row["is_withdrawn"]),
        told=row["told"],
    )


def columns_of(data: TicketData) -> dict[str, Any]:
    """What is written of it, by column."""
    return {
        **{column: getattr(data, column) for column in DATA_COLUMNS},
        "more": _write_more(data),
        "folded_name": fold(data.attendee_name or ""),
        "folded_secret": fold(data.secret),
        "folded_code": fold(data.order_code),
    }


def add_tickets(connection: Connection, source_id: int, tickets: Sequence[TicketData], told: int) -> list[int]:
    """Within a job: add tickets, in a few statements for all of them, and their names to the index; their ids."""
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'ticket'").fetchone()
    ids = [(last[0] if last else 0) + number for number in range(1, len(tickets) + 1)]
    rows = [
        {**columns_of(data), "id": ticket_id, "source_id": source_id, "told": told}
        for ticket_id, data in zip(ids, tickets, strict=True)
    ]
    if rows:
        marks = ", ".join(f":{column}" for column in rows[0])
        connection.executemany(f"INSERT INTO ticket ({', '.join(rows[0])}) VALUES ({marks})", rows)
        names.add(connection, [(row["id"], row["folded_name"]) for row in rows])
    return ids


def change_ticket(connection: Connection, ticket_id: int, folded_name: str, data: TicketData, told: int) -> None:
    """Within a job: a ticket is told anew, and there (again); `folded_name` is what it was called."""
    columns = {**columns_of(data), "is_withdrawn": False, "told": told}
    is_renamed = columns["folded_name"] != folded_name
    if is_renamed:
        names.remove(connection, [(ticket_id, folded_name)])
    sets = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(f"UPDATE ticket SET {sets} WHERE id = :id", {**columns, "id": ticket_id})
    if is_renamed:
        names.add(connection, [(ticket_id, columns["folded_name"])])


def _write_more(data: TicketData) -> str | None:
    """Only what differs from the model's defaults; None where nothing does, as with the old API."""
    more = {field.name: getattr(data, field.name) for field in _MORE if getattr(data, field.name) != field.default}
    for name in _INSTANTS:
        if name in more:
            more[name] = to_text(more[name])
    return json.dumps(more, ensure_ascii=False) if more else None


def _read_more(text: str) -> Mapping[str, Any]:
    more: dict[str, Any] = json.loads(text)
    for name in _INSTANTS:
        if name in more:
            more[name] = from_text(more[name])
    if "answers" in more:
        more["answers"] = tuple((question_id, answer) for question_id, answer in more["answers"])
    return more
