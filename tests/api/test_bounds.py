"""What one client can send and hold is bounded: measured at a running box."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from edgebox import app, channels
from edgebox.app import MAX_BODY_BYTES, WAITRESS
from tests.api.conftest import KEY, Venue, served
from tests.support.box import BoxProcess, wait_until
from tests.support.event import StubEvent

REDEEM = f"/pretixdroid/api/demoorga/democon/redeem/?key={KEY}"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def running(box: BoxProcess, tmp_path: Path) -> tuple[BoxProcess, str]:
    """A box of its own process, and a device's key."""
    event = StubEvent()
    event.add_tickets(3, "t")
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({"status": event.status(), "download": event.download()}))
    key = box.add_device("Gate 1", box.add_list(str(saved)))
    box.start()
    return box, key


def kept_bytes(pid: int) -> tuple[int, int]:
    """What a process has in its memory and in files without a name."""
    unnamed = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(each).endswith(" (deleted)"):
                unnamed += each.stat().st_size
        except FileNotFoundError:
            pass
    return psutil.Process(pid).memory_info().rss, unnamed


def send_unfinished(box: BoxProcess, head: str, body: bytes, stack: ExitStack) -> None:
    """A request that lacks its end, on a connection that is kept."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", box.port), timeout=30))
    connection.sendall(f"POST /api/v1/device/update HTTP/1.1\r\nHost: box\r\n{head}\r\n\r\n".encode() + body)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 15000000", b"x" * 4_000_000),
        ("Transfer-Encoding: chunked", b"f4240\r\n" + b"x" * 1_000_000 + b"\r\nf4240\r\n" + b"x" * 900_000),
        (f"Content-Length: {MAX_BODY_BYTES}", b"x" * (MAX_BODY_BYTES - 1)),
    ],
)
def test_bodies_that_do_not_end_fill_neither_memory_nor_disk(
    running: tuple[BoxProcess, str], head: str, body: bytes
) -> None:
    box, key = running
    connections = 40
    with ExitStack() as stack:
        assert box.redeem(key, "t000000").json()["status"] == "ok"
        memory_before, _ = kept_bytes(box.pid)
        for _ in range(connections):
            send_unfinished(box, head, body, stack)
        # The last one's has been read as far as it will be when the box has answered somebody else a few times since.
        wait_until(lambda: is_read(box, connections), 30, "all was read")
        memory, unnamed = kept_bytes(box.pid)
        assert unnamed <= connections * MAX_BODY_BYTES
        assert memory - memory_before < connections * 2 * WAITRESS["inbuf_overflow"] + 10_000_000
        assert box.redeem(key, "t000001").json()["status"] == "ok"


def is_read(box: BoxProcess, connections: int) -> bool:
    """Whether nothing waits in any of the box's sockets, and all clients are there."""
    inodes = {os.readlink(each) for each in Path(f"/proc/{box.pid}/fd").iterdir() if each.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row for row in rows if f"socket:[{row[9]}]" in inodes and row[3] == "01"]
    return len(mine) >= connections and all(int(row[4].split(":")[1], 16) == 0 for row in mine)


def test_what_is_not_kept_is_refused_in_the_words_of_the_dialect(running: tuple[BoxProcess, str]) -> None:
    box, key = running
    kept = box.session.post(box.api("redeem/"), params={"key": key}, data=b"secret=t000000&x=" + b"x" * 3_000_000)
    assert (kept.status_code, kept.json()["reason"]) == (413, "too_large")
    told = box.session.post(f"{box.url}/api/v1/device/initialize", data=iter([b"x" * 200_000] * 10), timeout=30)
    assert told.status_code == 413
    assert "too large" in told.json()["title"]


@contextmanager
def open_to(venue: Venue) -> Iterator[tuple[str, int]]:
    with served(venue.box) as url:
        yield str(urlsplit(url).hostname), int(urlsplit(url).port or 0)


@pytest.fixture
def address(venue: Venue) -> Iterator[tuple[str, int]]:
    venue.event.add_tickets(3, "t")
    venue.open()
    with open_to(venue) as address:
        yield address


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;" + b"x" * 5000,  # a line before a chunk that never ends
        b"0\r\n" + b"X: " + b"x" * 5000,  # a head behind the chunks that never ends
    ],
)
def test_what_stands_between_chunks_is_bounded(address: tuple[str, int], chunks: bytes) -> None:
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: box\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert len(chunks) > channels.MAX_CONTROL_CHARS


def test_a_head_is_bounded_and_an_honest_one_far_below(address: tuple[str, int]) -> None:
    phone = http.client.HTTPConnection(*address, timeout=30)
    query = "%C3%A9" * 1000  # the longest search, each character written as six
    phone.request("GET", REDEEM.replace("redeem", "search") + f"&query={query}", headers={"Cookie": "x" * 4096})
    assert phone.getresponse().status == 200
    phone.close()
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 5465)
        assert b" 431 " in connection.recv(4096).split(b"\r\n")[0]


def test_a_form_has_so_many_fields_and_no_more(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    form = b"secret=abc" + b"&x=1" * 999
    answer = venue.request("POST", REDEEM, 413, data=form + b"&x", content_type=FORM).get_json()
    assert answer["reason"] == "too_large"
    assert venue.journal == []
    assert venue.request("POST", REDEEM, data=form, content_type=FORM).get_json()["status"] == "ok"


DEEP = ["[" * 100_000, '{"a":' * 50_000, '{"secret": ' + "[" * 50_000, "[" * 100_000 + "]" * 100_000]


@pytest.mark.parametrize("body", DEEP)
@pytest.mark.parametrize("path", ["/api/v1/device/initialize", "/api/v1/device/update", "/proxyapi/v1/rpc/check/"])
def test_json_may_be_as_deep_as_it_likes(venue: Venue, path: str, body: str) -> None:
    list_ = venue.open()
    device = venue.box.scanners.add_pretixscan("Gate 2", [list_.id])
    begun = venue.send("POST", "/api/v1/device/initialize", json={"token": f"proxy={device.setup_token}"})
    key = begun.get_json()["api_token"]
    response = venue.send("POST", path, data=body, headers={"Authorization": f"Device {key}"})
    assert response.status_code == 400
    assert response.is_json


def test_of_too_many_connections_those_that_are_there_go_on(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one waits until one of them ends."""
    monkeypatch.setattr(app, "MAX_CONNECTIONS", 20)
    venue.event.add_tickets(3, "t")
    venue.open()
    with open_to(venue) as address, ExitStack() as stack:
        phone = http.client.HTTPConnection(*address, timeout=30)
        stack.callback(phone.close)
        assert asked(phone, "t000000") == "ok"
        idle = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(40)]
        assert asked(phone, "t000001") == "ok"
        late = http.client.HTTPConnection(*address, timeout=30)
        stack.callback(late.close)
        late.request("POST", REDEEM, "secret=t000002", {"Content-Type": FORM})
        for each in idle:
            each.close()
        assert json.loads(late.getresponse().read())["status"] == "ok"


def asked(phone: http.client.HTTPConnection, secret: str) -> str:
    phone.request("POST", REDEEM, f"secret={secret}", {"Content-Type": FORM})
    return str(json.loads(phone.getresponse().read())["status"])
