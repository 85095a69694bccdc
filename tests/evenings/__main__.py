"""`python -m tests.evenings SEED --dialect pretix`: one evening again; `--count N`: so many from that seed on."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.evenings.plan import DIALECTS, STEPS_WITH_A_PROCESS, make
from tests.evenings.running import Failure, outcome, outcome_with_a_process, shortened


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.evenings", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--dialect", choices=DIALECTS, default=DIALECTS[0])
    parser.add_argument("--count", type=int, default=1, help="so many evenings, from this seed on")
    parser.add_argument("--whole", action="store_true", help="show a failure with all of its steps")
    parser.add_argument("--process", action="store_true", help="with a real box, whose moments are never the same")
    asked = parser.parse_args()
    logging.disable()  # what the box thinks of it all
    began_s = time.monotonic()
    for seed in range(asked.seed, asked.seed + asked.count):
        failure = with_a_process(asked.dialect, seed) if asked.process else outcome(make(asked.dialect, seed))
        if failure is not None:
            print(failure if asked.whole or asked.process else shortened(failure))
            return 1
    print(f"{asked.count} evenings, {(time.monotonic() - began_s) / asked.count:.3f} s each: every rule holds")
    return 0


def with_a_process(dialect: str, seed: int) -> Failure | None:
    with tempfile.TemporaryDirectory(prefix="evening-") as home:
        return outcome_with_a_process(make(dialect, seed, STEPS_WITH_A_PROCESS), Path(home) / "data")


if __name__ == "__main__":
    sys.exit(main())
