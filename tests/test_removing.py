"""A list is removed by force: what upstream does not have of it is in a file before, whole and once."""

from __future__ import annotations

import csv
import errno
import os
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgebox.box import ActionError
from edgebox.clock import Clock
from edgebox.model import CheckInState, ConflictReason
from edgebox.removing import exports_folder
from edgebox.store import Refused, StoreError, files
from edgebox.store.lists import Lists
from tests.support.box import wait_until
from tests.support.upstream import Hold, StubUpstream, always, held, json_answer
from tests.sync.venue import SOON_S, Venue

NOW = datetime(2026, 11, 24, 18, 30, 15, tzinfo=UTC)


def still() -> Clock:
    """A clock that is believed and stands."""
    return Clock(wall=NOW.timestamp, boottime=lambda: 1000.0, system_synchronised=lambda: True)


@pytest.fixture
def venue(tmp_path: Path, stub: StubUpstream) -> Iterator[Venue]:
    stub.add_tickets(200)
    opened = Venue(tmp_path / "data", stub, clock=still())
    opened.line.pull()
    yield opened
    opened.close()


def files_of(venue: Venue) -> list[Path]:
    folder = exports_folder(venue.config.data_dir)
    return sorted(folder.iterdir()) if folder.exists() else []


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_pending_or_parked_is_in_the_file_and_nothing_else(venue: Venue, stub: StubUpstream) -> None:
    venue.scan("secret000000", nonce="settled")
    venue.line.push()
    stub.on("redeem", always(json_answer({"version": 3, "status": "error", "reason": "product"})))
    venue.scan("secret000001", nonce="parked")
    venue.line.push()
    stub.stop()
    venue.scan("secret000002", nonce="pending")

    exported = venue.box.remove_list(venue.list.id, force=True)

    assert exported is not None
    assert (exported.path.name, exported.checkins) == (f"20261124T183015Z-list-{venue.list.id}.csv", 2)
    assert files_of(venue) == [exported.path]
    assert [(row["nonce"], row["state"]) for row in rows_of(exported.path)] == [
        ("parked", "parked"),
        ("pending", "pending"),
    ]
    assert stat.S_IMODE(exported.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(exported.path.parent.stat().st_mode) == 0o700
    assert venue.box.status() == []
    assert {row.nonce: row.state for row in venue.checkins()} == {
        "settled": CheckInState.SETTLED,
        "parked": CheckInState.DISMISSED,
        "pending": CheckInState.DISMISSED,
    }
    assert venue.box.conflicts() == []
    assert venue.checkin("secret000001").conflict_note == "upstream refuses it: product"


def test_what_staff_had_said_of_a_conflict_stays_beside_it(venue: Venue, stub: StubUpstream) -> None:
    stub.stop()
    venue.scan("secret000000", nonce="first")
    venue.scan("secret000000", nonce="second", is_forced=True)
    [first, second] = venue.checkins("secret000000")
    venue.box.dismiss(second.id, "we know her")

    exported = venue.box.remove_list(venue.list.id, force=True)

    assert exported is not None
    first, second = venue.checkins("secret000000")
    gone = f"its list was removed; exported to {exported.path.name}"
    assert (first.conflict, first.closed_reason) == (None, gone)
    assert (second.conflict, second.closed_reason) == (ConflictReason.ALREADY_REDEEMED, f"we know her; {gone}")


def test_the_file_is_on_the_disk_before_the_list_goes(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.scan("secret000000")
    steps: list[str] = []
    remove, move = Lists.remove, files.move

    def noted_remove(lists: Lists, *args: Any, **named: Any) -> None:
        steps.append("removed")
        remove(lists, *args, **named)

    def noted_move(path: Path, to: Path) -> None:
        move(path, to)
        steps.append("on the disk")

    monkeypatch.setattr(Lists, "remove", noted_remove)
    monkeypatch.setattr(files, "move", noted_move)
    venue.box.remove_list(venue.list.id, force=True)
    assert steps == ["on the disk", "removed"]


def test_where_the_file_cannot_be_written_the_list_stays_and_is_synced(venue: Venue, stub: StubUpstream) -> None:
    venue.scan("secret000000")
    exports_folder(venue.config.data_dir).write_text("something else has the name")
    with pytest.raises(StoreError, match=r"could not be exported .*; nothing was removed"):
        venue.box.remove_list(venue.list.id, force=True)
    assert venue.checkin("secret000000").state is CheckInState.PENDING
    assert venue.box.sync_now()[0].pushed == 1
    assert [entry.secret for entry in stub.log] == ["secret000000"]


def test_nothing_of_what_a_killed_box_left_is_in_the_way(venue: Venue) -> None:
    venue.scan("secret000000")
    folder = exports_folder(venue.config.data_dir)
    folder.mkdir()
    (folder / f"list-{venue.list.id}.part").write_text("half a")
    exported = venue.box.remove_list(venue.list.id, force=True)
    assert exported is not None
    assert files_of(venue) == [exported.path]
    assert len(rows_of(exported.path)) == 1


def test_an_export_never_takes_the_place_of_another(venue: Venue) -> None:
    """The clock was set back, and a restored database gives out the same numbers again."""
    folder = exports_folder(venue.config.data_dir)
    folder.mkdir()
    older = folder / f"20261124T183015Z-list-{venue.list.id}.csv"
    older.write_text("older")
    venue.scan("secret000000")
    exported = venue.box.remove_list(venue.list.id, force=True)
    assert exported is not None
    assert exported.path.name == f"20261124T183015Z-list-{venue.list.id}-2.csv"
    assert older.read_text() == "older"


def test_each_check_in_that_was_answered_while_the_list_goes_is_in_the_file(venue: Venue, stub: StubUpstream) -> None:
    stub.stop()
    answered: list[str] = []
    refused = threading.Event()

    def scan() -> None:
        for secret in list(stub.tickets):
            try:
                assert venue.scan(secret, nonce=f"nonce of {secret}").verdict.is_ok
            except (Refused, ActionError):
                refused.set()
                return
            answered.append(f"nonce of {secret}")

    gate = threading.Thread(target=scan)
    gate.start()
    wait_until(lambda: len(answered) > 5, SOON_S, "the gate scans")
    exported = venue.box.remove_list(venue.list.id, force=True)
    gate.join(SOON_S)

    assert refused.is_set()
    assert exported is not None
    assert [row["nonce"] for row in rows_of(exported.path)] == answered
    assert [row.nonce for row in venue.checkins()] == answered
    assert {row.state for row in venue.checkins()} == {CheckInState.DISMISSED}
    assert files_of(venue) == [exported.path]


def test_what_is_undone_while_the_list_goes_is_not_in_the_file(
    venue: Venue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.stop()
    venue.scan("secret000000", nonce="undone")
    venue.scan("secret000001", nonce="stays")
    remove = Lists.remove

    def undone_before(lists: Lists, *args: Any, **named: Any) -> None:
        [checkin] = venue.checkins("secret000000")
        venue.box.store.journal.undo(checkin.id, "Lena", "a mistake", NOW)
        remove(lists, *args, **named)

    monkeypatch.setattr(Lists, "remove", undone_before)
    exported = venue.box.remove_list(venue.list.id, force=True)

    assert exported is not None
    assert exported.checkins == 1
    assert [row["nonce"] for row in rows_of(exported.path)] == ["stays"]
    assert files_of(venue) == [exported.path]
    assert venue.checkin("secret000000").state is CheckInState.CANCELLED


def test_where_what_came_meanwhile_cannot_be_written_the_list_stays(
    venue: Venue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.stop()
    venue.scan("secret000000")
    remove, sync = Lists.remove, os.fsync

    def scanned_before(lists: Lists, *args: Any, **named: Any) -> None:
        venue.scan("secret000001")
        monkeypatch.setattr(os, "fsync", full)
        remove(lists, *args, **named)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Lists, "remove", scanned_before)
    with pytest.raises(StoreError, match="No space left on device"):
        venue.box.remove_list(venue.list.id, force=True)
    monkeypatch.setattr(os, "fsync", sync)
    assert files_of(venue) == []
    assert [row.state for row in venue.checkins()] == [CheckInState.PENDING] * 2
    assert venue.scan("secret000002").verdict.is_ok


def test_what_a_push_under_way_tells_is_not_told_again_by_hand_with_another_nonce(
    venue: Venue, stub: StubUpstream
) -> None:
    """Upstream has it, and the answer was on its way when the list went: the file carries its nonce."""
    hold = Hold()
    stub.on("redeem", lambda request: held(hold))
    venue.scan("secret000000", nonce="told")
    run = venue.box.start_sync()
    assert hold.reached.wait(SOON_S)

    exported = venue.box.remove_list(venue.list.id, force=True)

    hold.release()
    wait_until(lambda: run.is_done, SOON_S, "the push has ended")
    assert exported is not None
    assert [row["nonce"] for row in rows_of(exported.path)] == ["told"]
    assert [entry.nonce for entry in stub.log] == ["told"]
    assert venue.checkin("secret000000").state is CheckInState.DISMISSED
    stub.redeem({"secret": "secret000000", "nonce": "told"})
    assert len(stub.log) == 1
