"""A trail: what has happened since a copy of the database, in a file beside it, a line a row.

A copy takes minutes on a slow stick, a line no time: so at most seconds of an evening are on the box alone. Each line
has a checksum of its own, for a stick may be pulled out in the middle of one; what is readable counts, wherever it is.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from edgebox.instants import from_text, to_text
from edgebox.store import files
from edgebox.store.copies import Copy
from edgebox.store.db import Connection, Row, peek, reading
from edgebox.store.findings import Tops, Values, shapes

IDLE = timedelta(seconds=30)
"""While nothing happens, that is said only so often."""
AT = "at"
"""What a line has that tells until when everything was written."""
PAIRS = "device_list"

_SMALL: Mapping[str, frozenset[str]] = {
    "source": frozenset({"catalog", "told", "last_pull", "last_pull_duration_s", "state"}),
    "connection": frozenset({"server_version"}),
    "list": frozenset({"last_push"}),
    "device": frozenset({"last_seen_at", "user_agent", "shown_address"}),
    "note": frozenset(),
    "cancellation": frozenset(),
}
"""Small tables, all of which is looked at: a row is told again when it changes, but for these columns."""
_STANDING = ("state", "conflict", "refused_as", "stamp")
_CONFLICTS = (
    "SELECT * FROM checkin INDEXED BY checkin_conflict"
    " WHERE list_id = ? AND conflict IS NOT NULL AND conflict_closed_at IS NULL"
)
_OLDEST_PENDING = "SELECT * FROM checkin WHERE list_id = ? AND state = 'pending' ORDER BY id LIMIT 50"
"""A push tells the oldest first, a few at a time: what is noted of a refusal stands in one of these."""


class Trail:
    """Follows one copy. Not thread-safe; close it."""

    def __init__(self, of: Copy) -> None:
        """What the copy has is left out; what there is of its trail already is added to. Raises OSError, StoreError."""
        self.copy = of
        with closing(peek(of.path)) as copied:
            self._state = _State(copied)
        self._told_until: datetime | None = None
        self._file = os.open(of.trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        os.close(self._file)

    def follow(self, connection: Connection, at: datetime) -> int:
        """Write what has changed, and (where nothing has, only now and then) that it is complete up to `at`. On the
        disk when it returns; how many rows.

        Raises OSError, StoreError: then this object is of no more use, and another one begins where the copy ends.
        """
        with reading(connection):
            lines = [_line({table: row}) for table, row in self._state.changes(connection)]
        if not lines and self._told_until is not None and at - self._told_until < IDLE:
            return 0
        # A line of its own before everything, for the last one may have been torn.
        content = b"\n" + b"".join(lines) + _line({AT: to_text(at)})
        while content:
            content = content[os.write(self._file, content) :]
        os.fdatasync(self._file)
        self._told_until = at
        return len(lines)


class InTrails:
    """Findings in the trails of some copies; those of one copy also hold what the next copy has."""

    def __init__(self, connection: Connection, paths: Collection[Path]) -> None:
        """`connection` is to have them."""
        self._connection = connection
        self._paths = paths
        self._pairs: set[tuple[int, int]] = set()
        self.tops = Tops()

    def rows(self) -> Iterator[tuple[str, Values]]:
        known = shapes(self._connection)
        for path in self._paths:
            for told in lines_of(path):
                for table, row in told.items():
                    match row:
                        case [int(device_id), int(list_id)] if table == PAIRS:
                            self._pairs.add((device_id, list_id))
                        case dict() if table in known:
                            shape = known[table]
                            row = {column: row[column] for column in shape.columns if column in row}
                            if shape.accepts(row):
                                if isinstance(row.get("id"), int):
                                    self.tops.note(table, row["id"])
                                yield table, row

    def device_lists(self) -> Collection[tuple[int, int]]:
        return self._pairs


def told_until(path: Path) -> datetime | None:
    """Until when a trail has everything; None where nothing in it tells. Raises OSError."""
    instants = [from_text(told[AT]) for told in lines_of(path) if AT in told]
    return max(instants, default=None)


def purge(path: Path, list_ids: Collection[int]) -> bool:
    """Take what is personal of some lists out of a trail; False where there is nothing of it. Raises OSError."""
    told = list(lines_of(path))
    staying = [line for line in told if all(_stays(table, row, list_ids) for table, row in line.items())]
    if len(staying) == len(told):
        return False
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(b"".join(map(_line, staying)))
    files.sync(part)
    files.move(part, path)
    return True


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """What can be read of a trail. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            sum_, _, text = line.rstrip(b"\n").partition(b" ")
            try:
                if int(sum_, 16) == zlib.crc32(text) and isinstance(told := json.loads(text), dict):
                    yield told
            except ValueError:
                continue


