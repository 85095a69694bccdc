"""Many gates at once, a disk that fails, and a box that is killed: what was answered is what is on disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebox.model import Reason, Redeemed
from edgebox.store import NotWritable
from tests.store.venue import (
    DEADLINE_S,
    LET_IN,
    HeldWriter,
    Venue,
    commits_in_wal,
    full_disk,
    many,
    told,
)
from tests.support.box import REPOSITORY

GATES = 24


def at_once(work: Callable[[int], Redeemed]) -> list[Redeemed]:
    """From as many threads as there are gates, all started together."""
    start = threading.Barrier(GATES)

    def gate(number: int) -> Redeemed:
        start.wait(DEADLINE_S)
        return work(number)

    with ThreadPoolExecutor(GATES) as pool:
        return list(pool.map(gate, range(GATES)))


def test_of_many_gates_that_scan_one_ticket_exactly_one_lets_in(venue: Venue) -> None:
    tickets = [f"s{number:04d}" for number in range(10)]
    venue.take_in(many(10))
    for secret in tickets:
        answers = at_once(lambda number, secret=secret: venue.redeem(secret))  # type: ignore[misc]
        verdicts = Counter(answer.verdict.reason for answer in answers)
        assert verdicts == {LET_IN: 1, Reason.ALREADY_REDEEMED: GATES - 1}
        assert all(answer.is_redeemed for answer in answers)
    assert sorted(row.checkin.secret for row in venue.journal) == tickets


def test_of_many_gates_with_one_nonce_all_let_in_and_one_row_is_recorded(venue: Venue) -> None:
    venue.pull(told())
    answers = at_once(lambda number: venue.redeem(nonce="the same"))
    assert all(answer.verdict.is_ok for answer in answers)
    assert Counter(answer.verdict.is_repeat for answer in answers) == {False: 1, True: GATES - 1}
    assert len(venue.journal) == 1


def test_forced_entries_of_one_ticket_are_all_recorded_and_all_but_one_flagged(venue: Venue) -> None:
    venue.pull(told())
    assert all(answer.verdict.is_ok for answer in at_once(lambda number: venue.redeem(is_forced=True)))
    assert len(venue.journal) == GATES
    assert len(venue.store.journal.open_conflicts()) == GATES - 1
    assert venue.store.tickets.counts(venue.list_).all.checkins == 1


def test_gates_that_scan_at_once_share_a_commit(venue: Venue) -> None:
    venue.take_in(many(GATES))
    before = commits_in_wal(venue.data_dir)
    held = HeldWriter(venue.store._writer)
    with ThreadPoolExecutor(GATES) as pool:
        asked = [pool.submit(venue.scan, f"s{number:04d}") for number in range(GATES)]
        held.wait_for(redeems=GATES)
        held.release()
        assert [future.result(DEADLINE_S) for future in asked] == [LET_IN] * GATES
    assert commits_in_wal(venue.data_dir) - before == 1


def test_a_refusal_needs_no_commit_of_its_own(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.logged(1)
    before = commits_in_wal(venue.data_dir)
    assert venue.scan("nobody") is Reason.UNKNOWN_TICKET
    assert commits_in_wal(venue.data_dir) == before


def test_scans_go_on_while_pulls_bring_the_same_tickets_again_and_again(venue: Venue) -> None:
    """Nobody gets in twice, whatever slice of which pull a scan falls between."""
    venue.take_in(many(300))
    has_ended = threading.Event()

    def pull_on() -> int:
        pulls = 0
        while not has_ended.is_set():
            pulls += 1
            # Upstream never hears of the check-ins; it renames everybody instead.
            venue.take_in([told(f"s{number:04d}", attendee_name=f"{number} {pulls}") for number in range(300)])
        return pulls

    with ThreadPoolExecutor(9) as pool:
        pulling = pool.submit(pull_on)
        secrets = [f"s{number:04d}" for number in range(300)] * 4
        random.Random(3).shuffle(secrets)
        try:
            answers = list(pool.map(lambda secret: (secret, venue.scan(secret)), secrets))
        finally:
            has_ended.set()
        assert pulling.result(DEADLINE_S) > 0
    let_in = Counter(secret for secret, reason in answers if reason is LET_IN)
    assert len(let_in) == 300
    assert set(let_in.values()) == {1}


# --- a disk without room ----------------------------------------------------------------------------------------------


def test_on_a_full_disk_nothing_is_let_in_and_reading_goes_on(venue: Venue) -> None:
    venue.pull(told("t1", attendee_name="Ada"), told("t2"))
    venue.scan("t2")
    list_version = venue.store.lists.version_of(venue.list_id)
    with full_disk():
        for _ in range(2):
            with pytest.raises(NotWritable):
                venue.scan("t1")
        assert venue.store.write_failure()
        (found,) = venue.store.tickets.search(venue.list_, "ada", item_ids=None, by_name=True, limit=25)
        assert venue.store.tickets.counts(venue.list_).all.checkins == 1
        assert [each.is_redeemed for each in venue.store.tickets.counted(venue.list_, None)] == [False, True]
        assert found.ticket.data.secret == "t1"
        assert not found.is_redeemed
        with pytest.raises(NotWritable):
            venue.add_device("Gate 2")
        with pytest.raises(NotWritable):
            venue.settle()
    assert venue.store.lists.version_of(venue.list_id) > list_version
    assert [device.name for device in venue.store.devices.all()] == ["Gate 1"]
    assert venue.store.devices.by_key("KEYOFGate 2") is None
    assert venue.pending() != []
    assert venue.scan("t1") is LET_IN
    assert venue.scan("t1") is Reason.ALREADY_REDEEMED
    assert venue.store.write_failure() is None


def test_who_never_read_before_the_disk_was_full_can_read_then(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.pull(told("t1", attendee_name="Ada"))
    venue.close()
    venue = Venue(tmp_path)
    with full_disk():
        for _ in range(2):
            with pytest.raises(NotWritable):
                venue.scan("t1")
        assert not venue.is_in("t1")
    assert venue.scan("t1") is LET_IN
    venue.close()


def test_in_a_batch_whose_commit_fails_nobody_is_let_in_and_the_next_try_is(venue: Venue) -> None:
    venue.take_in(many(GATES))
    held = HeldWriter(venue.store._writer)
    with ThreadPoolExecutor(GATES) as pool:
        asked = [pool.submit(venue.scan, f"s{number:04d}", nonce="n") for number in range(GATES)]
        held.wait_for(redeems=GATES)
        with full_disk():
            held.release()
            for future in asked:
                with pytest.raises(NotWritable):
                    future.result(DEADLINE_S)
    assert venue.journal == []
    for number in range(GATES):
        answer = venue.redeem(f"s{number:04d}", nonce="n")
        assert answer.verdict.is_ok
        assert not answer.verdict.is_repeat


def test_a_refusal_that_could_not_be_answered_is_not_in_the_log(venue: Venue) -> None:
    venue.pull(told())
    held = HeldWriter(venue.store._writer)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(venue.scan), pool.submit(venue.scan, "nobody")]
        held.wait_for(redeems=2)
        with full_disk():
            held.release()
            for future in asked:
                with pytest.raises(NotWritable):
                    future.result(DEADLINE_S)
    venue.scan("somebody")
    assert [entry.secret for entry in venue.logged(1)] == ["somebody"]


def test_whether_the_store_can_be_written_is_known_from_the_last_commit(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.pull(told())
    venue.scan()
    before = commits_in_wal(venue.data_dir)
    for _ in range(5):
        assert venue.store.write_failure() is None
    assert commits_in_wal(venue.data_dir) == before, "the last commit says it"
    monkeypatch.setattr("edgebox.store.PROBE_EVERY_S", 0.0)
    monkeypatch.setattr("edgebox.store.PROBE_AFTER_FAILURE_S", 0.0)
    assert venue.store.write_failure() is None
    assert commits_in_wal(venue.data_dir) == before + 1, "a probe wrote"
    with full_disk():
        assert venue.store.write_failure()
    assert venue.store.write_failure() is None


def test_a_disk_that_became_read_only_is_seen_without_a_write(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a card that fails the kernel makes a read-only one."""
    venue.pull(told())
    before = commits_in_wal(venue.data_dir)
    found = os.statvfs(venue.data_dir)
    read_only = os.statvfs_result((*found[:8], found.f_flag | os.ST_RDONLY, found.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    assert venue.store.write_failure() == "the disk has become read-only"
    monkeypatch.undo()
    assert venue.store.write_failure() is None
    assert commits_in_wal(venue.data_dir) == before


def test_after_a_failure_a_probe_writes_at_most_every_thirty_seconds(venue: Venue) -> None:
    venue.pull(told())
    with full_disk():
        with pytest.raises(NotWritable):
            venue.scan()
        assert venue.store.write_failure()
    # The disk is well again; the first probe is not 30 s old yet.
    before = commits_in_wal(venue.data_dir)
    assert venue.store.write_failure()
    assert commits_in_wal(venue.data_dir) == before
    venue.scan()
    assert venue.store.write_failure() is None


# --- killed -----------------------------------------------------------------------------------------------------------

CHILD = textwrap.dedent(
    """
    import sys, threading
    from pathlib import Path
    from tests.store.venue import Venue

    venue, first = Venue(Path(sys.argv[1])), int(sys.argv[2])
    print("ready", flush=True)

    def gate(number):
        for ticket in range(first + number, 4000, 4):
            if venue.scan(f"s{ticket:04d}") is None:
                sys.stdout.write(f"s{ticket:04d}\\n")
                sys.stdout.flush()

    threads = [threading.Thread(target=gate, args=(number,)) for number in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    """
)


def test_what_was_answered_is_in_the_journal_after_kill_9_again_and_again(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.take_in(many(4000))
    venue.close()
    answered: list[str] = []
    for round_number in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(round_number * 1000)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "ready\n"
            for _ in range(40 + 17 * round_number):
                answered.append(child.stdout.readline().strip())
        finally:
            child.send_signal(signal.SIGKILL)
        answered += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.wait(DEADLINE_S)
        child.stdout.close()
        venue = Venue(tmp_path)
        try:
            recorded = Counter(row.checkin.secret for row in venue.journal)
            assert set(recorded.values()) == {1}
            assert set(answered) <= set(recorded)
            # At most one in each gate was recorded and not answered any more.
            assert len(recorded) - len(answered) <= 4 * (round_number + 1)
            assert venue.scan(answered[-1]) is Reason.ALREADY_REDEEMED
        finally:
            venue.close()
    assert len(answered) == len(set(answered)) >= 4 * 40
