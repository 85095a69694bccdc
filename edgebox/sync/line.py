"""One list's line to its upstream: the work of push, pull, probe and look-up, and what it tells of the link."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.store import Store, StoreError
from edgebox.store.snapshots import Taken
from edgebox.sync.link import Backoff, Link
from edgebox.sync.lookup import Lookups
from edgebox.sync.pull import learn, pull
from edgebox.sync.push import Pushed, Pusher
from edgebox.upstream import Unreachable, Upstream, UpstreamError

log = logging.getLogger(__name__)

PULL_REST_FACTOR = 10
"""The next whole snapshot waits at least this many times as long as the last one took: it costs upstream dearly."""
AGAIN_WHEN_STALE_S = 15.0
"""A download that a cache served is asked for again once the cache must have let go of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync has come. `phase` is `push` or `pull`; `total` None: nobody knows."""

    list_id: int
    phase: str
    done: int
    total: int | None


Report = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """For whoever does not want to know."""


class Line:
    """Does the work for one list that has an upstream. Thread-safe: push and pull each run once at a time.

    All verbs raise an UpstreamError when upstream is lost and a StoreError when the disk is, or the list is gone.
    """

    def __init__(self, list_id: int, upstream: Upstream, store: Store, clock: Clock, config: Config) -> None:
        self.list_id = list_id
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._config = config
        list_ = store.lists.get(list_id)
        was_reached = list_ is not None and list_.catalog is not None
        self.link = Link(was_reached=was_reached, backoff_max_s=config.backoff_max_s, now=clock.now)
        self._pusher = Pusher(list_id, upstream, store, clock)
        self._lookups = Lookups(list_id, upstream, store)
        self._push_backoff = Backoff(config.backoff_max_s)
        self._pull_backoff = Backoff(config.backoff_max_s)
        self._probe_backoff = Backoff(config.backoff_max_s)
        self._pull_due_s = 0.0
        self._pushing = threading.Lock()
        self._pulling = threading.Lock()
        self.on_back: Callable[[], None] = lambda: None
        """Called when upstream answers after it had not."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when an attempt came to nothing."""

    def push(self, report: Report = ignore, *, retry_all: bool = False) -> Pushed:
        """Push what is pending; `retry_all`: also what upstream choked on a moment ago."""

        def step(done: int) -> None:
            self._heard()
            report(Progress(self.list_id, "push", done, total))

        with self._pushing, self._attempt(self._push_backoff):
            total = self._store.journal.backlog(self.list_id).pending
            pushed = self._pusher.run(progress=step, retry_all=retry_all)
        if pushed.settled or pushed.parked:
            log.info(
                "list %d: pushed %d check-ins, %d of them conflicts; %d parked",
                self.list_id, pushed.settled, pushed.conflicts, pushed.parked,
            )  # fmt: skip
        return pushed

    def pull(self, report: Report = ignore) -> Taken:
        """Pull a whole snapshot."""

        def step(done: int) -> None:
            self._heard()
            report(Progress(self.list_id, "pull", done, max(done, expected) if expected else None))

        with self._pulling, self._attempt(self._pull_backoff):
            list_ = self._store.lists.get(self.list_id)
            expected = self._store.tickets.held(list_) if list_ else 0
            began_s = time.monotonic()
            taken = pull(self.list_id, self._upstream, self._store, self._clock, step)
            self._heard()
            rest_s = PULL_REST_FACTOR * (time.monotonic() - began_s)
            wait_s = AGAIN_WHEN_STALE_S if taken.is_stale else max(self._config.pull_interval_s, rest_s)
            self._pull_due_s = time.monotonic() + wait_s
        return taken

    def probe(self) -> None:
        """Find out whether upstream is there."""
        with self._attempt(self._probe_backoff):
            learn(self.list_id, self._upstream.describe(), self._store)
            self._heard()

    def want(self, secret: str) -> bool:
        """A scan met an unknown ticket; True when upstream is there and a look-up should follow."""
        return self.link.is_online() and self._lookups.want(secret)

    def look_up(self) -> None:
        """Ask upstream for the unknown ticket that waits longest; pull when it knows more than it tells."""
        with self._attempt(self._probe_backoff):
            is_partial = self._lookups.ask_next()
            self._heard()
        if is_partial:
            self.pull()

    # --- when to do what ----------------------------------------------------------------------------------------------

    def push_in_s(self) -> float:
        """Seconds until a push makes sense; 0 for now."""
        return self._push_backoff.remaining_s()

    def next_retry_in_s(self) -> float | None:
        """Seconds until a check-in that upstream choked on may be tried again; None without any."""
        return self._pusher.next_retry_in_s()

    def pull_in_s(self) -> float:
        """Seconds until the next whole snapshot is due."""
        return max(self._pull_backoff.remaining_s(), self._pull_due_s - time.monotonic(), 0.0)

    def probe_in_s(self) -> float:
        """Seconds until upstream is probed: when it may be tried again, or has been silent for long enough."""
        if self.link.is_online():
            return max(0.0, self._config.probe_interval_s - self.link.silent_for_s())
        return self.link.retry_in_s()

    def has_lookups(self) -> bool:
        return self._lookups.has_waiting()

    # ------------------------------------------------------------------------------------------------------------------

    def _heard(self) -> None:
        if self.link.heard():
            log.info("list %d: upstream answers", self.list_id)
            self.on_back()

    @contextmanager
    def _attempt(self, backoff: Backoff) -> Iterator[None]:
        try:
            yield
        except UpstreamError as error:
            backoff.failed(error.retry_after_s if isinstance(error, Unreachable) else None)
            if self.link.failed(error):
                log.warning("list %d: %s", self.list_id, error)
            self.on_lost()
            raise
        except StoreError:
            backoff.failed()
            raise
        backoff.succeeded()
