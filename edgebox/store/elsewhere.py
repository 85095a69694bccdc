"""Copies of the database, wherever they lie: taking purged lists out of them, too."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edgebox.instants import to_text
from edgebox.store import files, purge, trail
from edgebox.store.copies import TRAIL
from edgebox.store.copying import full_check
from edgebox.store.db import Connection, StoreError, connect, transaction
from edgebox.store.lists import forget
from edgebox.store.migrations import applied, apply, pending
from edgebox.store.pages import MAGIC


@dataclass(frozen=True, slots=True)
class ListKey:
    """What tells a list from any other one, also in another box's database: numbers alone do not."""

    list_id: int
    organizer: str
    event: str
    added_at: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of copies: those that were purged, and those that may hold what was purged, with the reason."""

    done: tuple[Path, ...] = ()
    left: tuple[tuple[Path, str], ...] = ()

    def __add__(self, other: Cleaned) -> Cleaned:
        return Cleaned(self.done + other.done, self.left + other.left)


def key_of(connection: Connection, list_id: int) -> ListKey:
    """Of a list that is or was on the box."""
    row = connection.execute("SELECT organizer, event, added_at FROM list WHERE id = ?", (list_id,)).fetchone()
    return ListKey(list_id, row["organizer"], row["event"], row["added_at"])


def clean_folder(
    folder: Path, lists: Sequence[ListKey], at: datetime, *, own: Collection[Path] = (), keeps_schema: bool = False
) -> Cleaned:
    """Take lists out of every copy in a folder and the folders in it, but for what is the box's `own`.

    What cannot be looked into is named. `keeps_schema`: see `clean`.
    """
    cleaned = Cleaned()
    if not folder.is_dir():
        return Cleaned(left=((folder, "it is not there now"),))
    for path in _files(folder, own):
        try:
            if path.suffix == TRAIL:
                is_done = clean_trail(path, lists)
            else:
                is_done = clean(path, lists, at, keeps_schema=keeps_schema)
            cleaned += Cleaned(done=(path,)) if is_done else Cleaned()
        except (OSError, sqlite3.Error, StoreError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            cleaned += Cleaned(left=((path, why),))
    return cleaned


def clean(path: Path, lists: Sequence[ListKey], at: datetime, *, keeps_schema: bool = False) -> bool:
    """Take lists out of one copy; False where none of them is in it. It is checked afterwards.

    One that an older edgebox has made is brought up to date for that, unless it `keeps_schema`: then it is an error.
    Raises StoreError for a file that cannot be understood, OSError and sqlite3.Error.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise StoreError("it is no copy of a database: delete it if it holds names or codes")
    with closing(connect(path, read_only=True)) as connection:
        is_older = bool(pending(connection))
        if is_older and (keeps_schema or not applied(connection)):
            raise StoreError("it was made by an older edgebox, or by something else: delete it if it is a backup")
        is_in = _knows if is_older else _holds
        found = [key for key in lists if is_in(connection, key)]
    if not found:
        return False
    with closing(connect(path)) as connection:
        try:
            apply(connection)
            for key in (key for key in found if _holds(connection, key)):
                _purge(connection, key.list_id, at)
            for merge in purge.merges():
                if not merge(connection):
                    break
            connection.execute("VACUUM")
        finally:
            # It stands alone again: no file beside it.
            connection.execute("PRAGMA journal_mode = DELETE")
        if full_check(connection) is not None:
            raise StoreError("it is not whole: delete it, and make a new one")
    files.sync(path)
    return True


def clean_trail(path: Path, lists: Sequence[ListKey]) -> bool:
    """Take lists out of what followed a copy, which lies beside it; False where nothing of them is in it. Without its
    copy nobody can say whose it is, nor do anything with it: it goes.

    Whoever is writing it has to open it anew. Raises as `clean` does.
    """
    of = path.with_suffix(".sqlite3")
    if not of.exists():
        path.unlink()
        return True
    with closing(connect(of, read_only=True)) as connection:
        found = [key.list_id for key in lists if _knows(connection, key)]
    return trail.purge(path, found) if found else False


def _knows(connection: Connection, key: ListKey) -> bool:
    """Whether the list is or was in it."""
    same = "SELECT 1 FROM list WHERE id = ? AND organizer = ? AND event = ? AND added_at = ?"
    return bool(connection.execute(same, (key.list_id, key.organizer, key.event, key.added_at)).fetchone())


def _holds(connection: Connection, key: ListKey) -> bool:
    """Whether the list is in it and not purged yet."""
    done = "SELECT 1 FROM purge WHERE list_id = ? AND is_rewritten"
    return _knows(connection, key) and not connection.execute(done, (key.list_id,)).fetchone()


def _purge(connection: Connection, list_id: int, at: datetime) -> None:
    """All at once: nobody waits for a copy."""
    with transaction(connection):
        (source_id,) = connection.execute("SELECT source_id FROM list WHERE id = ?", (list_id,)).fetchone()
        forget(connection, list_id, at)
        connection.execute(
            "INSERT OR IGNORE INTO purge (list_id, begun_at, is_rewritten) VALUES (?, ?, 1)", (list_id, to_text(at))
        )
        for part in purge.PARTS:
            part.take(connection, part.ids(connection, list_id, source_id))
        purge.finish(connection, list_id, source_id, to_text(at))
        connection.execute("UPDATE purge SET is_rewritten = 1 WHERE list_id = ?", (list_id,))


def _files(folder: Path, own: Collection[Path]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(place, name) not in own)
        for name in sorted(names):
            path = Path(place, name)
            # What SQLite had beside a copy goes with it; sockets and the like hold nothing.
            if path not in own and path.is_file() and not path.is_symlink():
                yield path
