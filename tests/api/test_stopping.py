"""A box that is told to stop: what it has begun it finishes, and every `ok` that left is in the journal."""

from __future__ import annotations

import gzip
import http.client
import json
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgebox import app
from edgebox.app import Server
from edgebox.box import Box
from edgebox.config import Config
from tests.api.conftest import KEY, Venue
from tests.support.box import BoxProcess, wait_until
from tests.support.event import StubEvent

SCANNERS = 12
TICKETS = 6000


class Running:
    """A server in a thread, whose writer can be held so that redeems take as long as the test likes."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.server = Server(venue.box)
        self.address = self.server.address
        self._thread = threading.Thread(target=self.server.run)
        self._held = threading.Event()
        self._holder: threading.Thread | None = None
        self._thread.start()

    def hold_writer(self) -> None:
        """Nothing is written from now on, until `release_writer`."""
        reached = threading.Event()

        def job(connection: object) -> None:
            reached.set()
            assert self._held.wait(90)

        self._holder = threading.Thread(target=lambda: self.venue.box.store._writer.write(job))
        self._holder.start()
        assert reached.wait(30)

    def release_writer(self) -> None:
        self._held.set()
        if self._holder is not None:
            self._holder.join()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not come to its end"

    def redeem_in_flight(self) -> tuple[http.client.HTTPConnection, Callable[[], Any]]:
        """Send a redeem that waits for the writer; the connection, and what reads the answer."""
        phone = http.client.HTTPConnection(*self.address, timeout=30)
        phone.request(
            "POST",
            f"{self.venue.path}/redeem/?key={KEY}",
            "secret=abc",
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        wait_until(lambda: self.venue.box.store._writer._redeems, 30, "the redeem waits for the writer")
        return phone, lambda: json.loads(phone.getresponse().read())


@pytest.fixture
def running(venue: Venue) -> Iterator[Running]:
    venue.event.add_ticket("abc")
    venue.open()
    running = Running(venue)
    try:
        yield running
    finally:
        running.release_writer()
        running.server.stop()
        running.join()


def is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=30).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: taken by the socket in the moment it is closed
        return True
    return False


def test_a_request_that_is_being_answered_gets_its_answer(running: Running) -> None:
    running.hold_writer()
    phone, answer = running.redeem_in_flight()
    running.server.stop()
    wait_until(lambda: is_refused(running.address), 30, "nobody new is let in")
    assert running.is_running()
    running.release_writer()
    assert answer()["status"] == "ok"
    running.join()
    assert [row.checkin.secret for row in running.venue.journal] == ["abc"]
    phone.close()


def test_idle_connections_do_not_hold_it_up(running: Running) -> None:
    phones = [http.client.HTTPConnection(*running.address, timeout=30) for _ in range(5)]
    for phone in phones:
        phone.request("GET", f"{running.venue.path}/status/?key={KEY}")
        phone.getresponse().read()
    half = http.client.HTTPConnection(*running.address, timeout=30)
    half.connect()
    half.sock.sendall(b"POST /pretixdroid/api/demoorga/democon/redeem/ HTTP/1.1\r\nContent-Length: 99\r\n\r\nsec")
    started_s = time.monotonic()
    running.server.stop()
    running.join()
    assert time.monotonic() - started_s < app.FINISH_WITHIN_S
    assert all(phone.sock.recv(1) == b"" for phone in phones)
    for phone in (*phones, half):
        phone.close()


def test_what_never_ends_is_not_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "FINISH_WITHIN_S", 0.2)
    running.hold_writer()
    phone, _ = running.redeem_in_flight()
    running.server.stop()
    running.join()
    running.release_writer()
    phone.close()


def test_a_slow_reader_gets_the_rest_of_its_answer(venue: Venue) -> None:
    for number in range(3000):
        # Does not compress: far more than what the system buffers of it.
        venue.event.add_ticket(f"t{number}", addons_text=secrets.token_urlsafe(3000))
    venue.open()
    running = Running(venue)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(30)
        slow.connect(running.address)
        slow.sendall(f"GET {venue.path}/download/?key={KEY} HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        stream = slow.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        running.server.stop()
        wait_until(lambda: is_refused(running.address), 30, "nobody new is let in")
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
        body = stream.read(int(headers["Content-Length"]))
    running.join()
    assert len(json.loads(gzip.decompress(body))["results"]) == 3000


# --- a real process ---------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(box: BoxProcess) -> BoxProcess:
    """A box with more tickets than can be scanned meanwhile."""
    event = StubEvent()
    event.add_tickets(TICKETS, "t")
    prepare = Box(Config(data_dir=Path(box.data_dir)))
    list_ = prepare.add_saved({"status": event.status(), "download": event.download()}, "the test's event")
    prepare.scanners.add("Gate 1", list_.id, key=KEY)
    prepare.close()
    return box


class Scanners:
    """Threads that check in one ticket after the other until the box is gone."""

    def __init__(self, box: BoxProcess, numbers: range) -> None:
        self._box = box
        self._numbers = iter(numbers)
        self._lock = threading.Lock()
        self.accepted: list[str] = []
        self.odd: list[str] = []
        self._threads = [threading.Thread(target=self._scan) for _ in range(SCANNERS)]
        for thread in self._threads:
            thread.start()

    def _scan(self) -> None:
        phone = http.client.HTTPConnection("127.0.0.1", self._box.port, timeout=30)
        path = f"/pretixdroid/api/demoorga/democon/redeem/?key={KEY}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        while True:
            with self._lock:
                secret = f"t{next(self._numbers):06d}"
            try:
                phone.request("POST", path, f"secret={secret}", headers)
                answer = phone.getresponse()
                told = json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 200 and told["status"] == "ok":
                self.accepted.append(secret)
            else:
                self.odd.append(f"{answer.status} {told}")

    def have_accepted(self, count: int) -> bool:
        return len(self.accepted) > count

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_the_journal_is_exactly_what_was_answered(loaded: BoxProcess, stop: signal.Signals) -> None:
    accepted: list[str] = []
    for numbers in (range(TICKETS // 2), range(TICKETS // 2, TICKETS)):
        loaded.start()
        scanners = Scanners(loaded, numbers)
        wait_until(partial(scanners.have_accepted, 100), 30, "scanning is under way")
        process = loaded._process
        assert process is not None
        process.send_signal(stop)
        # Some things that stop services say it twice.
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        scanners.join()
        assert scanners.odd == []
        accepted += scanners.accepted
    recorded = [row["secret"] for row in loaded.journal()]
    assert sorted(recorded) == sorted(accepted)
    assert len(set(recorded)) == len(recorded) > 200
    assert "Traceback" not in loaded.output
