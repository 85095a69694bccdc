"""The evening: a full stadium's peak three times over, with everything else that goes on beside it."""

from __future__ import annotations

from tests.benchmark import limits, servers, venue
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Scanner
from tests.benchmark.slow_disk import SlowSync, can_compile
from tests.benchmark.under_sync import asked

SCANNERS = 120
REDEEMS_PER_S = 100
STALL_EVERY_S = 30
STALL_MS = 400


def evening(bench: Bench) -> None:
    """7: open loop; a pull runs, check-ins wait for upload, the disk stalls; then all scanners reconnect at once."""
    report, size = bench.report, bench.size
    built = bench.built(size.evening_tickets, pending=size.evening_pending)
    env = {}
    if can_compile():
        env = SlowSync.compile(bench.fresh("slowsync")).env(0, STALL_EVERY_S, STALL_MS)
    else:
        report.tell("stalls of the disk", 0, "", "left out: there is no C compiler")
    upstream = servers.Responder(bench.upstream(size.evening_tickets), bench.upstream_port)
    with servers.box(built, env=env, backoff_max_s=1, pull_interval_s=1) as box, upstream.up():
        servers.wait_for("the box asks for the download", lambda: upstream.seen("download")[0] > 0, 30)
        scans = int(size.evening_s * REDEEMS_PER_S)
        outcome = bench.generators.run(box.plan(_spread(box, 0, scans, 1 / REDEEMS_PER_S)), "ok")
        back = bench.generators.run(box.plan(_spread(box, scans, SCANNERS, 1 / SCANNERS)), "ok")
        pulls = upstream.seen("download")[0]
        pushed = upstream.seen("redeem")[0]
        recorded = asked(box, "SELECT count(*) FROM checkin") - size.evening_pending
        box.process.kill()
    bench.used_up(built)
    bench.forget_templates()
    _report(bench, outcome, back, recorded)
    report.tell("beside it", pulls, "snapshots begun", f"{pushed:,} check-ins pushed")


def _spread(box: servers.Box, first: int, scans: int, every_s: float) -> list[Scanner]:
    """So many scans, one every `every_s` seconds, by all scanners in turn."""
    return [
        Scanner(
            [box.redeem(box.keys[number], venue.secret(first + turn)) for turn in range(number, scans, SCANNERS)],
            [turn * every_s for turn in range(number, scans, SCANNERS)],
        )
        for number in range(SCANNERS)
    ]


def _report(bench: Bench, outcome: Outcome, back: Outcome, recorded: int) -> None:
    report = bench.report
    due = int(bench.size.evening_s * REDEEMS_PER_S)
    answered = f"of {due:,}; {recorded:,} check-ins recorded in all"
    report.at_least("scans answered ok", outcome.count / due, "", 1.0, answered)
    assert recorded == due + SCANNERS, f"{due + SCANNERS} scans were answered ok, and {recorded} are in the journal"
    report.at_most("p50 from the due time", outcome.p_ms(50), "ms", 30)
    report.at_most("p99 from the due time", outcome.p_ms(99), "ms", 150, limits.percentiles(outcome))
    report.at_most("max from the due time", outcome.p_ms(100), "ms", 1000)
    report.at_most("max after all reconnected within a second", back.p_ms(100), "ms", 1000)
