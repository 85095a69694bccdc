"""Letting scans through while much is worked on: Python's threads take turns, and one that computes gives up its turn
only when another has waited for a while. A scan changes threads several times, and would wait so long each time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TURN_S = 0.0005
"""A tenth of what is usual. Not all the time: with many scanners at once, turns so short cost them a tenth."""

_lock = threading.Lock()
_under_way = 0
_usual_s = 0.0


@contextmanager
def short_turns() -> Iterator[None]:
    """Turns are short until the block ends, and the last of others that are under way at the same time."""
    global _under_way, _usual_s
    with _lock:
        if not _under_way:
            _usual_s = sys.getswitchinterval()
            sys.setswitchinterval(min(TURN_S, _usual_s))
        _under_way += 1
    try:
        yield
    finally:
        with _lock:
            _under_way -= 1
            if not _under_way:
                sys.setswitchinterval(_usual_s)
