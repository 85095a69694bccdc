"""The backup folder while the box runs: a stick that comes, goes, fills up and fails."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebox.ops import backups
from edgebox.ops.backups import Backups, State
from edgebox.store import Refused, trail
from edgebox.store.backups import find
from edgebox.store.copies import Copy
from tests.store.venue import LET_IN, Venue, full_disk, many, wait_until


class Evening:
    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir()
        self.stick = folder / "stick"
        self.venue = Venue(folder / "data")
        self.venue.pull(*many(50))
        self.backups = Backups(self.venue.store, lambda: self.venue.now, str(self.stick), kept=2)
        self._next = 0

    def scan(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.venue.scan(f"s{self._next:04d}") is LET_IN
            self._next += 1

    @property
    def state(self) -> State:
        return self.backups.standing().state

    def copies(self) -> list[Copy]:
        return self.venue.store.backups_in(self.stick).all()

    def close(self) -> None:
        self.backups.stop()
        self.venue.close()


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    opened = Evening(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_it_begins_with_the_stick_and_goes_on_with_another(evening: Evening) -> None:
    evening.backups.follow()
    assert evening.state is State.AWAY
    assert not evening.backups.standing().is_trouble, "nobody said that there is a stick"
    evening.stick.mkdir()
    evening.scan(3)
    evening.backups.follow()
    assert evening.state is State.FOLLOWS
    evening.scan(2)
    evening.backups.follow()
    assert evening.backups.standing().told_until == evening.venue.now
    evening.stick.rename(evening.stick.with_name("pulled out"))
    evening.backups.follow()
    assert evening.state is State.AWAY
    assert evening.backups.standing().is_trouble
    evening.stick.mkdir()
    evening.scan()
    evening.backups.follow()
    assert evening.state is State.FOLLOWS
    assert find(evening.stick).checkins == 6


def test_a_stick_that_comes_back_goes_on_where_it_was(evening: Evening) -> None:
    evening.stick.mkdir()
    evening.scan(2)
    evening.backups.follow()
    evening.stick.rename(evening.stick.with_name("away"))
    evening.backups.follow()
    evening.scan(2)
    evening.stick.with_name("away").rename(evening.stick)
    evening.backups.follow()
    assert len(evening.copies()) == 1
    assert evening.copies()[0].trail.read_bytes().count(b'"checkin"') == 2


def test_before_there_is_a_list_nothing_is_written(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    evening.stick.mkdir()
    evening.venue.store.lists.remove(evening.venue.list_id, evening.venue.now)
    try:
        evening.backups.follow()
        assert evening.state is State.EMPTY
        assert list(evening.stick.iterdir()) == []
    finally:
        evening.close()


def test_copies_rotate_and_each_has_its_trail(evening: Evening) -> None:
    evening.stick.mkdir()
    for _ in range(4):
        evening.scan()
        evening.backups.back_up()
    assert [copy.number for copy in evening.copies()] == [4, 3]
    assert len(list(evening.stick.rglob("*.trail"))) == 2
    evening.scan()
    evening.backups.follow()
    assert evening.copies()[0].trail.read_bytes().count(b'"checkin"') == 1


def test_the_timer_copies_only_what_is_new_and_minds_no_missing_stick(evening: Evening) -> None:
    assert evening.backups.back_up(only_if_needed=True) is None
    with pytest.raises(Refused, match="plug the stick in"):
        evening.backups.back_up()
    evening.stick.mkdir()
    assert evening.backups.back_up(only_if_needed=True) is not None
    assert evening.backups.back_up(only_if_needed=True) is None
    evening.scan()
    assert evening.backups.back_up(only_if_needed=True) is not None


def test_another_folder_may_be_named(evening: Evening, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = evening.backups.back_up(elsewhere)
    assert copy is not None
    assert elsewhere in copy.path.parents
    assert not evening.stick.exists()


def test_a_stick_that_cannot_be_written_is_told_and_holds_up_nothing(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backups, "FOLLOW_EVERY_S", 0.01)
    evening.stick.mkdir()
    evening.scan()
    evening.backups.start()
    wait_until(lambda: evening.state is State.FOLLOWS)
    rounds = threading.Semaphore(0)
    follow = evening.backups.follow

    def counted() -> None:
        try:
            follow()
        finally:
            rounds.release()

    monkeypatch.setattr(evening.backups, "follow", counted)

    def fails() -> bool:
        evening.venue.now += trail.IDLE  # it writes at least so often
        return evening.state is State.FAILS

    with full_disk():
        wait_until(fails)
        for _ in range(5):
            assert rounds.acquire(timeout=60)
        assert evening.backups.standing().is_trouble
    evening.scan()
    wait_until(lambda: evening.backups.standing().told_until == evening.venue.now)
    assert evening.state is State.FOLLOWS
    said = [record.getMessage() for record in caplog.records if record.name == backups.__name__]
    assert len([text for text in said if "cannot be written" in text]) <= 2, said
    assert [text for text in said if "can be written again" in text]


def test_what_was_recorded_last_is_written_when_the_box_stops(
    evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "FOLLOW_EVERY_S", 60.0)
    evening.stick.mkdir()
    evening.backups.start()
    wait_until(lambda: evening.state is State.FOLLOWS)
    evening.scan(3)
    evening.backups.stop()
    assert evening.copies()[0].trail.read_bytes().count(b'"checkin"') == 3


def test_a_stick_whose_copies_were_deleted_gets_a_new_one(evening: Evening) -> None:
    evening.stick.mkdir()
    evening.backups.follow()
    shutil.rmtree(evening.stick / "edgebox-backup")
    evening.scan()
    evening.backups.follow()
    assert find(evening.stick).checkins == 1
