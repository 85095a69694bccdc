"""A flood of wrong keys: it alone is slowed, holds no thread, and takes no connections from the others."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgebox import channels
from edgebox.devices import wrong_keys
from edgebox.devices.wrong_keys import ANSWER_LATE, FREE, FREE_PER_S, LATE_S, WrongKeys
from tests.api.conftest import KEY, Venue, served
from tests.support.box import REPOSITORY, wait_until

FOR_EVER_S = 3600.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def path(key: str, verb: str = "redeem") -> str:
    return f"/pretixdroid/api/demoorga/democon/{verb}/?key={key}"


class Place:
    """A served box with two threads, and those who ask it; all connections are kept until the end."""

    def __init__(self, venue: Venue, url: str, stack: ExitStack) -> None:
        self.venue = venue
        self.address = str(urlsplit(url).hostname), int(urlsplit(url).port or 0)
        self._stack = stack

    def connection(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        self._stack.callback(connection.close)
        return connection

    def ask(self, connection: http.client.HTTPConnection, key: str, **form: str) -> Any:
        """Redeem; the status and the answer."""
        connection.request("POST", path(key), "&".join(f"{k}={v}" for k, v in form.items()), FORM)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def send_wrong(self, key: str = "WRONG") -> socket.socket:
        """A request with a wrong key, whose answer is not waited for."""
        sent = self._stack.enter_context(socket.create_connection(self.address, timeout=30))
        sent.sendall(f"GET {path(key, 'status')} HTTP/1.1\r\nHost: box\r\n\r\n".encode())
        return sent

    def use_up(self) -> None:
        """Wrong keys until the next one is one too many."""
        phone = self.connection()
        for _ in range(FREE):
            assert self.ask(phone, "WRONG")[0] == 403


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # However slow the machine is, the flood does not ebb by itself.
    monkeypatch.setattr(wrong_keys, "FREE_PER_S", 0.001)
    venue = Venue(tmp_path, threads=2)
    venue.event.add_tickets(20, "t")
    venue.open()
    with ExitStack() as stack:
        stack.callback(venue.box.close)
        url = stack.enter_context(served(venue.box))
        yield Place(venue, url, stack)


def is_answered(connection: socket.socket) -> bool:
    """Whether there is something to read."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(30)


def test_refusals_that_wait_hold_no_thread_and_slow_no_valid_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "LATE_S", FOR_EVER_S)
    place.use_up()
    flood = [place.send_wrong(f"WRONG{number}") for number in range(50)]
    phone = place.connection()  # from the same address
    for number in range(20):
        status, body = place.ask(phone, KEY, secret=f"t{number:06d}")
        assert (status, body["status"]) == (200, "ok")
    assert not any(map(is_answered, flood))


def test_a_few_wrong_keys_are_refused_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone that was revoked learns so, and so does one of yesterday's event."""
    monkeypatch.setattr(wrong_keys, "LATE_S", FOR_EVER_S)
    place.use_up()
    phone = place.connection()
    assert place.ask(phone, KEY, secret="t000000")[0] == 200


def test_a_late_answer_comes_whole_and_the_connection_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "LATE_S", 0.5)
    place.use_up()
    phone = place.connection()
    began_s = time.monotonic()
    status, body = place.ask(phone, "WRONG")
    assert (status, body["reason"]) == (403, "invalid_key")
    assert time.monotonic() - began_s >= 0.5
    kept = phone.sock
    assert place.ask(phone, KEY, secret="t000000")[0] == 200
    assert phone.sock is kept


@pytest.mark.parametrize(
    ("method", "address", "headers"),
    [
        ("GET", path("WRONG", "download"), {}),
        ("GET", "/pretixdroid/api/demoorga/democon/7/status/?key=WRONG", {}),
        ("GET", "/pretixdroid/api/demoorga/democon/status/", {}),
        ("GET", "/api/v1/device/info", {"Authorization": "Device WRONG"}),
        ("GET", "/api/v1/device/info", {}),
        ("POST", "/proxyapi/v1/rpc/check/", {"Authorization": "Device WRONG"}),
        ("POST", "/api/v1/device/initialize", {}),
    ],
)
def test_each_way_to_try_a_key_is_slowed(
    place: Place, monkeypatch: pytest.MonkeyPatch, method: str, address: str, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(wrong_keys, "LATE_S", 0.3)
    place.use_up()
    body = json.dumps({"token": "proxy=WRONG"}) if method == "POST" else None
    began_s = time.monotonic()
    connection = place.connection()
    connection.request(method, address, body, headers)
    assert connection.getresponse().status in (400, 401, 403)
    assert time.monotonic() - began_s >= 0.3


def test_of_too_many_that_wait_the_oldest_is_answered_and_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "LATE_S", FOR_EVER_S)
    monkeypatch.setattr(channels, "MAX_LATE", 3)
    place.use_up()
    phone = place.connection()
    flood = []
    for number in range(6):
        flood.append(place.send_wrong())
        # Known to the box before the next one comes.
        wait_until(lambda n=number: waiting(place) == min(n + 1, 3), 30, "it waits")  # type: ignore[misc]
    for gone in flood[:3]:
        answer = b"".join(iter(lambda each=gone: each.recv(4096), b""))  # type: ignore[misc]
        assert answer.startswith(b"HTTP/1.1 403 ")
    assert not any(map(is_answered, flood[3:]))
    assert place.ask(phone, KEY, secret="t000000")[0] == 200


