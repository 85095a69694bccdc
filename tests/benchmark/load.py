"""A load generator: many keep-alive connections in one process of its own, requests made beforehand.

Closed loop: each connection sends its next request when the last one is answered. Open loop: each request has a due
time, and its latency counts from that, so that an answer that comes late makes the next ones late too, as at a gate.
"""

from __future__ import annotations

import gc
import re
import selectors
import socket
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

ANSWER_WITHIN_S = 60.0
"""Whoever waits longer for an answer is a defect of what is measured."""
GENERATORS = 4
"""Loads that can run at the same time."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SAID = re.compile(rb'"(?:reason|status|type)": *"(\w+)"')


@dataclass(frozen=True)
class Scanner:
    """One connection. `requests` are sent in order, with `due_s` (seconds after the start) each at its time."""

    requests: Sequence[bytes]
    due_s: Sequence[float] | None = None


@dataclass(frozen=True)
class Plan:
    """A load on a port of 127.0.0.1. Closed loops end after `seconds`, or when they have nothing left to send."""

    port: int
    scanners: Sequence[Scanner]
    seconds: float = float("inf")


@dataclass
class Outcome:
    """What came of a load. `said` counts what the answers said: a status or reason, `200` for any other good answer,
    `http CODE` for one that is not."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    said: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    size_bytes: int = 0
    """Of all answers together."""
    farthest: int = 0
    """How many requests the scanner sent that sent the most."""

    @property
    def count(self) -> int:
        return len(self.latencies_s)

    @property
    def per_s(self) -> float:
        return self.count / self.seconds

    def percentile_s(self, share: float) -> float:
        """The latency that this share of the answers kept, in seconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def p_ms(self, percent: float) -> float:
        return self.percentile_s(percent / 100) * 1000

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.latencies_s + other.latencies_s,
            self.said + other.said,
            self.seconds + other.seconds,
            self.size_bytes + other.size_bytes,
            max(self.farthest, other.farthest),
        )


class WrongAnswers(AssertionError):
    """Something else was answered than had to be: no figure of such a run is worth anything."""


def require(outcome: Outcome, *expected: str) -> Outcome:
    """Raises WrongAnswers unless every answer said one of these."""
    if not outcome.count or set(outcome.said) - set(expected):
        raise WrongAnswers(f"every answer should say {' or '.join(expected)}; they said {dict(outcome.said)}")
    return outcome


class Generators:
    """Processes that run loads. The plan is handed over before the load starts."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(GENERATORS, mp_context=get_context("spawn"))

    def start(self, plan: Plan) -> Future[Outcome]:
        return self._pool.submit(run, plan)

    def run(self, plan: Plan, *expected: str) -> Outcome:
        """Run a load to its end. Raises WrongAnswers unless every answer says one of `expected`."""
        return require(self.start(plan).result(), *expected)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def run(plan: Plan) -> Outcome:
    """Run a load in this process. Raises WrongAnswers when an answer does not come at all."""
    gc.disable()
    try:
        return _Run(plan).go()
    finally:
        gc.enable()


class _Connection:
    """One scanner's connection, and where it stands."""

    __slots__ = ("buffer", "due_s", "is_waiting", "left", "number", "requests", "since_s", "socket")

    def __init__(self, scanner: Scanner) -> None:
        self.requests = scanner.requests
        self.due_s = scanner.due_s
        self.number = 0
        self.left = -1
        self.buffer = bytearray()
        self.is_waiting = False
        self.since_s = 0.0
        self.socket: socket.socket | None = None


