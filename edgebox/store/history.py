"""What the box holds against a ticket: the ticket itself, its check-ins, and the answers given for it.

History is what upstream told for this ticket and list, then, in the store's order, the box's own check-ins that
upstream does not have yet or that were settled after the request that last told this ticket. Earlier and later are the
store's own numbers, never the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

from edgebox.instants import from_text
from edgebox.model import CheckInList, PastCheckIn, Ticket, TicketData
from edgebox.store.db import Connection, Row

DATA_COLUMNS = tuple(field.name for field in fields(TicketData))
"""Columns that hold what upstream tells of a ticket; they bear the model's names."""

TICKET_COLUMNS = f"ticket.id, ticket.source_id, is_withdrawn, ticket.told, {', '.join(DATA_COLUMNS)}"


def data_from(row: Row) -> TicketData:
    """A row with DATA_COLUMNS as the model has it."""
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


def find(connection: Connection, source_id: int, secret: str) -> Ticket | None:
    """The ticket of this source with exactly this secret."""
    row = connection.execute(
        f"SELECT {TICKET_COLUMNS} FROM ticket WHERE source_id = ? AND secret = ?", (source_id, secret)
    ).fetchone()
    return ticket_from(row) if row else None


def history_of(connection: Connection, list_: CheckInList, ticket: Ticket) -> tuple[PastCheckIn, ...]:
    """The check-ins that count against this ticket on this list, oldest first.

    The old API tells that there is a check-in but not when: where the box itself settled one that upstream has since
    told, that is the one meant, and its time and device are known.
    """
    told, has_told_checkin = connection.execute(
        "SELECT max(told, ?), EXISTS (SELECT 1 FROM told_checkin WHERE list_id = ? AND ticket_id = ?)"
        " FROM source WHERE id = ?",
        (ticket.told, list_.id, ticket.id, ticket.source_id),
    ).fetchone()
    own = connection.execute(
        "SELECT datetime, settled_number, is_forced, coalesce(device.name, staff_name) AS name"
        " FROM checkin LEFT JOIN device ON device.id = device_id"
        " WHERE ticket_id = ? AND list_id = ? AND state <> 'cancelled' ORDER BY checkin.id",
        (ticket.id, list_.id),
    ).fetchall()

    def is_superseded(row: Row) -> bool:
        return row["settled_number"] is not None and row["settled_number"] <= told

    counted = tuple(_past(row) for row in own if not is_superseded(row))
    if not has_told_checkin:
        return counted
    return (_told([row for row in own if is_superseded(row)]), *counted)


def _told(superseded: list[Row]) -> PastCheckIn:
    """The check-in that upstream tells of, as far as it is one of the box's own."""
    # Nothing counted against the ticket when one was let in without force: what is before that one has been undone.
    unforced = [row for row in superseded if not row["is_forced"]]
    first = unforced[-1:] or superseded[:1]
    return _past(first[0]) if first else PastCheckIn(None)


def _past(row: Row) -> PastCheckIn:
    return PastCheckIn(from_text(row["datetime"]), row["name"])


def has_nonce(connection: Connection, list_id: int, ticket_id: int, nonce: str) -> bool:
    """Whether a check-in of this ticket and list has this nonce."""
    row = connection.execute(
        "SELECT 1 FROM checkin WHERE ticket_id = ? AND list_id = ? AND nonce = ?", (ticket_id, list_id, nonce)
    ).fetchone()
    return row is not None


def earlier_answers(connection: Connection, list_: CheckInList, secret: str) -> tuple[Mapping[int, str], ...]:
    """The answers of each earlier check-in of this ticket that had some, on whichever list of the event."""
    rows = connection.execute(
        "SELECT answers FROM checkin JOIN list ON list.id = list_id"
        " WHERE secret = ? AND organizer = ? AND event = ? AND answers <> '{}' AND state <> 'cancelled'"
        " ORDER BY checkin.id",
        (secret, list_.organizer, list_.event),
    )
    return tuple(answers_from_json(row["answers"]) for row in rows)


def answers_from_json(text: str) -> dict[int, str]:
    return {int(question_id): answer for question_id, answer in json.loads(text).items()}


def answers_to_json(answers: Mapping[int, str]) -> str:
    return json.dumps({str(question_id): answers[question_id] for question_id in sorted(answers)}, ensure_ascii=False)
