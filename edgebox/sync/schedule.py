"""When push, pull, probe and look-ups happen. The only place that knows APScheduler (with `lane` and `workers`)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler

from edgebox.store import StoreError
from edgebox.sync.lane import Lane
from edgebox.sync.line import Line
from edgebox.sync.workers import Workers
from edgebox.upstream import UpstreamError

log = logging.getLogger(__name__)

# Its own log names every job that is added and that runs.
logging.getLogger("apscheduler").setLevel(logging.WARNING)

DEBOUNCE_S = 0.3
"""A check-in is pushed this soon; what comes meanwhile goes along."""
WATCH_AGAIN_S = 0.1
LOOK_AT_CLOCK_S = 1.0
JUMP_S = 2.0


class LineSchedule:
    """The four lanes of one line."""

    def __init__(self, scheduler: BackgroundScheduler, line: Line) -> None:
        self._line = line
        self._push = Lane(scheduler, f"push:{line.list_id}", self._push_turn)
        self._pull = Lane(scheduler, f"pull:{line.list_id}", self._pull_turn)
        self._watch = Lane(scheduler, f"watch:{line.list_id}", self._watch_turn)
        self._look_up = Lane(scheduler, f"lookup:{line.list_id}", self._look_up_turn)
        self.lanes = (self._push, self._pull, self._watch, self._look_up)
        line.on_back = self._back
        line.on_lost = lambda: self._watch.soon(line.probe_in_s())
        line.on_pull_wanted = lambda: self._pull.soon(line.pull_in_s())
        self._watch.soon()

    def push_soon(self) -> None:
        self._push.soon(DEBOUNCE_S)

    def look_up_soon(self) -> None:
        self._look_up.soon(self._line.look_up_in_s() or 0.0)

    def _back(self) -> None:
        self._push.soon(self._line.push_in_s())
        self._pull.soon(self._line.pull_in_s())

    # A turn returns the seconds until the next one, or None where something else will bring it about.

    def _push_turn(self) -> float | None:
        if not self._line.link.is_online():
            return None  # the watch finds out when upstream is back
        if (wait_s := self._line.push_in_s()) > 0:
            return wait_s
        if not _done(self._line.push):
            return self._line.push_in_s()
        return self._line.next_retry_in_s()

    def _pull_turn(self) -> float | None:
        if not self._line.link.is_online():
            return None
        if (wait_s := self._line.pull_in_s()) == 0:
            _done(self._line.pull_when_due)
            wait_s = self._line.pull_in_s()
        return wait_s

    def _watch_turn(self) -> float | None:
        if self._line.probe_in_s() == 0:
            _done(self._line.probe)
        if self._line.link.is_online():
            self._back()  # a look at the journal now and then: nothing stays behind, whatever else went wrong
        return max(self._line.probe_in_s(), WATCH_AGAIN_S)

    def _look_up_turn(self) -> float | None:
        if self._line.link.is_online() and self._line.look_up_in_s() == 0:
            _done(self._line.look_up)
        return self._line.look_up_in_s()


class Schedule:
    """Runs the lanes of all lines until `stop()`. `wall` tells the seconds since 1970."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._scheduler = BackgroundScheduler(executors={"default": Workers()}, timezone=UTC)
        self._by_list: dict[int, LineSchedule] = {}
        self._stopping = threading.Event()
        self._clock_watch = threading.Thread(target=self._watch_the_clock, name="clock-watch", daemon=True)

    def start(self) -> None:
        self._scheduler.start()
        self._clock_watch.start()

    def stop(self) -> None:
        """Start nothing new; what runs ends by itself."""
        self._stopping.set()
        for list_id in list(self._by_list):
            self.remove(list_id)
        self._scheduler.shutdown()

    def add(self, line: Line) -> None:
        """Look after a line from now on."""
        self._by_list[line.list_id] = LineSchedule(self._scheduler, line)

    def remove(self, list_id: int) -> None:
        """Look after it no longer."""
        schedule = self._by_list.pop(list_id, None)
        for lane in schedule.lanes if schedule else ():
            lane.close()

    def push_soon(self, list_id: int) -> None:
        """A check-in was recorded."""
        if schedule := self._by_list.get(list_id):
            schedule.push_soon()

    def look_up_soon(self, list_id: int) -> None:
        """An unknown ticket waits to be asked for."""
        if schedule := self._by_list.get(list_id):
            schedule.look_up_soon()

    def _watch_the_clock(self) -> None:
        """The scheduler goes by the wall clock. On a box without a clock battery that jumps when the network tells the
        time: then every alarm is set anew, or a sync might wait until an hour that has been already."""
        offset_s = self._wall() - time.monotonic()
        while not self._stopping.wait(LOOK_AT_CLOCK_S):
            now_s = self._wall() - time.monotonic()
            if abs(now_s - offset_s) > JUMP_S:
                log.info("the clock jumped by %.0f s", now_s - offset_s)
                for schedule in list(self._by_list.values()):
                    for lane in schedule.lanes:
                        lane.rearm()
            offset_s = now_s


def _done(work: Callable[[], object]) -> bool:
    """Whether it succeeded; an expected failure is on the link already, a failing disk is logged by the writer."""
    try:
        work()
    except (UpstreamError, StoreError) as error:
        log.debug("%s", error)
        return False
    return True
