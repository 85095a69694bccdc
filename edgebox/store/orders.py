"""Taking in orders as they change: a page of them is one transaction, together with the state from which to go on.

A position is known by upstream's id: it keeps its identity here when its secret changes or it moves to another order.
What has not changed is not written. An order tells all of its positions; one that it no longer has, and that no other
order has taken over, is withdrawn. Orders that are gone altogether are found by a reconcile over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from edgebox.instants import to_text
from edgebox.model import TicketData, ToldCheckIn, ToldOrder, ToldTicket
from edgebox.store.db import Connection
from edgebox.store.folding import fold
from edgebox.store.held import HeldBack, Kind, hold, pieces
from edgebox.store.lists import Lists
from edgebox.store.numbers import Numbers
from edgebox.store.presence import told_of
from edgebox.store.readers import Readers
from edgebox.store.rows import DATA_COLUMNS, add_tickets, change_ticket, data_from
from edgebox.store.seen import Seen
from edgebox.store.snapshots import Taken
from edgebox.store.writer import Writer

STATE_EVERY_S = 300.0
"""Where nothing has changed, the state is written this often: after a restart, so much is asked for once more."""

_Entry = tuple[int, str, str]
"""A told check-in: upstream's list, time, direction."""


@dataclass(slots=True)
class _Known:
    """How the box holds a position that a page tells."""

    id: int
    data: TicketData
    is_withdrawn: bool
    told: int
    folded_name: str
    entries: frozenset[_Entry]
    newest_settled: int
    """Of its own check-ins, those settled before the page was asked for."""


@dataclass(slots=True)
class _Changes:
    """What of a page differs from what is here."""

    tickets: list[tuple[_Known | None, ToldTicket]]
    missing: list[int]
    """Positions that their order no longer has."""
    known_ids: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.tickets or self.missing)


