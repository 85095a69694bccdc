"""The record of syncs, for the log. A failure that repeats only raises a count: an evening offline fills no card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.store.db import Connection
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

KEPT = 20_000


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One push, pull, probe or look-up; `count` above 1: it came to the same again, last at `last_at`."""

    list_id: int
    verb: str
    at: datetime
    last_at: datetime
    count: int
    duration_s: float
    is_ok: bool
    text: str


class Runs:
    """The runs of all lists."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def add(self, list_id: int, verb: str, at: datetime, duration_s: float, *, is_ok: bool, text: str) -> None:
        """Keep what a push or pull came to."""

        def job(connection: Connection) -> None:
            last = connection.execute(
                "SELECT id, is_ok, text FROM sync_run WHERE list_id = ? AND verb = ? ORDER BY id DESC LIMIT 1",
                (list_id, verb),
            ).fetchone()
            if not is_ok and last is not None and not last["is_ok"] and last["text"] == text:
                connection.execute(
                    "UPDATE sync_run SET count = count + 1, last_at = ? WHERE id = ?", (to_text(at), last["id"])
                )
                return
            connection.execute(
                "INSERT INTO sync_run (list_id, verb, at, last_at, duration_s, is_ok, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (list_id, verb, to_text(at), to_text(at), duration_s, is_ok, text),
            )
            connection.execute("DELETE FROM sync_run WHERE id <= (SELECT max(id) FROM sync_run) - ?", (KEPT,))

        self._writer.write(job)

    def newest(self, limit: int, list_id: int | None = None) -> list[SyncRun]:
        """The runs, newest first."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM sync_run WHERE ? IS NULL OR list_id = ? ORDER BY id DESC LIMIT ?",
                (list_id, list_id, limit),
            )
            return [
                SyncRun(
                    list_id=row["list_id"],
                    verb=row["verb"],
                    at=from_text(row["at"]),
                    last_at=from_text(row["last_at"]),
                    count=row["count"],
                    duration_s=row["duration_s"],
                    is_ok=bool(row["is_ok"]),
                    text=row["text"],
                )
                for row in rows
            ]
