"""The clock: what time it is, when that can be believed, and how earlier stamps are put right."""

from __future__ import annotations

import contextlib
import ctypes
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgebox.clock import (
    AGREEMENT_S,
    LOOK_INTERVAL_S,
    Clock,
    SystemSynchronisation,
    kernel_is_synchronised,
    read_boot_id,
    seconds_since_boot,
)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)
BOOT = "b41530b0-f338-455a-987d-e32538b09a36"


class Machine:
    """A machine whose time passes when the test says so."""

    def __init__(self, wall: datetime = YESTERDAY, *, is_synchronised: bool = False) -> None:
        self.wall_s = wall.timestamp()
        self.boottime_s = 100.0
        self.is_synchronised = is_synchronised
        self.clock = Clock(
            wall=lambda: self.wall_s,
            boottime=lambda: self.boottime_s,
            boot_id=BOOT,
            system_synchronised=lambda: self.is_synchronised,
        )

    def let_pass(self, seconds: float) -> None:
        self.wall_s += seconds
        self.boottime_s += seconds

    def set_wall(self, wall: datetime) -> None:
        self.wall_s = wall.timestamp()

    def trust_date(self, date: datetime, *, exchange_s: float = 0.0) -> bool:
        """An answer with this date arrives now, after an exchange that took so long."""
        return self.clock.trust_date(date, self.boottime_s - exchange_s, self.boottime_s)


# --- whether it can be believed ---------------------------------------------------------------------------------------


def test_an_unsynchronised_clock_shows_wall_time_without_trust() -> None:
    machine = Machine()
    assert machine.clock.now() == YESTERDAY
    assert machine.clock.now().tzinfo is UTC
    assert not machine.clock.is_trusted()


def test_a_synchronised_clock_is_trusted_and_shows_wall_time() -> None:
    machine = Machine(NOON, is_synchronised=True)
    assert machine.clock.is_trusted()
    assert machine.clock.now() == NOON


def test_trust_follows_the_system_at_once() -> None:
    machine = Machine(NOON)
    machine.is_synchronised = True
    assert machine.clock.is_trusted()


def test_a_synchronised_clock_before_the_last_time_on_record_is_not_trusted() -> None:
    machine = Machine(YESTERDAY, is_synchronised=True)
    machine.clock.note_recorded(NOON)
    assert not machine.clock.is_trusted()
    assert not machine.clock.stamp().is_trusted
    assert machine.clock.corrected(BOOT, 100.0) is None


def test_a_synchronised_clock_is_trusted_again_once_it_passes_the_last_time_on_record() -> None:
    machine = Machine(NOON - timedelta(seconds=10), is_synchronised=True)
    machine.clock.note_recorded(NOON)
    assert not machine.clock.is_trusted()
    machine.let_pass(10)
    assert machine.clock.is_trusted()


@pytest.mark.parametrize(("behind_s", "is_trusted"), [(0.0, True), (AGREEMENT_S, True), (AGREEMENT_S + 0.01, False)])
def test_a_clock_may_be_a_little_behind_the_record(behind_s: float, is_trusted: bool) -> None:
    machine = Machine(NOON - timedelta(seconds=behind_s), is_synchronised=True)
    machine.clock.note_recorded(NOON)
    assert machine.clock.is_trusted() is is_trusted


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    machine = Machine(NOON - timedelta(hours=1), is_synchronised=True)
    machine.clock.note_recorded(NOON)
    machine.clock.note_recorded(YESTERDAY)
    assert not machine.clock.is_trusted()


def test_a_naive_record_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        Machine().clock.note_recorded(datetime(2026, 11, 24, 12, 0))


# --- upstream's date --------------------------------------------------------------------------------------------------


def test_upstreams_date_gives_trust_and_the_time_goes_on_from_it() -> None:
    machine = Machine(YESTERDAY)
    assert machine.trust_date(NOON)
    assert machine.clock.is_trusted()
    assert machine.clock.now() == NOON
    machine.let_pass(90.5)
    assert machine.clock.now() == NOON + timedelta(seconds=90.5)


def test_upstreams_time_goes_on_by_the_seconds_since_boot_whatever_the_wall_clock_does() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON)
    machine.let_pass(10)
    machine.set_wall(NOON + timedelta(days=400))
    assert machine.clock.now() == NOON + timedelta(seconds=10)


def test_upstreams_date_is_taken_for_the_middle_of_the_exchange() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON, exchange_s=8)
    assert machine.clock.now() == NOON + timedelta(seconds=4)


def test_only_the_first_date_is_a_transition() -> None:
    machine = Machine(YESTERDAY)
    assert machine.trust_date(NOON)
    machine.let_pass(60)
    assert not machine.trust_date(NOON + timedelta(seconds=60))
    assert not machine.trust_date(NOON + timedelta(hours=1))
    assert machine.clock.is_trusted()


