"""What time it is, and whether that can be believed.

A Pi has no clock battery: after a power cut it wakes up with yesterday's time and keeps it until somebody tells it
better. Two sources can: the system (timesyncd or chrony), which is the better one, and the `Date` of an answer that was
recognised as upstream's. From the second the box keeps an offset for its own stamps; it never sets the system clock.

Wall time may jump; the seconds since boot never do. So each stamp carries both, and what was stamped before the clock
could be believed is corrected later by the seconds that lie between, as long as it is still the same boot.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

AGREEMENT_S: Final = 2.0
"""Two clocks that lie within this agree. An HTTP `Date` has whole seconds and its answer was a while on its way."""

LOOK_INTERVAL_S: Final = 5.0
"""How long "the system is not synchronised" is taken as still true before looking again."""

_PLAUSIBLE: Final = (datetime(2020, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD_MARK: Final = Path("/run/systemd/timesync/synchronized")


# --- what the system says ---------------------------------------------------------------------------------------------


def seconds_since_boot() -> float:
    """Seconds since boot, time asleep included; where the system has no such clock, one that never jumps either."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@cache
def read_boot_id(path: Path = _BOOT_ID_FILE) -> str:
    """The kernel's id of this boot; where it has none, an id of this process (then nothing outlives the process)."""
    try:
        return path.read_text(encoding="ascii").strip() or str(uuid4())
    except (OSError, UnicodeDecodeError):
        return str(uuid4())


def kernel_is_synchronised() -> bool:
    """Whether the kernel holds its clock for synchronised, as chrony, ntpd and timesyncd tell it.

    Read-only; False where the call is missing or denied (containers; a unit's ProtectClock= denies it too).
    """
    # adjtimex returns the state of the clock: 0 to 4 of a synchronised one, with its leap seconds; -1 is a failure.
    time_error = 5
    # An all-zero struct timex asks and sets nothing. It has 208 bytes at most; none of its fields is needed here, and
    # their layout differs between machines.
    timex = ctypes.create_string_buffer(512)
    try:
        state: int = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return False
    return 0 <= state < time_error


