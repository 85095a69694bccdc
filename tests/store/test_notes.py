"""Notes on tickets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from edgebox.store.notes import Note
from tests.store.venue import EIGHT, Venue, told


def test_a_ticket_has_its_notes_oldest_first(venue: Venue, tmp_path: Path) -> None:
    venue.pull(told("t1"), told("t2"))
    first, second = (
        found.ticket.id for found in venue.store.tickets.counted(venue.store.lists.all()[0], None)
    )  # fmt: skip
    notes = [Note(EIGHT + timedelta(minutes=n), "Bea", f"<b>note {n}</b> \N{SNOWMAN}") for n in range(3)]
    for note in notes:
        venue.store.notes.add(first, note)
    venue.close()
    again = Venue(tmp_path)
    assert again.store.notes.of(first) == notes
    assert again.store.notes.of(second) == []
    again.close()
