"""The journal of check-ins: append-only rows that move from pending to settled, parked or dismissed.

Nothing is deleted here. A check-in's conflict stands on its row; it is opened once and closed by staff.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.model import CheckIn, CheckInList, CheckInState, ConflictReason, Direction, StampKind
from edgebox.store.claims import Claims
from edgebox.store.db import Connection, Refused, Row, reading
from edgebox.store.history import answers_from_json
from edgebox.store.lists import Lists, unsettled
from edgebox.store.numbers import Numbers
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

WAITING = frozenset({CheckInState.PENDING, CheckInState.PARKED})
"""What upstream does not have, and would yet be told."""

_DOUBTFUL_TIMES = frozenset({ConflictReason.CLOCK_UNTRUSTED, ConflictReason.DATETIME_IMPLAUSIBLE})

_COLUMNS = "SELECT checkin.*, ticket.secret AS ticket_secret, coalesce(device.name, checkin.staff_name) AS device_name"
_BESIDE = "JOIN ticket ON ticket.id = checkin.ticket_id LEFT JOIN device ON device.id = checkin.device_id"
_SELECT = f"{_COLUMNS} FROM checkin {_BESIDE}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A check-in that staff must see, with what they need to understand it."""

    checkin: CheckIn
    order_code: str
    attendee_name: str | None
    list_name: str


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An undo: who, when and why."""

    checkin_id: int
    at: datetime
    staff_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of a list is on its way upstream."""

    pending: int
    conflicts: int
    oldest_pending_at: datetime | None


