"""What a damaged database still holds, brought into one that is whole but knows less: every journal row that can be
read, and what those rows and the gates need (lists, devices, tickets that are missing there).

The whole one, the base, is an earlier state of the damaged one, so that ids mean the same in both. What is only told by
the ticket server is left as the base has it: a pull tells it again, and one that went on from where the damaged one was
would leave out what the base never got.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from edgebox.instants import from_text
from edgebox.model import CheckInState, Direction, SourceKind, StampKind, TicketData
from edgebox.store import names
from edgebox.store.db import Connection, Row, transaction
from edgebox.store.history import answers_from_json
from edgebox.store.lists import catalog_from_json, terms_from_json
from edgebox.store.pages import Pages
from edgebox.store.pages import Row as FoundRow
from edgebox.store.rows import add_tickets

Values = dict[str, Any]
Test = Callable[[Any], bool]


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _is_flag(value: Any) -> bool:
    return value in (0, 1)


def _is_one_of(words: type[StrEnum]) -> Test:
    known = {word.value for word in words}
    return lambda value: value in known


def _can_be_read(read: Callable[[str], object]) -> Test:
    """A text that the box can make something of, or none at all: one that it cannot read would end its start."""

    def test(value: Any) -> bool:
        try:
            return value is None or read(value) is not None
        except (ValueError, TypeError, LookupError, AttributeError):
            return False

    return test


_is_instant = _can_be_read(from_text)

SHAPES: Mapping[str, Mapping[str, Test]] = {
    "checkin": {
        "list_id": _is_id, "ticket_id": _is_id, "datetime": _is_instant, "received_at": _is_instant,
        "stamp": _is_one_of(StampKind), "is_forced": _is_flag, "is_offline": _is_flag, "ignores_unpaid": _is_flag,
        "answers": _can_be_read(answers_from_json), "state": _is_one_of(CheckInState), "settled_at": _is_instant,
        "conflict_opened_at": _is_instant, "conflict_closed_at": _is_instant, "direction": _is_one_of(Direction),
    },
    "ticket": {
        "source_id": _is_id, "attention": _is_flag, "is_paid": _is_flag, "checkin_allowed": _is_flag,
        "is_withdrawn": _is_flag, "more": _can_be_read(json.loads),
    },
    "list": {
        "source_id": _is_id, "added_at": _is_instant, "removed_at": _is_instant, "last_push": _is_instant,
        "terms": _can_be_read(terms_from_json),
    },
    "source": {"kind": _is_one_of(SourceKind), "catalog": _can_be_read(catalog_from_json)},
    "device": {
        "allow_search": _is_flag, "show_info": _is_flag, "added_at": _is_instant, "revoked_at": _is_instant,
        "last_seen_at": _is_instant, "item_ids": _can_be_read(json.loads),
    },
    "connection": {"paired_at": _is_instant, "removed_at": _is_instant},
    "cancellation": {"at": _is_instant},
    "note": {"ticket_id": _is_id, "at": _is_instant},
}  # fmt: skip
"""Whose row it is: one that has as many values as the table has columns, of their types, and passes these tests."""

LEAST: Mapping[str, int] = {"checkin": 25, "ticket": 16, "list": 9, "source": 8, "device": 10, "connection": 11}
"""How many columns a table had at first: rows that were written before it got more have fewer. Others have all."""

TYPES: Mapping[str, tuple[type, ...]] = {"TEXT": (str,), "INTEGER": (int,), "REAL": (int, float)}

KEY = ("ticket_id", "list_id", "nonce", "direction")
"""What makes a check-in this one."""

STATE_RANKS = {"pending": 0, "parked": 1, "cancelled": 3}
"""Of two readings of one check-in the later is believed: it moves from pending to where it stays (2), or is undone."""


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


@dataclass(slots=True)
class _Tops:
    """The highest ids that were ever given, as far as the damaged database tells."""

    checkin: int = 0
    ticket: int = 0


class _Shape:
    """A table of the base, and how its rows are told from others."""

    def __init__(self, connection: Connection, table: str, tests: Mapping[str, Test]) -> None:
        info = connection.execute(f"PRAGMA table_info({table})").fetchall()
        self.table = table
        self.columns = tuple(row["name"] for row in info)
        self._id = next(index for index, row in enumerate(info) if row["pk"])
        self._types = [(TYPES[row["type"]], bool(row["notnull"])) for row in info]
        self._tests = [(index, tests[column]) for index, column in enumerate(self.columns) if column in tests]
        self._least = LEAST.get(table, len(self.columns))

    def read(self, found: FoundRow) -> Values | None:
        """The row by columns; None where it is not this table's."""
        values = found.values
        if not self._least <= len(values) <= len(self.columns) or values[self._id] is not None:
            return None
        for index, (value, (types, is_needed)) in enumerate(zip(values, self._types, strict=False)):
            if (is_needed if value is None else not isinstance(value, types)) and index != self._id:
                return None
        if not all(test(values[index]) for index, test in self._tests if index < len(values)):
            return None
        row = dict(zip(self.columns, values, strict=False))
        row[self.columns[self._id]] = found.id
        return row


def salvage(connection: Connection, pages: Pages) -> Salvaged:
    """Bring into the base what the pages of the damaged database hold; all in one transaction.

    The connection must not hold foreign keys: rows come in the order in which they lie there.
    """
    with transaction(connection):
        return _Salvage(connection, pages).run()


@dataclass
class _Salvage:
    connection: Connection
    pages: Pages
    done: Salvaged = field(default_factory=Salvaged)
    tops: _Tops = field(default_factory=_Tops)
    _root: int | None = None
    """The first page of device_list, as far as the damaged database tells."""
    _had: int = 0
    """The highest id of a check-in of the base."""

    def run(self) -> Salvaged:
        top_before = self._had = self._top("checkin")
        takers = {
            "checkin": self._take_checkin, "ticket": self._take_ticket, "list": self._take_list,
            "source": self._take_source, "device": self._take_device, "connection": self._take_connection,
            "cancellation": self._take_missing, "note": self._take_missing,
        }  # fmt: skip
        has = {row[0] for row in self.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        shapes = [_Shape(self.connection, table, tests) for table, tests in SHAPES.items() if table in has]
        for found in self.pages.rows():
            self._note(found)
            for shape in shapes:
                if (row := shape.read(found)) is not None:
                    takers[shape.table](shape.table, row)
                    break
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
        """Which device belongs to which list: a table of numbers alone, which no shape tells from others."""
        run = self.connection.execute
        known = {tuple(row) for row in run("SELECT device_id, list_id FROM device_list")}
        root = self._root or run("SELECT rootpage FROM sqlite_schema WHERE name = 'device_list'").fetchone()[0]
        found = {entry for entry in self.pages.entries(root) if len(entry) == 2 and all(map(_is_id, entry))}
        # Were the tables moved since, it would be another one's page: no device may get into a list by that.
        if known <= found and (known or self._root):
            for device_id, list_id in found - known:
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

    def _note(self, found: FoundRow) -> None:
        """Rows of SQLite's own: the highest ids that were given, and where a table begins."""
        match found.values:
            case ("checkin" | "ticket" as name, int(number)):
                setattr(self.tops, name, max(number, getattr(self.tops, name)))
            case ("table", "device_list", _, int(root), _):
                self._root = root

    def _top(self, table: str) -> int:
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(row[0]) if row else 0

    def _raise_tops(self) -> None:
        """No id is given twice, and no number that a settlement had."""
        run = self.connection.execute
        for table, top in (("checkin", self.tops.checkin), ("ticket", self.tops.ticket)):
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
