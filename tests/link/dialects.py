"""Both kinds of ticket servers, and a box's way to one of them with something on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.link import faults, old_pretix, todays_pretix
from tests.link.road import Certificates, Obstacle, Road
from tests.link.venue import HASTY_S, PATIENT_S, run

AS_LONG = 4
"""Requests in a row that a longer fault lies on."""
NOW_AND_THEN = 3
"""Every third request is hit by one that comes and goes."""


@dataclass(frozen=True)
class Dialect:
    """`requests`: how many an evening takes on which nothing happens. `flagged`: what staff are told even then."""

    name: str
    evening: Any
    prepare: Callable[[Path, str, Any], None]
    requests: int
    flagged: Mapping[str, str]
    faults: Mapping[str, Obstacle]

    def hits(self, at: int) -> dict[str, frozenset[int]]:
        """The ways in which a fault may lie on the road from request `at` on."""
        return {
            "once": frozenset({at}),
            "for a while": frozenset(range(at, at + AS_LONG)),
            "now and then": frozenset(range(at, at + AS_LONG * NOW_AND_THEN, NOW_AND_THEN)),
        }


OLD = Dialect(
    "old-pretix",
    old_pretix.OldEvening,
    old_pretix.prepare,
    9,
    {"secret of cem": "already_redeemed"},
    {**faults.FAULTS, **faults.OLD_PRETIX},
)
NEW = Dialect(
    "todays-pretix",
    todays_pretix.NewEvening,
    todays_pretix.prepare,
    27,
    {"secret3": "already_redeemed"},
    {**faults.FAULTS, **faults.TODAYS_PRETIX},
)
DIALECTS = (OLD, NEW)


@dataclass(frozen=True)
class Came:
    """What an evening took: requests, how many of them were hit, seconds, and megabytes at its worst."""

    requests: int
    hit: int
    took_s: float
    peak_mb: float


@dataclass
class Yard:
    """Where evenings begin: each on a copy of a box that was set up once."""

    directory: Path
    certificates: Callable[[], Certificates]
    _prepared: dict[tuple[str, str], Path] = field(default_factory=dict)
    _count: int = 0

    def spend(self, dialect: Dialect, obstacle: Obstacle | None, hits: frozenset[int] = frozenset()) -> Came:
        """An evening with this on the road. Raises AssertionError where something was lost, came twice, or is odd."""
        has_tls = obstacle is not None and obstacle.tls is not None
        patience_s = HASTY_S if obstacle is not None and obstacle.is_slow else PATIENT_S
        prepared = self._ready(dialect, "https" if has_tls else "http")
        self._count += 1
        evening = dialect.evening(prepared, self.directory / f"evening-{self._count}", patience_s=patience_s)
        try:
            with Road(evening.server, self.certificates() if has_tls else None).leads_there() as road:
                began_s, before_mb = time.monotonic(), _forget_peak()
                asked = run(evening, road, obstacle, hits)
                evening.check(dialect.flagged)
                return Came(asked, road.was_hit, time.monotonic() - began_s, _peak_mb() - before_mb)
        finally:
            evening.close()

    def _ready(self, dialect: Dialect, scheme: str) -> Path:
        ready = self._prepared.get((dialect.name, scheme))
        if ready is None:
            ready = self._prepared[dialect.name, scheme] = self.directory / f"{dialect.name}-{scheme}"
            ready.mkdir()
            server = dialect.evening.new_server()
            with Road(server, self.certificates() if scheme == "https" else None).leads_there():
                dialect.prepare(ready, scheme, server)
        return ready


def _forget_peak() -> float:
    """Megabytes in use now, which are the most from now on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak_mb() -> float:
    return _status("VmHWM")


def _status(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024
