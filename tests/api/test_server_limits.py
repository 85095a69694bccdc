"""The server around the application: what it refuses by itself, and that nothing keeps it from answering others."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgebox.app import MAX_BODY_BYTES, MAX_CONNECTIONS, WAITRESS, Server
from edgebox.box import Box
from edgebox.config import Config
from tests.api.conftest import KEY, Venue, served
from tests.support.box import REPOSITORY, wait_until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PHONES_IDLE_S = 300
"""How long a phone keeps a connection on which nothing happens."""


@pytest.fixture
def address(venue: Venue) -> Iterator[tuple[str, int]]:
    venue.event.add_tickets(3, "t")
    venue.open()
    with served(venue.box) as url:
        yield str(urlsplit(url).hostname), int(urlsplit(url).port or 0)


@pytest.fixture
def phone(address: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    yield connection
    connection.close()


def path(endpoint: str, key: str = KEY) -> str:
    return f"/pretixdroid/api/demoorga/democon/{endpoint}/?key={key}"


def ask(
    phone: http.client.HTTPConnection, method: str, address: str, check: int = 200, body: Any = None, **options: Any
) -> Any:
    """One request on a kept connection: the answer's JSON, and the connection must still be there."""
    before = phone.sock
    phone.request(method, address, body, FORM if method == "POST" else {}, **options)
    answer = phone.getresponse()
    content = answer.read()
    assert answer.status == check, content
    assert answer.getheader("Content-Type") == "application/json"
    assert phone.sock is not None, "the server closed the connection"
    assert before in (None, phone.sock)
    return json.loads(content) if content else None


