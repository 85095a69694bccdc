"""What a Pi's firmware tells, from the recorded output of the real tools: no Pi is at hand where this runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebox.ops.board import ASK_AGAIN_AFTER_FAILURE_S, ASK_EVERY_S, Board, Flag
from edgebox.ops.health import look

# Of a Pi 5 with a weak supply under load, and right after: under-voltage and throttled now; then only before.
WEAK_NOW = "throttled=0x50005\n"
WEAK_BEFORE = "throttled=0x50000\n"
WELL = "throttled=0x0\n"
# Of a Pi 3 that reached its soft limit of 60 degrees: now; then only before, and it was capped.
WARM_NOW = "throttled=0x80008\n"
WARM_BEFORE = "throttled=0xe0000\n"
# Of a user who is not in the group video, and of a kernel that is not the Pi's own.
NOT_ALLOWED = "VCHI initialization failed\n"
NO_DEVICE = "Can't open device file: /dev/vcio\nTry creating a device file with: sudo mknod /dev/vcio c 100 0\n"


class Pi:
    """A machine with the files and the command that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 1000.0
        self.board = Board(
            str(folder / "soc*/soc*:firmware/get_throttled"),
            str(folder / "hwmon/hwmon*"),
            (str(folder / "vcgencmd"), "get_throttled"),
            lambda: self.now_s,
        )

    def has_file(self, text: str, soc: str = "soc") -> None:
        firmware = self.folder / soc / f"{soc}:firmware"
        firmware.mkdir(parents=True, exist_ok=True)
        (firmware / "get_throttled").write_text(text)

    def has_command(self, output: str, status: int = 0) -> None:
        (self.folder / "output").write_text(output)
        command = self.folder / "vcgencmd"
        command.write_text(f'#!/bin/sh\n[ "$*" = get_throttled ] || exit 9\necho >> "{self.folder}/asked"\n'
                           f'cat "{self.folder}/output"\nexit {status}\n')  # fmt: skip
        command.chmod(0o755)

    def has_sensor(self, name: str, alarm: str) -> None:
        hwmon = self.folder / "hwmon" / "hwmon1"
        hwmon.mkdir(parents=True, exist_ok=True)
        (hwmon / "name").write_text(name)
        (hwmon / "in0_lcrit_alarm").write_text(alarm)

    @property
    def asked(self) -> int:
        """How often the command was run."""
        path = self.folder / "asked"
        return path.read_text().count("\n") if path.exists() else 0

    def told(self) -> tuple[bool | None, ...]:
        """Too little voltage, and slowed down: each now, and since the boot."""
        health = look(self.folder, 0.0, self.board)
        return (
            health.under_voltage_now,
            health.under_voltage_since_boot,
            health.is_slowed_now,
            health.was_slowed_since_boot,
        )


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (WELL, (False, False, False, False)),
        (WEAK_NOW, (True, True, True, True)),
        (WEAK_BEFORE, (False, True, False, True)),
        (WARM_NOW, (False, False, True, True)),
        (WARM_BEFORE, (False, False, False, True)),
    ],
)
def test_the_command_s_word(pi: Pi, output: str, told: tuple[bool, ...]) -> None:
    pi.has_command(output)
    assert pi.told() == told


@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])
def test_the_kernel_s_file_comes_first_and_asks_no_process(pi: Pi, soc: str) -> None:
    pi.has_file("50005\n", soc)
    pi.has_command(WELL)
    assert pi.told() == (True, True, True, True)
    assert pi.asked == 0


@pytest.mark.parametrize(("output", "status"), [(NOT_ALLOWED, 255), (NO_DEVICE, 255), ("error=1", 0), ("", 0)])
def test_a_command_that_cannot_tell_is_asked_again_much_later(pi: Pi, output: str, status: int) -> None:
    pi.has_command(output, status)
    assert pi.told() == (None, None, None, None)
    pi.now_s += ASK_EVERY_S
    pi.has_command(WELL)
    assert pi.told() == (None, None, None, None)
    assert pi.asked == 1
    pi.now_s += ASK_AGAIN_AFTER_FAILURE_S
    assert pi.told() == (False, False, False, False)


def test_the_command_is_not_run_for_each_look(pi: Pi) -> None:
    pi.has_command(WELL)
    for _ in range(5):
        pi.told()
    assert pi.asked == 1
    pi.has_command(WEAK_NOW)
    pi.now_s += ASK_EVERY_S
    assert pi.told() == (True, True, True, True)
    assert pi.asked == 2


def test_a_plain_kernel_has_a_sensor_that_tells_of_now(pi: Pi) -> None:
    pi.has_sensor("rpi_volt\n", "0\n")
    assert pi.board.flags() == 0
    pi.has_sensor("rpi_volt\n", "1\n")
    assert pi.board.flags() == Flag.UNDER_VOLTAGE | Flag.UNDER_VOLTAGE_BEFORE
    pi.has_sensor("rpi_volt\n", "0\n")
    assert pi.board.flags() == Flag.UNDER_VOLTAGE_BEFORE
    pi.has_sensor("nvme\n", "1\n")
    assert pi.board.flags() is None


def test_other_machines_tell_nothing(pi: Pi) -> None:
    assert pi.told() == (None, None, None, None)
