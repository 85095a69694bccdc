"""The schedule: lanes never overlap, nothing is forgotten, no list holds up another, and the box stops when told to."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import partial

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from edgebox.model import CheckInState, Device, RedeemRequest, Verdict
from edgebox.sync.lane import Lane
from edgebox.sync.schedule import Schedule
from edgebox.sync.workers import Workers
from tests.support.box import wait_until
from tests.support.upstream import (
    ANSWER_LOST,
    INVALID_KEY,
    PORTAL_PAGE,
    SERVER_ERROR,
    Hold,
    StubUpstream,
    always,
    held,
    times,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Venue

PROMPTLY_S = 25.0
"""Far below any time-out of a test that uses it, and enough for a busy machine."""


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    """A scheduler whose threads change places as often as can be."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    scheduler = BackgroundScheduler(executors={"default": Workers()}, timezone="UTC")
    scheduler.start()
    yield scheduler
    scheduler.shutdown()
    sys.setswitchinterval(interval_s)


# --- lanes ------------------------------------------------------------------------------------------------------------


def test_a_lane_never_runs_twice_at_once_and_forgets_nothing(scheduler: BackgroundScheduler) -> None:
    running, overlaps, runs_began = 0, 0, [0]
    wanted_after: list[tuple[int, float]] = []
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, overlaps
        with lock:
            running += 1
            overlaps += running > 1
            runs_began[0] += 1
        time.sleep(random.uniform(0, 0.002))
        with lock:
            running -= 1

    lane = Lane(scheduler, "lane", work)

    def hammer() -> None:
        for _ in range(100):
            with lock:
                before = runs_began[0]
            lane.soon(random.choice((0.0, 0.0, 0.001)))
            lane.rearm()
            wanted_after.append((before, time.monotonic()))
            time.sleep(random.uniform(0, 0.004))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = max(before for before, _ in wanted_after)
    wait_until(lambda: runs_began[0] > last, SOON_S, "a run began after the last wish")
    assert overlaps == 0
    assert runs_began[0] > 20


def test_a_lane_that_wants_to_go_on_at_once_is_never_skipped(scheduler: BackgroundScheduler) -> None:
    runs = Counter[int]()

    def work(number: int) -> float | None:
        runs[number] += 1
        return 0.0 if runs[number] < 200 else None

    for number in range(8):
        Lane(scheduler, f"lane {number}", partial(work, number)).soon()
    wait_until(lambda: runs.total() == 8 * 200, SOON_S, "all runs")


def test_a_wish_during_a_run_leads_to_another_run(scheduler: BackgroundScheduler) -> None:
    began, go_on = threading.Event(), threading.Event()
    runs = 0

    def work() -> None:
        nonlocal runs
        runs += 1
        began.set()
        assert go_on.wait(SOON_S)

    lane = Lane(scheduler, "lane", work)
    lane.soon()
    assert began.wait(SOON_S)
    for _ in range(5):
        lane.soon()
    go_on.set()
    wait_until(lambda: runs == 2, SOON_S, "one more run for all wishes")


def test_an_earlier_wish_wins_over_a_later_one(scheduler: BackgroundScheduler) -> None:
    done = threading.Event()
    lane = Lane(scheduler, "lane", done.set)
    lane.soon(3600.0)
    lane.soon(0.0)
    lane.soon(3600.0)
    assert done.wait(SOON_S)