class Orders:
    """Takes in the orders of sources that tell them as they change."""

    def __init__(self, readers: Readers, writer: Writer, lists: Lists, numbers: Numbers) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._numbers = numbers
        self._states: dict[int, str] = {}
        """How far each source was followed; what is on disk may be older."""
        self._state_written_s: dict[int, float] = {}

    def state(self, source_id: int) -> str | None:
        """How far the source was followed; None: never."""
        if source_id not in self._states:
            with self._readers.reading() as connection:
                row = connection.execute("SELECT state FROM source WHERE id = ?", (source_id,)).fetchone()
            if row is None or row["state"] is None:
                return None
            self._states[source_id] = row["state"]
        return self._states[source_id]

    def take(
        self,
        source_id: int,
        orders: Iterable[ToldOrder],
        *,
        number: int,
        state: str | None = None,
        at: datetime | None = None,
        seen: Seen | None = None,
    ) -> int:
        """Take in a page whose request had this number; how many tickets were written.

        `state` is kept with it, and that it came `at` this time; `seen` collects which tickets it told.
        """
        told = tuple(orders)
        with self._readers.reading() as connection:
            changes = self._compare(connection, source_id, told, number)
        is_due = time.monotonic() - self._state_written_s.get(source_id, float("-inf")) >= STATE_EVERY_S
        written_ids: list[int] = []
        if changes or (is_due and state is not None):
            written_ids = self._writer.write_slice(
                lambda connection: self._write(connection, source_id, told, number, state, at)
            )
        if state is not None:
            self._states[source_id] = state
        if seen is not None:
            for ticket_id in (*changes.known_ids, *written_ids):
                seen.add(ticket_id)
        return len(written_ids)

    def completed(self, source_id: int, number: int, at: datetime, duration_s: float) -> None:
        """All orders have been told once, by requests from `number` on."""

        def job(connection: Connection) -> None:
            self._numbers.keep(connection)
            self._lists.pulled(connection, source_id, number, at, duration_s)
            self._lists.touch_source(source_id)

        self._writer.write(job)

    def bar(self, source_id: int, barred: Mapping[str, frozenset[str]]) -> None:
        """Replace the secrets that let nobody in, by kind; nothing is written where nothing has changed."""
        wanted = {(secret, kind) for kind, secrets in barred.items() for secret in secrets}
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT secret, kind FROM barred_secret WHERE source_id = ?", (source_id,))
            have = {(row["secret"], row["kind"]) for row in rows}
        if wanted == have:
            return

        def job(connection: Connection) -> None:
            connection.executemany(
                "DELETE FROM barred_secret WHERE source_id = ? AND secret = ? AND kind = ?",
                [(source_id, *each) for each in have - wanted],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO barred_secret (source_id, secret, kind) VALUES (?, ?, ?)",
                [(source_id, *each) for each in wanted - have],
            )
            self._lists.touch_source(source_id)

        self._writer.write(job)

    def orders_held(self, source_id: int) -> int:
        """How many orders the box holds of a source."""
        with self._readers.reading() as connection:
            count: int = connection.execute(
                "SELECT count(DISTINCT order_code) FROM ticket"
                " WHERE source_id = ? AND position_id IS NOT NULL AND is_withdrawn = 0",
                (source_id,),
            ).fetchone()[0]
        return count

    def withdraw_unseen(self, source_id: int, seen: Seen, number: int, at: datetime, duration_s: float) -> Taken:
        """After all orders were told by requests from `number` on: withdraw what none of them has any more.

        Unless that is so much that staff must see it first.
        """
        with self._readers.reading() as connection:
            rows = connection.execute(
                "SELECT id, told FROM ticket WHERE source_id = ? AND position_id IS NOT NULL AND is_withdrawn = 0",
                (source_id,),
            ).fetchall()
            missing = [row["id"] for row in rows if row["told"] <= number and row["id"] not in seen]
            gone = hold(connection, source_id, Kind.TICKET, missing, len(rows))
        for piece in pieces(gone.apply):
            self._writer.write_slice(partial(self._withdraw, source_id=source_id, ticket_ids=piece, number=number))
        for job in gone.jobs():
            self._writer.write_slice(job)
        self.completed(source_id, number, at, duration_s)
        return Taken(len(rows), 0, len(gone.apply), 0, HeldBack(tickets=len(gone.waiting_ids), checkins=0))

    # --- a page -------------------------------------------------------------------------------------------------------

    def _compare(self, connection: Connection, source_id: int, orders: tuple[ToldOrder, ...], number: int) -> _Changes:
        source_told = told_of(connection, source_id)
        told = list(_once(ticket for order in orders for ticket in order.tickets))
        known = _known(connection, source_id, told, number)
        changes = _Changes([], [], frozenset(have.id for have in known.values()))
        for ticket in told:
            have = known.get(ticket.data.position_id)
            if have is None:
                changes.tickets.append((None, ticket))
                continue
            effective = max(have.told, source_told)
            if effective > number:
                continue
            is_unsettled = effective < have.newest_settled
            is_same = have.data == ticket.data and not have.is_withdrawn and have.entries == _entries(ticket.checkins)
            if not is_same or is_unsettled:
                changes.tickets.append((have, ticket))
        for order in orders:
            changes.missing += _missing(connection, source_id, order, number)
        # What another order of the page has taken over is not missing.
        changes.missing = [ticket_id for ticket_id in changes.missing if ticket_id not in changes.known_ids]
        return changes

    def _write(
        self,
        connection: Connection,
        source_id: int,
        orders: tuple[ToldOrder, ...],
        number: int,
        state: str | None,
        at: datetime | None,
    ) -> list[int]:
        changes = self._compare(connection, source_id, orders, number)
        for have, told in changes.tickets:
            _free_secret(connection, source_id, told.data, have)
        new = [told for have, told in changes.tickets if have is None]
        ids = add_tickets(connection, source_id, [told.data for told in new], number)
        for ticket_id, told in zip(ids, new, strict=True):
            _tell(connection, source_id, ticket_id, told, frozenset())
        for have, told in changes.tickets:
            if have is not None:
                change_ticket(connection, have.id, have.folded_name, told.data, number)
                _tell(connection, source_id, have.id, told, have.entries)
                ids.append(have.id)
        self._withdraw(connection, source_id, changes.missing, number)
        if state is not None:
            connection.execute(
                "UPDATE source SET state = ?, last_pull = ? WHERE id = ?", (state, at and to_text(at), source_id)
            )
            self._writer.after_commit(lambda: self._state_written_s.update({source_id: time.monotonic()}))
        if changes:
            self._numbers.keep(connection)
            self._lists.touch_source(source_id)
        return ids

    def _withdraw(self, connection: Connection, source_id: int, ticket_ids: list[int], number: int) -> None:
        connection.executemany(
            "UPDATE ticket SET is_withdrawn = 1 WHERE id = ? AND told <= ?",
            [(ticket_id, number) for ticket_id in ticket_ids],
        )
        if ticket_ids:
            self._lists.touch_source(source_id)


