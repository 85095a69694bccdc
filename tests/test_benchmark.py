"""The benchmark itself: that it runs from end to end, and that it would not take an error for a success."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmark import __main__ as benchmark
from tests.benchmark.load import Plan, Scanner, WrongAnswers, get, require, run
from tests.benchmark.slow_disk import can_compile
from tests.support.box import REPOSITORY

WITHIN_S = 120.0
OK = b'{"status": "ok"}'
REFUSED = b'{"status": "error", "reason": "unknown_ticket"}'


@contextmanager
def server(*answers: tuple[str, bytes, float]) -> Iterator[int]:
    """One connection, answered so: status line, body, and how long that takes in seconds."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for status, body, wait_s in answers:
                if not connection.recv(65536):
                    return
                threading.Event().wait(wait_s)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            connection.recv(65536)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(WITHIN_S)
        listener.close()


def scanner(count: int, due_s: list[float] | None = None) -> list[Scanner]:
    return [Scanner([get("/status/")] * count, due_s)]


def test_what_was_answered_is_counted_by_what_it_says() -> None:
    with server(("200 OK", OK, 0), ("200 OK", REFUSED, 0), ("503 Busy", OK, 0), ("200 OK", b"[]", 0)) as port:
        outcome = run(Plan(port, scanner(4)))
    assert outcome.said == {"ok": 1, "unknown_ticket": 1, "http 503": 1, "200": 1}
    assert outcome.count == 4


def test_an_error_is_no_success() -> None:
    with server(("200 OK", OK, 0), ("503 Busy", OK, 0)) as port:
        outcome = run(Plan(port, scanner(2)))
    with pytest.raises(WrongAnswers, match="http 503"):
        require(outcome, "ok")


def test_a_connection_that_is_closed_is_no_success() -> None:
    with server(("200 OK", OK, 0)) as port, pytest.raises(WrongAnswers, match="closed"):
        run(Plan(port, scanner(3)))


def test_nothing_at_all_is_no_success() -> None:
    with pytest.raises(WrongAnswers):
        require(run(Plan(1, [])), "ok")


def test_latency_counts_from_when_a_scan_was_due() -> None:
    """The second one waits for the answer to the first: that it could not even be sent is no excuse."""
    with server(("200 OK", OK, 0.3), ("200 OK", OK, 0)) as port:
        outcome = run(Plan(port, scanner(2, [0.0, 0.1])))
    assert min(outcome.latencies_s) >= 0.15


def test_it_runs_from_end_to_end(tmp_path: Path) -> None:
    sections = ["stack", "slow-disk", "sizes"]
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.benchmark", "--size", "tiny", "--json", str(told), *sections],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(told.read_text("utf-8"))
    measured = {figure["section"] for figure in report["figures"] if figure["value"] > 0}
    assert measured | report["skipped"].keys() == set(sections)
    assert report["skipped"].keys() == (set() if can_compile() else {"slow-disk"})
    assert all(figure["name"] in done.stdout for figure in report["figures"] if figure["target"])
    assert not list(tmp_path.glob("edgebox-bench-*")), "it leaves nothing behind"


def test_an_unknown_section_is_an_error_that_names_the_others() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.benchmark", "nowhere"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert all(name in done.stderr for name in benchmark.SECTIONS)


def test_the_script_names_every_section() -> None:
    help_text = (REPOSITORY / "scripts" / "bench").read_text("utf-8")
    assert f"only these: {' '.join(benchmark.SECTIONS)}" in help_text
