"""A server below HTTP: it sends the bytes that a test says, however odd."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

DRIPS_FOR_S = 20.0
"""No test waits longer than this for a client that takes every drop."""


def head(status: str = "200 OK", **headers: object) -> bytes:
    """The start of an answer; `Content_Length=3` becomes the header Content-Length."""
    lines = [f"HTTP/1.1 {status}"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(body: bytes, status: str = "200 OK", **headers: object) -> bytes:
    """A whole answer in JSON."""
    return head(status, Content_Type="application/json", Content_Length=len(body), **headers) + body


class Connection:
    """One client's connection; `number` counts them from 1."""

    def __init__(self, plug: socket.socket, number: int) -> None:
        self.plug = plug
        self.number = number

    def request(self) -> bytes | None:
        """The head of the next request, after its body was taken in too; None when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.plug.recv(65536)
            if not piece:
                return None
            data += piece
        before, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in before.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        missing = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
        while missing > 0:
            missing -= len(self.plug.recv(missing))
        return before

    def send(self, data: bytes) -> None:
        self.plug.sendall(data)


Serve = Callable[[Connection], None]


def same(data: bytes) -> Serve:
    """Answer every request with the same bytes and close the connection."""

    def serve(connection: Connection) -> None:
        if connection.request() is not None:
            connection.send(data)

    return serve


def keeping(data: bytes) -> Serve:
    """Answer every request with the same bytes, all over one connection."""

    def serve(connection: Connection) -> None:
        while connection.request() is not None:
            connection.send(data)

    return serve


def drips(first: bytes, drop: bytes, ended: threading.Event, every_s: float = 0.02) -> Serve:
    """Send `first`, then `drop` again and again until the client has had enough, or the test, or it takes too long."""

    def serve(connection: Connection) -> None:
        connection.request()
        connection.send(first)
        give_up_s = time.monotonic() + DRIPS_FOR_S
        while not ended.wait(every_s) and time.monotonic() < give_up_s:
            connection.send(drop)

    return serve


class RawServer:
    """Serves each connection in a thread of its own."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/pretixdroid/api/demoorga/democon/"

    def close(self) -> None:
        for plug in [self._listening, *self._open]:
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)
            plug.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plug, _ = self._listening.accept()
                self.connections += 1
                self._open.append(plug)
                connection = Connection(plug, self.connections)
                threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):
            self._serve(connection)
            connection.plug.shutdown(socket.SHUT_RDWR)
        connection.plug.close()


@contextlib.contextmanager
def raw_server(serve: Serve) -> Iterator[RawServer]:
    """A server for the time of the block."""
    server = RawServer(serve)
    try:
        yield server
    finally:
        server.close()
