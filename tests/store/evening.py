"""An evening up to the moment at which the power goes: what lies on the disk then, to be damaged and started from."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edgebox.model import Reason
from edgebox.store.checkpoints import look_at
from edgebox.store.db import DATABASE_NAME
from edgebox.store.restorations import Restoration
from tests.store.venue import EIGHT, LET_IN, Venue, many, told

COPY_AT = EIGHT + timedelta(hours=1)
BEFORE, AFTER = 200, 160
"""Scans before the copy and after it."""
PAGE = 4096


class Evening:
    """A venue with a copy from the middle of the evening. Everything after it is in the log, unless `has_moved`."""

    def __init__(self, data_dir: Path, *, has_moved: bool = False) -> None:
        data_dir.mkdir()
        self.data_dir = data_dir
        self.venue = venue = Venue(data_dir)
        venue.store._writer._checkpoints.close()
        venue.take_in(many(600))
        self._scan(range(BEFORE))
        venue.settle()
        venue.now = COPY_AT
        venue.store.copies.make(COPY_AT, keep=3)
        self.copied = venue.journal
        venue.take_in([*many(600), *(told(f"new{number}", attendee_name=f"Néw Guest {number}") for number in range(5))])
        late = venue.add_device("Late gate")
        venue.store.devices.revoke(venue.add_device("Lost phone").id, venue.now)
        self._scan(range(BEFORE, BEFORE + AFTER // 2))
        venue.settle()
        # Its journal has its own trace of what it was: undone before anybody was told.
        undone = venue.redeem("s0599")
        assert undone.verdict.is_ok
        venue.store.journal.undo(venue.checkin.id, "Lena", "wrong guest", venue.now)
        venue.device = late
        self._scan(range(BEFORE + AFTER // 2, BEFORE + AFTER))
        for number in range(5):
            assert venue.scan(f"new{number}") is LET_IN
        self.journal = venue.journal
        if has_moved:
            self.move()

    def _scan(self, numbers: range) -> None:
        for number in numbers:
            assert self.venue.scan(f"s{number:04d}", nonce=f"nonce{number}") is LET_IN

    def move(self) -> None:
        """The log's content into the database; nothing is left in the log."""
        with closing(sqlite3.connect(self.data_dir / DATABASE_NAME)) as connection:
            busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert (busy, frames, moved) == (0, 0, 0)

    def power_goes(self, to: Path, *, with_copies: bool = True) -> Path:
        """What lies on the disk, in another data directory; its database."""
        to.mkdir()
        for ending in ("", "-wal"):
            shutil.copyfile(self.data_dir / f"{DATABASE_NAME}{ending}", to / f"{DATABASE_NAME}{ending}")
        if with_copies:
            shutil.copytree(self.data_dir / "copies", to / "copies")
        return to / DATABASE_NAME

    @property
    def frames(self) -> int:
        """In the log."""
        return look_at(self.data_dir / f"{DATABASE_NAME}-wal").frames

    def pages_of(self, name: str) -> list[int]:
        """The pages of a table or an index, its first one first."""
        with closing(sqlite3.connect(self.data_dir / DATABASE_NAME)) as connection:
            query = "SELECT pageno FROM dbstat WHERE name = ? ORDER BY path = '/' DESC, path"
            return [row[0] for row in connection.execute(query, (name,))]

    def close(self) -> None:
        self.venue.close()


def spoil(path: Path, *pages: int, content: bytes = b"\xa5" * PAGE) -> None:
    """Overwrite pages of a database."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(content)


def spoil_frame(path: Path, number: int, at: int = 1000) -> None:
    """Change a byte of a frame of a database's log: in its page, or (`at` below 0) in its head."""
    with path.with_name(f"{path.name}-wal").open("r+b") as file:
        place = 32 + (number - 1) * (24 + PAGE) + 24 + at
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 0xFF]))


def left_damaged(evening: Evening, to: Path) -> Path:
    """A copy is needed where the database has a bad page, none where its log has."""
    database = evening.power_goes(to)
    log = database.with_name(f"{DATABASE_NAME}-wal")
    if log.exists() and log.stat().st_size:
        spoil_frame(database, evening.frames - 60)
    else:
        spoil(database, 1)
    return database


def facts(journal: list[Any]) -> list[tuple[object, ...]]:
    """What a journal says, in its order."""
    return [(row.checkin, row.order_code, row.attendee_name, row.list_name, row.cancellation) for row in journal]


def last_before(journal: list[Any], lost: set[int]) -> datetime:
    """When the last check-in was received before the first that is lost."""
    first = min(lost)
    received: datetime = max(row.checkin.received_at for row in journal if row.checkin.id < first)
    return received


def report_of(venue: Venue) -> Restoration:
    (report,) = venue.store.restorations.unseen()
    return report


def assert_whole(venue: Venue) -> None:
    connection = venue.store.reading()
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def assert_works(venue: Venue) -> None:
    """It goes on as if nothing had been: who is in stays out, who is not comes in, and what is settled stays so."""
    assert venue.scan("s0000") is Reason.ALREADY_REDEEMED
    assert venue.scan("s0500") is LET_IN
    assert venue.checkin.id > AFTER + BEFORE, "no id is given twice"
    assert "Gate 1" in {device.name for device in venue.store.devices.all()}
    venue.pull(told("afterwards"))
    assert venue.scan("afterwards") is LET_IN
