"""The threads that lanes run in: as many as are busy at once, and none that a process waits for when it ends.

APScheduler's own pool has neither: its number is fixed, so that some lists whose upstream hangs would starve the
others; and Python waits for its threads at the end, so that one that waits for a name server would keep a stopped box.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from datetime import datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job


class Workers(BaseExecutor):  # type: ignore[misc]  # APScheduler is published without types
    """An executor for APScheduler. A thread that has done its work waits for more: each has a connection of its own to
    the database, which must not be made anew for every turn."""

    def __init__(self) -> None:
        super().__init__()
        self._work: deque[tuple[Any, list[datetime]]] = deque()
        self._wake = threading.Condition()
        self._idle = 0
        self._is_closed = False

    def shutdown(self, wait: bool = True) -> None:
        """Take no more work; what runs ends by itself."""
        with self._wake:
            self._is_closed = True
            self._work.clear()
            self._wake.notify_all()

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        with self._wake:
            if self._is_closed:
                return
            self._work.append((job, run_times))
            if len(self._work) > self._idle:
                threading.Thread(target=self._serve, name="sync", daemon=True).start()
            else:
                self._wake.notify()

    def _serve(self) -> None:
        while True:
            with self._wake:
                self._idle += 1
                self._wake.wait_for(lambda: self._work or self._is_closed)
                self._idle -= 1
                if self._is_closed:
                    return
                job, run_times = self._work.popleft()
            try:
                events = run_job(job, job._jobstore_alias, run_times, self._logger.name)
            except BaseException:
                self._run_job_error(job.id, *sys.exc_info()[1:])
            else:
                self._run_job_success(job.id, events)
