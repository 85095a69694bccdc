"""Following the orders of an event: once for all of its lists, from where it left off, and now and then all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgebox.model import CheckInState, Direction, Reason, ToldCheckIn
from edgebox.store import Refused
from edgebox.sync import UpstreamState
from edgebox.sync.following import COUNT_EVERY_S
from edgebox.upstream import Closed, UpstreamError
from edgebox.upstream.pretix import PretixConnection
from edgebox.upstream.pretix import feed as feed_module
from tests.support.box import wait_until
from tests.support.pretix import (
    ANSWER_LOST,
    CUT,
    EVENT,
    INVALID_TOKEN,
    NEVER_ARRIVED,
    PretixStub,
    Request,
    Response,
    check_in_list,
    order,
    page_of_html,
    position,
    said,
)
from tests.support.upstream import Hold
from tests.sync.fair import Fair, change, sell
from tests.sync.venue import SOON_S

ORDERS = f"events/{EVENT}/orders/"

Open = Callable[..., Fair]


@pytest.fixture
def pretix() -> Iterator[PretixStub]:
    """A scripted pretix, listening."""
    stub = PretixStub()
    try:
        yield stub
    finally:
        stub.stop()
    assert not stub.errors, f"the stub itself went wrong: {stub.errors}"


@pytest.fixture
def open_fair(tmp_path: Path, pretix: PretixStub) -> Iterator[Open]:
    opened: list[Fair] = []

    def open_one(*numbers: int) -> Fair:
        opened.append(Fair(tmp_path / "data", pretix, *numbers))
        return opened[-1]

    yield open_one
    for fair in opened:
        fair.close()


@pytest.fixture
def fair(open_fair: Open, pretix: PretixStub) -> Fair:
    """A box that has pulled 120 orders."""
    sell(pretix, 120)
    opened = open_fair()
    opened.pull()
    return opened


# --- the first pull ---------------------------------------------------------------------------------------------------


def test_the_first_pull_brings_all_orders_and_says_how_far_it_is(fair: Fair) -> None:
    assert fair.held() == 120
    assert fair.progress[-1] == (120, 120)
    assert [done for done, _ in fair.progress] == sorted(done for done, _ in fair.progress)
    assert {total for _, total in fair.progress} == {120}
    assert fair.list_.source.told > 0
    assert fair.list_.source.last_pull == fair.now
    assert fair.scan("secret77").verdict.is_ok


@pytest.mark.parametrize("fault", [NEVER_ARRIVED, CUT, page_of_html(200), page_of_html(502)], ids=repr)
def test_a_first_pull_that_breaks_goes_on_where_it_was(open_fair: Open, pretix: PretixStub, fault: Response) -> None:
    sell(pretix, 400)
    fair = open_fair()
    left = [4]

    def hook(request: Request) -> Response | None:
        left[0] -= 1
        return fault if left[0] < 0 else None

    pretix.on(ORDERS, hook)
    with pytest.raises(UpstreamError):
        fair.pull()
    pretix.off()
    some = fair.held()
    assert 0 < some < 400
    assert fair.progress[-1] == (some, 400)
    assert fair.list_.source.told == 0, "not all of it is known yet"
    known = [number for number in range(1, 401) if fair.box.store.tickets.find(fair.list_, f"secret{number}")]
    assert len(known) == some
    assert fair.scan(f"secret{known[0]}").verdict.is_ok
    before = fair.orders_asked()
    fair.follower = fair.new_follower()
    fair.pull()
    assert fair.held() == 400
    assert fair.list_.source.told > 0
    assert fair.progress[-1] == (400, 400)
    assert fair.orders_asked() - before <= (400 - some) // 50 + 2, "what was there was not asked for again"
    assert fair.scan(f"secret{known[0]}").verdict.reason is Reason.ALREADY_REDEEMED


def test_what_is_sold_during_the_first_pull_comes_with_the_next(open_fair: Open, pretix: PretixStub) -> None:
    sell(pretix, 120)
    fair = open_fair()
    left = [2]

    def hook(request: Request) -> Response | None:
        left[0] -= 1
        if left[0] == 0:
            pretix.orders.append(order("LATE", position(999), made=pretix.now))
        return None

    pretix.on(ORDERS, hook)
    fair.pull()
    fair.let_pass(5)
    fair.pull()
    assert fair.scan("secret999").verdict.is_ok


# --- increments -------------------------------------------------------------------------------------------------------


def test_only_what_has_changed_is_asked_for_and_nothing_else_written(fair: Fair, pretix: PretixStub) -> None:
    fair.pull()
    before, state = fair.orders_asked(), fair.box.store.orders.state(fair.list_.source.id)
    fair.let_pass(5)
    taken = fair.pull()
    assert (taken.tickets, taken.written) == (0, 0)
    assert fair.orders_asked() == before + 1
    assert pretix.seen(ORDERS)[-1].asked("modified_since") is not None
    assert fair.box.store.orders.state(fair.list_.source.id) == state
    assert fair.list_.source.last_pull == fair.now, "it is fresh all the same"


def test_a_change_is_seen_by_the_next_increment(fair: Fair, pretix: PretixStub) -> None:
    fair.let_pass(60)
    change(pretix, 7, attendee_name="Ada", secret="renewed")
    taken = fair.pull()
    assert (taken.tickets, taken.written) == (1, 1)
    assert fair.name("renewed") == "Ada"
    assert fair.scan("secret7").verdict.reason is Reason.UNKNOWN_TICKET


def test_a_change_that_was_committed_late_is_seen(fair: Fair, pretix: PretixStub) -> None:
    fair.let_pass(60)
    change(pretix, 1, attendee_name="First")
    fair.pull()
    fair.let_pass(5)
    fair.pull()
    change(pretix, 2, attendee_name="Late")
    pretix.orders[1]["last_modified"] = (pretix.now - timedelta(seconds=4)).isoformat()
    fair.let_pass(0.5)
    fair.pull()
    assert fair.name("secret2") == "Late"


def test_an_increment_that_breaks_is_asked_for_again(fair: Fair, pretix: PretixStub) -> None:
    fair.let_pass(60)
    for number in range(1, 81):
        change(pretix, number, attendee_name=f"New {number}")
    left = [1]

    def hook(request: Request) -> Response | None:
        left[0] -= 1
        return NEVER_ARRIVED if left[0] < 0 else None

    pretix.on(ORDERS, hook)
    with pytest.raises(UpstreamError):
        fair.pull()
    assert fair.follower.due_in_s() == 0
    pretix.off()
    fair.let_pass(5)
    fair.pull()
    assert [number for number in range(1, 81) if fair.name(f"secret{number}") != f"New {number}"] == []


def test_told_check_ins_are_those_of_each_list(open_fair: Open, pretix: PretixStub) -> None:
    pretix.lists.append(check_in_list(2, "Side"))
    at = (pretix.now - timedelta(hours=1)).isoformat()
    pretix.orders.append(order("A", position(1, checkins=[{"list": 2, "datetime": at, "type": "entry"}])))
    fair = open_fair(1, 2)
    fair.pull()
    assert fair.scan("secret1", 1).verdict.is_ok
    assert fair.scan("secret1", 2).verdict.reason is Reason.ALREADY_REDEEMED


def test_it_is_due_again_after_the_interval(fair: Fair, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fair.follower.due_in_s() == feed_module.INTERVAL_S
    fair.seconds.now_s += feed_module.INTERVAL_S
    assert fair.follower.due_in_s() == 0
    monkeypatch.setattr(PretixConnection, "is_limited", True)
    fair.pull()
    assert fair.follower.due_in_s() == feed_module.LIMITED_INTERVAL_S
    fair.follower.pull_soon()
    assert fair.follower.due_in_s() == 0


# --- the lists of an event --------------------------------------------------------------------------------------------


def test_what_comes_for_one_list_comes_for_the_others(open_fair: Open, pretix: PretixStub) -> None:
    pretix.lists += [check_in_list(number, f"List {number}") for number in (2, 3)]
    sell(pretix, 60)
    fair = open_fair(1, 2, 3)
    lines = [fair.box.sync._lines[list_.id] for list_ in fair.lists]
    assert len({line.follower for line in lines}) == 1
    taken = [line.pull_when_due() for line in lines]
    assert [each.tickets for each in taken] == [60, 0, 0]
    asked = fair.orders_asked()
    assert all(line.pull_in_s() > 0 for line in lines)
    assert [line.pull_when_due().tickets for line in lines] == [0, 0, 0]
    assert fair.orders_asked() == asked
    assert all(fair.scan("secret5", list_.id).verdict.is_ok for list_ in fair.lists)
    lines[1].pull()
    assert fair.orders_asked() > asked, "staff asked for it"


def test_a_list_that_is_gone_does_not_stop_the_others(open_fair: Open, pretix: PretixStub) -> None:
    pretix.lists.append(check_in_list(2, "Short-lived"))
    sell(pretix, 10)
    fair = open_fair(1, 2)
    fair.box.sync_now()
    pretix.lists.pop()
    change(pretix, 3, attendee_name="Ada")
    terms = fair.lists[1].terms
    one, two = (fair.box.sync._lines[number] for number in (1, 2))
    one.pull()
    with pytest.raises(Closed):
        two.probe()
    assert fair.name("secret3") == "Ada"
    assert fair.lists[1].terms == terms, "what was known of it stays"
    assert one.link.report().state is UpstreamState.ONLINE
    with pytest.raises(Closed):
        two.pull()
    assert two.link.report().state is UpstreamState.REFUSED, "that the event answers does not bring the list back"
    pretix.lists.append(check_in_list(2, "Back again"))
    two.probe()
    assert two.link.report().state is UpstreamState.ONLINE


def test_without_a_list_nothing_is_pulled(fair: Fair) -> None:
    fair.box.remove_list(1)
    asked = len(fair.pretix.requests)
    with pytest.raises(Refused):
        fair.pull()
    assert len(fair.pretix.requests) == asked


def test_a_list_that_is_registered_later_has_the_tickets_at_once(fair: Fair, pretix: PretixStub) -> None:
    pretix.lists.append(check_in_list(2, "VIP", all_products=False, limit_products=[99]))
    late = fair.box.add_offered(EVENT, 2)
    fair.box.scanners.add("late", late.id)
    assert fair.scan("secret1", late.id).verdict.reason is Reason.PRODUCT, "and lets in only whom it is for"
    assert fair.scan("secret1").verdict.is_ok


def test_catalog_and_terms_are_learned_with_each_pull(fair: Fair, pretix: PretixStub) -> None:
    version = fair.box.store.lists.version_of(1)
    pretix.items[0]["name"] = {"en": "Day ticket"}
    pretix.lists[0] |= {"include_pending": True, "rules": {"inList": [{"var": "product"}, {"objectList": []}]}}
    pretix.revoked.append({"id": 1, "secret": "secret3", "created": pretix.now.isoformat()})
    fair.let_pass(5)
    fair.pull()
    assert fair.list_.catalog is not None
    assert [item.name for item in fair.list_.catalog.items] == ["Day ticket"]
    assert fair.list_.terms is not None
    assert fair.list_.terms.include_pending
    assert fair.scan("secret4").verdict.reason is Reason.RULES
    assert fair.scan("secret3").verdict.reason is Reason.REVOKED
    assert fair.box.store.lists.version_of(1) > version


def test_a_new_catalog_is_news_to_every_list_of_the_event(open_fair: Open, pretix: PretixStub) -> None:
    pretix.lists.append(check_in_list(2, "Side"))
    fair = open_fair(1, 2)
    fair.box.sync_now()
    version = fair.box.store.lists.version_of(2)
    pretix.items[0]["name"] = {"en": "Day ticket"}
    fair.box.sync.now(1)
    assert fair.lists[1].catalog == fair.lists[0].catalog
    assert fair.box.store.lists.version_of(2) > version


# --- all orders -------------------------------------------------------------------------------------------------------


def test_a_deleted_order_is_found_by_the_count_and_once(fair: Fair, pretix: PretixStub) -> None:
    pretix.orders.pop(6)
    fair.let_pass(5)
    before = fair.orders_asked()
    assert fair.pull().withdrawn == 1
    assert fair.scan("secret7").verdict.reason is Reason.WITHDRAWN
    assert fair.orders_asked() > before + 3
    for _ in range(3):
        fair.let_pass(COUNT_EVERY_S)
        before = fair.orders_asked()
        assert fair.pull().withdrawn == 0
        assert fair.orders_asked() <= before + 2, "an increment and a count"


def test_orders_are_counted_seldom(fair: Fair, pretix: PretixStub) -> None:
    fair.pull()
    pretix.orders.pop(6)
    fair.let_pass(COUNT_EVERY_S - 1)
    assert fair.pull().withdrawn == 0
    fair.let_pass(1)
    assert fair.pull().withdrawn == 1


def test_what_is_held_back_is_no_reason_to_go_through_all_again(fair: Fair, pretix: PretixStub) -> None:
    del pretix.orders[60:]
    fair.let_pass(5)
    taken = fair.pull()
    assert (taken.withdrawn, taken.held.tickets) == (0, 60)
    assert fair.held() == 120
    fair.let_pass(COUNT_EVERY_S)
    before = fair.orders_asked()
    fair.pull()
    assert fair.orders_asked() <= before + 2
    assert fair.box.store.held.of(fair.list_).tickets == 60
    pretix.orders.pop()
    fair.let_pass(COUNT_EVERY_S)
    fair.pull()
    assert fair.box.store.held.of(fair.list_).tickets == 61, "unless still more are gone"


def test_all_orders_are_gone_through_once_a_night(fair: Fair, pretix: PretixStub) -> None:
    fair.pull()
    # As many as before, and the new one is older than what an increment asks for.
    pretix.orders.pop(6)
    sell(pretix, 1, first=500)
    fair.let_pass(COUNT_EVERY_S)
    assert fair.pull().withdrawn == 0
    fair.let_pass((datetime(2026, 11, 25, 3, 5, tzinfo=UTC) - fair.now).total_seconds())  # 4:05 in Berlin
    assert fair.pull().withdrawn == 1
    assert fair.scan("secret500").verdict.is_ok
    fair.let_pass(5)
    before = fair.orders_asked()
    fair.pull()
    assert fair.orders_asked() <= before + 2, "an increment, and a count"


def test_going_through_all_that_breaks_takes_nothing_away_and_is_made_up_for(fair: Fair, pretix: PretixStub) -> None:
    fair.pull()
    pretix.orders.pop(6)
    sell(pretix, 1, first=500)
    fair.let_pass((datetime(2026, 11, 25, 3, 5, tzinfo=UTC) - fair.now).total_seconds())

    def hook(request: Request) -> Response | None:
        return NEVER_ARRIVED if request.asked("created_before") and request.asked("created_since") else None

    pretix.on(ORDERS, hook)
    with pytest.raises(UpstreamError):
        fair.pull()
    assert fair.scan("secret7").verdict.is_ok
    pretix.off()
    fair.let_pass(5)
    assert fair.pull().withdrawn == 1


# --- with the rest of the box -----------------------------------------------------------------------------------------


def test_a_ticket_sold_just_now_is_looked_up_and_pulled(
    open_fair: Open, pretix: PretixStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "INTERVAL_S", 10_000.0)
    sell(pretix, 5)
    fair = open_fair()
    fair.box.sync.start()
    wait_until(lambda: fair.held() == 5 and fair.box.sync.is_online(1), SOON_S, "the first pull")
    pretix.orders.append(order("DOOR", position(77, secret="justsold0001"), made=pretix.now))
    assert fair.scan("justsold0001").verdict.reason is Reason.UNKNOWN_TICKET
    wait_until(lambda: fair.scan("justsold0001").verdict.is_ok, SOON_S, "it is known")
    wait_until(lambda: [each["secret"] for each in pretix.redeemed] == ["justsold0001"], SOON_S, "and pushed")


def test_a_revoked_device_is_refused_and_goes_on_by_itself(fair: Fair, pretix: PretixStub) -> None:
    pretix.on("organizers/", INVALID_TOKEN)
    (synced,) = fair.box.sync_now()
    assert synced.problem is not None
    assert fair.box.sync.report(1).state is UpstreamState.REFUSED
    assert fair.scan("secret1").verdict.is_ok
    pretix.off()
    (synced,) = fair.box.sync_now()
    assert (synced.problem, synced.pushed) == (None, 1)
    assert fair.box.sync.report(1).state is UpstreamState.ONLINE


def test_a_replay_that_is_refused_because_of_itself_is_no_conflict(fair: Fair, pretix: PretixStub) -> None:
    assert fair.scan("secret1").verdict.is_ok
    pretix.on("checkinrpc/redeem/", ANSWER_LOST, times=1)
    pretix.on("checkinrpc/redeem/", refused_by_rules(pretix))
    fair.box.sync_now()
    fair.box.sync_now()
    (checkin,) = fair.checkins()
    assert checkin.state is CheckInState.SETTLED
    assert len(pretix.redeemed) == 1
    assert not fair.box.conflicts()


def refused_by_rules(pretix: PretixStub) -> Callable[[Request], Response | None]:
    """Pretix looks at the rules before the nonce: whom it has let in already, it refuses without force."""

    def hook(request: Request) -> Response | None:
        body: dict[str, Any] = request.json
        found = next(p for each in pretix.orders for p in each["positions"] if p["secret"] == body["secret"])
        if body["force"] or not found["checkins"]:
            return None
        return said({"status": "error", "reason": "rules", "position": found}, 400)

    return hook


def test_a_double_entry_is_a_conflict(fair: Fair, pretix: PretixStub) -> None:
    change(pretix, 1, checkins=[{"list": 1, "datetime": pretix.now.isoformat(), "type": "entry"}])
    assert fair.scan("secret1").verdict.is_ok, "the box does not know of it yet"
    fair.box.sync_now()
    (conflict,) = fair.box.conflicts()
    assert conflict.checkin.conflict == "already_redeemed"
    assert [each["force"] for each in pretix.redeemed] == [True]


def test_a_double_entry_is_a_conflict_also_when_the_box_ended_before_it_heard(
    open_fair: Open, pretix: PretixStub
) -> None:
    sell(pretix, 1)
    fair = open_fair(1)
    fair.pull()
    fair.scan("secret1")
    change(pretix, 1, checkins=[{"list": 1, "datetime": pretix.now.isoformat(), "type": "entry"}])
    pretix.on("checkinrpc/redeem/", lambda request: ANSWER_LOST if request.json["force"] else None)
    assert fair.box.sync.now(1).pushed == 0
    assert len(pretix.redeemed) == 1  # it has arrived
    pretix.off()
    fair.box.sync.remove(1)
    fair.box.sync.add(fair.list_)  # as after a restart: what is not on the disk is forgotten
    assert fair.box.sync.now(1).pushed == 1
    assert len(pretix.redeemed) == 1
    assert [checkin.conflict for checkin in fair.checkins()] == ["already_redeemed"]


def test_exits_are_pushed_as_exits_and_come_back_as_the_same(fair: Fair, pretix: PretixStub) -> None:
    assert fair.scan("secret1").verdict.is_ok
    fair.let_pass(60)
    assert fair.scan("secret1", direction=Direction.EXIT).verdict.is_ok
    fair.box.sync_now()
    assert [each["type"] for each in pretix.redeemed] == ["entry", "exit"]
    pretix.orders[0]["last_modified"] = pretix.now.isoformat()
    fair.box.sync_now()
    counts = fair.box.counts(fair.list_).all
    assert (counts.checkins, counts.inside) == (1, 0)
    told = {ToldCheckIn(1, each.datetime, each.direction) for each in fair.checkins()}
    got = fair.box.store.tickets.get(fair.list_, 1)
    assert got is not None
    assert {ToldCheckIn(1, past.at, past.direction) for past in got[1]} == told


def test_no_exit_is_told_before_its_entry_although_pretix_chokes_on_that(fair: Fair, pretix: PretixStub) -> None:
    for number in (1, 2):
        assert fair.scan(f"secret{number}").verdict.is_ok
        fair.let_pass(60)
    assert fair.scan("secret1", direction=Direction.EXIT).verdict.is_ok
    broken = page_of_html(500)
    pretix.on("redeem", lambda request: broken if request.json["secret"] == "secret1" else None, times=2)
    assert fair.box.sync.now(1).pushed == 1
    assert fair.box.sync.now(1).pushed == 2
    told = [(each["secret"], each["type"]) for each in pretix.redeemed]
    assert told == [("secret2", "entry"), ("secret1", "entry"), ("secret1", "exit")]
    assert fair.box.conflicts() == []


def test_an_exit_does_not_wait_for_an_entry_that_is_parked(fair: Fair, pretix: PretixStub) -> None:
    assert fair.scan("secret1").verdict.is_ok
    fair.let_pass(60)
    assert fair.scan("secret1", direction=Direction.EXIT).verdict.is_ok
    wrong = said({"detail": "no"}, 400)
    pretix.on("redeem", lambda request: wrong if request.json["type"] == "entry" else None)
    assert fair.box.sync.now(1).pushed == 1
    assert [each["type"] for each in pretix.redeemed] == ["exit"]
    assert [checkin.state.value for checkin in fair.checkins()] == ["parked", "settled"]


def test_stopping_gives_up_a_pull_that_is_under_way(
    open_fair: Open, pretix: PretixStub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sell(pretix, 60)
    fair = open_fair()
    hold = Hold()

    def hook(request: Request) -> Response | None:
        if request.asked("ordering") is None:
            return None
        hold.wait()
        return None

    pretix.on(ORDERS, hook)
    fair.box.sync.start()
    assert hold.reached.wait(SOON_S)
    fair.box.sync.stop()
    hold.release()
    assert "still under way" not in caplog.text
