"""Letting people try passwords: slowly where somebody guesses, never so many at once that the gates would feel it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FREE_TRIES = 3
MAX_DELAY_S = 30.0
FORGET_AFTER_S = 900.0
"""Who has not failed for so long begins anew."""
MAX_REMEMBERED = 10_000
IN_LINE = 4
"""Checks that wait or run. A password check costs a Pi half a second on purpose: one runs at a time, and a flood of
them holds no more threads than this."""


class Later(Exception):
    """Not now. `wait_s`: seconds until the next try; None where so many log in that nobody can say."""

    def __init__(self, wait_s: float | None) -> None:
        super().__init__("try again later")
        self.wait_s = wait_s


class Guard:
    """Delays guessing, each guesser for himself: nobody is ever locked out. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}
        self._line = threading.BoundedSemaphore(IN_LINE)
        self._checking = threading.Lock()

    def attempt(self, who: str, check: Callable[[], bool]) -> bool:
        """What `check` says of a password or code that `who` has typed. Raises Later, and then nothing was checked."""
        if (wait_s := self._wait_s(who)) > 0:
            raise Later(wait_s)
        if not self._line.acquire(blocking=False):
            raise Later(None)
        try:
            with self._checking:
                # While it stood in line, others of the same guesser may have failed.
                if (wait_s := self._wait_s(who)) > 0:
                    raise Later(wait_s)
                is_right = check()
                self._note(who, is_right)
                return is_right
        finally:
            self._line.release()

    def _wait_s(self, who: str) -> float:
        with self._lock:
            failures, last_s = self._failures.get(who, (0, 0.0))
        if failures < FREE_TRIES:
            return 0.0
        doubled = min(failures - FREE_TRIES, 10)
        return max(0.0, last_s + min(2.0**doubled, MAX_DELAY_S) - self._monotonic())

    def _note(self, who: str, is_right: bool) -> None:
        now_s = self._monotonic()
        with self._lock:
            failures, last_s = self._failures.pop(who, (0, now_s))
            if is_right:
                return
            self._failures[who] = (1 if now_s - last_s > FORGET_AFTER_S else failures + 1, now_s)
            while len(self._failures) > MAX_REMEMBERED:
                del self._failures[next(iter(self._failures))]
