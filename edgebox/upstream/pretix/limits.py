"""How often pretix may be asked: the hosted service counts, and any server may ask for a pause.

The hosted service lets a device make 360 requests a minute and answers the next one 429; one's own server has no limit
unless its organizer set one, which a 429 tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from edgebox.upstream import Unreachable

REQUESTS_A_MINUTE = 360
BURST = 20
"""So many requests may go at once after a quiet time; those, and what is let through after them, stay within a minute's
limit together."""
SPARE = 10
"""Requests that went evenly may arrive closer together: the network holds some of them up."""
INTERVAL_S = 60.0 / (REQUESTS_A_MINUTE - BURST - SPARE)

PAUSE_S = 60.0
"""After a 429 that does not say how long."""


def is_hosted(url: str) -> bool:
    """Whether this is the hosted service."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return host == "pretix.eu" or host.endswith(".pretix.eu")


class Limits:
    """Of one connection: all of its requests pass here. Thread-safe.

    Who comes first goes first; a push waits for no more than the few requests before it. `monotonic` and `sleep` are
    seams for tests; `sleep` returns True when it was woken because everything ends.
    """

    def __init__(
        self,
        *,
        is_limited: bool,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._ended = threading.Event()
        self._sleep = sleep or self._ended.wait
        self._lock = threading.Lock()
        self._is_limited = is_limited
        self._next_s = float("-inf")
        """When the next request would be due if all went evenly."""
        self._paused_until_s = float("-inf")

    @property
    def is_limited(self) -> bool:
        """Whether upstream counts requests; from its first 429 on, any one does."""
        return self._is_limited

    def take_turn(self) -> None:
        """Wait until one more request may go. Raises Unreachable, at once, while upstream wants a pause."""
        with self._lock:
            self._require_no_pause()
            wait_s = 0.0
            if self._is_limited:
                now_s = self._monotonic()
                self._next_s = max(self._next_s, now_s - (BURST - 1) * INTERVAL_S) + INTERVAL_S
                wait_s = self._next_s - INTERVAL_S - now_s
        if wait_s > 0:
            self.rest(wait_s)
            with self._lock:  # a 429 may have come meanwhile
                self._require_no_pause()

    def pause(self, for_s: float | None) -> float:
        """Upstream wants no request for so long. Tells how long that is."""
        with self._lock:
            self._is_limited = True
            for_s = PAUSE_S if for_s is None else for_s
            self._paused_until_s = max(self._paused_until_s, self._monotonic() + for_s)
            return for_s

    def rest(self, for_s: float) -> None:
        """Sleep, unless everything ends: then Unreachable."""
        if self._sleep(for_s):
            raise Unreachable("the box gives up its connections")

    def end(self) -> None:
        """Wake whoever waits."""
        self._ended.set()

    def _require_no_pause(self) -> None:
        left_s = self._paused_until_s - self._monotonic()
        if left_s > 0:
            raise too_many(left_s)


def too_many(retry_after_s: float) -> Unreachable:
    """What a 429 says."""
    return Unreachable(
        "pretix asks for fewer requests", "the box comes back by itself", retry_after_s=max(retry_after_s, 0.1)
    )
