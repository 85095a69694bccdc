"""A flood of wrong keys is answered late. Valid keys are never slowed, whoever shares an address with whom.

The refusals alone wait, and they hold no thread (`edgebox.channels`). Where few come they do not wait either: a phone
that was revoked learns so at once. Nobody is told apart by his address: phones behind one access point share one, and
who attacks may have many.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

FREE = 100
"""Wrong keys that may come at once. Phones of yesterday's event ask a few times a minute each."""
FREE_PER_S = 20.0
"""How many a second there may be after that."""
LATE_S = 2.0
SAY_SO_EVERY_S = 60.0

ANSWER_LATE = "edgebox.answer_late"
"""What the server puts into the environment of a request: call it with seconds, and the answer leaves no sooner."""


class WrongKeys:
    """Counts the wrong keys that come. Thread-safe; `monotonic` is a seam for tests."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._level = 0.0
        self._at_s = monotonic()
        self._said_at_s = float("-inf")

    def met(self, environ: Mapping[str, Any]) -> None:
        """A request showed a wrong key (or none): its answer is late where too many do."""
        if not self._is_one_too_many():
            return
        answer_late = environ.get(ANSWER_LATE)
        if answer_late is not None:
            answer_late(LATE_S)

    def _is_one_too_many(self) -> bool:
        with self._lock:
            now_s = self._monotonic()
            drained = (now_s - self._at_s) * FREE_PER_S
            # Not counted is what lies above: it is over a second after the flood.
            self._level = min(max(0.0, self._level - drained) + 1, FREE + FREE_PER_S)
            self._at_s = now_s
            if self._level <= FREE:
                return False
            is_to_be_said = now_s - self._said_at_s >= SAY_SO_EVERY_S
            if is_to_be_said:
                self._said_at_s = now_s
        if is_to_be_said:
            log.warning("very many wrong keys come in; those who send them are answered late, all others as ever")
        return True