@pytest.mark.parametrize("apart_s", [-AGREEMENT_S, -0.7, 0.7, AGREEMENT_S])
def test_a_wall_clock_that_agrees_gives_the_finer_value(apart_s: float) -> None:
    wall = NOON + timedelta(seconds=apart_s)
    machine = Machine(wall)
    assert machine.trust_date(NOON)
    assert machine.clock.now() == wall


def test_whether_the_wall_clock_agrees_is_seen_at_the_middle_of_the_exchange() -> None:
    machine = Machine(NOON + timedelta(seconds=4.25))
    machine.trust_date(NOON, exchange_s=8)
    assert machine.clock.now() == NOON + timedelta(seconds=4.25)


@pytest.mark.parametrize("apart_s", [-2.5, 2.5])
def test_a_wall_clock_that_does_not_agree_is_not_believed(apart_s: float) -> None:
    machine = Machine(NOON + timedelta(seconds=apart_s))
    machine.trust_date(NOON)
    assert machine.clock.now() == NOON


def test_a_date_close_to_what_is_held_moves_nothing() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON)
    machine.let_pass(60)
    machine.trust_date(NOON + timedelta(seconds=62))
    assert machine.clock.now() == NOON + timedelta(seconds=60)


def test_a_date_that_contradicts_what_is_held_replaces_it() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON)
    machine.let_pass(60)
    machine.trust_date(NOON + timedelta(seconds=62.5))
    assert machine.clock.now() == NOON + timedelta(seconds=62.5)


def test_a_slow_answer_does_not_spoil_what_a_quick_one_told() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON)
    machine.let_pass(60)
    # The server stamped this one just before it arrived, so the middle of the exchange is ten seconds off.
    machine.trust_date(NOON + timedelta(seconds=60), exchange_s=20)
    assert machine.clock.now() == NOON + timedelta(seconds=60)


def test_a_date_is_ignored_while_the_system_is_synchronised() -> None:
    machine = Machine(NOON, is_synchronised=True)
    assert not machine.trust_date(NOON + timedelta(hours=1))
    assert machine.clock.now() == NOON
    machine.is_synchronised = False
    assert not machine.clock.is_trusted()


def test_the_systems_word_is_better_than_upstreams() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON + timedelta(seconds=30))
    machine.set_wall(NOON)
    machine.is_synchronised = True
    assert machine.clock.now() == NOON


def test_upstream_is_believed_where_the_record_contradicts_the_system() -> None:
    machine = Machine(YESTERDAY, is_synchronised=True)
    machine.clock.note_recorded(NOON)
    assert machine.trust_date(NOON + timedelta(hours=1))
    assert machine.clock.is_trusted()
    assert machine.clock.now() == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    "date",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2019, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_an_absurd_date_is_ignored(date: datetime) -> None:
    machine = Machine(YESTERDAY)
    assert not machine.trust_date(date)
    assert not machine.clock.is_trusted()
    assert machine.clock.now() == YESTERDAY


def test_a_date_without_an_offset_is_utc() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON.replace(tzinfo=None))
    assert machine.clock.now() == NOON


def test_an_answer_before_its_request_is_refused() -> None:
    with pytest.raises(ValueError, match="before its request"):
        Machine().clock.trust_date(NOON, 101.0, 100.0)


def test_of_two_answers_at_once_one_makes_the_transition() -> None:
    machine = Machine(YESTERDAY)
    both_are_inside = threading.Barrier(2)

    def wait_for_the_other() -> bool:
        # They may never meet here, so the first to come waits in vain, and nobody waits after that.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_are_inside.wait(timeout=0.2)
        return False

    machine.clock.system_synchronised = wait_for_the_other
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(machine.trust_date, NOON) for _ in range(2)]
    assert sorted(answer.result() for answer in answers) == [False, True]


# --- stamps and their correction --------------------------------------------------------------------------------------


def test_a_stamp_tells_all_that_a_correction_needs() -> None:
    machine = Machine(YESTERDAY)
    stamp = machine.clock.stamp()
    assert (stamp.at, stamp.boot_id, stamp.boottime_s, stamp.is_trusted) == (YESTERDAY, BOOT, 100.0, False)
    with pytest.raises(FrozenInstanceError):
        stamp.is_trusted = True  # type: ignore[misc]


def test_a_stamp_made_with_trust_says_so() -> None:
    machine = Machine(YESTERDAY)
    machine.trust_date(NOON)
    machine.let_pass(5)
    stamp = machine.clock.stamp()
    assert (stamp.at, stamp.boottime_s, stamp.is_trusted) == (NOON + timedelta(seconds=5), 105.0, True)


def test_without_trust_nothing_is_corrected() -> None:
    machine = Machine(YESTERDAY)
    stamp = machine.clock.stamp()
    assert machine.clock.corrected(stamp.boot_id, stamp.boottime_s) is None


