"""A lane: one kind of work for one list, never twice at once and never forgotten."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)

AFTER_A_BUG_S = 30.0


class Lane:
    """Runs `work` when it is due. `work` returns the seconds until it wants to run again, or None."""

    def __init__(self, scheduler: BackgroundScheduler, name: str, work: Callable[[], float | None]) -> None:
        self._scheduler = scheduler
        self._name = name
        self._work = work
        self._lock = threading.Lock()
        self._due_s: float | None = None
        self._is_running = False
        self._is_closed = False

    def soon(self, delay_s: float = 0.0) -> None:
        """Run within `delay_s`, earlier if it was due earlier anyway; again afterwards if it is running now."""
        due_s = time.monotonic() + delay_s
        with self._lock:
            if self._is_closed or (self._due_s is not None and self._due_s <= due_s):
                return
            self._due_s = due_s
            if not self._is_running:
                self._arm()

    def rearm(self) -> None:
        """The wall clock, which the scheduler goes by, has jumped: set the alarm anew."""
        with self._lock:
            if self._due_s is not None and not self._is_running and not self._is_closed:
                self._arm()

    def close(self) -> None:
        """Run no more; what is running ends by itself."""
        with self._lock:
            self._is_closed = True
            with contextlib.suppress(JobLookupError):
                self._scheduler.remove_job(self._name)

    def _arm(self) -> None:
        assert self._due_s is not None
        delay = timedelta(seconds=max(0.0, self._due_s - time.monotonic()))
        self._scheduler.add_job(
            self._run,
            "date",
            run_date=datetime.now(self._scheduler.timezone) + delay,
            id=self._name,
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=sys.maxsize,  # the lane itself sees to it; what the scheduler skipped would be forgotten
        )

    def _run(self) -> None:
        with self._lock:
            if self._is_running or self._is_closed:
                return
            self._is_running = True
            self._due_s = None
        again_s: float | None = AFTER_A_BUG_S
        try:
            again_s = self._work()
        except Exception:
            log.exception("%s failed; it is tried again in %d s", self._name, AFTER_A_BUG_S)
        finally:
            with self._lock:
                self._is_running = False
                if again_s is not None:
                    due_s = time.monotonic() + again_s
                    self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
                if self._due_s is not None and not self._is_closed:
                    self._arm()
