"""The processes under test, and what the system tells of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from tests.benchmark import venue
from tests.benchmark.load import Plan, Scanner, check, get, post
from tests.support.box import REPOSITORY, BoxProcess, free_port

UP_WITHIN_S = 30.0

CHECK = {
    "answers": [], "ignore_unpaid": False, "with_badge_data": False, "type": "ENTRY", "source_type": "barcode",
    "allowQuestions": True, "useOrderLocale": False, "nonce": None, "exchange_medium_type": None,
    "exchange_medium_identifier": None,
}  # fmt: skip
"""What the pretixSCAN app sends with each scan beside the ticket and the chosen lists."""

_opener = build_opener(ProxyHandler({}))


def http(port: int, path: str) -> bytes:
    """The body of a GET. Raises OSError."""
    with _opener.open(f"http://127.0.0.1:{port}{path}", timeout=UP_WITHIN_S) as answer:
        body: bytes = answer.read()
    return body


@contextmanager
def module(name: str, *arguments: str) -> Iterator[None]:
    """One of this package's modules as a process, for as long as the block lasts; its port is its first argument."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmark.{name}", *arguments],
        stdin=subprocess.DEVNULL, stdout=sys.stderr, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    try:
        wait_for_port(int(arguments[0]), process)
        yield
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"nothing listens on port {port}") from None
            time.sleep(0.02)


@contextmanager
def stack() -> Iterator[int]:
    """The do-nothing endpoint; gives its port."""
    port = free_port()
    with module("stack", str(port)):
        yield port


class Responder:
    """The prepared answers of `tests.benchmark.responder`, as an upstream that can come and go."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder

    @contextmanager
    def up(self, never: Sequence[str] = ()) -> Iterator[Responder]:
        """Serving, for as long as the block lasts; the names in `never` get no answer."""
        with module("responder", str(self.port), str(self._folder), *never):
            yield self

    def seen(self, name: str) -> tuple[int, float]:
        """How often a name was asked for, and when last (`time.monotonic()`)."""
        seen = json.loads(http(self.port, "/seen"))
        count, at_s = seen.get(name, (0, 0.0))
        return count, at_s


@dataclass(frozen=True)
class Box:
    """A running box and its scanners' keys."""

    process: BoxProcess
    keys: Sequence[str]

    @property
    def port(self) -> int:
        return self.process.port

    def redeem(self, key: str, secret: str, extra: str = "") -> bytes:
        return post(f"{venue.PATH}/redeem/?key={key}", f"secret={secret}&questions_supported=true{extra}")

    def check(self, key: str, secret: str) -> bytes:
        """A redeem in the other dialect; a new box's only list has the number 1."""
        asked = {"events_and_checkin_lists": {"evening": 1}, "ticketid": secret, **CHECK}
        return check("/proxyapi/v1/rpc/check/", key, json.dumps(asked))

    def get(self, key: str, verb: str, query: str = "") -> bytes:
        return get(f"{venue.PATH}/{verb}/?key={key}{query}")

    def redeems(self, scanners: int, secrets: Iterator[str] | Sequence[str], each: int) -> list[Scanner]:
        """Scanners that redeem so many tickets each, taken in turn."""
        source = iter(secrets)
        return [
            Scanner([self.redeem(self.keys[n % len(self.keys)], next(source)) for _ in range(each)])
            for n in range(scanners)
        ]

    def plan(self, scanners: Sequence[Scanner], seconds: float = float("inf")) -> Plan:
        return Plan(self.port, scanners, seconds)

    def rss_mb(self) -> float:
        """Resident memory now."""
        return self._status_kb("VmRSS") / 1024

    def peak_rss_mb(self) -> float:
        """Resident memory at its highest since `forget_peak`."""
        return self._status_kb("VmHWM") / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def written_mb(self) -> float:
        """What it has caused to be sent to the disk since it was started."""
        lines = Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["write_bytes"]) / 1e6

    def cpu_s(self) -> float:
        """Seconds that a core has worked for it."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def _status_kb(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise KeyError(name)


@contextmanager
def box(built: venue.Built, *, env: dict[str, str] | None = None, **config: object) -> Iterator[Box]:
    """A box on a data directory for as long as the block lasts; it must not have logged an error by then."""
    process = BoxProcess(built.data_dir, {"log_level": "warning", **config}, env, "bench/evening")
    try:
        process.start()
        yield Box(process, built.keys)
        problems = [line for line in process.output.splitlines() if " ERROR " in line or "Traceback" in line]
        assert not problems, f"the box logged errors: {problems[:5]}"
    finally:
        process.kill()


def wait_for(what: str, condition: Callable[[], bool], within_s: float, every_s: float = 0.05) -> float:
    """Poll; returns `time.monotonic()` of when it was seen. Raises AssertionError."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)
    return time.monotonic()
