"""The hosted service's limit is kept, and a pause that a server asks for counts for the whole connection."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edgebox.upstream import Unreachable
from edgebox.upstream.pretix import Limits, PretixConnection, PretixFeed, PretixUpstream, is_hosted
from edgebox.upstream.pretix.paging import MAX_PAUSES
from tests.pretix.side import Seconds, a_checkin, connected, tickets
from tests.support.pretix import BUSY, EVENT, START, PretixStub, order, position, said, too_many


@pytest.mark.parametrize("host", ["pretix.eu", "PRETIX.EU", "demo.pretix.eu", "pretix.eu."])
def test_the_hosted_service_is_known_by_its_name(host: str) -> None:
    assert is_hosted(f"https://{host}/")


@pytest.mark.parametrize("host", ["notpretix.eu", "pretix.eu.example.org", "tickets.example.org", "127.0.0.1:8345"])
def test_ones_own_server_is_not_the_hosted_service(host: str) -> None:
    assert not is_hosted(f"http://{host}/")


def test_no_minute_has_more_requests_than_the_limit_allows() -> None:
    seconds = Seconds()
    limits = Limits(is_limited=True, monotonic=seconds, sleep=seconds.rest)
    times = []
    for number in range(1500):
        if number == 700:
            seconds.now_s += 100  # a quiet time, after which much may go at once
        limits.take_turn()
        times.append(seconds.now_s)
    assert max(sum(start <= at < start + 60 for at in times) for start in times) <= 360


def test_twenty_thousand_orders_take_little_longer_than_the_limit_demands() -> None:
    seconds = Seconds()
    limits = Limits(is_limited=True, monotonic=seconds, sleep=seconds.rest)
    requests = 20_046 // 49 + 3
    for _ in range(requests):
        limits.take_turn()
    assert seconds.now_s - 1000 <= 1.2 * 20_046 / 50 / 6


def test_ones_own_server_is_asked_without_waiting() -> None:
    seconds = Seconds()
    limits = Limits(is_limited=False, monotonic=seconds, sleep=seconds.rest)
    for _ in range(1000):
        limits.take_turn()
    assert seconds.rests == []


@pytest.mark.parametrize(("told", "pause_s"), [(7, 7.0), (None, 60.0)])
def test_a_429_pauses_every_call_of_the_connection(
    pretix: PretixStub, connection: PretixConnection, upstream: PretixUpstream, seconds: Seconds,
    told: int | None, pause_s: float,
) -> None:  # fmt: skip
    pretix.orders = [order("AAAAA", position(1))]
    other = PretixUpstream(connection, PretixFeed(connection, EVENT), 1)
    pretix.on("redeem", too_many(told), times=1)
    with pytest.raises(Unreachable) as caught:
        upstream.push(a_checkin(), force=False)
    assert caught.value.retry_after_s == pause_s
    arrived = len(pretix.requests)
    seconds.now_s += pause_s - 1
    for call in (lambda: upstream.push(a_checkin(), force=False), other.describe):
        with pytest.raises(Unreachable, match="fewer requests") as caught:
            call()
        assert caught.value.retry_after_s == pytest.approx(1.0)
    assert len(pretix.requests) == arrived, "nothing may be sent during the pause"
    seconds.now_s += 1.01
    other.describe()


def test_a_server_that_once_answered_429_is_asked_slowly_from_then_on(
    pretix: PretixStub, connection: PretixConnection, feed: PretixFeed, upstream: PretixUpstream, seconds: Seconds
) -> None:
    assert (connection.is_limited, feed.interval_s) == (False, 5.0)
    pretix.on("checkinlists", too_many(1), times=1)
    with pytest.raises(Unreachable):
        upstream.describe()
    assert (connection.is_limited, feed.interval_s) == (True, 15.0)
    seconds.now_s += 5
    began_s = seconds.now_s
    line = connection.line()
    for _ in range(100):
        line.get("device/info", expects="device")
    assert seconds.now_s - began_s > 10


def test_a_download_waits_out_a_pause(pretix: PretixStub, feed: PretixFeed, seconds: Seconds) -> None:
    pretix.orders = [order(f"A{number:04}", position(number + 1)) for number in range(120)]
    for each, made in zip(pretix.orders, range(120), strict=True):
        each["datetime"] = (START + timedelta(seconds=made)).isoformat()
    feed.master()
    pages = feed.follow(None)
    told = [next(pages)]
    pretix.on("orders", too_many(9), times=1)
    told += pages
    assert len(tickets(told)) == 120
    assert 9.0 in seconds.rests


def test_a_busy_server_is_waited_for_but_not_for_ever(pretix: PretixStub, feed: PretixFeed, seconds: Seconds) -> None:
    feed.master()
    pretix.on("orders", lambda request: BUSY if request.asked("created_before") else None)
    with pytest.raises(Unreachable, match="busy for too long"):
        list(feed.follow(None))
    assert seconds.rests == [5.0] * MAX_PAUSES


def test_a_long_pause_ends_a_download_instead(pretix: PretixStub, feed: PretixFeed, seconds: Seconds) -> None:
    feed.master()
    pretix.on("orders", lambda request: too_many(600) if request.asked("created_before") else None)
    with pytest.raises(Unreachable) as caught:
        list(feed.follow(None))
    assert caught.value.retry_after_s == pytest.approx(600)
    assert seconds.rests == []


def test_the_hosted_service_is_limited_from_the_start(pretix: PretixStub, seconds: Seconds) -> None:
    connection = connected(pretix, seconds, is_limited=True)
    line = connection.line()
    for _ in range(30):
        line.get("device/info", expects="device")
    connection.close()
    assert seconds.rests


def test_a_busy_server_says_when_to_come_again(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on("redeem", said({"detail": "busy"}, 409))
    with pytest.raises(Unreachable) as caught:
        upstream.push(a_checkin(), force=False)
    assert caught.value.retry_after_s == 5.0
