"""An evening in a process of its own, whose disk is recorded: `python -m tests.store.power_evening DATA_DIR SCANS`.

What it asks and what it is answered it writes into the file `marks`, whose writes are recorded with all others: so at
each of them it is known what had been answered by then. It ends as a box does that loses its power. Without scans it
is a start and no more.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from edgebox.store import Store, checkpoints, copying
from tests.store.venue import LET_IN, Venue, many

MARKS = "marks"
GATES = 4
TICKETS = 150


def hurry() -> None:
    """Little is a lot, so that a short evening has all that a long one has."""
    checkpoints.GROWN_BYTES = 30 * 4120
    checkpoints.LONG_BYTES = 60 * 4120
    checkpoints.IDLE_BYTES = 4120
    checkpoints.IDLE_AFTER_S = 0.05
    checkpoints.LOOK_EVERY_S = 0.002
    copying.STEP_PAGES = 16
    copying.LONGEST_REST_S = 0.001


class Evening:
    def __init__(self, data_dir: Path, scans: int) -> None:
        self._marks = os.open(data_dir / MARKS, os.O_WRONLY | os.O_CREAT, 0o600)
        self._scans = scans
        self._nonces = count()
        self.venue = Venue(data_dir)
        self.mark("ready", "list and device")

    def mark(self, what: str, which: str) -> None:
        os.write(self._marks, f"{json.dumps([what, which])}\n".encode())

    def scan(self, secret: str) -> None:
        nonce = f"{secret}-{next(self._nonces)}"
        self.mark("asked", nonce)
        reason = self.venue.scan(secret, nonce=nonce)
        self.mark("refused" if reason is not LET_IN else "ok", nonce)

    def gate(self, secrets: Iterator[str]) -> threading.Thread:
        def work() -> None:
            for secret in secrets:
                self.scan(secret)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def hour(self, first: int) -> None:
        """All gates at once, one ticket at all of them, and beside them a push, a pull and a copy."""
        each = self._scans // GATES
        gates = [
            self.gate(iter([f"s{first + gate * each + number:04d}" for number in range(each)] + [f"s{first:04d}"]))
            for gate in range(GATES)
        ]
        self.venue.take_in(many(TICKETS + self._scans * 2 + first))
        self.venue.store.copies.make(self.venue.now, keep=2)
        for checkin in self.venue.pending()[: self._scans // 2]:
            self.venue.store.journal.settle(checkin, self.venue.now)
            self.mark("settled", checkin.nonce)
        for gate in gates:
            gate.join()


def main(data_dir: Path, scans: int) -> None:
    hurry()
    if not scans:
        Store(data_dir)
        os._exit(0)
    evening = Evening(data_dir, scans)
    evening.venue.take_in(many(TICKETS + scans))
    evening.hour(0)
    # The last one out moves the log into the database and removes it.
    evening.venue.close()
    again = Evening(data_dir, scans)
    again._nonces = count(100_000)
    again.hour(scans)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
