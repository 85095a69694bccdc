"""What a pull would take away and that is too much to believe unseen: it waits for staff to accept or reject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgebox.model import CheckInList
from edgebox.store.db import Connection, Refused
from edgebox.store.lists import Lists
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

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

    @property
    def kept_ids(self) -> frozenset[int]:
        return self.waiting_ids | self.rejected_ids

    def keep(self, connection: Connection, number: int) -> None:
        """Within a job: remember what waits; what upstream tells again (or was applied) is forgotten."""
        connection.executemany(
            "DELETE FROM held WHERE source_id = ? AND ticket_id = ? AND kind = ?",
            [(self.source_id, ticket_id, self.kind) for ticket_id in self.before_ids - self.kept_ids],
        )
        connection.executemany(
            "INSERT INTO held (source_id, ticket_id, kind, number) VALUES (?, ?, ?, ?)",
            [(self.source_id, ticket_id, self.kind, number) for ticket_id in self.waiting_ids - self.before_ids],
        )


def hold(connection: Connection, source_id: int, kind: Kind, ticket_ids: list[int], total: int) -> Holding:
    """Decide what of `ticket_ids` is applied; `total` is how many of the kind the list has.

    What staff rejected before stays, and is not asked again.
    """
    rows = connection.execute(
        "SELECT ticket_id, is_rejected FROM held WHERE source_id = ? AND kind = ?", (source_id, kind)
    ).fetchall()
    wanted = frozenset(ticket_ids)
    rejected = frozenset(row["ticket_id"] for row in rows if row["is_rejected"]) & wanted
    new = [ticket_id for ticket_id in dict.fromkeys(ticket_ids) if ticket_id not in rejected]
    is_too_much = len(new) > HOLD_ABOVE_COUNT and len(new) > HOLD_ABOVE_SHARE * total
    return Holding(
        source_id=source_id,
        kind=kind,
        apply=[] if is_too_much else new,
        waiting_ids=frozenset(new) if is_too_much else frozenset(),
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
        rows = self._readers.get().execute(
            "SELECT kind, count(*) FROM held WHERE source_id = ? AND NOT is_rejected GROUP BY kind", (list_.source.id,)
        )
        counts = dict(tuple(row) for row in rows)
        return HeldBack(tickets=counts.get(Kind.TICKET, 0), checkins=counts.get(Kind.CHECKIN, 0))

    def tickets(self, list_: CheckInList, limit: int) -> list[HeldTicket]:
        """The first of what waits."""
        rows = self._readers.get().execute(
            "SELECT kind, secret, order_code, attendee_name FROM held JOIN ticket ON ticket.id = ticket_id"
            " WHERE held.source_id = ? AND NOT is_rejected ORDER BY kind DESC, ticket_id LIMIT ?",
            (list_.source.id, limit),
        )
        return [HeldTicket(Kind(row[0]), row[1], row[2], row[3]) for row in rows]

    def accept(self, list_: CheckInList) -> HeldBack:
        """Upstream is right: withdraw the tickets and undo the check-ins that wait. Raises Refused if nothing does.

        A check-in that the box made since then goes on counting.
        """

        def job(connection: Connection) -> HeldBack:
            taken = self._require(list_)
            source = (list_.source.id,)
            connection.execute(
                "UPDATE ticket SET is_withdrawn = 1 WHERE id IN (SELECT ticket_id FROM held WHERE source_id = ?"
                " AND kind = 'ticket' AND NOT is_rejected)",
                source,
            )
            connection.execute(
                "DELETE FROM told_checkin WHERE ticket_id IN (SELECT ticket_id FROM held WHERE source_id = ?"
                " AND kind = 'checkin' AND NOT is_rejected)",
                source,
            )
            connection.execute("DELETE FROM held WHERE source_id = ? AND NOT is_rejected", source)
            self._lists.touch(list_.id)
            return taken

        return self._writer.write(job)

    def reject(self, list_: CheckInList) -> HeldBack:
        """Upstream is wrong: what waits stays until upstream tells it again. Raises Refused if nothing does."""

        def job(connection: Connection) -> HeldBack:
            kept = self._require(list_)
            connection.execute("UPDATE held SET is_rejected = 1 WHERE source_id = ?", (list_.source.id,))
            return kept

        return self._writer.write(job)

    def _require(self, list_: CheckInList) -> HeldBack:
        waiting = self.of(list_)
        if not waiting:
            raise Refused(f"nothing waits for list {list_.id}: no pull would take anything away")
        return waiting
