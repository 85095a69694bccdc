"""Looking up an unknown ticket: one sold at the door minutes ago is known at the second scan."""

from __future__ import annotations

import itertools
import logging

import pytest

from edgebox.model import CheckInState, Reason
from edgebox.sync.lookup import ASK_AGAIN_AFTER_S, ASK_AGAIN_MAX_S, INTERVAL_S, MAX_WAITING
from edgebox.upstream import Closed, Unreachable
from tests.support.box import wait_until
from tests.support.event import PENDING, StubItem
from tests.support.upstream import (
    INVALID_KEY,
    JSON_WITHOUT_KEYS,
    PORTAL_PAGE,
    SERVER_ERROR,
    Hold,
    Response,
    StubUpstream,
    always,
    held,
    json_answer,
    times,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Ticker, Venue

NEW = "justsold0001"


@pytest.fixture
def open_for_sale(venue: Venue, stub: StubUpstream) -> Venue:
    """A box that has pulled, and that does not know of the ticket sold since."""
    stub.add_tickets(3)
    venue.line.pull()
    stub.add_ticket(NEW, attendee_name="Late Guest")
    return venue


def asks(venue: Venue, secret: str = NEW) -> bool:
    """A scan meets this secret; True when upstream was asked for it."""
    wanted = venue.line.want(secret)
    if wanted:
        venue.line.look_up()
    return wanted


def test_a_ticket_sold_minutes_ago_is_known_at_the_second_scan(open_for_sale: Venue, stub: StubUpstream) -> None:
    venue = open_for_sale
    venue.box.sync.start()
    wait_until(lambda: venue.box.sync.is_online(venue.list.id), SOON_S, "online")
    wait_until(lambda: len(stub.seen("download")) == 2, SOON_S, "the box's own first pull")
    late = stub.add_ticket("soldevenlater1")
    assert venue.scan(late.secret).verdict.reason is Reason.UNKNOWN_TICKET
    wait_until(lambda: venue.scan(late.secret).verdict.is_ok, SOON_S, "the ticket is known")
    wait_until(lambda: stub.accepted(late.secret), SOON_S, "its check-in is upstream")
    assert len(stub.seen("download")) == 2
    assert len(stub.seen("search")) == 1


def test_what_is_found_is_taken_in_whole(open_for_sale: Venue) -> None:
    assert asks(open_for_sale)
    found = open_for_sale.box.store.tickets.find(open_for_sale.list, NEW)
    assert found is not None
    assert (found.ticket.data.attendee_name, found.ticket.data.item_id) == ("Late Guest", 2)
    assert open_for_sale.scan(NEW).verdict.is_ok


def test_nothing_is_taken_away_by_it(open_for_sale: Venue, stub: StubUpstream) -> None:
    asks(open_for_sale)
    assert len(open_for_sale.tickets()) == 4
    taken = open_for_sale.line.pull()
    assert (taken.withdrawn, taken.written) == (0, 0)


def test_a_ticket_that_came_in_elsewhere_is_in_here_too(open_for_sale: Venue, stub: StubUpstream) -> None:
    stub.redeem({"secret": NEW})
    asks(open_for_sale)
    assert open_for_sale.scan(NEW).verdict.reason is Reason.ALREADY_REDEEMED


def test_an_unpaid_one_is_told_apart_from_an_unknown_one(open_for_sale: Venue, stub: StubUpstream) -> None:
    stub.tickets[NEW].order_status = PENDING
    asks(open_for_sale)
    assert open_for_sale.scan(NEW).verdict.reason is Reason.UNPAID


def test_only_the_very_same_secret_is_a_find(open_for_sale: Venue, stub: StubUpstream) -> None:
    stub.add_ticket("JUSTSOLD00012")  # the search ignores case and finds by the start
    del stub.tickets[NEW]
    assert asks(open_for_sale)
    assert len(open_for_sale.tickets()) == 3
    assert open_for_sale.scan(NEW).verdict.reason is Reason.UNKNOWN_TICKET


def test_a_ticket_that_is_not_told_whole_makes_a_pull_due(open_for_sale: Venue, stub: StubUpstream) -> None:
    wanted: list[float] = []
    open_for_sale.line.on_pull_wanted = lambda: wanted.append(open_for_sale.line.pull_in_s())
    stub.version = 2
    assert asks(open_for_sale)
    assert NEW not in open_for_sale.tickets(), "it is not stored in part"
    assert len(wanted) == 1
    assert wanted[0] < open_for_sale.config.pull_interval_s / 2


def test_a_ticket_of_an_item_that_the_box_does_not_know_makes_a_pull_due(
    open_for_sale: Venue, stub: StubUpstream
) -> None:
    stub.items.append(StubItem(3, "Backstage"))
    stub.tickets[NEW].item_id = 3
    asks(open_for_sale)
    assert NEW not in open_for_sale.tickets()
    assert open_for_sale.line.pull_in_s() < open_for_sale.config.pull_interval_s / 2


def test_such_a_pull_comes_no_sooner_than_any_other(open_venue: OpenVenue, stub: StubUpstream) -> None:
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)

    def slow(request: object) -> None:
        ticker.let_pass(12.0)

    stub.on("download", slow)
    venue.line.pull()
    stub.version = 2
    for number in range(3):
        stub.add_ticket(f"justsold000{number}")
        ticker.let_pass(10.0)
        assert asks(venue, f"justsold000{number}")
    assert venue.line.pull_in_s() == 120.0 - 30.0