class Journal:
    """Reads and moves check-ins. Recording them is `store.redeem`."""

    def __init__(self, readers: Readers, writer: Writer, lists: Lists, numbers: Numbers, claims: Claims) -> None:
        self.claims = claims
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._numbers = numbers

    # --- for push -----------------------------------------------------------------------------------------------------

    def pending(self, list_id: int, *, after_id: int, limit: int, choked: bool) -> list[CheckIn]:
        """Pending check-ins of a list with an id above `after_id`, oldest first.

        `choked`: those on which upstream has choked before, else the others; but none of a ticket that waits for an
        earlier one of the same ticket: upstream must not hear of an exit before it does of the entry.
        """
        with self._readers.reading() as connection:
            rows = connection.execute(
                f"{_SELECT} WHERE list_id = ? AND state = 'pending' AND checkin.id > ? AND (tries > 0) = ?"
                " AND NOT EXISTS (SELECT 1 FROM checkin AS earlier WHERE earlier.ticket_id = checkin.ticket_id"
                " AND earlier.list_id = checkin.list_id AND earlier.id < checkin.id AND earlier.state = 'pending'"
                " AND earlier.tries > 0) ORDER BY checkin.id LIMIT ?",
                (list_id, after_id, choked, limit),
            )
            return [_checkin(row) for row in rows]

    def backlog(self, list_id: int) -> Backlog:
        """How much waits, and since when."""
        with self._readers.reading() as connection:
            pending = connection.execute(
                "SELECT count(*) FROM checkin WHERE list_id = ? AND state = 'pending'", (list_id,)
            ).fetchone()[0]
            oldest = connection.execute(
                "SELECT received_at FROM checkin WHERE list_id = ? AND state = 'pending' ORDER BY id LIMIT 1",
                (list_id,),
            ).fetchone()
            conflicts = connection.execute(
                "SELECT count(*) FROM checkin"
                " WHERE list_id = ? AND conflict IS NOT NULL AND conflict_closed_at IS NULL",
                (list_id,),
            ).fetchone()[0]
        return Backlog(pending, conflicts, from_text(oldest[0]) if oldest else None)

    def waiting(self, list_id: int) -> int:
        """How many check-ins of a list upstream does not have and would yet be told."""
        with self._readers.reading() as connection:
            return unsettled(connection, list_id)

    def settle(
        self, checkin: CheckIn, at: datetime, *, conflict: ConflictReason | None = None, note: str | None = None
    ) -> None:
        """Upstream has acknowledged this check-in; `conflict`: it had to be told with force, for this reason.

        Without effect on one that is not pending any more (`park` likewise).
        """

        def job(connection: Connection) -> None:
            settled = connection.execute(
                "UPDATE checkin SET state = 'settled', settled_number = ?, settled_at = ?, push_note = ?"
                " WHERE id = ? AND state = 'pending'",
                (self._numbers.take(connection), to_text(at), note, checkin.id),
            )
            if not settled.rowcount:
                return
            if conflict is not None:
                open_conflict(connection, checkin.id, conflict, note, at)
            else:
                # It had been parked, staff retried it, and now upstream took it.
                connection.execute(
                    "UPDATE checkin SET conflict_closed_at = ?, closed_reason = 'upstream took it'"
                    " WHERE id = ? AND conflict IN ('refused', 'poisonous') AND conflict_closed_at IS NULL",
                    (to_text(at), checkin.id),
                )
            self._lists.pushed(connection, checkin.list_id, at)
            self._writer.after_commit(lambda: self.claims.settled(checkin.id))

        self._writer.write(job)

    def refused(self, checkin: CheckIn, reason: str) -> None:
        """Upstream refused this check-in, and is about to be told it with force. The first reason stays."""
        self._writer.write(
            lambda connection: connection.execute(
                "UPDATE checkin SET refused_as = ? WHERE id = ? AND refused_as IS NULL", (reason, checkin.id)
            )
        )

    def choked(self, checkin: CheckIn, note: str) -> None:
        """Upstream choked on this very check-in; it stays pending."""
        self._writer.write(
            lambda connection: connection.execute(
                "UPDATE checkin SET tries = tries + 1, push_note = ? WHERE id = ?", (note, checkin.id)
            )
        )

    def park(self, checkin: CheckIn, reason: ConflictReason, note: str, at: datetime) -> None:
        """Give up on a check-in until staff retry or dismiss it; it goes on counting as an entry."""

        def job(connection: Connection) -> None:
            # Refused for good, it is as if it had never been told, should staff have it tried again.
            forgets = ", refused_as = NULL" if reason is ConflictReason.REFUSED else ""
            parked = connection.execute(
                f"UPDATE checkin SET state = 'parked', push_note = ?{forgets} WHERE id = ? AND state = 'pending'",
                (note, checkin.id),
            )
            if parked.rowcount:
                open_conflict(connection, checkin.id, reason, note, at)

        self._writer.write(job)

    def undo(self, checkin_id: int, staff_name: str, reason: str, at: datetime) -> CheckIn:
        """Cancel a check-in that upstream was not told of: it no longer counts, and is never pushed.

        Raises Refused when upstream may know of it already, or when there is nothing to undo.
        """
        was_taken_back = False

        def job(connection: Connection) -> CheckIn:
            nonlocal was_taken_back
            checkin = _get(connection, checkin_id)
            list_ = self._lists.get(checkin.list_id)
            if list_ is None:
                raise Refused("the list of this check-in was removed from the box; nothing was undone")
            if checkin.state not in _undoable(list_):
                raise Refused(f"this check-in is {checkin.state}: it cannot be undone here; nothing was undone")
            if checkin.state is CheckInState.PENDING:
                was_taken_back = self.claims.take_back(checkin_id)
                if not was_taken_back:
                    raise Refused(
                        "upstream may know of this check-in already; nothing was undone: delete it there, and the box "
                        "follows with its next pull"
                    )
            connection.execute(
                "INSERT INTO cancellation (checkin_id, at, staff_name, reason) VALUES (?, ?, ?, ?)",
                (checkin_id, to_text(at), staff_name, reason),
            )
            connection.execute(
                "UPDATE checkin SET state = 'cancelled', settled_number = NULL, settled_at = NULL WHERE id = ?",
                (checkin_id,),
            )
            connection.execute(
                "UPDATE checkin SET conflict_closed_at = ?, closed_reason = 'undone'"
                " WHERE id = ? AND conflict IS NOT NULL AND conflict_closed_at IS NULL",
                (to_text(at), checkin_id),
            )
            self._lists.touch(checkin.list_id)
            return checkin

        try:
            return self._writer.write(job)
        except BaseException:
            if was_taken_back:
                self.claims.give_back(checkin_id)
            raise

    def is_undoable(self, checkin: CheckIn) -> bool:
        """Whether `undo` would undo it right now."""
        list_ = self._lists.get(checkin.list_id)
        if list_ is None or checkin.state not in _undoable(list_):
            return False
        return checkin.state is not CheckInState.PENDING or not self.claims.may_be_told(checkin.id)

    def of_ticket(self, ticket_id: int) -> list[CheckIn]:
        """A ticket's check-ins, undone ones too, oldest first."""
        with self._readers.reading() as connection:
            rows = connection.execute(f"{_SELECT} WHERE ticket_id = ? ORDER BY checkin.id", (ticket_id,))
            return [_checkin(row) for row in rows]

    def cancellations(self, ticket_id: int) -> list[Cancellation]:
        """What was undone of a ticket, oldest first."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                "SELECT checkin_id, at AS cancelled_at, cancellation.staff_name AS cancelled_by,"
                " reason AS cancelled_reason FROM checkin JOIN cancellation ON checkin.id = checkin_id"
                " WHERE ticket_id = ? ORDER BY checkin_id",
                (ticket_id,),
            )
            return [cancellation for row in rows if (cancellation := _cancellation(row))]

    # --- for staff ----------------------------------------------------------------------------------------------------

    def open_conflicts(self, list_id: int | None = None) -> list[Conflict]:
        """Conflicts and parked check-ins that staff have not closed, oldest first."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                f"{_COLUMNS}, order_code, attendee_name, list.name AS list_name"
                f" FROM checkin INDEXED BY checkin_conflict {_BESIDE}"
                " JOIN list ON list.id = checkin.list_id"
                " WHERE conflict IS NOT NULL AND conflict_closed_at IS NULL AND (? IS NULL OR checkin.list_id = ?)"
                " ORDER BY checkin.id",
                (list_id, list_id),
            )
            return [Conflict(_checkin(row), row["order_code"], row["attendee_name"], row["list_name"]) for row in rows]

    def retry(self, checkin_id: int) -> CheckIn:
        """Try a parked check-in again. Raises Refused when it is not parked."""

        def job(connection: Connection) -> CheckIn:
            checkin = _get(connection, checkin_id)
            if checkin.state is not CheckInState.PARKED:
                raise Refused(f"check-in {checkin_id} is {checkin.state}, not parked: there is nothing to retry")
            connection.execute("UPDATE checkin SET state = 'pending', tries = 0 WHERE id = ?", (checkin_id,))
            return _get(connection, checkin_id)

        return self._writer.write(job)

    def dismiss(self, checkin_id: int, reason: str | None, at: datetime) -> CheckIn:
        """Close a conflict; a parked check-in will not be pushed any more (it stays in the journal and counts).

        Raises Refused when nothing of it is open.
        """

        def job(connection: Connection) -> CheckIn:
            checkin = _get(connection, checkin_id)
            if checkin.conflict is None or checkin.conflict_closed_at is not None:
                raise Refused(f"check-in {checkin_id} has no open conflict: there is nothing to dismiss")
            connection.execute(
                "UPDATE checkin SET conflict_closed_at = ?, closed_reason = ?,"
                " state = CASE state WHEN 'parked' THEN 'dismissed' ELSE state END WHERE id = ?",
                (to_text(at), reason, checkin_id),
            )
            return _get(connection, checkin_id)

        return self._writer.write(job)


