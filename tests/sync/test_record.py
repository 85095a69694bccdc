"""What the log keeps of syncs: enough to know what happened, and few writes."""

from __future__ import annotations

import pytest

from edgebox.store.runs import SyncRun
from edgebox.sync.record import PUSHES_EVERY_S, SAME_PULLS_EVERY_S
from edgebox.upstream import UpstreamError
from tests.store.venue import full_disk
from tests.support.upstream import CLOSED, StubUpstream, always
from tests.sync.conftest import OpenVenue
from tests.sync.venue import Ticker, Venue


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@pytest.fixture
def watched(open_venue: OpenVenue, ticker: Ticker, stub: StubUpstream) -> Venue:
    """A box that has pulled thirty tickets; time passes when the test says so."""
    stub.add_tickets(30)
    venue = open_venue(monotonic=ticker)
    venue.line.pull()
    return venue


def runs(venue: Venue, verb: str) -> list[SyncRun]:
    """Oldest first."""
    return [run for run in reversed(venue.box.store.runs.newest(100)) if run.verb == verb]


def scan_and_push(venue: Venue, *numbers: int) -> None:
    for number in numbers:
        assert venue.scan(f"secret{number:06d}").verdict.is_ok
    venue.line.push()


def test_a_pull_is_on_record(watched: Venue) -> None:
    (run,) = runs(watched, "pull")
    assert (run.list_id, run.is_ok, run.text) == (
        watched.list.id, True, "30 tickets, 30 new or changed, 0 withdrawn",
    )  # fmt: skip


def test_a_pull_that_waits_for_staff_says_so(watched: Venue, stub: StubUpstream) -> None:
    for number in range(25):
        del stub.tickets[f"secret{number:06d}"]
    watched.line.pull()
    assert runs(watched, "pull")[-1].text == "5 tickets, 0 new or changed, 0 withdrawn; 25 wait for staff"


def test_pulls_that_change_nothing_are_on_record_once_an_hour(watched: Venue, ticker: Ticker) -> None:
    for _ in range(5):
        watched.line.pull()
    assert [run.text for run in runs(watched, "pull")] == [
        "30 tickets, 30 new or changed, 0 withdrawn", "30 tickets, 0 new or changed, 0 withdrawn",
    ]  # fmt: skip
    ticker.let_pass(SAME_PULLS_EVERY_S)
    watched.line.pull()
    assert len(runs(watched, "pull")) == 3


def test_that_a_pull_succeeds_again_is_on_record_at_once(watched: Venue, stub: StubUpstream, ticker: Ticker) -> None:
    watched.line.pull()
    stub.on("download", always(CLOSED))
    with pytest.raises(UpstreamError):
        watched.line.pull()
    stub.off()
    watched.line.pull()
    assert [run.is_ok for run in runs(watched, "pull")] == [True, True, False, True]


def test_all_pushes_of_a_minute_are_one_entry(watched: Venue, ticker: Ticker) -> None:
    scan_and_push(watched, 0)
    assert [run.text for run in runs(watched, "push")] == ["1 check-ins pushed, 0 of them conflicts"]
    scan_and_push(watched, 1, 2)
    scan_and_push(watched, 3)
    assert len(runs(watched, "push")) == 1
    ticker.let_pass(PUSHES_EVERY_S)
    watched.line.push()  # also one that has nothing to tell: the last of an evening is not lost
    assert runs(watched, "push")[-1].text == "3 check-ins pushed, 0 of them conflicts"


def test_pushes_that_have_nothing_to_tell_are_none(watched: Venue, ticker: Ticker) -> None:
    for _ in range(3):
        ticker.let_pass(PUSHES_EVERY_S)
        watched.line.push()
    assert runs(watched, "push") == []


def test_what_is_parked_is_told_at_once(watched: Venue, stub: StubUpstream) -> None:
    scan_and_push(watched, 0)
    watched.scan("secret000001")
    del stub.tickets["secret000001"]
    watched.line.push()
    run = runs(watched, "push")[-1]
    assert not run.is_ok
    assert run.text.endswith("; 1 parked, 0 to be tried again")


def test_a_failure_says_why_and_what_was_told_before_it_counts(
    watched: Venue, stub: StubUpstream, ticker: Ticker
) -> None:
    stub.on("redeem", always(CLOSED, "secret000003"))
    for number in range(6):
        watched.scan(f"secret{number:06d}")
    with pytest.raises(UpstreamError):
        watched.line.push()
    failed = runs(watched, "push")[-1]
    assert not failed.is_ok
    assert failed.text
    assert stub.key not in failed.text
    stub.off()
    ticker.let_pass(PUSHES_EVERY_S)
    watched.line.push()
    assert runs(watched, "push")[-1].text == "6 check-ins pushed, 0 of them conflicts"


def test_a_record_that_cannot_be_written_is_no_failure_of_the_sync(watched: Venue, stub: StubUpstream) -> None:
    stub.stop()
    watched.scan("secret000000")
    with full_disk(), pytest.raises(UpstreamError):  # and not what the store says
        watched.line.push()
    assert runs(watched, "push") == []
    stub.start()
    watched.line.push()
    assert len(stub.log) == 1


def test_how_long_the_rest_takes_is_known_from_the_last_push(watched: Venue, stub: StubUpstream) -> None:
    line = watched.box.sync._lines[watched.list.id]
    line.probe()
    assert watched.box.sync.drain_s(watched.list.id, 10) is None, "nobody knows yet"
    line.push_rate = 5.0
    assert watched.box.sync.drain_s(watched.list.id, 10) == 2.0
    assert watched.box.sync.drain_s(watched.list.id, 0) is None
    stub.stop()
    with pytest.raises(UpstreamError):
        line.probe()
    assert watched.box.sync.drain_s(watched.list.id, 10) is None, "while upstream is away nothing moves"


def test_a_push_of_more_than_a_few_tells_how_fast_it_is(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.add_tickets(30)
    venue = open_venue()
    venue.line.pull()
    scan_and_push(venue, 0)
    assert venue.line.push_rate == 0
    scan_and_push(venue, *range(1, 21))
    assert venue.line.push_rate > 0
