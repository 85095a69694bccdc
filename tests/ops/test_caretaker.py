"""Looking after the database: when it is copied, when not, and what is said where that fails."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.ops import caretaker
from edgebox.ops.caretaker import Caretaker
from edgebox.store import StoreError
from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from edgebox.store.longwork import Stopped
from tests.store.evening import spoil
from tests.store.venue import EIGHT, Venue, full_disk, told, wait_until

INTERVAL_S = 900.0


class Watched(Venue):
    """A venue with a caretaker whose clock stands still until the test moves it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.clock = EIGHT
        self.caretaker = Caretaker(self.store, lambda: self.clock, copy_interval_s=INTERVAL_S, copies_kept=2)
        self.pull(told("t1"), told("t2"), told("t3"))

    def close(self) -> None:
        self.caretaker.stop()
        super().close()

    def numbers(self) -> list[int]:
        return [copy.number for copy in self.store.copies.all()]

    def look_after(self, *, seconds_later: float = 0.0) -> float:
        self.clock += timedelta(seconds=seconds_later)
        return self.caretaker.look_after()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Watched]:
    opened = Watched(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_the_first_copy_is_made_at_the_first_look_and_the_next_an_interval_later(venue: Watched) -> None:
    assert venue.look_after() == INTERVAL_S
    assert venue.numbers() == [1]
    venue.scan("t1")
    assert venue.look_after(seconds_later=600) == 300
    assert venue.numbers() == [1]
    assert venue.look_after(seconds_later=300) == INTERVAL_S
    assert venue.numbers() == [2, 1]
    venue.scan("t2")
    venue.look_after(seconds_later=INTERVAL_S)
    assert venue.numbers() == [3, 2], "the oldest is dropped"


def test_while_nothing_happens_the_card_is_spared(venue: Watched) -> None:
    venue.look_after()
    for _ in range(caretaker.UNCHANGED_INTERVALS - 1):
        assert venue.look_after(seconds_later=INTERVAL_S) == INTERVAL_S
        assert venue.numbers() == [1]
    venue.look_after(seconds_later=INTERVAL_S)
    assert venue.numbers() == [2, 1], "now and then all the same: a ticket may have changed"


def test_a_box_that_starts_again_and_again_does_not_copy_each_time(venue: Watched) -> None:
    venue.look_after()
    venue.scan("t1")
    again = Caretaker(venue.store, lambda: EIGHT + timedelta(seconds=60), copy_interval_s=INTERVAL_S, copies_kept=2)
    assert again.look_after() == INTERVAL_S - 60
    assert venue.numbers() == [1]


def test_a_clock_that_was_set_back_holds_up_no_copy(venue: Watched) -> None:
    venue.look_after()
    assert venue.look_after(seconds_later=-3600 * 24 * 365) == INTERVAL_S
    assert venue.numbers() == [2, 1]
    assert venue.look_after() == INTERVAL_S
    assert venue.numbers() == [2, 1]


def test_a_copy_that_fails_is_told_once_and_tried_again_soon(venue: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert venue.caretaker.report() == caretaker.Care(None, 0, None, None, ())
    with full_disk():
        for _ in range(3):
            assert venue.look_after() == caretaker.AGAIN_AFTER_S
    assert "the copy could not be made" in (venue.caretaker.report().failure or "")
    assert venue.numbers() == []
    venue.look_after()
    report = venue.caretaker.report()
    assert (report.newest, report.copies, report.failure) == (venue.store.copies.all()[0], 1, None)
    said = [record.getMessage() for record in caplog.records if record.name == caretaker.__name__]
    assert len(said) == 3
    assert "could not be made" in said[0]
    assert "can be copied again" in said[1]
    assert "was copied" in said[2]


# --- the check --------------------------------------------------------------------------------------------------------


def test_all_of_it_is_checked_once_after_the_start(venue: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[None] = []
    works = venue.store.soundness.check

    def check() -> str | None:
        checks.append(None)
        return works()

    monkeypatch.setattr(venue.store.soundness, "check", check)
    for _ in range(3):
        venue.look_after(seconds_later=INTERVAL_S)
    assert len(checks) == 1
    assert venue.caretaker.report().problem is None
    assert not (venue.data_dir / NOTICE).exists()


def test_what_is_damaged_is_told_and_written_down_and_not_copied(
    venue: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    venue.look_after()
    damage(venue)
    again = Caretaker(venue.store, lambda: venue.clock, copy_interval_s=INTERVAL_S, copies_kept=2)
    venue.clock += timedelta(seconds=INTERVAL_S)
    venue.scan("t1")
    assert again.look_after() == INTERVAL_S
    problem = again.report().problem
    assert problem
    assert problem in (venue.data_dir / NOTICE).read_text()
    assert venue.numbers() == [1], "the good one"
    assert any("the next start restores it" in record.getMessage() for record in caplog.records)
    assert not again.wants_restart, "nobody said that it may"


def test_the_box_starts_anew_where_there_is_a_copy_to_restore_it_from(venue: Watched) -> None:
    wanted: list[str] = []
    venue.caretaker.may_restart = True
    venue.caretaker.on_restart_wanted = lambda: wanted.append("restart")
    damage(venue)
    venue.look_after()
    assert venue.caretaker.report().problem
    assert (venue.caretaker.wants_restart, wanted) == (False, []), "there is none yet"
    (venue.data_dir / "copies").mkdir()
    (venue.data_dir / "copies" / "000001-20261124T200000Z.sqlite3").touch()
    venue.store.soundness.is_suspected.set()
    venue.look_after()
    assert (venue.caretaker.wants_restart, wanted) == (True, ["restart"])


def test_an_error_that_somebody_meets_brings_it_about_at_once(venue: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caretaker, "FIRST_LOOK_AFTER_S", 0.01)
    venue.caretaker.start()
    wait_until(lambda: venue.numbers() == [1])
    damage(venue)
    with pytest.raises(StoreError):
        venue.store.tickets.search(venue.list_, "t1x", item_ids=None, by_name=True, limit=5)
    wait_until(lambda: venue.caretaker.report().problem)


def test_a_copy_that_is_not_whole_makes_it_look_again(venue: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.look_after()
    venue.scan("t1")
    damage(venue)
    assert venue.look_after(seconds_later=INTERVAL_S) == INTERVAL_S, "a bad disk is not written to every minute"
    assert venue.caretaker.report().problem
    assert venue.numbers() == [1]


def test_a_box_that_stops_does_not_wait_for_the_check(venue: Watched) -> None:
    venue.store.stop_long_work()
    with pytest.raises(Stopped):
        venue.look_after()


def damage(venue: Watched) -> None:
    """A page that only search meets, and of which SQLite has nothing in memory yet."""
    with closing(sqlite3.connect(venue.data_dir / DATABASE_NAME)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT pageno FROM dbstat WHERE name IN ('ticket_name_data', 'ticket_name_idx')"
        pages = [row[0] for row in connection.execute(query)]
    spoil(venue.data_dir / DATABASE_NAME, *pages)


# --- by itself --------------------------------------------------------------------------------------------------------


def test_it_works_by_itself_until_it_is_stopped(venue: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caretaker, "FIRST_LOOK_AFTER_S", 0.01)
    venue.caretaker.start()
    wait_until(lambda: venue.numbers() == [1])
    venue.caretaker.stop()
    assert not venue.caretaker._thread.is_alive()


def test_a_fault_of_its_own_does_not_end_it(venue: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caretaker, "FIRST_LOOK_AFTER_S", 0.01)
    monkeypatch.setattr(caretaker, "AGAIN_AFTER_S", 0.01)
    bugs = [KeyError("a bug")]
    works = venue.caretaker.look_after

    def look_after() -> float:
        if bugs:
            raise bugs.pop()
        return works()

    monkeypatch.setattr(venue.caretaker, "look_after", look_after)
    venue.caretaker.start()
    wait_until(lambda: venue.numbers() == [1])
