"""The peer: the same redeem load on a real pretix 3.5.0, in turn on the same machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.benchmark import limits, servers
from tests.benchmark.bench import Bench
from tests.benchmark.load import Outcome, Plan, Scanner, post
from tests.benchmark.redeeming import Fresh
from tests.interop.legacy import SETUP_TIMEOUT_S, LegacyPretix

SCANNERS = 12
WARM_UP_S = 1.0


def peer(bench: Bench) -> None:
    """8: redeems of fresh tickets, A B A B, with 12 scanners and with one."""
    report, size = bench.report, bench.size
    directory = Path(os.environ.get("EDGEBOX_PRETIX_LEGACY", ""))
    if not (directory / "run.sh").exists():
        report.skip("there is no real pretix 3.5.0 (EDGEBOX_PRETIX_LEGACY names the folder whose run.sh starts one)")
        return
    data_dir = bench.fresh("pretix")
    _seed(directory, data_dir, size.pretix_orders)
    pretix = LegacyPretix(directory, data_dir).start()
    built = bench.built(size.tickets)
    try:
        with servers.box(built) as box:
            peers, tickets = Peer(bench, pretix), Fresh(bench, box, size.tickets)
            for scanners, throughput, median in ((SCANNERS, 25, 1 / 12), (1, None, 1 / 20)):
                theirs, ours = Outcome(), Outcome()
                for _ in range(2):
                    theirs += peers.load(scanners, size.seconds)
                    ours += tickets.load(scanners, size.seconds)
                of = f"{scanners} scanner{'s' if scanners > 1 else ''}"
                report.tell(f"pretix 3.5.0, {of}", theirs.per_s, "/s", limits.percentiles(theirs))
                report.tell(f"the box, {of}", ours.per_s, "/s", limits.percentiles(ours))
                if throughput is not None:
                    report.at_least(f"throughput / pretix's, {of}", ours.per_s / theirs.per_s, "", throughput)
                else:
                    report.tell(f"throughput / pretix's, {of}", ours.per_s / theirs.per_s, "")
                report.at_most(f"p50 / pretix's, {of}", ours.p_ms(50) / theirs.p_ms(50), "", median)
    finally:
        pretix.kill()
    bench.used_up(built)


def _seed(directory: Path, data_dir: Path, orders: int) -> None:
    subprocess.run([directory / "setup.sh"], check=True, timeout=SETUP_TIMEOUT_S, stdout=subprocess.DEVNULL)
    work = Path(os.environ.get("PRETIX_LEGACY_WORK") or Path.home() / ".cache" / "pretix-legacy")
    python = str(work / "venv" / "bin" / "python")
    command = [python, str(directory / "seed.py"), "--orders", str(orders), "--data", str(data_dir)]
    subprocess.run(command, check=True, timeout=SETUP_TIMEOUT_S, stdout=subprocess.DEVNULL)


class Peer:
    """pretix, with the tickets that nobody has redeemed there yet."""

    def __init__(self, bench: Bench, pretix: LegacyPretix) -> None:
        self._bench = bench
        self._pretix = pretix
        self._secrets: list[str] = [
            secret
            for (secret,) in pretix.rows(
                "SELECT p.secret FROM pretixbase_orderposition p JOIN pretixbase_order o ON o.id = p.order_id"
                " WHERE o.status = 'p' AND NOT p.canceled AND NOT EXISTS"
                "  (SELECT 1 FROM pretixbase_checkin c WHERE c.position_id = p.id) AND p.item_id = ? ORDER BY p.id",
                pretix.seed["items"]["Ticket"],
            )
        ]
        self.load(SCANNERS, WARM_UP_S)

    def load(self, scanners: int, seconds: float) -> Outcome:
        each = min(len(self._secrets) // scanners, int(500 * seconds))
        path = f"/pretixdroid/api/demoorga/democon/redeem/?key={self._pretix.key('full')}"
        planned = [
            Scanner([post(path, f"secret={secret}") for secret in self._secrets[number : each * scanners : scanners]])
            for number in range(scanners)
        ]
        outcome = self._bench.generators.run(Plan(self._pretix.port, planned, seconds), "ok")
        del self._secrets[: outcome.farthest * scanners]
        return outcome
