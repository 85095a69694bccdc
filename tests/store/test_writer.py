"""The one writer: who goes first, what shares a commit, and who fails with whom."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebox.store import Busy, NotWritable, StoreError
from edgebox.store.db import Connection, connect
from tests.store.desk import Desk
from tests.store.venue import DEADLINE_S, HeldWriter, commits_in_wal, wait_until


def in_turn(desk: Desk, order: list[str], name: str) -> Callable[[Connection], None]:
    def job(connection: Connection) -> None:
        order.append(name)
        connection.execute("INSERT INTO note VALUES (?)", (name,))

    return job


# --- order and batches ------------------------------------------------------------------------------------------------


def test_an_answer_leaves_after_its_commit(desk: Desk) -> None:
    assert desk.redeem_now(desk.note("a")) == "a"
    assert desk.notes == ["a"]
    assert desk.write_now(desk.note("b")) == "b"
    assert desk.write_slice(desk.note("c")).result(DEADLINE_S) == "c"
    assert desk.notes == ["a", "b", "c"]


def test_what_waits_at_once_shares_a_commit(desk: Desk, tmp_path: Path) -> None:
    desk.write_now(desk.note("before"))
    before = commits_in_wal(tmp_path)
    held = HeldWriter(desk.writer)
    asked = [desk.redeem(desk.note(f"r{number}")) for number in range(30)]
    asked += [desk.write(desk.note(f"j{number}")) for number in range(10)]
    held.wait_for(redeems=30, jobs=10)
    held.release()
    for future in asked:
        future.result(DEADLINE_S)
    assert len(desk.notes) == 41
    assert commits_in_wal(tmp_path) - before == 1


def test_where_nothing_was_written_nothing_is_committed(desk: Desk, tmp_path: Path) -> None:
    desk.write_now(desk.note("a"))
    before = commits_in_wal(tmp_path)
    assert desk.redeem_now(lambda connection: connection.execute("SELECT count(*) FROM note").fetchone()[0]) == 1
    assert commits_in_wal(tmp_path) == before


def test_redeems_go_first_then_small_jobs_then_one_slice(desk: Desk, tmp_path: Path) -> None:
    order: list[str] = []
    desk.write_now(desk.note("before"))
    before = commits_in_wal(tmp_path)
    held = HeldWriter(desk.writer)
    slices = []
    for number in range(2):
        slices.append(desk.write_slice(in_turn(desk, order, f"slice {number}")))
        held.wait_for(slices=number + 1)
    others = [desk.write(in_turn(desk, order, "job"))]
    held.wait_for(jobs=1)
    others.append(desk.redeem(in_turn(desk, order, "redeem")))
    held.wait_for(redeems=1)
    held.release()
    for future in (*slices, *others):
        future.result(DEADLINE_S)
    assert order == ["redeem", "job", "slice 0", "slice 1"]
    assert commits_in_wal(tmp_path) - before == 2, "the second slice has a commit of its own"


def test_a_scan_waits_for_one_slice_at_most(desk: Desk) -> None:
    order: list[str] = []
    entered, go_on = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        entered.set()
        assert go_on.wait(DEADLINE_S)
        order.append("slice 0")

    asked = [desk.write_slice(first)]
    assert entered.wait(DEADLINE_S)
    asked += [desk.write_slice(in_turn(desk, order, f"slice {number}")) for number in (1, 2)]
    wait_until(lambda: len(desk.writer._slices) == 2)
    asked.append(desk.redeem(in_turn(desk, order, "redeem")))
    wait_until(lambda: len(desk.writer._redeems) == 1)
    go_on.set()
    for future in asked:
        future.result(DEADLINE_S)
    assert order.index("redeem") == 1


def test_slices_come_through_however_many_scans_there_are(desk: Desk) -> None:
    has_ended = threading.Event()

    def scan_on() -> None:
        while not has_ended.is_set():
            desk.writer.redeem(lambda connection: None)

    scanners = [desk.ask(scan_on) for _ in range(4)]
    try:
        for number in range(20):
            desk.write_slice(desk.note(str(number))).result(DEADLINE_S)
    finally:
        has_ended.set()
    for scanner in scanners:
        scanner.result(DEADLINE_S)
    assert len(desk.notes) == 20


def test_more_redeems_than_a_batch_holds_are_all_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.store.writer.MAX_BATCH", 7)
    held = HeldWriter(desk.writer)
    asked = [desk.redeem(desk.note(str(number))) for number in range(40)]
    held.wait_for(redeems=40)
    held.release()
    assert {future.result(DEADLINE_S) for future in asked} == {str(number) for number in range(40)}


# --- the deadline -----------------------------------------------------------------------------------------------------


def test_a_redeem_that_waited_too_long_is_not_recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.store.writer.REDEEM_DEADLINE_S", 0.05)
    held = HeldWriter(desk.writer)
    late = desk.redeem(desk.note("late"))
    patient = desk.write(desk.note("a small job has no deadline"))
    held.wait_for(redeems=1, jobs=1)
    arrived_s = desk.writer._redeems[0][0]
    wait_until(lambda: time.monotonic() - arrived_s > 0.05)
    held.release()
    with pytest.raises(Busy, match="not recorded"):
        late.result(DEADLINE_S)
    patient.result(DEADLINE_S)
    assert desk.notes == ["a small job has no deadline"]


def test_once_taken_a_redeem_waits_for_its_commit_however_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.store.writer.REDEEM_DEADLINE_S", 0.05)
    began_s: list[float] = []

    def slow(connection: Connection) -> None:
        began_s.append(time.monotonic())
        wait_until(lambda: time.monotonic() - began_s[0] > 0.1)

    def job(connection: Connection) -> None:
        slow(connection)
        desk.note("slow")(connection)

    # On a machine that stands still for so long, the writer may come too late even to take it.
    for _ in range(100):
        with contextlib.suppress(Busy):
            desk.redeem_now(job)
            break
    assert desk.notes == ["slow"]


# --- one fails alone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "seen_as"),
    [
        (ValueError("a bug"), ValueError),
        (RecursionError("a bug"), RecursionError),
        (StoreError("not possible"), StoreError),
    ],
)
def test_one_that_fails_in_a_batch_fails_alone(desk: Desk, error: Exception, seen_as: type[Exception]) -> None:
    def fails(connection: Connection) -> None:
        connection.execute("INSERT INTO note VALUES ('half')")
        raise error

    held = HeldWriter(desk.writer)
    good = [desk.redeem(desk.note("a"))]
    held.wait_for(redeems=1)
    bad = desk.redeem(fails)
    held.wait_for(redeems=2)
    good.append(desk.redeem(desk.note("b")))
    held.wait_for(redeems=3)
    held.release()
    for future in good:
        future.result(DEADLINE_S)
    with pytest.raises(seen_as):
        bad.result(DEADLINE_S)
    assert desk.notes == ["a", "b"]
    assert desk.writer.failure is None


@pytest.mark.parametrize("statement", ["INSERT INTO note VALUES ('twice')", "SELECT * FROM nowhere"])
def test_nobody_who_asks_meets_an_error_of_sqlites_own(desk: Desk, statement: str) -> None:
    desk.write_now(desk.note("twice"))
    with pytest.raises(StoreError):
        desk.write_now(lambda connection: connection.execute(statement))
    assert desk.redeem_now(desk.note("goes on")) == "goes on"


def test_effects_follow_the_commit_and_only_for_those_who_took_part(desk: Desk) -> None:
    seen: list[str] = []

    def effective(name: str) -> Callable[[Connection], None]:
        def job(connection: Connection) -> None:
            connection.execute("INSERT INTO note VALUES (?)", (name,))
            desk.writer.after_commit(lambda: seen.append(f"{name}: {name in desk.notes}"))
            if name == "bad":
                raise ValueError(name)

        return job

    held = HeldWriter(desk.writer)
    asked = {}
    for number, name in enumerate(("good", "bad", "also good"), start=1):
        asked[name] = desk.write(effective(name))
        held.wait_for(jobs=number)
    held.release()
    asked["also good"].result(DEADLINE_S)
    with pytest.raises(ValueError, match="bad"):
        asked["bad"].result(DEADLINE_S)
    assert seen == ["good: True", "also good: True"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_close_finishes_what_waits_and_takes_nothing_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    held = HeldWriter(desk.writer)
    asked = [desk.redeem(desk.note("r")), desk.write(desk.note("j"))]
    asked += [desk.write_slice(desk.note(f"s{number}")) for number in range(3)]
    held.wait_for(redeems=1, jobs=1, slices=3)
    closing = threading.Thread(target=desk.close)
    closing.start()
    wait_until(lambda: desk.writer._is_closing)
    with pytest.raises(NotWritable, match="stopping"):
        desk.redeem_now(desk.note("too late"))
    held.release()
    for future in asked:
        future.result(DEADLINE_S)
    closing.join()
    reader = connect(desk.path, read_only=True)
    assert {row[0] for row in reader.execute("SELECT text FROM note")} == {"r", "j", "s0", "s1", "s2"}
    reader.close()


def test_close_writes_the_small_things_that_wait(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.tail.texts = ["last words"]
    desk.tail.due_in_s = lambda: 1000.0  # type: ignore[method-assign]
    desk.close()
    reader = connect(desk.path, read_only=True)
    assert [row[0] for row in reader.execute("SELECT text FROM note")] == ["last words"]
    reader.close()
