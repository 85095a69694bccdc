"""Who counts as in, by the store's own numbers: what was told, what was settled, which request came first."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import CheckInState, ConflictReason, PastCheckIn, Reason
from tests.store.venue import EIGHT, LET_IN, Venue, told

REDEEMED = Reason.ALREADY_REDEEMED


# --- the box's own check-ins ------------------------------------------------------------------------------------------


def test_a_ticket_lets_in_once(venue: Venue) -> None:
    venue.pull(told())
    assert not venue.is_in()
    assert venue.scan() is LET_IN
    assert venue.scan() is REDEEMED
    assert venue.is_in()
    assert len(venue.journal) == 1


def test_a_ticket_is_known_by_exactly_its_secret(venue: Venue) -> None:
    venue.pull(told("Secret"))
    for other in ("secret", "Secret ", "SECRET", "", "Secre"):
        assert venue.scan(other) is Reason.UNKNOWN_TICKET
    assert venue.scan("Secret") is LET_IN


def test_a_pending_checkin_counts_whatever_upstream_tells(venue: Venue) -> None:
    venue.pull(told())
    assert venue.scan() is LET_IN
    venue.pull(told())
    venue.pull(told())
    assert venue.scan() is REDEEMED
    assert venue.is_in()


@pytest.mark.parametrize("dismisses", [False, True])
def test_a_parked_or_dismissed_checkin_goes_on_counting(venue: Venue, dismisses: bool) -> None:
    venue.pull(told())
    venue.scan()
    venue.store.journal.park(venue.checkin, ConflictReason.REFUSED, "no", venue.now)
    if dismisses:
        venue.store.journal.dismiss(venue.checkin.id, None, venue.now)
    assert venue.checkin.state is (CheckInState.DISMISSED if dismisses else CheckInState.PARKED)
    venue.pull(told())
    assert venue.is_in()
    assert venue.scan() is REDEEMED


def test_settled_after_the_request_that_told_it_still_counts(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    number = venue.request()
    venue.settle()
    venue.pull(told(), number=number)
    assert venue.is_in()
    assert venue.scan() is REDEEMED


def test_settled_before_the_request_that_no_longer_tells_it_was_undone_upstream(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    assert venue.pull(told()).undone == 1
    assert not venue.is_in()
    assert venue.scan() is LET_IN
    assert venue.scan() is REDEEMED


def test_settled_before_the_request_that_tells_it_is_the_one_meant(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    venue.pull(told(redeemed=True))
    verdict = venue.redeem().verdict
    assert verdict.reason is REDEEMED
    assert verdict.first_use == PastCheckIn(EIGHT + timedelta(seconds=1), "Gate 1")


def test_after_an_undo_the_first_use_is_the_one_after_it(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    venue.pull(told())
    venue.scan(at=EIGHT + timedelta(hours=1))
    venue.settle()
    venue.pull(told(redeemed=True))
    venue.scan(is_forced=True, at=EIGHT + timedelta(hours=2))
    venue.settle()
    venue.pull(told(redeemed=True))
    assert venue.redeem().verdict.first_use == PastCheckIn(EIGHT + timedelta(hours=1), "Gate 1")


def test_an_undo_takes_effect_though_the_box_had_been_told_of_the_checkin(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    venue.pull(told(redeemed=True))
    venue.pull(told())
    assert not venue.is_in()
    assert venue.scan() is LET_IN


def test_an_undo_takes_effect_though_the_ticket_changed_with_it(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    venue.pull(told(attendee_name="Renamed"))
    assert not venue.is_in()


def test_a_checkin_made_elsewhere_counts_as_soon_as_it_is_told(venue: Venue) -> None:
    venue.pull(told(redeemed=True))
    assert venue.is_in()
    assert venue.redeem().verdict.first_use == PastCheckIn(None)
    assert venue.journal == []


# --- a pull under way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settles", ["before the slice", "after the slice", "after the end", "never"])
@pytest.mark.parametrize("changes", [False, True])
def test_a_pull_under_way_never_lets_a_scanned_ticket_in_twice(venue: Venue, settles: str, changes: bool) -> None:
    venue.pull(told())
    snapshot = venue.begin()
    # Upstream made this body before the scan.
    body = told(attendee_name="Renamed" if changes else None)
    assert venue.scan() is LET_IN
    if settles == "before the slice":
        venue.settle()
    snapshot.add([body])
    assert venue.scan() is REDEEMED
    if settles == "after the slice":
        venue.settle()
    assert venue.scan() is REDEEMED
    venue.finish(snapshot)
    if settles == "after the end":
        venue.settle()
    assert venue.scan() is REDEEMED
    assert venue.is_in()


def test_an_undo_that_the_pull_under_way_brings_waits_for_its_end(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    snapshot = venue.begin()
    snapshot.add([told(attendee_name="Renamed")])
    assert venue.scan() is REDEEMED
    venue.finish(snapshot)
    assert venue.scan() is LET_IN


def test_a_snapshot_dated_back_overrules_nothing_that_was_settled_since(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [1000.0]
    monkeypatch.setattr("edgebox.store.numbers.time.monotonic", lambda: seconds[0])
    venue.pull(told())
    seconds[0] = 1010.0
    venue.scan()
    venue.settle()
    seconds[0] = 1015.0
    request = venue.request()
    # A cache answers with a body of 8 s ago: from before the settlement.
    venue.pull(told(), number=venue.store.numbers.dated_back(request, age_s=8.0))
    assert venue.is_in()
    # One of 3 s ago is from after it.
    venue.pull(told(), number=venue.store.numbers.dated_back(request, age_s=3.0))
    assert not venue.is_in()


def test_a_body_older_than_this_process_remembers_overrules_nothing(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.pull(told(attendee_name="New"))
    venue.close()
    venue = Venue(tmp_path)
    try:
        number = venue.store.numbers.dated_back(venue.request(), age_s=3600.0)
        assert venue.pull(told(attendee_name="Old"), told("t2"), number=number).is_stale
        assert venue.scan("t2") is Reason.UNKNOWN_TICKET
        assert venue.scan() is LET_IN
    finally:
        venue.close()


def test_numbers_are_dated_by_when_they_were_taken_also_after_the_database_was_reopened(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, seconds = venue.store.numbers, [1000.0]
    monkeypatch.setattr("edgebox.store.numbers.time.monotonic", lambda: seconds[0])
    early = numbers.next()
    seconds[0] = 1010.0
    late = numbers.next()
    seconds[0] = 1020.0
    numbers.reload(venue.store.reading())
    assert numbers.dated_back(late, age_s=5.0) == early
    assert numbers.dated_back(late, age_s=10.0) == early
    assert numbers.dated_back(late, age_s=0.0) == late
    assert numbers.dated_back(late + 1, age_s=0.0) == 0
    assert numbers.next() > late, "no number is given twice"


def test_a_settlement_counts_as_later_than_every_request_before_it_also_after_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    for _ in range(3):
        venue.pull(told())
    venue.scan()
    venue.close()
    venue = Venue(tmp_path)
    try:
        number = venue.request()
        venue.settle()
        venue.pull(told(), number=number)
        assert venue.is_in()
    finally:
        venue.close()


def test_a_settlement_counts_as_earlier_than_every_request_after_it_also_after_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    everyone = [told(f"t{number}") for number in range(4)]
    venue.pull(*everyone)
    for ticket in everyone:
        venue.scan(ticket.data.secret)
    venue.settle()
    venue.close()
    venue = Venue(tmp_path)
    try:
        assert venue.pull(*everyone).undone == 4
        assert not any(venue.is_in(ticket.data.secret) for ticket in everyone)
    finally:
        venue.close()


# --- withdrawn, and back again ----------------------------------------------------------------------------------------


def test_a_ticket_that_a_whole_snapshot_no_longer_has_is_withdrawn(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    assert venue.pull(told("t2")).withdrawn == 1
    assert venue.scan("t1") is Reason.WITHDRAWN
    assert venue.store.tickets.counts(venue.list_).all.total == 1
    assert venue.pull(told("t2")).withdrawn == 0


def test_a_withdrawn_ticket_that_is_told_again_is_good_again(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.pull(told("t2"))
    venue.pull(told("t1"), told("t2"))
    assert venue.scan("t1") is LET_IN


@pytest.mark.parametrize("settles", [False, True])
def test_who_is_in_stays_in_while_the_ticket_is_withdrawn_and_when_it_is_back(venue: Venue, settles: bool) -> None:
    venue.pull(told("t1"), told("t2"))
    assert venue.scan("t1") is LET_IN
    if settles:
        venue.settle()
    venue.pull(told("t2"))
    assert venue.is_in("t1")
    verdict = venue.redeem("t1", is_forced=True).verdict
    assert verdict.passed is Reason.WITHDRAWN
    assert verdict.first_use is not None
    venue.look_up(told("t1"))
    assert venue.scan("t1") is REDEEMED


def test_a_broken_snapshot_takes_nothing_away_and_keeps_what_it_brought(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.scan("t1")
    venue.settle()
    venue.begin().add([told("t1"), told("t3", redeemed=True), told("t4")])
    # Its body ended here: no `finish`.
    assert venue.scan("t1") is REDEEMED
    assert venue.scan("t2") is LET_IN
    assert venue.scan("t3") is REDEEMED
    assert venue.scan("t4") is LET_IN


# --- older and newer requests -----------------------------------------------------------------------------------------


def test_a_ticket_is_never_overwritten_by_an_older_request(venue: Venue) -> None:
    older = venue.request()
    venue.pull(told(attendee_name="New", is_paid=True))
    venue.look_up(told(attendee_name="Old", is_paid=False), number=older)
    taken = venue.pull(told(attendee_name="Old", is_paid=False), number=older)
    assert taken.is_stale
    found = venue.store.tickets.find(venue.list_, "t1")
    assert found is not None
    assert (found.ticket.data.attendee_name, found.ticket.data.is_paid) == ("New", True)


def test_an_older_request_neither_adds_nor_takes_away_what_a_newer_snapshot_told(venue: Venue) -> None:
    older = venue.request()
    venue.pull(told("t1"), told("t2", redeemed=True))
    venue.look_up(told("gone"), number=older)
    assert venue.pull(told("t1", redeemed=True), told("gone"), number=older).is_stale
    assert venue.scan("gone") is Reason.UNKNOWN_TICKET
    assert venue.is_in("t2")
    assert not venue.is_in("t1")


def test_a_ticket_sold_at_the_door_is_taken_in_by_a_look_up(venue: Venue) -> None:
    venue.pull(told("t1"))
    assert venue.scan("door") is Reason.UNKNOWN_TICKET
    venue.look_up(told("door"))
    assert venue.scan("door") is LET_IN
    assert venue.scan("t1") is LET_IN


def test_a_snapshot_that_began_before_a_look_up_does_not_withdraw_what_that_found(venue: Venue) -> None:
    venue.pull(told("t1"))
    snapshot = venue.begin()
    venue.look_up(told("door"))
    snapshot.add([told("t1")])
    assert venue.finish(snapshot).withdrawn == 0
    assert venue.scan("door") is LET_IN


def test_a_snapshot_that_began_before_a_look_up_does_not_undo_what_that_found(venue: Venue) -> None:
    venue.pull(told("t1"))
    snapshot = venue.begin()
    venue.look_up(told("t1", redeemed=True))
    snapshot.add([told("t1")])
    venue.finish(snapshot)
    assert venue.is_in("t1")
    venue.pull(told("t1"))
    assert not venue.is_in("t1")


def test_a_snapshot_compared_before_a_look_up_does_not_undo_what_that_found_later(venue: Venue) -> None:
    venue.pull(told("t1", redeemed=True))
    snapshot = venue.begin()
    snapshot.add([told("t1")])
    venue.look_up(told("t1", redeemed=True, attendee_name="New"))
    venue.finish(snapshot)
    assert venue.is_in("t1")


def test_a_look_up_takes_nothing_away(venue: Venue) -> None:
    venue.pull(told("t1", redeemed=True), told("t2"))
    venue.look_up(told("t1"))
    venue.look_up(told("t1", attendee_name="Renamed"))
    assert venue.is_in("t1")
    assert venue.scan("t2") is LET_IN


def test_a_look_up_keeps_the_boxs_own_checkin_counting(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    venue.look_up(told(attendee_name="Renamed"))
    assert venue.scan() is REDEEMED
