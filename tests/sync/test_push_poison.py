"""A check-in on which upstream chokes, and an upstream that chokes on all: who waits, who goes on, who is parked."""

from __future__ import annotations

import contextlib
import logging

import pytest

from edgebox.model import CheckInState, ConflictReason, RedeemRequest
from edgebox.sync.push import CHOKED_RETRY_S, MAX_TRIES, TROUBLE_AFTER, TROUBLE_RETRY_S, Trouble
from edgebox.upstream import NotUpstream, Unreachable
from tests.support.upstream import (
    ANSWER_LOST,
    CLOSED,
    INVALID_KEY,
    PORTAL_PAGE,
    SERVER_ERROR,
    Response,
    StubUpstream,
    always,
    times,
    unavailable,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SECRET, Ticker, Venue

# --- upstream chokes on one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
def test_a_poisonous_check_in_goes_behind_the_others_and_is_parked_after_five_tries(
    open_venue: OpenVenue, stub: StubUpstream, status: int
) -> None:
    stub.add_tickets(5)
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    for number in range(5):
        venue.scan(f"secret00000{number}")
    poison = "secret000002"
    stub.on("redeem", always(Response(status, "<h1>Oops</h1>"), poison))

    pushed = venue.line.push()
    assert (pushed.settled, pushed.choked) == (4, 1)
    assert sorted(stub.checkins) == [f"secret00000{number}" for number in (0, 1, 3, 4)]
    assert venue.state == "online"
    assert venue.line.push_in_s() == 0, "the others do not back off for it"
    waited_s = 0.0
    for tries in range(1, MAX_TRIES):
        assert (venue.checkin(poison).state, venue.checkin(poison).tries) == (CheckInState.PENDING, tries)
        wait_s = venue.line.next_retry_in_s()
        assert wait_s is not None
        assert wait_s == CHOKED_RETRY_S * 2 ** (tries - 1)
        ticker.let_pass(wait_s - 0.5)
        assert venue.line.push().choked == 0, "not before its time"
        ticker.let_pass(0.5)
        waited_s += wait_s
        venue.line.push()
    checkin = venue.checkin(poison)
    assert (checkin.state, checkin.conflict) == (CheckInState.PARKED, ConflictReason.POISONOUS)
    assert f"answered {status} to this check-in" in (checkin.conflict_note or "")
    assert len(stub.seen("redeem", poison)) == MAX_TRIES
    assert waited_s >= 60, "not given up for a hiccup"
    assert venue.line.next_retry_in_s() is None


@pytest.mark.parametrize("status", [400, 401, 405, 413, 415, 422])
def test_what_upstream_calls_wrong_is_parked_at_once(recorded: Venue, stub: StubUpstream, status: int) -> None:
    recorded.scan("secret000001")
    stub.on("redeem", always(Response(status), SECRET))
    pushed = recorded.line.push()
    assert (pushed.settled, pushed.parked, pushed.choked) == (1, 1, 0)
    checkin = recorded.checkin(SECRET)
    assert (checkin.state, checkin.conflict) == (CheckInState.PARKED, ConflictReason.POISONOUS)


def test_a_retried_poisonous_check_in_has_all_its_tries_again(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", always(Response(400)))
    recorded.line.push()
    recorded.box.retry(recorded.checkin(SECRET).id)
    stub.off()
    stub.on("redeem", times(MAX_TRIES - 1, SERVER_ERROR))
    for _ in range(MAX_TRIES - 1):
        assert recorded.line.push(retry_all=True).choked == 1
    assert recorded.line.push(retry_all=True).settled == 1
    assert recorded.box.conflicts() == []


@pytest.mark.parametrize(
    "response",
    [ANSWER_LOST, CLOSED, PORTAL_PAGE, Response(403, "<h1>Blocked</h1>"), Response(404, "Not Found")],
    ids=["answer lost", "closed", "page", "403", "404"],
)
def test_a_check_in_with_which_upstream_is_lost_each_time_does_not_block_those_behind(
    recorded: Venue, stub: StubUpstream, response: Response
) -> None:
    recorded.scan("secret000001")
    stub.on("redeem", always(response, SECRET))
    with pytest.raises((Unreachable, NotUpstream)):
        recorded.line.push()
    assert recorded.checkin(SECRET).tries == 0, "once may be chance"
    recorded.line.probe()
    pushed = recorded.line.push()
    assert (pushed.settled, pushed.choked) == (1, 1)
    assert (recorded.checkin(SECRET).state, recorded.checkin(SECRET).tries) == (CheckInState.PENDING, 1)
    stub.off()
    assert recorded.line.push(retry_all=True).settled == 1
    assert len(stub.accepted(SECRET)) == 1


def test_a_check_in_that_choked_before_a_restart_keeps_its_tries(recorded: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", always(SERVER_ERROR))
    recorded.line.push()
    for _ in range(MAX_TRIES - 1):
        recorded.new_line().push()
    assert recorded.checkin(SECRET).state is CheckInState.PARKED


# --- upstream has trouble with all of them ----------------------------------------------------------------------------


@pytest.fixture
def ill(open_venue: OpenVenue, stub: StubUpstream) -> tuple[Venue, Ticker]:
    """A box with twenty pending check-ins, whose upstream answers everything but redeems."""
    stub.add_tickets(20)
    ticker = Ticker()
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    for secret in list(stub.tickets):
        venue.scan(secret)
    stub.on("redeem", always(SERVER_ERROR))
    return venue, ticker


def pass_an_outage(venue: Venue, ticker: Ticker, seconds: float) -> None:
    """Push whenever a schedule would, for so long."""
    until_s = ticker() + seconds
    while ticker() < until_s:
        with contextlib.suppress(Trouble):
            venue.line.push()
        assert "trouble with every check-in" in venue.detail, "staff read it until a push succeeds"
        ticker.let_pass(max(venue.line.push_in_s(), 30.0))


def test_an_upstream_that_chokes_on_everything_is_left_alone_soon(
    ill: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, _ = ill
    with pytest.raises(Trouble, match="trouble with every check-in"):
        venue.line.push()
    assert len(stub.seen("redeem")) == TROUBLE_AFTER
    assert venue.line.push_in_s() > 0
    assert venue.state == "online", "it answers the probe"
    assert "trouble with every check-in" in venue.detail


def test_an_outage_of_redeems_parks_nothing_and_is_made_up_for_at_once(
    ill: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = ill
    pass_an_outage(venue, ticker, 15 * 60)
    assert {checkin.state for checkin in venue.checkins()} == {CheckInState.PENDING}
    venue.line.probe()
    assert "trouble with every check-in" in venue.detail
    stub.off()
    while venue.line.push().settled:
        pass
    assert {checkin.state for checkin in venue.checkins()} == {CheckInState.SETTLED}
    assert len(stub.log) == 20
    assert venue.detail == ""


def test_such_an_outage_is_said_once_and_when_it_is_over(
    ill: tuple[Venue, Ticker], stub: StubUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    venue, ticker = ill
    caplog.set_level(logging.INFO, "edgebox.sync.line")
    pass_an_outage(venue, ticker, 60)  # a short one: it counts as online all the time
    stub.off()
    while venue.line.push().settled:
        pass
    first, last = [record.getMessage() for record in caplog.records]
    assert "trouble with every check-in" in first
    assert last == f"list {venue.list.id}: push goes well again"


def test_an_upstream_that_calls_everything_wrong_does_not_get_everything_parked(
    ill: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = ill
    stub.off()
    stub.on("redeem", always(Response(405)))
    pass_an_outage(venue, ticker, 15 * 60)
    states = [checkin.state for checkin in venue.checkins()]
    assert states.count(CheckInState.PARKED) < TROUBLE_AFTER
    assert states.count(CheckInState.PENDING) > len(states) - TROUBLE_AFTER


def test_some_poisonous_ones_in_front_do_not_block_the_good_ones_behind(
    ill: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = ill
    stub.off()
    for number in range(6):
        stub.on("redeem", always(SERVER_ERROR, f"secret{number:06d}"))
    for _ in range(6 - TROUBLE_AFTER + 1):
        with pytest.raises(Trouble):
            venue.line.push()
        ticker.let_pass(venue.line.push_in_s())
    assert venue.line.push().settled == 14
    assert venue.detail == ""
    ticker.let_pass(CHOKED_RETRY_S * 3)
    assert venue.line.push().choked == 6, "upstream is not called ill for what it choked on before"


def test_a_few_poisonous_ones_that_are_left_alone_come_to_be_parked(
    ill: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = ill
    stub.off()
    for number in range(TROUBLE_AFTER):
        stub.on("redeem", always(SERVER_ERROR, f"secret{number:06d}"))
    for _ in range(2 * MAX_TRIES * TROUBLE_AFTER):
        with contextlib.suppress(Trouble):
            venue.line.push()
        ticker.let_pass(TROUBLE_RETRY_S)
    assert len(stub.log) == 17
    assert len([c for c in venue.checkins() if c.state is CheckInState.PARKED]) == TROUBLE_AFTER


def test_what_staff_asked_for_is_counted_as_far_as_it_came(recorded: Venue, stub: StubUpstream) -> None:
    recorded.scan("secret000001")
    recorded.scan("secret000002")
    stub.on("redeem", always(Response(400), "secret000001"))
    stub.on("redeem", always(unavailable("60"), "secret000002"))
    [synced] = recorded.box.sync_now()
    assert (synced.pushed, synced.parked) == (1, 1)
    assert synced.problem == "push: upstream has trouble (503)"
    assert synced.pulled == 5, "the other direction went on"


# --- lists do not hold up each other ----------------------------------------------------------------------------------


def test_one_list_that_is_refused_leaves_another_alone(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.add_tickets(1)
    venue = open_venue()
    other = StubUpstream().start()
    try:
        other.event = "second"
        other.add_tickets(1)
        second = venue.box.add_list(other.url, other.key)
        gate = venue.box.scanners.add("gate", second.id)
        venue.box.sync_now()
        venue.scan(SECRET)
        from_second = venue.box.get_list(second.id)
        assert venue.box.redeem(gate, from_second, RedeemRequest(SECRET)).verdict.is_ok
        stub.on("*", always(INVALID_KEY))
        refused, fine = venue.box.sync_now()
        assert (refused.pushed, fine.pushed, fine.problem) == (0, 1, None)
        assert "Invalid key" in (refused.problem or "")
        words = [status.link.state.value for status in venue.box.status()]
        assert words == ["refused", "online"]
        assert [status.pending for status in venue.box.status()] == [1, 0]
    finally:
        other.stop()
