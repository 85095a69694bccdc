"""Orders as they change: compared in place, and what an organizer moves, renames, renews and takes away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import Direction, ListTerms, Question, Reason
from tests.store.fair import MAIN, SIDE, Fair, a_ticket, an_order, entry, leaving, orders_of_one
from tests.store.venue import EIGHT, LET_IN, SHIRT, TICKET, a_catalog


@pytest.fixture
def fair(tmp_path: Path) -> Iterator[Fair]:
    opened = Fair(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


# --- compared in place ------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_written(fair: Fair) -> None:
    page = [an_order("A", a_ticket(1, entry(EIGHT)), a_ticket(2, valid_from=EIGHT, seat="A1")), *orders_of_one([3])]
    assert fair.tell(*page, state="one") == 3
    before = fair.rows_written()
    assert fair.tell(*page, state="two") == 0
    assert fair.rows_written() == before
    assert fair.store.orders.state(fair.source_id) == "two", "it is remembered all the same"


def test_of_a_page_only_what_is_new_is_written(fair: Fair) -> None:
    fair.tell(*orders_of_one(range(1, 50)))
    version, other = (fair.store.lists.version_of(fair.list_(number).id) for number in (MAIN, SIDE))
    assert fair.tell(*orders_of_one(range(1, 50)), an_order("NEW", a_ticket(50))) == 1
    assert fair.store.lists.version_of(fair.list_(MAIN).id) > version
    assert fair.store.lists.version_of(fair.list_(SIDE).id) > other, "both lists have it"


def test_of_what_comes_twice_in_a_page_the_first_counts(fair: Fair) -> None:
    same_secret = a_ticket(3, secret="s0001")
    page = [an_order("A", a_ticket(1)), an_order("A", a_ticket(1, attendee_name="Again")), an_order("B", same_secret)]
    assert fair.tell(*page, *orders_of_one([2])) == 2
    found = fair.store.tickets.find(fair.list_(), "s0001")
    assert found is not None
    assert (found.ticket.data.position_id, found.ticket.data.order_code) == (1, "A")
    assert found.ticket.data.attendee_name != "Again"
    assert fair.tell(*page, *orders_of_one([2])) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"attendee_name": "Somebody else"},
        {"is_paid": False},
        {"is_closed": True},
        {"is_cancelled": True},
        {"is_blocked": True},
        {"awaits_approval": True},
        {"valid_from": EIGHT},
        {"valid_until": EIGHT},
        {"valid_if_pending": True},
        {"is_test": True},
        {"seat": "B2"},
        {"checkin_text": "Card!"},
        {"answers": ((3, "yes"),)},
        {"addon_to": 7},
        {"subevent": 9},
        {"variation_id": 4},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_is_kept_and_then_is_known(fair: Fair, change: dict[str, object]) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    changed = an_order("A", a_ticket(1, **change))
    assert fair.tell(changed) == 1
    found = fair.store.tickets.find(fair.list_(), "s0001")
    assert found is not None
    assert found.ticket.data == changed.tickets[0].data
    assert fair.tell(changed) == 0
    assert fair.tell(an_order("A", a_ticket(1))) == 1, "and back again"


def test_an_older_answer_changes_nothing(fair: Fair) -> None:
    old = fair.request()
    fair.tell(an_order("A", a_ticket(1, attendee_name="New")))
    assert fair.tell(an_order("A", a_ticket(1, attendee_name="Old")), number=old) == 0
    assert fair.found("new") == ["s0001"]


def test_the_state_is_on_disk_with_the_page(fair: Fair, tmp_path: Path) -> None:
    assert fair.store.orders.state(fair.source_id) is None
    fair.tell(*orders_of_one([1]), state="after the first")
    fair.tell(*orders_of_one([2]), state="after the second")
    fair.close()
    again = Fair(tmp_path)
    assert again.store.orders.state(again.source_id) == "after the second"
    assert again.found("guest") == ["s0001", "s0002"]
    again.close()


# --- secrets, names and orders that change ----------------------------------------------------------------------------


def test_a_replaced_secret_stops_working(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    ticket_id = fair.ticket_id("s0001")
    fair.tell(an_order("A", a_ticket(1, secret="renewed")))
    assert fair.scan("s0001") is Reason.UNKNOWN_TICKET
    assert fair.scan("renewed") is LET_IN
    assert fair.ticket_id("renewed") == ticket_id
    assert fair.found("s0001") == []
    assert fair.found("renew") == ["renewed"]


def test_who_is_in_stays_in_with_a_new_secret(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001") is LET_IN
    fair.tell(an_order("A", a_ticket(1, secret="renewed")))
    assert fair.scan("renewed") is Reason.ALREADY_REDEEMED


@pytest.mark.parametrize("is_one_page", [True, False])
def test_a_secret_that_moves_to_another_position_is_that_ones(fair: Fair, is_one_page: bool) -> None:
    fair.tell(an_order("A", a_ticket(1), a_ticket(2)))
    swapped = [an_order("A", a_ticket(1, secret="s0002"), a_ticket(2, secret="s0001"))]
    if not is_one_page:
        fair.tell(an_order("A", a_ticket(1), a_ticket(2, secret="s0002")), an_order("B", a_ticket(3)))
        swapped = [an_order("A", a_ticket(1, secret="s0002"), a_ticket(2, secret="fresh"))]
    first = fair.ticket_id("s0001")
    fair.tell(*swapped)
    assert fair.ticket_id("s0002") == first
    assert fair.scan("s0002") is LET_IN
    assert fair.scan("s0001") is (LET_IN if is_one_page else Reason.UNKNOWN_TICKET)
    assert fair.is_sound()


def test_a_secret_whose_old_owner_is_told_later_is_nobody_elses_meanwhile(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)), an_order("B", a_ticket(2)))
    fair.tell(an_order("B", a_ticket(2, secret="s0001")))
    assert fair.store.tickets.find(fair.list_(), "s0001") is not None
    assert fair.scan("s0001") is LET_IN
    assert fair.scan("s0002") is Reason.UNKNOWN_TICKET
    fair.tell(an_order("A", a_ticket(1, secret="later")))
    assert fair.scan("later") is LET_IN
    assert fair.scan("s0001") is Reason.ALREADY_REDEEMED


def test_a_search_finds_the_new_name_and_not_the_old_one(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1, attendee_name="Ada Lovelace"), a_ticket(2, attendee_name="Bob")))
    fair.tell(an_order("A", a_ticket(1, attendee_name="Adä King"), a_ticket(2, attendee_name="Bob")))
    assert fair.found("lovelace") == []
    assert fair.found("ADA K") == ["s0001"]
    fair.tell(an_order("A", a_ticket(1, attendee_name=None), a_ticket(2, attendee_name="Bob")))
    assert fair.found("king") == []
    assert fair.found("bob") == ["s0002"]
    assert fair.is_sound()


def test_a_split_order_takes_its_position_along(fair: Fair) -> None:
    fair.tell(an_order("OLD", a_ticket(1), a_ticket(2)))
    moved = fair.ticket_id("s0002")
    new = an_order("NEW", a_ticket(2, secret="renewed"))
    fair.tell(new, an_order("OLD", a_ticket(1)))
    assert fair.ticket_id("renewed") == moved
    assert not fair.is_withdrawn("renewed")
    assert fair.found("NEW") == ["renewed"]
    assert fair.found("OLD") == ["s0001"]


@pytest.mark.parametrize("is_new_first", [True, False])
def test_a_split_told_in_two_pages_ends_the_same(fair: Fair, is_new_first: bool) -> None:
    fair.tell(an_order("OLD", a_ticket(1), a_ticket(2)))
    pages = [an_order("NEW", a_ticket(2, secret="renewed")), an_order("OLD", a_ticket(1))]
    for page in pages if is_new_first else reversed(pages):
        fair.tell(page)
    assert not fair.is_withdrawn("renewed")
    assert fair.scan("renewed") is LET_IN
    assert fair.scan("s0001") is LET_IN


def test_a_position_that_its_order_no_longer_has_is_withdrawn(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1), a_ticket(2)), an_order("a", a_ticket(3)))
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.is_withdrawn("s0002")
    assert fair.scan("s0002") is Reason.WITHDRAWN
    assert not fair.is_withdrawn("s0003"), "codes are compared exactly"
    assert fair.tell(an_order("A", a_ticket(1), a_ticket(2))) == 1
    assert fair.scan("s0002") is LET_IN


def test_a_position_told_by_a_newer_answer_is_not_withdrawn_by_an_older_one(fair: Fair) -> None:
    old = fair.request()
    fair.tell(an_order("A", a_ticket(1), a_ticket(2)))
    fair.tell(an_order("A", a_ticket(1)), number=old)
    assert not fair.is_withdrawn("s0002")


# --- check-ins --------------------------------------------------------------------------------------------------------


def test_told_check_ins_replace_those_told_before(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT), entry(EIGHT, SIDE))))
    assert fair.scan("s0001") is Reason.ALREADY_REDEEMED
    assert fair.scan("s0001", SIDE) is Reason.ALREADY_REDEEMED
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT, SIDE))))
    assert fair.scan("s0001", SIDE) is Reason.ALREADY_REDEEMED
    assert fair.scan("s0001") is LET_IN


def test_an_exit_told_by_upstream_lets_in_again(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT), leaving(EIGHT + timedelta(seconds=1)))))
    fair.now += timedelta(minutes=1)
    assert fair.scan("s0001") is LET_IN


def test_what_waits_counts_although_upstream_does_not_tell_it(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001") is LET_IN
    fair.tell(an_order("A", a_ticket(1, attendee_name="Renamed")))
    assert fair.scan("s0001") is Reason.ALREADY_REDEEMED


def test_a_settled_check_in_counts_until_an_answer_asked_for_later_does_without_it(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001") is LET_IN
    under_way = fair.request()
    fair.settle()
    fair.tell(an_order("A", a_ticket(1)), number=under_way)
    assert fair.scan("s0001") is Reason.ALREADY_REDEEMED, "upstream was asked before it was told"
    # Nothing but the number of the request is new.
    assert fair.tell(an_order("A", a_ticket(1))) == 1
    assert fair.scan("s0001") is LET_IN, "it was undone there"


def test_an_undo_made_upstream_is_believed_although_another_list_was_told_of_its_own_meanwhile(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001", MAIN) is LET_IN
    fair.settle()
    assert fair.scan("s0001", SIDE) is LET_IN
    under_way = fair.request()
    fair.settle()
    assert fair.tell(an_order("A", a_ticket(1)), number=under_way) == 1
    assert fair.scan("s0001", SIDE) is Reason.ALREADY_REDEEMED, "upstream was asked before it was told"
    assert fair.scan("s0001", MAIN) is LET_IN, "it was undone there"


def test_an_own_check_in_that_is_told_back_is_one(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    redeemed = fair.redeem("s0001", nonce="n-1")
    assert redeemed.verdict.is_ok
    at = fair.now
    fair.settle()
    fair.tell(an_order("A", a_ticket(1, entry(at))))
    got = fair.store.tickets.get(fair.list_(), fair.ticket_id("s0001"))
    assert got is not None
    (past,) = got[1]
    assert (past.at, past.device_name) == (at, "door 1"), "it is the box's own, and its device is known"
    assert fair.store.tickets.counts(fair.list_()).all.checkins == 1


def test_a_reconcile_knows_what_an_undo_upstream_took_away(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001") is LET_IN
    fair.settle()
    fair.reconcile(an_order("A", a_ticket(1)))
    assert fair.scan("s0001") is LET_IN


def test_entry_and_exit_of_one_nonce_are_two_check_ins(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001", nonce="n") is LET_IN
    assert fair.scan("s0001", nonce="n", direction=Direction.EXIT) is LET_IN
    assert fair.redeem("s0001", nonce="n").verdict.is_repeat
    assert fair.store.tickets.counts(fair.list_()).all.inside == 0


# --- reconcile --------------------------------------------------------------------------------------------------------


def test_an_order_that_is_gone_is_withdrawn_by_a_reconcile(fair: Fair) -> None:
    fair.tell(*orders_of_one(range(1, 6)))
    taken = fair.reconcile(*orders_of_one(range(1, 5)))
    assert (taken.tickets, taken.withdrawn, taken.held.tickets) == (5, 1, 0)
    assert fair.is_withdrawn("s0005")
    assert fair.store.orders.orders_held(fair.source_id) == 4
    before = fair.store.lists.version_of(fair.list_(SIDE).id)
    assert fair.reconcile(*orders_of_one(range(1, 5))).withdrawn == 0
    assert fair.store.lists.version_of(fair.list_(SIDE).id) == before or not fair.is_withdrawn("s0001")


def test_what_was_told_while_it_ran_is_not_gone(fair: Fair) -> None:
    fair.tell(*orders_of_one([1]))
    number = fair.request()
    fair.tell(an_order("LATE", a_ticket(2)))
    assert fair.reconcile(*orders_of_one([1]), number=number).withdrawn == 0
    assert not fair.is_withdrawn("s0002")


@pytest.mark.parametrize(
    ("there", "gone", "is_held"),
    [(100, 20, False), (100, 21, True), (400, 40, False), (400, 41, True), (30, 20, False)],
)
def test_what_is_too_much_to_believe_waits_for_staff(fair: Fair, there: int, gone: int, is_held: bool) -> None:
    fair.tell(*orders_of_one(range(1, there + 1)))
    rest = orders_of_one(range(1, there - gone + 1))
    taken = fair.reconcile(*rest)
    assert (taken.withdrawn, taken.held.tickets) == ((0, gone) if is_held else (gone, 0))
    assert fair.is_withdrawn(f"s{there:04d}") is not is_held
    if is_held:
        for number in (MAIN, SIDE):
            assert fair.store.held.of(fair.list_(number)).tickets == gone
        assert fair.store.held.accept(fair.list_(SIDE)).tickets == gone
        assert fair.is_withdrawn(f"s{there:04d}")
        assert not fair.store.held.of(fair.list_(MAIN))


def test_what_waits_for_staff_and_is_told_again_no_longer_waits(fair: Fair) -> None:
    everything = orders_of_one(range(1, 101))
    fair.tell(*everything)
    fair.reconcile(*everything[:50])
    fair.reconcile(*everything)
    assert not fair.store.held.of(fair.list_())
    assert fair.store.tickets.counts(fair.list_()).all.total == 100


# --- secrets that let nobody in ---------------------------------------------------------------------------------------


def test_barred_secrets_let_nobody_in_until_they_are_no_longer(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1), a_ticket(2), a_ticket(3)))
    barred = {"revoked": frozenset({"s0001", "gone"}), "blocked": frozenset({"s0002"})}
    fair.store.orders.bar(fair.source_id, barred)
    assert fair.scan("s0001") is Reason.REVOKED
    assert fair.scan("s0002", SIDE) is Reason.BLOCKED
    assert fair.scan("s0003") is LET_IN
    before = fair.rows_written()
    fair.store.orders.bar(fair.source_id, barred)
    assert fair.rows_written() == before
    fair.store.orders.bar(fair.source_id, {"revoked": frozenset({"s0001"}), "blocked": frozenset()})
    assert fair.scan("s0002", SIDE) is LET_IN
    assert fair.scan("s0001") is Reason.REVOKED


# --- lists that share a source ----------------------------------------------------------------------------------------


def test_lists_of_one_event_share_its_tickets_and_not_their_check_ins(fair: Fair) -> None:
    assert fair.list_(MAIN).source.id == fair.list_(SIDE).source.id
    fair.tell(an_order("A", a_ticket(1)))
    assert fair.scan("s0001", MAIN) is LET_IN
    assert fair.scan("s0001", SIDE) is LET_IN
    assert fair.scan("s0001", MAIN) is Reason.ALREADY_REDEEMED
    assert fair.store.tickets.counts(fair.list_(SIDE)).all.checkins == 1


def test_lists_of_other_events_share_nothing(fair: Fair) -> None:
    other = fair.add_list(7, ListTerms(), event="sidecon")
    fair.tell(an_order("A", a_ticket(1)))
    assert other.source.id != fair.source_id
    assert fair.scan("s0001", 7) is Reason.UNKNOWN_TICKET


def test_removing_a_list_leaves_the_others_tickets(fair: Fair) -> None:
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT, SIDE)), a_ticket(2)), state="here")
    fair.store.orders.bar(fair.source_id, {"revoked": frozenset({"s0002"})})
    fair.store.lists.remove(fair.list_(MAIN).id, fair.now)
    source_id = fair.list_(SIDE).source.id
    assert fair.store.orders.state(source_id) == "here"
    assert fair.scan("s0001", SIDE) is Reason.ALREADY_REDEEMED
    assert fair.scan("s0002", SIDE) is Reason.REVOKED
    assert fair.store.tickets.counts(fair.list_(SIDE)).all.total == 2


def test_an_event_that_is_registered_again_begins_anew(fair: Fair, tmp_path: Path) -> None:
    fair.tell(an_order("A", a_ticket(1, entry(EIGHT)), a_ticket(2)), state="here")
    fair.store.orders.completed(fair.source_id, 1, fair.now, 0.1)
    assert fair.scan("s0002") is LET_IN
    fair.settle()
    for number in (MAIN, SIDE):
        fair.store.lists.remove(fair.list_(number).id, fair.now)
    again = fair.add_list(MAIN, ListTerms())
    assert fair.store.orders.state(again.source.id) is None, "its orders have to be told again"
    assert again.source.told == 0
    assert fair.scan("s0001") is Reason.UNKNOWN_TICKET
    fair.tell(an_order("A", a_ticket(1), a_ticket(2)))
    assert fair.scan("s0001") is LET_IN
    assert fair.is_sound()


def test_a_new_catalog_is_news_to_every_list_of_the_event(fair: Fair) -> None:
    main, side = fair.list_(MAIN), fair.list_(SIDE)
    before = fair.store.lists.version_of(side.id)
    fair.store.lists.learn(main, a_catalog(Question(1, "S", "Why?", True, 0, frozenset({TICKET}))), subevent=None)
    assert fair.list_(SIDE).catalog == fair.list_(MAIN).catalog != side.catalog
    assert fair.store.lists.version_of(side.id) > before, "whoever keeps what a scanner sees of it makes it anew"


def test_each_list_counts_its_own_items(tmp_path: Path) -> None:
    fair = Fair(tmp_path, ListTerms(item_ids=frozenset({TICKET})), ListTerms(item_ids=frozenset({SHIRT})))
    fair.tell(an_order("A", a_ticket(1), a_ticket(2, item_id=SHIRT)))
    assert fair.scan("s0001", SIDE) is Reason.PRODUCT
    assert fair.found("guest", SIDE) == ["s0002"]
    assert [fair.store.tickets.counts(fair.list_(number)).all.total for number in (MAIN, SIDE)] == [1, 1]
    fair.close()
