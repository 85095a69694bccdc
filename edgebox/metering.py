"""What the box tells Prometheus beside its scans: how lists and machine are, right now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from edgebox import __version__
from edgebox.box import Box
from edgebox.ops.metrics import Gauge
from edgebox.store.db import DATABASE_NAME
from edgebox.sync import UpstreamState


def measure(box: Box) -> Iterator[Gauge]:
    """All gauges. Cheap: nothing that grows with the tickets is counted."""
    yield Gauge("info", "The version that runs", {__version__: 1}, label="version")
    yield from _of_lists(box)
    yield from _of_the_machine(box)


def _of_lists(box: Box) -> Iterator[Gauge]:
    lists = box.store.lists.all()
    now = box.clock.now()
    backlogs = {str(list_.id): box.store.journal.backlog(list_.id) for list_ in lists}
    states = {str(list_.id): box.sync.report(list_.id).state for list_ in lists if list_.has_upstream}

    def ages(instants: Mapping[str, datetime | None]) -> dict[str, float]:
        return {key: max(0.0, (now - at).total_seconds()) for key, at in instants.items() if at is not None}

    yield Gauge("lists", "Check-in lists on the box", len(lists))
    yield Gauge("pending_checkins", "Check-ins that the ticket server does not have yet",
                {key: backlog.pending for key, backlog in backlogs.items()})  # fmt: skip
    yield Gauge("oldest_pending_age_seconds", "How long the oldest of them has waited",
                ages({key: backlog.oldest_pending_at for key, backlog in backlogs.items()}))  # fmt: skip
    yield Gauge("open_conflicts", "Conflicts and parked check-ins that nobody has closed",
                {key: backlog.conflicts for key, backlog in backlogs.items()})  # fmt: skip
    yield Gauge("upstream_online", "1 while the ticket server answers",
                {key: state is UpstreamState.ONLINE for key, state in states.items()})  # fmt: skip
    yield Gauge("last_pull_age_seconds", "Since the tickets were last taken in, or found unchanged",
                ages({str(list_.id): list_.source.last_pull for list_ in lists}))  # fmt: skip
    yield Gauge("last_push_age_seconds", "Since the ticket server last took a check-in",
                ages({str(list_.id): list_.last_push for list_ in lists}))  # fmt: skip
    yield Gauge("purge_overdue", "1 while names and codes should be gone and something keeps them",
                {str(list_.id): box.purging.hindrance(list_) is not None for list_ in lists})  # fmt: skip


def _of_the_machine(box: Box) -> Iterator[Gauge]:
    health = box.health()
    yield Gauge("clock_trusted", "1 while the box knows what time it is", box.clock.is_trusted())
    yield Gauge("writable", "0 after a write to the database that failed, until one succeeds", box.store.is_writable)
    yield Gauge("scans_per_minute", "Over the last two minutes", box.meter.look().per_minute)
    yield Gauge("disk_free_bytes", "What the box may write", health.disk_free_bytes)
    yield Gauge("disk_bytes", "The whole disk", health.disk_total_bytes)
    yield Gauge("database_bytes", "The database, and its write-ahead log", _sizes(box.config.data_dir), label="file")
    yield Gauge("written_bytes", "What the box has had written to the disk since its start", _written_bytes())
    yield Gauge("memory_available_bytes", "Of the machine", health.memory_available_bytes)
    yield Gauge("own_memory_bytes", "Resident memory of the box", health.own_memory_bytes)
    yield Gauge("load_1min", "Processes that want a core", health.load_1min)
    yield Gauge("temperature_celsius", "Of the processor", health.temperature_c)
    yield Gauge("under_voltage", "1 while the power supply is too weak", health.under_voltage_now)
    yield Gauge("slowed_down", "1 while heat or a weak supply slows the processor down", health.is_slowed_now)
    yield Gauge("uptime_seconds", "Of the box", health.uptime_s)


def _sizes(data_dir: Path) -> dict[str, float]:
    files = {"database": DATABASE_NAME, "log": f"{DATABASE_NAME}-wal"}
    return {what: (data_dir / name).stat().st_size for what, name in files.items() if (data_dir / name).exists()}


def _written_bytes() -> int | None:
    """The kernel's own count for this process."""
    try:
        lines = Path("/proc/self/io").read_text("ascii").splitlines()
        return int(dict(line.split(": ") for line in lines)["write_bytes"])
    except (OSError, ValueError, KeyError):
        return None
