"""Sync: push, pull, and their schedule. Knows no dialect, only `edgebox.upstream`'s interface."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckInList
from edgebox.store import Store, StoreError
from edgebox.sync.following import Follower
from edgebox.sync.line import Line, Progress, Report, ignore
from edgebox.sync.link import LinkReport, UpstreamState
from edgebox.sync.manual import ManualRun, ManualSync
from edgebox.sync.outcome import Synced
from edgebox.sync.push import Pushed
from edgebox.sync.schedule import Schedule
from edgebox.upstream import Upstream, UpstreamError

log = logging.getLogger(__name__)

STOP_WITHIN_S = 3.0
"""What is under way has so long to end once it was told to. What waits for a name server or a connection cannot be
told; it will not touch the store any more."""

__all__ = ["LinkReport", "ManualRun", "Progress", "Report", "Sync", "Synced", "UpstreamState", "ignore"]


class Sync:
    """Keeps every list in step with its upstream; a list from a file has none and needs nothing.

    Open until `stop()`.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        config: Config,
        connect: Callable[[CheckInList], Upstream | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._connect = connect
        self._monotonic = monotonic
        self._lines: dict[int, Line] = {}
        self._followers: dict[int, Follower] = {}
        """By source: its lists share one."""
        self._schedule: Schedule | None = None
        self.manual = ManualSync(clock.now, self.now)
        for list_ in store.lists.all():
            self.add(list_)

    def start(self) -> None:
        """Sync by itself from now on. Without it, only `now` and `probe` do anything."""
        self._schedule = Schedule()
        for line in self._lines.values():
            self._schedule.add(line)
        self._schedule.start()

    def stop(self) -> None:
        """End for good, within seconds also while upstream keeps somebody waiting: what is under way is given up.

        Nothing is lost by that: what upstream did not acknowledge is told again at the next start.
        """
        schedule, self._schedule = self._schedule, None
        if schedule is not None:
            schedule.stop()
        lines = list(self._lines.values())
        for line in lines:
            line.close()
        for follower in self._followers.values():
            follower.close()
        give_up_s = time.monotonic() + STOP_WITHIN_S
        for line in lines:
            if not line.wait_until_idle(max(0.0, give_up_s - time.monotonic())):
                log.warning("list %d: something is still under way; the box does not wait for it", line.list_id)

    def add(self, list_: CheckInList) -> None:
        """Look after a list, unless it is paused."""
        upstream = self._connect(list_)
        if upstream is None or list_.is_paused:
            return
        follower = None
        if upstream.feed is not None:
            known = self._followers.get(list_.source.id)
            follower = known or Follower(list_.source.id, upstream.feed, self._store, self._clock, self._monotonic)
            self._followers[list_.source.id] = follower
        self._lines[list_.id] = line = Line(
            list_.id, upstream, self._store, self._clock, self._config, self._monotonic, follower=follower
        )
        if self._schedule is not None:
            self._schedule.add(line)

    def remove(self, list_id: int, *, wait: bool = False) -> None:
        """Look after a list no longer; `wait`: what was under way has ended, too, or taken too long."""
        if self._schedule is not None:
            self._schedule.remove(list_id)
        if line := self._lines.pop(list_id, None):
            line.close()
            if wait:
                line.wait_until_idle(STOP_WITHIN_S)
            used = {id(each.follower) for each in self._lines.values()}
            self._followers = {key: each for key, each in self._followers.items() if id(each) in used}

    def report(self, list_id: int) -> LinkReport:
        """The state of a list's upstream, in words."""
        if line := self._lines.get(list_id):
            return line.link.report()
        list_ = self._store.lists.get(list_id)
        is_paused = list_ is not None and list_.is_paused
        return LinkReport(UpstreamState.PAUSED if is_paused else UpstreamState.FILE, None, "")

    def upstream_total(self, list_id: int) -> int | None:
        """How many tickets upstream says that the list has; None where it did not say so yet."""
        line = self._lines.get(list_id)
        return line.upstream_total if line else None

    def drain_s(self, list_id: int, pending: int) -> float | None:
        """How long pushing so many check-ins will take at the rate of the last push; None where nobody knows."""
        line = self._lines.get(list_id)
        if line is None or not line.link.is_online() or not line.push_rate or not pending:
            return None
        return pending / line.push_rate

    def is_online(self, list_id: int) -> bool:
        """Whether a scan on this list counts as decided online."""
        line = self._lines.get(list_id)
        return line is not None and line.link.is_online()

    def recorded(self, list_id: int) -> None:
        """A check-in was recorded: push it soon. Cheap enough for every scan."""
        if self._schedule is not None:
            self._schedule.push_soon(list_id)

    def met_unknown(self, list_id: int, secret: str) -> None:
        """A scan met a ticket that nobody has told: ask upstream in the background. Cheap enough for every scan."""
        line = self._lines.get(list_id)
        if line is not None and self._schedule is not None and line.want(secret):
            self._schedule.look_up_soon(list_id)

    def now(self, list_id: int, report: Report = ignore) -> Synced:
        """Push and pull one list now, whatever the schedule says. Never raises for what upstream does."""
        line = self._lines.get(list_id)
        if line is None:
            is_paused = self.report(list_id).state is UpstreamState.PAUSED
            return Synced(list_id, problem="its sync is paused" if is_paused else None)
        problems = []
        pulled = changed = tickets = checkins = 0
        pushed = Pushed()
        try:
            line.push(report, retry_all=True, pushed=pushed)
            if pushed.choked:
                problems.append(f"upstream chokes on {pushed.choked} check-ins; they are tried again")
        except (UpstreamError, StoreError) as error:
            problems.append(f"push: {error}")
        try:
            taken = line.pull(report)
            pulled, changed = taken.tickets, taken.written
            tickets, checkins = taken.held.tickets, taken.held.checkins
        except (UpstreamError, StoreError) as error:
            problems.append(f"pull: {error}")
        if len(problems) == 2 and problems[0].removeprefix("push: ") == problems[1].removeprefix("pull: "):
            problems = [problems[0].removeprefix("push: ")]
        return Synced(
            list_id, pushed.settled, pushed.parked, pulled, changed, tickets, checkins, "; ".join(problems) or None
        )