class _Run:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._selector = selectors.DefaultSelector()
        self._outcome = Outcome()
        self._connections = [_Connection(scanner) for scanner in plan.scanners if scanner.requests]
        self._start_s = 0.0
        self._end_s = 0.0

    def go(self) -> Outcome:
        timed = [c for c in self._connections if c.due_s is not None]
        for connection in self._connections:
            if connection.due_s is None:
                self._connect(connection)
        self._start_s = time.perf_counter()
        self._end_s = self._start_s + self._plan.seconds
        for connection in self._connections:
            if connection.due_s is None:
                self._send(connection, self._start_s)
        if timed:
            self._loop_timed(timed)
        else:
            self._loop()
        self._outcome.seconds = time.perf_counter() - self._start_s
        for connection in self._connections:
            self._outcome.farthest = max(self._outcome.farthest, connection.number)
            if connection.socket is not None:
                connection.socket.close()
        return self._outcome

    def _loop(self) -> None:
        waiting = len(self._connections)
        while waiting:
            waiting -= self._look(ANSWER_WITHIN_S)

    def _loop_timed(self, connections: list[_Connection]) -> None:
        """Answers first; then whoever is due and not waiting for an answer sends."""
        order = sorted((due_s, index) for index, c in enumerate(connections) for due_s in c.due_s or ())
        upcoming = 0
        backlog: list[_Connection] = []
        left = len(order)
        while left:
            now_s = time.perf_counter() - self._start_s
            while upcoming < len(order) and order[upcoming][0] <= now_s:
                backlog.append(connections[order[upcoming][1]])
                upcoming += 1
            still = []
            for connection in backlog:
                if connection.is_waiting:
                    still.append(connection)
                else:
                    assert connection.due_s is not None
                    if connection.socket is None:
                        self._connect(connection)
                    self._send(connection, self._start_s + connection.due_s[connection.number])
            backlog = still
            wait_s = ANSWER_WITHIN_S
            if upcoming < len(order):
                wait_s = max(0.0, order[upcoming][0] - (time.perf_counter() - self._start_s))
            left -= self._look(wait_s, is_timed=True, may_be_idle=upcoming < len(order))

    def _connect(self, connection: _Connection) -> None:
        connection.socket = socket.create_connection(("127.0.0.1", self._plan.port))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _send(self, connection: _Connection, since_s: float) -> None:
        assert connection.socket is not None
        connection.since_s = since_s
        connection.is_waiting = True
        connection.socket.sendall(connection.requests[connection.number])
        connection.number += 1

    def _look(self, wait_s: float, is_timed: bool = False, may_be_idle: bool = False) -> int:
        """Take in what has come. Returns how many connections are done (timed: how many answers came)."""
        done = 0
        ready = self._selector.select(wait_s)
        if not ready and not may_be_idle:
            raise WrongAnswers(f"no answer within {ANSWER_WITHIN_S:g} s; so far: {dict(self._outcome.said)}")
        for key, _ in ready:
            connection: _Connection = key.data
            assert connection.socket is not None
            data = connection.socket.recv(1 << 18)
            if not data:
                raise WrongAnswers(f"a connection was closed; so far: {dict(self._outcome.said)}")
            if not self._take(connection, data):
                continue
            now_s = time.perf_counter()
            self._outcome.latencies_s.append(now_s - connection.since_s)
            connection.is_waiting = False
            if is_timed:
                done += 1
            elif connection.number < len(connection.requests) and now_s < self._end_s:
                self._send(connection, now_s)
            else:
                done += 1
        return done

    def _take(self, connection: _Connection, data: bytes) -> bool:
        """Add a piece of an answer; True when it is whole."""
        buffer = connection.buffer
        buffer += data
        if connection.left < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = _LENGTH.search(buffer, 0, end + 2)
            if length is None:
                raise WrongAnswers(f"an answer without a length: {bytes(buffer[:200])!r}")
            connection.left = end + 4 + int(length[1])
        if len(buffer) < connection.left:
            return False
        code = bytes(buffer[9:12])
        said = _SAID.findall(buffer, 0, 4096) if code == b"200" else []
        self._outcome.said["http " + code.decode() if code != b"200" else _meaning(said)] += 1
        self._outcome.size_bytes += len(buffer)
        buffer.clear()
        connection.left = -1
        return True


def _meaning(said: list[bytes]) -> str:
    """The reason of a refusal, else the status, else that it was a good answer."""
    return next((each.decode() for each in said if each != b"error"), "200")


def post(path: str, body: str, host: str = "127.0.0.1") -> bytes:
    """A POST of a form as the scanner app sends it."""
    encoded = body.encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: okhttp/3.10.0\r\nAccept-Encoding: gzip\r\n"
        f"Connection: Keep-Alive\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(encoded)}\r\n\r\n"
    ).encode() + encoded


def check(path: str, key: str, body: str, host: str = "127.0.0.1") -> bytes:
    """A POST of JSON as the pretixSCAN app sends it."""
    encoded = body.encode()
    return (
        f"POST {path} HTTP/1.1\r\nAuthorization: Device {key}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(encoded)}\r\nHost: {host}\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\n"
        "User-Agent: okhttp/4.9.3 eu.pretix.pretixscan.droid/3.3.4\r\n\r\n"
    ).encode() + encoded


def get(path: str, host: str = "127.0.0.1") -> bytes:
    """A GET as the scanner app sends it."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: okhttp/3.10.0\r\nAccept-Encoding: gzip\r\n"
        "Connection: Keep-Alive\r\n\r\n"
    ).encode()
