"""A damaged database: what is kept of it, what is said, which copy is taken, and what happens where there is none."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgebox.store import Refused, Store, StoreError, open_for_reading
from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from edgebox.store.restorations import REPORT, Restoration
from tests.store.evening import (
    BEFORE,
    COPY_AT,
    Evening,
    assert_whole,
    facts,
    report_of,
    spoil,
    spoil_frame,
)
from tests.store.venue import EIGHT, LET_IN, Venue, full_disk

# --- what is kept, and what is said -----------------------------------------------------------------------------------


def test_the_damaged_files_are_kept_as_they_were(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue], caplog: pytest.LogCaptureFixture
) -> None:
    database = in_log.power_goes(tmp_path / "left")
    spoil(database, 1, 2, 3)
    spoil_frame(database, 20)
    before = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in database.parent.glob("edgebox*")}
    venue = opened(database)
    report = report_of(venue)
    kept = database.parent / report.kept_in
    after = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in kept.glob("edgebox*")}
    after.pop(f"{DATABASE_NAME}-shm", None)
    assert after == before
    assert datetime.strptime(kept.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) == report.at.replace(microsecond=0)
    for path in (kept.parent, kept):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (*kept.glob("edgebox*"), database):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in database.parent.iterdir()) == [
        "copies", "edgebox.reserve", *(f"{DATABASE_NAME}{ending}" for ending in ("", "-shm", "-wal")), "replaced",
    ]  # fmt: skip
    assert json.loads((kept / REPORT).read_text())["problem"] == report.problem
    said = " ".join(record.getMessage() for record in caplog.records)
    for word in (report.problem, str(report.salvaged), report.kept_in, "may be missing"):
        assert word in said


def test_it_is_told_until_staff_have_seen_it(in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue]) -> None:
    database = in_log.power_goes(tmp_path / "left")
    database.unlink()
    venue = Venue(database.parent)
    report = report_of(venue)
    venue.close()
    venue = Venue(database.parent)
    assert report_of(venue) == report, "also after the next start"
    venue.store.restorations.dismiss(EIGHT)
    assert venue.store.restorations.unseen() == []
    with pytest.raises(Refused, match="nothing to dismiss"):
        venue.store.restorations.dismiss(EIGHT)
    venue.close()
    assert opened(database).store.restorations.unseen() == []


def test_two_in_one_second_do_not_meet(in_log: Evening, tmp_path: Path) -> None:
    database = in_log.power_goes(tmp_path / "left")
    for _ in range(2):
        database.unlink()
        Store(database.parent, now=lambda: EIGHT).close()
    reports = Store(database.parent).restorations.unseen()
    assert sorted(report.kept_in for report in reports) == ["replaced/20261124T200000Z", "replaced/20261124T200000Z-2"]


def test_it_is_told_in_words() -> None:
    report = Restoration(
        at=EIGHT, problem="it is empty", kept_in="replaced/x", copy_made_at=COPY_AT, salvaged=3, brought_up_to_date=1,
        known_missing=2, missing_from=COPY_AT, missing_to=EIGHT,
    )  # fmt: skip
    assert "from the copy of" in report.in_words()
    assert "3 check-ins were salvaged" in report.in_words()
    assert "2 are known to be missing" in report.in_words()
    report = replace(report, copy_made_at=None, known_missing=0, missing_from=None)
    assert "from what was whole of it" in report.in_words()
    assert "between the beginning and" in report.in_words()
    assert "known" not in report.in_words()


# --- which copy -------------------------------------------------------------------------------------------------------


def test_a_copy_that_went_bad_is_passed_over(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], caplog: pytest.LogCaptureFixture
) -> None:
    database = moved.power_goes(tmp_path / "left")
    good = next((database.parent / "copies").iterdir())
    for number in (2, 3):
        shutil.copyfile(good, good.with_name(f"{number:06d}-20261124T21000{number}Z.sqlite3"))
    spoil(database.parent / "copies" / "000003-20261124T210003Z.sqlite3", 9)
    spoil(database, 1)
    venue = opened(database)
    assert report_of(venue).copy_made_at == COPY_AT.replace(second=2)
    assert facts(venue.journal) == facts(moved.journal)
    assert any("000003" in record.getMessage() and "cannot be used" in record.getMessage() for record in caplog.records)


def test_without_a_good_copy_it_refuses_in_words_and_changes_nothing(in_log: Evening, tmp_path: Path) -> None:
    for number, spoils in enumerate((lambda path: spoil(path, 1, 2, 3), lambda path: path.write_bytes(b""))):
        database = in_log.power_goes(tmp_path / f"left{number}", with_copies=number == 0)
        if number == 0:
            for copy in (database.parent / "copies").iterdir():
                spoil(copy, 1, 7)
            database.with_name(f"{DATABASE_NAME}-wal").unlink()
        spoils(database)
        before = {path.name: path.read_bytes() for path in database.parent.glob("edgebox*")}
        for _ in range(2):
            with pytest.raises(StoreError) as raised:
                Venue(database.parent)
            text = str(raised.value)
            assert str(database) in text
            assert "no good copy" in text
            assert "nothing was changed" in text
            assert "To begin anew" in text
        after = {path.name: path.read_bytes() for path in database.parent.glob("edgebox*")}
        assert {name: after.get(name) for name in before} == before
        with pytest.raises(StoreError):
            open_for_reading(database.parent)
        assert {name: after.get(name) for name in before} == before
        # What it says does what it says.
        away = tmp_path / f"away{number}"
        away.mkdir()
        for path in [*database.parent.glob("edgebox*"), *database.parent.glob("copies")]:
            path.rename(away / path.name)
        anew = Venue(database.parent)
        assert anew.journal == []
        anew.close()


def test_a_backup_put_in_its_place_is_taken(in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue]) -> None:
    in_log.venue.store.copy_to(tmp_path / "backup")
    database = tmp_path / "data" / DATABASE_NAME
    database.parent.mkdir()
    shutil.copyfile(tmp_path / "backup", database)
    assert facts(opened(database).journal) == facts(in_log.journal)


def test_a_box_that_never_was_is_founded(tmp_path: Path, opened: Callable[[Path], Venue]) -> None:
    """One that was cut short while it was founded as well: what was half made is made anew."""
    (tmp_path / f"{DATABASE_NAME}.restoring").write_bytes(b"half of it")
    venue = opened(tmp_path / DATABASE_NAME)
    assert venue.store.restorations.unseen() == []
    assert not (tmp_path / f"{DATABASE_NAME}.restoring").exists()


def test_there_must_be_room_for_it(
    in_log: Evening, tmp_path: Path, opened: Callable[[Path], Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = in_log.power_goes(tmp_path / "left")
    spoil(database, 1, 2, 3)
    database.with_name(f"{DATABASE_NAME}-wal").unlink()
    before = sorted(path.name for path in database.parent.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(StoreError, match="too little room"):
            Venue(database.parent)
    with full_disk(), pytest.raises(StoreError, match="nothing of it was changed"):
        Venue(database.parent)
    assert before == [name for name in sorted(path.name for path in database.parent.iterdir()) if "restor" not in name]
    assert len(opened(database).journal) == BEFORE


# --- what a running box found -----------------------------------------------------------------------------------------


def test_what_an_earlier_run_found_is_looked_into(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    """A page that no glance meets: of an index, which lets somebody in twice."""
    database = moved.power_goes(tmp_path / "left")
    spoil(database, moved.pages_of("checkin_nonce")[-1])
    (database.parent / NOTICE).write_text("an error said so")
    venue = opened(database)
    assert "checkin_nonce" in report_of(venue).problem or "Page" in report_of(venue).problem
    assert facts(venue.journal) == facts(moved.journal)
    assert not (database.parent / NOTICE).exists()
    assert_whole(venue)


def test_a_false_alarm_is_over_with_the_next_start(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left")
    (database.parent / NOTICE).write_text("an error said so")
    venue = opened(database)
    assert venue.store.restorations.unseen() == []
    assert not (database.parent / NOTICE).exists()
    assert not (database.parent / "replaced").exists()


def test_without_a_copy_the_box_goes_on_with_what_can_be_read(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    database = moved.power_goes(tmp_path / "left", with_copies=False)
    spoil(database, moved.pages_of("attempt_secret")[0])
    (database.parent / NOTICE).write_text("an error said so")
    venue = opened(database)
    assert venue.store.soundness.problem
    assert venue.scan("s0500") is LET_IN
    assert (database.parent / NOTICE).exists()
