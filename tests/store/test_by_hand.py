"""A check-in that somebody makes by hand: no device, a name, and the same decision as a scanner's."""

from __future__ import annotations

import pytest

from edgebox.clock import Stamp
from edgebox.model import ConflictReason, Question, Reason, Redeemed, RedeemRequest
from edgebox.store.devices import tallies
from edgebox.store.redeem import Scan
from tests.store.venue import LET_IN, SHIRT, TICKET, Venue, a_catalog, told


@pytest.fixture(autouse=True)
def tickets(venue: Venue) -> None:
    venue.pull(told("t1"), told("shirt", item_id=SHIRT), told("unpaid", is_paid=False, checkin_allowed=False))


def by_hand(venue: Venue, secret: str = "t1", *, reason: str | None = None, **request: object) -> Redeemed:
    stamp = Stamp(venue.now, "this-boot", 1.0, is_trusted=True)
    asked = RedeemRequest(secret, **request)  # type: ignore[arg-type]
    scan = Scan(venue.list_id, None, asked, stamp, is_offline=False, staff_name="Bea", staff_reason=reason)
    return venue.store.redeemer.redeem(scan)


def test_it_bears_the_name_of_who_made_it(venue: Venue) -> None:
    assert by_hand(venue).verdict.is_ok
    assert venue.is_in()
    assert venue.checkin.device_name == "Bea"
    assert venue.pending() == [venue.checkin], "it is pushed like any other"
    assert [(entry.device_name, entry.verdict) for entry in venue.log()] == [("Bea", "ok")]
    assert tallies(venue.store.reading()) == {}


def test_the_next_guest_is_told_who_let_the_first_one_in(venue: Venue) -> None:
    by_hand(venue)
    first_use = venue.redeem().verdict.first_use
    assert first_use is not None
    assert first_use.device_name == "Bea"


def test_no_limit_of_a_device_applies(venue: Venue) -> None:
    venue.device = venue.add_device("Tickets only", item_ids=frozenset({TICKET}))
    assert venue.scan("shirt") is Reason.PRODUCT
    assert by_hand(venue, "shirt").verdict.is_ok


def test_nobody_is_asked_questions(venue: Venue) -> None:
    question = Question(7, "S", "Size?", True, 0, frozenset({TICKET}))
    venue.store.lists.learn(venue.store.lists.all()[0], a_catalog(question), subevent=None)
    assert venue.scan(questions_supported=True) is Reason.INCOMPLETE
    assert by_hand(venue).verdict.is_ok


def test_the_rules_are_those_of_a_scanner(venue: Venue) -> None:
    by_hand(venue)
    assert by_hand(venue).verdict.reason is Reason.ALREADY_REDEEMED
    assert by_hand(venue, "unpaid").verdict.reason is Reason.UNPAID
    assert by_hand(venue, "nobody").verdict.reason is Reason.UNKNOWN_TICKET
    assert by_hand(venue, "nobody", is_forced=True, reason="x").verdict.reason is Reason.UNKNOWN_TICKET


def test_what_is_forced_by_hand_is_a_conflict_with_its_reason(venue: Venue) -> None:
    by_hand(venue)
    assert by_hand(venue, reason="the band is with him", is_forced=True).verdict.is_ok
    checkin = venue.checkin
    assert (checkin.is_forced, checkin.staff_reason) == (True, "the band is with him")
    assert checkin.conflict == ConflictReason.ALREADY_REDEEMED
    assert "device Bea" in (checkin.conflict_note or "")
    assert by_hand(venue, "unpaid", reason="pays later", is_forced=True).verdict.is_ok
    assert venue.checkin.conflict == ConflictReason.UNPAID


def test_a_refusal_is_in_the_log_with_the_name_and_costs_no_other_entry(venue: Venue) -> None:
    """No device is what an attempt at the gate never has: the rest of the log must not be lost for it."""
    venue.scan("nobody")
    by_hand(venue, "unpaid")
    venue.scan("nobody else")
    logged = venue.logged(3)
    assert {(entry.secret, entry.device_name) for entry in logged} == {
        ("nobody", "Gate 1"), ("unpaid", "Bea"), ("nobody else", "Gate 1"),
    }  # fmt: skip


def test_the_log_can_be_asked_for_somebody(venue: Venue) -> None:
    venue.scan()
    by_hand(venue, "shirt")
    by_hand(venue, "shirt")
    venue.logged(3)
    assert [entry.verdict for entry in venue.log(device="Bea")] == ["ok", "already_redeemed"]
    assert [entry.secret for entry in venue.log(device="Gate 1")] == ["t1"]


def test_a_scanner_and_a_hand_let_one_in_between_them(venue: Venue) -> None:
    assert venue.scan() is LET_IN
    assert not by_hand(venue).verdict.is_ok
