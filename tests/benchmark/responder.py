"""A server that answers with what was prepared and does nothing else, in a process of its own.

It is the upstream of the boxes that are measured, and what the load generator is shown to reach without a box.
Run as `python -m tests.benchmark.responder PORT FOLDER [NAME...]`: `.../NAME/` gives FOLDER/NAME, the names on the
command line are never answered, and `/seen` tells how often each was asked for and when last (`time.monotonic()`).
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from email.utils import formatdate
from pathlib import Path

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NAME = re.compile(rb"\w+ [^ ?]*?/?(\w+)/?(?:\?[^ ]*)? HTTP")


class Responder:
    """One thread, one selector."""

    def __init__(self, port: int, folder: Path, never: frozenset[str]) -> None:
        self._never = never
        self._bodies = {path.name: path.read_bytes() for path in folder.iterdir()}
        self._seen: dict[str, tuple[int, float]] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._inputs: dict[socket.socket, bytearray] = {}
        self._outputs: dict[socket.socket, memoryview] = {}

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    self._serve(key.fileobj)
                except ConnectionError:
                    self._forget(key.fileobj)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inputs[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._inputs.pop(connection, None)
        self._outputs.pop(connection, None)
        connection.close()

    def _serve(self, connection: socket.socket) -> None:
        if connection in self._outputs:
            self._go_on(connection)
            return
        data = connection.recv(1 << 16)
        if not data:
            self._forget(connection)
            return
        received = self._inputs[connection]
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(received, 0, end + 2)
        if len(received) < end + 4 + (int(length[1]) if length else 0):
            return
        answer = self._answer(bytes(received[:end]))
        received.clear()
        if answer is None:
            return
        sent = connection.send(answer)
        if sent < len(answer):
            self._outputs[connection] = memoryview(answer)[sent:]
            self._selector.modify(connection, selectors.EVENT_WRITE)

    def _go_on(self, connection: socket.socket) -> None:
        rest = self._outputs[connection]
        try:
            rest = rest[connection.send(rest[: 1 << 18]) :]
        except BlockingIOError:
            return
        if rest:
            self._outputs[connection] = rest
        else:
            del self._outputs[connection]
            self._selector.modify(connection, selectors.EVENT_READ)

    def _answer(self, head: bytes) -> bytes | None:
        match = _NAME.match(head)
        name = match[1].decode() if match else ""
        if name == "seen":
            body = json.dumps(self._seen).encode()
        else:
            body = self._bodies.get(name, b"")
            self._seen[name] = (self._seen.get(name, (0, 0.0))[0] + 1, time.monotonic())
            if name in self._never:
                return None
        return (
            f"HTTP/1.1 {'200 OK' if body else '404 Not Found'}\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


if __name__ == "__main__":
    Responder(int(sys.argv[1]), Path(sys.argv[2]), frozenset(sys.argv[3:])).run()
