"""Taking in what upstream tells: compared in place, written only where it differs, in small slices.

A snapshot tells all tickets of a source. While it streams in, new and changed tickets are written. What it takes away
(tickets that it no longer has, check-ins that upstream no longer counts) comes last, after a whole body: a broken pull
takes nothing away. If it would take away too much, that part waits for staff.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from edgebox.model import CheckInList, TicketData, ToldTicket
from edgebox.store.db import Connection, Row
from edgebox.store.held import HeldBack, Kind, hold, pieces
from edgebox.store.lists import Lists, require_list
from edgebox.store.numbers import Numbers
from edgebox.store.presence import SETTLED_NOW, parameters, told_of
from edgebox.store.readers import Readers
from edgebox.store.rows import DATA_COLUMNS, add_tickets, change_ticket, data_from
from edgebox.store.seen import Seen
from edgebox.store.writer import Job, Writer

T = TypeVar("T")


TELL = (
    "INSERT OR IGNORE INTO told_checkin (ticket_id, upstream_list, at, direction, source_id)"
    " VALUES (?, 0, '', 'entry', ?)"
)
"""The old API tells that a ticket is in, not when."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a whole snapshot came to."""

    tickets: int
    written: int
    withdrawn: int
    undone: int
    held: HeldBack
    is_stale: bool = False
    """It was older than one taken in before, and took nothing away."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What the list had before a snapshot: tickets not withdrawn, and tickets that are in as far as upstream knows."""

    tickets: int
    checkins: int


@dataclass(slots=True)
class _Known:
    """How the box holds a ticket that a slice tells again."""

    id: int
    data: TicketData
    is_withdrawn: bool
    told: int
    is_told_in: bool
    folded_name: str
    newest_settled: int
    """Number of the newest settlement of an own check-in; 0 without any."""


class Snapshots:
    """Takes in snapshots and single tickets. One snapshot of a source at a time."""

    def __init__(self, readers: Readers, writer: Writer, lists: Lists, numbers: Numbers) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._numbers = numbers

    def begin(self, list_: CheckInList, number: int) -> Snapshot:
        """Start to take in a snapshot whose request (dated back where its body was older) had this number."""
        with self._readers.reading() as connection:
            before = _count(connection, list_)
        return Snapshot(self._readers, self._writer, self._lists, self._numbers, list_, number, before)

    def take_one(self, list_: CheckInList, told: ToldTicket, number: int) -> None:
        """Take in one ticket that upstream told when asked for it: added or updated, nothing is taken away."""
        Snapshot(self._readers, self._writer, self._lists, self._numbers, list_, number, _Before(0, 0)).add([told])


