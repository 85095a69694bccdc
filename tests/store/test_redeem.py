"""A redeem at the store: nonces, force, questions, and what is recorded and answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import CheckInState, ConflictReason, Question, Reason, SourceKind, ToldTicket
from edgebox.store import Refused
from tests.store.venue import EIGHT, LET_IN, Venue, a_catalog, told

REDEEMED = Reason.ALREADY_REDEEMED


# --- nonces and force -------------------------------------------------------------------------------------------------


def test_the_same_nonce_is_ok_again_and_one_row(venue: Venue) -> None:
    venue.pull(told())
    first = venue.redeem(nonce="n1")
    again = venue.redeem(nonce="n1", datetime=EIGHT)
    assert first.verdict.is_ok
    assert again.verdict.is_ok
    assert again.verdict.is_repeat
    assert again.is_redeemed
    assert [row.checkin.nonce for row in venue.journal] == ["n1"]


def test_the_same_nonce_is_ok_again_whatever_became_of_the_ticket(venue: Venue) -> None:
    venue.pull(told(), told("t2"))
    venue.scan(nonce="n1")
    venue.settle()
    venue.pull(told("t2"))
    assert venue.redeem(nonce="n1").verdict.is_repeat
    assert venue.scan(nonce="n2") is Reason.WITHDRAWN


def test_a_nonce_belongs_to_its_ticket_and_list(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    assert venue.scan("t1", nonce="n1") is LET_IN
    assert venue.scan("t2", nonce="n1") is LET_IN
    assert len(venue.journal) == 2


def test_without_a_nonce_the_box_makes_one_for_life(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.scan("t1")
    venue.scan("t2")
    made = [row.checkin.nonce for row in venue.journal]
    assert len(set(made)) == 2
    assert all(16 <= len(nonce) <= 190 for nonce in made)
    assert [checkin.nonce for checkin in venue.pending()] == made


def test_a_forced_entry_is_recorded_and_flagged_with_the_earlier_one_beside_it(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    assert venue.scan(is_forced=True) is LET_IN
    assert len(venue.journal) == 2
    assert venue.checkin.is_forced
    assert venue.checkin.conflict == ConflictReason.ALREADY_REDEEMED
    assert venue.checkin.conflict_note == "first used at 2026-11-24T20:00:01.000000+00:00, device Gate 1"
    assert [conflict.checkin.id for conflict in venue.store.journal.open_conflicts()] == [venue.checkin.id]
    assert venue.store.tickets.counts(venue.list_).all.checkins == 1


def test_a_forced_entry_that_passes_nothing_is_no_conflict(venue: Venue) -> None:
    venue.pull(told())
    assert venue.scan(is_forced=True) is LET_IN
    assert venue.checkin.conflict is None


@pytest.mark.parametrize(
    ("ticket", "conflict"),
    [(told(is_paid=False, checkin_allowed=False), ConflictReason.UNPAID), (None, ConflictReason.WITHDRAWN)],
)
def test_force_flags_what_it_passed(venue: Venue, ticket: ToldTicket | None, conflict: ConflictReason) -> None:
    venue.pull(told(), told("t2"))
    venue.pull(*([ticket] if ticket else []), told("t2"))
    assert venue.scan(is_forced=True) is LET_IN
    assert venue.checkin.conflict == conflict


def test_force_does_not_help_an_unknown_ticket_nor_one_for_another_scanner(venue: Venue) -> None:
    venue.pull(told())
    assert venue.scan("nobody", is_forced=True) is Reason.UNKNOWN_TICKET
    venue.device = replace(venue.device, item_ids=frozenset({999}))
    assert venue.scan(is_forced=True) is Reason.PRODUCT
    assert venue.journal == []


# --- questions --------------------------------------------------------------------------------------------------------

SIZE = Question(7, "S", "Size?", True, 0, frozenset({10}))


def test_an_incomplete_redeem_leaves_nothing_behind(venue: Venue) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(SIZE), subevent=None)
    venue.pull(told())
    assert venue.scan(questions_supported=True) is Reason.INCOMPLETE
    assert not venue.is_in()
    assert venue.scan(questions_supported=True, answers={7: "M"}) is LET_IN
    assert venue.checkin.answers == {7: "M"}


def test_answers_count_for_the_same_ticket_on_every_list_of_the_event(venue: Venue) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(SIZE), subevent=None)
    venue.pull(told())
    venue.scan(answers={7: "M"})
    for event, verdict in (("democon", LET_IN), ("another", Reason.INCOMPLETE)):
        venue.list_id = venue.add_list(event=event, catalog=a_catalog(SIZE)).id
        venue.pull(told())
        assert venue.scan(questions_supported=True) is verdict


def answers_of(venue: Venue, **request: object) -> dict[int, str]:
    return dict(venue.redeem(**request).answers)  # type: ignore[arg-type]


def test_the_newest_answer_on_record_is_the_one_that_holds(venue: Venue) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(SIZE, replace(SIZE, id=8)), subevent=None)
    venue.pull(told(answers=((7, "told"), (9, "of another question"))))
    assert answers_of(venue) == {7: "told", 9: "of another question"}
    assert answers_of(venue, is_forced=True, answers={7: "first", 8: "x"}) == {
        7: "first", 8: "x", 9: "of another question",
    }  # fmt: skip
    assert answers_of(venue, is_forced=True, answers={7: "second"})[7] == "second"
    assert answers_of(venue)[7] == "second"


def test_answers_that_came_with_a_refusal_do_not_hold_but_are_told_to_whoever_is_asked_again(venue: Venue) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(SIZE, replace(SIZE, id=8)), subevent=None)
    venue.pull(told())
    assert answers_of(venue, questions_supported=True, answers={7: "M"}) == {7: "M"}, "8 is open still"
    assert answers_of(venue, questions_supported=True, answers={7: "L", 8: "x"}) == {7: "L", 8: "x"}
    assert venue.redeem(answers={7: "XL"}).verdict.reason is REDEEMED
    assert answers_of(venue, answers={7: "XL"}) == {7: "L", 8: "x"}


def test_the_same_check_in_told_again_has_the_answers_that_are_on_record(venue: Venue) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(SIZE), subevent=None)
    venue.pull(told())
    venue.scan(nonce="n1", answers={7: "M"})
    assert answers_of(venue, nonce="n1", answers={7: "L"}) == {7: "M"}


def test_of_an_item_without_questions_there_are_no_answers(venue: Venue) -> None:
    venue.pull(told(answers=((7, "told"),)))
    assert answers_of(venue, answers={7: "M"}) == {}


# --- lists from a file, and several lists -----------------------------------------------------------------------------


def test_checkins_of_a_list_from_a_file_are_settled_at_once_and_count(tmp_path: Path) -> None:
    venue = Venue(tmp_path, kind=SourceKind.FILE)
    try:
        venue.pull(told())
        assert venue.scan() is LET_IN
        assert venue.checkin.state is CheckInState.SETTLED
        assert venue.checkin.settled_at is not None
        assert venue.pending() == []
        assert venue.scan() is REDEEMED
        assert venue.is_in()
    finally:
        venue.close()


def test_lists_do_not_know_of_each_other(venue: Venue) -> None:
    venue.pull(told())
    venue.scan(nonce="n1")
    venue.list_id = venue.add_list().id
    assert venue.scan() is Reason.UNKNOWN_TICKET
    venue.pull(told())
    assert not venue.redeem(nonce="n1").verdict.is_repeat
    assert len(venue.journal) == 2


def test_a_scan_on_a_list_that_is_gone_is_refused(venue: Venue) -> None:
    venue.pull(told())
    venue.store.lists.remove(venue.list_id, venue.now)
    with pytest.raises(Refused):
        venue.scan()


# --- what the answer says of the ticket -------------------------------------------------------------------------------


def test_the_answer_tells_whether_the_ticket_is_really_in(venue: Venue) -> None:
    venue.pull(told("t1"), told("paid not", is_paid=False, checkin_allowed=False), told("out", redeemed=True))
    assert venue.redeem("t1").is_redeemed
    assert venue.redeem("t1").is_redeemed
    assert not venue.redeem("paid not").is_redeemed
    assert venue.redeem("out").is_redeemed
    assert not venue.redeem("nobody").is_redeemed


def test_a_time_that_the_client_sent_is_kept_and_a_doubtful_one_is_flagged(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"), told("t3"))
    for secret, at in (("t1", EIGHT - timedelta(hours=23)), ("t2", EIGHT - timedelta(days=2))):
        venue.scan(secret, datetime=at)
        assert venue.checkin.datetime == at
    assert [row.checkin.conflict for row in venue.journal] == [None, ConflictReason.DATETIME_IMPLAUSIBLE]


def test_a_doubtful_time_does_not_hide_a_double_entry(venue: Venue) -> None:
    venue.pull(told("t1"))
    venue.scan("t1")
    venue.scan("t1", is_forced=True, datetime=EIGHT - timedelta(days=2))
    assert venue.checkin.conflict == ConflictReason.ALREADY_REDEEMED
    assert "first used at" in (venue.checkin.conflict_note or "")
    assert "the device says" in (venue.checkin.conflict_note or "")
