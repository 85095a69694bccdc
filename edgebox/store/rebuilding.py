"""A new database that is built beside the old one, and takes its place when it is complete.

Nothing of the old one is changed: its files move into a folder of their own, with a report. Each step can be cut short
by a power cut: what is built (`.restored`) is complete, and the next start goes on with it; what is being built
(`.restoring`) is begun anew.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from edgebox.store import copies, files, migrations, restorations
from edgebox.store.db import DATABASE_NAME, Connection, StoreError, peek, quoted
from edgebox.store.findings import Findings
from edgebox.store.restorations import FOLDER, REPORT, Restoration
from edgebox.store.salvage import Salvaged, salvage
from edgebox.store.wal import beside

ENDINGS = ("", "-wal", "-shm")
"""What belongs to a database."""
BUILDING = ".restoring"
_BUILT, _BUILT_REPORT = ".restored", ".restored.json"
_UNFINISHED = "unfinished"

Find = Callable[[Connection], AbstractContextManager[Findings]]
"""Opens what is to be brought in, for a connection to the database that is to have it."""


def build(data_dir: Path, base: Path, find: Find) -> Salvaged:
    """A whole database in a file of its own, on the disk: the base, with what is found beside it.

    Raises StoreError, OSError: then nothing was changed.
    """
    path = data_dir / DATABASE_NAME
    building = beside(path, BUILDING)
    remove(building)
    _require_room(base, data_dir)
    try:
        _copy_base(base, building)
        with closing(sqlite3.connect(f"file:{quoted(building)}", uri=True, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            migrations.apply(connection)
            with find(connection) as findings:
                done = salvage(connection, findings)
    except sqlite3.Error as error:
        remove(building)
        raise StoreError(f"the database {path} cannot be restored ({error}); nothing of it was changed") from error
    files.sync(building)
    return done


def take_over(data_dir: Path, report: Restoration) -> None:
    """What was built becomes the database; what it replaces is kept where the report says. Raises OSError."""
    path = data_dir / DATABASE_NAME
    restorations.write(beside(path, _BUILT_REPORT), report)
    files.move(beside(path, BUILDING), beside(path, _BUILT))
    put_in_place(data_dir)


def is_built(data_dir: Path) -> bool:
    """Whether a database was built that has not taken its place yet."""
    return beside(data_dir / DATABASE_NAME, _BUILT).exists()


def free_name(data_dir: Path, at: datetime) -> str:
    """Of a folder for what is replaced, within the data directory."""
    return _free(data_dir, f"{FOLDER}/{at.astimezone(UTC):%Y%m%dT%H%M%SZ}")


def _require_room(base: Path, data_dir: Path) -> None:
    needed = 2 * base.stat().st_size
    if shutil.disk_usage(data_dir).free < needed:
        raise StoreError(
            f"there is too little room to restore the damaged database from {base}; nothing of it was changed: "
            f"free at least {needed // 1_000_000 + 1} MB and start again"
        )


def _copy_base(base: Path, building: Path) -> None:
    os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(peek(base)) as source,
        closing(sqlite3.connect(building, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _free(data_dir: Path, name: str) -> str:
    return next(
        free for number in count(1) if not (data_dir / (free := name if number == 1 else f"{name}-{number}")).exists()
    )


def put_in_place(data_dir: Path) -> None:
    """Move the old files away and what was built into their place; goes on where it was cut short."""
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
        _keep_copies(data_dir, unfinished)
        if report_path.exists():
            files.move(report_path, unfinished / REPORT)
        files.move(unfinished, data_dir / _kept_in(data_dir, unfinished))
    files.move(beside(path, _BUILT), path)


def _keep_copies(data_dir: Path, unfinished: Path) -> None:
    """Where a backup was put in the place of a database, copies of that one are none of what is there now."""
    report_path, own = beside(data_dir / DATABASE_NAME, _BUILT_REPORT), data_dir / copies.FOLDER
    if report_path.exists() and restorations.read(report_path).is_by_hand and own.exists():
        files.move(own, unfinished / copies.FOLDER)


def _kept_in(data_dir: Path, unfinished: Path) -> str:
    """Where the damaged files are to stay: what the report says, if it can be read."""
    try:
        return restorations.read(unfinished / REPORT).kept_in
    except (OSError, ValueError):
        return _free(data_dir, f"{FOLDER}/unknown")


def remove(building: Path) -> None:
    """What is left of a database that was being built."""
    for file in building.parent.glob(f"{building.name}*"):
        file.unlink()