def _free_secret(connection: Connection, source_id: int, data: TicketData, have: _Known | None) -> None:
    """A secret is one ticket's at a time: whoever had it before has another one by now, which a later page tells."""
    connection.execute(
        "UPDATE ticket SET secret = char(0) || id, folded_secret = char(0) || id"
        " WHERE source_id = ? AND secret = ? AND position_id IS NOT ? AND id IS NOT ?",
        (source_id, data.secret, data.position_id, have.id if have else None),
    )


def _tell(connection: Connection, source_id: int, ticket_id: int, told: ToldTicket, before: frozenset[_Entry]) -> None:
    """Replace the ticket's check-ins by those that upstream tells."""
    entries = _entries(told.checkins)
    if entries != before:
        connection.execute("DELETE FROM told_checkin WHERE ticket_id = ?", (ticket_id,))
        connection.executemany(
            "INSERT INTO told_checkin (ticket_id, upstream_list, at, direction, source_id) VALUES (?, ?, ?, ?, ?)",
            [(ticket_id, *entry, source_id) for entry in sorted(entries)],
        )


def _known(connection: Connection, source_id: int, told: list[ToldTicket], number: int) -> dict[int | None, _Known]:
    """What is here of the told positions, by position. A ticket that only its signature vouched for has no position
    yet: its secret says which one it is."""
    position_ids = [ticket.data.position_id for ticket in told]
    select = (
        f"SELECT id, {', '.join(DATA_COLUMNS)}, more, is_withdrawn, told, folded_name FROM ticket WHERE source_id = ?"
    )
    rows = connection.execute(f"{select} AND position_id IN ({_marks(position_ids)})", (source_id, *position_ids))
    found = {row["position_id"]: row for row in rows}
    by_secret = {ticket.data.secret: ticket.data.position_id for ticket in told if ticket.data.position_id not in found}
    rows = connection.execute(
        f"{select} AND secret IN ({_marks(by_secret)}) AND position_id IS NULL", (source_id, *by_secret)
    )
    found |= {by_secret[row["secret"]]: row for row in rows}
    ids = [row["id"] for row in found.values()]
    entries: dict[int, set[_Entry]] = {}
    for row in connection.execute(
        f"SELECT ticket_id, upstream_list, at, direction FROM told_checkin WHERE ticket_id IN ({_marks(ids)})", ids
    ):
        entries.setdefault(row["ticket_id"], set()).add((row["upstream_list"], row["at"], row["direction"]))
    settled = dict(
        tuple(row)
        for row in connection.execute(
            f"SELECT ticket_id, max(settled_number) FROM checkin WHERE ticket_id IN ({_marks(ids)})"
            " AND settled_number <= ? GROUP BY ticket_id",
            (*ids, number),
        )
    )
    return {
        position_id: _Known(
            id=row["id"],
            data=data_from(row),
            is_withdrawn=bool(row["is_withdrawn"]),
            told=row["told"],
            folded_name=row["folded_name"],
            entries=frozenset(entries.get(row["id"], ())),
            newest_settled=settled.get(row["id"]) or 0,
        )
        for position_id, row in found.items()
    }


def _missing(connection: Connection, source_id: int, order: ToldOrder, number: int) -> Iterator[int]:
    """Positions here that are still this order's, and that it no longer tells."""
    told = {ticket.data.position_id for ticket in order.tickets}
    rows = connection.execute(
        "SELECT id, position_id FROM ticket WHERE source_id = ? AND folded_code = ? AND order_code = ?"
        " AND position_id IS NOT NULL AND is_withdrawn = 0 AND told <= ?",
        (source_id, fold(order.code), order.code, number),
    ).fetchall()
    return (row["id"] for row in rows if row["position_id"] not in told)


def _once(tickets: Iterable[ToldTicket]) -> Iterator[ToldTicket]:
    """Of positions or secrets that come twice in one page, the first."""
    positions: set[int | None] = set()
    secrets: set[str] = set()
    for ticket in tickets:
        if ticket.data.position_id not in positions and ticket.data.secret not in secrets:
            yield ticket
        positions.add(ticket.data.position_id)
        secrets.add(ticket.data.secret)


def _entries(checkins: Iterable[ToldCheckIn]) -> frozenset[_Entry]:
    return frozenset(
        (checkin.upstream_list, to_text(checkin.at) if checkin.at else "", checkin.direction.value)
        for checkin in checkins
    )


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
