"""Redeem: at the limit of the stack, when the journal has grown, and beside the peer."""

from __future__ import annotations

from tests.benchmark import limits, servers, venue
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Scanner

SCANNERS = (1, 8, 32, 128)
MAX_PER_S = 4_000
"""More than a box answers: requests are made beforehand."""


class Fresh:
    """A box's tickets that nobody has redeemed yet, in order."""

    def __init__(self, bench: Bench, box: servers.Box, tickets: int) -> None:
        self._bench = bench
        self._box = box
        self._tickets = tickets
        self._next = 0
        self.load(8, min(1.0, bench.size.seconds))  # to warm up

    def load(self, scanners: int, seconds: float, dialect: str = "pretixdroid") -> Outcome:
        """Redeem with so many scanners for so long; ends early when the tickets do."""
        ask = self._box.redeem if dialect == "pretixdroid" else self._box.check
        keys = self._box.keys
        each = min(int(seconds * MAX_PER_S / scanners), (self._tickets - self._next) // scanners)
        assert each > 0, "the tickets are all redeemed"
        planned = [
            Scanner(
                [
                    ask(keys[number % len(keys)], venue.secret(self._next + turn * scanners + number))
                    for turn in range(each)
                ]
            )
            for number in range(scanners)
        ]
        outcome = self._bench.generators.run(self._box.plan(planned, seconds), "ok", "VALID")
        self._next += outcome.farthest * scanners
        return outcome


def redeem(bench: Bench) -> None:
    """2: throughput and latency with 1, 8, 32 and 128 scanners, in turn with the do-nothing endpoint."""
    report, size = bench.report, bench.size
    for scanners in SCANNERS:
        built = bench.built(size.tickets)
        with servers.stack() as port, servers.box(built) as box:
            tickets = Fresh(bench, box, size.tickets)
            limit, fresh = Outcome(), Outcome()
            limits.load(bench, port, scanners)
            for _ in range(size.rounds):
                limit += limits.load(bench, port, scanners)
                fresh += tickets.load(scanners, size.seconds)
            repeated = _again(bench, box, scanners)
            unknown = _unknown(bench, box, scanners)
        bench.used_up(built)
        of = f"{scanners} scanner{'s' if scanners > 1 else ''}"
        report.tell(f"do-nothing, {of}", limit.per_s, "/s", limits.percentiles(limit))
        report.tell(f"fresh, {of}", fresh.per_s, "/s", limits.percentiles(fresh))
        report.tell(f"repeated, {of}", repeated.per_s, "/s", limits.percentiles(repeated))
        report.tell(f"unknown, {of}", unknown.per_s, "/s", limits.percentiles(unknown))
        ratio = fresh.per_s / limit.per_s
        tail = fresh.percentile_s(0.99) / limit.percentile_s(0.99)
        if scanners == 32:
            report.at_least("throughput / do-nothing, 32 scanners", ratio, "", 0.65)
        else:
            report.tell(f"throughput / do-nothing, {of}", ratio, "")
        if scanners == 8:
            report.at_most("p99 / do-nothing's p99, 8 scanners", tail, "", 2.0)
        else:
            report.tell(f"p99 / do-nothing's p99, {of}", tail, "")


def _again(bench: Bench, box: servers.Box, scanners: int) -> Outcome:
    """Redeem what is in already."""
    seconds = bench.size.seconds
    each = [box.redeem(box.keys[0], venue.secret(0))] * int(seconds * MAX_PER_S / scanners)
    return bench.generators.run(box.plan([Scanner(each)] * scanners, seconds), "already_redeemed")


def _unknown(bench: Bench, box: servers.Box, scanners: int) -> Outcome:
    seconds = bench.size.seconds
    count = int(seconds * MAX_PER_S / scanners)
    planned = box.redeems(scanners, (f"nobody{n}" for n in range(count * scanners)), count)
    return bench.generators.run(box.plan(planned, seconds), "unknown_ticket")


def dialects(bench: Bench) -> None:
    """A check of the pretixSCAN app against a redeem of the pretixdroid app, in turn."""
    size = bench.size
    built = bench.built(size.tickets)
    with servers.box(built) as box:
        tickets = Fresh(bench, box, size.tickets)
        redeemed, checked = Outcome(), Outcome()
        for _ in range(size.rounds + 1):
            redeemed += tickets.load(32, size.seconds)
            checked += tickets.load(32, size.seconds, "pretixscan")
    bench.used_up(built)
    bench.report.tell("redeem, 32 scanners", redeemed.per_s, "/s", limits.percentiles(redeemed))
    bench.report.tell("check, 32 scanners", checked.per_s, "/s", limits.percentiles(checked))
    bench.report.at_least("check / redeem, 32 scanners", checked.per_s / redeemed.per_s, "", 0.9)


def growth(bench: Bench) -> None:
    """6: redeem latency with an empty journal and with one that has grown, in turn."""
    size = bench.size
    tickets = size.journal + size.tickets
    empty, grown = bench.built(tickets), bench.built(tickets, journal=size.journal)
    before, after = Outcome(), Outcome()
    with servers.box(empty) as box_without, servers.box(grown) as box_with:
        without, with_ = Fresh(bench, box_without, tickets), Fresh(bench, box_with, tickets - size.journal)
        for _ in range(size.rounds):
            before += without.load(8, size.seconds / 2)
            after += with_.load(8, size.seconds / 2)
    bench.used_up(empty)
    bench.used_up(grown)
    bench.forget_templates()
    bench.report.tell("p50, empty journal, 8 scanners", before.p_ms(50), "ms", limits.percentiles(before))
    bench.report.tell(f"p50, {size.journal:,} rows", after.p_ms(50), "ms", limits.percentiles(after))
    bench.report.at_most("p50 with many rows / with none", after.p_ms(50) / before.p_ms(50), "", 1.2)
