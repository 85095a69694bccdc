"""Which check-ins upstream may have been told of: those cannot be undone here any more.

A push claims a check-in before it sends anything; an undo takes it away before that. Kept in memory: what an earlier
process recorded counts as told, because nobody knows how far that one came.
"""

from __future__ import annotations

import threading

from edgebox.store.db import Connection


class Claims:
    """Thread-safe. Of a claim and an undo of one check-in at the same moment exactly one succeeds."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.Lock()
        # The highest id that was ever given; the table's own pages need not be whole for it.
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'checkin'").fetchone()
        self._told_up_to = int(row[0]) if row else 0
        self._told: set[int] = set()
        self._undone: set[int] = set()

    def claim(self, checkin_id: int) -> bool:
        """A push is about to tell upstream of it; False when it was undone."""
        with self._lock:
            if checkin_id in self._undone:
                return False
            self._told.add(checkin_id)
            return True

    def may_be_told(self, checkin_id: int) -> bool:
        """Whether upstream may know of a check-in that is pending."""
        with self._lock:
            return self._may_be_told(checkin_id)

    def take_back(self, checkin_id: int) -> bool:
        """Keep any push from telling upstream of it; False when that is too late."""
        with self._lock:
            if self._may_be_told(checkin_id):
                return False
            self._undone.add(checkin_id)
            return True

    def give_back(self, checkin_id: int) -> None:
        """The undo, which `take_back` had allowed, came to nothing."""
        with self._lock:
            self._undone.discard(checkin_id)

    def settled(self, checkin_id: int) -> None:
        """Its state says for good that upstream knows of it. (One that is parked may become pending again.)"""
        with self._lock:
            self._told.discard(checkin_id)

    def _may_be_told(self, checkin_id: int) -> bool:
        return checkin_id <= self._told_up_to or checkin_id in self._told
