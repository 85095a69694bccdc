"""Under sync: redeem while a pull is applied, while check-ins are pushed, and while phones fetch the download."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from edgebox.store.db import DATABASE_NAME
from tests.benchmark import limits, servers
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Scanner
from tests.benchmark.redeeming import Fresh

SCANNERS = 8
PHONES = 30
"""That fetch the download every 30 s: one a second."""
SLICE_S = 0.5
AT_MOST_S = 120.0


def under_sync(bench: Bench) -> None:
    """4: 8 scanners beside each kind of sync, against the same when it is quiet."""
    _pulling(bench)
    _pushing(bench)
    _fetching(bench)


def asked(box: servers.Box, sql: str) -> int:
    """One number from the box's database, read beside it."""
    path = box.process.data_dir / DATABASE_NAME
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        number: int = connection.execute(sql).fetchone()[0]
    return number


def pulls(box: servers.Box) -> int:
    """How many whole snapshots the box has taken in."""
    return asked(box, "SELECT coalesce(sum(count), 0) FROM sync_run WHERE verb = 'pull' AND is_ok")


def _while(tickets: Fresh, goes_on: Callable[[], bool]) -> Outcome:
    """Redeem for as long as something goes on."""
    outcome = Outcome()
    while goes_on():
        outcome += tickets.load(SCANNERS, SLICE_S)
        if outcome.seconds > AT_MOST_S:
            raise AssertionError(f"what should end by itself has not ended after {AT_MOST_S:g} s")
    return outcome


def _pulling(bench: Bench) -> None:
    report, size = bench.report, bench.size
    have, told = size.tickets * 2, size.tickets * 3
    built = bench.built(have)
    upstream = servers.Responder(bench.upstream(told), bench.upstream_port)
    with servers.box(built, backoff_max_s=1) as box:
        tickets = Fresh(bench, box, have)
        quiet = tickets.load(SCANNERS, size.seconds)
        with upstream.up(never=("redeem",)):
            servers.wait_for("the box asks for the download", lambda: upstream.seen("download")[0] > 0, 30)
            during = _while(tickets, lambda: not asked(box, "SELECT told FROM source"))
            assert asked(box, "SELECT count(*) FROM ticket") == told
            box.process.kill()
    bench.used_up(built)
    new = told - have
    report.tell("p99 when quiet, 8 scanners", quiet.p_ms(99), "ms", limits.percentiles(quiet))
    note = f"{limits.percentiles(during)}; {during.count} scans in {during.seconds:.1f} s"
    report.at_most(f"p99 during a pull with {new:,} new tickets", during.p_ms(99), "ms", 25, note)
    report.at_most("p99 during the pull / when quiet", during.p_ms(99) / quiet.p_ms(99), "", 2.5)


def _pushing(bench: Bench) -> None:
    report, size = bench.report, bench.size
    built = bench.built(size.tickets, pending=size.push)
    upstream = servers.Responder(bench.upstream(100), bench.upstream_port)
    with servers.box(built, backoff_max_s=1) as box:
        tickets = Fresh(bench, box, size.tickets - size.push)
        quiet = tickets.load(SCANNERS, size.seconds / 2)
        with upstream.up(never=("download",)):
            servers.wait_for("the box pushes", lambda: upstream.seen("redeem")[0] > 0, 30)
            waiting = f"SELECT count(*) FROM checkin WHERE state = 'pending' AND id <= {size.push}"
            during = _while(tickets, lambda: asked(box, waiting) > 0)
            box.process.kill()
    bench.used_up(built)
    report.tell("p99 when quiet, 8 scanners", quiet.p_ms(99), "ms", limits.percentiles(quiet))
    note = f"{limits.percentiles(during)}; {size.push / during.seconds:.0f} pushed a second beside {during.per_s:.0f}/s"
    report.tell(f"p99 during a push of {size.push:,}", during.p_ms(99), "ms", note)
    report.tell("p99 during the push / when quiet", during.p_ms(99) / quiet.p_ms(99), "")


def _fetching(bench: Bench) -> None:
    report, size = bench.report, bench.size
    built = bench.built(size.tickets)
    seconds = size.seconds * 3
    with servers.box(built) as box:
        tickets = Fresh(bench, box, size.tickets)
        quiet = tickets.load(SCANNERS, size.seconds / 2)
        fetch = box.get(box.keys[0], "download")
        phones = [Scanner([fetch], [float(second)]) for second in range(max(1, int(seconds)))]
        fetching = bench.generators.start(box.plan(phones))
        during = tickets.load(SCANNERS, seconds)
        fetched = fetching.result()
        assert set(fetched.said) == {"200"}, fetched.said
    bench.used_up(built)
    note = (
        f"{limits.percentiles(during)}; {fetched.count} downloads of {fetched.size_bytes / fetched.count / 1e6:.2g} MB"
    )
    report.tell(f"p99 while {PHONES} phones fetch the download every 30 s", during.p_ms(99), "ms", note)
    report.tell("p99 while they fetch / when quiet", during.p_ms(99) / quiet.p_ms(99), "")
