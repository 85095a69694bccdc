"""A lost answer: within the grace, the same device's scan of the same ticket in the same direction is the same scan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from edgebox.clock import Stamp
from edgebox.model import Direction, ListTerms, Question, Reason, RedeemRequest
from edgebox.store.redeem import Scan
from tests.store.fair import Fair, a_ticket, an_order, entry
from tests.store.venue import EIGHT, LET_IN, TICKET, Venue, a_catalog, told

USED = Reason.ALREADY_REDEEMED
GRACE = timedelta(seconds=30)
ENTRY, EXIT = Direction


@pytest.fixture(autouse=True)
def ticket(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.store.redeemer.grace = GRACE


def scanned_again(venue: Venue, after: timedelta, **request: object) -> Reason | None:
    """The same ticket a moment after its last check-in."""
    return venue.redeem(at=venue.checkin.datetime + after, **request).verdict.reason  # type: ignore[arg-type]


def rows(venue: Venue) -> int:
    return len(venue.journal)


def test_within_the_grace_it_is_ok_again_and_nothing_new_is_recorded(venue: Venue) -> None:
    venue.scan()
    first = venue.checkin
    again = venue.redeem(at=first.datetime + timedelta(seconds=29))
    assert (again.verdict.is_ok, again.verdict.is_repeat, again.is_redeemed) == (True, True, True)
    assert venue.checkin == first
    assert rows(venue) == 1
    assert [each.is_repeat for each in venue.logged(2)] == [False, True], "that it came again is on record"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(), LET_IN),
        (GRACE, LET_IN),
        (GRACE + timedelta(microseconds=1), USED),
        (timedelta(microseconds=-1), USED),
        (timedelta(hours=-3), USED),
    ],
)
def test_the_grace_ends_and_does_not_reach_back(venue: Venue, after: timedelta, reason: Reason | None) -> None:
    """Where the clock was put back nobody knows how long ago it was."""
    venue.scan()
    assert scanned_again(venue, after) is reason
    assert rows(venue) == 1


def test_it_is_counted_from_what_is_on_record_and_not_from_the_last_try(venue: Venue) -> None:
    venue.scan()
    assert scanned_again(venue, timedelta(seconds=20)) is LET_IN
    assert scanned_again(venue, timedelta(seconds=40)) is USED


def test_without_a_grace_the_very_same_instant_is_another_scan(venue: Venue) -> None:
    venue.store.redeemer.grace = timedelta()
    venue.scan()
    assert scanned_again(venue, timedelta()) is USED


def test_not_for_another_device(venue: Venue) -> None:
    venue.scan()
    venue.device = venue.add_device("Gate 2")
    assert scanned_again(venue, timedelta(seconds=1)) is USED


def test_not_for_a_new_device_of_the_same_name(venue: Venue) -> None:
    venue.scan()
    venue.store.devices.revoke(venue.device.id, venue.now)
    venue.device = venue.add_device("Gate 1", key="ANOTHER")
    assert scanned_again(venue, timedelta(seconds=1)) is USED


def test_not_for_another_ticket(venue: Venue) -> None:
    venue.scan("t1")
    assert venue.scan("t2") is LET_IN
    assert rows(venue) == 2


def test_not_with_a_nonce(venue: Venue) -> None:
    """Who gives each check-in a nonce says by that what is the same."""
    venue.scan(nonce="n1")
    assert scanned_again(venue, timedelta(seconds=1), nonce="n2") is USED
    assert scanned_again(venue, timedelta(seconds=1), nonce="n1") is LET_IN
    assert rows(venue) == 1


def by_hand(venue: Venue, name: str) -> Reason | None:
    venue.now += timedelta(seconds=1)
    stamp = Stamp(venue.now, "this-boot", venue.now.timestamp(), is_trusted=True)
    scan = Scan(venue.list_id, None, RedeemRequest("t1"), stamp, is_offline=False, staff_name=name)
    return venue.store.redeemer.redeem(scan).verdict.reason


@pytest.mark.parametrize("name", ["Bea", "Gate 1"])
def test_not_for_what_is_done_by_hand(venue: Venue, name: str) -> None:
    """Neither after a scan nor before one, whatever they call themselves."""
    assert by_hand(venue, name) is LET_IN
    assert by_hand(venue, name) is USED
    assert scanned_again(venue, timedelta(seconds=1)) is USED
    assert rows(venue) == 1


def test_a_scan_of_the_gate_is_not_repeated_by_hand(venue: Venue) -> None:
    venue.scan()
    assert by_hand(venue, "Gate 1") is USED


def test_an_exit_between_makes_it_another_entry(venue: Venue) -> None:
    venue.scan()
    venue.scan(direction=EXIT)
    assert venue.scan() is USED
    assert rows(venue) == 2


def test_the_other_direction_is_another_scan_and_each_has_its_grace(venue: Venue) -> None:
    venue.scan()
    assert venue.scan(direction=EXIT) is LET_IN
    assert rows(venue) == 2
    assert venue.redeem(direction=EXIT).verdict.is_repeat
    assert rows(venue) == 2


def test_an_undone_one_is_not_brought_back(venue: Venue) -> None:
    venue.scan()
    venue.store.journal.undo(venue.checkin.id, "Bea", "wrong guest", venue.now)
    again = venue.redeem()
    assert again.verdict.is_ok
    assert not again.verdict.is_repeat
    assert rows(venue) == 2


def test_whatever_became_of_the_ticket_meanwhile(venue: Venue) -> None:
    venue.scan()
    venue.settle()
    venue.pull(told("t2"))
    assert venue.redeem(at=venue.checkin.datetime + GRACE).verdict.is_repeat
    assert scanned_again(venue, GRACE * 2) is Reason.WITHDRAWN


def test_one_that_was_forced_is_not_forced_twice(venue: Venue) -> None:
    venue.pull(told("t1", redeemed=True), told("t2"))
    assert venue.scan(is_forced=True) is LET_IN
    assert venue.redeem(is_forced=True).verdict.is_repeat
    assert rows(venue) == 1


def test_nobody_is_asked_the_questions_again(venue: Venue) -> None:
    question = Question(7, "S", "Size?", True, 0, frozenset({TICKET}))
    venue.store.lists.learn(venue.list_, a_catalog(question), subevent=None)
    assert venue.scan(questions_supported=True) is Reason.INCOMPLETE
    assert venue.scan(questions_supported=True, answers={7: "M"}) is LET_IN
    again = venue.redeem(questions_supported=True)
    assert again.verdict.is_repeat
    assert again.answers == {7: "M"}
    assert venue.checkin.answers == {7: "M"}


def test_when_the_phone_says_that_it_was_counts(venue: Venue) -> None:
    venue.scan(datetime=EIGHT)
    assert venue.redeem(datetime=EIGHT + GRACE).verdict.is_repeat
    assert venue.scan(datetime=EIGHT + GRACE * 2) is USED


# --- today's pretix as upstream ---------------------------------------------------------------------------------------


@pytest.fixture
def fair(venue: Venue) -> Iterator[Fair]:
    """A list that lets in several times, and one that counts everybody out at eight and half a minute."""
    directory = venue.data_dir / "fair"
    directory.mkdir()
    at_night = ListTerms(exit_all_at=EIGHT + timedelta(seconds=30))
    opened = Fair(directory, ListTerms(allow_multiple_entries=True), at_night)
    opened.store.redeemer.grace = GRACE
    opened.tell(an_order("A", a_ticket(1)))
    yield opened
    opened.close()


def test_where_a_ticket_lets_in_several_times_a_rescan_is_none_of_them(fair: Fair) -> None:
    assert fair.redeem("s0001").verdict.is_ok
    assert fair.redeem("s0001").verdict.is_repeat
    fair.now += GRACE
    again = fair.redeem("s0001").verdict
    assert (again.is_ok, again.is_repeat) == (True, False)


def test_it_is_the_same_scan_when_upstream_tells_of_it_meanwhile(fair: Fair) -> None:
    fair.scan("s0001")
    at = fair.now
    fair.settle()
    fair.tell(an_order("A", a_ticket(1, entry(at))))
    assert fair.redeem("s0001").verdict.is_repeat
    fair.tell(an_order("A", a_ticket(1, entry(at), entry(at + timedelta(seconds=1)))))
    assert not fair.redeem("s0001").verdict.is_repeat, "the last that happened was elsewhere"


def test_once_everybody_was_counted_out_it_is_another_entry(fair: Fair) -> None:
    fair.redeem("s0001", 2, at=EIGHT + timedelta(seconds=20))
    assert fair.redeem("s0001", 2, at=EIGHT + timedelta(seconds=29)).verdict.is_repeat
    again = fair.redeem("s0001", 2, at=EIGHT + timedelta(seconds=31)).verdict
    assert (again.is_ok, again.is_repeat) == (True, False)
