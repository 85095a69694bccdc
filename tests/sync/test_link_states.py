"""What staff read of a list's upstream: each word, when it appears, and when it goes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgebox.box import Box
from edgebox.config import Config
from edgebox.store import NotWritable
from edgebox.sync.link import ONLINE_FOR_S, Link, UpstreamState
from edgebox.upstream import Closed, NotUpstream, Unreachable, UpstreamError
from tests.support.event import StubEvent
from tests.support.upstream import INVALID_KEY, PORTAL_PAGE, SERVER_ERROR, StubUpstream, always
from tests.sync.conftest import OpenVenue
from tests.sync.venue import Ticker, Venue, synchronised


@pytest.fixture
def timed(open_venue: OpenVenue) -> tuple[Venue, Ticker]:
    ticker = Ticker()
    return open_venue(monotonic=ticker), ticker


def test_a_list_is_never_reached_until_upstream_answers_once(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.stop()
    venue = open_venue()
    assert (venue.state, venue.line.link.is_online()) == ("never", False)
    with pytest.raises(Unreachable):
        venue.line.probe()
    assert venue.state == "unreachable"
    stub.start()
    venue.line.probe()
    assert (venue.state, venue.line.link.is_online(), venue.detail) == ("online", True, "")


def test_a_list_that_was_reached_before_the_restart_is_not_called_online_untried(venue: Venue) -> None:
    venue.line.probe()
    report = venue.new_line().link.report()
    assert (report.state, report.detail) == ("unreachable", "not tried yet since the box was started")


def test_a_list_from_a_file_has_no_upstream(tmp_path: Path) -> None:
    event = StubEvent()
    event.add_tickets(1)
    box = Box(Config(data_dir=tmp_path), synchronised())
    try:
        list_ = box.add_saved({"status": event.status(), "download": event.download()}, "a file")
        assert box.sync.report(list_.id).state == "file"
        assert not box.sync.is_online(list_.id)
        [synced] = box.sync_now()
        assert (synced.problem, synced.pushed, synced.pulled) == (None, 0, 0)
    finally:
        box.close()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Unreachable("no answer"), "unreachable"),
        (NotUpstream("a login page", "log in"), "not upstream"),
        (Closed("Invalid key", "check the key"), "refused"),
    ],
)
def test_each_failure_has_its_word_and_says_what_to_do(error: UpstreamError, word: str) -> None:
    now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    link = Link(was_reached=True, backoff_max_s=30.0, now=lambda: now)
    link.heard()
    assert link.failed(error), "it is news"
    report = link.report()
    assert (report.state, report.since, report.detail) == (word, now, str(error))
    assert not link.failed(error), "the same again is no news"
    assert link.heard(), "so is that it is back"
    assert not link.heard()
    assert (link.report().state, link.report().detail) == (UpstreamState.ONLINE, "")


def test_online_lasts_two_minutes_after_the_last_answer(timed: tuple[Venue, Ticker]) -> None:
    venue, ticker = timed
    venue.line.probe()
    ticker.let_pass(ONLINE_FOR_S)
    assert venue.line.link.is_online()
    ticker.let_pass(0.1)
    assert (venue.line.link.is_online(), venue.state) == (False, "unreachable")
    assert ONLINE_FOR_S == 120


def test_a_list_that_heard_nothing_for_a_minute_is_probed(timed: tuple[Venue, Ticker]) -> None:
    venue, ticker = timed
    venue.line.probe()
    assert venue.line.probe_in_s() == 60
    ticker.let_pass(59)
    assert venue.line.probe_in_s() == 1
    ticker.let_pass(1)
    assert venue.line.probe_in_s() == 0
    venue.line.probe()
    assert venue.line.probe_in_s() == 60


def test_any_answer_of_upstream_spares_a_probe(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, ticker = timed
    stub.add_tickets(2)
    venue.line.pull()
    for work in (lambda: venue.line.pull(), lambda: venue.scan("secret000000") and venue.line.push()):
        ticker.let_pass(50)
        work()
        assert venue.line.probe_in_s() == 60


def test_what_fell_silent_is_probed_at_once(timed: tuple[Venue, Ticker]) -> None:
    venue, ticker = timed
    venue.line.probe()
    ticker.let_pass(ONLINE_FOR_S + 1)
    assert venue.line.probe_in_s() == 0


def test_the_state_tells_since_when(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, _ = timed
    venue.line.probe()
    online_since = venue.line.link.report().since
    venue.line.probe()
    assert venue.line.link.report().since == online_since, "nothing has changed"
    stub.on("*", always(SERVER_ERROR))
    with pytest.raises(Unreachable):
        venue.line.probe()
    lost_since = venue.line.link.report().since
    assert online_since is not None
    assert lost_since is not None
    assert lost_since > online_since


def test_one_failing_direction_is_read_beside_the_state_until_it_succeeds(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(1)
    stub.on("download", always(SERVER_ERROR))
    with pytest.raises(Unreachable):
        venue.line.pull()
    assert venue.state == "unreachable"
    venue.line.probe()
    assert (venue.state, venue.detail) == ("online", "pull: upstream has trouble (500)")
    venue.line.push()
    assert venue.detail == "pull: upstream has trouble (500)"
    stub.off()
    venue.line.pull()
    assert venue.detail == ""


def test_a_scan_is_offline_exactly_while_the_list_is_not_online(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    venue.box.sync_now()
    venue.scan("secret000000")
    stub.on("*", always(PORTAL_PAGE))
    venue.box.sync_now()
    venue.scan("secret000001")
    stub.off()
    venue.box.sync_now()
    venue.scan("secret000002")
    assert [checkin.is_offline for checkin in venue.checkins()] == [False, True, False]


def test_the_log_tells_a_change_once_and_no_key(
    venue: Venue, stub: StubUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    venue.line.probe()
    stub.on("*", always(INVALID_KEY))
    for _ in range(3):
        with pytest.raises(Closed):
            venue.line.probe()
    stub.off()
    venue.line.probe()
    told = [record.getMessage() for record in caplog.records if record.name == "edgebox.sync.line"]
    assert told == [
        "list 1: upstream answers",
        "list 1: probe: upstream refuses this list: Invalid key; check the list's address and key there",
        "list 1: upstream answers",
    ]
    assert stub.key not in caplog.text


def test_a_disk_that_fails_does_not_make_the_box_ask_upstream_without_pause(
    timed: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = timed
    venue.line.probe()
    stub.list_name = "renamed: there is something to write"
    venue.box.store.close()
    ticker.let_pass(ONLINE_FOR_S + 1)
    with pytest.raises(NotWritable):
        venue.line.probe()
    assert venue.state == "online", "upstream is there all the same"
    assert venue.line.probe_in_s() > 0
