"""How the machine is, also on machines that do not tell."""

from __future__ import annotations

import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgebox.ops import health as health_module
from edgebox.ops.board import Board
from edgebox.ops.health import Health, look

GB, MB = 10**9, 10**6
Sensor = namedtuple("Sensor", "label current high critical")


@pytest.fixture
def throttled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Pi's firmware tells; nothing is there yet."""
    path = tmp_path / "get_throttled"
    monkeypatch.setattr(health_module.look, "__defaults__", (Board(str(path), str(tmp_path / "none"), ("nobody",)),))
    return path


def sensors(monkeypatch: pytest.MonkeyPatch, **found: list[Any]) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found)


def test_a_machine_tells_what_it_has(tmp_path: Path, throttled: Path) -> None:
    health = look(tmp_path, time.monotonic() - 5)
    assert 0 < health.disk_free_bytes <= health.disk_total_bytes
    assert 0 < health.memory_available_bytes <= health.memory_total_bytes
    assert MB < health.own_memory_bytes < health.memory_total_bytes
    assert health.load_1min >= 0
    assert 5 <= health.uptime_s < 60


def test_a_machine_without_sensors_tells_nothing_of_them(
    tmp_path: Path, throttled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensors(monkeypatch)
    health = look(tmp_path, 0.0)
    assert health.temperature_c is None
    assert not health.is_hot
    assert (health.under_voltage_now, health.under_voltage_since_boot) == (None, None)


def test_the_processor_s_own_sensor_counts(tmp_path: Path, throttled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sensors(monkeypatch, nvme=[Sensor("", 85.0, None, None)], cpu_thermal=[Sensor("", 61.2, None, None)])
    assert look(tmp_path, 0.0).temperature_c == 61.2
    sensors(monkeypatch, acpitz=[Sensor("", None, None, None), Sensor("", 40.0, None, None)])
    assert look(tmp_path, 0.0).temperature_c == 40.0
    sensors(monkeypatch, cpu_thermal=[])
    assert look(tmp_path, 0.0).temperature_c is None


@pytest.mark.parametrize(("temperature_c", "is_hot"), [(None, False), (79.9, False), (80.0, True), (85.0, True)])
def test_from_80_degrees_on_it_is_hot(a_machine: Health, temperature_c: float | None, is_hot: bool) -> None:
    assert replace(a_machine, temperature_c=temperature_c).is_hot is is_hot


@pytest.mark.parametrize(
    ("text", "now", "since_boot"),
    [
        ("0\n", False, False),
        ("50005\n", True, True),
        ("50000\n", False, True),
        ("1", True, False),
        ("0x50005", True, True),
        ("e0008", False, False),
        ("", None, None),
        ("nonsense", None, None),
        ("\xff", None, None),
    ],
)
def test_a_pi_tells_of_its_power_supply(
    tmp_path: Path, throttled: Path, text: str, now: bool | None, since_boot: bool | None
) -> None:
    throttled.write_text(text, "latin-1")
    health = look(tmp_path, 0.0)
    assert (health.under_voltage_now, health.under_voltage_since_boot) == (now, since_boot)


@pytest.fixture
def a_machine(tmp_path: Path) -> Health:
    return look(tmp_path, 0.0)


@pytest.mark.parametrize(
    ("free_bytes", "total_bytes", "is_nearly_full"),
    [
        (199 * MB, 2 * GB, True),
        (201 * MB, 2 * GB, False),
        (390 * MB, 8 * GB, True),
        (410 * MB, 8 * GB, False),
        (990 * MB, 64 * GB, True),
        (1010 * MB, 64 * GB, False),
        (1010 * MB, 2000 * GB, False),
        (0, 0, True),
    ],
)
def test_a_disk_is_nearly_full_when_little_is_left_of_it(
    a_machine: Health, free_bytes: int, total_bytes: int, is_nearly_full: bool
) -> None:
    health = replace(a_machine, disk_free_bytes=free_bytes, disk_total_bytes=total_bytes)
    assert health.is_disk_nearly_full is is_nearly_full


def test_a_disk_that_does_not_answer_is_no_reason_to_say_nothing(tmp_path: Path, throttled: Path) -> None:
    health = look(tmp_path / "gone", 0.0)
    assert (health.disk_free_bytes, health.disk_total_bytes, health.is_disk_nearly_full) == (0, 0, True)
    assert health.memory_total_bytes > 0
