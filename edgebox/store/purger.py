"""Purging lists of the box's own database, while it goes on scanning for others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from edgebox.instants import from_text, to_text
from edgebox.store import purge
from edgebox.store.attempts import Attempts
from edgebox.store.db import WRITER_CACHE_KB, Connection, Refused, reading, transaction
from edgebox.store.devices import Devices
from edgebox.store.elsewhere import ListKey, key_of
from edgebox.store.lists import Lists, forget, unsettled
from edgebox.store.purge import PARTS, Part
from edgebox.store.readers import Readers
from edgebox.store.rewriting import Rewriting, giving_way
from edgebox.store.writer import QUIET_SLICE_ROWS, Writer

AT_ONCE_S = 5.0
"""While nobody scans: so long others may have to wait who want to write."""
AT_ONCE_CACHE_KB = 64_000
"""Room for the indexes of a large event: what does not fit is written more than once."""
Report = Callable[[int], None]
"""Takes how many rows have gone so far."""


@dataclass(frozen=True, slots=True)
class Personal:
    """What there is of a list that a purge takes away, and how far one has come."""

    list_id: int
    checkins: int
    unsettled: int
    """Of these: upstream does not have them yet."""
    attempts: int
    tickets: int
    """Those that would go: none while another list of the event needs them."""
    notes: int
    is_begun: bool
    ended_at: datetime | None
    is_rewritten: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """What a purge took away."""

    checkins: int = 0
    attempts: int = 0
    tickets: int = 0
    devices: tuple[str, ...] = ()
    """Names of the devices that have no list any more."""


class Purger:
    """Takes the personal data of lists away. One purge at a time (the caller sees to it)."""

    def __init__(
        self,
        readers: Readers,
        writer: Writer,
        lists: Lists,
        devices: Devices,
        attempts: Attempts,
        rewriting: Rewriting,
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._devices = devices
        self._attempts = attempts
        self.rewriting = rewriting

    def look(self, list_id: int) -> Personal:
        """What there is of a list, also of one that was removed. Raises Refused for an unknown one."""
        with self._readers.reading() as connection:
            row = connection.execute(
                "SELECT source_id, begun_at, ended_at, is_rewritten FROM list"
                " LEFT JOIN purge ON purge.list_id = list.id WHERE list.id = ?",
                (list_id,),
            ).fetchone()
            if row is None:
                raise Refused(f"there is no list {list_id}, and there never was (edgebox purge shows them)")
            asked = {"list": list_id, "source": row["source_id"]}

            def count(statement: str) -> int:
                return int(connection.execute(f"SELECT count(*) FROM {statement}", asked).fetchone()[0])

            going = (
                "ticket WHERE source_id = :source AND NOT EXISTS (SELECT 1 FROM list WHERE source_id = :source"
                " AND id <> :list AND removed_at IS NULL)"
            )
            return Personal(
                list_id=list_id,
                checkins=count("checkin WHERE list_id = :list"),
                unsettled=unsettled(connection, list_id),
                attempts=count("attempt WHERE list_id = :list"),
                tickets=count(going),
                notes=count(f"note WHERE ticket_id IN (SELECT id FROM {going})"),
                is_begun=row["begun_at"] is not None,
                ended_at=from_text(row["ended_at"]) if row["ended_at"] else None,
                is_rewritten=bool(row["is_rewritten"]),
            )

    def last_checkin_at(self, list_id: int) -> datetime | None:
        """When a check-in of the list was last recorded, of those that are settled: while others are there, nothing is
        purged anyway. Quick, however many there are."""
        with self._readers.reading() as connection:
            row = connection.execute(
                "SELECT received_at FROM checkin INDEXED BY checkin_settled WHERE list_id = ?"
                " ORDER BY settled_number DESC LIMIT 1",
                (list_id,),
            ).fetchone()
        return from_text(row["received_at"]) if row else None

    def unfinished(self) -> list[int]:
        """Lists of which a purge was begun and not ended."""
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT list_id FROM purge WHERE ended_at IS NULL ORDER BY list_id")
            return [row["list_id"] for row in rows]

    def ended(self) -> list[ListKey]:
        """Lists that were purged."""
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT list_id FROM purge WHERE ended_at IS NOT NULL ORDER BY list_id")
            return [key_of(connection, row["list_id"]) for row in rows.fetchall()]

    def needs_rewriting(self) -> bool:
        """Whether traces of a purged list may be left in the database's files."""
        with self._readers.reading() as connection:
            return bool(connection.execute("SELECT 1 FROM purge WHERE is_rewritten = 0 LIMIT 1").fetchone())

    def begin(self, list_id: int, at: datetime, *, abandons: bool = False) -> None:
        """The list is on the box no longer, and whatever happens, its purge goes on (`run`).

        Raises Refused while check-ins are not at upstream, unless it `abandons` them.
        """

        def job(connection: Connection) -> None:
            waiting = unsettled(connection, list_id)
            if waiting and not abandons:
                raise Refused(
                    f"{waiting} check-ins of list {list_id} are not at the ticket server; nothing was purged: sync "
                    "first (edgebox sync), and retry or dismiss the parked ones (edgebox attention)"
                )
            if connection.execute("SELECT 1 FROM list WHERE id = ? AND removed_at IS NULL", (list_id,)).fetchone():
                forget(connection, list_id, at)
                self._writer.after_commit(lambda: self._lists.reload(connection))
            connection.execute("INSERT OR IGNORE INTO purge (list_id, begun_at) VALUES (?, ?)", (list_id, to_text(at)))

        self._writer.write(job)

    def run(self, list_id: int, at: datetime, report: Report = lambda rows: None) -> Gone:
        """Take everything away of a list whose purge was begun, in slices. Where it is interrupted, it can go on."""
        while self._attempts.has_of(list_id):  # they ride along with whatever is written
            self._writer.write(lambda connection: connection.execute("UPDATE counter SET probes = probes + 1"))
        with self._readers.reading() as connection:
            (source_id,) = connection.execute("SELECT source_id FROM list WHERE id = ?", (list_id,)).fetchone()
        gone: dict[str, int] = {}
        for part in PARTS:
            for rows in self._slices(part, list_id, source_id):
                gone[part.table] = gone.get(part.table, 0) + rows
                report(sum(gone.values()))
        devices: list[str] = []

        def finish(connection: Connection) -> None:
            found = purge.finish(connection, list_id, source_id, to_text(at))
            devices.extend(row["name"] for row in found)
            self._attempts.forget_devices([row["id"] for row in found])
            self._writer.after_commit(lambda: self._devices.reload(connection))

        self._writer.write(finish)
        return Gone(gone.get("checkin", 0), gone.get("attempt", 0), gone.get("ticket", 0), tuple(devices))

    def rewrite(self, *, within_s: float) -> bool:
        """See that no trace of purged lists is left in the files; False: nobody would let it yet."""

        def done(connection: Connection) -> None:
            connection.execute("UPDATE purge SET is_rewritten = 1 WHERE ended_at IS NOT NULL")

        return self.rewriting.run(done, within_s=within_s)

    def _slices(self, part: Part, list_id: int, source_id: int) -> Iterator[int]:
        """Does the work, slice by slice; how many rows each took."""
        with self._readers.reading() as connection:
            ids = part.ids(connection, list_id, source_id)
        while ids:
            taken = self._many(part, ids) if self.rewriting.is_quiet() else 0
            if not taken:
                taken = min(len(ids), self._writer.slice_rows())
                self._writer.write_slice(partial(_take, part=part, ids=ids[:taken]))
            del ids[:taken]
            yield taken

    def _many(self, part: Part, ids: list[int]) -> int:
        """As many as can be taken in a while, in one transaction: each page of the indexes is written once for all of
        them. How many; 0 where a scan came, and all is as it was."""

        def work(connection: Connection) -> int:
            taken, until_s = 0, time.monotonic() + AT_ONCE_S
            connection.execute(f"PRAGMA cache_size = -{AT_ONCE_CACHE_KB}")
            try:
                with transaction(connection):
                    while taken < len(ids) and time.monotonic() < until_s:
                        part.take(connection, ids[taken : taken + QUIET_SLICE_ROWS])
                        taken += len(ids[taken : taken + QUIET_SLICE_ROWS])
            finally:
                connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
            return taken

        return self._writer.alone(partial(giving_way, writer=self._writer, work=work)) or 0


def _take(connection: Connection, part: Part, ids: list[int]) -> None:
    part.take(connection, ids)


@dataclass(frozen=True, slots=True)
class Remains:
    """One count: attempts of a minute, with one item, direction and verdict. Item and variation 0: none, or unknown."""

    list_id: int
    list_name: str
    catalog: str | None
    minute: datetime
    item_id: int
    variation_id: int
    direction: str
    verdict: str
    count: int


def remains(connection: Connection, list_id: int | None = None) -> Iterator[Remains]:
    """What remains of purged lists, in order of list and time; streams."""
    with reading(connection):
        rows = connection.execute(
            "SELECT remains.*, list.name AS list_name, catalog FROM remains JOIN list ON list.id = list_id"
            " JOIN source ON source.id = source_id WHERE ? IS NULL OR list_id = ? ORDER BY list_id, minute",
            (list_id, list_id),
        )
        for row in rows:
            yield Remains(
                list_id=row["list_id"],
                list_name=row["list_name"],
                catalog=row["catalog"],
                minute=from_text(f"{row['minute']}:00.000000+00:00"),
                item_id=row["item_id"],
                variation_id=row["variation_id"],
                direction=row["direction"],
                verdict=row["verdict"],
                count=row["count"],
            )