def _line(told: dict[str, object]) -> bytes:
    text = json.dumps(told, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _stays(table: str, row: Any, list_ids: Collection[int]) -> bool:
    if table == "checkin":
        return row.get("list_id") not in list_ids
    # What was written or named by people may be about anybody. That a check-in was undone is in its own row, too.
    return table not in ("cancellation", "note", "device")


class _State:
    """What was told of a database. It begins with what there is of one; `changes` goes on from there."""

    def __init__(self, connection: Connection) -> None:
        run = connection.execute
        (self._last,) = run("SELECT coalesce(max(id), 0) FROM checkin").fetchone()
        self._settled = {row[0]: row[1] for row in run("SELECT list_id, max(settled_number) FROM checkin GROUP BY 1")}
        self._seen: dict[str, dict[int, object]] = {}
        self._pairs: frozenset[tuple[int, int]] = frozenset()
        for _ in self.changes(connection):
            pass

    def changes(self, connection: Connection) -> Iterator[tuple[str, object]]:
        """Tables, and rows that are new or changed; taken for told with that."""
        yield from self._checkins(connection)
        for table, volatile in _SMALL.items():
            query = f"SELECT * FROM {table} ORDER BY rowid"
            for row in self._changed(table, connection.execute(query), partial(_but, volatile)):
                yield table, row
                if table == "cancellation":
                    yield from _checkins_of(connection, [row["checkin_id"]])
        pairs = frozenset(tuple(row) for row in connection.execute("SELECT device_id, list_id FROM device_list"))
        yield from ((PAIRS, list(pair)) for pair in sorted(pairs - self._pairs))
        self._pairs = pairs

    def _checkins(self, connection: Connection) -> Iterator[tuple[str, object]]:
        run, before = connection.execute, self._last
        for row in run("SELECT * FROM checkin WHERE id > ? ORDER BY id", (before,)):
            self._last = row["id"]
            yield "checkin", dict(row)
        standing: list[Row] = []
        for (list_id,) in run("SELECT id FROM list ORDER BY id").fetchall():
            settled = "SELECT * FROM checkin WHERE list_id = ? AND settled_number > ? ORDER BY settled_number"
            for row in run(settled, (list_id, self._settled.get(list_id) or 0)):
                self._settled[list_id] = row["settled_number"]
                if row["id"] <= before:
                    yield "checkin", dict(row)
            standing += run(_CONFLICTS, (list_id,)).fetchall() + run(_OLDEST_PENDING, (list_id,)).fetchall()
        known = set(self._seen.get("checkin", ()))
        for row in self._changed("checkin", standing, lambda row: tuple(row[column] for column in _STANDING)):
            if row["id"] <= before:
                yield "checkin", row
        # Those that stand there no more: pushed, closed, or undone.
        yield from _checkins_of(connection, sorted(known - {row["id"] for row in standing}))

    def _changed(self, table: str, rows: Iterable[Row], print_of: Callable[[Row], object]) -> Iterator[Values]:
        before, now = self._seen.get(table, {}), {}
        for row in rows:
            print_ = now[row[0]] = print_of(row)
            if before.get(row[0]) != print_:
                yield dict(row)
        self._seen[table] = now


def _but(volatile: frozenset[str], row: Row) -> object:
    return hash(tuple(row[column] for column in row.keys() if column not in volatile))  # noqa: SIM118 (a Row has no other)


def _checkins_of(connection: Connection, ids: Sequence[int]) -> Iterator[tuple[str, object]]:
    for checkin_id in ids:
        for row in connection.execute("SELECT * FROM checkin WHERE id = ?", (checkin_id,)):
            yield "checkin", dict(row)
