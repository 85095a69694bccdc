"""What staff want others to know about a ticket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Note:
    """One remark."""

    at: datetime
    staff_name: str
    text: str


class Notes:
    """The notes on tickets."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    def add(self, ticket_id: int, note: Note) -> None:
        """Keep a note."""
        self._writer.write(
            lambda connection: connection.execute(
                "INSERT INTO note (ticket_id, at, staff_name, text) VALUES (?, ?, ?, ?)",
                (ticket_id, to_text(note.at), note.staff_name, note.text),
            )
        )

    def of(self, ticket_id: int) -> list[Note]:
        """A ticket's notes, oldest first."""
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT * FROM note WHERE ticket_id = ? ORDER BY id", (ticket_id,))
            return [Note(from_text(row["at"]), row["staff_name"], row["text"]) for row in rows]
