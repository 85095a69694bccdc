"""What is found of the journal outside of the database that is to have it: in the pages of a damaged one, in another
one that is whole, in what followed a backup. `store/salvage.py` brings it in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from edgebox.instants import from_text
from edgebox.model import CheckInState, Direction, SourceKind, StampKind
from edgebox.store.db import Connection, quoted
from edgebox.store.history import answers_from_json
from edgebox.store.lists import catalog_from_json, terms_from_json
from edgebox.store.pages import Pages
from edgebox.store.pages import Row as FoundRow

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


@dataclass(slots=True)
class Tops:
    """The highest ids that were ever given, as far as what is found tells."""

    checkin: int = 0
    ticket: int = 0

    def note(self, table: str, number: int) -> None:
        """An id that was given; tables of which nobody asks are left out."""
        if table in ("checkin", "ticket"):
            setattr(self, table, max(number, getattr(self, table)))


class Findings(Protocol):
    """Rows that are found somewhere. Ids mean the same there as in the database that is to have them."""

    @property
    def tops(self) -> Tops:
        """The highest ids that were ever given, complete when the rows have ended."""

    def rows(self) -> Iterator[tuple[str, Values]]:
        """Table and row by columns, each of a shape that the box can read."""

    def device_lists(self) -> Collection[tuple[int, int]]:
        """Which device belongs to which list, after `rows`; empty where that cannot be told."""


class Shape:
    """A table of the base, and how its rows are told from others."""

    def __init__(self, connection: Connection, table: str, tests: Mapping[str, Test]) -> None:
        info = connection.execute(f"PRAGMA table_info({table})").fetchall()
        self.table = table
        self.columns = tuple(row["name"] for row in info)
        self._id = next(index for index, row in enumerate(info) if row["pk"])
        self._types = {row["name"]: (TYPES[row["type"]], bool(row["notnull"])) for row in info}
        self._tests = tests
        self._least = LEAST.get(table, len(self.columns))

    def of_page(self, found: FoundRow) -> Values | None:
        """A row that was read without knowing whose it is, by columns; None where it is not this table's."""
        values = found.values
        if not self._least <= len(values) <= len(self.columns) or values[self._id] is not None:
            return None
        row = dict(zip(self.columns, values, strict=False))
        row[self.columns[self._id]] = found.id
        return row if self.accepts(row) else None

    def accepts(self, row: Mapping[str, Any]) -> bool:
        """Whether the values of these columns are some that the box can read."""
        return all(self._accepts(column, value) for column, value in row.items())

    def _accepts(self, column: str, value: Any) -> bool:
        types, is_needed = self._types[column]
        is_of_type = not is_needed if value is None else isinstance(value, types)
        return is_of_type and (column not in self._tests or self._tests[column](value))


def shapes(connection: Connection) -> dict[str, Shape]:
    """Of the tables that this database has, those that are looked for elsewhere."""
    has = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return {table: Shape(connection, table, tests) for table, tests in SHAPES.items() if table in has}


class InPages:
    """Findings in a damaged database, which is a later state of the one that is to have them."""

    def __init__(self, connection: Connection, pages: Pages) -> None:
        self._connection = connection
        self._pages = pages
        self._root: int | None = None
        """The first page of device_list, as far as the damaged database tells."""
        self.tops = Tops()

    def rows(self) -> Iterator[tuple[str, Values]]:
        known = shapes(self._connection).values()
        for found in self._pages.rows():
            self._note(found)
            for shape in known:
                if (row := shape.of_page(found)) is not None:
                    yield shape.table, row
                    break

    def device_lists(self) -> Collection[tuple[int, int]]:
        """A table of numbers alone, which no shape tells from others."""
        run = self._connection.execute
        known = {tuple(row) for row in run("SELECT device_id, list_id FROM device_list")}
        root = self._root or run("SELECT rootpage FROM sqlite_schema WHERE name = 'device_list'").fetchone()[0]
        found: set[tuple[int, int]] = set()
        for entry in self._pages.entries(root):
            match entry:
                case (int(device_id), int(list_id)) if device_id > 0 and list_id > 0:
                    found.add((device_id, list_id))
        # Were the tables moved since, it would be another one's page: no device may get into a list by that.
        return found if known <= found and (known or self._root) else ()

    def _note(self, found: FoundRow) -> None:
        """Rows of SQLite's own: the highest ids that were given, and where a table begins."""
        match found.values:
            case ("checkin" | "ticket" as name, int(number)):
                self.tops.note(name, number)
            case ("table", "device_list", _, int(root), _):
                self._root = root


class InDatabase:
    """Findings in another database that is whole: a later state of the one that is to have them, also of a newer
    schema, of which what this box does not know is left out."""

    def __init__(self, connection: Connection, path: Path) -> None:
        """`connection` is to have them: one that takes URIs, outside of a transaction. Close it."""
        self._connection = connection
        connection.execute("ATTACH ? AS other", (f"file:{quoted(path)}?mode=ro",))
        self.tops = Tops()

    def close(self) -> None:
        self._connection.execute("DETACH other")

    def rows(self) -> Iterator[tuple[str, Values]]:
        run = self._connection.execute
        for name, number in run("SELECT name, seq FROM other.sqlite_sequence"):
            self.tops.note(name, number)
        for table, shape in shapes(self._connection).items():
            theirs = {row["name"] for row in run(f"PRAGMA other.table_info({table})")}
            columns = ", ".join(column for column in shape.columns if column in theirs)
            # Of tickets only new ones: the others are told again by the ticket server.
            where = " WHERE id > (SELECT coalesce(max(id), 0) FROM main.ticket)" if table == "ticket" else ""
            query = f"SELECT {columns} FROM other.{table}{where} EXCEPT SELECT {columns} FROM main.{table}"
            for found in run(query).fetchall():
                row = dict(found)
                if shape.accepts(row):
                    yield table, row

    def device_lists(self) -> Collection[tuple[int, int]]:
        query = "SELECT device_id, list_id FROM other.device_list"
        return [(row["device_id"], row["list_id"]) for row in self._connection.execute(query)]


class Several:
    """Findings in several places, taken one after the other."""

    def __init__(self, *parts: Findings) -> None:
        self._parts = parts

    @property
    def tops(self) -> Tops:
        return Tops(
            max((part.tops.checkin for part in self._parts), default=0),
            max((part.tops.ticket for part in self._parts), default=0),
        )

    def rows(self) -> Iterator[tuple[str, Values]]:
        for part in self._parts:
            yield from part.rows()

    def device_lists(self) -> Collection[tuple[int, int]]:
        return {pair for part in self._parts for pair in part.device_lists()}
