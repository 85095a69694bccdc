"""A sync that somebody at a page asked for: it runs by itself, and the page looks how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from edgebox.sync.line import Progress, Report
from edgebox.sync.outcome import Synced

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ManualRun:
    """One run over some lists, as far as it is. `ended_at` None: it goes on."""

    list_ids: tuple[int, ...]
    ended_at: datetime | None = None
    progress: dict[int, Progress] = field(default_factory=dict)
    """By list: what is being done."""
    outcomes: list[Synced] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.ended_at is not None

    @property
    def is_ok(self) -> bool:
        """Whether all of it is done and went well."""
        return len(self.outcomes) == len(self.list_ids) and all(
            synced.problem is None and not synced.parked for synced in self.outcomes
        )


class ManualSync:
    """Starts runs, one at a time. Thread-safe."""

    def __init__(self, now: Callable[[], datetime], sync_one: Callable[[int, Report], Synced]) -> None:
        self._now = now
        self._sync_one = sync_one
        self._lock = threading.Lock()
        self._run: ManualRun | None = None

    @property
    def last(self) -> ManualRun | None:
        """The run that goes on, or else the last one."""
        return self._run

    def start(self, list_ids: list[int]) -> ManualRun:
        """Begin a run; where one goes on already, that one (pressing twice is harmless)."""
        with self._lock:
            if self._run is not None and not self._run.is_done:
                return self._run
            run = self._run = ManualRun(tuple(list_ids))
        threading.Thread(target=self._work, args=(run,), name="manual-sync", daemon=True).start()
        return run

    def _work(self, run: ManualRun) -> None:
        try:
            for list_id in run.list_ids:

                def report(progress: Progress, list_id: int = list_id) -> None:
                    run.progress[list_id] = progress

                run.outcomes.append(self._sync_one(list_id, report))
                run.progress.pop(list_id, None)
        except Exception:
            log.exception("the sync that somebody asked for ended with a fault")
        finally:
            run.ended_at = self._now()
