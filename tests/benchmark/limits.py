"""Limit of the stack and of the disk, and whether the load generator reaches well past them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from tests.benchmark import servers, venue
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Plan, Scanner, post

SCANNERS = 32
MAX_PER_S = 20_000
"""Requests are made beforehand: more than this nobody answers."""


def limits(bench: Bench) -> None:
    """1: what Flask under waitress does when it does nothing, and how often a second SQLite can commit."""
    responder = servers.Responder(bench.upstream(100))
    with responder.up():
        trivial = load(bench, responder.port, SCANNERS)
    with servers.stack() as port:
        limit = load(bench, port, SCANNERS)
    bench.report.tell("load generator against a trivial responder", trivial.per_s, "requests/s")
    bench.report.tell("do-nothing endpoint, 32 scanners", limit.per_s, "requests/s", percentiles(limit))
    bench.report.at_least("load generator / do-nothing endpoint", trivial.per_s / limit.per_s, "", 2.0)
    per_s, median_ms = commits(bench.fresh("disk"), bench.size.seconds)
    bench.report.tell("durable commits of SQLite alone", per_s, "commits/s", f"median {median_ms:.2g} ms")


def load(bench: Bench, port: int, scanners: int, first: int = 0) -> Outcome:
    """The redeem load against something that is no box."""
    seconds = bench.size.seconds
    requests = [
        post(f"{venue.PATH}/redeem/?key=key00000", f"secret={venue.secret(first + n)}&questions_supported=true")
        for n in range(1_000)
    ]
    each = requests * (1 + int(seconds * MAX_PER_S) // (1_000 * scanners))
    return bench.generators.run(Plan(port, [Scanner(each)] * scanners, seconds), "ok")


def percentiles(outcome: Outcome) -> str:
    return f"p50 {outcome.p_ms(50):.3g} ms, p99 {outcome.p_ms(99):.3g} ms, p99.9 {outcome.p_ms(99.9):.3g} ms"


def commits(folder: Path, seconds: float) -> tuple[float, float]:
    """Commits a second of one small row each, as durable as the box's; and the median of one, in milliseconds."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "alone.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE line (text TEXT)")
    took_s = []
    end_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < end_s:
        connection.execute("INSERT INTO line VALUES ('x')")
        took_s.append(time.perf_counter() - began_s)
    connection.close()
    return len(took_s) / seconds, sorted(took_s)[len(took_s) // 2] * 1000
