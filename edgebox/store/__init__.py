"""The store: SQLite, one writer, readers that never block it. The only package with SQL.

`Store` opens the database of a data directory and hands out its parts, one an aggregate. What a method promises to be
recorded is on the disk when it returns.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from edgebox.store import backups, migrations
from edgebox.store.attempts import Attempts
from edgebox.store.claims import Claims
from edgebox.store.connections import Connections
from edgebox.store.copies import FOLDER, Copies
from edgebox.store.copying import Copying
from edgebox.store.damage import Soundness
from edgebox.store.db import DATABASE_NAME, Busy, Connection, NotWritable, Refused, StoreError, connect, reading
from edgebox.store.devices import Devices
from edgebox.store.encoded import Encoded
from edgebox.store.held import Held
from edgebox.store.journal import Journal
from edgebox.store.lists import Lists
from edgebox.store.longwork import LongWork
from edgebox.store.notes import Notes
from edgebox.store.numbers import Numbers
from edgebox.store.orders import Orders
from edgebox.store.purger import Purger
from edgebox.store.rates import Rates
from edgebox.store.readers import Readers
from edgebox.store.redeem import Redeemer
from edgebox.store.refusals import Refusals
from edgebox.store.reserve import SIZE_BYTES, Reserve
from edgebox.store.restorations import Restorations
from edgebox.store.restoring import make_sound
from edgebox.store.rewriting import Rewriting
from edgebox.store.runs import Runs
from edgebox.store.snapshots import Snapshots
from edgebox.store.staff import Staff
from edgebox.store.stamps import Stamps
from edgebox.store.tickets import Tickets
from edgebox.store.writer import Writer

__all__ = ["Busy", "NotWritable", "Refused", "Store", "StoreError", "open_for_reading"]

PROBE_EVERY_S = 300.0
"""A commit within this time says that the disk can be written; only without one does a probe write: it wears the card.
In between it is looked whether the file system is still there to be written, which costs nothing."""

PROBE_AFTER_FAILURE_S = 30.0


class Store:
    """The box's memory. Open until `close()`; one at a time for a data directory (the caller holds its lock)."""

    def __init__(
        self,
        data_dir: Path,
        *,
        attempts_max_age_days: float = 30.0,
        attempts_max_count: int = 500_000,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path = data_dir / DATABASE_NAME
        long_work = self._long_work = LongWork()
        self.soundness = Soundness(path, long_work, make_sound(data_dir, now))
        self.restorations = Restorations(data_dir)
        self._copying = Copying(path, long_work)
        self.copies = Copies(data_dir / FOLDER, self._copying)
        try:
            # Keys and names are in it: nobody else may read it, nor the files that SQLite makes beside it (same mode).
            os.close(os.open(path, os.O_RDWR))
            path.chmod(0o600)
        except OSError as error:
            raise NotWritable(f"the database {path} cannot be opened: {error.strerror}") from error
        self.reserve = Reserve(data_dir)
        connection = self._opened(path)
        try:
            migrations.apply(connection)
            self._readers = Readers(path, self.soundness.suspect)
            self.attempts = Attempts(attempts_max_age_days, attempts_max_count)
            self._writer = Writer(path, self.attempts)
            self.lists = Lists(connection, self._readers, self._writer)
            self.connections = Connections(connection, self._readers, self._writer, self.lists)
            self.devices = Devices(connection, self._writer, self.attempts)
            self.numbers = Numbers(connection)
            self._id = backups.id_of(connection) or ""
            claims = Claims(connection)
        except sqlite3.Error as error:
            self.soundness.found(error)
            raise StoreError(f"the database {path} cannot be used ({error}); it was left as it is") from error
        finally:
            connection.close()
        self.tickets = Tickets(self._readers, now)
        self.encoded = Encoded(self._readers)
        self.journal = Journal(self._readers, self._writer, self.lists, self.numbers, claims)
        self.stamps = Stamps(self._readers, self._writer, self.lists)
        self.held = Held(self._readers, self._writer, self.lists)
        self.snapshots = Snapshots(self._readers, self._writer, self.lists, self.numbers)
        self.orders = Orders(self._readers, self._writer, self.lists, self.numbers)
        self.redeemer = Redeemer(self._writer, self.lists, self.connections, self.numbers, self.attempts)
        self.refusals = Refusals(self._readers, self._writer)
        self.staff = Staff(self._readers, self._writer)
        self.notes = Notes(self._readers, self._writer)
        self.runs = Runs(self._readers, self._writer)
        self.rates = Rates(self._readers)
        self.purger = Purger(
            self._readers, self._writer, self.lists, self.devices, self.attempts, Rewriting(path, self._writer)
        )
        self._writer.on_reopen = self._reload
        self._writer.on_failure = self.soundness.suspect
        self._writer.start()
        self.reserve.keep()

    def _opened(self, path: Path) -> Connection:
        """A connection to write with. Raises NotWritable."""
        try:
            return connect(path)
        except NotWritable as error:
            is_full = shutil.disk_usage(path.parent).free < SIZE_BYTES
            if is_full and self.reserve.give_up():
                return connect(path)
            if is_full:
                raise NotWritable(
                    f"the database {path} cannot be opened, for the disk is full; nothing is lost: free some room on "
                    "it and start again"
                ) from error
            raise

    def reading(self) -> Connection:
        """This thread's read-only connection."""
        return self._readers.get()

    @property
    def is_writable(self) -> bool:
        """Whether the last write succeeded; nothing is written to find out."""
        return self._writer.failure is None

    def write_failure(self) -> str | None:
        """Why the store cannot be written, in words; None when it can. Writes a probe only where nothing else did."""
        if (reason := _unwritable(self._path)) is not None:
            return reason
        last_s = self._writer.last_commit_at_s
        if self.is_writable and last_s is not None and time.monotonic() - last_s < PROBE_EVERY_S:
            return None
        return self._writer.probe(PROBE_EVERY_S if self.is_writable else PROBE_AFTER_FAILURE_S)

    def copy_to(self, path: Path) -> None:
        """A copy of the whole database to take along (`Copying`): with it nobody can forge a session.

        Raises Refused, or StoreError when it cannot be made or is not whole.
        """
        self._copying.copy_to(path)

    def backups_in(self, folder: Path) -> Copies:
        """This database's backups in a folder or on a stick."""
        return backups.copies_in(folder, self._id, self._copying)

    def no_copies(self, wait_s: float) -> AbstractContextManager[None]:
        """Nobody makes a copy until the block ends. Raises Refused where one is being made for longer than `wait_s`."""
        return self._copying.none(wait_s)

    def stop_long_work(self) -> None:
        """Whoever copies or checks the database gives up. To be called until they have ended."""
        self._long_work.stop()

    def close(self) -> None:
        """Write what waits and close the database; no other thread may be reading."""
        # The writer last: who closes the last connection moves what is beside the database into it, and readers cannot.
        self._readers.close()
        self._writer.close()

    def _reload(self, connection: Connection) -> None:
        self.lists.reload(connection)
        self.lists.have_changed()
        self.connections.reload(connection)
        self.devices.reload(connection)
        self.numbers.reload(connection)


def _unwritable(path: Path) -> str | None:
    """What the file system says by itself: a card that fails is mounted read-only by the kernel."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "the disk has become read-only" if found.f_flag & os.ST_RDONLY else None


def open_for_reading(data_dir: Path) -> Connection:
    """A read-only connection beside whatever box runs on the data directory.

    Raises StoreError where there is no database yet, or not one of this edgebox's.
    """
    path = data_dir / DATABASE_NAME
    if not path.exists():
        raise StoreError(f"{data_dir} holds no box yet: start one (edgebox serve) or add a list (edgebox lists add)")
    connection = connect(path, read_only=True)
    try:
        with reading(connection):
            is_older = bool(migrations.pending(connection))
    except StoreError:
        connection.close()
        raise
    if is_older:
        connection.close()
        raise StoreError(f"the database in {data_dir} is older than this edgebox: start the box once (edgebox serve)")
    return connection
