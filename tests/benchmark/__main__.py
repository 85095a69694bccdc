"""`python -P -m tests.benchmark [--quick|--full] [--json FILE] [SECTION...]`; `scripts/bench` does the set-up first."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmark import evening, limits, peer, redeeming, sizes, slow_disk, under_sync, wear
from tests.benchmark.bench import SIZES, Bench
from tests.benchmark.load import Generators
from tests.benchmark.report import Report

SECTIONS: dict[str, Callable[[Bench], None]] = {
    "stack": limits.limits,
    "redeem": redeeming.redeem,
    "dialects": redeeming.dialects,
    "slow-disk": slow_disk.slow_disk,
    "under-sync": under_sync.under_sync,
    "sizes": sizes.sizes,
    "growth": redeeming.growth,
    "wear": wear.wear,
    "evening": evening.evening,
    "peer": peer.peer,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the box; see tests/benchmark.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", const="quick", dest="size", help="under three minutes in all")
    size.add_argument("--full", action="store_const", const="full", dest="size", help="an evening of ten minutes")
    size.add_argument("--size", choices=sorted(SIZES), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; else all of them")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}")
    report = Report(arguments.size or "default")
    with tempfile.TemporaryDirectory(prefix="edgebox-bench-") as folder:
        bench = Bench(SIZES[report.size], Path(folder), report, Generators())
        try:
            for name in arguments.sections or SECTIONS:
                _run(bench, name)
        finally:
            bench.generators.close()
    print(f"\n{report.table()}")
    if arguments.json:
        report.write(arguments.json, machine())
    return 0


def _run(bench: Bench, name: str) -> None:
    began_s = time.monotonic()
    bench.report.section = name
    print(f"{name}", flush=True)
    SECTIONS[name](bench)
    print(f"  ({time.monotonic() - began_s:.0f} s)", flush=True)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


if __name__ == "__main__":
    sys.exit(main())
