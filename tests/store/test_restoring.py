"""A database that is damaged at the start: restored, with all that can be read, and nothing of it thrown away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.model import CheckInState, Reason
from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from tests.store.evening import (
    AFTER,
    BEFORE,
    COPY_AT,
    PAGE,
    Evening,
    assert_whole,
    assert_works,
    facts,
    last_before,
    report_of,
    spoil,
    spoil_frame,
)
from tests.store.venue import EIGHT, LET_IN, Venue, told

# --- whatever the damage: all that can be read is there ---------------------------------------------------------------

WHOLE = pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: spoil(path, 1), id="the head"),
        pytest.param(lambda path: spoil(path, 1, 2, 3, 4, 5, 6, 7, 8, content=bytes(PAGE)), id="the first pages"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[: 8 * PAGE + 77]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_text("notes of the evening"), id="a text"),
        pytest.param(lambda path: path.unlink(), id="missing"),
    ],
)


@WHOLE
def test_while_the_log_has_everything_nothing_is_lost(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue], damage: Callable[[Path], None]
) -> None:
    database = in_log.power_goes(tmp_path / "left")
    damage(database)
    (database.parent / NOTICE).write_text("what a glance may not see")
    venue = opened(database)
    assert facts(venue.journal) == facts(in_log.journal)
    assert_whole(venue)
    if venue.store.restorations.unseen():
        report = report_of(venue)
        assert (report.salvaged, report.known_missing) == (AFTER + 6, 0)
        assert report.copy_made_at == COPY_AT
        assert report.missing_from == in_log.journal[-1].checkin.received_at
    assert_works(venue)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: spoil(path, 1), id="the head"),
        pytest.param(lambda path: spoil(path, 1, 2, 3, 4, content=bytes(PAGE)), id="the first pages"),
    ],
)
def test_rows_are_read_where_nothing_leads_to_them_any_more(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], damage: Callable[[Path], None]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    damage(database)
    venue = opened(database)
    assert facts(venue.journal) == facts(moved.journal)
    assert_whole(venue)
    assert_works(venue)


def test_what_the_gates_need_is_there_as_well(moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]) -> None:
    """Devices, lists and tickets that came after the copy; one that was revoked since stays out."""
    database = moved.power_goes(tmp_path / "left")
    spoil(database, 1)
    venue = opened(database)
    devices = {device.name: device for device in venue.store.devices.all()}
    assert devices["Late gate"].list_ids == (venue.list_id,)
    assert devices["Lost phone"].revoked_at is not None
    found = venue.store.tickets.search(venue.list_, "new guest 3", item_ids=None, by_name=True, limit=5)
    assert [hit.ticket.data.secret for hit in found] == ["new3"]
    assert venue.scan("new3") is Reason.ALREADY_REDEEMED


@pytest.mark.parametrize("states", ["settled", "cancelled"])
def test_what_a_check_in_had_come_to_it_has_come_to(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], states: str
) -> None:
    database = moved.power_goes(tmp_path / "left")
    with closing(sqlite3.connect(database)) as connection:
        # As the copy had them, some were settled since, and one was undone.
        copy = next((tmp_path / "left" / "copies").iterdir())
        with closing(sqlite3.connect(copy)) as copied:
            copied.execute("UPDATE checkin SET state = 'pending', settled_number = NULL WHERE id <= 50")
            copied.commit()
        if states == "cancelled":
            connection.execute("UPDATE checkin SET state = 'cancelled' WHERE id = 7")
            connection.execute(
                "INSERT INTO cancellation VALUES (7, ?, 'Lena', 'why')",
                (moved.journal[0].checkin.received_at.isoformat(timespec="microseconds"),),
            )
            connection.commit()
    spoil(database, 1)
    venue = opened(database)
    by_id = {row.checkin.id: row for row in venue.journal}
    assert report_of(venue).brought_up_to_date == 50
    assert by_id[1].checkin.state is CheckInState.SETTLED
    assert by_id[7].checkin.state is (CheckInState.CANCELLED if states == "cancelled" else CheckInState.SETTLED)
    if states == "cancelled":
        assert by_id[7].cancellation is not None
        assert by_id[7].cancellation.staff_name == "Lena"
    newest = max(row.checkin.id for row in venue.journal if row.checkin.state is CheckInState.SETTLED)
    settled = venue.store.reading().execute("SELECT settled_number FROM checkin WHERE id = ?", (newest,)).fetchone()[0]
    assert venue.request() > settled, "no number is given twice"


# --- what cannot be read is told --------------------------------------------------------------------------------------


def test_check_ins_that_are_lost_are_counted_and_placed_in_time(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    spoil(database, 1, moved.pages_of("checkin")[-2])
    venue = opened(database)
    lost = {row.checkin.id for row in moved.journal} - {row.checkin.id for row in venue.journal}
    assert len(lost) > 3
    assert min(lost) > BEFORE
    report = report_of(venue)
    assert report.known_missing == len(lost)
    assert report.missing_from == last_before(moved.journal, lost)
    assert report.salvaged == AFTER + 6 - len(lost)
    kept = [row for row in moved.journal if row.checkin.id not in lost]
    assert facts(venue.journal) == facts(kept)
    assert_whole(venue)
    assert_works(venue)


def test_the_end_of_the_journal_is_missed_as_well(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    spoil(database, 1, moved.pages_of("checkin")[-1])
    venue = opened(database)
    lost = {row.checkin.id for row in moved.journal} - {row.checkin.id for row in venue.journal}
    assert max(lost) == moved.journal[-1].checkin.id
    assert report_of(venue).known_missing == len(lost)
    assert venue.scan("s0500") is LET_IN
    assert venue.checkin.id == moved.journal[-1].checkin.id + 1


def test_a_check_in_whose_ticket_is_lost_keeps_its_guest_from_coming_in_again(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    spoil(database, 1, *moved.pages_of("ticket"))
    venue = opened(database)
    assert [row.checkin.secret for row in venue.journal] == [row.checkin.secret for row in moved.journal]
    assert venue.scan("new3") is Reason.WITHDRAWN, "until a pull tells of it"
    venue.pull(*(told(f"new{number}") for number in range(5)))
    assert venue.scan("new3") is Reason.ALREADY_REDEEMED
    assert_whole(venue)


def test_a_check_in_whose_device_is_lost_is_kept_without(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    spoil(database, 1, *moved.pages_of("device"))
    venue = opened(database)
    assert [row.checkin.nonce for row in venue.journal] == [row.checkin.nonce for row in moved.journal]
    assert [row.checkin.device_name for row in venue.journal[-5:]] == [None] * 5
    assert venue.journal[0].checkin.device_name == "Gate 1"
    assert_whole(venue)


def test_a_list_that_is_lost_takes_its_check_ins_with_it_and_they_count_as_missing(
    tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    venue = Venue(tmp_path)
    venue.pull(told("t1"), told("t2"))
    assert venue.scan("t1") is LET_IN
    venue.store.copies.make(EIGHT, keep=1)
    list_ = venue.add_list(event="another")
    venue.list_id = list_.id
    venue.pull(told("b1"))
    assert venue.scan("b1") is LET_IN
    venue.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection:
        pages = [connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'list'").fetchone()[0]]
    spoil(tmp_path / DATABASE_NAME, 1, *pages)
    venue = opened(tmp_path / DATABASE_NAME)
    assert [row.checkin.secret for row in venue.journal] == ["t1"]
    assert (report_of(venue).salvaged, report_of(venue).known_missing) == (0, 1)
    assert_whole(venue)


# --- the log ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_copies", [True, False])
@pytest.mark.parametrize("at", [pytest.param(2000, id="its page"), pytest.param(-20, id="its head")])
def test_a_log_that_is_damaged_in_the_middle_loses_nothing_behind_it(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue], at: int, with_copies: bool
) -> None:
    """SQLite would take the damaged place for the end, and say nothing."""
    database = in_log.power_goes(tmp_path / "left", with_copies=with_copies)
    spoil_frame(database, in_log.frames - 60, at)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM checkin").fetchone()[0] < len(in_log.journal)
    venue = opened(database)
    report = report_of(venue)
    assert report.problem == "its log is damaged in the middle"
    assert report.copy_made_at is None, "what is before the damaged place is newer than any copy"
    assert 0 < report.salvaged < 60
    lost = {row.checkin.id for row in in_log.journal} - {row.checkin.id for row in venue.journal}
    assert report.known_missing == len(lost) <= 1
    assert_whole(venue)
    assert_works(venue)


def test_a_log_whose_head_is_damaged_is_read_all_the_same(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = in_log.power_goes(tmp_path / "left")
    spoil_frame(database, 1, at=-24 - 20)
    venue = opened(database)
    assert facts(venue.journal) == facts(in_log.journal)
    assert report_of(venue).problem == "its log is damaged in the middle"
    assert_whole(venue)


def test_what_the_power_cut_off_the_end_of_the_log_is_no_damage(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    """A box that starts after a power cut just starts: nobody was answered for what is torn."""
    for number, cut_bytes in enumerate((1, 100, 4000, 4120, 4121, 9000)):
        database = in_log.power_goes(tmp_path / f"left{number}")
        log = database.with_name(f"{DATABASE_NAME}-wal")
        log.write_bytes(log.read_bytes()[:-cut_bytes])
        venue = opened(database)
        assert venue.store.restorations.unseen() == []
        assert len(venue.journal) >= len(in_log.journal) - 2
    database = in_log.power_goes(tmp_path / "torn")
    spoil_frame(database, in_log.frames)
    venue = opened(database)
    assert venue.store.restorations.unseen() == []
    assert not (tmp_path / "torn" / "replaced").exists()
