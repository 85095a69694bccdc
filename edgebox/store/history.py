"""What the box holds against a ticket: the ticket itself, its check-ins, and the answers given for it.

History is what upstream told for this ticket and list, then, in the store's order, the box's own check-ins that
upstream does not have yet or that were settled after the request that last told this ticket. Earlier and later are the
store's own numbers, never the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from edgebox.instants import from_text
from edgebox.model import CheckInList, Direction, PastCheckIn, Ticket
from edgebox.store.db import Connection, Row
from edgebox.store.rows import TICKET_COLUMNS, ticket_from

Moment = tuple[str, str]
"""Time and direction of a check-in, as they are stored; the time is empty where upstream does not tell it."""

_FIND = (
    f"SELECT {TICKET_COLUMNS}, max(ticket.told, source.told) AS told_up_to,"
    " EXISTS (SELECT 1 FROM told_checkin WHERE ticket_id = ticket.id AND upstream_list = :upstream_list) AS is_told_in,"
    " own.id AS own_id, own.datetime AS own_datetime, own.direction AS own_direction,"
    " own.settled_number AS own_settled_number, own.is_forced AS own_is_forced, own.state AS own_state,"
    " own.nonce AS own_nonce, own.device_id AS own_device_id,"
    " coalesce(device.name, own.staff_name) AS own_device_name"
    " FROM ticket JOIN source ON source.id = ticket.source_id"
    " LEFT JOIN checkin AS own ON own.ticket_id = ticket.id AND own.list_id = :list"
    " LEFT JOIN device ON device.id = own.device_id"
    " WHERE {} ORDER BY own.id"
)
"""A ticket and all that the box has against it: one row for each check-in, at least one. (One statement for a whole
batch: each costs more than what it looks up, for the thread gives way to the others meanwhile.)"""


@cache
def find_by(column: str, count: int) -> str:
    """The statement that finds this many tickets of a source by their `secret` or `id`."""
    marks = ", ".join(f":wanted{number}" for number in range(count))
    source = "+ticket.source_id" if column == "id" else "ticket.source_id"  # no index but that of the ids
    return _FIND.format(f"{source} = :source AND ticket.{column} IN ({marks})")


@dataclass(frozen=True, slots=True)
class Held:
    """What the box holds of a ticket, as a list sees it."""

    ticket: Ticket
    history: tuple[PastCheckIn, ...]
    """The check-ins that count against it on this list: those that upstream told first."""
    nonces: frozenset[tuple[str, str]]
    """With the direction, of all its check-ins on this list, undone ones too."""


def find(connection: Connection, list_: CheckInList, secret: str) -> Held | None:
    """The ticket of this list's source with exactly this secret."""
    return find_all(connection, list_, [secret]).get(secret)


def find_all(connection: Connection, list_: CheckInList, secrets: Sequence[str]) -> dict[str, Held]:
    """By secret: the tickets of this list's source that have exactly these."""
    return {held.ticket.data.secret: held for held in _find(connection, list_, "secret", secrets)}


def get(connection: Connection, list_: CheckInList, ticket_id: int) -> Held | None:
    """The ticket of this list's source with this id."""
    return get_all(connection, list_, [ticket_id]).get(ticket_id)


def get_all(connection: Connection, list_: CheckInList, ticket_ids: Sequence[int]) -> dict[int, Held]:
    """By id: the tickets of this list's source that have these."""
    return {held.ticket.id: held for held in _find(connection, list_, "id", ticket_ids)}


def addons_of(connection: Connection, list_: CheckInList, ticket: Ticket) -> list[Held]:
    """The tickets that are add-ons of this one, cancelled ones too."""
    if ticket.data.position_id is None:
        return []
    rows = connection.execute(
        "SELECT id FROM ticket WHERE source_id = ? AND addon_to = ? ORDER BY position_id",
        (ticket.source_id, ticket.data.position_id),
    ).fetchall()
    ids = [row["id"] for row in rows]
    found = get_all(connection, list_, ids) if ids else {}
    return [found[ticket_id] for ticket_id in ids]


def barred(connection: Connection, source_id: int, secret: str) -> frozenset[str]:
    """Whether upstream lists the secret as `revoked` or `blocked`."""
    rows = connection.execute("SELECT kind FROM barred_secret WHERE source_id = ? AND secret = ?", (source_id, secret))
    return frozenset(row["kind"] for row in rows)


