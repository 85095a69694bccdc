"""What must not be brought over from a damaged database; and when it is a copy that says that it is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from tests.store.evening import COPY_AT, Evening, assert_whole, facts, report_of, spoil
from tests.store.venue import EIGHT, Venue, many

# --- what must not be brought over ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "state = 'nonsense'", "stamp = ''", "datetime = '2026-13-24T20:00:00.000000+00:00'", "received_at = 'eight'",
        "answers = '[1'", "direction = 'up'", "settled_at = 'yesterday'", "is_forced = 7", "secret = x'05'",
        "nonce = x'00'", "boottime_s = 'long'",
    ],
)  # fmt: skip
def test_a_check_in_that_the_box_could_not_read_is_left_where_it_is(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], change: str
) -> None:
    database = moved.power_goes(tmp_path / "left")
    lost = moved.journal[-1].checkin.id
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"UPDATE checkin SET {change} WHERE id = ?", (lost,))
        connection.commit()
    spoil(database, 1)
    venue = opened(database)
    assert facts(venue.journal) == facts(moved.journal[:-1])
    assert report_of(venue).known_missing == 1
    assert_whole(venue)


@pytest.mark.parametrize("change", ["catalog = '{\"version\": 3'", "kind = 'another'", "told = 'much'"])
def test_a_list_that_the_box_could_not_read_is_left_where_it_is(
    tmp_path: Path, opened: Callable[[Path], Venue], change: str
) -> None:
    venue = Venue(tmp_path)
    venue.store.copies.make(EIGHT, keep=1)
    another = venue.add_list(event="another")
    venue.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection:
        connection.execute(f"UPDATE source SET {change} WHERE id = ?", (another.source.id,))
        connection.commit()
    spoil(tmp_path / DATABASE_NAME, 1)
    venue = opened(tmp_path / DATABASE_NAME)
    assert [list_.event for list_ in venue.store.lists.all()] == ["democon"]
    assert_whole(venue)


@pytest.mark.parametrize("spoiled", ["schema", "attempt"])
def test_no_device_gets_into_a_list_by_a_page_that_was_moved(
    tmp_path: Path, opened: Callable[[Path], Venue], spoiled: str
) -> None:
    """`VACUUM` gives the tables other pages than the copy has them on."""
    venue = Venue(tmp_path)
    venue.take_in(many(2000))
    venue.store.copies.make(EIGHT, keep=1)
    other_list = venue.add_list(event="another").id
    late = venue.add_device("Late gate")
    venue.close()
    database = tmp_path / DATABASE_NAME
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM ticket WHERE id > 5")
        connection.commit()
        connection.execute("VACUUM")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'attempt'").fetchone()[0]
    spoil(database, 1 if spoiled == "schema" else root)
    (tmp_path / NOTICE).write_text("look")
    venue = opened(database)
    lists = {device.name: set(device.list_ids) for device in venue.store.devices.all()}
    assert lists["Gate 1"] == {venue.list_id}
    assert lists.get(late.name, set()) <= {other_list}
    assert_whole(venue)


# --- a copy that knows more -------------------------------------------------------------------------------------------


def test_a_database_that_knows_less_than_its_copy_has_lost_its_end(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    """As when its log is gone: what is left of it is whole, and an hour old."""
    database = moved.power_goes(tmp_path / "left")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM cancellation")
        connection.execute("DELETE FROM checkin WHERE id > 120")
        connection.execute("UPDATE sqlite_sequence SET seq = 120 WHERE name = 'checkin'")
        connection.commit()
    venue = opened(database)
    assert facts(venue.journal) == facts(moved.copied)
    report = report_of(venue)
    assert "lacks what its copy" in report.problem
    assert report.copy_made_at == COPY_AT
    venue.close()
    assert opened(database).store.restorations.unseen() == [report], "once is enough"


def test_what_was_purged_does_not_come_back_for_the_sake_of_a_copy(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM cancellation")
        connection.execute("DELETE FROM checkin")
        connection.commit()
    venue = opened(database)
    assert venue.journal == []
    assert venue.store.restorations.unseen() == []
