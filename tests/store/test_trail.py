"""A trail beside a copy: whatever happens after the copy is in it within one look, and comes out of it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import ConflictReason, Reason
from edgebox.store import backups, trail
from edgebox.store.copies import Copy
from edgebox.store.db import DATABASE_NAME
from edgebox.store.notes import Note
from edgebox.store.trail import Trail, lines_of, told_until
from tests.store.evening import assert_whole, facts
from tests.store.venue import EIGHT, LET_IN, Venue, many

KEPT = 3


class Stick:
    """A venue with a stick, a copy on it that has 20 of its check-ins, and that copy's trail."""

    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir()
        self.path = folder / "stick"
        self.path.mkdir()
        self.venue = Venue(folder / "data")
        self.venue.pull(*many(100))
        self.scan(range(20))
        self.copy = self.make_copy()
        self.trail = Trail(self.copy)

    def make_copy(self) -> Copy:
        return self.venue.store.backups_in(self.path).make(self.venue.now, KEPT)

    def scan(self, numbers: range) -> None:
        for number in numbers:
            assert self.venue.scan(f"s{number:04d}", nonce=f"nonce{number}") is LET_IN

    def follow(self) -> int:
        return self.trail.follow(self.venue.store.reading(), self.venue.now)

    def restored(self) -> Venue:
        """Another box that has nothing but the stick."""
        data_dir = self.path.with_name("second")
        data_dir.mkdir()
        backups.put_in_place(data_dir, backups.find(self.path), self.venue.now + timedelta(minutes=5))
        second = Venue(data_dir)
        second.now = self.venue.now + timedelta(minutes=6)
        return second

    def close(self) -> None:
        self.trail.close()
        self.venue.close()


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Stick]:
    opened = Stick(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_what_the_copy_has_is_not_told_again(stick: Stick) -> None:
    assert stick.follow() == 0
    stick.scan(range(20, 23))
    assert stick.follow() == 3
    assert stick.follow() == 0


def test_a_second_box_has_everything_that_was_recorded(stick: Stick) -> None:
    stick.scan(range(20, 40))
    stick.follow()
    late = stick.venue.add_device("Late gate")
    stick.venue.device = late
    stick.scan(range(40, 50))
    stick.follow()
    with closing(stick.restored()) as second:
        assert_whole(second)
        assert facts(second.journal) == facts(stick.venue.journal)
        assert second.scan("s0049") is Reason.ALREADY_REDEEMED
        assert second.scan("s0060") is LET_IN
        assert second.store.devices.named("Late gate").list_ids == late.list_ids


def test_what_became_of_a_check_in_is_told(stick: Stick) -> None:
    """Settled, refused first, in conflict, closed, undone: the second box must not tell it another way."""
    venue = stick.venue
    stick.scan(range(20, 26))
    stick.follow()
    for checkin in venue.pending()[:20]:
        venue.store.journal.settle(checkin, venue.now)
    refused, parked, undone = venue.pending()[:3]
    venue.store.journal.refused(refused, "already_redeemed")
    venue.store.journal.park(parked, ConflictReason.REFUSED, "upstream says no", venue.now)
    venue.store.journal.undo(undone.id, "Lena", "wrong guest", venue.now)
    assert stick.follow() > 20
    venue.store.journal.dismiss(parked.id, "seen", venue.now)
    assert stick.follow() == 1
    with closing(stick.restored()) as second:
        assert_whole(second)
        assert facts(second.journal) == facts(venue.journal)
        noted = "SELECT id, refused_as FROM checkin WHERE refused_as IS NOT NULL"
        (row,) = second.store.reading().execute(noted)
        assert tuple(row) == (refused.id, "already_redeemed")
        assert second.scan(undone.secret) is LET_IN


def test_an_exit_and_a_note_are_told(stick: Stick) -> None:
    stick.venue.store.notes.add(1, Note(stick.venue.now, "Lena", "lost her phone"))
    assert stick.follow() == 1
    with closing(stick.restored()) as second:
        (note,) = second.store.notes.of(1)
        assert note.text == "lost her phone"


def test_a_line_that_is_torn_or_wrong_costs_no_other(stick: Stick) -> None:
    stick.scan(range(20, 30))
    stick.follow()
    path = stick.copy.trail
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4][:40] + b"\xff" + lines[4][41:]
    path.write_bytes(b"".join(lines) + lines[-2][: len(lines[-2]) // 2])
    stick.trail.close()
    stick.trail = Trail(stick.copy)  # plugged in again: it begins a line of its own
    with closing(stick.restored()) as second:
        assert len(second.journal) == 29
        (report,) = second.store.restorations.unseen()
        assert report.known_missing == 1
        assert report.missing_from is not None
    stick.follow()
    assert len([told for told in lines_of(path) if "checkin" in told]) == 9 + 10, "told again, all of it"


def test_of_a_ticket_that_the_copy_lacks_the_check_in_counts(stick: Stick) -> None:
    stick.venue.pull(*many(101))
    stick.scan(range(100, 101))
    stick.follow()
    with closing(stick.restored()) as second:
        assert second.scan("s0100") is not LET_IN
        second.pull(*many(101))
        assert second.scan("s0100") is Reason.ALREADY_REDEEMED


def test_later_copies_begin_trails_of_their_own_and_old_ones_go(stick: Stick) -> None:
    for number in range(20, 26):
        stick.scan(range(number, number + 1))
        stick.follow()
        stick.trail.close()
        stick.copy = stick.make_copy()
        stick.trail = Trail(stick.copy)
    stick.scan(range(30, 33))
    stick.follow()
    assert len(list(stick.path.rglob("*.sqlite3"))) == KEPT
    assert len(list(stick.path.rglob("*.trail"))) == KEPT
    stick.copy.path.write_bytes(b"the newest copy went bad, as sticks do")
    with closing(stick.restored()) as second:
        assert facts(second.journal) == facts(stick.venue.journal)


def test_it_tells_until_when_it_has_everything(stick: Stick) -> None:
    stick.scan(range(20, 21))
    stick.follow()
    assert told_until(stick.copy.trail) == stick.venue.now
    stick.venue.now += timedelta(seconds=30)
    stick.follow()
    assert told_until(stick.copy.trail) == stick.venue.now


def test_a_purged_list_leaves_no_trace_of_names(stick: Stick) -> None:
    stick.scan(range(20, 25))
    stick.venue.store.notes.add(1, Note(stick.venue.now, "Lena", "lost her phone"))
    stick.follow()
    assert trail.purge(stick.copy.trail, [99]), "what was written by people goes with any list"
    assert len([told for told in lines_of(stick.copy.trail) if "checkin" in told]) == 5
    assert trail.purge(stick.copy.trail, [stick.venue.list_id])
    assert b"s0020" not in stick.copy.trail.read_bytes()
    assert not trail.purge(stick.copy.trail, [stick.venue.list_id])
    assert told_until(stick.copy.trail) is not None


def test_the_database_that_it_replaces_adds_what_the_stick_lacks(stick: Stick) -> None:
    """The same box's: the way back from an update, or of a box that was repaired."""
    stick.scan(range(20, 30))
    venue = stick.venue
    stick.trail.close()
    venue.settle()
    venue.close()
    report = backups.put_in_place(venue.data_dir, backups.find(stick.path), venue.now)
    assert (report.salvaged, report.known_missing, report.missing_to) == (10, 0, None)
    assert "nothing is missing" in report.in_words()
    stick.venue, stick.trail = Venue(venue.data_dir), Trail(stick.copy)
    assert_whole(stick.venue)
    assert [row.checkin.nonce for row in stick.venue.journal] == [f"nonce{number}" for number in range(30)]
    assert not stick.venue.pending()
    assert stick.venue.store.restorations.unseen() == []
    assert (venue.data_dir / report.kept_in / DATABASE_NAME).exists()


def test_of_a_newer_schema_what_this_box_knows_is_taken(stick: Stick) -> None:
    stick.scan(range(20, 30))
    stick.trail.close()
    data_dir = stick.venue.data_dir
    stick.venue.close()
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection:
        connection.execute("ALTER TABLE checkin ADD COLUMN mood TEXT")
        connection.execute("ALTER TABLE device ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
        connection.execute("CREATE TABLE weather (id INTEGER PRIMARY KEY)")
        connection.execute("PRAGMA user_version = 9999")
        connection.commit()
    report = backups.put_in_place(data_dir, backups.find(stick.path), EIGHT)
    assert report.salvaged == 10
    stick.venue, stick.trail = Venue(data_dir), Trail(stick.copy)
    assert_whole(stick.venue)
    assert len(stick.venue.journal) == 30
