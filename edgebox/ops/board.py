"""What a Pi's firmware says of its power supply and its speed: its flags, from wherever they can be had.

First the kernel's file, which everybody may read; then `vcgencmd`, which needs the group video; then the voltage sensor
of a plain Linux kernel, which tells one flag of them. Other machines have none of it.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from enum import IntFlag
from glob import glob
from pathlib import Path

FILES = "/sys/devices/platform/soc*/soc*:firmware/get_throttled"
SENSORS = "/sys/class/hwmon/hwmon*"
COMMAND = ("vcgencmd", "get_throttled")
ANSWERS_WITHIN_S = 2.0
ASK_EVERY_S = 10.0
ASK_AGAIN_AFTER_FAILURE_S = 600.0
"""The command is a process of its own, which costs a Pi some ten milliseconds."""


class Flag(IntFlag):
    """As `vcgencmd get_throttled` has them: what is so now, and what was so at some time since the boot."""

    UNDER_VOLTAGE = 1 << 0
    FREQUENCY_CAPPED = 1 << 1
    THROTTLED = 1 << 2
    SOFT_TEMPERATURE_LIMIT = 1 << 3
    UNDER_VOLTAGE_BEFORE = 1 << 16
    FREQUENCY_CAPPED_BEFORE = 1 << 17
    THROTTLED_BEFORE = 1 << 18
    SOFT_TEMPERATURE_LIMIT_BEFORE = 1 << 19


SLOWED = Flag.FREQUENCY_CAPPED | Flag.THROTTLED | Flag.SOFT_TEMPERATURE_LIMIT
SLOWED_BEFORE = Flag.FREQUENCY_CAPPED_BEFORE | Flag.THROTTLED_BEFORE | Flag.SOFT_TEMPERATURE_LIMIT_BEFORE


class Board:
    """Asks for the flags. Thread-safe. The arguments are seams for tests."""

    def __init__(
        self,
        files: str = FILES,
        sensors: str = SENSORS,
        command: tuple[str, ...] = COMMAND,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._sensors = sensors
        self._command = command
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._said: int | None = None
        """What the command said last."""
        self._next_s = float("-inf")
        self._was_under_voltage = False

    def flags(self) -> int | None:
        """The flags now; None where nobody tells."""
        for path in glob(self._files):
            if (flags := _number(_text(path))) is not None:
                return flags
        if (flags := self._ask()) is not None:
            return flags
        return self._sensed()

    def _ask(self) -> int | None:
        with self._lock:
            if self._monotonic() >= self._next_s:
                self._said = _number(_output(self._command))
                wait_s = ASK_EVERY_S if self._said is not None else ASK_AGAIN_AFTER_FAILURE_S
                self._next_s = self._monotonic() + wait_s
            return self._said

    def _sensed(self) -> int | None:
        """The sensor tells of now alone; what it told before is remembered here."""
        for folder in glob(self._sensors):
            if (_text(f"{folder}/name") or "").strip() == "rpi_volt":
                alarm = _text(f"{folder}/in0_lcrit_alarm")
                if alarm is None:
                    return None
                is_now = alarm.strip() == "1"
                self._was_under_voltage |= is_now
                before = Flag.UNDER_VOLTAGE_BEFORE if self._was_under_voltage else 0
                return (Flag.UNDER_VOLTAGE if is_now else 0) | before
        return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text("ascii")
    except (OSError, ValueError):
        return None


def _output(command: tuple[str, ...]) -> str | None:
    """What a command printed; None where it is not there, fails or does not answer."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _number(text: str | None) -> int | None:
    """`50005` of the file, `throttled=0x50005` of the command: hexadecimal."""
    try:
        return int((text or "").strip().removeprefix("throttled="), 16)
    except ValueError:
        return None
