"""What a pull would take away and is too much to believe unseen: it waits for staff, and goes on counting."""

from __future__ import annotations

import pytest

from edgebox.model import Reason
from edgebox.store import Refused
from edgebox.store.held import HeldBack, Kind
from edgebox.store.writer import Job
from tests.store.venue import LET_IN, Venue, many, told

REDEEMED = Reason.ALREADY_REDEEMED


# --- withdrawals that wait --------------------------------------------------------------------------------------------


def test_twenty_withdrawals_are_believed_however_much_of_the_list_that_is(venue: Venue) -> None:
    venue.take_in(many(20))
    taken = venue.take_in([])
    assert (taken.withdrawn, bool(taken.held)) == (20, False)
    assert venue.store.tickets.held(venue.list_) == 0


def test_a_tenth_of_the_list_is_believed_however_many_that_are(venue: Venue) -> None:
    venue.take_in(many(300))
    assert venue.take_in(many(270)).withdrawn == 30


def test_more_than_twenty_and_more_than_a_tenth_wait(venue: Venue) -> None:
    venue.take_in(many(300))
    taken = venue.take_in([*many(269), told("new")])
    assert taken.withdrawn == 0
    assert taken.held == venue.store.held.of(venue.list_) == HeldBack(tickets=31, checkins=0)
    assert venue.scan("s0299") is LET_IN, "what waits is good"
    assert venue.scan("new") is LET_IN, "all else is applied"
    assert len(venue.store.held.tickets(venue.list_, 5)) == 5
    assert {ticket.kind for ticket in venue.store.held.tickets(venue.list_, 100)} == {Kind.TICKET}


def test_the_share_is_of_what_the_list_had_before(venue: Venue) -> None:
    venue.take_in(many(50))
    taken = venue.take_in(many(1000, start=1000))
    assert taken.held == HeldBack(tickets=50, checkins=0), "all of the old list is gone, however many are new"


def test_accepted_withdrawals_are_withdrawn(venue: Venue) -> None:
    venue.take_in(many(500))
    venue.take_in(many(10))
    assert venue.store.held.accept(venue.list_) == HeldBack(tickets=490, checkins=0)
    assert not venue.store.held.of(venue.list_)
    assert venue.scan("s0499") is Reason.WITHDRAWN
    assert venue.store.tickets.held(venue.list_) == 10
    assert venue.take_in(many(10)).withdrawn == 0
    with pytest.raises(Refused, match="nothing waits"):
        venue.store.held.accept(venue.list_)


