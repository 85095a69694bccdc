"""Taking in what upstream tells: compared in place, written only where it differs, in small slices.

A snapshot tells all tickets of a source. While it streams in, new and changed tickets are written. What it takes away
(tickets that it no longer has, check-ins that upstream no longer counts) comes last, after a whole body: a broken pull
takes nothing away. If it would take away too much, that part waits for staff.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from edgebox.model import CheckInList, TicketData, ToldTicket
from edgebox.store.db import Connection, Refused, Row
from edgebox.store.folding import fold
from edgebox.store.held import HeldBack, Kind, hold
from edgebox.store.history import DATA_COLUMNS, data_from
from edgebox.store.lists import Lists
from edgebox.store.numbers import Numbers
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

SLICE = 200
"""Tickets in one look and one write: a scan waits for at most one such slice."""


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


@dataclass(slots=True)
class _Known:
    """How the box holds a ticket that a slice tells again."""

    id: int
    data: TicketData
    is_withdrawn: bool
    told: int
    is_told_in: bool
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
        return Snapshot(self._readers, self._writer, self._lists, self._numbers, list_, number)

    def take_one(self, list_: CheckInList, told: ToldTicket, number: int) -> None:
        """Take in one ticket that upstream told when asked for it: added or updated, nothing is taken away."""
        Snapshot(self._readers, self._writer, self._lists, self._numbers, list_, number).add([told])


class Snapshot:
    """One snapshot on its way in: `add` slices, then `finish` once the body was whole."""

    def __init__(
        self, readers: Readers, writer: Writer, lists: Lists, numbers: Numbers, list_: CheckInList, number: int
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._numbers = numbers
        self._list = list_
        self._number = number
        self._seen = bytearray()
        """One bit a ticket id: which were told. (Outside the database: an unchanged ticket costs no write.)"""
        self._undone: list[int] = []
        """Tickets that are in here and that upstream does not count as in any more."""
        self.duplicates = 0
        """Tickets whose secret the snapshot had told already; the first one counts."""
        self._tickets = 0
        self._written = 0

    def add(self, tickets: Iterable[ToldTicket]) -> None:
        """Compare and take in tickets; any number of them."""
        piece: list[ToldTicket] = []
        for told in tickets:
            piece.append(told)
            if len(piece) == SLICE:
                self._add_slice(piece)
                piece = []
        if piece:
            self._add_slice(piece)

    def finish(self, at: datetime, duration_s: float) -> Taken:
        """The body was whole: withdraw what it no longer has, unless that is so much that staff must see it first."""
        connection = self._readers.get()
        told = self._source_told(connection)
        if self._number < told:
            return Taken(self._tickets, self._written, 0, 0, HeldBack.none(), is_stale=True)
        missing = self._missing(connection)
        tickets_before = connection.execute(
            "SELECT count(*) FROM ticket WHERE source_id = ? AND is_withdrawn = 0", (self._source_id,)
        ).fetchone()[0]
        checkins_before = connection.execute(
            "SELECT count(*) FROM (SELECT ticket_id FROM told_checkin WHERE list_id = ?1"
            " UNION SELECT ticket_id FROM checkin WHERE list_id = ?1 AND settled_number IS NOT NULL)",
            (self._list.id,),
        ).fetchone()[0]
        gone = hold(connection, self._source_id, Kind.TICKET, missing, tickets_before)
        undone = hold(connection, self._source_id, Kind.CHECKIN, self._undone, checkins_before)
        for piece in _slices(gone.apply):
            self._writer.write_slice(partial(self._withdraw, ticket_ids=piece))
        for piece in _slices(undone.apply):
            self._writer.write_slice(partial(self._undo, ticket_ids=piece))

        def job(connection: Connection) -> None:
            self._require_list()
            gone.keep(connection, self._number)
            undone.keep(connection, self._number)
            for ticket_id in undone.kept_ids:
                connection.execute("INSERT OR IGNORE INTO told_checkin VALUES (?, ?)", (self._list.id, ticket_id))
            self._numbers.keep(connection)
            if undone.apply:
                self._lists.touch(self._list.id)
            self._lists.pulled(connection, self._source_id, self._number, at, duration_s)

        self._writer.write_slice(job)
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
        connection = self._readers.get()
        source_told = self._source_told(connection)
        known = self._known(connection, [told.data.secret for told in piece])
        changed: dict[str, ToldTicket] = {}
        for told in piece:
            have = known.get(told.data.secret)
            if told.data.secret in changed or (have and self._was_seen(have.id)):
                self.duplicates += 1
                continue
            if have is None:
                changed[told.data.secret] = told
                continue
            self._mark_seen(have.id)
            have_told = max(have.told, source_told)
            if have_told > self._number:
                continue
            is_in = have.is_told_in or have.newest_settled > have_told
            if is_in and not told.is_redeemed and have.newest_settled <= self._number:
                self._undone.append(have.id)
            if have.data != told.data or have.is_withdrawn or (told.is_redeemed and not have.is_told_in):
                changed[told.data.secret] = told
        if changed:
            ids = self._writer.write_slice(lambda connection: self._write(connection, changed))
            self._written += len(ids)
            for ticket_id in ids:
                self._mark_seen(ticket_id)

    def _known(self, connection: Connection, secrets: list[str]) -> dict[str, _Known]:
        marks = ", ".join("?" * len(secrets))
        rows = connection.execute(
            f"SELECT id, {', '.join(DATA_COLUMNS)}, is_withdrawn, told,"
            " EXISTS (SELECT 1 FROM told_checkin WHERE list_id = ? AND ticket_id = ticket.id) AS is_told_in,"
            " coalesce((SELECT max(settled_number) FROM checkin WHERE ticket_id = ticket.id AND list_id = ?), 0)"
            f" AS newest_settled FROM ticket WHERE source_id = ? AND secret IN ({marks})",
            (self._list.id, self._list.id, self._source_id, *secrets),
        )
        return {row["secret"]: _known(row) for row in rows}

    def _write(self, connection: Connection, changed: dict[str, ToldTicket]) -> list[int]:
        """Write new and changed tickets, unless a newer request has told them meanwhile; the ids of all of them.

        What upstream takes away is not written here: such a ticket keeps its number until the end, or the box's own
        check-in would stop counting with it.
        """
        self._require_list()
        source_told = self._source_told(connection)
        known = self._known(connection, list(changed))
        ids = []
        for secret, told in changed.items():
            have = known.get(secret)
            if have is None:
                ids.append(self._insert(connection, told.data))
            else:
                ids.append(have.id)
                have_told = max(have.told, source_told)
                if have_told > self._number:
                    continue
                if have.data != told.data or have.is_withdrawn:
                    takes_away = not told.is_redeemed and have.newest_settled > have_told
                    self._update(connection, have.id, told.data, have.told if takes_away else self._number)
            if told.is_redeemed:
                connection.execute("INSERT OR IGNORE INTO told_checkin VALUES (?, ?)", (self._list.id, ids[-1]))
        self._numbers.keep(connection)
        self._lists.touch(self._list.id)
        return ids

    def _insert(self, connection: Connection, data: TicketData) -> int:
        columns = {**_columns(data), "source_id": self._source_id, "told": self._number}
        marks = ", ".join(f":{column}" for column in columns)
        ticket_id = connection.execute(f"INSERT INTO ticket ({', '.join(columns)}) VALUES ({marks})", columns).lastrowid
        assert ticket_id is not None
        return ticket_id

    def _update(self, connection: Connection, ticket_id: int, data: TicketData, told: int) -> None:
        columns = {**_columns(data), "is_withdrawn": False, "told": told}
        sets = ", ".join(f"{column} = :{column}" for column in columns)
        connection.execute(f"UPDATE ticket SET {sets} WHERE id = :id", {**columns, "id": ticket_id})

    # --- the end ------------------------------------------------------------------------------------------------------

    def _missing(self, connection: Connection) -> list[int]:
        """Tickets that the snapshot no longer has, and that no newer request has told."""
        rows = connection.execute(
            "SELECT id FROM ticket WHERE source_id = ? AND is_withdrawn = 0 AND told <= ?",
            (self._source_id, self._number),
        )
        return [row[0] for row in rows if not self._was_seen(row[0])]

    def _require_list(self) -> None:
        if self._lists.get(self._list.id) is None:
            raise Refused(f"list {self._list.id} was removed meanwhile; the pull ends here")

    def _withdraw(self, connection: Connection, ticket_ids: list[int]) -> None:
        self._lists.touch(self._list.id)
        connection.executemany(
            "UPDATE ticket SET is_withdrawn = 1, told = ? WHERE id = ? AND told <= ?",
            [(self._number, ticket_id, self._number) for ticket_id in ticket_ids],
        )

    def _undo(self, connection: Connection, ticket_ids: list[int]) -> None:
        self._lists.touch(self._list.id)
        connection.executemany(
            "DELETE FROM told_checkin WHERE list_id = ? AND ticket_id = ?"
            " AND (SELECT told FROM ticket WHERE id = ticket_id) <= ?",
            [(self._list.id, ticket_id, self._number) for ticket_id in ticket_ids],
        )

    def _source_told(self, connection: Connection) -> int:
        return int(connection.execute("SELECT told FROM source WHERE id = ?", (self._source_id,)).fetchone()[0])

    def _mark_seen(self, ticket_id: int) -> None:
        byte, bit = divmod(ticket_id, 8)
        if byte >= len(self._seen):
            self._seen.extend(bytes(byte + 4096 - len(self._seen)))
        self._seen[byte] |= 1 << bit

    def _was_seen(self, ticket_id: int) -> bool:
        byte, bit = divmod(ticket_id, 8)
        return byte < len(self._seen) and bool(self._seen[byte] & (1 << bit))


def _slices(ticket_ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ticket_ids), SLICE):
        yield ticket_ids[start : start + SLICE]


def _columns(data: TicketData) -> dict[str, object]:
    return {
        **{column: getattr(data, column) for column in DATA_COLUMNS},
        "folded_name": fold(data.attendee_name or ""),
        "folded_secret": fold(data.secret),
        "folded_code": fold(data.order_code),
    }


def _known(row: Row) -> _Known:
    return _Known(
        id=row["id"],
        data=data_from(row),
        is_withdrawn=bool(row["is_withdrawn"]),
        told=row["told"],
        is_told_in=bool(row["is_told_in"]),
        newest_settled=row["newest_settled"],
    )
