"""What the box has written to the card: by scans, by their pushes, and while nothing happens.

As the kernel counts it for the process (`write_bytes` of /proc/PID/io). What the file system and the card itself make
of that is more, and nobody here can see it.
"""

from __future__ import annotations

import time

from tests.benchmark import servers, venue
from tests.benchmark.bench import Bench
from tests.benchmark.load import Scanner
from tests.benchmark.under_sync import asked

SCANNERS = 8
SCANS_PER_S = 20
TICKETS = 20_000
IDLE_TICKETS = 1_000
"""So that the next snapshot comes soon; one that changes nothing writes the same however many tickets it has."""
PER_HOUR = {"pulls": 3600 / 300, "seconds": 3600.0}
"""At the default settings: a snapshot every five minutes."""
POLL_EVERY_S = 10.0
"""A watchdog and Prometheus ask the idle box this often."""
WITHIN_S = 300.0


def wear(bench: Bench) -> None:
    """Bytes a thousand scans, at the pace of a door; and an idle hour, from its parts."""
    scans(bench)
    idle(bench)


def scans(bench: Bench) -> None:
    """A thousand scans of eight scanners that come one after the other: hardly any two share a commit."""
    size, report = bench.size, bench.report
    count = size.wear_scans
    built = bench.built(TICKETS)
    upstream = servers.Responder(bench.upstream(TICKETS), bench.upstream_port)
    with servers.box(built, pull_interval_s=86_400, backoff_max_s=1) as box:
        before = box.written_mb()
        bench.generators.run(box.plan(_spread(box, 0, count)), "ok")
        offline = box.written_mb() - before
        with upstream.up():
            servers.wait_for("all is pushed", lambda: _pending(box) == 0, WITHIN_S)
            servers.wait_for("and its pull is over", lambda: upstream.seen("download")[0] > 0, WITHIN_S)
            before = box.written_mb()
            bench.generators.run(box.plan(_spread(box, count, count)), "ok")
            servers.wait_for("all is pushed", lambda: _pending(box) == 0, WITHIN_S)
            online = box.written_mb() - before
    bench.used_up(built)
    note = f"{count:,} scans, {SCANS_PER_S} a second"
    report.tell("written for 1,000 scans, offline", offline * 1000 / count, "MB", note)
    report.tell("written for 1,000 scans and their pushes", online * 1000 / count, "MB", note)


def idle(bench: Bench) -> None:
    """What an hour is made of in which nobody scans: a snapshot now and then that changes nothing, and being asked."""
    size, report = bench.size, bench.report
    built = bench.built(IDLE_TICKETS)
    upstream = servers.Responder(bench.upstream(IDLE_TICKETS), bench.upstream_port)
    with upstream.up():
        with servers.box(built, pull_interval_s=1) as box:
            servers.wait_for("the first pulls are over", lambda: upstream.seen("download")[0] >= 2, WITHIN_S)
            pulls, before = upstream.seen("download")[0], box.written_mb()
            servers.wait_for("enough pulls", lambda: upstream.seen("download")[0] >= pulls + size.wear_pulls, WITHIN_S)
            a_pull = (box.written_mb() - before) / (upstream.seen("download")[0] - pulls)
        with servers.box(built, pull_interval_s=86_400) as box:
            servers.wait_for("it has pulled once more", lambda: _last_pull_is_over(box), WITHIN_S)
            before, began_s = box.written_mb(), time.monotonic()
            while time.monotonic() - began_s < size.wear_idle_s:
                servers.http(box.port, "/healthz")
                servers.http(box.port, "/metrics")
                time.sleep(min(POLL_EVERY_S, size.wear_idle_s / 4))
            a_second = (box.written_mb() - before) / (time.monotonic() - began_s)
    bench.used_up(built)
    hour = a_pull * PER_HOUR["pulls"] + a_second * PER_HOUR["seconds"]
    report.tell("written by a snapshot that changes nothing", a_pull * 1000, "KB", f"mean of {size.wear_pulls}")
    report.tell("written while idle, without those", a_second * 3600, "MB/h", f"watched for {size.wear_idle_s:g} s")
    report.at_most("written in an idle hour", hour, "MB", 1.0, "12 snapshots, and the rest as it was watched")


def _spread(box: servers.Box, first: int, count: int) -> list[Scanner]:
    """So many tickets, one after the other, by all scanners in turn."""
    return [
        Scanner(
            [box.redeem(box.keys[number], venue.secret(first + turn)) for turn in range(number, count, SCANNERS)],
            [turn / SCANS_PER_S for turn in range(number, count, SCANNERS)],
        )
        for number in range(SCANNERS)
    ]


def _pending(box: servers.Box) -> int:
    return asked(box, "SELECT count(*) FROM checkin WHERE state = 'pending'")


def _last_pull_is_over(box: servers.Box) -> bool:
    """Nothing was written for a second."""
    before = box.written_mb()
    time.sleep(1.0)
    return box.written_mb() == before
