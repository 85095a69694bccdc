"""An undo: a row of its own that cancels a check-in of which upstream was not told. Such a check-in never counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.export import JOURNAL_COLUMNS, journal_row, log_row
from edgebox.model import CheckInState, ConflictReason, Question, Reason, SourceKind
from edgebox.store import NotWritable, Refused
from edgebox.store.devices import tallies
from edgebox.store.journal import Cancellation
from tests.store.venue import EIGHT, LET_IN, TICKET, HeldWriter, Venue, a_catalog, full_disk, told


@pytest.fixture(autouse=True)
def tickets(venue: Venue) -> None:
    venue.pull(told("t1", attendee_name="Ada"), told("t2"))


@pytest.fixture
def file_venue(tmp_path: Path) -> Iterator[Venue]:
    """A venue whose list comes from a file."""
    (tmp_path / "file").mkdir()
    opened = Venue(tmp_path / "file", kind=SourceKind.FILE)
    opened.pull(told("t1"))
    yield opened
    opened.close()


def undo(venue: Venue, checkin_id: int | None = None, reason: str = "wrong guest") -> None:
    venue.store.journal.undo(checkin_id or venue.checkin.id, "Bea", reason, venue.now)


def claimed(venue: Venue, checkin_id: int) -> bool:
    """Whether a push may tell upstream of it."""
    return venue.store.journal.claims.claim(checkin_id)


# --- it does not count ------------------------------------------------------------------------------------------------


def test_an_undone_checkin_counts_nowhere(venue: Venue) -> None:
    venue.scan()
    assert venue.is_in()
    undo(venue)
    assert not venue.is_in()  # which compares search, download and counts
    assert venue.scan() is LET_IN, "the ticket can be used again"
    assert venue.is_in()


def test_it_is_never_pushed(venue: Venue) -> None:
    venue.scan()
    checkin_id = venue.checkin.id
    undo(venue)
    assert venue.pending() == []
    assert venue.store.journal.backlog(venue.list_id).pending == 0
    assert not claimed(venue, checkin_id), "nor from a batch that was read before"


def test_it_is_not_what_a_later_guest_is_told_of(venue: Venue) -> None:
    venue.scan()
    undo(venue)
    venue.scan()
    second = venue.now
    refused = venue.redeem().verdict
    assert refused.reason is Reason.ALREADY_REDEEMED
    assert refused.first_use is not None
    assert refused.first_use.at == second


def test_answers_given_with_it_are_asked_for_again(tmp_path: Path) -> None:
    """Upstream never gets to hear those of a check-in that it is not told of."""
    (tmp_path / "asking").mkdir()
    venue = Venue(tmp_path / "asking")
    question = Question(7, "S", "Size?", True, 0, frozenset({TICKET}))
    venue.store.lists.learn(venue.store.lists.all()[0], a_catalog(question), subevent=None)
    venue.pull(told("t1"))
    assert venue.scan(questions_supported=True, answers={7: "M"}) is LET_IN
    undo(venue)
    assert venue.scan(questions_supported=True) is Reason.INCOMPLETE
    venue.close()


def test_the_list_has_changed_for_whoever_caches_it(venue: Venue) -> None:
    venue.scan()
    before = venue.store.lists.version_of(venue.list_id)
    undo(venue)
    assert venue.store.lists.version_of(venue.list_id) > before


def test_it_is_not_among_what_a_device_has_done(venue: Venue) -> None:
    venue.scan("t1")
    venue.scan("t2")
    undo(venue)
    assert tallies(venue.store.reading())[venue.device.id].checkins == 1


def test_a_conflict_of_it_needs_no_attention_any_more(venue: Venue) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    assert len(venue.store.journal.open_conflicts()) == 1
    undo(venue)
    assert venue.store.journal.open_conflicts() == []
    assert venue.store.journal.backlog(venue.list_id).conflicts == 0
    assert (venue.checkin.conflict, venue.checkin.closed_reason) == (ConflictReason.ALREADY_REDEEMED, "undone")


def test_a_conflict_that_staff_closed_before_keeps_their_reason(venue: Venue) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    venue.store.journal.dismiss(venue.checkin.id, "Bea knows him", EIGHT)
    undo(venue)
    assert (venue.checkin.closed_reason, venue.checkin.conflict_closed_at) == ("Bea knows him", EIGHT)


# --- a phone that sends it again --------------------------------------------------------------------------------------


def test_a_phone_that_sends_it_again_is_told_ok_and_brings_nothing_back(venue: Venue) -> None:
    """It is the same entry, which staff have undone: an answer that got lost must not undo the undo."""
    venue.scan(nonce="n1")
    undo(venue)
    again = venue.redeem(nonce="n1")
    assert (again.verdict.is_ok, again.verdict.is_repeat, again.is_redeemed) == (True, True, False)
    assert not venue.is_in()
    assert len(venue.journal) == 1
    assert [entry.is_repeat for entry in venue.logged(2)] == [False, True]


def test_another_scan_of_the_ticket_is_another_checkin(venue: Venue) -> None:
    venue.scan(nonce="n1")
    undo(venue)
    assert venue.scan(nonce="n2") is LET_IN
    assert [row.checkin.state for row in venue.journal] == [CheckInState.CANCELLED, CheckInState.PENDING]


# --- what is on record ------------------------------------------------------------------------------------------------


def test_who_when_and_why_is_on_record(venue: Venue) -> None:
    venue.scan()
    checkin = venue.checkin
    undo(venue, reason="went home")
    expected = Cancellation(checkin.id, venue.now, "Bea", "went home")
    assert venue.store.journal.cancellations(checkin.ticket_id) == [expected]
    assert [each.id for each in venue.store.journal.of_ticket(checkin.ticket_id)] == [checkin.id]
    assert venue.journal[-1].cancellation == expected


def test_export_and_log_show_it(venue: Venue) -> None:
    venue.scan("t1")
    undo(venue, reason="went home")
    venue.scan("t2")
    undone, other = map(journal_row, venue.journal)
    assert tuple(undone) == JOURNAL_COLUMNS
    assert (undone["state"], undone["settled"], undone["undone_by"]) == ("cancelled", False, "Bea")
    assert (undone["undone_at"], undone["undone_reason"]) == ((EIGHT + timedelta(seconds=1)).isoformat(), "went home")
    assert (other["undone_at"], other["undone_by"], other["undone_reason"]) == (None, None, None)
    assert [(entry.secret, entry.verdict, entry.is_undone) for entry in venue.log()] == [
        ("t1", "ok", True), ("t2", "ok", False),
    ]  # fmt: skip
    assert [log_row(entry)["undone"] for entry in venue.log()] == [True, False]


# --- when it is refused -----------------------------------------------------------------------------------------------


def test_one_that_a_push_has_tried_is_not_undone(venue: Venue) -> None:
    venue.scan()
    assert claimed(venue, venue.checkin.id)
    with pytest.raises(Refused, match="upstream may know"):
        undo(venue)
    assert venue.is_in()
    assert venue.checkin.state is CheckInState.PENDING
    assert venue.store.journal.cancellations(venue.checkin.ticket_id) == []


def test_one_that_upstream_choked_on_is_not_undone(venue: Venue) -> None:
    venue.scan()
    claimed(venue, venue.checkin.id)
    venue.store.journal.choked(venue.checkin, "500")
    with pytest.raises(Refused, match="upstream may know"):
        undo(venue)


def test_one_that_was_parked_and_retried_is_not_undone(venue: Venue) -> None:
    """Upstream may have it though it never said so."""
    venue.scan()
    checkin = venue.checkin
    claimed(venue, checkin.id)
    venue.store.journal.park(checkin, ConflictReason.POISONOUS, "500", EIGHT)
    with pytest.raises(Refused, match="is parked"):
        undo(venue)
    venue.store.journal.retry(checkin.id)
    with pytest.raises(Refused, match="upstream may know"):
        undo(venue)


def test_one_that_upstream_has_is_not_undone(venue: Venue) -> None:
    venue.scan()
    claimed(venue, venue.checkin.id)
    venue.settle()
    with pytest.raises(Refused, match="is settled"):
        undo(venue)
    assert venue.is_in()
    assert claimed(venue, venue.checkin.id)


def test_one_from_before_a_restart_is_not_undone(venue: Venue, tmp_path: Path) -> None:
    venue.scan()
    venue.close()
    again = Venue(tmp_path)
    try:
        assert not again.store.journal.is_undoable(again.checkin)
        with pytest.raises(Refused, match="upstream may know"):
            undo(again)
        again.scan("t2")
        undo(again)
        assert not again.is_in("t2")
    finally:
        again.close()


def test_one_of_a_list_that_was_removed_is_not_undone(venue: Venue) -> None:
    venue.scan()
    venue.settle()
    venue.store.lists.remove(venue.list_id, venue.now)
    with pytest.raises(Refused, match="was removed"):
        undo(venue)
    assert venue.checkin.state is CheckInState.SETTLED
    assert not venue.store.journal.is_undoable(venue.checkin)


def test_a_second_undo_is_refused_and_does_not_give_the_checkin_back(venue: Venue) -> None:
    venue.scan()
    checkin_id = venue.checkin.id
    undo(venue)
    with pytest.raises(Refused, match="is cancelled"):
        undo(venue, checkin_id)
    assert not claimed(venue, checkin_id)


def test_of_two_undos_at_once_one_succeeds(venue: Venue) -> None:
    venue.scan()
    checkin_id = venue.checkin.id
    held = HeldWriter(venue.store._writer)
    outcomes: list[str] = []

    def one(name: str) -> None:
        try:
            venue.store.journal.undo(checkin_id, name, "twice", EIGHT)
        except Refused:
            outcomes.append("refused")
        else:
            outcomes.append("undone")

    threads = [threading.Thread(target=one, args=(name,)) for name in ("Ada", "Bea")]
    for thread in threads:
        thread.start()
    held.wait_for(jobs=2)
    held.release()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "undone"]
    assert not claimed(venue, checkin_id)


def test_a_checkin_that_is_not_there_is_not_undone(venue: Venue) -> None:
    with pytest.raises(Refused, match="there is no check-in 99"):
        undo(venue, 99)
    assert claimed(venue, 99)


def test_an_undo_that_cannot_be_written_leaves_the_checkin_to_the_push(venue: Venue) -> None:
    venue.scan()
    with full_disk(), pytest.raises(NotWritable):
        undo(venue)
    assert venue.checkin.state is CheckInState.PENDING
    assert venue.is_in()
    assert claimed(venue, venue.checkin.id)


# --- a list from a file -----------------------------------------------------------------------------------------------


def test_on_a_list_from_a_file_an_undo_is_always_possible(file_venue: Venue) -> None:
    file_venue.scan()
    assert file_venue.checkin.state is CheckInState.SETTLED
    assert file_venue.store.journal.is_undoable(file_venue.checkin)
    undo(file_venue)
    assert not file_venue.is_in()
    assert (file_venue.checkin.state, file_venue.checkin.settled_at) == (CheckInState.CANCELLED, None)
    assert file_venue.scan() is LET_IN


def test_on_a_list_from_a_file_also_after_a_restart(file_venue: Venue) -> None:
    file_venue.scan()
    file_venue.close()
    again = Venue(file_venue.data_dir)
    undo(again)
    assert not again.is_in()
    with pytest.raises(Refused, match="is cancelled"):
        undo(again)
    again.close()


# --- what staff are offered -------------------------------------------------------------------------------------------


def test_an_undo_is_offered_exactly_where_it_is_possible(venue: Venue) -> None:
    journal = venue.store.journal
    venue.scan()
    assert journal.is_undoable(venue.checkin)
    claimed(venue, venue.checkin.id)
    assert not journal.is_undoable(venue.checkin)
    venue.settle()
    assert not journal.is_undoable(venue.checkin)
    venue.scan("t2")
    undo(venue)
    assert not journal.is_undoable(venue.checkin)
