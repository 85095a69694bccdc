"""One list's line to its upstream: the work of push, pull, probe and look-up, and what it tells of the link."""

from __future__ import annotations

import contextlib
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
from edgebox.sync.following import Follower
from edgebox.sync.link import Backoff, Link
from edgebox.sync.lookup import Lookups
from edgebox.sync.pull import learn, pull
from edgebox.sync.push import Pushed, Pusher, Trouble
from edgebox.sync.record import RunRecord
from edgebox.upstream import Closed, Unreachable, Upstream, UpstreamError

log = logging.getLogger(__name__)

PULL_REST_FACTOR = 10
"""The next whole snapshot waits at least this many times as long as the last one took: it costs upstream dearly."""
BROKEN_PULL_REST_MAX_S = 60.0
"""The same for one that broke, but never longer than this: the box still lacks what it would have brought."""
ENOUGH_FOR_A_RATE = 10
"""Check-ins that a push must have settled to say how fast it is."""
COMPARE_EVERY_S = 300.0
"""Where upstream has a feed: between two looks at how many tickets it counts on the list."""
REPORTED_TOGETHER = 20
REPORT_WITHIN_S = 5.0
"""A push does not go on for longer than this for the sake of refused attempts."""
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
    Open until `close()`.
    """

    def __init__(
        self,
        list_id: int,
        upstream: Upstream,
        store: Store,
        clock: Clock,
        config: Config,
        monotonic: Callable[[], float] = time.monotonic,
        follower: Follower | None = None,
    ) -> None:
        self.list_id = list_id
        self.follower = follower
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._config = config
        self._monotonic = monotonic
        list_ = store.lists.get(list_id)
        was_reached = list_ is not None and list_.catalog is not None
        self.link = Link(
            was_reached=was_reached, backoff_max_s=config.backoff_max_s, now=clock.now, monotonic=monotonic
        )
        self._pusher = Pusher(list_id, upstream, store, clock, monotonic)
        self._lookups = Lookups(list_id, upstream, store, monotonic)
        self._push_backoff = Backoff(config.backoff_max_s, monotonic)
        self._pull_backoff = Backoff(config.backoff_max_s, monotonic)
        self._probe_backoff = Backoff(config.backoff_max_s, monotonic)
        self._pull_due_s = self._pull_rested_s = float("-inf")
        self._pushing = threading.Lock()
        self._pulling = threading.Lock()
        self._idle = threading.Condition()
        self._active = 0
        self._is_closed = False
        self._said: set[str] = set()
        """What the log has been told of this outage: reasons come and go in turn."""
        self.upstream_total: int | None = None
        """How many tickets upstream says that the list has."""
        self._compared_s = float("-inf")
        self.push_rate = 0.0
        """Check-ins a second, in the last push of more than a few."""
        self._runs = RunRecord(list_id, store, clock, monotonic)
        self.on_back: Callable[[], None] = lambda: None
        """Called when upstream answers after it had not."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when an attempt came to nothing."""
        self.on_pull_wanted: Callable[[], None] = lambda: None
        """Called when a pull is due earlier than planned."""

    def close(self) -> None:
        """Give up what is under way; that, and whatever is begun later, raises Unreachable."""
        with self._idle:
            self._is_closed = True
        self._upstream.close()

    def wait_until_idle(self, within_s: float) -> bool:
        """After `close`: wait until nothing of this line is at work any more; False when that takes too long."""
        with self._idle:
            return self._idle.wait_for(lambda: self._active == 0, within_s)

    def push(self, report: Report = ignore, *, retry_all: bool = False, pushed: Pushed | None = None) -> Pushed:
        """Push what is pending; `retry_all`: also what upstream choked on a moment ago.

        What it comes to is counted in `pushed`, also when it raises.
        """
        pushed = pushed or Pushed()

        def step(done: int) -> None:
            self._heard()
            if done:
                self._push_backoff.succeeded()  # it comes further: an upstream that is lost now and then is not gone
            report(Progress(self.list_id, "push", done, total))

        with self._pushing, self._attempt("push", self._push_backoff):
            total = self._store.journal.backlog(self.list_id).pending
            began_s = self._monotonic()
            try:
                self._pusher.run(pushed, progress=step, retry_all=retry_all)
            except UpstreamError:
                self._runs.broke_off(pushed.settled + pushed.parked, self._monotonic() - began_s)
                raise
            took_s = self._monotonic() - began_s
            if self._config.report_refusals:
                self._report_refusals()
            if pushed.settled >= ENOUGH_FOR_A_RATE and took_s > 0:
                self.push_rate = pushed.settled / took_s
            self._runs.pushed(pushed, took_s)
        return pushed

    def _report_refusals(self) -> None:
        """Tell upstream whom the box has sent away: at best, for nothing depends on it, and not all evening long."""
        give_up_s = self._monotonic() + REPORT_WITHIN_S
        with contextlib.suppress(UpstreamError):
            while refusals := self._store.refusals.next(self.list_id, REPORTED_TOGETHER):
                for refusal in refusals:
                    self._upstream.report_refusal(
                        refusal.secret,
                        refusal.verdict,
                        refusal.at,
                        f"edgebox-refused-{refusal.id}",
                        direction=refusal.direction,
                        position_id=refusal.position_id,
                    )
                self._store.refusals.reported(refusals)
                if self._monotonic() > give_up_s:
                    return

    def pull_when_due(self) -> Taken:
        """`pull`, unless another list of the same event has just done it."""
        return self.pull() if self.follower is None else self._follow(self.follower, ignore, only_when_due=True)

    def pull(self, report: Report = ignore) -> Taken:
        """Pull a whole snapshot; where upstream has a feed, what has changed."""
        if self.follower is not None:
            return self._follow(self.follower, report)

        def step(done: int) -> None:
            self._heard()
            report(Progress(self.list_id, "pull", done, max(done, expected) if expected else None))

        with self._pulling, self._attempt("pull", self._pull_backoff):
            description = self._upstream.describe()
            self._heard()
            self.upstream_total = description.tickets_total
            list_ = self._store.lists.get(self.list_id)
            expected = self._store.tickets.held(list_) if list_ else 0
            began_s = self._monotonic()
            rest_max_s = BROKEN_PULL_REST_MAX_S
            try:
                taken = pull(self.list_id, description, self._upstream, self._store, self._clock, step)
                self._heard()
                rest_max_s = float("inf")
                wait_s = AGAIN_WHEN_STALE_S if taken.is_stale else self._config.pull_interval_s
                self._pull_due_s = self._monotonic() + wait_s
            finally:
                now_s = self._monotonic()
                self._pull_rested_s = now_s + min(PULL_REST_FACTOR * (now_s - began_s), rest_max_s)
        self._runs.pulled(taken, now_s - began_s)
        return taken

    def _follow(self, follower: Follower, report: Report, *, only_when_due: bool = False) -> Taken:
        def step(done: int, total: int | None) -> None:
            if not follower.is_gone(self.list_id):
                self._heard()
            report(Progress(self.list_id, "pull", done, total))

        began_s = self._monotonic()
        with self._pulling, self._attempt("pull", self._pull_backoff):
            taken = follower.pull(step, only_when_due=only_when_due)
            if follower.is_gone(self.list_id):
                raise Closed("upstream no longer has this check-in list", "everything is kept; look for it there")
            self._heard()
            if self._monotonic() >= self._compared_s + COMPARE_EVERY_S:
                self._compared_s = self._monotonic()
                self.upstream_total = self._upstream.describe().tickets_total
        if taken.written or taken.withdrawn or taken.held:
            self._runs.pulled(taken, self._monotonic() - began_s)
        return taken

    def probe(self) -> None:
        """Find out whether upstream is there."""
        with self._attempt("probe", self._probe_backoff):
            self._probe()

    def want(self, secret: str) -> bool:
        """A scan met an unknown ticket; True when upstream is there and a look-up should follow."""
        return self.link.is_online() and self._lookups.want(secret)

    def look_up(self) -> None:
        """Ask upstream for the unknown ticket that waits longest; a pull is due when it knows more than it tells."""
        with self._attempt("look-up", self._probe_backoff):
            try:
                is_partial = self._lookups.ask_next()
                self._heard()
            except UpstreamError as error:
                # Anything can stand in a code that somebody scans: that upstream, or what protects it, does not want
                # to hear this one says nothing of the link.
                log.debug("list %d: a look-up failed: %s", self.list_id, error)
                self._probe()
                return
        if is_partial:
            self._pull_due_s = self._monotonic()
            if self.follower is not None:
                self.follower.pull_soon()
            self.on_pull_wanted()

    # --- when to do what ----------------------------------------------------------------------------------------------

    def push_in_s(self) -> float:
        """Seconds until a push makes sense; 0 for now."""
        return self._push_backoff.remaining_s()

    def next_retry_in_s(self) -> float | None:
        """Seconds until a check-in that upstream choked on may be tried again; None without any."""
        return self._pusher.next_retry_in_s()

    def pull_in_s(self) -> float:
        """Seconds until the next whole snapshot is due."""
        if self.follower is not None:
            return max(self._pull_backoff.remaining_s(), self.follower.due_in_s())
        now_s = self._monotonic()
        return max(self._pull_backoff.remaining_s(), self._pull_rested_s - now_s, self._pull_due_s - now_s, 0.0)

    def probe_in_s(self) -> float:
        """Seconds until upstream is probed: when it may be tried again, or has been silent for long enough."""
        if self.link.is_online():
            silence_left_s = self._config.probe_interval_s - self.link.silent_for_s()
            return max(0.0, silence_left_s, self._probe_backoff.remaining_s())
        return self.link.retry_in_s()

    def look_up_in_s(self) -> float | None:
        """Seconds until the next unknown ticket may be asked for; None where none waits."""
        return self._lookups.next_in_s()

    # ------------------------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        description = self._upstream.describe()
        self._heard()
        self.upstream_total = description.tickets_total
        learn(self.list_id, description, self._store)

    def _heard(self) -> None:
        if self.link.heard():
            log.info("list %d: upstream answers", self.list_id)
            self._said.clear()
            self.on_back()

    @contextmanager
    def _attempt(self, work: str, backoff: Backoff) -> Iterator[None]:
        with self._idle:
            if self._is_closed:
                raise Unreachable("the box no longer looks after this list")
            self._active += 1
        try:
            yield
        except UpstreamError as error:
            if not self._is_closed:
                self._failed(work, backoff, error)
            raise
        except StoreError:
            backoff.failed()
            raise
        else:
            # A push that had nothing it might try says nothing of an upstream that was ill.
            if not (work == "push" and self._pusher.is_upstream_ill):
                backoff.succeeded()
                if self.link.went_well(work) and work in self._said:
                    self._said.clear()
                    log.info("list %d: %s goes well again", self.list_id, work)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _failed(self, work: str, backoff: Backoff, error: UpstreamError) -> None:
        backoff.failed(error.retry_after_s if isinstance(error, Unreachable) else None)
        if isinstance(error, Trouble):  # upstream is there
            is_news = self.link.went_wrong(work, str(error))
            self._said.add(work)
        else:
            is_news = self.link.failed(error)
            if work == "pull":
                self._pull_due_s = self._monotonic()  # as soon as upstream is back
            if work in ("push", "pull"):
                is_news = self.link.went_wrong(work, str(error)) and is_news
        if is_news:
            if str(error) not in self._said:
                log.warning("list %d: %s: %s", self.list_id, work, error)
                self._said.add(str(error))
            self._runs.failed(work, error)
        self.on_lost()