class SystemSynchronisation:
    """Whether the system clock was synchronised since boot. Cheap enough to be asked at each scan; thread-safe.

    A yes is kept: the kernel takes its own word back after hours without a time server, but in those hours even a poor
    crystal loses no more than a second or two. A no is kept for LOOK_INTERVAL_S.
    """

    def __init__(
        self,
        *,
        timesyncd_mark: Path = _TIMESYNCD_MARK,
        kernel: Callable[[], bool] = kernel_is_synchronised,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timesyncd_mark = timesyncd_mark
        self._kernel = kernel
        self._monotonic = monotonic
        self._is_synchronised = False
        self._next_look_s = float("-inf")
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        """True once timesyncd has left its mark in this boot, or the kernel has said so."""
        with self._lock:
            now_s = self._monotonic()
            if not self._is_synchronised and now_s >= self._next_look_s:
                self._is_synchronised = os.path.exists(self._timesyncd_mark) or self._kernel()
                self._next_look_s = now_s + LOOK_INTERVAL_S
            return self._is_synchronised


# --- what the box makes of it -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant as the box records it: enough to correct it later within the same boot."""

    at: datetime
    """Aware, UTC."""
    boot_id: str
    boottime_s: float
    is_trusted: bool


class _Anchor(NamedTuple):
    """What the time was (seconds since 1970) at one moment of this boot (seconds since boot)."""

    unix_s: float
    boottime_s: float

    def unix_s_at(self, boottime_s: float) -> float:
        return self.unix_s + (boottime_s - self.boottime_s)


class _Reading(NamedTuple):
    """The best answer to "what time is it" at one moment of this boot."""

    now: _Anchor
    is_trusted: bool


class Clock:
    """The box's clock. Thread-safe. The arguments are seams for tests; what they stand for by default is the system's.

    `wall`: seconds since 1970. `boottime`: seconds since boot, also the one to take for `trust_date`.
    `system_synchronised`: whether the wall clock was synchronised since boot.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        boottime: Callable[[], float] = seconds_since_boot,
        boot_id: str | None = None,
        system_synchronised: Callable[[], bool] | None = None,
    ) -> None:
        self.wall = wall
        self.boottime = boottime
        self.boot_id = read_boot_id() if boot_id is None else boot_id
        self.system_synchronised = SystemSynchronisation() if system_synchronised is None else system_synchronised
        # Both are replaced whole, under the lock; whoever only reads needs no lock.
        self._anchor: _Anchor | None = None
        self._last_known_s = float("-inf")
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time as well as it is known, aware and in UTC: the system's if that can be believed, else upstream's
        carried on, else whatever the wall clock says."""
        return _as_datetime(self._read().now.unix_s)

    def is_trusted(self) -> bool:
        """Whether `now` can be believed: the system is synchronised and not before the last time on record, or
        upstream told the time in the life of this clock."""
        return self._read().is_trusted

    def stamp(self) -> Stamp:
        """Now, with what is needed to correct it later."""
        now, is_trusted = self._read()
        return Stamp(_as_datetime(now.unix_s), self.boot_id, now.boottime_s, is_trusted)

    def corrected(self, boot_id: str, boottime_s: float) -> datetime | None:
        """What the time really was at that moment of this boot; None for another boot and while there is no trust."""
        now, is_trusted = self._read()
        if boot_id != self.boot_id or not is_trusted:
            return None
        return _as_datetime(now.unix_s_at(boottime_s))

    def note_recorded(self, instant: datetime) -> None:
        """Hand in a time on record: the system's word is not taken for a clock that lies before it.

        Only a time that was trusted when it was recorded proves anything: a wrong clock may have run ahead. Raises
        ValueError for a naive datetime.
        """
        if instant.utcoffset() is None:
            raise ValueError("an instant needs an offset from UTC")
        with self._lock:
            self._last_known_s = max(self._last_known_s, instant.timestamp())

    def trust_date(self, server_date: datetime, sent_boottime: float, received_boottime: float) -> bool:
        """Take the `Date` of an answer recognised as upstream's; True when this made the clock trusted.

        The two moments are `boottime()` right before the request and right after the answer's head; the date is taken
        for the middle between them (an error of at most half the exchange, and of the second that `Date` cuts off).
        Where the wall clock agrees, its finer value is kept instead. A later date moves what is held only if it
        contradicts it by more than AGREEMENT_S and half of its own exchange: so a slow answer never spoils what a quick
        one told. Without effect while the system's own word is good, and for dates outside of 2020 to 2099.

        A naive date is UTC, as HTTP has it. Raises ValueError when the answer came before its request.
        """
        if received_boottime < sent_boottime:
            raise ValueError("the answer was received before its request was sent")
        if server_date.utcoffset() is None:
            server_date = server_date.replace(tzinfo=UTC)
        earliest_s, end_s = _PLAUSIBLE
        told = _Anchor(server_date.timestamp(), (sent_boottime + received_boottime) / 2)
        if not earliest_s <= told.unix_s < end_s:
            return False
        slack_s = AGREEMENT_S + (received_boottime - sent_boottime) / 2
        # One lock around look and change: of several answers at once exactly one makes the transition.
        with self._lock:
            wall = _Anchor(self.wall(), self.boottime())
            held = self._anchor
            if self._system_is_believed(wall.unix_s):
                return False
            if held is not None and abs(held.unix_s_at(told.boottime_s) - told.unix_s) <= slack_s:
                return False
            wall_agrees = abs(wall.unix_s_at(told.boottime_s) - told.unix_s) <= AGREEMENT_S
            self._anchor = wall if wall_agrees else told
            return held is None

    def _read(self) -> _Reading:
        wall = _Anchor(self.wall(), self.boottime())
        if self._system_is_believed(wall.unix_s):
            return _Reading(wall, is_trusted=True)
        anchor = self._anchor
        if anchor is None:
            return _Reading(wall, is_trusted=False)
        return _Reading(_Anchor(anchor.unix_s_at(wall.boottime_s), wall.boottime_s), is_trusted=True)

    def _system_is_believed(self, wall_s: float) -> bool:
        # A stamp on record may be ahead of a good clock by as much as an anchor may be: this is no contradiction yet.
        return wall_s >= self._last_known_s - AGREEMENT_S and self.system_synchronised()


def _as_datetime(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
