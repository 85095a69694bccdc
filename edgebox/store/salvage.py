"""What is found elsewhere of the journal, brought into a database that is whole but knows less: every check-in, and
what those and the gates need (lists, devices, tickets that are missing there).

The whole one, the base, is an earlier state of the one of which something was found, so that ids mean the same in both.
What is only told by the ticket server is left as the base has it: a pull tells it again, and one that went on from
where the other one was would leave out what the base never got.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from edgebox.instants import from_text
from edgebox.model import TicketData
from edgebox.store import names
from edgebox.store.db import Connection, Row, transaction
from edgebox.store.findings import Findings, Values
from edgebox.store.rows import add_tickets

KEY = ("ticket_id", "list_id", "nonce", "direction")
"""What makes a check-in this one."""

STATE_RANKS = {"pending": 0, "parked": 1, "cancelled": 3}
"""Of two readings of one check-in the later is believed: it moves from pending to where it stays (2), or is undone."""


_OF_ITS_SECRET = (
    "SELECT ticket.id FROM ticket JOIN list USING (source_id)"
    " WHERE list.id = checkin.list_id AND ticket.secret = checkin.secret"
)


@dataclass(slots=True)
class Salvaged:
    """What came of it."""

    added: int = 0
    """Check-ins that the base did not have."""
    brought_up_to_date: int = 0
    """Check-ins that it had in an earlier state: one that upstream has acknowledged meanwhile, for instance."""
    known_missing: int = 0
    """Check-ins that there were, going by their numbers, and that could not be read."""
    complete_until: datetime | None = None
    """Up to here no check-in is missing; None where the journal is empty."""


def salvage(connection: Connection, findings: Findings) -> Salvaged:
    """Bring into the base what was found; all in one transaction.

    The connection must not hold foreign keys: rows come in the order in which they lie there.
    """
    with transaction(connection):
        return _Salvage(connection, findings).run()


@dataclass
class _Salvage:
    connection: Connection
    findings: Findings
    done: Salvaged = field(default_factory=Salvaged)
    _had: int = 0
    """The highest id of a check-in of the base."""

    def run(self) -> Salvaged:
        top_before = self._had = self._top("checkin")
        takers = {
            "checkin": self._take_checkin, "ticket": self._take_ticket, "list": self._take_list,
            "source": self._take_source, "device": self._take_device, "connection": self._take_connection,
            "cancellation": self._take_missing, "note": self._take_missing,
        }  # fmt: skip
        for table, row in self.findings.rows():
            takers[table](table, row)
        self._take_device_lists()
        self._mend()
        self._raise_tops()
        self._look_for_gaps(top_before)
        return self.done

    # --- one row ------------------------------------------------------------------------------------------------------

    def _take_checkin(self, table: str, row: Values) -> None:
        row = {"direction": "entry", **row}
        where = " AND ".join(f"{column} = :{column}" for column in KEY)
        have = self.connection.execute(f"SELECT * FROM checkin WHERE {where}", row).fetchone()
        if have is None:
            self.done.added += self._insert(table, row) or self._insert(table, {**row, "id": None})
        elif _rank(row) > _rank(dict(have)):
            self._update(table, have["id"], {column: row[column] for column in row if column not in ("id", *KEY)})
            self.done.brought_up_to_date += have["id"] <= self._had

    def _take_ticket(self, table: str, row: Values) -> None:
        # Told by no request: whatever a pull says of it is newer.
        if self._insert(table, {**row, "told": 0}):
            names.add(self.connection, [(row["id"], row["folded_name"])])

    def _take_source(self, table: str, row: Values) -> None:
        self._insert(table, {**row, "told": 0, "state": None, "last_pull": None})

    def _take_list(self, table: str, row: Values) -> None:
        if not self._insert(table, row) and row["removed_at"] is not None:
            self._update(table, row["id"], {"removed_at": row["removed_at"]})

    def _take_device(self, table: str, row: Values) -> None:
        have = self._have(table, row["id"])
        if have is None:
            self._insert(table, row)
        elif (row["last_seen_at"] or "") >= (have["last_seen_at"] or ""):
            self._update(table, row["id"], {**row, "revoked_at": row["revoked_at"] or have["revoked_at"]})
        elif row["revoked_at"]:
            self._update(table, row["id"], {"revoked_at": row["revoked_at"]})

    def _take_connection(self, table: str, row: Values) -> None:
        have = self._have(table, row["id"])
        if have is None:
            self._insert(table, row)
        elif row["paired_at"] >= have["paired_at"] and have["removed_at"] is None:
            self._update(table, row["id"], row)

    def _take_missing(self, table: str, row: Values) -> None:
        self._insert(table, row)

    def _take_device_lists(self) -> None:
        for device_id, list_id in self.findings.device_lists():
            self._insert("device_list", {"device_id": device_id, "list_id": list_id})
        for column, table in (("device_id", "device"), ("list_id", "list")):
            self.connection.execute(f"DELETE FROM device_list WHERE {column} NOT IN (SELECT id FROM {table})")

    # --- what hangs together ------------------------------------------------------------------------------------------

    def _mend(self) -> None:
        """Rows of which what they point at could not be read: a check-in stays where it can."""
        run = self.connection.execute
        for dependent in ("cancellation", "note"):
            parent = {"cancellation": "checkin", "note": "ticket"}[dependent]
            run(f"DELETE FROM {dependent} WHERE {parent}_id NOT IN (SELECT id FROM {parent})")
        run("DELETE FROM list WHERE source_id NOT IN (SELECT id FROM source)")
        self.done.added -= run("DELETE FROM checkin WHERE list_id NOT IN (SELECT id FROM list)").rowcount
        run("UPDATE checkin SET device_id = NULL WHERE device_id NOT IN (SELECT id FROM device)")
        # Where the two went different ways, a number may have become another ticket's; its code tells.
        run(
            f"UPDATE OR IGNORE checkin SET ticket_id = ({_OF_ITS_SECRET}) WHERE id > ?"
            " AND secret <> (SELECT secret FROM ticket WHERE id = ticket_id)"
            f" AND EXISTS ({_OF_ITS_SECRET})",
            (self._had,),
        )
        lost = run(
            "SELECT checkin.id, checkin.secret, source_id FROM checkin JOIN list ON list.id = list_id"
            " WHERE NOT EXISTS (SELECT 1 FROM ticket WHERE ticket.id = ticket_id)"
        ).fetchall()
        for row in lost:
            self._give_a_ticket(row)

    def _give_a_ticket(self, row: Row) -> None:
        """A check-in whose ticket cannot be read: the one of its secret, or one that counts for nothing until a pull
        tells of it."""
        find = "SELECT id FROM ticket WHERE source_id = ? AND secret = ?"
        known = self.connection.execute(find, (row["source_id"], row["secret"])).fetchone()
        if known is not None:
            ticket_id = known[0]
        else:
            data = TicketData(row["secret"], "", 0, None, None, False, True, True, "")
            (ticket_id,) = add_tickets(self.connection, row["source_id"], [data], told=0)
            self._update("ticket", ticket_id, {"is_withdrawn": 1})
        moved = self.connection.execute(
            "UPDATE OR IGNORE checkin SET ticket_id = ? WHERE id = ?", (ticket_id, row["id"])
        )
        if not moved.rowcount:  # it is there already
            self.connection.execute("DELETE FROM checkin WHERE id = ?", (row["id"],))
            self.done.added -= 1

    # --- what is missing ----------------------------------------------------------------------------------------------

    def _top(self, table: str) -> int:
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(row[0]) if row else 0

    def _raise_tops(self) -> None:
        """No id is given twice, and no number that a settlement had."""
        run = self.connection.execute
        for table, top in (("checkin", self.findings.tops.checkin), ("ticket", self.findings.tops.ticket)):
            if top > self._top(table):
                run("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
                run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, top))
        run("UPDATE counter SET value = max(value, (SELECT coalesce(max(settled_number), 0) FROM checkin))")

    def _look_for_gaps(self, top_before: int) -> None:
        """Ids are given one after the other, so that one that is not there tells of a check-in that is lost."""
        expected, complete_until = top_before + 1, None
        last = self.connection.execute("SELECT received_at FROM checkin WHERE id <= ? ORDER BY id DESC", (top_before,))
        if (row := last.fetchone()) is not None:
            complete_until = row[0]
        is_complete = True
        for row in self._after(top_before):
            is_complete = is_complete and row["id"] == expected
            if is_complete:
                complete_until = row["received_at"]
            self.done.known_missing += row["id"] - expected
            expected = row["id"] + 1
        self.done.known_missing += max(0, self._top("checkin") + 1 - expected)
        self.done.complete_until = from_text(complete_until) if complete_until else None

    def _after(self, checkin_id: int) -> Iterator[Row]:
        query = "SELECT id, received_at FROM checkin WHERE id > ? ORDER BY id"
        yield from self.connection.execute(query, (checkin_id,))

    # --- SQL ----------------------------------------------------------------------------------------------------------

    def _have(self, table: str, row_id: int) -> Row | None:
        found: Row | None = self.connection.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,)).fetchone()
        return found

    def _insert(self, table: str, row: Values) -> bool:
        """Add a row, unless there is one that it would be in the way of."""
        marks = ", ".join(f":{column}" for column in row)
        inserted = self.connection.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({marks})", row)
        return inserted.rowcount > 0

    def _update(self, table: str, row_id: int, row: Values) -> None:
        sets = ", ".join(f"{column} = :{column}" for column in row)
        self.connection.execute(f"UPDATE OR IGNORE {table} SET {sets} WHERE id = :row_id", {**row, "row_id": row_id})


def _rank(row: Values) -> tuple[object, ...]:
    """How far a check-in has come."""
    return (
        STATE_RANKS.get(row["state"], 2),
        row["conflict_closed_at"] is not None,
        row["conflict"] is not None,
        row.get("refused_as") is not None,
        row["stamp"] != "untrusted",
        row["tries"],
    )