LATE: list[channels.LateAnswers] = []


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the server that a test starts."""
    LATE.clear()
    begin = channels.LateAnswers.__init__

    def begin_known(self: channels.LateAnswers) -> None:
        begin(self)
        LATE.append(self)

    monkeypatch.setattr(channels.LateAnswers, "__init__", begin_known)


def waiting(place: Place) -> int:
    return len(LATE[-1]._waiting)


def test_a_server_that_stops_lets_all_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "LATE_S", FOR_EVER_S)
    monkeypatch.setattr(wrong_keys, "FREE", 0)
    venue = Venue(tmp_path, threads=2)
    venue.event.add_ticket("abc")
    venue.open()
    with ExitStack() as stack:
        with served(venue.box) as url:
            place = Place(venue, url, stack)
            sent = place.send_wrong()
            wait_until(lambda: waiting(place) == 1, 30, "it waits")
        assert sent.recv(4096).startswith(b"HTTP/1.1 403 ")
    venue.box.close()


# --- counting ---------------------------------------------------------------------------------------------------------


class Asked:
    """A request; for how long its answer was told to wait."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.environ = {ANSWER_LATE: self._wait}

    def _wait(self, seconds: float) -> None:
        self.late_s = seconds


def late_s(keys: WrongKeys) -> float:
    asked = Asked()
    keys.met(asked.environ)
    return asked.late_s


def test_the_flood_is_over_soon_after_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    keys = WrongKeys(lambda: now[0])
    assert [late_s(keys) for _ in range(FREE)] == [0.0] * FREE
    assert {late_s(keys) for _ in range(10_000)} == {LATE_S}
    now[0] += 1.5
    assert late_s(keys) == 0.0
    now[0] += FREE / FREE_PER_S
    assert [late_s(keys) for _ in range(FREE)] == [0.0] * FREE
    assert [record.levelno for record in caplog.records] == [logging.WARNING], "said once, not for each"


def test_without_a_server_that_can_wait_nothing_is_done() -> None:
    keys = WrongKeys()
    for _ in range(2 * FREE):
        keys.met({})


# --- under load -------------------------------------------------------------------------------------------------------

FLOODER = """
import collections, socket, sys
host, port, request = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
kept = collections.deque()
sent = 0
while True:  # until the pipe of its output is closed
    try:
        one = socket.create_connection((host, port), timeout=5)
        one.sendall(request)
    except OSError:
        continue
    kept.append(one)
    sent += 1
    if len(kept) > 300:
        kept.popleft().close()
    if sent % 50 == 0:
        print(sent, flush=True)
"""


def test_a_valid_key_is_answered_quickly_while_hundreds_of_wrong_ones_a_second_come(tmp_path: Path) -> None:
    """The flood comes from a process of its own: each request on a fresh connection, none of which it waits for."""
    venue = Venue(tmp_path)
    quiet, loud = venue.event.add_tickets(50, "quiet"), venue.event.add_tickets(250, "loud")
    venue.open()
    with ExitStack() as stack:
        stack.callback(venue.box.close)
        place = Place(venue, stack.enter_context(served(venue.box)), stack)
        before_s = scanned(place, quiet)
        request = f"GET {path('WRONG', 'status')} HTTP/1.1\r\nHost: box\r\n\r\n"
        flood = subprocess.Popen(
            [sys.executable, "-c", FLOODER, *map(str, place.address), request], stdout=subprocess.PIPE, cwd=REPOSITORY
        )
        try:
            assert flood.stdout is not None
            first = int(flood.stdout.readline())
            began_s = time.monotonic()
            took_s = scanned(place, loud)
            lasted_s = time.monotonic() - began_s
        finally:
            flood.kill()
            came = [int(line) for line in flood.communicate()[0].split()]
    assert came, "the flood went on"
    a_second = (came[-1] - first) / lasted_s
    print(f"{a_second:.0f} wrong keys a second; a valid one waited {took_s[125]:.3f} s, {took_s[-1]:.3f} s at most")
    # What a busy machine does to all is no wonder; that they wait with the others would be.
    assert took_s[-1] < LATE_S + 5 * before_s[-1]
    assert took_s[225] < LATE_S / 2 + 5 * before_s[-1]


def scanned(place: Place, secrets: list[str]) -> list[float]:
    """How long each of these scans took in seconds, the slowest last."""
    phone = place.connection()
    took_s = []
    for secret in secrets:
        asked_s = time.monotonic()
        assert place.ask(phone, KEY, secret=secret)[1]["status"] == "ok"
        took_s.append(time.monotonic() - asked_s)
    return sorted(took_s)
