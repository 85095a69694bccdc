"""What the box knows of its connection to one list's upstream, and when it may try again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from edgebox.upstream import Closed, NotUpstream, Unreachable, UpstreamError

ONLINE_FOR_S = 120.0
"""An answer older than this no longer says that upstream is there."""
CLOSED_RETRY_S = 300.0
"""Between two probes of a list that upstream refuses."""
BACKOFF_START_S = 1.0


class UpstreamState(StrEnum):
    """A list's state, in the words that staff read."""

    ONLINE = "online"
    UNREACHABLE = "unreachable"
    NOT_UPSTREAM = "not upstream"
    REFUSED = "refused"
    PAUSED = "paused"
    FILE = "file"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class LinkReport:
    """A list's state with the story behind it."""

    state: UpstreamState
    since: datetime | None
    """When the state became this one; None for what has not changed since the start."""
    detail: str
    """What went wrong last, in words; empty while all is well."""


class Backoff:
    """Exponential, with jitter: many boxes that lost one upstream do not come back at the same moment."""

    def __init__(self, max_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._max_s = max_s
        self._monotonic = monotonic
        self._failures = 0
        self._not_before_s = float("-inf")

    def failed(self, at_least_s: float | None = None) -> None:
        """Wait longer than last time, and at least `at_least_s` (upstream's Retry-After)."""
        delay_s = min(BACKOFF_START_S * 2**self._failures, self._max_s) * random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 30)
        self._not_before_s = self._monotonic() + max(delay_s, at_least_s or 0.0)

    def succeeded(self) -> None:
        self._failures = 0
        self._not_before_s = float("-inf")

    def remaining_s(self) -> float:
        """Seconds until the next try; 0 when one may be made now."""
        return max(0.0, self._not_before_s - self._monotonic())


class Link:
    """The connection to one list's upstream. Thread-safe: push, pull and probe report to it."""

    def __init__(
        self,
        *,
        was_reached: bool,
        backoff_max_s: float,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._monotonic = monotonic
        self._state = UpstreamState.UNREACHABLE if was_reached else UpstreamState.NEVER
        self._since: datetime | None = None
        self._detail = "not tried yet since the box was started"
        self._heard_s = float("-inf")
        self._backoff = Backoff(backoff_max_s, monotonic)
        self._troubles: dict[str, str] = {}

    def heard(self) -> bool:
        """Upstream answered; True when it had not before (it is back)."""
        with self._lock:
            is_back = self._word() is not UpstreamState.ONLINE
            self._heard_s = self._monotonic()
            self._set(UpstreamState.ONLINE, "")
            self._backoff.succeeded()
            return is_back

    def failed(self, error: UpstreamError) -> bool:
        """An attempt came to nothing; True when that is news."""
        with self._lock:
            before = (self._word(), self._detail)
            if isinstance(error, Closed):
                self._set(UpstreamState.REFUSED, str(error))
                self._backoff.failed(CLOSED_RETRY_S)
            elif isinstance(error, NotUpstream):
                self._set(UpstreamState.NOT_UPSTREAM, str(error))
                self._backoff.failed()
            else:
                self._set(UpstreamState.UNREACHABLE, str(error))
                self._backoff.failed(error.retry_after_s if isinstance(error, Unreachable) else None)
            return before != (self._word(), self._detail)

    def went_well(self, work: str) -> bool:
        """This kind of work (`push`, `pull`) succeeded; True when it had not before."""
        with self._lock:
            return self._troubles.pop(work, None) is not None

    def went_wrong(self, work: str, why: str) -> bool:
        """This kind of work failed: staff read it until it succeeds, also while upstream is online. True for news."""
        with self._lock:
            is_news = self._troubles.get(work) != why
            self._troubles[work] = why
            return is_news

    def is_online(self) -> bool:
        """The last attempt was answered, and not long ago."""
        with self._lock:
            return self._word() is UpstreamState.ONLINE

    def silent_for_s(self) -> float:
        """Seconds since upstream was last heard; infinite when it never was."""
        return self._monotonic() - self._heard_s

    def retry_in_s(self) -> float:
        """Seconds until upstream may be tried again; 0 while it is online."""
        with self._lock:
            return self._backoff.remaining_s()

    def report(self) -> LinkReport:
        """The state as staff see it."""
        with self._lock:
            troubles = "; ".join(f"{work}: {why}" for work, why in sorted(self._troubles.items()))
            return LinkReport(self._word(), self._since, self._detail or troubles)

    def _word(self) -> UpstreamState:
        if self._state is UpstreamState.ONLINE and self._monotonic() - self._heard_s > ONLINE_FOR_S:
            return UpstreamState.UNREACHABLE
        return self._state

    def _set(self, state: UpstreamState, detail: str) -> None:
        if state is not self._state:
            self._since = self._now()
        self._state, self._detail = state, detail
