"""Whether a database can be believed: what shows at a glance, what a look through all of it shows, what errors say.

At the start there is only the glance: a box must serve within two seconds, and reading 100,000 tickets and as many
check-ins from a card takes longer. All of it is looked through beside the scans, soon after each start, when a copy is
made, and when an error says that something is wrong. What is found then is written down for the next start, which
restores the database (`edgebox.store.restoring`).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edgebox.store import migrations, wal
from edgebox.store.copying import full_check
from edgebox.store.db import Connection, StoreError, connect, is_damage, peek, reading
from edgebox.store.longwork import LongWork
from edgebox.store.pages import MAGIC

log = logging.getLogger(__name__)

NOTICE = "edgebox.damaged"
"""The file that tells the next start what is wrong."""

_AT_A_GLANCE = ("counter", "source", "list", "device", "device_list", "sqlite_sequence")
"""Small tables without which nothing works."""
_HEAD_BYTES = 100


def look_over(path: Path) -> str | None:
    """What is wrong with a database as far as a glance tells, in words; None where that is nothing. Changes nothing.

    Nobody may be writing it. What has other reasons (no room, no permission) is not told here.
    """
    try:
        if not path.exists():
            return "it is missing"
        if not path.is_file():
            return None
        if path.stat().st_size == 0:
            return "it is empty"
        with closing(peek(path)) as connection, reading(connection):
            return _glance(connection) or _look_at_the_files(path)
    except StoreError as error:
        return str(error.__cause__) if is_damage(error.__cause__) else None
    except sqlite3.Error as error:
        return str(error)
    except OSError:
        return None


def _glance(connection: Connection) -> str | None:
    have = migrations.applied(connection)
    if have == 0:
        return "it holds nothing"
    if have > migrations.all_steps()[-1][0]:
        return None  # a newer edgebox's, which has other tables perhaps
    for table in _AT_A_GLANCE:
        connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.execute("SELECT * FROM checkin ORDER BY id DESC LIMIT 1").fetchall()
    return None


def _look_at_the_files(path: Path) -> str | None:
    if wal.has_lost_commits(path):
        return "its log is damaged in the middle"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    page_size = int.from_bytes(head[16:18], "big") or 65536
    is_told = head.startswith(MAGIC) and head[24:28] == head[92:96]
    pages = int.from_bytes(head[28:32], "big") if is_told else 0
    held = path.stat().st_size // page_size
    if held < pages and not wal.holds_pages(path, range(held + 1, pages + 1)):
        return f"its end is missing: it has {held} of {pages} pages"
    return None


class Soundness:
    """Whether the database of a box that runs is still whole. Thread-safe."""

    def __init__(self, path: Path, long_work: LongWork, problem: str | None = None) -> None:
        self._path = path
        self._notice = path.with_name(NOTICE)
        self._long_work = long_work
        self.problem = problem
        """What is wrong, in words; None while nothing is known to be."""
        self.is_suspected = threading.Event()
        """An error says that something may be wrong: look through all of it."""
        self.on_suspicion: Callable[[], None] = lambda: None

    def suspect(self, error: BaseException | None) -> None:
        """Take note of an error that somebody met; cheap where it says nothing about the database."""
        if is_damage(error) and not self.is_suspected.is_set():
            log.error("the database may be damaged (%s); all of it is being checked", error)
            self.is_suspected.set()
            self.on_suspicion()

    def found(self, error: sqlite3.Error) -> None:
        """It could not even be opened; the next start looks through all of it before it tries again."""
        if is_damage(error):
            self._leave_notice(str(error))

    def check(self) -> str | None:
        """Look through all of it while others go on, and keep what is found for the next start. Raises Stopped."""
        self.is_suspected.clear()
        try:
            with closing(connect(self._path, read_only=True)) as connection, self._long_work.on(connection):
                problem = full_check(connection)
        except sqlite3.Error as error:
            problem = str(error) if is_damage(error) else None
        except StoreError:
            problem = None  # it cannot be read at all just now: nothing is known
        if problem is not None and problem != self.problem:
            log.error("the database is damaged (%s); the next start restores it", problem)
            self._leave_notice(problem)
        self.problem = problem or self.problem
        return problem

    def _leave_notice(self, problem: str) -> None:
        try:
            self._notice.write_text(problem, "utf-8")
        except OSError as error:
            log.error("the next start cannot be told (%s)", error.strerror)