def raw(address: tuple[str, int], sent: bytes) -> bytes:
    """What comes back, until the server closes the connection."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_in_chunks_is_read_like_any_other(venue: Venue, phone: http.client.HTTPConnection) -> None:
    answer = ask(phone, "POST", path("redeem"), body=iter([b"sec", b"ret=t00", b"0000"]), encode_chunked=True)
    assert answer["status"] == "ok"
    assert len(venue.journal) == 1


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_over_the_applications_limit_gets_json_and_keeps_the_connection(
    venue: Venue, phone: http.client.HTTPConnection, in_chunks: bool
) -> None:
    piece = b"secret=t000000&x=" + b"x" * 1024 * 1024
    body = iter([piece, piece]) if in_chunks else piece + piece
    answer = ask(phone, "POST", path("redeem"), 413, body=body, encode_chunked=in_chunks)
    assert answer["reason"] == "too_large"
    assert ask(phone, "POST", path("redeem"), body="secret=t000000")["status"] == "ok"
    assert len(venue.journal) == 1


def test_the_servers_own_limit_is_far_above_the_applications(venue: Venue, address: tuple[str, int]) -> None:
    assert WAITRESS["max_request_body_size"] >= 10 * MAX_BODY_BYTES
    length = WAITRESS["max_request_body_size"] + 1
    head = f"POST {path('redeem')} HTTP/1.1\r\nHost: box\r\nContent-Length: {length}\r\n\r\n"
    answer = raw(address, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Type: text/plain" in answer
    assert KEY.encode() not in answer
    assert venue.journal == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: box\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n", 400),
        ((b"GET / HTTP/1.1\r\nX: " + b"x" * 32_768)[: 32_768 - 4] + b"\r\n\r\n", 431),
        (bytes(range(256)) * 10 + b"\r\n\r\n", 400),
    ],
)
def test_a_request_that_is_none_is_refused_and_the_others_go_on(
    address: tuple[str, int], phone: http.client.HTTPConnection, sent: bytes, status: int
) -> None:
    ask(phone, "GET", path("status"))
    answer = raw(address, sent)
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert b"<" not in answer
    assert ask(phone, "GET", path("status"))["total"] == 3


def test_unknown_methods_reach_the_application(phone: http.client.HTTPConnection) -> None:
    for method in ("PROPFIND", "BREW", "X-1", "OPTIONS", "TRACE"):
        assert ask(phone, method, path("redeem"), 405)["reason"] == "method_not_allowed"
        assert ask(phone, method, path("redeem", key="WRONG"), 403)["reason"] == "invalid_key"
        assert ask(phone, method, "/healthz", 405)["reason"] == "method_not_allowed"


# --- connections ------------------------------------------------------------------------------------------------------


def test_no_answer_ends_a_connection(phone: http.client.HTTPConnection) -> None:
    """A phone would set up a new one for its next scan."""
    for method, address, check in (
        ("GET", path("status"), 200),
        ("GET", path("search") + "&query=Lovelace", 200),
        ("GET", path("download"), 200),
        ("HEAD", path("download"), 200),
        ("POST", path("redeem"), 200),
        ("DELETE", path("redeem"), 405),
        ("GET", path("status", key="WRONG"), 403),
        ("GET", "/nowhere", 404),
        ("GET", "/healthz", 200),
    ):
        ask(phone, method, address, check)


def test_an_idle_connection_outlives_the_phones_patience(venue: Venue) -> None:
    """Else a phone sends a redeem into a connection that is gone, and sends it again by itself."""
    venue.event.add_ticket("abc")
    venue.open()
    server = Server(venue.box)
    thread = threading.Thread(target=server.run)
    thread.start()
    phone = http.client.HTTPConnection(*server.address, timeout=30)
    listener = server._listeners[0]

    def idle_for(seconds: float) -> None:
        """What the server does with idle connections every 30 s, as if that much time had passed."""
        wait_until(lambda: not any(each.requests for each in listener.active_channels.values()), 30, "all is answered")
        listener.maintenance(time.time() + seconds)
        listener.pull_trigger()

    try:
        ask(phone, "GET", path("status"))
        idle_for(PHONES_IDLE_S + 60)
        ask(phone, "GET", path("status"))
        idle_for(3600)
        assert phone.sock.recv(1) == b""
    finally:
        phone.close()
        server.stop()
        thread.join()


def test_no_header_tells_what_the_server_is(phone: http.client.HTTPConnection) -> None:
    phone.request("GET", "/healthz")
    answer = phone.getresponse()
    answer.read()
    assert answer.getheader("Server") is None
    assert answer.getheader("Via") is None


def test_a_phone_that_does_not_read_its_download_holds_no_thread(tmp_path: Path) -> None:
    venue = Venue(tmp_path, threads=1)
    for number in range(3000):
        # Does not compress: the body is far larger than what the system buffers of it.
        venue.event.add_ticket(f"t{number}", addons_text=secrets.token_urlsafe(3000))
    venue.open()
    try:
        with served(venue.box) as url:
            address = str(urlsplit(url).hostname), int(urlsplit(url).port or 0)
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.settimeout(30)
                slow.connect(address)
                slow.sendall(f"GET {path('download')} HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n".encode())
                stream = slow.makefile("rb")
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                phone = http.client.HTTPConnection(*address, timeout=30)
                for number in range(3):
                    assert ask(phone, "POST", path("redeem"), body=f"secret=t{number}")["status"] == "ok"
                phone.close()
                headers = dict(line.decode().strip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
                body = stream.read(int(headers["Content-Length"]))
            assert len(body) > 5_000_000
            assert len(json.loads(gzip.decompress(body))["results"]) == 3000
    finally:
        venue.box.close()


def test_a_phone_that_is_gone_is_no_error(
    venue: Venue, address: tuple[str, int], phone: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "waitress")
    for _ in range(5):
        with socket.create_connection(address, timeout=30) as gone:
            gone.sendall(f"GET {path('download')} HTTP/1.1\r\n\r\n".encode())
            # Closed with a reset, as when a network goes away.
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ask(phone, "GET", path("status"))["total"] == 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- how many ---------------------------------------------------------------------------------------------------------


def room_with(soft: int, hard: int, threads: int) -> tuple[int, int]:
    """(connections, open files allowed) of a process that starts with these limits."""
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from edgebox.app import room_for_connections\n"
        f"print(room_for_connections({threads}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    connections, files = done.stdout.split()
    return int(connections), int(files)


def test_there_is_room_for_200_scanners_with_several_connections_each() -> None:
    # What a process is given on Debian: a low limit that it may raise.
    connections, files = room_with(1024, 4096, threads=32)
    assert connections == MAX_CONNECTIONS >= 3 * 200
    assert files > connections + 3 * 32


def test_where_the_system_allows_fewer_files_there_are_fewer_connections() -> None:
    connections, files = room_with(512, 512, threads=32)
    assert 200 < connections < files - 3 * 32


def test_threads_are_those_of_the_configuration(tmp_path: Path) -> None:
    venue = Venue(tmp_path, threads=7)
    before = threading.active_count()
    with served(venue.box):
        # One runs the server.
        assert threading.active_count() == before + 1 + 7
    assert threading.active_count() == before
    venue.box.close()


# --- where ------------------------------------------------------------------------------------------------------------


@contextmanager
def box_at(data_dir: Path, **settings: Any) -> Iterator[Box]:
    box = Box(Config(data_dir=data_dir, **settings))
    try:
        yield box
    finally:
        box.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_where_it_is_told_to(tmp_path: Path, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with box_at(tmp_path, host=host, port=0) as box, served(box) as url:
        port = int(url.rpartition(":")[2])
        phone = http.client.HTTPConnection("127.0.0.1" if host == "localhost" else host, port, timeout=30)
        ask(phone, "GET", "/healthz")
        phone.close()


def test_a_port_in_use_is_an_os_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with box_at(tmp_path, host="127.0.0.1", port=port) as box, pytest.raises(OSError, match="in use"):
            Server(box)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "300.1.2.3", "192.0.2.77"])
def test_a_host_that_is_not_this_machine_is_an_os_error(tmp_path: Path, host: str) -> None:
    with box_at(tmp_path, host=host, port=0) as box, pytest.raises(OSError, match=r".+"):
        Server(box)


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
