"""Slow disk: every fsync delayed as a poor SD card would, by a library that is preloaded into the box."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from edgebox.store.db import DATABASE_NAME
from tests.benchmark import limits, servers
from tests.benchmark.bench import Bench
from tests.benchmark.redeeming import Fresh
from tests.support.disk import compile_library, compiler

SCANNERS = 32
WATCH_EVERY_S = 0.02


@dataclass(frozen=True)
class SlowSync:
    """The compiled library, and the file in which it counts."""

    library: Path
    counted: Path

    @classmethod
    def compile(cls, folder: Path) -> SlowSync:
        folder.mkdir()
        library, counted = folder / "slowsync.so", folder / "count"
        source = Path(__file__).with_name("slowsync.c")
        compile_library(source, library)
        counted.write_bytes(bytes(8))
        return cls(library, counted)

    def env(self, delay_ms: int = 0, stall_every_s: int = 0, stall_ms: int = 0) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "BENCH_SYNC_COUNT": str(self.counted),
            "BENCH_SYNC_DELAY_MS": str(delay_ms),
            "BENCH_STALL_EVERY_S": str(stall_every_s),
            "BENCH_STALL_MS": str(stall_ms),
        }

    def count(self) -> int:
        number: int = struct.unpack("=Q", self.counted.read_bytes())[0]
        return number


def can_compile() -> bool:
    return compiler() != ""


class WalWatch:
    """The largest size that the write-ahead log came to."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / f"{DATABASE_NAME}-wal"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.largest_mb = 0.0

    def __enter__(self) -> WalWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_EVERY_S):
            self.largest_mb = max(self.largest_mb, self._path.stat().st_size / 1e6)


def slow_disk(bench: Bench) -> None:
    """3: redeem with every fsync delayed by 5 and by 20 ms; how many redeems share one, and how large the log grows."""
    report, size = bench.report, bench.size
    if not can_compile():
        report.skip("there is no C compiler (Debian: apt-get install gcc libc6-dev)")
        return
    shim = SlowSync.compile(bench.fresh("slowsync"))
    for delay_ms in (5, 20):
        built = bench.built(size.tickets)
        with servers.box(built, env=shim.env(delay_ms)) as box, WalWatch(built.data_dir) as wal:
            tickets = Fresh(bench, box, size.tickets)
            before = shim.count()
            outcome = tickets.load(SCANNERS, size.seconds * 2)
            syncs = shim.count() - before
        bench.used_up(built)
        assert syncs, "the library that delays fsync was not used"
        name = f"{delay_ms} ms, {SCANNERS} scanners"
        report.tell(f"throughput, {name}", outcome.per_s, "/s", limits.percentiles(outcome))
        if delay_ms == 20:
            report.at_least(f"redeems a fsync, {name}", outcome.count / syncs, "", 12)
            report.at_most(f"p99, {name}", outcome.p_ms(99), "ms", 80)
            report.at_most(f"largest WAL, {name}", wal.largest_mb, "MB", 64, f"{outcome.count} redeems")
        else:
            report.tell(f"redeems a fsync, {name}", outcome.count / syncs, "")
            report.tell(f"largest WAL, {name}", wal.largest_mb, "MB", f"{outcome.count} redeems")
