"""How the machine is: disk, memory, temperature, and the power supply where a Pi tells."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from edgebox.ops.board import SLOWED, SLOWED_BEFORE, Board, Flag

NEARLY_FULL_SHARE = 0.05
NEARLY_FULL_BYTES = (200_000_000, 1_000_000_000)
"""Less than a share of the disk is little; but never less than the first of these, and never more than the second."""
HOT_C = 80.0
"""From here on a Pi works more slowly."""
SENSORS = ("cpu_thermal", "coretemp", "k10temp")
"""What the processor's own sensor is called, on a Pi and on others; any other one will do where there is none."""
BOARD = Board()


@dataclass(frozen=True, slots=True)
class Health:
    """The machine at one moment. None where it does not tell."""

    disk_free_bytes: int
    """What the box may write; of a disk that does not answer, 0 of 0."""
    disk_total_bytes: int
    memory_available_bytes: int
    memory_total_bytes: int
    own_memory_bytes: int
    load_1min: float
    temperature_c: float | None
    under_voltage_now: bool | None
    under_voltage_since_boot: bool | None
    uptime_s: float
    """Of the box, not of the machine."""
    is_slowed_now: bool | None = None
    """By heat, or by a power supply that is too weak."""
    was_slowed_since_boot: bool | None = None

    @property
    def is_disk_nearly_full(self) -> bool:
        least, most = NEARLY_FULL_BYTES
        return self.disk_free_bytes < min(max(NEARLY_FULL_SHARE * self.disk_total_bytes, least), most)

    @property
    def is_hot(self) -> bool:
        return self.temperature_c is not None and self.temperature_c >= HOT_C


def look(data_dir: Path, started_s: float, board: Board = BOARD) -> Health:
    """Look at the machine; `started_s` is `time.monotonic()` of the box's start."""
    memory = psutil.virtual_memory()
    free_bytes, total_bytes = _disk(data_dir)
    flags = board.flags()

    def has(flag: int) -> bool | None:
        return None if flags is None else bool(flags & flag)

    return Health(
        disk_free_bytes=free_bytes,
        disk_total_bytes=total_bytes,
        memory_available_bytes=memory.available,
        memory_total_bytes=memory.total,
        own_memory_bytes=psutil.Process().memory_info().rss,
        load_1min=psutil.getloadavg()[0],
        temperature_c=_temperature_c(),
        under_voltage_now=has(Flag.UNDER_VOLTAGE),
        under_voltage_since_boot=has(Flag.UNDER_VOLTAGE_BEFORE),
        uptime_s=time.monotonic() - started_s,
        is_slowed_now=has(SLOWED),
        was_slowed_since_boot=has(SLOWED_BEFORE),
    )


def _disk(data_dir: Path) -> tuple[int, int]:
    try:
        disk = psutil.disk_usage(str(data_dir))
    except OSError:
        return 0, 0
    return disk.free, disk.total


def _temperature_c() -> float | None:
    found = psutil.sensors_temperatures()
    for name in (*SENSORS, *found):
        for sensor in found.get(name, ()):
            if sensor.current is not None:
                return float(sensor.current)
    return None
