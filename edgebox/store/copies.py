"""Copies of the database in a folder: beside it, what a damaged one is restored from; elsewhere, backups."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgebox.store import files
from edgebox.store.copying import Copying
from edgebox.store.db import Connection, StoreError, peek, reading

FOLDER = "copies"
_NAME = re.compile(r"(?P<number>\d{6,})-(?P<at>\d{8}T\d{6}Z)\.sqlite3", re.ASCII)
_AT = "%Y%m%dT%H%M%SZ"
_PART = ".part"
TRAIL = ".trail"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was found whole when it was made. Later ones have higher numbers, whatever the clock said."""

    path: Path
    number: int
    made_at: datetime

    @property
    def trail(self) -> Path:
        """What has happened since (`edgebox.store.trail`); not every copy has one."""
        return self.path.with_suffix(TRAIL)


class Copies:
    """The copies in one folder. Makes them; Copying lets nobody make two at once."""

    def __init__(self, folder: Path, copying: Copying, *, keeps_sessions: bool = True) -> None:
        """The folder is made where there is one for it. `keeps_sessions`: see Copying."""
        self._folder = folder
        self._copying = copying
        self._keeps_sessions = keeps_sessions

    def all(self) -> list[Copy]:
        """Those that there are, newest first."""
        return in_folder(self._folder)

    def make(self, at: datetime, keep: int, *, wait_s: float = 0.0) -> Copy:
        """Make one and drop the oldest, so that `keep` are left. It takes its name once it is on the disk and whole.

        Raises as Copying does: then nothing of it is left, and the others are untouched.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.sync(self._folder.parent)
            for left in self._folder.glob(f"*{_PART}*"):  # of a box that was killed meanwhile
                left.unlink()
        except OSError as error:
            raise StoreError(f"the copy could not be made ({error.strerror}); the box itself is unharmed") from error
        before = self.all()
        number = before[0].number + 1 if before else 1
        path = self._folder / f"{number:06d}-{at.astimezone(UTC):{_AT}}.sqlite3"
        part = path.with_name(path.name + _PART)
        self._copying.copy_to(part, keeps_sessions=self._keeps_sessions, wait_s=wait_s)
        try:
            files.move(part, path)
            for old in before[keep - 1 :]:
                old.path.unlink(missing_ok=True)
                old.trail.unlink(missing_ok=True)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"the copy could not be kept ({error.strerror}); the box itself is unharmed") from error
        return Copy(path, number, at)

    def has_news(self, connection: Connection, copy: Copy) -> bool:
        """Whether the database holds check-ins, lists, tickets or devices, or knows of settlements, that this copy does
        not. What changes of a ticket alone the ticket server tells again."""
        try:
            with closing(peek(copy.path)) as copied:
                return _state(copied) != _state(connection)
        except StoreError:
            return True


def in_folder(folder: Path) -> list[Copy]:
    """The copies in a folder, newest first."""
    found = []
    for path in folder.glob("*.sqlite3"):
        if match := _NAME.fullmatch(path.name):
            made_at = datetime.strptime(match["at"], _AT).replace(tzinfo=UTC)
            found.append(Copy(path, int(match["number"]), made_at))
    return sorted(found, key=lambda copy: copy.number, reverse=True)


def _state(connection: Connection) -> list[tuple[object, ...]]:
    with reading(connection):
        sequences = "SELECT name, seq FROM sqlite_sequence WHERE name NOT IN ('attempt', 'sync_run') ORDER BY name"
        settled = "SELECT 'settled', max(settled_number) FROM checkin"
        return [tuple(row) for query in (sequences, settled) for row in connection.execute(query)]
