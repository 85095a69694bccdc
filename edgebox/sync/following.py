"""Following a feed: the orders of one event as they change, taken in once for all of its lists."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from edgebox.clock import Clock
from edgebox.model import CheckInList
from edgebox.rules import zone_of
from edgebox.store import Refused, Store
from edgebox.store.held import HeldBack
from edgebox.store.seen import Seen
from edgebox.store.snapshots import Taken
from edgebox.upstream import Feed

log = logging.getLogger(__name__)

COUNT_EVERY_S = 600.0
"""Between two looks whether upstream has as many orders as the box: one that was deleted vanishes without a trace."""
RECONCILE_AT_HOUR = 4
"""Of the night, in the event's zone: then all orders are gone through once."""

Progress = Callable[[int, int | None], None]


class Follower:
    """Takes in one source. Thread-safe: one run at a time, whichever line asks for it."""

    def __init__(
        self,
        source_id: int,
        feed: Feed,
        store: Store,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source_id = source_id
        self._feed = feed
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._running = threading.Lock()
        self._due_s = float("-inf")
        self._count_due_s = float("-inf")
        self._tolerated: tuple[int, int] | None = None
        """Orders there and here that a reconcile could not make equal: no reason for another one."""
        self._reconciled_on = clock.now().date()
        self._gone: frozenset[int] = frozenset()

    def close(self) -> None:
        """Give up what is under way, for good."""
        self._feed.close()

    def is_gone(self, list_id: int) -> bool:
        """Whether upstream, which has the event, no longer has this list."""
        return list_id in self._gone

    def due_in_s(self) -> float:
        """Seconds until upstream may be asked for what has changed."""
        return max(0.0, self._due_s - self._monotonic())

    def pull_soon(self) -> None:
        """There is something new: do not wait."""
        self._due_s = float("-inf")

    def pull(self, progress: Progress, *, only_when_due: bool = False) -> Taken:
        """Take in what has changed; at first, all orders. Raises an UpstreamError, or Refused when no list is left.

        What a broken run took in stays, and the next one goes on from there. `only_when_due`: the lists of an event
        become due at once, and whoever comes second has nothing to do.
        """
        with self._running:
            if only_when_due and self.due_in_s() > 0:
                return Taken(0, 0, 0, 0, HeldBack.none())
            self._due_s = self._monotonic() + self._feed.interval_s
            try:
                return self._pull(progress)
            except BaseException:
                self._due_s = float("-inf")  # of the event's lists, each finds out for itself that upstream is lost
                raise

    def _pull(self, progress: Progress) -> Taken:
        self._learn()
        is_first = self._source_told() == 0
        began_s = time.monotonic()
        number = self._store.numbers.next()
        told = written = 0
        for page in self._feed.follow(self._store.orders.state(self._source_id)):
            written += self._store.orders.take(
                self._source_id, page.orders, number=number, state=page.state, at=self._clock.now()
            )
            told += sum(len(order.tickets) for order in page.orders)
            progress(page.done, page.total)
        if is_first:
            # Its pages may have come in several runs: their tickets know themselves when they were told.
            self._store.orders.completed(self._source_id, 1, self._clock.now(), time.monotonic() - began_s)
            log.info("source %d: pulled %d tickets", self._source_id, told)
        taken = Taken(told, written, 0, 0, HeldBack.none())
        if not is_first and self._needs_reconcile():
            taken = self._reconcile(progress)
        self._store.lists.is_fresh(self._source_id, self._clock.now())
        return taken

    def _learn(self) -> None:
        lists = self._lists()
        if not lists:
            raise Refused("no list of this event is left on the box")
        master = self._feed.master()
        self._gone = frozenset(list_.id for list_ in lists if list_.upstream_list not in master.lists)
        for list_ in lists:
            if list_.id not in self._gone:
                _, terms = master.lists[list_.upstream_list]
                self._store.lists.learn(list_, master.catalog, subevent=terms.subevent, terms=terms)
        self._store.orders.bar(self._source_id, {"revoked": master.revoked, "blocked": master.blocked})

    def _needs_reconcile(self) -> bool:
        local = self._local_time()
        if local.hour == RECONCILE_AT_HOUR and self._reconciled_on != local.date():
            return True
        if self._monotonic() < self._count_due_s:
            return False
        self._count_due_s = self._monotonic() + COUNT_EVERY_S
        counts = self._feed.count(), self._store.orders.orders_held(self._source_id)
        return counts[0] != counts[1] and counts != self._tolerated

    def _reconcile(self, progress: Progress) -> Taken:
        """Go through all orders, to find out which are gone."""
        began_s = time.monotonic()
        number = self._store.numbers.next()
        seen = Seen()
        written = 0
        for page in self._feed.all_orders():
            written += self._store.orders.take(self._source_id, page.orders, number=number, seen=seen)
            progress(page.done, page.total)
        gone = self._store.orders.withdraw_unseen(
            self._source_id, seen, number, self._clock.now(), time.monotonic() - began_s
        )
        self._reconciled_on = self._local_time().date()
        self._tolerated = self._feed.count(), self._store.orders.orders_held(self._source_id)
        log.info("source %d: went through all orders; %d tickets are gone", self._source_id, gone.withdrawn)
        if gone.held:
            log.warning("source %d: %d tickets are gone; this waits for staff", self._source_id, gone.held.tickets)
        return Taken(gone.tickets, written, gone.withdrawn, 0, gone.held)

    def _local_time(self) -> datetime:
        lists = self._lists()
        return self._clock.now().astimezone(zone_of(lists[0].catalog if lists else None))

    def _lists(self) -> list[CheckInList]:
        return self._store.lists.of_source(self._source_id)

    def _source_told(self) -> int:
        return max((list_.source.told for list_ in self._lists()), default=0)
