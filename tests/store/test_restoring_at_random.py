"""Damages that nobody thought of: sectors of a database and of its log that became something else, drawn by lot."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from edgebox.store.journal import ExportedCheckIn
from tests.store.evening import (
    Evening,
    assert_whole,
    report_of,
)
from tests.store.venue import LET_IN, Venue

SECTOR = 512
UNLUCKY = 25
"""How many are tried."""


# --- whatever happens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(UNLUCKY))
def test_any_damage_leaves_a_whole_database_without_a_row_that_never_was(
    in_log: Evening, moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], seed: int
) -> None:
    dice = random.Random(seed)
    evening = dice.choice((in_log, moved))
    database = evening.power_goes(tmp_path / "left")
    for path in dice.sample([database, database.with_name(f"{DATABASE_NAME}-wal")], dice.choice((1, 1, 2))):
        content = bytearray(path.read_bytes())
        for _ in range(dice.choice((1, 3, 30)) if content else 0):
            # As disks do, by sectors: a single letter that has changed in a text looks like any other.
            length = SECTOR * dice.choice((1, 1, 8, 40))
            start = SECTOR * dice.randrange(len(content) // SECTOR)
            content[start : start + length] = dice.choice((bytes(length), dice.randbytes(length)))
        if content and dice.random() < 0.3:
            del content[dice.randrange(len(content)) :]
        path.write_bytes(content)
    (database.parent / NOTICE).write_text("look through all of it")
    venue = opened(database)
    assert_whole(venue)
    originals = {row.checkin.id: row for row in evening.journal}
    found = {row.checkin.id: row for row in venue.journal}
    assert [row.checkin.nonce for row in evening.copied] == [
        found[row.checkin.id].checkin.nonce for row in evening.copied
    ]
    tickets = {row[0] for row in venue.store.reading().execute("SELECT id FROM ticket")}
    for checkin_id, row in found.items():
        original = originals[checkin_id]
        assert same(row, original)
        # Where its ticket could not be read, one of the same secret stands for it.
        assert row.checkin.ticket_id == original.checkin.ticket_id or original.checkin.ticket_id not in tickets
    if venue.store.restorations.unseen():
        lost = {checkin_id for checkin_id in originals if checkin_id not in found}
        assert report_of(venue).known_missing <= len(lost)
    assert venue.scan("s0500") is LET_IN


def same(row: ExportedCheckIn, original: ExportedCheckIn) -> bool:
    """What makes it this check-in; what it came to since may be lost."""
    names = ("list_id", "secret", "nonce", "datetime", "received_at", "direction", "is_forced", "answers")
    return all(getattr(row.checkin, name) == getattr(original.checkin, name) for name in names)
