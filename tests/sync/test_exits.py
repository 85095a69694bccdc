"""Exits on a list whose upstream knows none: it never hears of them, whatever goes on beside them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from edgebox.clock import Clock
from edgebox.model import CheckInState, Direction, StampKind
from edgebox.upstream import UpstreamError
from tests.support.box import wait_until
from tests.support.upstream import SERVER_ERROR, StubUpstream, always
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SECRET, SOON_S, Venue

EXIT = Direction.EXIT
DAYS = timedelta(days=400)


def states(venue: Venue) -> list[tuple[str, str]]:
    return [(checkin.direction.value, checkin.state.value) for checkin in venue.checkins()]


def inside(venue: Venue) -> tuple[int, int]:
    """How many have entered, and how many of them are inside."""
    (status,) = venue.box.status()
    return status.checkins, status.inside


def test_upstream_hears_of_entries_alone(recorded: Venue, stub: StubUpstream) -> None:
    recorded.scan(SECRET, direction=EXIT)
    recorded.scan("secret000001", direction=EXIT)
    assert recorded.line.push().settled == 1
    assert recorded.line.push().settled == 0
    assert [entry.secret for entry in stub.log] == [SECRET]
    assert states(recorded) == [("entry", "settled"), ("exit", "kept"), ("exit", "kept")]
    assert inside(recorded) == (1, 0)


def test_also_of_a_box_that_syncs_by_itself(recorded: Venue, stub: StubUpstream) -> None:
    recorded.scan(SECRET, direction=EXIT)
    recorded.box.sync.start()
    wait_until(lambda: stub.accepted(SECRET), SOON_S, "the entry is told")
    recorded.scan("secret000001", direction=EXIT)
    recorded.scan("secret000002")
    wait_until(lambda: recorded.box.status()[0].pending == 0, SOON_S, "nothing waits")
    assert {entry.secret for entry in stub.log} == {SECRET, "secret000002"}


def test_a_retry_of_everything_leaves_them_out(recorded: Venue, stub: StubUpstream) -> None:
    recorded.scan(SECRET, direction=EXIT)
    stub.on("redeem", always(SERVER_ERROR))
    recorded.line.push()
    stub.off()
    assert recorded.box.sync_now()[0].pushed == 1
    assert states(recorded) == [("entry", "settled"), ("exit", "kept")]


def test_a_pull_brings_nobody_back_in_who_has_left(recorded: Venue) -> None:
    recorded.scan(SECRET, direction=EXIT)
    for _ in range(2):
        recorded.box.sync_now()
        assert inside(recorded) == (1, 0)
    assert not recorded.scan(SECRET).verdict.is_ok
    assert recorded.scan(SECRET, is_forced=True).verdict.is_ok
    assert inside(recorded) == (1, 1)
    for _ in range(2):
        recorded.box.sync_now()
        assert inside(recorded) == (1, 1)


def test_an_exit_that_is_undone_was_never_anybodys_business(recorded: Venue, stub: StubUpstream) -> None:
    recorded.line.push()
    recorded.scan(SECRET, direction=EXIT)
    recorded.box.desk.undo(recorded.checkins()[-1].id, "Bea", "only looked out")
    recorded.box.sync_now()
    assert [entry.secret for entry in stub.log] == [SECRET]
    assert states(recorded) == [("entry", "settled"), ("exit", "cancelled")]
    assert inside(recorded) == (1, 1)


# --- a box that wakes up with a wrong clock ---------------------------------------------------------------------------


@pytest.fixture
def offline(open_venue: OpenVenue, stub: StubUpstream) -> Venue:
    """It has tickets, and nobody tells it the time; somebody has come and gone."""
    stub.add_tickets(5)
    venue = open_venue()
    venue.line.pull()
    venue.close()
    stub.stop()
    wrong = Clock(wall=lambda: time.time() - DAYS.total_seconds(), system_synchronised=lambda: False)
    venue = open_venue(clock=wrong)
    venue.scan(SECRET)
    venue.scan(SECRET, direction=EXIT)
    return venue


def test_their_time_is_corrected_with_that_of_the_entries(offline: Venue, stub: StubUpstream) -> None:
    assert inside(offline) == (1, 0)
    stub.start()
    offline.line.push()
    assert [(checkin.state, checkin.stamp) for checkin in offline.checkins()] == [
        (CheckInState.SETTLED, StampKind.CORRECTED), (CheckInState.KEPT, StampKind.CORRECTED),
    ]  # fmt: skip
    assert abs(offline.checkins()[-1].datetime - datetime.now(UTC)) < timedelta(minutes=5)
    assert inside(offline) == (1, 0)


def test_also_where_no_entry_waits(offline: Venue, open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.start()
    offline.scan("secret000001", datetime=datetime.now(UTC) - timedelta(hours=1))
    offline.line.push()
    stub.stop()
    offline.close()
    # Another start in the same boot, which has not heard the time yet.
    again = open_venue(clock=Clock(wall=offline.box.clock.wall, system_synchronised=lambda: False))
    again.scan("secret000001", direction=EXIT)
    assert again.checkins()[-1].stamp is StampKind.UNTRUSTED
    with pytest.raises(UpstreamError):
        again.line.pull()
    again.line.push()
    assert again.checkins()[-1].stamp is StampKind.UNTRUSTED, "nobody knows the time, and nobody is asked for it"
    stub.start()
    again.line.probe()
    again.line.push()
    assert again.checkins()[-1].stamp is StampKind.CORRECTED
    assert inside(again) == (2, 0)
