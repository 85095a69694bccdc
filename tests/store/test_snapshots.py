"""Snapshots: compared in place, little is written."""

from __future__ import annotations

import threading
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from edgebox.model import ConflictReason, Reason, TicketData
from edgebox.store import NotWritable, Refused
from edgebox.store.writer import Job
from tests.store.venue import HeldWriter, Venue, frames_in_wal, full_disk, many, told

REDEEMED = Reason.ALREADY_REDEEMED


def changes(venue: Venue) -> int:
    """Rows that the store has written so far."""
    return venue.store._writer.write(lambda connection: connection.total_changes)


# --- what is written --------------------------------------------------------------------------------------------------


def test_an_unchanged_snapshot_writes_nothing_but_that_it_was_there(venue: Venue) -> None:
    tickets = many(1000, redeemed=lambda number: number % 3 == 0)
    venue.take_in(tickets)
    venue.take_in(tickets)
    version = venue.store.lists.version_of(venue.list_id)
    changes_before, frames_before = changes(venue), frames_in_wal(venue.data_dir)
    taken = venue.take_in(tickets)
    assert (taken.tickets, taken.written, taken.withdrawn, taken.undone) == (1000, 0, 0, 0)
    assert changes(venue) - changes_before <= 2  # the counter, and the source's last pull
    assert frames_in_wal(venue.data_dir) - frames_before <= 2
    assert venue.store.lists.version_of(venue.list_id) == version, "whoever caches the list would build it again"


def test_only_what_is_new_or_changed_is_written(venue: Venue) -> None:
    tickets = many(500)
    venue.take_in(tickets)
    tickets[7] = told("s0007", attendee_name="Renamed")
    tickets.append(told("new"))
    assert venue.take_in(tickets).written == 2
    assert changes(venue) > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_code", "OTHER"),
        ("item_id", 20),
        ("variation_id", 5),
        ("attendee_name", "Łukasz"),
        ("attention", True),
        ("is_paid", False),
        ("checkin_allowed", False),
        ("addons_text", "+ T-Shirt"),
        ("position_id", 7),
        ("number", 3),
        ("addon_to", 8),
        ("subevent", 9),
        ("is_cancelled", True),
        ("is_closed", True),
        ("awaits_approval", True),
        ("is_blocked", True),
        ("valid_from", datetime(2026, 11, 24, 18, tzinfo=UTC)),
        ("valid_until", datetime(2026, 11, 24, 23, tzinfo=UTC)),
        ("valid_if_pending", True),
        ("is_test", True),
        ("seat", "A 7"),
        ("checkin_text", "Give a badge"),
        ("answers", ((1, "yes"), (2, "5,6"))),
    ],
)
def test_each_field_of_a_ticket_is_kept_and_followed(venue: Venue, field: str, value: object) -> None:
    for ticket in (told(), told(**{field: value}), told()):  # type: ignore[arg-type]
        venue.pull(ticket)
        found = venue.store.tickets.find(venue.list_, "t1")
        assert found is not None
        assert found.ticket.data == ticket.data


def test_the_test_above_names_every_field() -> None:
    (parameters,) = test_each_field_of_a_ticket_is_kept_and_followed.pytestmark  # type: ignore[attr-defined]
    named = {field for field, _value in parameters.args[1]}
    assert {field.name for field in fields(TicketData)} == {"secret", *named}


@pytest.mark.parametrize("distance", [1, 250])
def test_a_secret_that_comes_twice_counts_once_and_the_first_time(venue: Venue, distance: int) -> None:
    tickets = [told("twice", attendee_name="First"), *many(distance), told("twice", attendee_name="Second")]
    for _ in range(2):
        snapshot = venue.begin()
        snapshot.add(tickets)
        venue.finish(snapshot)
        assert snapshot.duplicates == 1
    found = venue.store.tickets.find(venue.list_, "twice")
    assert found is not None
    assert found.ticket.data.attendee_name == "First"
    assert venue.store.tickets.counts(venue.list_).all.total == distance + 1


@pytest.mark.parametrize(("is_scanning", "slices"), [(True, 20), (False, 1)])
def test_a_big_snapshot_comes_in_slices_that_leave_room_for_scans(venue: Venue, is_scanning: bool, slices: int) -> None:
    venue.pull(told())
    if is_scanning:
        venue.scan("nobody")
    snapshot = venue.begin()
    ran: list[str] = []
    write_slice = venue.store._writer.write_slice

    def noted(job: Job[object]) -> object:
        ran.append("slice")
        return write_slice(job)

    venue.store._writer.write_slice = noted  # type: ignore[assignment]
    snapshot.add([told(), *many(999)])
    assert len(ran) == slices


def test_the_last_pull_and_its_length_are_told(venue: Venue) -> None:
    assert venue.list_.source.last_pull is None
    venue.pull(told())
    assert venue.list_.source.last_pull == venue.now
    assert venue.list_.source.last_pull_duration_s == 0.5


# --- the list goes, the disk fails ------------------------------------------------------------------------------------


def test_a_pull_of_a_list_that_is_removed_meanwhile_ends_and_leaves_nothing(venue: Venue) -> None:
    venue.pull(told("t1"))
    snapshot = venue.begin()
    snapshot.add([told("t1")])
    venue.store.lists.remove(venue.list_id, venue.now)
    with pytest.raises(Refused):
        snapshot.add([told("t2")])
    with pytest.raises(Refused):
        venue.finish(snapshot)
    assert venue.store.reading().execute("SELECT count(*) FROM ticket").fetchone()[0] == 0


def test_a_slice_beside_the_removal_of_its_list_leaves_nothing(venue: Venue) -> None:
    """Both in one batch: what is in memory says that the list is still there."""
    snapshot = venue.begin()
    outcomes: list[str] = []

    def remove() -> None:
        venue.store.lists.remove(venue.list_id, venue.now)

    def add() -> None:
        try:
            snapshot.add([told("t2")])
        except Refused:
            outcomes.append("refused")

    held = HeldWriter(venue.store._writer)
    threads = [threading.Thread(target=work) for work in (remove, add)]
    for thread in threads:
        thread.start()
    held.wait_for(jobs=1, slices=1)
    held.release()
    for thread in threads:
        thread.join()
    assert outcomes == ["refused"]
    assert venue.store.reading().execute("SELECT count(*) FROM ticket").fetchone()[0] == 0


def test_a_pull_onto_a_full_disk_changes_nothing_and_succeeds_later(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.scan("s0000")
    with full_disk(), pytest.raises(NotWritable):
        venue.take_in(many(300))
    assert venue.store.tickets.held(venue.list_) == 100
    assert venue.scan("s0000") is REDEEMED
    assert venue.take_in(many(300)).written == 200


def test_a_parked_checkin_of_a_withdrawn_ticket_can_still_be_shown(venue: Venue) -> None:
    venue.pull(told("t1", attendee_name="Ada"), told("t2"))
    venue.scan("t1")
    venue.store.journal.park(venue.checkin, ConflictReason.REFUSED, "unknown there", venue.now)
    venue.pull(told("t2"))
    (conflict,) = venue.store.journal.open_conflicts()
    assert (conflict.attendee_name, conflict.order_code) == ("Ada", "ABCDE")