def _undoable(list_: CheckInList) -> frozenset[CheckInState]:
    """In which states nobody else was told of a check-in, or may not have been: on a list from a file it is settled at
    once."""
    return frozenset({CheckInState.KEPT, CheckInState.PENDING if list_.has_upstream else CheckInState.SETTLED})


def open_conflict(
    connection: Connection, checkin_id: int, reason: ConflictReason, note: str | None, at: datetime
) -> None:
    """Flag a check-in once: an earlier conflict stays, also one that staff closed, unless it comes to be parked.

    A doubtful time is the lesser matter: it gives way to any other conflict, and its note stands beside that one's.
    """
    have, have_note, closed_at, state = connection.execute(
        "SELECT conflict, conflict_note, conflict_closed_at, state FROM checkin WHERE id = ?", (checkin_id,)
    ).fetchone()
    is_lesser = reason in _DOUBTFUL_TIMES
    gives_way = have in _DOUBTFUL_TIMES and not is_lesser
    if have is None or gives_way or (state == CheckInState.PARKED and closed_at is not None):
        connection.execute(
            "UPDATE checkin SET conflict = ?, conflict_note = ?, conflict_opened_at = ?, conflict_closed_at = NULL,"
            " closed_reason = NULL WHERE id = ?",
            (reason, _joined(note, have_note if gives_way else None), to_text(at), checkin_id),
        )
    elif is_lesser:
        connection.execute("UPDATE checkin SET conflict_note = ? WHERE id = ?", (_joined(have_note, note), checkin_id))


