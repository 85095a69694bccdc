"""At the start: a damaged database is restored from its newest good copy, with everything that can be read of it.

Nothing of the damaged one is changed: a new one is built beside it, and when that is on the disk the damaged files move
into a folder of their own, and the new one takes their place. Each step can be cut short by a power cut; the next start
goes on where it was: what is built (`.restored`) is complete, what is being built (`.restoring`) is begun anew.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from edgebox.store import copies, files, migrations, restorations
from edgebox.store.copying import full_check, problem_of
from edgebox.store.damage import NOTICE, look_over
from edgebox.store.db import DATABASE_NAME, StoreError, connect, peek
from edgebox.store.findings import InPages
from edgebox.store.longwork import LongWork
from edgebox.store.pages import Pages
from edgebox.store.restorations import FOLDER, REPORT, Restoration
from edgebox.store.salvage import Salvaged, salvage
from edgebox.store.wal import beside

log = logging.getLogger(__name__)

ENDINGS = ("", "-wal", "-shm")
"""What belongs to a database."""
_BUILDING, _BUILT, _BUILT_REPORT = ".restoring", ".restored", ".restored.json"
_UNFINISHED = "unfinished"


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
        if beside(path, _BUILT).exists():
            _put_in_place(data_dir)
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
    building = beside(path, _BUILDING)
    _remove(building)
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
            f"restore it from, and nothing was changed. Put a backup there under the name {DATABASE_NAME} in its place "
            f"(and move {DATABASE_NAME}-wal and -shm away with it). To begin anew, with none of its check-ins, move "
            "these files to another folder; keep them, for what is in them can still be read by somebody who knows how"
        )
    log.error("the database %s is damaged: %s", path, problem)
    report = _build(data_dir, base, problem, now())
    restorations.write(beside(path, _BUILT_REPORT), report)
    files.move(beside(path, _BUILDING), beside(path, _BUILT))
    _put_in_place(data_dir)
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


def _build(data_dir: Path, base: _Base, problem: str, at: datetime) -> Restoration:
    """A whole database in a file of its own, on the disk; with what came of it."""
    path = data_dir / DATABASE_NAME
    building = beside(path, _BUILDING)
    _remove(building)
    last_write = max(
        (file.stat().st_mtime for ending in ENDINGS[:2] if (file := beside(path, ending)).exists()),
        default=at.timestamp(),
    )
    _require_room(base)
    try:
        _copy_base(base, building)
        with closing(sqlite3.connect(building, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            migrations.apply(connection)
            page_size = connection.execute("PRAGMA page_size").fetchone()[0]
            with closing(Pages(path, building, page_size)) as pages:
                done = salvage(connection, InPages(connection, pages))
    except sqlite3.Error as error:
        _remove(building)
        raise StoreError(f"the database {path} cannot be restored ({error}); nothing of it was changed") from error
    files.sync(building)
    return _report(data_dir, problem, base, done, at, datetime.fromtimestamp(last_write, UTC))


def _require_room(base: _Base) -> None:
    needed = 2 * base.path.stat().st_size
    if shutil.disk_usage(base.path.parent).free < needed:
        raise StoreError(
            f"there is too little room to restore the damaged database from {base.path}; nothing of it was changed: "
            f"free at least {needed // 1_000_000 + 1} MB and start again"
        )


def _copy_base(base: _Base, building: Path) -> None:
    os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(peek(base.path)) as source,
        closing(sqlite3.connect(building, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _free_name(data_dir: Path, name: str) -> str:
    return next(
        free for number in count(1) if not (data_dir / (free := name if number == 1 else f"{name}-{number}")).exists()
    )


def _report(
    data_dir: Path, problem: str, base: _Base, done: Salvaged, at: datetime, last_write: datetime
) -> Restoration:
    since = max(filter(None, (done.complete_until, base.made_at)), default=None)
    return Restoration(
        at=at,
        problem=problem,
        kept_in=_free_name(data_dir, f"{FOLDER}/{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"),
        copy_made_at=base.made_at,
        salvaged=done.added,
        brought_up_to_date=done.brought_up_to_date,
        known_missing=done.known_missing,
        missing_from=since,
        missing_to=max(last_write, since) if since else last_write,
    )


def _put_in_place(data_dir: Path) -> None:
    """Move the damaged files away and what was built into their place; goes on where it was cut short."""
    path = data_dir / DATABASE_NAME
    unfinished = data_dir / FOLDER / _UNFINISHED
    report_path = beside(path, _BUILT_REPORT)
    if not unfinished.exists() and report_path.exists():
        unfinished.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished.mkdir(mode=0o700)
        files.sync(data_dir)
        files.sync(unfinished.parent)
    if unfinished.exists():
        # The log before what it belongs to: a database beside which a foreign log lies would take it for its own.
        for ending in reversed(ENDINGS):
            if (file := beside(path, ending)).exists():
                file.chmod(0o600)
                files.move(file, unfinished / file.name)
        if report_path.exists():
            files.move(report_path, unfinished / REPORT)
        files.move(unfinished, data_dir / _kept_in(data_dir, unfinished))
    files.move(beside(path, _BUILT), path)


def _kept_in(data_dir: Path, unfinished: Path) -> str:
    """Where the damaged files are to stay: what the report says, if it can be read."""
    try:
        return restorations.read(unfinished / REPORT).kept_in
    except (OSError, ValueError):
        return _free_name(data_dir, f"{FOLDER}/unknown")


def _remove(building: Path) -> None:
    for file in building.parent.glob(f"{building.name}*"):
        file.unlink()
