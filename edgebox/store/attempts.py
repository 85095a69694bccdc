"""Refused attempts and repeats of a nonce: why was this guest turned away at 19:42?

They wait in memory at most FLUSH_AFTER_S, join the next commit, and may be lost with the power: no scan waits for them
or fails for them. Together with the journal they are the log.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edgebox.instants import to_text
from edgebox.store.db import Connection

FLUSH_AFTER_S = 2.0
MAX_WAITING = 20_000
"""Attempts kept in memory while the disk cannot be written; beyond that the oldest go."""
MAX_SECRET_CHARS = 500
SIGHTINGS_EVERY_S = 60.0
"""Seconds between two writes of the devices' last-seen times; what is shown is as of now."""
PRUNE_EVERY = 1_000
"""Attempts between two looks at age and number."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A redeem that added no row to the journal."""

    list_id: int
    device_id: int
    ticket_id: int | None
    secret: str
    nonce: str
    verdict: str
    """`ok` for a repeat of a check-in's nonce, else the true reason of the refusal."""
    is_forced: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a device last asked for anything."""

    device_id: int
    at: datetime
    user_agent: str | None


class Attempts:
    """The attempts that wait, and the device sightings that ride along. Thread-safe."""

    def __init__(self, max_age_days: float, max_count: int) -> None:
        self._max_age = timedelta(days=max_age_days)
        self._max_count = max_count
        self._lock = threading.Lock()
        self._waiting: list[Attempt] = []
        self._sightings: dict[int, Sighting] = {}
        self._oldest_s: float | None = None
        self._flushing: tuple[int, dict[int, Sighting]] = (0, {})
        self._sightings_due_s = 0.0
        self._until_prune = 1

    def add(self, attempt: Attempt) -> None:
        """Remember an attempt until the next commit. An endless secret is cut: what is sent must not fill the card."""
        kept = replace(attempt, secret=attempt.secret[:MAX_SECRET_CHARS])
        with self._lock:
            self._waiting.append(kept)
            del self._waiting[:-MAX_WAITING]
            if self._oldest_s is None:
                self._oldest_s = time.monotonic()

    def saw(self, sighting: Sighting) -> None:
        """Remember that a device was heard; written along with something else, never for its own sake."""
        with self._lock:
            self._sightings[sighting.device_id] = sighting

    def sightings(self) -> dict[int, Sighting]:
        """Those that are not on disk yet, by device."""
        with self._lock:
            return dict(self._sightings)

    # --- the writer's side (store.writer.Tail) ------------------------------------------------------------------------

    def due_in_s(self) -> float | None:
        """Seconds until the oldest wants its commit; None where none waits."""
        with self._lock:
            return None if self._oldest_s is None else self._oldest_s + FLUSH_AFTER_S - time.monotonic()

    def flush(self, connection: Connection) -> None:
        """Write what waits into the open transaction, and drop what is too old or too many."""
        with self._lock:
            waiting = list(self._waiting)
            sightings = dict(self._sightings) if time.monotonic() >= self._sightings_due_s else {}
        self._flushing = (len(waiting), sightings)
        connection.executemany(
            "INSERT INTO attempt (list_id, device_id, ticket_id, secret, nonce, verdict, is_forced, at, last_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (nonce, secret, device_id, list_id, verdict) WHERE nonce <> ''"
            " DO UPDATE SET count = count + 1, last_at = excluded.last_at",
            [
                (a.list_id, a.device_id, a.ticket_id, a.secret, a.nonce, a.verdict, a.is_forced, at, at)
                for a, at in ((attempt, to_text(attempt.at)) for attempt in waiting)
            ],
        )
        connection.executemany(
            "UPDATE device SET last_seen_at = ?, user_agent = coalesce(?, user_agent) WHERE id = ?",
            [(to_text(s.at), s.user_agent, s.device_id) for s in sightings.values()],
        )
        self._until_prune -= len(waiting)
        if waiting and self._until_prune <= 0:
            self._until_prune = PRUNE_EVERY
            self._prune(connection, newest=waiting[-1].at)

    def done(self, is_written: bool) -> None:
        """Forget what the commit took; after a failed one everything waits on."""
        count, sightings = self._flushing
        self._flushing = (0, {})
        with self._lock:
            if is_written:
                del self._waiting[:count]
                for device_id, sighting in sightings.items():
                    if self._sightings.get(device_id) is sighting:
                        del self._sightings[device_id]
                if sightings:
                    self._sightings_due_s = time.monotonic() + SIGHTINGS_EVERY_S
            self._oldest_s = time.monotonic() if self._waiting else None

    def _prune(self, connection: Connection, newest: datetime) -> None:
        connection.execute("DELETE FROM attempt WHERE last_at < ? AND at < ?", [to_text(newest - self._max_age)] * 2)
        connection.execute(
            "DELETE FROM attempt WHERE id <= (SELECT id FROM attempt ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (self._max_count,),
        )
