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


def test_a_list_is_removed_with_the_notes_on_its_tickets(venue: Venue) -> None:
    """Of one who never came: the ticket goes, and what was noted of it."""
    venue.pull(told("t1"), told("t2"))
    venue.settle()
    found = venue.store.tickets.find(venue.list_, "t1")
    assert found is not None
    venue.store.notes.add(found.ticket.id, Note(EIGHT, "Ada", "sits in the first row"))
    venue.store.lists.remove(venue.list_id, EIGHT)
    assert venue.store.notes.of(found.ticket.id) == []
    assert venue.store.reading().execute("SELECT count(*) FROM ticket").fetchone()[0] == 0
