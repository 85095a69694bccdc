"""At the start: a damaged database is restored from its newest good copy, with everything that can be read of it.

Nothing of the damaged one is changed: a new one is built beside it (`edgebox.store.rebuilding`), and when that is on
the disk it takes the place of the damaged files, which are kept.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgebox.store import copies, files, migrations, rebuilding
from edgebox.store.copying import full_check, problem_of
from edgebox.store.damage import NOTICE, look_over
from edgebox.store.db import DATABASE_NAME, Connection, StoreError, connect, peek
from edgebox.store.findings import Findings, InPages
from edgebox.store.longwork import LongWork
from edgebox.store.pages import Pages
from edgebox.store.restorations import Restoration
from edgebox.store.salvage import Salvaged
from edgebox.store.wal import beside

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Base:
    """What a database can be restored from; `made_at` None: from itself."""

    path: Path
    made_at: datetime | None


def make_sound(data_dir: Path, now: Callable[[], datetime]) -> str | None:
    """Before the database is opened: found it where there was none, restore it where it is damaged.

    What is wrong and stays so, in words, where there is nothing to restore it from and it can be read all the same.
    Raises StoreError where it cannot be used, and nothing was changed.
    """
    path = data_dir / DATABASE_NAME
    try:
        if rebuilding.is_built(data_dir):
            rebuilding.put_in_place(data_dir)
        seen = look_over(path)
        if seen is not None and _is_new(data_dir):
            _found(path)
            return None
        is_readable = seen is None
        notice = data_dir / NOTICE
        problem = seen or _look_back(data_dir)
        if problem is None and not notice.exists():
            return None
        problem = problem or _confirmed(path)
        if problem is not None:
            problem = _restore(data_dir, problem, is_readable, now)
        if problem is None:
            notice.unlink(missing_ok=True)
        return problem
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be restored ({error.strerror}); nothing of it was changed: free space on the "
            "disk, see that it can be written, and start again"
        ) from error


def _is_new(data_dir: Path) -> bool:
    """Whether there was no box here yet: neither a database, nor a log with anything in it, nor a copy."""
    path, log_path = data_dir / DATABASE_NAME, beside(data_dir / DATABASE_NAME, "-wal")
    has_log = log_path.exists() and log_path.stat().st_size > 0
    return not path.exists() and not has_log and not copies.in_folder(data_dir / copies.FOLDER)


def _found(path: Path) -> None:
    """A new database takes its name when it is complete: one that is empty under this name was damaged."""
    building = beside(path, rebuilding.BUILDING)
    rebuilding.remove(building)
    os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(connect(building)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            migrations.apply(connection)
    except sqlite3.Error as error:
        raise StoreError(f"the database {path} cannot be made ({error}): see that the disk has room") from error
    files.sync(building)
    files.move(building, path)


def _look_back(data_dir: Path) -> str | None:
    """Whether the newest copy knows of what the database does not: its end was lost, and that of its log with it."""
    for copy in copies.in_folder(data_dir / copies.FOLDER)[:1]:
        told, own = _numbers(copy.path), _numbers(data_dir / DATABASE_NAME)
        knows_more = told and own and any(more > less for more, less in zip(told, own, strict=True))
        if knows_more and problem_of(copy.path, LongWork()) is None:
            return f"it lacks what its copy of {copy.made_at.astimezone():%Y-%m-%d %H:%M} has"
    return None


def _confirmed(path: Path) -> str | None:
    """What a look through all of it shows, after an earlier run had found something wrong."""
    log.warning("an earlier run found the database damaged; all of it is being checked")
    try:
        with closing(peek(path)) as connection:
            problem = full_check(connection)
    except (sqlite3.Error, StoreError) as error:
        problem = str(error)
    if problem is None:
        log.warning("the database is whole")
    return problem


def _restore(data_dir: Path, problem: str, is_readable: bool, now: Callable[[], datetime]) -> str | None:
    """Restore it; what is still wrong, where that is not possible and it can be read. Raises StoreError, OSError."""
    path = data_dir / DATABASE_NAME
    base = next(_bases(data_dir), None)
    if base is None:
        if is_readable:
            log.error("the database %s is damaged: %s; there is no good copy to restore it from", path, problem)
            return problem
        raise StoreError(
            f"the database {path} cannot be used: {problem}. There is no good copy in {data_dir / copies.FOLDER} to "
            "restore it from, and nothing was changed. Put a backup in its place: edgebox restore, with a stick or a "
            "copy that was downloaded from the page Box. To begin anew, with none of its check-ins, move "
            "these files to another folder; keep them, for what is in them can still be read by somebody who knows how"
        )
    log.error("the database %s is damaged: %s", path, problem)
    at = now()
    last_write = _last_write(path) or at

    @contextmanager
    def found(connection: Connection) -> Iterator[Findings]:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        with closing(Pages(path, beside(path, rebuilding.BUILDING), page_size)) as pages:
            yield InPages(connection, pages)

    done = rebuilding.build(data_dir, base.path, found)
    report = _report(data_dir, problem, base, done, at, last_write)
    rebuilding.take_over(data_dir, report)
    log.warning("%s", report.in_words())
    return None


def _bases(data_dir: Path) -> Iterator[_Base]:
    """What it can be restored from, the newest first: itself, where only its log goes on behind a damaged place and
    what is before that is newer than the copies; and these. Each is looked through before it is used."""
    own = _progress(data_dir / DATABASE_NAME)
    for copy in copies.in_folder(data_dir / copies.FOLDER):
        problem = problem_of(copy.path, LongWork()) or _too_new(copy.path)
        if problem is not None:
            log.error("the copy %s cannot be used: %s", copy.path, problem)
            continue
        if own is not None and own >= (_progress(copy.path) or own):
            yield _Base(data_dir / DATABASE_NAME, None)
        yield _Base(copy.path, copy.made_at)
    if own is not None:
        yield _Base(data_dir / DATABASE_NAME, None)


def _progress(path: Path) -> tuple[int, int] | None:
    """How far a database has come; None where it is not whole."""
    try:
        with closing(peek(path)) as connection:
            if full_check(connection) is not None:
                return None
    except (sqlite3.Error, StoreError):
        return None
    return _numbers(path)


def _numbers(path: Path) -> tuple[int, int] | None:
    """Two that only grow, whatever is purged: of check-ins, and of what was told and settled. None where they cannot be
    read."""
    try:
        with closing(peek(path)) as connection:
            checkins = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'checkin'"
            return tuple(connection.execute(f"SELECT ({checkins}), value FROM counter").fetchone())
    except (sqlite3.Error, StoreError):
        return None


def _too_new(path: Path) -> str | None:
    try:
        with closing(peek(path)) as connection:
            migrations.pending(connection)
    except StoreError as error:
        return str(error)
    return None


def _last_write(path: Path) -> datetime | None:
    files_ = [beside(path, ending) for ending in rebuilding.ENDINGS[:2]]
    written = [file.stat().st_mtime for file in files_ if file.exists()]
    return datetime.fromtimestamp(max(written), UTC) if written else None


def _report(
    data_dir: Path, problem: str, base: _Base, done: Salvaged, at: datetime, last_write: datetime
) -> Restoration:
    since = max(filter(None, (done.complete_until, base.made_at)), default=None)
    return Restoration(
        at=at,
        problem=problem,
        kept_in=rebuilding.free_name(data_dir, at),
        copy_made_at=base.made_at,
        salvaged=done.added,
        brought_up_to_date=done.brought_up_to_date,
        known_missing=done.known_missing,
        missing_from=since,
        missing_to=max(last_write, since) if since else last_write,
    )