def _joined(*notes: str | None) -> str | None:
    return "; ".join(filter(None, notes)) or None


@dataclass(frozen=True, slots=True)
class ExportedCheckIn:
    """A journal row as it is handed out: with the ticket's order, name and item."""

    checkin: CheckIn
    list_name: str
    order_code: str
    attendee_name: str | None
    item_id: int
    catalog: str | None
    cancellation: Cancellation | None
    """Where staff undid it."""


def export(connection: Connection, list_id: int | None = None, *, after_id: int = 0) -> Iterator[ExportedCheckIn]:
    """The whole journal in the store's order, removed lists included; streams. `after_id`: what came after that."""
    with reading(connection):
        rows = connection.execute(
            f"{_COLUMNS}, order_code, attendee_name, item_id, list.name AS list_name,"
            " source.catalog, cancellation.checkin_id, cancellation.at AS cancelled_at,"
            " cancellation.staff_name AS cancelled_by, cancellation.reason AS cancelled_reason"
            " FROM checkin LEFT JOIN device ON device.id = device_id"
            " JOIN ticket ON ticket.id = ticket_id JOIN list ON list.id = checkin.list_id"
            " JOIN source ON source.id = list.source_id LEFT JOIN cancellation ON cancellation.checkin_id = checkin.id"
            " WHERE checkin.id > ? AND (? IS NULL OR checkin.list_id = ?) ORDER BY checkin.id",
            (after_id, list_id, list_id),
        )
        for row in rows:
            yield ExportedCheckIn(
                checkin=_checkin(row),
                list_name=row["list_name"],
                order_code=row["order_code"],
                attendee_name=row["attendee_name"],
                item_id=row["item_id"],
                catalog=row["catalog"],
                cancellation=_cancellation(row),
            )


def _get(connection: Connection, checkin_id: int) -> CheckIn:
    row = connection.execute(f"{_SELECT} WHERE checkin.id = ?", (checkin_id,)).fetchone()
    if row is None:
        raise Refused(f"there is no check-in {checkin_id} (edgebox attention shows the open ones)")
    return _checkin(row)


def _cancellation(row: Row) -> Cancellation | None:
    if row["checkin_id"] is None:
        return None
    at = from_text(row["cancelled_at"])
    return Cancellation(row["checkin_id"], at, row["cancelled_by"], row["cancelled_reason"])


def _instant(text: str | None) -> datetime | None:
    return from_text(text) if text else None


def _checkin(row: Row) -> CheckIn:
    return CheckIn(
        id=row["id"],
        list_id=row["list_id"],
        ticket_id=row["ticket_id"],
        device_name=row["device_name"],
        secret=row["secret"],
        nonce=row["nonce"],
        datetime=from_text(row["datetime"]),
        stamp=StampKind(row["stamp"]),
        received_at=from_text(row["received_at"]),
        boot_id=row["boot_id"],
        boottime_s=row["boottime_s"],
        is_forced=bool(row["is_forced"]),
        is_offline=bool(row["is_offline"]),
        ignores_unpaid=bool(row["ignores_unpaid"]),
        answers=answers_from_json(row["answers"]),
        state=CheckInState(row["state"]),
        tries=row["tries"],
        push_note=row["push_note"],
        settled_at=_instant(row["settled_at"]),
        conflict=row["conflict"],
        conflict_note=row["conflict_note"],
        conflict_opened_at=_instant(row["conflict_opened_at"]),
        conflict_closed_at=_instant(row["conflict_closed_at"]),
        closed_reason=row["closed_reason"],
        staff_reason=row["staff_reason"],
        direction=Direction(row["direction"]),
        ticket_secret=row["ticket_secret"],
        refused_as=row["refused_as"],
    )
