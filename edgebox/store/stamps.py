"""What the box's clock said when it was not to be believed, corrected once the time is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.model import ConflictReason, StampKind
from edgebox.store.db import Connection
from edgebox.store.journal import open_conflict
from edgebox.store.lists import Lists
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer

_KEPT = "checkin.state = 'kept' AND stamp = 'untrusted'"
"""Exits that are not pushed: their order among the entries, which are corrected, says who is inside."""

_UNTRUSTED = (
    "SELECT id, list_id, datetime, boot_id, boottime_s FROM checkin INDEXED BY checkin_pending"
    " WHERE state = 'pending' AND stamp = 'untrusted'"
    " UNION ALL SELECT checkin.id, list_id, datetime, boot_id, boottime_s FROM checkin INDEXED BY checkin_untrusted"
    " JOIN list ON list.id = list_id JOIN source ON source.id = source_id"
    # On a list from a file nothing is ever pushed, so no time is corrected.
    f" WHERE {_KEPT} AND kind <> 'file' ORDER BY id"
)


class Stamps:
    """The journal's times, as far as the box itself stamped them."""

    def __init__(self, readers: Readers, writer: Writer, lists: Lists) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists

    def has_kept(self, list_id: int) -> bool:
        """Whether there are exits on a list, kept here, whose time may have to be corrected."""
        with self._readers.reading() as connection:
            row = connection.execute(
                f"SELECT 1 FROM checkin INDEXED BY checkin_untrusted WHERE list_id = ? AND {_KEPT} LIMIT 1", (list_id,)
            ).fetchone()
        return row is not None

    def correct(self, boot_id: str, true_time: Callable[[float], datetime | None], at: datetime) -> None:
        """Correct, once, what the box stamped while its clock could not be believed.

        `true_time` gives the time at a number of seconds since this boot, None while nobody knows it: then they stay
        as they are. Those of an earlier boot can never be corrected; they are flagged.
        """
        with self._readers.reading() as connection:
            untrusted = connection.execute(_UNTRUSTED).fetchall()

        def job(connection: Connection) -> None:
            changed: set[int] = set()
            for checkin in untrusted:
                is_lost = checkin["boot_id"] != boot_id
                corrected = None if is_lost else true_time(checkin["boottime_s"])
                if is_lost:
                    note = "stamped before a restart by a clock that could not be believed: its time may be wrong"
                    open_conflict(connection, checkin["id"], ConflictReason.CLOCK_UNTRUSTED, note, at)
                elif corrected is None:
                    continue
                connection.execute(
                    "UPDATE checkin SET stamp = ?, datetime = ? WHERE id = ? AND stamp = ?",
                    (
                        StampKind.UNCORRECTABLE if is_lost else StampKind.CORRECTED,
                        to_text(corrected) if corrected else checkin["datetime"],
                        checkin["id"],
                        StampKind.UNTRUSTED,
                    ),
                )
                changed.add(checkin["list_id"])
            for list_id in changed:
                self._lists.touch(list_id)

        if untrusted:
            self._writer.write(job)

    def last_recorded_at(self) -> datetime | None:
        """The latest instant at which the box recorded anything: no clock that can be believed is before it."""
        with self._readers.reading() as connection:
            row = connection.execute(
                "SELECT received_at FROM checkin WHERE stamp = ? ORDER BY received_at DESC LIMIT 1",
                (StampKind.TRUSTED,),
            ).fetchone()
        return from_text(row[0]) if row else None
