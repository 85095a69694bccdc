"""What time it is on a simulated evening, and what the machine's clock makes of it."""

from __future__ import annotations

from datetime import UTC, datetime

from edgebox.clock import Clock

START = datetime(2026, 11, 24, 18, 0, 0, 250_000, tzinfo=UTC).timestamp()


class Time:
    """What time it is, and what the machine's clock makes of it."""

    def __init__(self, *, error_s: float, is_synchronised: bool) -> None:
        self.now_s = START
        self.error_s = error_s
        self.is_synchronised = is_synchronised
        self.boots = 0
        self._booted_s = START - 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def pass_(self, seconds: float) -> None:
        self.now_s += seconds

    def wall(self) -> float:
        return max(1000.0, self.now_s + self.error_s)

    def boottime(self) -> float:
        return self.now_s - self._booted_s

    def monotonic(self) -> float:
        return self.now_s - START + 1000.0

    def sleep(self, seconds: float) -> bool:
        self.pass_(seconds)
        return False

    def boot(self, error_s: float) -> None:
        self.boots += 1
        self._booted_s = self.now_s
        self.error_s, self.is_synchronised = error_s, False

    def clock(self) -> Clock:
        return Clock(
            wall=self.wall,
            boottime=self.boottime,
            boot_id=f"boot {self.boots}",
            system_synchronised=lambda: self.is_synchronised,
        )
