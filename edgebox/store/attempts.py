"""Refused attempts and repeats of a nonce: why was this guest turned away at 19:42?

They wait in memory at most FLUSH_AFTER_S, join the next commit, and may be lost with the power: no scan waits for them
or fails for them. Together with the journal they are the log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edgebox.instants import to_text
from edgebox.model import Direction
from edgebox.store.db import Connection

FLUSH_AFTER_S = 2.0
FLUSH_AT_MOST = 1_000
"""Attempts in one commit: after a long failure of the disk, those that waited must not hold up the scans."""
MAX_WAITING = 20_000
"""Attempts kept in memory while the disk cannot be written; beyond that the oldest go."""
MAX_SECRET_CHARS = 500
SIGHTINGS_EVERY_S = 60.0
"""Seconds between two writes of the devices' last-seen times; what is shown is as of now."""
PRUNE_EVERY = 1_000
"""Attempts between two looks at age and number."""
PRUNE_AT_MOST = 2 * PRUNE_EVERY
"""Attempts dropped at one look: more than have come since the last one, and no scan waits for long."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A redeem that added no row to the journal."""

    list_id: int
    device_id: int | None
    ticket_id: int | None
    secret: str
    nonce: str
    verdict: str
    """`ok` for a repeat of a check-in's nonce, else the true reason of the refusal."""
    is_forced: bool
    at: datetime
    staff_name: str | None = None
    """Who did it by hand, where it was no device."""
    direction: Direction = Direction.ENTRY
    is_to_report: bool = False
    """Upstream wants to know of it."""


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
        self._seen: dict[int, Sighting] = {}
        """The latest of each device, written or not."""
        self._unwritten: set[int] = set()
        """Devices whose latest sighting is not on disk yet."""
        self._oldest_s: float | None = None
        self._flushing: tuple[list[Attempt], list[Sighting]] = ([], [])
        """What the transaction under way writes: taken out of what waits, and put back if it fails."""
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
            before = self._seen.get(sighting.device_id)
            if sighting.user_agent is None and before is not None:
                sighting = replace(sighting, user_agent=before.user_agent)
            self._seen[sighting.device_id] = sighting
            self._unwritten.add(sighting.device_id)

    def sightings(self) -> dict[int, Sighting]:
        """The latest of each device that was heard since the start."""
        with self._lock:
            return dict(self._seen)

    def has_of(self, list_id: int) -> bool:
        """Whether attempts of a list wait to be written."""
        with self._lock:
            return any(attempt.list_id == list_id for attempt in (*self._waiting, *self._flushing[0]))

    def forget_devices(self, device_ids: Iterable[int]) -> None:
        """Nothing is known of these devices any more."""
        with self._lock:
            for device_id in device_ids:
                self._seen.pop(device_id, None)
                self._unwritten.discard(device_id)

    # --- the writer's side (store.writer.Tail) ------------------------------------------------------------------------

    def due_in_s(self) -> float | None:
        """Seconds until the oldest wants its commit; None where none waits."""
        with self._lock:
            return None if self._oldest_s is None else self._oldest_s + FLUSH_AFTER_S - time.monotonic()

    def flush(self, connection: Connection) -> None:
        """Write what waits into the open transaction, and drop what is too old or too many."""
        with self._lock:
            attempts, sightings = self._waiting[:FLUSH_AT_MOST], []
            del self._waiting[:FLUSH_AT_MOST]
            if time.monotonic() >= self._sightings_due_s:
                sightings = [self._seen[device_id] for device_id in self._unwritten]
                self._unwritten.clear()
            self._flushing = (attempts, sightings)
        for attempt in attempts:
            _write(connection, attempt)
        connection.executemany(
            "UPDATE device SET last_seen_at = ?, user_agent = coalesce(?, user_agent) WHERE id = ?",
            [(to_text(s.at), s.user_agent, s.device_id) for s in sightings],
        )
        self._until_prune -= len(attempts)
        if attempts and self._until_prune <= 0:
            self._until_prune = PRUNE_EVERY
            self._prune(connection, newest=attempts[-1].at)

    def done(self, is_written: bool) -> None:
        """Forget what the commit took; where it failed, that waits on with the rest."""
        with self._lock:
            attempts, sightings = self._flushing
            self._flushing = ([], [])
            if not is_written:
                self._waiting = (attempts + self._waiting)[-MAX_WAITING:]
                self._unwritten.update({sighting.device_id for sighting in sightings} & self._seen.keys())
            elif sightings:
                self._sightings_due_s = time.monotonic() + SIGHTINGS_EVERY_S
            self._oldest_s = time.monotonic() if self._waiting else None

    def _prune(self, connection: Connection, newest: datetime) -> None:
        oldest_kept = to_text(newest - self._max_age)
        connection.execute(
            "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE at < ? AND last_at < ? LIMIT ?)",
            (oldest_kept, oldest_kept, PRUNE_AT_MOST),
        )
        # Ids have no gaps but where something was dropped, so a range of ids holds no more attempts than its width.
        connection.execute(
            "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE id <= (SELECT max(id) FROM attempt) - ?"
            " ORDER BY id LIMIT ?)",
            (self._max_count, PRUNE_AT_MOST),
        )


def _write(connection: Connection, attempt: Attempt) -> None:
    """Add an attempt; a repeat of the same nonce with the same verdict only raises the count of the first."""
    at = to_text(attempt.at)
    if attempt.nonce:
        # Not as an upsert, which takes a new id even where it adds no row: ids must tell the number of rows.
        raised = connection.execute(
            "UPDATE attempt SET count = count + 1, last_at = ?"
            " WHERE nonce <> '' AND nonce = ? AND secret = ? AND device_id = ? AND list_id = ? AND verdict = ?",
            (at, attempt.nonce, attempt.secret, attempt.device_id, attempt.list_id, attempt.verdict),
        )
        if raised.rowcount:
            return
    connection.execute(
        "INSERT INTO attempt (list_id, device_id, staff_name, ticket_id, secret, nonce, verdict, is_forced, at,"
        " last_at, direction, to_report) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.list_id,
            attempt.device_id,
            attempt.staff_name,
            attempt.ticket_id,
            attempt.secret,
            attempt.nonce,
            attempt.verdict,
            attempt.is_forced,
            at,
            at,
            attempt.direction,
            attempt.is_to_report,
        ),
    )
