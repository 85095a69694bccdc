"""Looking up unknown tickets: one sold at the door minutes ago is known at the second scan."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from edgebox.store import Store
from edgebox.upstream import Upstream

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Between two questions: a flood of wrong codes must not become a flood of requests."""
ASK_AGAIN_AFTER_S = 10.0
"""The same one; doubled each time: a phone that was reset sends tickets of other events for ever."""
ASK_AGAIN_MAX_S = 3600.0
MAX_WAITING = 20
MAX_REMEMBERED = 10_000

_PLAUSIBLE = re.compile(r"[!-~]{4,190}")
"""What may be a secret at all; anything else that a camera sees is not worth a request."""


class Lookups:
    """The secrets of one list that wait to be asked for. Thread-safe."""

    def __init__(
        self, list_id: int, upstream: Upstream, store: Store, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._list_id = list_id
        self._upstream = upstream
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        self._not_before_s: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """For those that were asked for: when they may be again, and how long that was to wait."""
        self._next_s = float("-inf")

    def want(self, secret: str) -> bool:
        """Ask for this secret; False when it was asked for lately, cannot be one, or too many wait."""
        now_s = self._monotonic()
        with self._lock:
            again_s, waited_s = self._not_before_s.get(secret, (float("-inf"), ASK_AGAIN_AFTER_S / 2))
            if now_s < again_s or len(self._waiting) >= MAX_WAITING or not _PLAUSIBLE.fullmatch(secret):
                return False
            wait_s = min(2 * waited_s, ASK_AGAIN_MAX_S)
            self._not_before_s[secret] = (now_s + wait_s, wait_s)
            self._not_before_s.move_to_end(secret)
            while len(self._not_before_s) > MAX_REMEMBERED:
                self._not_before_s.popitem(last=False)
            self._waiting.append(secret)
            return True

    def next_in_s(self) -> float | None:
        """Seconds until the next one may be asked for; None where none waits."""
        with self._lock:
            return max(0.0, self._next_s - self._monotonic()) if self._waiting else None

    def ask_next(self) -> bool:
        """Ask upstream for the one that waits longest, and take in what it says.

        True when upstream knows it but does not tell enough: then a pull must bring it. Raises an UpstreamError.
        """
        with self._lock:
            if not self._waiting:
                return False
            secret = self._waiting.popleft()
            self._next_s = self._monotonic() + INTERVAL_S
        list_ = self._store.lists.get(self._list_id)
        if list_ is None or list_.catalog is None:
            return False
        number = self._store.numbers.next()
        looked_up = self._upstream.look_up(secret, list_.catalog)
        if looked_up.ticket is not None:
            self._store.snapshots.take_one(list_, looked_up.ticket, number)
            log.info("list %d: upstream knows a ticket that was unknown here; it was taken in", self._list_id)
        return looked_up.is_partial
