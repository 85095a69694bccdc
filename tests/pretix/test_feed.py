"""The orders of an event are told whole, from where it was left off, and as they change."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import pytest

from edgebox.model import ToldOrder
from edgebox.upstream import Closed, NotUpstream, Page, Unreachable
from edgebox.upstream.pretix import PretixConnection, PretixFeed
from tests.pretix.side import Seconds, tickets
from tests.support.pretix import (
    CUT,
    EVENT,
    NO_PROFILE,
    START,
    PretixStub,
    Request,
    Response,
    order,
    page_of_html,
    position,
    said,
)


def orders(count: int, apart: timedelta = timedelta(seconds=1)) -> list[dict[str, object]]:
    return [order(f"A{n:04}", position(n + 1), made=START + n * apart) for n in range(count)]


def last_state(pages: Iterator[Page]) -> str:
    return list(pages)[-1].state


def codes(pages: Iterator[Page]) -> list[str]:
    return [order.code for page in pages for order in page.orders]


def asked(pretix: PretixStub, name: str) -> list[str]:
    return [value for request in pretix.seen("orders/") for key, value in request.query if key == name]


# --- the first download -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 199, 200, 201, 450])
def test_every_order_is_told_once(pretix: PretixStub, feed: PretixFeed, count: int) -> None:
    pretix.orders = orders(count)
    pages = list(feed.follow(None))
    assert set(tickets(pages)) == set(range(1, count + 1))
    assert (pages[-1].done, pages[-1].total) == (count, count)
    assert [page.done for page in pages] == sorted(page.done for page in pages)


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(microseconds=1), timedelta(seconds=1)])
def test_orders_made_at_the_same_moment_are_all_told(pretix: PretixStub, feed: PretixFeed, apart: timedelta) -> None:
    pretix.orders = [*orders(230, apart), *(order(f"B{n:04}", position(1000 + n)) for n in range(170))]
    assert len(tickets(feed.follow(None))) == 400


@pytest.mark.parametrize("stored", [0, 1, 2, 3, 5, 8])
def test_a_download_that_was_cut_off_goes_on_where_it_was(
    pretix: PretixStub, connection: PretixConnection, feed: PretixFeed, stored: int
) -> None:
    pretix.orders = orders(430)
    pages = feed.follow(None)
    taken = list(islice(pages, stored))
    pages.close()  # type: ignore[attr-defined]
    pretix.requests.clear()
    state = taken[-1].state if taken else None
    rest = list(PretixFeed(connection, EVENT).follow(state))
    told = [order.code for page in [*taken, *rest] for order in page.orders]
    assert set(told) == {f"A{n:04}" for n in range(430)}
    # An order beside each cut comes twice, no more.
    assert len(told) <= 430 + 2
    assert rest[-1].done == rest[-1].total == 430


@pytest.mark.parametrize("fault", [page_of_html(500), CUT, page_of_html(200)])
def test_a_page_that_breaks_leaves_those_before_it(pretix: PretixStub, feed: PretixFeed, fault: Response) -> None:
    pretix.orders = orders(300)
    feed.master()
    pages = feed.follow(None)
    first = next(pages)
    pretix.on("orders", fault)
    told = [first]
    with pytest.raises((Unreachable, NotUpstream)):
        told += pages
    pretix.off()
    state = told[-1].state
    assert set(codes(iter(told))) | set(codes(feed.follow(state))) == {f"A{n:04}" for n in range(300)}


def test_orders_that_are_deleted_meanwhile_hide_no_others(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = orders(400)
    told: list[ToldOrder] = []
    for page in feed.follow(None):
        told += page.orders
        # Somebody clears away the first orders of each half.
        pretix.orders = [each for each in pretix.orders if each["code"] not in {o.code for o in page.orders[:10]}]
    assert {each.code for each in told} == {f"A{n:04}" for n in range(400)}


def test_what_changes_during_the_download_is_told_after_it(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = orders(300)
    pages = feed.follow(None)
    first = next(pages)
    pretix.now += timedelta(seconds=30)
    told = first.orders[0].code
    changed = next(each for each in pretix.orders if each["code"] == told)
    changed.update(status="c", last_modified=pretix.now.isoformat())
    pretix.orders.append(order("NEW", position(999), made=pretix.now))
    state = last_state(pages)
    pretix.now += timedelta(seconds=30)
    assert {told, "NEW"} <= set(codes(feed.follow(state)))


def test_no_request_goes_to_the_address_that_pretix_names_as_next(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = orders(120)
    assert len(tickets(feed.follow(None))) == 120  # the stub's `next` leads nowhere


def test_the_fields_that_are_asked_for_do_not_meet_pretixs_traps(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = orders(3)
    list(feed.follow(None))
    assert not [name for name in asked(pretix, "exclude") if "." in name], "pretix answers 500 beside an include"
    assert "true" in asked(pretix, "include_canceled_positions")
    assert "positions.checkins" in asked(pretix, "include")


@pytest.mark.parametrize("state", ["", "{}", "nonsense", "[]", '{"v":99,"cursor":"x"}', '{"v":1,"cursor":"x"}'])
def test_a_state_that_cannot_be_read_begins_anew(pretix: PretixStub, feed: PretixFeed, state: str) -> None:
    pretix.orders = orders(10)
    assert len(tickets(feed.follow(state))) == 10


def test_a_narrow_profile_cannot_follow_and_says_why(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.on("orders", NO_PROFILE)
    with pytest.raises(Closed, match="security profile") as caught:
        list(feed.follow(None))
    assert "pretixSCAN" in caught.value.hint


def test_a_pretix_that_does_not_say_when_it_looked_is_none(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.on("orders", said({"count": 0, "next": None, "results": []}))
    with pytest.raises(NotUpstream, match="when it looked"):
        list(feed.follow(None))


# --- what has changed -------------------------------------------------------------------------------------------------


@pytest.fixture
def followed(pretix: PretixStub, feed: PretixFeed) -> str:
    """A state from which the changes of a small event are followed."""
    pretix.orders = orders(20)
    state = last_state(feed.follow(None))
    pretix.now += timedelta(minutes=10)
    state = last_state(feed.follow(state))
    pretix.requests.clear()
    return state


def changed(pretix: PretixStub, number: int, at: datetime | None = None) -> None:
    pretix.orders[number].update(last_modified=(at or pretix.now).isoformat())


def test_a_change_is_told_by_the_next_poll(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    changed(pretix, 3)
    pretix.now += timedelta(seconds=5)
    assert codes(feed.follow(followed)) == ["A0003"]


def test_nothing_new_costs_one_request_and_changes_nothing(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    for _ in range(3):
        pretix.now += timedelta(seconds=5)
        (page,) = feed.follow(followed)
        assert (page.orders, page.state) == ((), followed)
    assert len(pretix.requests) == 3


def test_what_was_told_is_not_told_again(pretix: PretixStub, feed: PretixFeed, followed: str, seconds: Seconds) -> None:
    changed(pretix, 3)
    pretix.now += timedelta(seconds=4)
    state = last_state(feed.follow(followed))
    assert state != followed
    for _ in range(3):
        pretix.now += timedelta(seconds=5)
        seconds.now_s += 25  # so that some of them look back far
        pages = list(feed.follow(state))
        assert codes(iter(pages)) == []
        assert pages[-1].state == state


def test_an_order_that_may_still_be_in_the_making_is_told_again(
    pretix: PretixStub, feed: PretixFeed, followed: str
) -> None:
    changed(pretix, 3)
    pretix.now += timedelta(seconds=1)
    state = last_state(feed.follow(followed))
    pretix.now += timedelta(seconds=4)
    assert codes(feed.follow(state)) == ["A0003"]


def test_a_page_that_was_not_taken_in_is_told_again(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    changed(pretix, 3)
    pretix.now += timedelta(seconds=4)
    pages = feed.follow(followed)
    assert next(pages).orders
    pages.close()  # type: ignore[attr-defined]
    assert codes(feed.follow(followed)) == ["A0003"]


def test_what_a_store_has_lost_is_told_again(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    changed(pretix, 3)
    pretix.now += timedelta(seconds=4)
    assert codes(feed.follow(followed)) == ["A0003"]
    # The state that came with it never got to the disk.
    assert codes(feed.follow(followed)) == ["A0003"]


def test_a_change_that_is_committed_late_is_found(
    pretix: PretixStub, feed: PretixFeed, followed: str, seconds: Seconds
) -> None:
    begun = pretix.now
    state = followed
    found: list[str] = []
    for number in range(16):
        pretix.now += timedelta(seconds=5)
        seconds.now_s += 5
        if number % 2:
            changed(pretix, 7)  # so that the cursor moves on
        if number == 3:
            changed(pretix, 3, at=begun)
        pages = list(feed.follow(state))
        state = pages[-1].state
        found += codes(iter(pages))
    assert found.count("A0003") == 1


def test_a_change_that_is_committed_a_moment_late_is_found_at_once(
    pretix: PretixStub, feed: PretixFeed, followed: str
) -> None:
    changed(pretix, 7)
    state = last_state(feed.follow(followed))
    changed(pretix, 3, at=pretix.now - timedelta(seconds=4))
    pretix.now += timedelta(seconds=5)
    assert "A0003" in codes(feed.follow(state))


def test_a_new_process_looks_back_far(
    pretix: PretixStub, connection: PretixConnection, feed: PretixFeed, followed: str
) -> None:
    changed(pretix, 7)
    state = last_state(feed.follow(followed))
    changed(pretix, 3, at=pretix.now - timedelta(seconds=100))
    assert set(codes(PretixFeed(connection, EVENT).follow(state))) == {"A0003", "A0007"}


def test_only_pretixs_own_clock_counts(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    pretix.now = datetime.fromisoformat("2031-01-01T00:00:00.123456+01:00")
    changed(pretix, 3)
    state = last_state(feed.follow(followed))
    assert "2031-01-01T00:00:00.123456+01:00" in state


def test_many_changes_are_told_over_several_pages_with_one_cursor(
    pretix: PretixStub, feed: PretixFeed, followed: str
) -> None:
    pretix.orders += [order(f"B{n:04}", position(500 + n), made=pretix.now) for n in range(130)]
    pretix.now += timedelta(seconds=5)
    pages = list(feed.follow(followed))
    assert len(codes(iter(pages))) == 130
    assert [page.state == followed for page in pages] == [True, True, False]


def test_changes_that_break_off_are_asked_for_again(pretix: PretixStub, feed: PretixFeed, followed: str) -> None:
    pretix.orders += [order(f"B{n:04}", position(500 + n), made=pretix.now) for n in range(130)]
    pretix.now += timedelta(seconds=5)

    def second_page(request: Request) -> Response | None:
        return page_of_html(502) if request.asked("page") == "2" else None

    pretix.on("orders", second_page, times=1)
    taken: list[Page] = []
    with pytest.raises(Unreachable):
        taken.extend(feed.follow(followed))
    assert [page.state for page in taken] == [followed]
    assert len(set(codes(iter(taken))) | set(codes(feed.follow(followed)))) == 130


# --- orders that cannot be read ---------------------------------------------------------------------------------------

ODD = [
    {},
    "an order",
    None,
    order("ODD", position(900, secret=None)),
    order("ODD", position(900, id="900")),
    order("ODD", position(900, canceled="no")),
    order("ODD", position(900, item=None)),
    order("ODD", position(900, checkins=[{"list": 1, "type": "teleport", "datetime": START.isoformat()}])),
    order("ODD", position(900, checkins=[{"list": 1, "type": "entry", "datetime": "yesterday"}])),
    order("ODD", position(900, valid_from="soon")),
    order("ODD", position(900, secret="\ud800")),
    order("ODD", position(900), status=None),
    {**order("ODD"), "positions": None},
]


@pytest.mark.parametrize("odd", ODD)
def test_an_order_that_cannot_be_read_costs_no_other(
    pretix: PretixStub, feed: PretixFeed, odd: object, caplog: pytest.LogCaptureFixture
) -> None:
    pretix.orders = orders(60)
    if isinstance(odd, dict) and "datetime" in odd:
        pretix.orders.insert(30, odd)
    else:
        own = [*pretix.orders[:30], odd, *pretix.orders[30:40]]
        body = {"count": len(own), "next": None, "previous": None, "results": own}
        pretix.on("orders", said(body, X_Page_Generated=pretix.now.isoformat()))
    with caplog.at_level(logging.WARNING):
        told = codes(feed.follow(None))
    assert "A0031" in told
    assert "ODD" not in told
    assert feed.unreadable == 1
    assert "1 orders" in caplog.text
    assert "ODD" not in caplog.text
    assert "secret900" not in caplog.text


@pytest.mark.parametrize("later_s", [5, 60])
def test_a_change_that_could_not_be_read_is_asked_for_again(
    pretix: PretixStub, feed: PretixFeed, followed: str, seconds: Seconds, later_s: int
) -> None:
    """The answer was spoiled on its way, and the order may not change again for days."""
    changed(pretix, 5)
    pretix.now += timedelta(seconds=3)
    spoiled = [{**row, "status": 7} for row in pretix.orders[5:6]]
    body = {"count": 1, "next": None, "previous": None, "results": spoiled}
    pretix.on("orders", said(body, X_Page_Generated=pretix.now.isoformat()), times=1)
    pages = list(feed.follow(followed))
    assert codes(iter(pages)) == []
    pretix.now += timedelta(seconds=later_s)
    seconds.now_s += later_s
    assert codes(feed.follow(pages[-1].state)) == [pretix.orders[5]["code"]]


def test_nothing_is_taken_away_for_want_of_what_cannot_be_read(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = [*orders(60), order("ODD", position(900, item=None))]
    told: list[Page] = []
    with pytest.raises(NotUpstream, match="1 orders"):
        told.extend(feed.all_orders())
    assert len(tickets(told)) == 60


def test_all_orders_are_all_orders(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.orders = orders(230)
    pages = list(feed.all_orders())
    assert len(tickets(pages)) == 230
    assert (pages[-1].done, pages[-1].total) == (230, 230)
    assert feed.count() == 230
