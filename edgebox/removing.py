"""Removing a list; what of it upstream does not have yet goes into a file before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO

from edgebox.export import JOURNAL_COLUMNS, journal_row, write_csv
from edgebox.store import Store, StoreError, files
from edgebox.store.db import Connection
from edgebox.store.journal import WAITING, ExportedCheckIn, export

_FOLDER = "exports"


@dataclass(frozen=True, slots=True)
class Exported:
    """The check-ins that upstream did not have when their list was removed, and the file that they stand in."""

    path: Path
    checkins: int


def exports_folder(data_dir: Path) -> Path:
    """Where the files are."""
    return data_dir.absolute() / _FOLDER


def exports_of(data_dir: Path, list_id: int) -> list[Path]:
    """The files with check-ins of this list."""
    folder = exports_folder(data_dir)
    return sorted({*folder.glob(f"*-list-{list_id}.csv"), *folder.glob(f"*-list-{list_id}-*.csv")})


def remove_with_export(store: Store, data_dir: Path, list_id: int, at: datetime) -> Exported | None:
    """Forget a list whatever waits; that is in a file of its own before, as `edgebox export` has it, on the disk.

    None where nothing waits. Raises StoreError where the file cannot be written, and Refused: nothing was removed then.
    """
    file = _File(exports_folder(data_dir), list_id, at)
    # Most of it without the scanners, who would wait for it; what they record meanwhile follows as the list goes.
    file.take(store.reading())
    store.lists.remove(list_id, at, export=file.complete)
    return Exported(file.path, len(file.ids)) if file.path else None


class _File:
    """What of a list waits for upstream, as far as it was taken; no file as long as nothing was."""

    def __init__(self, folder: Path, list_id: int, at: datetime) -> None:
        self.path: Path | None = None
        self.ids: set[int] = set()
        self._folder = folder
        self._list_id = list_id
        self._at = at
        self._last_id = 0

    def complete(self, connection: Connection, waiting: frozenset[int]) -> str | None:
        """Within the job that removes the list: bring the file up to that moment; its name. Raises StoreError."""
        self.take(connection)
        if self.ids != waiting:  # some were undone since: it begins anew
            self._drop()
            self.take(connection)
        return self.path.name if self.path else None

    def take(self, connection: Connection) -> None:
        """Write what was recorded since the last time; it is on the disk when this returns."""
        rows = self._waiting(connection)
        first = next(rows, None)
        if first is None:
            return
        try:
            if self.path is None:
                self.path = self._new(chain([first], rows))
            else:
                with self.path.open("a", encoding="utf-8", newline="") as file:
                    _write(file, chain([first], rows), goes_on=True)
        except OSError as error:
            self._drop()
            raise StoreError(
                f"the check-ins of list {self._list_id} could not be exported ({error.strerror}); nothing was removed"
            ) from error

    def _waiting(self, connection: Connection) -> Iterator[ExportedCheckIn]:
        for row in export(connection, self._list_id, after_id=self._last_id):
            self._last_id = row.checkin.id
            if row.checkin.state in WAITING:
                self.ids.add(row.checkin.id)
                yield row

    def _new(self, rows: Iterator[ExportedCheckIn]) -> Path:
        """A file with mode 0600 that has its name once it is whole."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        files.sync(self._folder.parent)
        part = self._folder / f"list-{self._list_id}.part"
        part.unlink(missing_ok=True)  # of a box that was killed meanwhile
        try:
            created = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(created, "w", encoding="utf-8", newline="") as file:
                _write(file, rows)
            path = self._unused(f"{self._at.astimezone(UTC):%Y%m%dT%H%M%SZ}-list-{self._list_id}")
            files.move(part, path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        return path

    def _unused(self, name: str) -> Path:
        """A clock that was set back must not cost an older export."""
        path, number = self._folder / f"{name}.csv", 2
        while path.exists():
            path, number = self._folder / f"{name}-{number}.csv", number + 1
        return path

    def _drop(self) -> None:
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        self.path, self._last_id = None, 0
        self.ids.clear()


def _write(file: IO[str], rows: Iterator[ExportedCheckIn], *, goes_on: bool = False) -> None:
    write_csv(file, JOURNAL_COLUMNS, map(journal_row, rows), has_head=not goes_on)
    file.flush()
    os.fsync(file.fileno())
