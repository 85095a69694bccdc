"""Backups: copies on a stick or in another folder, each with its trail; and putting one in the place of a database.

In the folder each database has a subfolder of its own, by its id: what another box has left there is nobody else's to
push out.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgebox.store import copies, migrations, rebuilding
from edgebox.store.copies import Copies, Copy
from edgebox.store.copying import Copying, full_check, problem_of, row_counts
from edgebox.store.db import DATABASE_NAME, Connection, StoreError, peek
from edgebox.store.findings import Findings, InDatabase, InPages, Several
from edgebox.store.longwork import LongWork
from edgebox.store.pages import Pages
from edgebox.store.restorations import Restoration
from edgebox.store.trail import InTrails, told_until
from edgebox.store.wal import beside

log = logging.getLogger(__name__)

FOLDER = "edgebox-backup"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was found whole, and the trails that go on from it."""

    path: Path
    box_id: str
    made_at: datetime
    trails: tuple[Path, ...]
    told_until: datetime
    """Until then everything is in it."""
    lists: tuple[str, ...]
    checkins: int
    """In the copy itself."""


def id_of(connection: Connection) -> str | None:
    """Whose database it is; None for one that is too old to tell."""
    try:
        return str(connection.execute("SELECT id FROM box").fetchone()[0])
    except sqlite3.OperationalError:
        return None


def copies_in(folder: Path, box_id: str, copying: Copying) -> Copies:
    """Where a database's backups lie in a folder or on a stick. Without what sessions are signed with."""
    return Copies(folder / FOLDER / box_id, copying, keeps_sessions=False)


def find(source: Path) -> Backup:
    """The newest backup that is whole: `source` itself, or in that folder, which may be a stick with one box's backups.

    Raises StoreError, also where there are those of several boxes: somebody has to choose.
    """
    if not source.exists():
        raise StoreError(f"{source} is not there; nothing was done: plug the stick in, and see where it is mounted")
    if source.is_file():
        return _looked_into(source, ())
    folders = _boxes(source)
    if len(folders) > 1:
        names = ", ".join(str(folder) for folder in folders)
        raise StoreError(f"there are backups of several boxes; nothing was done: name one of {names}")
    found = copies.in_folder(folders[0]) if folders else []
    for place, copy in enumerate(found):
        trails = [later.trail for later in reversed(found[: place + 1]) if later.trail.exists()]
        try:
            return _looked_into(copy.path, trails, copy)
        except StoreError as error:
            log.error("%s", error)
    raise StoreError(f"there is no backup in {source} that can be used; nothing was done")


def _boxes(source: Path) -> list[Path]:
    """The folders with a box's backups: the source itself, or those in it."""
    candidates = [source, *source.glob("*"), *source.glob(f"{FOLDER}/*")]
    return [folder for folder in candidates if folder.is_dir() and copies.in_folder(folder)]


def _looked_into(path: Path, trails: Sequence[Path], copy: Copy | None = None) -> Backup:
    problem = problem_of(path, LongWork())
    if problem is not None:
        raise StoreError(f"the backup {path} cannot be used: {problem}")
    with closing(peek(path)) as connection:
        migrations.pending(connection)
        counts = row_counts(connection)
        made_at = copy.made_at if copy else datetime.fromtimestamp(path.stat().st_mtime, UTC)
        lists = [row[0] for row in connection.execute("SELECT name FROM list WHERE removed_at IS NULL ORDER BY id")]
        box_id = id_of(connection) or ""
    told = [until for trail in trails if (until := told_until(trail)) is not None]
    return Backup(path, box_id, made_at, tuple(trails), max([made_at, *told]), tuple(lists), counts["checkin"])


def put_in_place(data_dir: Path, backup: Backup, at: datetime) -> Restoration:
    """Make the data directory's database this backup's, with everything that followed: what its trails tell, and where
    the database that it replaces is the same box's, that one's check-ins. Nobody may be using it.

    Raises StoreError, OSError: then nothing was changed.
    """
    path = data_dir / DATABASE_NAME
    if rebuilding.is_built(data_dir):
        rebuilding.put_in_place(data_dir)
    state = _own(path, backup)

    @contextmanager
    def found(connection: Connection) -> Iterator[Findings]:
        trails = InTrails(connection, backup.trails)
        if state is None:
            yield trails
        elif state == "whole":
            with closing(InDatabase(connection, path)) as in_database:
                yield Several(trails, in_database)
        else:
            with closing(Pages(path, beside(path, rebuilding.BUILDING))) as pages:
                yield Several(trails, InPages(connection, pages))

    done = rebuilding.build(data_dir, backup.path, found)
    is_complete = state == "whole" and not done.known_missing
    since = done.complete_until if done.known_missing else backup.told_until
    report = Restoration(
        at=at,
        problem="",
        kept_in=rebuilding.free_name(data_dir, at),
        copy_made_at=backup.made_at,
        salvaged=done.added,
        brought_up_to_date=done.brought_up_to_date,
        known_missing=done.known_missing,
        missing_from=None if is_complete else since,
        missing_to=None if is_complete else at,
        seen_at=at if is_complete else None,
    )
    rebuilding.take_over(data_dir, report)
    return report


def _own(path: Path, backup: Backup) -> str | None:
    """How far the database that is to be replaced can be believed: whole or damaged; None where it is another box's, as
    far as can be told, or not there at all."""
    with suppress(StoreError, sqlite3.Error), closing(peek(path)) as connection:
        if not _is_same_box(connection, backup):
            return None
        with suppress(sqlite3.Error):
            return "whole" if full_check(connection) is None else "damaged"
        return "damaged"
    return None


@dataclass(frozen=True, slots=True)
class Own:
    """The database that a backup would replace."""

    is_same_box: bool
    checkins: int
    unsettled: int
    """Of these: the ticket server does not have them yet, as far as this database knows."""


def own(data_dir: Path, backup: Backup) -> Own | None:
    """None where there is none, or it cannot be read."""
    path = data_dir / DATABASE_NAME
    if not path.exists():
        return None
    with suppress(StoreError, sqlite3.Error), closing(peek(path)) as connection:
        count = "SELECT count(*), count(*) FILTER (WHERE state IN ('pending', 'parked')) FROM checkin"
        checkins, unsettled = connection.execute(count).fetchone()
        return Own(_is_same_box(connection, backup), checkins, unsettled)
    return None


def _is_same_box(connection: Connection, backup: Backup) -> bool:
    return bool(backup.box_id) and id_of(connection) == backup.box_id
