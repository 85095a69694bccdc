"""Who scans how much right now: kept in memory, for the warnings that a scanner fell silent or the rate dropped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

BUSY_SCANS = 5
BUSY_WITHIN_S = 600.0
"""A device that made this many scans within this time was scanning."""
SILENT_AFTER_S = 300.0
FORGOTTEN_AFTER_S = 3600.0
"""A device that has been silent for so long was put away: nobody needs to be warned any more."""
RECENT_S = 120.0
BEFORE_S = 600.0
MIN_RATE_PER_MIN = 10.0
DROPPED_TO = 0.25
"""Fewer scans in the last two minutes than a quarter of what the ten minutes before would let expect."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A device that was scanning and is not any more."""

    name: str
    silent_for_s: float


@dataclass(frozen=True, slots=True)
class Activity:
    """What the last minutes look like."""

    silent: tuple[Silent, ...]
    has_dropped: bool
    per_minute: float
    """Scans a minute, over the last two."""


class ActivityMeter:
    """Counts scans. Thread-safe, and cheap enough for each of them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._scans: deque[float] = deque()
        """All of the last twelve minutes."""
        self._latest: dict[str, deque[float]] = {}
        """The last few of each device."""

    def scanned(self, device_name: str) -> None:
        """A device made a scan, whatever came of it."""
        now_s = self._monotonic()
        with self._lock:
            self._scans.append(now_s)
            while self._scans[0] < now_s - RECENT_S - BEFORE_S:
                self._scans.popleft()
            self._latest.setdefault(device_name, deque(maxlen=BUSY_SCANS)).append(now_s)

    def forget(self, device_name: str) -> None:
        """The device is no longer in use."""
        with self._lock:
            self._latest.pop(device_name, None)

    def look(self) -> Activity:
        """What there is to warn of. When everybody is silent, the doors are closed and nothing is wrong."""
        now_s = self._monotonic()
        with self._lock:
            scans = list(self._scans)
            latest = {name: tuple(times) for name, times in self._latest.items()}
        recent = sum(at_s > now_s - RECENT_S for at_s in scans)
        before = sum(now_s - RECENT_S - BEFORE_S < at_s <= now_s - RECENT_S for at_s in scans)
        silent = tuple(
            Silent(name, now_s - times[-1])
            for name, times in sorted(latest.items())
            if recent and SILENT_AFTER_S < now_s - times[-1] <= FORGOTTEN_AFTER_S and _was_busy(times)
        )
        are_doors_open = bool(scans) and scans[-1] > now_s - SILENT_AFTER_S
        was_much = before / (BEFORE_S / 60) >= MIN_RATE_PER_MIN
        is_little = recent < DROPPED_TO * before * RECENT_S / BEFORE_S
        return Activity(silent, are_doors_open and was_much and is_little, recent / (RECENT_S / 60))


def _was_busy(times: tuple[float, ...]) -> bool:
    return len(times) == BUSY_SCANS and times[-1] - times[0] < BUSY_WITHIN_S
