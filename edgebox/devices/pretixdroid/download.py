"""The body of `download/`, made once for all phones that ask for it.

Each phone takes the whole download every 30 s to 120 s. So a compressed body is kept for each list (and set of items)
and served while nothing has changed. After a change it is made anew, in time for none to be older than MAX_AGE_S, but
never sooner than REST times what the last one took: that must leave a Pi time to scan. Until the new one is there the
old one is served, and the answer says how old it is.
"""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from edgebox.devices.answering import encode
from edgebox.devices.naming import ItemNames
from edgebox.devices.pretixdroid.telling import (
    TICKET_KEYS,
    is_worth_telling,
    questions_body,
    ticket_body,
    turns_of,
)
from edgebox.model import CheckInList
from edgebox.store import Busy, Store
from edgebox.store.presence import emptied
from edgebox.store.tickets import Found

MAX_AGE_S = 10.0
REST = 4
AHEAD = 2
"""Times what the last one took: how long the next one may take."""
COMPRESSION_LEVEL = 3
"""Most of what level 9 saves, for a fraction of a Pi's time."""
GZIP_WINDOW = 31
BRIEFLY_S = 1.0
AT_ONCE = 200
"""Tickets that Python encodes in one go: a scan waits for no more than these."""


Key = tuple[int, frozenset[int] | None]


@dataclass(frozen=True, slots=True)
class Body:
    """A finished download, gzip-compressed; `size_bytes` is its size without."""

    compressed: bytes
    size_bytes: int


@dataclass(slots=True)
class _Kept:
    """A body, and what is known of its age: in `time.monotonic()` seconds."""

    body: Body
    version: int
    next_at_s: float
    """Before this no other is made."""
    as_of_s: float
    """The last moment at which it was certainly all that there was to tell."""
    emptied_at: datetime | None
    """When everybody on the list was last counted out."""
    turns_at: datetime | None
    """When the next of its tickets becomes valid, or is so no longer."""


class Downloads:
    """Keeps the bodies. Thread-safe; each is made by one thread, and the others get the one before meanwhile.

    At most `max_waiting` threads wait for a first one however long it takes, others no more than BRIEFLY_S: there must
    be threads left for scans. `monotonic` is a seam for tests.
    """

    def __init__(
        self,
        store: Store,
        max_waiting: int,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[Key, _Kept] = {}
        self._makers: dict[Key, threading.Lock] = {}
        self._waiting = threading.Semaphore(max(1, max_waiting))

    def get(self, list_: CheckInList, item_ids: frozenset[int] | None) -> tuple[Body, int]:
        """The body, and its age in whole seconds, rounded up (0: nothing has changed since it was made).

        Raises Busy where there is none yet, and enough threads wait for it.
        """
        key = (list_.id, item_ids)
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        kept = self._kept.get(key) or self._first(key, maker, list_)
        age_s = self._age_s(kept, list_)
        if age_s and self._monotonic() >= kept.next_at_s and maker.acquire(blocking=False):
            try:
                kept = self._make(key, list_)
            finally:
                maker.release()
            age_s = self._age_s(kept, list_)
        return kept.body, age_s

    def _first(self, key: Key, maker: threading.Lock, list_: CheckInList) -> _Kept:
        may_wait = self._waiting.acquire(blocking=False)
        try:
            if not maker.acquire(timeout=-1 if may_wait else BRIEFLY_S):
                raise Busy("the tickets are being put together for the first time: ask again in a few seconds")
            try:
                return self._kept.get(key) or self._make(key, list_)
            finally:
                maker.release()
        finally:
            if may_wait:
                self._waiting.release()

    def _age_s(self, kept: _Kept, list_: CheckInList) -> int:
        now_s = self._monotonic()
        if self._is_all(kept, list_):
            kept.as_of_s = max(kept.as_of_s, now_s)
            return 0
        return math.ceil(now_s - kept.as_of_s) or 1

    def _is_all(self, kept: _Kept, list_: CheckInList) -> bool:
        """Whether it is all there is to tell: nothing was written since, and no time has come that changes it."""
        now = self._now()
        if kept.version != self._store.lists.version_of(list_.id) or kept.emptied_at != emptied(list_, now):
            return False
        return kept.turns_at is None or now < kept.turns_at

    def _make(self, key: Key, list_: CheckInList) -> _Kept:
        # Looked at before the tickets are: what changes meanwhile may be in it, and makes it old all the same.
        started_s, version = self._monotonic(), self._store.lists.version_of(list_.id)
        list_ = self._store.lists.get(list_.id) or list_
        now = self._now()
        turns: set[datetime] = set()
        body = _body(list_, self._tickets(list_, key[1], now, turns))
        took_s = self._monotonic() - started_s
        kept = _Kept(
            body,
            version,
            # Early enough that the one before is no older than MAX_AGE_S when the next one is there.
            next_at_s=started_s + max(MAX_AGE_S - AHEAD * took_s, REST * took_s),
            as_of_s=started_s,
            emptied_at=emptied(list_, now),
            turns_at=min(turns, default=None),
        )
        self._kept[key] = kept
        for each in list(self._kept):
            if self._store.lists.get(each[0]) is None:
                self._kept.pop(each, None)
        return kept

    def _tickets(
        self, list_: CheckInList, item_ids: frozenset[int] | None, now: datetime, turns: set[datetime]
    ) -> Iterator[str]:
        """Pieces of JSON; `turns` collects when time alone will change them."""
        names = ItemNames(list_)
        if list_.terms is None:  # then all that the list counts is told, as it stands in the store
            yield from self._store.encoded.counted(list_, item_ids, TICKET_KEYS, names.of)
            return

        def told() -> Iterator[Found]:
            for found in self._store.tickets.counted(list_, item_ids):
                turns.update(at for at in turns_of(found.ticket.data) if at > now)
                if is_worth_telling(found.ticket, now):
                    yield found

        worth_telling = told()
        while some := [ticket_body(names, each.ticket, each.is_redeemed) for each in islice(worth_telling, AT_ONCE)]:
            yield encode(some)[1:-1]


def _body(list_: CheckInList, tickets: Iterable[str]) -> Body:
    gzip = zlib.compressobj(COMPRESSION_LEVEL, wbits=GZIP_WINDOW)
    pieces, size_bytes = [], 0
    for text in _texts(list_, tickets):
        piece = text.encode()
        size_bytes += len(piece)
        pieces.append(gzip.compress(piece))
    pieces.append(gzip.flush())
    return Body(b"".join(pieces), size_bytes)


def _texts(list_: CheckInList, tickets: Iterable[str]) -> Iterator[str]:
    yield f'{{"version":{list_.version},"questions":{encode(questions_body(list_.catalog))},"results":['
    comma = ""
    for some in tickets:
        yield comma + some
        comma = ","
    yield "]}"
