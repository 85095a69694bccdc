"""Time: what the box stamped while nobody could tell it the time, and whom it believes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgebox.clock import Clock
from edgebox.model import CheckInState, ConflictReason, StampKind
from edgebox.upstream import Unreachable, UpstreamError
from tests.support.box import wait_until
from tests.support.upstream import (
    ANSWER_LOST,
    INVALID_KEY,
    JSON_WITHOUT_KEYS,
    PORTAL_PAGE,
    PORTAL_REDIRECT,
    SERVER_ERROR,
    Response,
    StubUpstream,
    always,
    json_answer,
    times,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Venue

WRONG_BY = timedelta(days=400)
SLACK = timedelta(seconds=10)
"""An HTTP date has whole seconds, and a busy machine takes its time."""


def woken(boot_id: str = "this boot") -> Clock:
    """The clock of a Pi that has woken up with an old time and that nobody has told better."""
    return Clock(
        wall=lambda: time.time() - WRONG_BY.total_seconds(), boot_id=boot_id, system_synchronised=lambda: False
    )


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def offline(open_venue: OpenVenue, stub: StubUpstream) -> Venue:
    """A box that has tickets, and wakes up with a wrong clock while upstream cannot be reached."""
    stub.add_tickets(5)
    venue = open_venue()
    venue.line.pull()
    venue.close()
    stub.stop()
    return open_venue(clock=woken())


def test_what_the_box_stamped_without_trust_is_corrected_before_it_is_told(offline: Venue, stub: StubUpstream) -> None:
    scanned_at = now()
    offline.scan("secret000000")
    stamped = offline.checkin("secret000000")
    assert stamped.stamp is StampKind.UNTRUSTED
    assert abs(stamped.datetime - (scanned_at - WRONG_BY)) < SLACK
    stub.start()
    offline.line.push()
    checkin = offline.checkin("secret000000")
    assert (checkin.stamp, checkin.state, checkin.conflict) == (StampKind.CORRECTED, CheckInState.SETTLED, None)
    assert abs(checkin.datetime - scanned_at) < SLACK
    assert stub.checkins["secret000000"].datetime == checkin.datetime


def test_it_is_told_by_itself_as_soon_as_upstream_answers(offline: Venue, stub: StubUpstream) -> None:
    scanned_at = now()
    offline.box.sync.start()
    offline.scan("secret000000")
    stub.start()
    wait_until(lambda: stub.accepted("secret000000"), SOON_S, "told")
    assert abs(stub.checkins["secret000000"].datetime - scanned_at) < SLACK


def test_what_is_scanned_after_the_first_answer_needs_no_correction(offline: Venue, stub: StubUpstream) -> None:
    stub.start()
    offline.line.probe()
    offline.scan("secret000000")
    checkin = offline.checkin("secret000000")
    assert checkin.stamp is StampKind.TRUSTED
    assert abs(checkin.datetime - now()) < SLACK


def test_a_restart_of_the_process_within_one_boot_loses_no_correction(
    offline: Venue, open_venue: OpenVenue, stub: StubUpstream
) -> None:
    scanned_at = now()
    offline.scan("secret000000")
    offline.close()
    again = open_venue(clock=woken())
    stub.start()
    again.line.push()
    assert abs(stub.checkins["secret000000"].datetime - scanned_at) < SLACK
    assert again.checkin("secret000000").stamp is StampKind.CORRECTED


def test_what_an_earlier_boot_stamped_is_told_as_it_is_and_flagged(
    offline: Venue, open_venue: OpenVenue, stub: StubUpstream
) -> None:
    offline.scan("secret000000")
    stamped = offline.checkin("secret000000").datetime
    offline.close()
    rebooted = open_venue(clock=woken("another boot"))
    rebooted.scan("secret000001")
    stub.start()
    assert rebooted.line.push().settled == 2
    lost = rebooted.checkin("secret000000")
    assert (lost.stamp, lost.conflict) == (StampKind.UNCORRECTABLE, ConflictReason.CLOCK_UNTRUSTED)
    assert stub.checkins["secret000000"].datetime == lost.datetime == stamped
    assert rebooted.checkin("secret000001").stamp is StampKind.CORRECTED
    assert [conflict.checkin.secret for conflict in rebooted.box.conflicts()] == ["secret000000"]


def test_without_anybody_who_tells_the_time_it_is_told_all_the_same_and_flagged(
    offline: Venue, stub: StubUpstream
) -> None:
    offline.scan("secret000000")
    stub.date = lambda: None
    stub.start()
    assert offline.line.push().settled == 1
    checkin = offline.checkin("secret000000")
    assert (checkin.stamp, checkin.conflict) == (StampKind.UNTRUSTED, ConflictReason.CLOCK_UNTRUSTED)
    assert stub.checkins["secret000000"].datetime == checkin.datetime
    assert not offline.box.clock.is_trusted()


def test_other_check_ins_do_not_wait_for_the_time(offline: Venue, stub: StubUpstream) -> None:
    offline.scan("secret000000")
    offline.scan("secret000001", datetime=now())
    stub.on("status", always(SERVER_ERROR))  # it is asked for the time first, and does not tell
    stub.start()
    assert offline.line.push().settled == 2


def test_nothing_is_told_with_a_wrong_time_because_one_answer_was_lost(offline: Venue, stub: StubUpstream) -> None:
    scanned_at = now()
    offline.scan("secret000000")
    stub.on("status", times(1, ANSWER_LOST))  # it is asked for the time first, and the answer does not arrive
    stub.on("status", times(1, ANSWER_LOST))
    stub.start()
    with pytest.raises(Unreachable):
        offline.line.push()
    assert stub.checkins == {}
    assert offline.line.push().settled == 1
    assert abs(stub.checkins["secret000000"].datetime - scanned_at) < SLACK
    assert offline.checkin("secret000000").conflict is None


def test_a_stamp_that_was_corrected_is_not_corrected_again(offline: Venue, stub: StubUpstream) -> None:
    offline.scan("secret000000")
    stub.start()
    stub.on("redeem", always(SERVER_ERROR))
    offline.line.push()
    corrected = offline.checkin("secret000000")
    assert corrected.stamp is StampKind.CORRECTED
    stub.date = lambda: now() + timedelta(hours=5)
    offline.line.push(retry_all=True)
    assert offline.checkin("secret000000").datetime == corrected.datetime


# --- what the client stamped ------------------------------------------------------------------------------------------


def test_what_a_client_stamped_is_never_corrected(offline: Venue, stub: StubUpstream) -> None:
    at = now().replace(second=0, microsecond=0) - timedelta(hours=2)
    offline.scan("secret000000", datetime=at)
    stub.start()
    offline.line.push()
    checkin = offline.checkin("secret000000")
    assert (checkin.stamp, checkin.datetime, checkin.conflict) == (StampKind.CLIENT, at, None)
    assert stub.checkins["secret000000"].datetime == at


@pytest.mark.parametrize("off", [timedelta(days=-2), timedelta(days=2)])
def test_a_client_more_than_a_day_off_is_told_as_it_said_and_flagged(
    venue: Venue, stub: StubUpstream, off: timedelta
) -> None:
    stub.add_tickets(2)
    venue.line.pull()
    at = now() + off
    venue.scan("secret000000", datetime=at)
    venue.scan("secret000001", datetime=now() - timedelta(hours=23))
    venue.line.push()
    assert venue.checkin("secret000000").conflict == ConflictReason.DATETIME_IMPLAUSIBLE
    assert venue.checkin("secret000001").conflict is None
    assert stub.checkins["secret000000"].datetime == at


def test_a_client_more_than_a_day_off_is_flagged_also_where_only_upstream_could_tell(
    offline: Venue, stub: StubUpstream
) -> None:
    # By its own wrong clock the box would have held the good one for implausible, and the bad one for good.
    good, bad = now(), now() - WRONG_BY
    offline.scan("secret000000", datetime=good)
    offline.scan("secret000001", datetime=bad)
    assert [checkin.conflict for checkin in offline.checkins()] == [None, None]
    stub.start()
    offline.line.probe()
    offline.line.push()
    assert [checkin.conflict for checkin in offline.checkins()] == [None, ConflictReason.DATETIME_IMPLAUSIBLE]
    assert stub.checkins["secret000001"].datetime == bad


# --- whom it believes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["status", "download", "search", "redeem"])
def test_an_answer_of_upstream_tells_the_time(offline: Venue, stub: StubUpstream, verb: str) -> None:
    offline.scan("secret000000", datetime=now())
    told = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
    stub.start()
    stub.date = lambda: told if stub.requests[-1].verb == verb else None
    offline.line.link.heard()
    assert offline.line.want("secret000009")
    work: dict[str, Callable[[], object]] = {
        "status": offline.line.probe,
        "download": offline.line.pull,
        "search": offline.line.look_up,
        "redeem": offline.line.push,
    }
    work[verb]()
    assert offline.box.clock.is_trusted()
    assert abs(offline.box.clock.now() - told) < SLACK


@pytest.mark.parametrize(
    "response",
    [
        PORTAL_PAGE,
        PORTAL_REDIRECT,
        JSON_WITHOUT_KEYS,
        SERVER_ERROR,
        Response(403, "<h1>Forbidden</h1>"),
        Response(404, "Not Found"),
        json_answer({"status": "ok", "results": None, "items": 5}),
        INVALID_KEY,
    ],
)
def test_the_date_of_anything_else_is_not_believed(offline: Venue, stub: StubUpstream, response: Response) -> None:
    offline.scan("secret000000")
    stub.date = lambda: datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
    stub.on("*", always(response))
    stub.start()
    for work in (offline.line.probe, offline.line.pull, offline.line.push, offline.line.look_up):
        offline.line.link.heard()
        offline.line.want("secret000009")
        with pytest.raises(UpstreamError):
            work()
    assert not offline.box.clock.is_trusted()
    assert offline.checkin("secret000000").stamp is StampKind.UNTRUSTED


def test_the_date_of_an_answer_from_a_cache_is_not_believed(offline: Venue, stub: StubUpstream) -> None:
    stub.date = lambda: datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
    stub.on("status", always(replace(json_answer(stub.status()), headers={"Age": "5"})))
    stub.start()
    offline.line.probe()
    assert not offline.box.clock.is_trusted()


def test_tls_that_fails_is_put_down_to_the_clock_while_nobody_told_the_time(
    open_venue: OpenVenue, stub: StubUpstream
) -> None:
    url = stub.url.replace("http:", "https:")
    venue = open_venue("untrusted", url=url, clock=woken())
    with pytest.raises(UpstreamError):
        venue.line.probe()
    assert (venue.state, venue.detail) == (
        "unreachable",
        "the clock is not trusted, and TLS fails (a wrong clock makes certificates look invalid); "
        "check the date of the box",
    )
    trusting = open_venue("trusted", url=url)
    with pytest.raises(UpstreamError):
        trusting.line.probe()
    assert "clock" not in trusting.detail
    assert "certificate cannot be trusted" in trusting.detail
