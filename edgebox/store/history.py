"""What the box holds against a ticket: the ticket itself, its check-ins, and the answers given for it.

History is what upstream told for this ticket and list, then, in the store's order, the box's own check-ins that
upstream does not have yet or that were settled after the request that last told this ticket. Earlier and later are the
store's own numbers, never the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache

from edgebox.instants import from_text
from edgebox.model import CheckInList, PastCheckIn, Ticket, TicketData
from edgebox.store.db import Connection, Row

DATA_COLUMNS = tuple(field.name for field in fields(TicketData))
"""Columns that hold what upstream tells of a ticket; they bear the model's names."""

TICKET_COLUMNS = ", ".join(f"ticket.{name}" for name in ("id", "source_id", "is_withdrawn", "told", *DATA_COLUMNS))


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


_FIND = (
    f"SELECT {TICKET_COLUMNS}, max(ticket.told, source.told) AS told_up_to,"
    " EXISTS (SELECT 1 FROM told_checkin WHERE list_id = :list AND ticket_id = ticket.id) AS has_told_checkin,"
    " own.id AS own_id, own.datetime AS own_datetime, own.settled_number AS own_settled_number,"
    " own.is_forced AS own_is_forced, own.state AS own_state, own.nonce AS own_nonce,"
    " coalesce(device.name, own.staff_name) AS own_device_name"
    " FROM ticket JOIN source ON source.id = ticket.source_id"
    " LEFT JOIN checkin AS own ON own.ticket_id = ticket.id AND own.list_id = :list"
    " LEFT JOIN device ON device.id = own.device_id"
    " WHERE {} ORDER BY own.id"
)
"""A ticket and all that the box has against it: one row for each check-in, at least one. (One statement for a whole
batch: each costs more than what it looks up, for the thread gives way to the others meanwhile.)"""

FIND_BY_ID = _FIND.format("ticket.source_id = :source AND ticket.id = :id")


@cache
def find_by_secrets(count: int) -> str:
    """The statement that finds this many tickets of a source by their secrets."""
    marks = ", ".join(f":secret{number}" for number in range(count))
    return _FIND.format(f"ticket.source_id = :source AND ticket.secret IN ({marks})")


@dataclass(frozen=True, slots=True)
class Held:
    """What the box holds of a ticket, as a list sees it."""

    ticket: Ticket
    history: tuple[PastCheckIn, ...]
    """The check-ins that count against it on this list, oldest first."""
    nonces: frozenset[str]
    """Of all its check-ins on this list, undone ones too."""


def find(connection: Connection, list_: CheckInList, secret: str) -> Held | None:
    """The ticket of this list's source with exactly this secret."""
    return find_all(connection, list_, [secret]).get(secret)


def find_all(connection: Connection, list_: CheckInList, secrets: Sequence[str]) -> dict[str, Held]:
    """By secret: the tickets of this list's source that have exactly these."""
    # A power of two each time, the rest of it looks for nothing: so there are few statements to prepare.
    count = 1 << (len(secrets) - 1).bit_length()
    parameters: dict[str, object] = {f"secret{number}": None for number in range(len(secrets), count)}
    parameters |= {f"secret{number}": secret for number, secret in enumerate(secrets)}
    parameters |= {"list": list_.id, "source": list_.source.id}
    rows_of: dict[str, list[Row]] = {}
    for row in connection.execute(find_by_secrets(count), parameters).fetchall():
        rows_of.setdefault(row["secret"], []).append(row)
    return {secret: held for secret, rows in rows_of.items() if (held := _held(rows))}


def get(connection: Connection, list_: CheckInList, ticket_id: int) -> Held | None:
    """The ticket of this list's source with this id."""
    parameters = {"list": list_.id, "source": list_.source.id, "id": ticket_id}
    return _held(connection.execute(FIND_BY_ID, parameters).fetchall())


def _held(rows: list[Row]) -> Held | None:
    if not rows:
        return None
    ticket = ticket_from(rows[0])
    own = [row for row in rows if row["own_id"] is not None]
    if not own and not rows[0]["has_told_checkin"]:
        return Held(ticket, (), frozenset())
    return Held(ticket, _history(rows[0], own), frozenset(row["own_nonce"] for row in own))


def _history(first: Row, own: list[Row]) -> tuple[PastCheckIn, ...]:
    """The old API tells that there is a check-in but not when: where the box itself settled one that upstream has since
    told, that is the one meant, and its time and device are known.
    """
    told = first["told_up_to"]
    own = [row for row in own if row["own_state"] != "cancelled"]

    def is_superseded(row: Row) -> bool:
        return row["own_settled_number"] is not None and row["own_settled_number"] <= told

    counted = tuple(_past(row) for row in own if not is_superseded(row))
    if not first["has_told_checkin"]:
        return counted
    return (_told([row for row in own if is_superseded(row)]), *counted)


def _told(superseded: list[Row]) -> PastCheckIn:
    """The check-in that upstream tells of, as far as it is one of the box's own."""
    # Nothing counted against the ticket when one was let in without force: what is before that one has been undone.
    unforced = [row for row in superseded if not row["own_is_forced"]]
    first = unforced[-1:] or superseded[:1]
    return _past(first[0]) if first else PastCheckIn(None)


def _past(row: Row) -> PastCheckIn:
    return PastCheckIn(from_text(row["own_datetime"]), row["own_device_name"])


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
