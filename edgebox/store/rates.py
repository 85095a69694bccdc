"""How many check-ins a minute, for whoever watches the evening."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edgebox.instants import from_text, to_text
from edgebox.store.readers import Readers

A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MinuteCount:
    """Check-ins that a device, or somebody by hand, made within a minute; `minute` is its beginning."""

    minute: datetime
    device_name: str
    checkins: int


class Rates:
    """Counts the evening's check-ins. Thread-safe. Each row of the journal is read once, however many ask."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._lock = threading.Lock()
        self._counts: dict[tuple[datetime, str], int] = {}
        self._since = datetime.min.replace(tzinfo=UTC)
        self._last_id = 0
        self._undone = 0

    def per_minute(self, since: datetime) -> list[MinuteCount]:
        """What the box recorded since then, in order of time; an undone check-in does not count."""
        with self._lock:
            self._count(since)
            counts = sorted(self._counts.items())
        return [MinuteCount(minute, name, count) for (minute, name), count in counts]

    def _count(self, since: datetime) -> None:
        with self._readers.reading() as connection:
            undone = connection.execute("SELECT count(*) FROM cancellation").fetchone()[0]
            # Anew at first, after an undo, and when the clock was set back.
            if not self._last_id or undone != self._undone or since < self._since:
                self._counts.clear()
                self._last_id = connection.execute(
                    "SELECT coalesce(min(id) - 1, 0) FROM checkin WHERE received_at >= ?", (to_text(since),)
                ).fetchone()[0]
            newest = connection.execute("SELECT coalesce(max(id), 0) FROM checkin").fetchone()[0]
            rows = connection.execute(
                "SELECT substr(received_at, 1, 16) AS minute, coalesce(device.name, staff_name, '?') AS name,"
                " count(*) AS count FROM checkin LEFT JOIN device ON device.id = device_id"
                " WHERE checkin.id > ? AND checkin.id <= ? AND +received_at >= ? AND state <> 'cancelled'"
                " GROUP BY minute, name",
                (self._last_id, newest, to_text(since)),
            )
            for row in rows:
                key = from_text(f"{row['minute']}:00.000000+00:00"), row["name"]
                self._counts[key] = self._counts.get(key, 0) + row["count"]
        self._last_id, self._undone, self._since = newest, undone, since
        for key in [key for key in self._counts if key[0] <= since - A_MINUTE]:
            del self._counts[key]