def test_a_bug_in_a_turn_does_not_end_its_lane(
    scheduler: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgebox.sync.lane.AFTER_A_BUG_S", 0.0)
    runs = 0

    def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ZeroDivisionError

    Lane(scheduler, "push:1", work).soon()
    wait_until(lambda: runs == 3, SOON_S, "tried again")
    assert "push:1 failed" in caplog.text


def test_a_closed_lane_runs_no_more(scheduler: BackgroundScheduler) -> None:
    ran = threading.Event()
    lane = Lane(scheduler, "lane", ran.set)
    lane.soon(0.2)
    lane.close()
    lane.soon()
    other = threading.Event()
    Lane(scheduler, "other", other.set).soon(0.4)
    assert other.wait(SOON_S)
    assert not ran.is_set()


# --- the wall clock jumps ---------------------------------------------------------------------------------------------


class JumpingWall:
    """A wall clock that the test may set, also under the scheduler's feet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta()
        wall = self

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + wall.offset

        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Shifted)
        monkeypatch.setattr("edgebox.sync.lane.datetime", Shifted)

    def __call__(self) -> float:
        return time.time() + self.offset.total_seconds()


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=1)], ids=["back", "forth"])
def test_no_sync_waits_for_an_hour_that_has_been_already(
    open_venue: OpenVenue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    monkeypatch.setattr("edgebox.sync.schedule.LOOK_AT_CLOCK_S", 0.05)
    venue = open_venue(probe_interval_s=0.3)
    wall = JumpingWall(monkeypatch)
    schedule = Schedule(wall)
    schedule.add(venue.line)
    schedule.start()
    try:
        wait_until(lambda: stub.seen("download"), SOON_S, "the first pull")
        wall.offset = jump
        seen = len(stub.seen("status"))
        wait_until(lambda: len(stub.seen("status")) >= seen + 3, SOON_S, "probes go on")
    finally:
        schedule.stop()


# --- by itself --------------------------------------------------------------------------------------------------------


@pytest.fixture
def serving(venue: Venue, stub: StubUpstream) -> Venue:
    """A box that syncs by itself, and has pulled thirty tickets."""
    stub.add_tickets(30)
    venue.box.sync.start()
    wait_until(lambda: venue.tickets(), SOON_S, "the first pull")
    return venue


def all_settled(venue: Venue) -> bool:
    return all(checkin.state is CheckInState.SETTLED for checkin in venue.checkins())


def test_every_scan_is_pushed_by_itself_soon(serving: Venue, stub: StubUpstream) -> None:
    for number in range(20):
        serving.scan(f"secret{number:06d}")
    wait_until(lambda: len(stub.log) == 20, SOON_S, "all are upstream")
    wait_until(lambda: all_settled(serving), SOON_S, "all are settled")
    assert len(stub.seen("redeem")) == 20


@pytest.mark.parametrize(
    "response", [None, SERVER_ERROR, PORTAL_PAGE, ANSWER_LOST], ids=["gone", "500", "page", "lost"]
)
def test_what_was_scanned_in_an_outage_is_pushed_by_itself_afterwards(
    serving: Venue, stub: StubUpstream, response: object
) -> None:
    if response is None:
        stub.stop()
    else:
        stub.on("*", always(response))  # type: ignore[arg-type]
    serving.scan("secret000000")
    wait_until(lambda: not serving.box.sync.is_online(serving.list.id), SOON_S, "the loss is noticed")
    for number in range(1, 10):
        serving.scan(f"secret{number:06d}")
    stub.off()
    if response is None:
        stub.start()
    wait_until(lambda: all_settled(serving), SOON_S, "all are settled")
    assert len(stub.log) == 10
    assert [checkin.conflict for checkin in serving.checkins()] == [None] * 10


def test_a_list_that_was_refused_goes_on_by_itself_when_it_is_let_in_again(
    open_venue: OpenVenue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebox.sync.link.CLOSED_RETRY_S", 0.2)
    stub.add_tickets(2)
    venue = open_venue()
    venue.box.sync.start()
    wait_until(lambda: venue.tickets(), SOON_S, "the first pull")
    stub.on("*", always(INVALID_KEY))
    venue.scan("secret000000")
    wait_until(lambda: venue.box.sync.report(venue.list.id).state == "refused", SOON_S, "refused")
    assert venue.checkin("secret000000").state is CheckInState.PENDING
    stub.off()
    wait_until(lambda: all_settled(venue), SOON_S, "settled")


def test_a_check_in_that_choked_is_tried_again_by_itself(
    open_venue: OpenVenue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebox.sync.push.CHOKED_RETRY_S", 0.1)
    stub.add_tickets(2)
    venue = open_venue()
    venue.box.sync.start()
    wait_until(lambda: venue.tickets(), SOON_S, "the first pull")
    stub.on("redeem", times(2, SERVER_ERROR))
    venue.scan("secret000000")
    wait_until(lambda: all_settled(venue), SOON_S, "settled")
    assert len(stub.seen("redeem")) == 3


def test_pulls_come_by_themselves(open_venue: OpenVenue, stub: StubUpstream) -> None:
    venue = open_venue(pull_interval_s=0.2)
    venue.box.sync.start()
    stub.add_tickets(1)
    wait_until(lambda: len(stub.seen("download")) >= 3, SOON_S, "pulls go on")
    stub.add_ticket("new000000000")
    wait_until(lambda: "new000000000" in venue.tickets(), SOON_S, "a new ticket")


def test_a_pull_that_failed_is_made_up_for_as_soon_as_upstream_is_back(serving: Venue, stub: StubUpstream) -> None:
    """Or staff who pressed Sync in an outage would read of trouble until the next pull, minutes after it is over."""
    wait_until(lambda: serving.box.sync.is_online(serving.list.id), SOON_S, "online")
    stub.stop()
    assert serving.box.sync.now(serving.list.id).problem
    stub.add_ticket("new000000000")
    stub.start()
    wait_until(lambda: "new000000000" in serving.tickets(), SOON_S, "a new ticket")
    wait_until(lambda: serving.box.sync.report(serving.list.id).detail == "", SOON_S, "nothing is wrong any more")


def test_what_waited_over_a_restart_is_pushed_by_itself(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.add_tickets(2)
    venue = open_venue()
    venue.line.pull()
    venue.scan("secret000000")
    venue.close()
    venue = open_venue()
    venue.box.sync.start()
    wait_until(lambda: all_settled(venue), SOON_S, "settled")


def test_a_list_added_while_the_box_runs_is_looked_after(serving: Venue, stub: StubUpstream) -> None:
    second = serving.box.add_list(stub.url, stub.key, name="second", separate=True)
    wait_until(lambda: serving.box.counts(serving.box.get_list(second.id)).all.total == 30, SOON_S, "its tickets")


def test_a_list_that_was_removed_is_left_alone(open_venue: OpenVenue, stub: StubUpstream) -> None:
    venue = open_venue(probe_interval_s=0.1, read_timeout_s=60.0)
    venue.box.sync.start()
    other = StubUpstream().start()
    try:
        other.event = "other"
        second = venue.box.add_list(other.url, other.key)
        wait_until(lambda: other.seen("download"), SOON_S, "it was looked after")
        hold = Hold()
        other.on("status", always(held(hold)))
        assert hold.reached.wait(SOON_S)
        venue.box.remove_list(second.id)
        other.off()
        asked = len(other.requests)
        probes = len(stub.seen("status"))
        wait_until(lambda: len(stub.seen("status")) > probes + 5, SOON_S, "the other list goes on")
        assert len(other.requests) == asked
    finally:
        other.stop()


# --- one does not hold up another -------------------------------------------------------------------------------------


def test_many_lists_that_hang_do_not_hold_up_one_that_does_not(open_venue: OpenVenue, stub: StubUpstream) -> None:
    venue = open_venue(read_timeout_s=60.0, probe_interval_s=1.0)
    stub.add_tickets(1)
    hanging = [venue.list, *(venue.box.add_list(stub.url, stub.key, name=f"{n}", separate=True) for n in range(24))]
    healthy_stub = StubUpstream().start()
    try:
        healthy_stub.event = "healthy"
        healthy_stub.add_tickets(1)
        healthy = venue.box.add_list(healthy_stub.url, healthy_stub.key)
        doors = {list_.id: venue.box.scanners.add(f"door {list_.id}", list_.id) for list_ in (*hanging, healthy)}
        venue.box.sync.start()
        wait_until(lambda: all(status.tickets for status in venue.box.status()), SOON_S, "all lists are pulled")
        hold = Hold()
        stub.on("*", always(held(hold)))
        for list_ in hanging:
            assert scan_at(venue, doors[list_.id]).is_ok
        # Each of them waits in its push, and in its probe too.
        wait_until(lambda: len(stub.seen("redeem")) == len(hanging), SOON_S, "all pushes hang")
        seen = len(stub.seen("status"))
        wait_until(lambda: len(stub.seen("status")) >= seen + len(hanging) - 5, SOON_S, "all probes hang")
        assert scan_at(venue, doors[healthy.id]).is_ok
        wait_until(lambda: healthy_stub.log, PROMPTLY_S, "the healthy list's check-in is upstream")
        began_s = time.monotonic()
        venue.close()
        assert time.monotonic() - began_s < PROMPTLY_S
    finally:
        healthy_stub.stop()


def scan_at(venue: Venue, door: Device) -> Verdict:
    list_ = venue.box.get_list(door.list_ids[0])
    return venue.box.redeem(door, list_, RedeemRequest("secret000000")).verdict