def test_rejected_withdrawals_stay_and_are_not_asked_again(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.take_in(many(50))
    assert venue.store.held.reject(venue.list_) == HeldBack(tickets=50, checkins=0)
    for _ in range(2):
        taken = venue.take_in(many(50))
        assert (taken.withdrawn, bool(taken.held)) == (0, False)
    assert venue.scan("s0099") is LET_IN
    with pytest.raises(Refused, match="nothing waits"):
        venue.store.held.reject(venue.list_)


def test_what_was_rejected_and_is_told_again_is_asked_again_when_it_goes(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.take_in(many(50))
    venue.store.held.reject(venue.list_)
    venue.take_in(many(100))
    assert venue.take_in(many(50)).held == HeldBack(tickets=50, checkins=0)


def test_beside_what_was_rejected_a_few_more_are_withdrawn(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.take_in(many(50))
    venue.store.held.reject(venue.list_)
    taken = venue.take_in(many(48))
    assert (taken.withdrawn, bool(taken.held)) == (2, False)
    assert venue.scan("s0049") is Reason.WITHDRAWN
    assert venue.scan("s0050") is LET_IN


def test_what_waits_and_is_told_again_waits_no_more(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.take_in(many(50))
    venue.take_in(many(100))
    assert not venue.store.held.of(venue.list_)
    assert venue.scan("s0099") is LET_IN


def test_what_waits_and_was_looked_up_since_is_not_withdrawn_with_the_rest(venue: Venue) -> None:
    venue.take_in(many(100))
    venue.take_in(many(50))
    venue.look_up(told("s0099", attendee_name="At the door"))
    venue.store.held.accept(venue.list_)
    assert venue.scan("s0098") is Reason.WITHDRAWN
    assert venue.scan("s0099") is LET_IN


@pytest.mark.parametrize("answer", ["none yet", "accept", "reject"])
def test_nobody_gets_in_twice_because_their_ticket_waits(venue: Venue, answer: str) -> None:
    venue.take_in(many(100))
    for number in (60, 61):
        venue.scan(f"s{number:04d}")
    venue.settle()
    venue.scan("s0062")
    assert venue.take_in(many(50)).held.tickets == 50
    if answer == "accept":
        venue.store.held.accept(venue.list_)
    elif answer == "reject":
        venue.store.held.reject(venue.list_)
    venue.take_in(many(50))
    for number in (60, 61, 62):
        expected = Reason.WITHDRAWN if answer == "accept" else REDEEMED
        assert venue.scan(f"s{number:04d}") is expected
        assert venue.is_in(f"s{number:04d}")


# --- undone check-ins that wait ---------------------------------------------------------------------------------------


def let_in(venue: Venue, numbers: range, *, is_told: bool) -> None:
    """They come in, upstream takes it and, if `is_told`, a snapshot says so."""
    for number in numbers:
        assert venue.scan(f"s{number:04d}") is LET_IN
    venue.settle()
    if is_told:
        venue.take_in(many(100, redeemed=lambda number: number in numbers))


@pytest.mark.parametrize("is_told", [False, True])
def test_a_few_undone_checkins_are_believed(venue: Venue, is_told: bool) -> None:
    venue.take_in(many(100))
    let_in(venue, range(20), is_told=is_told)
    assert venue.take_in(many(100)).undone == 20
    assert venue.scan("s0000") is LET_IN


@pytest.mark.parametrize("is_told", [False, True])
def test_many_undone_checkins_wait_and_go_on_counting(venue: Venue, is_told: bool) -> None:
    venue.take_in(many(100))
    let_in(venue, range(21), is_told=is_told)
    for _ in range(3):
        taken = venue.take_in(many(100))
        assert taken.undone == 0
        assert taken.held == venue.store.held.of(venue.list_) == HeldBack(tickets=0, checkins=21)
        assert venue.scan("s0000") is REDEEMED
        assert venue.is_in("s0020")
    assert {ticket.kind for ticket in venue.store.held.tickets(venue.list_, 100)} == {Kind.CHECKIN}


@pytest.mark.parametrize("is_told", [False, True])
def test_accepted_undone_checkins_are_undone(venue: Venue, is_told: bool) -> None:
    venue.take_in(many(100))
    let_in(venue, range(30), is_told=is_told)
    venue.take_in(many(100))
    assert venue.store.held.accept(venue.list_).checkins == 30
    assert not venue.is_in("s0000")
    assert venue.scan("s0000") is LET_IN
    assert venue.take_in(many(100)).undone == 0


def test_a_checkin_made_after_the_question_goes_on_counting_when_staff_accept(venue: Venue) -> None:
    venue.take_in(many(100))
    let_in(venue, range(30), is_told=True)
    venue.take_in(many(100))
    assert venue.scan("s0000", is_forced=True) is LET_IN
    assert venue.scan("s0001", is_forced=True) is LET_IN
    venue.store.journal.settle(venue.pending()[0], venue.now)
    venue.store.held.accept(venue.list_)
    assert venue.scan("s0000") is REDEEMED
    assert venue.scan("s0001") is REDEEMED
    assert venue.scan("s0002") is LET_IN


def test_rejected_undone_checkins_stay_until_upstream_tells_them_again(venue: Venue) -> None:
    venue.take_in(many(100))
    let_in(venue, range(30), is_told=False)
    venue.take_in(many(100))
    venue.store.held.reject(venue.list_)
    assert not venue.take_in(many(100)).held
    assert venue.scan("s0000") is REDEEMED
    venue.take_in(many(100, redeemed=lambda number: number == 0))
    assert venue.take_in(many(100)).undone == 1
    assert not venue.is_in("s0000")
    assert venue.is_in("s0001")


def test_the_share_is_of_the_settled_checkins_and_not_of_those_that_come_with_this_pull(venue: Venue) -> None:
    venue.take_in(many(1000))
    let_in(venue, range(30), is_told=False)
    for number in range(400, 700):
        venue.scan(f"s{number:04d}")  # pending: upstream does not know of them
    taken = venue.take_in(many(1000, redeemed=lambda number: number >= 700))
    assert taken.held == HeldBack(tickets=0, checkins=30)


def test_what_was_settled_while_a_pull_was_under_way_is_nothing_to_ask_about(venue: Venue) -> None:
    venue.take_in(many(100))
    snapshot = venue.begin()
    let_in(venue, range(30), is_told=False)
    snapshot.add(many(100))
    taken = venue.finish(snapshot)
    assert (taken.undone, bool(taken.held)) == (0, False)
    assert venue.is_in("s0000")


def test_caches_are_told_of_an_undo_when_it_takes_effect(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    snapshot = venue.begin()
    snapshot.add([told()])
    writer, seen = venue.store._writer, []
    write_slice = writer.write_slice

    def look_first(job: Job[object]) -> object:
        seen.append((venue.is_in(), venue.store.lists.version_of(venue.list_id)))
        return write_slice(job)

    writer.write_slice = look_first  # type: ignore[assignment]
    venue.finish(snapshot)
    last_in = max(version for is_in, version in seen if is_in)
    assert not venue.is_in()
    assert venue.store.lists.version_of(venue.list_id) > last_in


@pytest.mark.parametrize("when", ["before its end", "at its end"])
def test_staff_who_answer_while_a_pull_is_under_way_are_not_asked_again(venue: Venue, when: str) -> None:
    venue.take_in(many(100))
    let_in(venue, range(30), is_told=False)
    venue.take_in(many(100))
    snapshot = venue.begin()
    snapshot.add(many(100))
    writer = venue.store._writer
    write_slice = writer.write_slice

    def accept_first(job: Job[object]) -> object:
        writer.write_slice = write_slice  # type: ignore[method-assign]
        venue.store.held.accept(venue.list_)
        return write_slice(job)

    if when == "at its end":
        writer.write_slice = accept_first  # type: ignore[assignment]
    else:
        venue.store.held.accept(venue.list_)
    venue.finish(snapshot)
    assert not venue.store.held.of(venue.list_)
    assert not venue.is_in("s0000")
    assert not venue.take_in(many(100)).held
