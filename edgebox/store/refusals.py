"""Refused attempts that upstream wants to know of, until it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from edgebox.instants import from_text
from edgebox.model import Direction
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt that was refused here. `verdict` is the true reason; `position_id` None: nobody knows the ticket."""

    id: int
    secret: str = field(repr=False)
    verdict: str
    at: datetime
    direction: Direction
    position_id: int | None


class Refusals:
    """Those that are to be reported, by list."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def next(self, list_id: int, limit: int) -> list[Refusal]:
        """The oldest that upstream does not know of yet."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                "SELECT attempt.id, attempt.secret, verdict, at, direction, position_id"
                " FROM attempt INDEXED BY attempt_to_report LEFT JOIN ticket ON ticket.id = ticket_id"
                " WHERE list_id = ? AND to_report = 1 ORDER BY attempt.id LIMIT ?",
                (list_id, limit),
            ).fetchall()
        return [
            Refusal(
                id=row["id"],
                secret=row["secret"],
                verdict=row["verdict"],
                at=from_text(row["at"]),
                direction=Direction(row["direction"]),
                position_id=row["position_id"],
            )
            for row in rows
        ]

    def reported(self, refusals: Iterable[Refusal]) -> None:
        """Upstream knows of them, or never will."""
        ids = [(refusal.id,) for refusal in refusals]
        if ids:
            self._writer.write(
                lambda connection: connection.executemany("UPDATE attempt SET to_report = 0 WHERE id = ?", ids)
            )
