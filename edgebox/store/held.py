"""What a pull would take away and that is too much to believe unseen: it waits for staff to accept or reject."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from edgebox.model import CheckInList
from edgebox.store.db import Connection, Refused
from edgebox.store.lists import Lists
from edgebox.store.readers import Readers
from edgebox.store.writer import SLICE_ROWS, Job, Writer

HOLD_ABOVE_COUNT = 20
HOLD_ABOVE_SHARE = 0.10
"""Both must be passed: a small list may lose a tenth, a large one twenty, and nobody needs to look."""


class Kind(StrEnum):
    """What would be taken away."""

    TICKET = "ticket"
    CHECKIN = "checkin"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """How much waits for staff."""

    tickets: int
    checkins: int

    @classmethod
    def none(cls) -> HeldBack:
        return cls(0, 0)

    def __bool__(self) -> bool:
        return bool(self.tickets or self.checkins)


@dataclass(frozen=True, slots=True)
class HeldTicket:
    """One ticket that waits, for staff to look at."""

    kind: Kind
    secret: str
    order_code: str
    attendee_name: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one snapshot takes away of one kind, split into what is applied and what is kept."""

    source_id: int
    kind: Kind
    apply: list[int]
    waiting_ids: frozenset[int]
    rejected_ids: frozenset[int]
    before_ids: frozenset[int]
    """What was held before this snapshot."""

    def jobs(self) -> Iterator[Job[None]]:
        """Slices that remember what waits, and forget what upstream tells again or what is applied."""
        for piece in pieces(self.before_ids - self.waiting_ids - self.rejected_ids):
            yield partial(self._forget, ticket_ids=piece)
        for piece in pieces(self.waiting_ids - self.before_ids):
            yield partial(self._keep, ticket_ids=piece)

    def _forget(self, connection: Connection, ticket_ids: list[int]) -> None:
        connection.executemany(
            "DELETE FROM held WHERE source_id = ? AND ticket_id = ? AND kind = ?",
            [(self.source_id, ticket_id, self.kind) for ticket_id in ticket_ids],
        )

    def _keep(self, connection: Connection, ticket_ids: list[int]) -> None:
        connection.executemany(
            "INSERT OR IGNORE INTO held (source_id, ticket_id, kind) VALUES (?, ?, ?)",
            [(self.source_id, ticket_id, self.kind) for ticket_id in ticket_ids],
        )


def pieces(ticket_ids: Collection[int]) -> Iterator[list[int]]:
    """The ids in slices for the writer."""
    ordered = sorted(ticket_ids)
    for start in range(0, len(ordered), SLICE_ROWS):
        yield ordered[start : start + SLICE_ROWS]


def hold(connection: Connection, source_id: int, kind: Kind, ticket_ids: Collection[int], total: int) -> Holding:
    """Decide what of `ticket_ids` is applied; `total` is how many of the kind the list had before.

    What staff rejected before stays, and is not asked again.
    """
    rows = connection.execute(
        "SELECT ticket_id, is_rejected FROM held WHERE source_id = ? AND kind = ?", (source_id, kind)
    ).fetchall()
    wanted = frozenset(ticket_ids)
    rejected = frozenset(row["ticket_id"] for row in rows if row["is_rejected"]) & wanted
    new = wanted - rejected
    is_too_much = len(new) > HOLD_ABOVE_COUNT and len(new) > HOLD_ABOVE_SHARE * total
    return Holding(
        source_id=source_id,
        kind=kind,
        apply=[] if is_too_much else sorted(new),
        waiting_ids=new if is_too_much else frozenset(),
        rejected_ids=rejected,
        before_ids=frozenset(row["ticket_id"] for row in rows),
    )


class Held:
    """What waits, and what staff say of it."""

    def __init__(self, readers: Readers, writer: Writer, lists: Lists) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists

    def of(self, list_: CheckInList) -> HeldBack:
        """How much of this list waits."""
        with self._readers.reading() as connection:
            return _waiting(connection, list_)

    def tickets(self, list_: CheckInList, limit: int) -> list[HeldTicket]:
        """The first of what waits."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                "SELECT kind, secret, order_code, attendee_name FROM held JOIN ticket ON ticket.id = ticket_id"
                " WHERE held.source_id = ? AND NOT is_rejected ORDER BY kind DESC, ticket_id LIMIT ?",
                (list_.source.id, limit),
            )
            return [HeldTicket(Kind(row[0]), row[1], row[2], row[3]) for row in rows]

    def accept(self, list_: CheckInList) -> HeldBack:
        """Upstream is right: withdraw the tickets and undo the check-ins that wait. Raises Refused if nothing does.

        What upstream has told since goes on as told, and a check-in that the box made since then goes on counting.
        Done in slices; where it is interrupted, the rest waits as before.
        """
        taken = self._writer.write(lambda connection: _require(connection, list_))
        while self._writer.write_slice(lambda connection: self._accept_some(connection, list_)):
            pass
        return taken

    def reject(self, list_: CheckInList) -> HeldBack:
        """Upstream is wrong: what waits stays until upstream tells it again. Raises Refused if nothing does."""

        def job(connection: Connection) -> HeldBack:
            kept = _require(connection, list_)
            connection.execute("UPDATE held SET is_rejected = 1 WHERE source_id = ?", (list_.source.id,))
            return kept

        return self._writer.write(job)

    def _accept_some(self, connection: Connection, list_: CheckInList) -> bool:
        """One slice; False when nothing is left."""
        waiting = connection.execute(
            "SELECT kind, ticket_id, (SELECT told FROM source WHERE id = source_id) AS told FROM held"
            " WHERE source_id = ? AND NOT is_rejected LIMIT ?",
            (list_.source.id, SLICE_ROWS),
        ).fetchall()
        connection.executemany(
            "UPDATE ticket SET is_withdrawn = 1 WHERE id = ? AND told <= ?",
            [(row["ticket_id"], row["told"]) for row in waiting if row["kind"] == Kind.TICKET],
        )
        connection.executemany(
            "DELETE FROM told_checkin WHERE ticket_id = ? AND (SELECT told FROM ticket WHERE id = ticket_id) <= ?",
            [(row["ticket_id"], row["told"]) for row in waiting if row["kind"] == Kind.CHECKIN],
        )
        connection.executemany(
            "DELETE FROM held WHERE source_id = ? AND ticket_id = ? AND kind = ?",
            [(list_.source.id, row["ticket_id"], row["kind"]) for row in waiting],
        )
        self._lists.touch(list_.id)
        return bool(waiting)


def _waiting(connection: Connection, list_: CheckInList) -> HeldBack:
    rows = connection.execute(
        "SELECT kind, count(*) FROM held WHERE source_id = ? AND NOT is_rejected GROUP BY kind", (list_.source.id,)
    )
    counts = dict(tuple(row) for row in rows)
    return HeldBack(tickets=counts.get(Kind.TICKET, 0), checkins=counts.get(Kind.CHECKIN, 0))


def _require(connection: Connection, list_: CheckInList) -> HeldBack:
    waiting = _waiting(connection, list_)
    if not waiting:
        raise Refused(f"nothing waits for list {list_.id}: no pull would take anything away")
    return waiting
