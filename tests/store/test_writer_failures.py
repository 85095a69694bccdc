"""The writer when things go wrong: the disk, and bugs. Who is told so, what is left, and that it never dies."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgebox.store import NotWritable
from edgebox.store.db import Connection
from tests.store.desk import Desk
from tests.store.venue import DEADLINE_S, HeldWriter, full_disk

# --- the disk ---------------------------------------------------------------------------------------------------------


def test_where_the_commit_fails_everybody_in_it_is_told_so_and_nothing_is_left(desk: Desk) -> None:
    desk.write_now(desk.note("before"))
    effects: list[str] = []
    reopened: list[int] = []
    desk.writer.on_reopen = lambda connection: reopened.append(
        connection.execute("SELECT count(*) FROM note").fetchone()[0]
    )

    def effective(connection: Connection) -> None:
        desk.writer.after_commit(lambda: effects.append("it is on disk"))

    held = HeldWriter(desk.writer)
    asked = [desk.redeem(desk.note("a")), desk.redeem(lambda connection: "reads only"), desk.write(effective)]
    held.wait_for(redeems=2, jobs=1)
    with full_disk():
        held.release()
        for future in asked:
            with pytest.raises(NotWritable, match="nothing was recorded"):
                future.result(DEADLINE_S)
        assert desk.writer.failure
        assert desk.notes == ["before"], "reading goes on"
        with pytest.raises(NotWritable):
            desk.redeem_now(desk.note("still full"))
    assert effects == []
    assert desk.redeem_now(desk.note("room again")) == "room again"
    assert desk.writer.failure is None
    assert desk.notes == ["before", "room again"]
    assert reopened == [1, 1], "what is on disk was looked at before each next batch"


def test_a_full_disk_takes_refusals_with_it_only_where_they_share_a_commit(desk: Desk) -> None:
    with full_disk():
        assert desk.redeem_now(lambda connection: "refused") == "refused"
        with pytest.raises(NotWritable):
            desk.redeem_now(desk.note("a"))
        assert desk.redeem_now(lambda connection: "refused") == "refused"


def test_an_error_of_the_disk_within_a_job_fails_the_batch(desk: Desk) -> None:
    def grow(connection: Connection) -> None:
        connection.execute("PRAGMA max_page_count = 3")
        for number in range(1000):
            connection.execute("INSERT INTO note VALUES (?)", (f"{number:0500d}",))

    held = HeldWriter(desk.writer)
    asked = [desk.redeem(desk.note("a")), desk.write(grow)]
    held.wait_for(redeems=1, jobs=1)
    held.release()
    for future in asked:
        with pytest.raises(NotWritable):
            future.result(DEADLINE_S)
    assert desk.notes == []
    assert desk.redeem_now(desk.note("goes on")) == "goes on"


def test_a_database_that_cannot_even_be_opened_is_not_writable_until_it_can(desk: Desk, tmp_path: Path) -> None:
    with full_disk(), pytest.raises(NotWritable):
        desk.redeem_now(desk.note("a"))
    away = tmp_path / "away"
    desk.path.rename(away)
    desk.path.mkdir()
    for _ in range(3):
        with pytest.raises(NotWritable):
            desk.redeem_now(desk.note("b"))
    desk.path.rmdir()
    away.rename(desk.path)
    assert desk.redeem_now(desk.note("c")) == "c"


def test_a_failing_disk_is_logged_once_and_so_is_its_recovery(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk():
        for number in range(5):
            with pytest.raises(NotWritable):
                desk.redeem_now(desk.note(str(number)))
    desk.redeem_now(desk.note("again"))
    said = [record.getMessage() for record in caplog.records if record.name == "edgebox.store.writer"]
    assert len(said) == 2
    assert "cannot be written" in said[0]
    assert "again" in said[1]


# --- it never dies ----------------------------------------------------------------------------------------------------


def test_a_bug_in_an_effect_ends_nobodys_work_and_memory_is_read_afresh(desk: Desk) -> None:
    reopened: list[str] = []
    desk.writer.on_reopen = lambda connection: reopened.append("read afresh")

    def broken() -> None:
        raise KeyError("a bug")

    def job(connection: Connection) -> str:
        desk.writer.after_commit(broken)
        return desk.note("a")(connection)

    assert desk.write_now(job) == "a", "it is on disk"
    assert desk.redeem_now(desk.note("b")) == "b"
    assert reopened == ["read afresh"]


def test_a_bug_while_memory_is_read_afresh_is_tried_again_with_the_next_batch(desk: Desk) -> None:
    bugs = [KeyError("a bug"), sqlite3.DatabaseError("a page cannot be read")]

    def reread(connection: Connection) -> None:
        if bugs:
            raise bugs.pop()

    desk.writer.on_reopen = reread
    with full_disk(), pytest.raises(NotWritable):
        desk.redeem_now(desk.note("a"))
    for _ in range(2):
        with pytest.raises(NotWritable):
            desk.redeem_now(desk.note("a"))
    assert desk.redeem_now(desk.note("a")) == "a"


@pytest.mark.parametrize("error", [ValueError("a bug"), UnicodeError("what no disk takes"), sqlite3.DataError("bad")])
def test_small_things_that_cannot_be_written_fail_nobody_and_are_dropped(desk: Desk, error: Exception) -> None:
    desk.tail.texts = ["an attempt"]
    desk.tail.fails_with = error
    assert desk.redeem_now(desk.note("a")) == "a"
    assert desk.notes == ["a"]
    assert desk.tail.done_with == [True]


def test_after_a_failure_the_next_commit_does_not_depend_on_the_small_things(desk: Desk) -> None:
    desk.tail.texts = ["an attempt"]
    with full_disk(), pytest.raises(NotWritable):
        desk.redeem_now(desk.note("a"))
    assert desk.tail.done_with == [False], "it waits on"
    desk.redeem_now(desk.note("b"))
    assert desk.notes == ["b"]
    desk.redeem_now(desk.note("c"))
    assert desk.notes == ["b", "c", "an attempt"]


def test_small_things_alone_find_out_that_the_disk_is_full_and_that_it_is_not_any_more(desk: Desk) -> None:
    desk.tail.texts = ["an attempt"]
    with full_disk():
        desk.tail.is_due = True
        with pytest.raises(NotWritable):
            desk.redeem_now(lambda connection: None)
        assert desk.writer.failure
    desk.tail.is_due = True
    desk.redeem_now(lambda connection: None)
    assert desk.writer.failure is None
    assert desk.notes == ["an attempt"]


def test_small_things_join_the_next_commit_or_make_one_when_they_are_due(desk: Desk) -> None:
    desk.tail.texts = ["rides along"]
    desk.redeem_now(lambda connection: None)
    assert desk.notes == [], "no commit of their own before they are due"
    desk.redeem_now(desk.note("a"))
    assert desk.notes == ["a", "rides along"]
    desk.tail.texts = ["is due"]
    desk.tail.is_due = True
    desk.redeem_now(lambda connection: None)
    assert desk.notes == ["a", "rides along", "is due"]