def test_a_stamp_from_before_upstreams_date_is_corrected_by_it() -> None:
    machine = Machine(YESTERDAY)
    stamp = machine.clock.stamp()
    machine.let_pass(600)
    machine.trust_date(NOON)
    machine.let_pass(30)
    assert machine.clock.corrected(stamp.boot_id, stamp.boottime_s) == NOON - timedelta(seconds=600)


def test_a_stamp_from_before_the_systems_synchronisation_is_corrected_by_it() -> None:
    machine = Machine(YESTERDAY)
    stamp = machine.clock.stamp()
    machine.let_pass(600)
    machine.set_wall(NOON)
    machine.is_synchronised = True
    machine.let_pass(30)
    assert machine.clock.corrected(stamp.boot_id, stamp.boottime_s) == NOON - timedelta(seconds=600)


def test_a_stamp_of_another_boot_is_not_corrected() -> None:
    machine = Machine(NOON, is_synchronised=True)
    assert machine.clock.corrected("another", 100.0) is None
    assert machine.clock.corrected(BOOT, 100.0) == NOON


# --- what the system says ---------------------------------------------------------------------------------------------


class System:
    """Timesyncd's mark, the kernel's word, and the time that passes between two looks."""

    def __init__(self, tmp_path: Path) -> None:
        self.mark = tmp_path / "synchronized"
        self.kernel_says = False
        self.looks = 0
        self.now_s = 0.0
        self.is_synchronised = SystemSynchronisation(
            timesyncd_mark=self.mark, kernel=self._look, monotonic=lambda: self.now_s
        )

    def _look(self) -> bool:
        self.looks += 1
        return self.kernel_says


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_a_system_that_nobody_synchronised_is_not(system: System) -> None:
    assert not system.is_synchronised()


def test_timesyncds_mark_is_believed(system: System) -> None:
    system.mark.touch()
    assert system.is_synchronised()


def test_the_kernels_word_is_believed(system: System) -> None:
    system.kernel_says = True
    assert system.is_synchronised()


def test_a_no_is_looked_at_again_only_after_a_while(system: System) -> None:
    assert not system.is_synchronised()
    system.kernel_says = True
    system.now_s = LOOK_INTERVAL_S - 0.1
    assert not system.is_synchronised()
    assert system.looks == 1
    system.now_s = LOOK_INTERVAL_S
    assert system.is_synchronised()


def test_a_yes_is_kept_although_the_kernel_takes_it_back(system: System) -> None:
    system.kernel_says = True
    assert system.is_synchronised()
    system.kernel_says = False
    system.now_s = 10 * 3600.0
    assert system.is_synchronised()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "adjtimex"), reason="this system has no adjtimex")
def test_the_kernel_is_read_as_its_status_word_says() -> None:
    sta_unsync = 0x0040
    timex = ctypes.create_string_buffer(512)
    is_answered = ctypes.CDLL(None).adjtimex(timex) >= 0
    # modes, offset, freq, maxerror, esterror, status: the head of struct timex, which is the same on every machine.
    status = struct.unpack_from("@Illlli", timex)[5]
    assert kernel_is_synchronised() is (is_answered and not status & sta_unsync)


class Libc:
    """A C library whose kernel answers adjtimex with this state."""

    def __init__(self, state: int) -> None:
        self.state = state

    def adjtimex(self, timex: object) -> int:
        return self.state


@pytest.mark.parametrize(("state", "is_synchronised"), [(-1, False), (0, True), (1, True), (4, True), (5, False)])
def test_each_state_of_the_kernels_clock(monkeypatch: pytest.MonkeyPatch, state: int, is_synchronised: bool) -> None:
    monkeypatch.setattr("edgebox.clock.ctypes.CDLL", lambda name: Libc(state))
    assert kernel_is_synchronised() is is_synchronised


def test_a_system_without_adjtimex_is_not_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.clock.ctypes.CDLL", lambda name: object())
    assert not kernel_is_synchronised()


def test_the_boot_id_is_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text(f"{BOOT}\n", encoding="ascii")
    assert read_boot_id(tmp_path / "boot_id") == BOOT


def test_without_a_boot_id_the_process_has_one_of_its_own(tmp_path: Path) -> None:
    missing = read_boot_id(tmp_path / "missing")
    assert len(missing) == 36
    assert read_boot_id(tmp_path / "missing") == missing
    assert read_boot_id(tmp_path / "another") != missing


def test_seconds_since_boot_are_the_kernels() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= seconds_since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_the_real_seams_are_those_of_this_machine() -> None:
    clock = Clock()
    before, stamp, after = time.time(), clock.stamp(), time.time()
    assert before - 0.001 <= stamp.at.timestamp() <= after + 0.001
    assert stamp.boot_id == Clock().boot_id == read_boot_id()
    assert stamp.is_trusted is clock.is_trusted()
