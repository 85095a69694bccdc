"""The body of `download/`, made once for all phones that ask for it.

Each phone takes the whole download every 30 s to 120 s. So a compressed body is kept for each list (and set of items),
served while nothing has changed, and for at most MAX_AGE_S after something has; the answer says how old it is.
"""

from __future__ import annotations

import json
import math
import threading
import time
import zlib
from dataclasses import dataclass

from edgebox.devices.pretixdroid.telling import questions_body, ticket_body
from edgebox.model import CheckInList
from edgebox.store import Store

MAX_AGE_S = 10.0
COMPRESSION_LEVEL = 3
"""Most of what level 9 saves, for a fraction of a Pi's time."""
GZIP_WINDOW = 31


@dataclass(frozen=True, slots=True)
class Body:
    """A finished download, gzip-compressed."""

    compressed: bytes
    version: int
    as_of_s: float


class Downloads:
    """Keeps the bodies. Thread-safe; each is built by one thread while the others get the one before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._bodies: dict[tuple[int, frozenset[int] | None], Body] = {}
        self._building: dict[tuple[int, frozenset[int] | None], threading.Lock] = {}

    def get(self, list_: CheckInList, item_ids: frozenset[int] | None) -> tuple[Body, int]:
        """The body, and its age in whole seconds, rounded up (0: nothing has changed since it was made)."""
        key = (list_.id, item_ids)
        with self._lock:
            body = self._bodies.get(key)
            building = self._building.setdefault(key, threading.Lock())
        if body is not None and self._is_good(body, list_):
            return body, self._age(body, list_)
        with building:
            with self._lock:
                body = self._bodies.get(key)
            if body is None or not self._is_good(body, list_):
                body = self._build(list_, item_ids)
                with self._lock:
                    self._bodies[key] = body
        return body, self._age(body, list_)

    def _is_good(self, body: Body, list_: CheckInList) -> bool:
        return self._is_current(body, list_) or time.monotonic() - body.as_of_s < MAX_AGE_S

    def _is_current(self, body: Body, list_: CheckInList) -> bool:
        return body.version == self._store.lists.version_of(list_.id)

    def _age(self, body: Body, list_: CheckInList) -> int:
        return 0 if self._is_current(body, list_) else math.ceil(time.monotonic() - body.as_of_s)

    def _build(self, list_: CheckInList, item_ids: frozenset[int] | None) -> Body:
        version, as_of_s = self._store.lists.version_of(list_.id), time.monotonic()
        gzip = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_WINDOW)
        questions = json.dumps(questions_body(list_.catalog), ensure_ascii=False)
        pieces = [gzip.compress(f'{{"version": {list_.version}, "questions": {questions}, "results": ['.encode())]
        separator = ""
        for found in self._store.tickets.counted(list_, item_ids):
            ticket = ticket_body(list_.catalog, found.ticket, found.is_redeemed)
            pieces.append(gzip.compress(f"{separator}{json.dumps(ticket, ensure_ascii=False)}".encode()))
            separator = ", "
        pieces.append(gzip.compress(b"]}"))
        pieces.append(gzip.flush())
        return Body(b"".join(pieces), version, as_of_s)
