"""What staff do by hand with a ticket: find it, read its story, check it in, note something, undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebox.desk import Desk, Story
from edgebox.model import CheckInState, ConflictReason, Reason
from edgebox.store import Refused
from tests.support.box import wait_until
from tests.support.event import PENDING
from tests.support.upstream import StubUpstream
from tests.sync.venue import SOON_S, Venue


@pytest.fixture
def venue(tmp_path: Path, stub: StubUpstream) -> Iterator[Venue]:
    """A box that has pulled a few guests, and whose sync waits for the test."""
    stub.add_ticket("secret-of-lukasz", attendee_name="Łukasz Żak", order="AAAA1")
    stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace", order="AAAA2", item_id=1, variation_id=2)
    stub.add_ticket("secret-of-bob", attendee_name="Bob", order="AAAA3", order_status=PENDING)
    stub.include_pending = True
    opened = Venue(tmp_path / "data", stub)
    opened.line.pull()
    yield opened
    opened.close()


@pytest.fixture
def desk(venue: Venue) -> Desk:
    return venue.box.desk


def ticket_id(venue: Venue, secret: str) -> int:
    found = venue.box.store.tickets.find(venue.box.get_list(venue.list.id), secret)
    assert found is not None
    return found.ticket.id


def story(venue: Venue, secret: str = "secret-of-ada") -> Story:
    return venue.box.desk.story(ticket_id(venue, secret))


def check_in(venue: Venue, secret: str, reason: str | None = None, *, is_forced: bool = False) -> Reason | None:
    return venue.box.desk.check_in(ticket_id(venue, secret), "Bea", reason, is_forced=is_forced).verdict.reason


# --- find -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["lukasz", "ŻAK", "aaaa1", "secret-of-l"])
def test_a_ticket_is_found_by_name_order_and_secret(desk: Desk, query: str) -> None:
    (hit,) = desk.find(query, 10)
    assert (hit.ticket.data.order_code, hit.list.name, hit.item_name, hit.is_redeemed) == (
        "AAAA1", "Default", "Ticket", False,
    )  # fmt: skip


def test_an_item_is_named_with_its_variation(desk: Desk) -> None:
    assert desk.find("lovelace", 10)[0].item_name == "T-Shirt, Blue"


def test_withdrawn_and_unpaid_tickets_are_found_too(venue: Venue, desk: Desk, stub: StubUpstream) -> None:
    del stub.tickets["secret-of-ada"]
    venue.line.pull()
    (withdrawn,) = desk.find("lovelace", 10)
    assert withdrawn.ticket.is_withdrawn
    (unpaid,) = desk.find("bob", 10)
    assert not unpaid.ticket.data.is_paid


def test_all_lists_are_searched_up_to_a_limit(venue: Venue, desk: Desk, stub: StubUpstream) -> None:
    stub.list_name = "Backstage"
    venue.box.add_saved({"status": stub.status(), "download": stub.download()}, "a file")
    assert [hit.list.name for hit in desk.find("lovelace", 10)] == ["Default", "Backstage"]
    assert [hit.list.name for hit in desk.find("lovelace", 1)] == ["Default"]
    venue.scan("secret-of-ada")
    assert [hit.is_redeemed for hit in desk.find("lovelace", 10)] == [True, False]


# --- the story --------------------------------------------------------------------------------------------------------


def test_a_story_has_attempts_checkins_pushes_and_notes(venue: Venue, desk: Desk) -> None:
    venue.scan("secret-of-ada")
    venue.scan("secret-of-ada")
    venue.scan("secret-of-lukasz")
    venue.line.push()
    desk.note(ticket_id(venue, "secret-of-ada"), "Bea", "waits at the bar")
    wait_until(lambda: len(story(venue).attempts) == 2, SOON_S, "the refusal is written")
    told = story(venue)
    assert (told.item_name, told.check_in_list.name) == ("T-Shirt, Blue", "Default")
    (checkin,) = told.checkins
    assert (checkin.state, checkin.device_name) == (CheckInState.SETTLED, "door")
    assert checkin.settled_at is not None
    assert len(told.history) == 1
    assert [entry.verdict for entry in told.attempts] == ["already_redeemed", "ok"], "newest first"
    assert [(note.staff_name, note.text) for note in told.notes] == [("Bea", "waits at the bar")]
    assert told.cancellations == []


def test_attempts_from_before_the_box_knew_the_ticket_are_part_of_it(
    venue: Venue, desk: Desk, stub: StubUpstream
) -> None:
    """Why was this guest turned away at 19:42? Because the ticket was sold at 19:41."""
    venue.scan("sold-at-the-door")
    stub.add_ticket("sold-at-the-door")
    venue.line.pull()
    venue.scan("sold-at-the-door")
    wait_until(
        lambda: [entry.verdict for entry in story(venue, "sold-at-the-door").attempts] == ["ok", "unknown_ticket"],
        SOON_S,
        "both are told",
    )


def test_an_undo_is_part_of_it(venue: Venue, desk: Desk) -> None:
    venue.scan("secret-of-ada")
    checkin_id = venue.checkin("secret-of-ada").id
    assert story(venue).undoable == {checkin_id}
    desk.undo(checkin_id, "Bea", "wrong guest")
    told = story(venue)
    assert (told.history, told.undoable) == ((), frozenset())
    assert [checkin.state for checkin in told.checkins] == [CheckInState.CANCELLED]
    assert [(each.staff_name, each.reason) for each in told.cancellations] == [("Bea", "wrong guest")]
    assert [entry.is_undone for entry in told.attempts] == [True]


def test_an_unknown_ticket_has_none(desk: Desk) -> None:
    for attempt in (
        lambda: desk.story(99),
        lambda: desk.note(99, "Bea", "?"),
        lambda: desk.check_in(99, "Bea", None, is_forced=False),
    ):
        with pytest.raises(Refused, match="not known here"):
            attempt()


def test_a_ticket_of_a_removed_list_has_none(venue: Venue, desk: Desk) -> None:
    known = ticket_id(venue, "secret-of-ada")
    venue.box.remove_list(venue.list.id)
    with pytest.raises(Refused, match="not known here"):
        desk.story(known)


# --- check in ---------------------------------------------------------------------------------------------------------


def test_a_check_in_by_hand_is_recorded_with_the_name_and_pushed(venue: Venue, stub: StubUpstream) -> None:
    venue.line.probe()
    assert check_in(venue, "secret-of-ada") is None
    checkin = venue.checkin("secret-of-ada")
    assert (checkin.device_name, checkin.is_forced, checkin.staff_reason) == ("Bea", False, None)
    venue.line.push()
    (entry,) = stub.log
    assert (entry.secret, entry.nonce, entry.datetime) == ("secret-of-ada", checkin.nonce, checkin.datetime)
    assert venue.checkin("secret-of-ada").state is CheckInState.SETTLED


def test_questions_are_not_asked(venue: Venue, stub: StubUpstream) -> None:
    stub.add_question(7, "S", [1])
    venue.line.pull()
    assert venue.scan("secret-of-ada", questions_supported=True).verdict.reason is Reason.INCOMPLETE
    assert check_in(venue, "secret-of-ada") is None
    venue.line.push()
    assert len(stub.log) == 1


def test_what_a_scanner_refuses_is_refused(venue: Venue) -> None:
    assert check_in(venue, "secret-of-bob") is Reason.UNPAID
    venue.scan("secret-of-ada")
    assert check_in(venue, "secret-of-ada") is Reason.ALREADY_REDEEMED


def test_forcing_needs_a_reason(venue: Venue) -> None:
    for reason in (None, ""):
        with pytest.raises(Refused, match="needs a reason"):
            check_in(venue, "secret-of-ada", reason, is_forced=True)
    assert venue.checkins() == []


def test_a_forced_one_is_a_conflict_like_a_scanner_s(venue: Venue, stub: StubUpstream) -> None:
    venue.scan("secret-of-ada")
    assert check_in(venue, "secret-of-ada", "the band is with her", is_forced=True) is None
    forced = venue.checkins("secret-of-ada")[-1]
    assert (forced.conflict, forced.staff_reason) == (ConflictReason.ALREADY_REDEEMED, "the band is with her")
    venue.line.push()
    assert [entry.forced for entry in stub.log] == [False, True]
    assert len(venue.box.conflicts()) == 1


def test_an_unpaid_one_that_may_come_in_unpaid_is_no_conflict_when_forced(venue: Venue, stub: StubUpstream) -> None:
    """As with a scanner whose door says: let in although not paid."""
    assert check_in(venue, "secret-of-bob", "pays at the bar", is_forced=True) is None
    checkin = venue.checkin("secret-of-bob")
    assert (checkin.ignores_unpaid, checkin.conflict) == (True, None)
    venue.line.push()
    assert venue.checkin("secret-of-bob").state is CheckInState.SETTLED
    assert venue.box.conflicts() == []


def test_on_a_removed_list_nothing_can_be_forced(venue: Venue, stub: StubUpstream, desk: Desk) -> None:
    known = ticket_id(venue, "secret-of-ada")
    venue.box.store.lists.remove(venue.list.id, venue.box.clock.now())
    with pytest.raises(Refused):
        desk.check_in(known, "Bea", "please", is_forced=True)


# --- undo -------------------------------------------------------------------------------------------------------------


def test_an_undo_needs_a_reason(venue: Venue, desk: Desk) -> None:
    venue.scan("secret-of-ada")
    with pytest.raises(Refused, match="needs a reason"):
        desk.undo(venue.checkin("secret-of-ada").id, "Bea", "")
    assert venue.checkin("secret-of-ada").state is CheckInState.PENDING


def test_a_check_in_by_hand_can_be_undone(venue: Venue, desk: Desk, stub: StubUpstream) -> None:
    check_in(venue, "secret-of-ada")
    desk.undo(venue.checkin("secret-of-ada").id, "Ada", "another guest of this name")
    venue.line.push()
    assert stub.log == []
    assert check_in(venue, "secret-of-ada") is None


def test_on_a_list_from_a_file_it_is_offered_and_works(venue: Venue, desk: Desk, stub: StubUpstream) -> None:
    stub.list_name = "Backstage"
    saved = venue.box.add_saved({"status": stub.status(), "download": stub.download()}, "a file")
    hit = desk.find("lovelace", 10)[-1]
    assert hit.list.id == saved.id
    desk.check_in(hit.ticket.id, "Bea", None, is_forced=False)
    (checkin,) = desk.story(hit.ticket.id).checkins
    assert desk.story(hit.ticket.id).undoable == {checkin.id}
    desk.undo(checkin.id, "Bea", "wrong guest")
    assert not desk.find("lovelace", 10)[-1].is_redeemed