def _find(connection: Connection, list_: CheckInList, column: str, wanted: Sequence[object]) -> list[Held]:
    if not wanted:
        return []
    # A power of two each time, the rest of it looks for nothing: so there are few statements to prepare.
    count = 1 << (len(wanted) - 1).bit_length()
    parameters: dict[str, object] = {f"wanted{number}": None for number in range(len(wanted), count)}
    parameters |= {f"wanted{number}": each for number, each in enumerate(wanted)}
    parameters |= {"list": list_.id, "source": list_.source.id, "upstream_list": list_.upstream_list}
    rows_of: dict[int, list[Row]] = {}
    for row in connection.execute(find_by(column, count), parameters).fetchall():
        rows_of.setdefault(row["id"], []).append(row)
    told_in = [ticket_id for ticket_id, rows in rows_of.items() if rows[0]["is_told_in"]]
    told = _told(connection, list_, told_in) if list_.terms is not None and told_in else {}
    return [_held(rows, told.get(ticket_id, ())) for ticket_id, rows in rows_of.items()]


def _told(connection: Connection, list_: CheckInList, ticket_ids: list[int]) -> dict[int, list[Moment]]:
    """What upstream told, by ticket, in order of time. (The old API tells no more than that there is something.)"""
    moments: dict[int, list[Moment]] = {}
    for row in connection.execute(
        "SELECT ticket_id, at, direction FROM told_checkin"
        f" WHERE ticket_id IN ({', '.join('?' * len(ticket_ids))}) AND upstream_list = ? ORDER BY at",
        (*ticket_ids, list_.upstream_list),
    ):
        moments.setdefault(row["ticket_id"], []).append((row["at"], row["direction"]))
    return moments


def _held(rows: list[Row], told: Sequence[Moment]) -> Held:
    ticket = ticket_from(rows[0])
    own = [row for row in rows if row["own_id"] is not None]
    if not own and not rows[0]["is_told_in"]:
        return Held(ticket, (), frozenset())
    nonces = frozenset((row["own_nonce"], row["own_direction"]) for row in own)
    return Held(ticket, _history(rows[0], own, told), nonces)


def _history(first: Row, own: list[Row], told: Sequence[Moment]) -> tuple[PastCheckIn, ...]:
    """What upstream told, then the box's own.

    A told check-in with the time and direction of an own one is that one, and its device is known. The old API tells
    that there is a check-in but not when: where the box itself settled some that upstream has since told, those are
    meant.
    """
    told_up_to = first["told_up_to"]
    own = [row for row in own if row["own_state"] != "cancelled"]

    def is_superseded(row: Row) -> bool:
        return row["own_settled_number"] is not None and row["own_settled_number"] <= told_up_to

    counted = tuple(_past(row) for row in own if not is_superseded(row) and _moment(row) not in told)
    if not first["is_told_in"]:
        return counted
    if not told:
        superseded = [row for row in own if is_superseded(row)]
        if not superseded:
            return (PastCheckIn(None), *counted)
        # Nothing counted against the ticket when one was let in without force: what is before that one has been undone.
        since = max((row["own_id"] for row in superseded if not row["own_is_forced"]), default=0)
        return tuple(_past(row) for row in own if not is_superseded(row) or row["own_id"] >= since)
    devices = {_moment(row): (row["own_device_name"], row["own_device_id"]) for row in own}
    past = []
    for at, way in told:
        name, device_id = devices.get((at, way), (None, None))
        past.append(PastCheckIn(from_text(at), name, Direction(way), device_id))
    return (*past, *counted)


def _moment(row: Row) -> Moment:
    return row["own_datetime"], row["own_direction"]


def _past(row: Row) -> PastCheckIn:
    return PastCheckIn(
        at=from_text(row["own_datetime"]),
        device_name=row["own_device_name"],
        direction=Direction(row["own_direction"]),
        device_id=row["own_device_id"],
    )


def earlier_answers(connection: Connection, list_: CheckInList, ticket: Ticket) -> tuple[Mapping[int, str], ...]:
    """The answers given for this ticket: those that upstream told, and of each earlier check-in that had some, on
    whichever list of the event."""
    rows = connection.execute(
        "SELECT answers FROM checkin JOIN list ON list.id = list_id"
        " WHERE secret = ? AND organizer = ? AND event = ? AND answers <> '{}' AND state <> 'cancelled'"
        " ORDER BY checkin.id",
        (ticket.data.secret, list_.organizer, list_.event),
    )
    told = (dict(ticket.data.answers),) if ticket.data.answers else ()
    return (*told, *(answers_from_json(row["answers"]) for row in rows))


def answers_from_json(text: str) -> dict[int, str]:
    return {int(question_id): answer for question_id, answer in json.loads(text).items()}


def answers_to_json(answers: Mapping[int, str]) -> str:
    return json.dumps({str(question_id): answers[question_id] for question_id in sorted(answers)}, ensure_ascii=False)
