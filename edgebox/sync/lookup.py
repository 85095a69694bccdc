"""Looking up unknown tickets: one sold at the door minutes ago is known at the second scan."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict, deque

from edgebox.store import Store
from edgebox.upstream import Upstream

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Between two questions: a flood of wrong codes must not become a flood of requests."""
ASK_AGAIN_AFTER_S = 60.0
MAX_WAITING = 20
MAX_REMEMBERED = 10_000

_PLAUSIBLE = re.compile(r"[!-~]{8,190}")
"""What may be a secret at all; anything else that a camera sees is not worth a request."""


class Lookups:
    """The secrets of one list that wait to be asked for. Thread-safe."""

    def __init__(self, list_id: int, upstream: Upstream, store: Store) -> None:
        self._list_id = list_id
        self._upstream = upstream
        self._store = store
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        self._asked_s: OrderedDict[str, float] = OrderedDict()

    def want(self, secret: str) -> bool:
        """Ask for this secret; False when it was asked for lately, cannot be one, or too many wait."""
        now_s = time.monotonic()
        with self._lock:
            asked_s = self._asked_s.get(secret)
            if asked_s is not None and now_s - asked_s < ASK_AGAIN_AFTER_S:
                return False
            if not _PLAUSIBLE.fullmatch(secret) or len(self._waiting) >= MAX_WAITING:
                return False
            self._asked_s[secret] = now_s
            self._asked_s.move_to_end(secret)
            while len(self._asked_s) > MAX_REMEMBERED:
                self._asked_s.popitem(last=False)
            self._waiting.append(secret)
            return True

    def ask_next(self) -> bool:
        """Ask upstream for the one that waits longest, and take in what it says.

        True when upstream knows it but does not tell enough: then a pull must bring it. Raises an UpstreamError.
        """
        with self._lock:
            if not self._waiting:
                return False
            secret = self._waiting.popleft()
        list_ = self._store.lists.get(self._list_id)
        if list_ is None or list_.catalog is None:
            return False
        number = self._store.numbers.next()
        looked_up = self._upstream.look_up(secret, list_.catalog)
        if looked_up.ticket is not None:
            self._store.snapshots.take_one(list_, looked_up.ticket, number)
            log.info("list %d: upstream knows a ticket that was unknown here; it was taken in", self._list_id)
        return looked_up.is_partial

    def has_waiting(self) -> bool:
        with self._lock:
            return bool(self._waiting)
