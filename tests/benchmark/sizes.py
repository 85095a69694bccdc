"""Search, status, download, pull and start, at the sizes of small and large events."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmark import servers, venue
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Scanner
from tests.benchmark.under_sync import asked, pulls

SEARCH_TARGETS_MS = {100_000: 15.0, 1_000_000: 40.0}
TARGETS_AT = 100_000
PULL_WITHIN_S = 600.0
READY_DOWNLOADS = 20


def sizes(bench: Bench) -> None:
    """5: what grows with the number of tickets."""
    for tickets in bench.size.sizes:
        _reads(bench, tickets)
    for tickets in bench.size.pulls:
        _pull(bench, tickets)


def _reads(bench: Bench, tickets: int) -> None:
    report = bench.report
    built = bench.built(tickets)
    of = f"{tickets:,} tickets"
    began_s = time.monotonic()
    with servers.box(built) as box:
        start_s = time.monotonic() - began_s
        if tickets == TARGETS_AT:
            report.at_most(f"start to first answer, {of}", start_s, "s", 1.5)
        else:
            report.tell(f"start to first answer, {of}", start_s, "s")
        _search(bench, box, tickets)
        same = _one_by_one(bench, box, [box.get(box.keys[0], "status")] * 20)
        report.tell(f"status when nothing changed, {of}", same.p_ms(50), "ms")
        report.tell(f"status after a check-in, {of}", _status_after_checkins(box), "ms", "median")
        _download(bench, box, tickets)
    bench.used_up(built)
    bench.forget_templates()


def _one_by_one(bench: Bench, box: servers.Box, requests: list[bytes]) -> Outcome:
    return bench.generators.run(box.plan([Scanner(requests)]), "200", "ok")


def _search(bench: Bench, box: servers.Box, tickets: int) -> None:
    asks = [
        box.get(box.keys[0], "search", f"&query={_quoted(q)}") for q in venue.searches(bench.size.searches, tickets)
    ]
    _one_by_one(bench, box, asks[:10])
    outcome = _one_by_one(bench, box, asks)
    note = f"p50 {outcome.p_ms(50):.2g} ms, max {outcome.p_ms(100):.3g} ms, one at a time"
    name = f"search p99, {tickets:,} tickets"
    if tickets in SEARCH_TARGETS_MS:
        bench.report.at_most(name, outcome.p_ms(99), "ms", SEARCH_TARGETS_MS[tickets], note)
    else:
        bench.report.tell(name, outcome.p_ms(99), "ms", note)


Ask = Callable[..., tuple[bytes, http.client.HTTPResponse]]
"""Method, verb and form; gives body and answer."""


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _status_after_checkins(box: servers.Box) -> float:
    """Milliseconds that `status/` takes when the counts have just changed, the median of a few."""
    took_s = []
    with _client(box) as ask:
        for number in range(5):
            ask("POST", "redeem", f"secret={venue.secret(number)}")
            began_s = time.perf_counter()
            ask("GET", "status")
            took_s.append(time.perf_counter() - began_s)
    return sorted(took_s)[2] * 1000


@contextmanager
def _client(box: servers.Box) -> Iterator[Ask]:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=60)

    def ask(method: str, verb: str, body: str | None = None) -> tuple[bytes, http.client.HTTPResponse]:
        headers = {"Accept-Encoding": "gzip"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"{venue.PATH}/{verb}/?key={box.keys[0]}", body, headers)
        answer = connection.getresponse()
        read = answer.read()
        assert answer.status == 200, f"{verb}: {answer.status}"
        return read, answer

    try:
        yield ask
    finally:
        connection.close()


def _download(bench: Bench, box: servers.Box, tickets: int) -> None:
    report, of = bench.report, f"{tickets:,} tickets"
    with _client(box) as ask:
        began_s = time.perf_counter()
        body, _ = ask("GET", "download")
        first_s = time.perf_counter() - began_s
    report.tell(f"first download, {of}", first_s, "s", f"{len(body) / 1e6:.2g} MB compressed")
    before_s = box.cpu_s()
    ready = _one_by_one(bench, box, [box.get(box.keys[0], "download")] * READY_DOWNLOADS)
    work_ms = (box.cpu_s() - before_s) / READY_DOWNLOADS * 1000
    report.tell(f"ready download, {of}", ready.p_ms(50), "ms")
    if tickets == TARGETS_AT:
        report.at_most(f"server work for a ready download, {of}", work_ms, "ms", 20, "processor time")
    else:
        report.tell(f"server work for a ready download, {of}", work_ms, "ms", "processor time")
    with _client(box) as ask:
        ask("POST", "redeem", f"secret={venue.secret(7)}")
        began_s = time.perf_counter()
        _, answer = ask("GET", "download")
        report.tell(
            f"download after a check-in, {of}", (time.perf_counter() - began_s) * 1000, "ms",
            f"Age {answer.getheader('Age', '0')}",
        )  # fmt: skip


def _pull(bench: Bench, tickets: int) -> None:
    """A first pull into an empty box, and one when nothing changed."""
    report, of = bench.report, f"{tickets:,} tickets"
    built = bench.built(0)
    upstream = servers.Responder(bench.upstream(tickets), bench.upstream_port)
    with servers.box(built, backoff_max_s=1) as box:
        box.process.run("status")  # loads what a first action loads
        for which, is_first in (("first pull", True), ("pull when nothing changed", False)):
            before_mb, written_mb = box.rss_mb(), box.written_mb()
            box.forget_peak()
            with upstream.up():
                took_s = _pulled(box, upstream, pulls(box), is_first)
            assert asked(box, "SELECT count(*) FROM ticket") == tickets
            rise_mb, written_mb = box.peak_rss_mb() - before_mb, box.written_mb() - written_mb
            name = f"{which}, {of}"
            if tickets == TARGETS_AT and is_first:
                report.at_most(f"{name}: from received bytes to served", took_s, "s", 6)
            else:
                report.tell(f"{name}: time", took_s, "s")
            if tickets == TARGETS_AT:
                report.at_most(f"{name}: memory at its peak above before", rise_mb, "MB", 40)
            else:
                report.tell(f"{name}: memory at its peak above before", rise_mb, "MB")
            if is_first:
                report.tell(f"{name}: written to the disk", written_mb, "MB")
            else:
                report.at_most(f"{name}: written to the disk", written_mb, "MB", 1)
        if tickets == TARGETS_AT:
            report.at_most(f"resident memory after a pull, {of}", box.rss_mb(), "MB", 120)
        else:
            report.tell(f"resident memory after a pull, {of}", box.rss_mb(), "MB")
    bench.used_up(built)


def _pulled(box: servers.Box, upstream: servers.Responder, before: int, is_first: bool) -> float:
    """Seconds from when the box asked for the download until it serves what that told."""
    if not is_first:
        # Its schedule would rest; whoever asks for it by hand waits for the end.
        box.process.run("sync", timeout_s=PULL_WITHIN_S)
    at_s = servers.wait_for("the snapshot is taken in", lambda: pulls(box) > before, PULL_WITHIN_S)
    asked_at_s = upstream.seen("download")[1]
    if is_first:
        return at_s - asked_at_s
    path = "SELECT cast(1000 * duration_s AS INTEGER) FROM sync_run WHERE verb = 'pull' ORDER BY id DESC LIMIT 1"
    return asked(box, path) / 1000