class Snapshot:
    """One snapshot on its way in: `add` slices, then `finish` once the body was whole."""

    def __init__(
        self,
        readers: Readers,
        writer: Writer,
        lists: Lists,
        numbers: Numbers,
        list_: CheckInList,
        number: int,
        before: _Before,
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._numbers = numbers
        self._list = list_
        self._number = number
        self._before = before
        self._seen = Seen()
        self._undone: list[int] = []
        """Tickets that are in here and that upstream does not count as in any more."""
        self.duplicates = 0
        """Tickets whose secret the snapshot had told already; the first one counts."""
        self._tickets = 0
        self._written = 0

    def add(self, tickets: Iterable[ToldTicket]) -> None:
        """Compare and take in tickets; any number of them. Where they break off, those that came are taken in."""
        piece: list[ToldTicket] = []
        try:
            for told in tickets:
                piece.append(told)
                if len(piece) >= self._writer.slice_rows():
                    full, piece = piece, []
                    self._add_slice(full)
        finally:
            if piece:
                self._add_slice(piece)

    def finish(self, at: datetime, duration_s: float) -> Taken:
        """The body was whole: withdraw what it no longer has, unless that is so much that staff must see it first."""
        with self._readers.reading() as connection:
            if self._number < told_of(connection, self._source_id):
                return Taken(self._tickets, self._written, 0, 0, HeldBack.none(), is_stale=True)
            gone = hold(connection, self._source_id, Kind.TICKET, self._missing(connection), self._before.tickets)
            undone = hold(connection, self._source_id, Kind.CHECKIN, self._still_in(connection), self._before.checkins)
        for piece in pieces(gone.apply):
            self._in_slice(partial(self._withdraw, ticket_ids=piece))
        for piece in pieces(undone.apply):
            self._in_slice(partial(self._undo, ticket_ids=piece))
        for job in (*gone.jobs(), *undone.jobs()):
            self._in_slice(job)
        self._in_slice(partial(self._complete, at=at, duration_s=duration_s, has_undone=bool(undone.apply)))
        return Taken(
            tickets=self._tickets,
            written=self._written,
            withdrawn=len(gone.apply),
            undone=len(undone.apply),
            held=HeldBack(tickets=len(gone.waiting_ids), checkins=len(undone.waiting_ids)),
        )

    # --- a slice ------------------------------------------------------------------------------------------------------

    @property
    def _source_id(self) -> int:
        return self._list.source.id

    def _add_slice(self, piece: list[ToldTicket]) -> None:
        self._tickets += len(piece)
        with self._readers.reading() as connection:
            source_told = told_of(connection, self._source_id)
            known = self._known(connection, [told.data.secret for told in piece])
        changed: dict[str, ToldTicket] = {}
        for told in piece:
            have = known.get(told.data.secret)
            if told.data.secret in changed or (have and have.id in self._seen):
                self.duplicates += 1
                continue
            if have is not None:
                self._seen.add(have.id)
            if self._is_overruled(have, source_told):
                continue
            if have is None:
                changed[told.data.secret] = told
                continue
            is_in = have.is_told_in or have.newest_settled > max(have.told, source_told)
            if is_in and not told.is_redeemed and have.newest_settled <= self._number:
                self._undone.append(have.id)
            if have.data != told.data or have.is_withdrawn or (told.is_redeemed and not have.is_told_in):
                changed[told.data.secret] = told
        if changed:
            ids = self._in_slice(partial(self._write, changed=changed))
            self._written += len(ids)
            for ticket_id in ids:
                self._seen.add(ticket_id)

    def _is_overruled(self, have: _Known | None, source_told: int) -> bool:
        """Whether a newer request has told this ticket, or (in a whole snapshot) that there is no such ticket."""
        return max(have.told if have else 0, source_told) > self._number

    def _known(self, connection: Connection, secrets: list[str]) -> dict[str, _Known]:
        marks = ", ".join("?" * len(secrets))
        rows = connection.execute(
            f"SELECT id, {', '.join(DATA_COLUMNS)}, more, is_withdrawn, told, folded_name,"
            " EXISTS (SELECT 1 FROM told_checkin WHERE ticket_id = ticket.id AND upstream_list = 0) AS is_told_in,"
            " coalesce((SELECT max(settled_number) FROM checkin INDEXED BY checkin_nonce"
            "  WHERE ticket_id = ticket.id AND list_id = ?), 0) AS newest_settled"
            f" FROM ticket WHERE source_id = ? AND secret IN ({marks})",
            (self._list.id, self._source_id, *secrets),
        )
        return {row["secret"]: _known(row) for row in rows}

    def _write(self, connection: Connection, changed: dict[str, ToldTicket]) -> list[int]:
        """Write new and changed tickets, unless a newer request has told them meanwhile; the ids of all of them.

        What upstream takes away is not written here: such a ticket keeps its number until the end, or the box's own
        check-in would stop counting with it.
        """
        source_told = told_of(connection, self._source_id)
        known = self._known(connection, list(changed))
        new, ids = [], []
        changed = {
            secret: told for secret, told in changed.items() if not self._is_overruled(known.get(secret), source_told)
        }
        for secret, told in changed.items():
            have = known.get(secret)
            if have is None:
                new.append(told)
            else:
                ids.append(have.id)
                takes_away = not told.is_redeemed and have.newest_settled > max(have.told, source_told)
                self._update(connection, have, told.data, have.told if takes_away else self._number)
        new_ids = add_tickets(connection, self._source_id, [told.data for told in new], self._number)
        ids += new_ids
        id_of = {secret: have.id for secret, have in known.items()}
        id_of |= {told.data.secret: ticket_id for told, ticket_id in zip(new, new_ids, strict=True)}
        connection.executemany(
            TELL,
            [(id_of[secret], self._source_id) for secret, told in changed.items() if told.is_redeemed],
        )
        self._numbers.keep(connection)
        self._lists.touch(self._list.id)
        return ids

    def _update(self, connection: Connection, have: _Known, data: TicketData, told: int) -> None:
        if have.data == data and not have.is_withdrawn:  # it came to be in, and nothing else
            connection.execute("UPDATE ticket SET told = ? WHERE id = ?", (told, have.id))
            return
        change_ticket(connection, have.id, have.folded_name, data, told)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _missing(self, connection: Connection) -> list[int]:
        """Tickets that the snapshot no longer has, and that no newer request has told."""
        rows = connection.execute(
            "SELECT id FROM ticket WHERE source_id = ? AND is_withdrawn = 0 AND told <= ?",
            (self._source_id, self._number),
        )
        return [row[0] for row in rows if row[0] not in self._seen]

    def _still_in(self, connection: Connection) -> set[int]:
        """Tickets that upstream does not count as in any more and the box still does (staff may have decided since)."""
        if not self._undone:
            return set()
        settled = connection.execute(SETTLED_NOW, parameters(connection, self._list))
        return {row[0] for row in settled}.intersection(self._undone)

    def _withdraw(self, connection: Connection, ticket_ids: list[int]) -> None:
        # Its number stays until the snapshot is complete, or the box's own check-in would stop counting with it.
        connection.executemany(
            "UPDATE ticket SET is_withdrawn = 1 WHERE id = ? AND told <= ?",
            [(ticket_id, self._number) for ticket_id in ticket_ids],
        )
        self._lists.touch(self._list.id)

    def _undo(self, connection: Connection, ticket_ids: list[int]) -> None:
        connection.executemany(
            "DELETE FROM told_checkin WHERE ticket_id = ? AND (SELECT told FROM ticket WHERE id = ticket_id) <= ?",
            [(ticket_id, self._number) for ticket_id in ticket_ids],
        )
        self._lists.touch(self._list.id)

    def _complete(self, connection: Connection, at: datetime, duration_s: float, has_undone: bool) -> None:
        """From here on the snapshot tells all tickets of its source, and what was settled before it counts no more.

        Except where it says nothing, or nothing that is believed yet: the box's own check-ins of tickets that it does
        not have, and those that wait for staff.
        """
        connection.execute(
            "INSERT OR IGNORE INTO told_checkin (ticket_id, upstream_list, at, direction, source_id)"
            " SELECT ticket_id, 0, '', 'entry', source_id FROM checkin JOIN ticket ON ticket.id = ticket_id"
            " WHERE list_id = ? AND direction = 'entry' AND settled_number > ? AND settled_number <= ?"
            " AND settled_number > ticket.told AND (is_withdrawn OR EXISTS (SELECT 1 FROM held"
            "  WHERE held.source_id = ticket.source_id AND held.ticket_id = ticket.id))",
            (self._list.id, told_of(connection, self._source_id), self._number),
        )
        self._numbers.keep(connection)
        if has_undone:
            self._lists.touch(self._list.id)
        self._lists.pulled(connection, self._source_id, self._number, at, duration_s)

    def _in_slice(self, job: Job[T]) -> T:
        """Run one slice; it ends the snapshot (Refused) when the list was removed meanwhile."""

        def checked(connection: Connection) -> T:
            require_list(connection, self._list.id)
            return job(connection)

        return self._writer.write_slice(checked)


def _known(row: Row) -> _Known:
    return _Known(
        id=row["id"],
        data=data_from(row),
        is_withdrawn=bool(row["is_withdrawn"]),
        told=row["told"],
        is_told_in=bool(row["is_told_in"]),
        folded_name=row["folded_name"],
        newest_settled=row["newest_settled"],
    )


def _count(connection: Connection, list_: CheckInList) -> _Before:
    tickets = connection.execute(
        "SELECT count(*) FROM ticket WHERE source_id = ? AND is_withdrawn = 0", (list_.source.id,)
    ).fetchone()[0]
    settled = connection.execute(f"SELECT count(*) FROM ({SETTLED_NOW})", parameters(connection, list_))
    return _Before(tickets, settled.fetchone()[0])
