"""What all sections share: how large and how long, the databases, the load generators, the report."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark import venue
from tests.benchmark.load import Generators
from tests.benchmark.report import Report
from tests.support.box import free_port

DEVICES = 128


@dataclass(frozen=True)
class Size:
    """How large and how long things are in a run."""

    name: str
    seconds: float
    """Of one load."""
    rounds: int
    """How often two things that are compared take turns."""
    tickets: int
    """In the box that is scanned at."""
    sizes: tuple[int, ...]
    """Tickets at which search, status and download are measured."""
    pulls: tuple[int, ...]
    """Tickets in the snapshots that are pulled."""
    push: int
    """Check-ins that wait while scanning goes on."""
    journal: int
    """Rows of the journal that has grown."""
    evening_tickets: int
    evening_pending: int
    evening_s: float
    searches: int
    pretix_orders: int
    wear_scans: int
    wear_pulls: int
    wear_idle_s: float


FULL = Size(
    "full", 4.0, 3, 100_000, (1_000, 100_000, 1_000_000), (10_000, 100_000, 500_000), 5_000, 1_000_000,
    250_000, 50_000, 600.0, 600, 20_000, 1_000, 30, 3_600.0,
)  # fmt: skip
SIZES = {
    "full": FULL,
    "default": Size(
        "default", 4.0, 2, 100_000, (1_000, 100_000, 1_000_000), (10_000, 100_000, 500_000), 5_000, 1_000_000,
        250_000, 50_000, 60.0, 400, 20_000, 1_000, 20, 120.0,
    ),
    "quick": Size(
        "quick", 1.0, 1, 20_000, (1_000, 20_000), (10_000,), 1_000, 50_000, 20_000, 2_000, 10.0, 100, 3_000,
        200, 5, 5.0,
    ),
    "tiny": Size("tiny", 0.2, 1, 10_000, (100,), (200,), 50, 100, 2_000, 50, 1.0, 10, 300, 20, 2, 1.0),
}  # fmt: skip
"""`tiny` is for the tests of the benchmark itself."""


@dataclass
class Bench:
    """One run."""

    size: Size
    folder: Path
    report: Report
    generators: Generators
    upstream_port: int = field(default_factory=free_port)
    """Where the boxes' upstream is, when there is one."""
    _templates: dict[tuple[int, int, int], venue.Built] = field(default_factory=dict)
    _count: int = 0

    def fresh(self, name: str) -> Path:
        """A folder that is not there yet."""
        self._count += 1
        return self.folder / f"{self._count:03d}-{name}"

    def built(self, tickets: int, *, journal: int = 0, pending: int = 0) -> venue.Built:
        """A data directory of its own with so many tickets and check-ins; made once and copied then."""
        key = (tickets, journal, pending)
        if key not in self._templates:
            self._templates[key] = venue.build(
                self.fresh("template"), tickets=tickets, devices=DEVICES, upstream_port=self.upstream_port,
                journal=journal, pending=pending,
            )  # fmt: skip
        template = self._templates[key]
        data_dir = self.fresh("box")
        shutil.copytree(template.data_dir, data_dir)
        return venue.Built(data_dir, template.keys)

    def used_up(self, built: venue.Built) -> None:
        """A data directory is done with; large ones would fill the disk."""
        shutil.rmtree(built.data_dir)

    def forget_templates(self) -> None:
        for template in self._templates.values():
            shutil.rmtree(template.data_dir)
        self._templates.clear()

    def upstream(self, tickets: int) -> Path:
        """A folder with the bodies of an upstream of so many tickets."""
        folder = self.folder / f"upstream-{tickets}"
        if not folder.exists():
            venue.write_upstream(folder, tickets)
        return folder
