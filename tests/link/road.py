"""The road between the box and a ticket server: real sockets, on which a fault can lie at any request.

The server itself is a function. What a name resolves to, and what listens there, is the road's as well: no real name is
ever asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.box import free_port

HOST = "tickets.test"
GIVE_UP_S = 30.0
"""A fault that keeps somebody waiting ends after this at the latest: a test must fail, not hang."""


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """What goes back, whole."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, *, closes: bool = False) -> bytes:
        """As HTTP has it; a 304 has no body, and tells no length."""
        length = {} if self.status == 304 else {"Content-Length": str(len(self.body))}
        end = {"Connection": "close"} if closes else {}
        lines = [f"{name}: {value}" for name, value in {**length, **self.headers, **end}.items()]
        return "\r\n".join([f"HTTP/1.1 {self.status} Status", *lines, "", ""]).encode("latin-1")


Server = Callable[[Asked], Answered]


class CutOff(Exception):
    """This connection is over."""


class Call:
    """One request that a fault lies on: what a fault may do to it."""

    def __init__(self, asked: Asked, plug: socket.socket, server: Server, ended: threading.Event) -> None:
        self.asked = asked
        self._plug = plug
        self._server = server
        self._ended = ended

    def act(self) -> Answered:
        """The server does what it was asked; its answer."""
        return self._server(self.asked)

    def send(self, data: bytes) -> None:
        self._plug.sendall(data)

    def answer(self, answered: Answered) -> None:
        self.send(answered.head() + answered.body)

    def end(self) -> None:
        """Close the connection in good order."""
        raise CutOff

    def reset(self) -> None:
        """Break it off, as a router does that has lost its memory."""
        self._plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._plug.close()
        raise CutOff

    def wait(self, seconds: float = GIVE_UP_S) -> bool:
        """Send nothing for so long; False once the box has had enough."""
        self._plug.settimeout(seconds)
        try:
            return self._plug.recv(1, socket.MSG_PEEK) != b""
        except TimeoutError:
            return not self._ended.is_set()
        except OSError:
            return False
        finally:
            self._plug.settimeout(None)


Fault = Callable[[Call], None]


@dataclass(frozen=True)
class Obstacle:
    """A fault by its name: what it does to a request, or to the connection that one needs.

    `blocks`: what becomes of the attempt to connect, `no name`, `refused` or `silent`. `tls`: the certificate that is
    shown instead, or None for a server that does not speak TLS; only where the road does.
    """

    name: str
    spoils: Fault | None = None
    blocks: str | None = None
    tls: str | None = None
    is_slow: bool = False
    """It lasts until the box gives up waiting."""
    is_big: bool = False
    """It sends more than the box may keep."""

    @property
    def is_on_connecting(self) -> bool:
        return self.spoils is None


@dataclass(frozen=True)
class Certificates:
    """For HOST: one that the box trusts and one that it does not, with their keys in the same file."""

    good: str
    strange: str


class Road:
    """Serves from `open` until `close`; each connection in a thread of its own.

    `requests` counts what came while nothing or something lay on the road, from 0 since `lay`. `hits` are the numbers
    that `obstacle` lies on.
    """

    def __init__(self, server: Server, certificates: Certificates | None = None) -> None:
        self._server = server
        self._certificates = certificates
        self._obstacle: Obstacle | None = None
        self._hits: frozenset[int] = frozenset()
        self._lock = threading.Lock()
        self.requests = 0
        self.was_hit = 0
        self.errors: list[BaseException] = []
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._silent = _nobody_accepts()
        self._closed_port = free_port()
        threading.Thread(target=self._accept, daemon=True).start()

    def lay(self, obstacle: Obstacle | None, hits: frozenset[int] = frozenset()) -> None:
        """From now on, requests are counted from 0, and the obstacle lies on those that `hits` names."""
        with self._lock:
            self._obstacle, self._hits, self.requests, self.was_hit = obstacle, hits, 0, 0

    def clear(self) -> None:
        """Nothing lies on it any more."""
        with self._lock:
            self._obstacle = None

    @contextlib.contextmanager
    def leads_there(self) -> Iterator[Road]:
        """Within this block, HOST is at the end of this road."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", self._resolve)
            try:
                yield self
            finally:
                self._close()
        assert not self.errors, f"the road itself went wrong: {self.errors}"

    def _close(self) -> None:
        self._ended.set()
        with self._lock:
            plugs = [self._listening, *self._silent, *self._open]
        for plug in plugs:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(plug, socket.SHUT_RDWR)
            plug.close()

    # --- connecting ---------------------------------------------------------------------------------------------------

    def _resolve(self, host: str, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """In the place of socket.getaddrinfo."""
        if host != HOST:
            raise AssertionError(f"the box asks for {host}")
        to = self._listening.getsockname()[1]
        obstacle = self._obstacle
        if obstacle is not None and obstacle.blocks is not None and self._is_hit():
            if obstacle.blocks == "no name":
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            to = self._closed_port if obstacle.blocks == "refused" else self._silent[0].getsockname()[1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", to))]

    def _is_hit(self) -> bool:
        """Count a request, or the attempt to connect for one; whether the obstacle lies on it."""
        with self._lock:
            number = self.requests
            self.requests += 1
            is_hit = number in self._hits
            self.was_hit += is_hit
            return is_hit

    # --- serving ------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plug, _ = self._listening.accept()
                with self._lock:
                    self._open.add(plug)
                threading.Thread(target=self._serve, args=(plug,), daemon=True).start()

    def _serve(self, plug: socket.socket) -> None:
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talking = plug
        try:
            if self._certificates is not None:
                talking = self._greeted(plug, self._certificates)
            while (asked := _read(talking)) is not None:
                obstacle = self._obstacle
                if obstacle is None or not obstacle.is_on_connecting:
                    is_hit = self._is_hit()
                    if is_hit and obstacle is not None and obstacle.spoils is not None:
                        obstacle.spoils(Call(asked, talking, self._server, self._ended))
                        continue
                answered = self._server(asked)
                # A fault on connecting can only lie on a request that has to connect.
                closes = obstacle is not None and obstacle.is_on_connecting
                talking.sendall(answered.head(closes=closes) + answered.body)
                if closes:
                    break
        except (OSError, CutOff):
            pass  # the box, or the fault, had enough
        except BaseException as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(plug)
            for each in {talking, plug}:
                with contextlib.suppress(OSError):
                    each.close()

    def _greeted(self, plug: socket.socket, certificates: Certificates) -> socket.socket:
        """With TLS, as far as nothing lies on it."""
        certificate = certificates.good
        obstacle = self._obstacle
        if obstacle is not None and obstacle.tls is not None and self._is_hit():
            if obstacle.tls != "strange":
                plug.recv(1)
                plug.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                raise CutOff
            certificate = certificates.strange
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context.wrap_socket(plug, server_side=True)


def _read(plug: socket.socket) -> Asked | None:
    """The next request; None when the box has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = plug.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        body += plug.recv(length - len(body)) or _gone()
    return Asked(method, target, headers, body)


def _gone() -> bytes:
    raise CutOff


def _nobody_accepts() -> list[socket.socket]:
    """A port where a connection never comes about: its queue is full. With what fills it."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    plugs = [listening]
    for _ in range(8):
        plug = socket.socket()
        plug.setblocking(False)
        plug.connect_ex(listening.getsockname())
        plugs.append(plug)
    return plugs