def test_such_a_pull_brings_the_ticket_by_itself(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.version = 2
    venue = open_venue()
    venue.box.sync.start()
    wait_until(lambda: stub.seen("download"), SOON_S, "the first pull")
    wait_until(lambda: venue.box.get_list(venue.list.id).source.last_pull, SOON_S, "the first pull is over")
    stub.add_ticket(NEW)
    assert venue.scan(NEW).verdict.reason is Reason.UNKNOWN_TICKET
    wait_until(lambda: venue.scan(NEW).verdict.is_ok, SOON_S, "the ticket is known")


# --- as few questions as possible -------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "abc", "with blank", "täst1234", "x" * 191, "line\nbreak", "nul\0byte"])
def test_what_cannot_be_a_secret_is_not_asked_for(open_for_sale: Venue, secret: str) -> None:
    assert not open_for_sale.line.want(secret)


@pytest.mark.parametrize("secret", ["abcd", "x" * 190, "a'b\"c<d>&?=%#/"])
def test_whatever_may_be_a_secret_is_asked_for_as_it_is(open_for_sale: Venue, stub: StubUpstream, secret: str) -> None:
    assert asks(open_for_sale, secret)
    assert [request.query["query"] for request in stub.seen("search")] == [secret]


def test_the_same_one_is_asked_for_ever_more_rarely(open_venue: OpenVenue, stub: StubUpstream) -> None:
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    asked_at = []
    for _ in range(4 * 3600):
        ticker.let_pass(1.0)
        venue.line.link.heard()
        if venue.line.want("foreign00001"):
            venue.line.look_up()
            asked_at.append(ticker())
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert gaps == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    assert (gaps[0], gaps[-1]) == (ASK_AGAIN_AFTER_S, ASK_AGAIN_MAX_S)


def test_a_flood_of_wrong_codes_is_no_flood_of_requests(open_venue: OpenVenue, stub: StubUpstream) -> None:
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    for number in range(1000):
        venue.line.want(f"wrongcode{number}")
    asked = 0
    while venue.line.look_up_in_s() is not None:
        ticker.let_pass(venue.line.look_up_in_s() or 0.0)
        venue.line.look_up()
        asked += 1
    assert asked == MAX_WAITING
    assert ticker() >= 1000.0 + (MAX_WAITING - 1) * INTERVAL_S


def test_codes_that_come_one_by_one_are_no_flood_either(open_venue: OpenVenue, stub: StubUpstream) -> None:
    venue = open_venue(monotonic=Ticker())
    venue.line.pull()
    assert asks(venue, "wrongcode1")
    assert venue.line.want("wrongcode2")
    assert venue.line.look_up_in_s() == INTERVAL_S


def test_of_many_codes_the_oldest_are_forgotten(open_for_sale: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.sync.lookup.MAX_REMEMBERED", 5)
    for number in range(6):
        assert asks(open_for_sale, f"wrongcode{number}")
    assert not asks(open_for_sale, "wrongcode5")
    assert not asks(open_for_sale, "wrongcode1")
    assert asks(open_for_sale, "wrongcode0")


def test_nobody_is_asked_while_upstream_is_not_there(open_for_sale: Venue, stub: StubUpstream) -> None:
    stub.stop()
    with pytest.raises(Unreachable):
        open_for_sale.line.probe()
    assert not open_for_sale.line.want(NEW)
    stub.start()
    open_for_sale.line.probe()
    assert open_for_sale.line.want(NEW), "what was met meanwhile is asked for when it is met again"


# --- what a failing look-up means -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        SERVER_ERROR,
        PORTAL_PAGE,
        JSON_WITHOUT_KEYS,
        Response(400),
        Response(403, "<h1>Blocked</h1>"),
        json_answer({"results": {}}),
        json_answer({"results": None}),
    ],
)
def test_a_code_that_upstream_does_not_want_to_hear_says_nothing_of_the_link(
    open_for_sale: Venue, stub: StubUpstream, response: Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    stub.on("search", always(response))
    assert asks(open_for_sale, "'OR'1'='1")
    assert open_for_sale.state == "online"
    assert caplog.text == ""


@pytest.mark.parametrize("found", [None, 7, "x", {"secret": NEW}, {"secret": NEW, "paid": "yes"}])
def test_an_odd_find_is_never_stored(open_for_sale: Venue, stub: StubUpstream, found: object) -> None:
    stub.on("search", always(json_answer({"version": 3, "results": [found]})))
    assert asks(open_for_sale)
    assert NEW not in open_for_sale.tickets()


def test_a_look_up_that_finds_upstream_gone_says_so(open_for_sale: Venue, stub: StubUpstream) -> None:
    assert open_for_sale.line.want(NEW)
    stub.stop()
    with pytest.raises(Unreachable):
        open_for_sale.line.look_up()
    assert open_for_sale.state == "unreachable"


def test_a_look_up_that_finds_the_list_closed_says_so(open_for_sale: Venue, stub: StubUpstream) -> None:
    stub.on("*", always(INVALID_KEY))
    assert open_for_sale.line.want(NEW)
    with pytest.raises(Closed):
        open_for_sale.line.look_up()
    assert open_for_sale.state == "refused"


def test_scans_do_not_wait_for_a_look_up(open_for_sale: Venue, stub: StubUpstream) -> None:
    venue = open_for_sale
    venue.box.sync.start()
    wait_until(lambda: venue.box.sync.is_online(venue.list.id), SOON_S, "online")
    hold = Hold()
    stub.on("search", times(1, held(hold)))
    assert venue.scan(NEW + "x").verdict.reason is Reason.UNKNOWN_TICKET
    assert hold.reached.wait(SOON_S)
    assert venue.scan("secret000000").verdict.is_ok
    wait_until(lambda: venue.checkin("secret000000").state is CheckInState.SETTLED, SOON_S, "pushed meanwhile")
    hold.release()
