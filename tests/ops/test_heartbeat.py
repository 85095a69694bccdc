"""The watchdog is fed while the box really answers and writes, and not otherwise."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgebox.ops.heartbeat import WELL, Heartbeat, probe
from edgebox.ops.notify import Supervisor
from edgebox.store.db import DATABASE_NAME
from tests.support.box import BoxProcess, free_port, wait_until

QUICK_S = 0.01


class Listener:
    """The end of systemd: what it was told, line by line."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self.socket.settimeout(30)

    def hear(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def hear_until(self, wanted: str) -> list[str]:
        """Everything up to and with this line."""
        heard: list[str] = []
        while wanted not in heard:
            heard += self.hear()
        return heard

    def is_silent_for(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            return not self.socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(30)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.socket.close()


def supervisor(listener: Listener, watchdog_usec: str = "") -> Supervisor:
    return Supervisor({"NOTIFY_SOCKET": listener.socket.getsockname(), "WATCHDOG_USEC": watchdog_usec})


# --- what systemd says and hears --------------------------------------------------------------------------------------


def test_lines_are_sent_as_systemd_reads_them(systemd: Listener) -> None:
    supervisor(systemd).tell(READY="1", STATUS="two\nlines")
    assert systemd.hear() == ["READY=1", "STATUS=two lines"]


def test_a_name_that_is_in_no_file_system_is_understood() -> None:
    listener = Listener(f"@edgebox-test-{os.getpid()}")
    try:
        Supervisor({"NOTIFY_SOCKET": f"@edgebox-test-{os.getpid()}"}).tell(WATCHDOG="1")
        assert listener.hear() == ["WATCHDOG=1"]
    finally:
        listener.socket.close()


def test_where_nobody_listens_nothing_is_sent() -> None:
    nobody = Supervisor({})
    nobody.tell(READY="1")
    assert not nobody.is_there


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_its_patience_is_read_from_the_environment(environ: dict[str, str], seconds: float | None) -> None:
    assert Supervisor(environ, pid=7).watchdog_s == seconds


# --- what it is told --------------------------------------------------------------------------------------------------


class Said:
    """What the box says of itself, as a test has it."""

    def __init__(self, has_answered: bool = True, trouble: str = WELL) -> None:
        self.now = (has_answered, trouble)
        self.looks = threading.Semaphore(0)

    def __call__(self, timeout_s: float) -> tuple[bool, str]:
        self.looks.release()
        return self.now

    def wait_for_looks(self, number: int) -> None:
        for _ in range(number):
            assert self.looks.acquire(timeout=30)


@contextmanager
def beating(listener: Listener, said: Said) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(supervisor(listener), said, interval_s=QUICK_S)
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        heartbeat.close()


def test_it_is_ready_after_the_first_answer_and_fed_after_each(systemd: Listener) -> None:
    with beating(systemd, Said()):
        assert systemd.hear() == ["READY=1", "WATCHDOG=1", "STATUS=Answers and writes."]
        assert systemd.hear() == ["WATCHDOG=1"]
        assert systemd.hear() == ["WATCHDOG=1"]


def test_without_an_answer_it_is_neither_ready_nor_fed(systemd: Listener) -> None:
    said = Said(has_answered=False, trouble="the box does not answer")
    with beating(systemd, said):
        assert systemd.hear() == ["STATUS=the box does not answer"]
        said.wait_for_looks(5)
        assert systemd.is_silent_for(0.2)

        said.now = (True, WELL)
        assert systemd.hear() == ["READY=1", "WATCHDOG=1", "STATUS=Answers and writes."]


def test_a_box_that_cannot_write_is_ready_and_not_fed(systemd: Listener) -> None:
    said = Said(trouble="the store cannot be written: disk full")
    with beating(systemd, said):
        assert systemd.hear() == ["READY=1", "STATUS=the store cannot be written: disk full"]
        said.wait_for_looks(5)
        assert systemd.is_silent_for(0.2)


def test_stopping_is_told_and_nothing_after_it(systemd: Listener) -> None:
    said = Said()
    with beating(systemd, said) as heartbeat:
        systemd.hear_until("READY=1")
        heartbeat.close()
        assert systemd.hear_until("STOPPING=1")[-2:] == ["STOPPING=1", "STATUS=Stops."]
        heartbeat._thread.join(30)
        assert systemd.is_silent_for(0.2)


def test_a_systemd_that_is_gone_does_no_harm(systemd: Listener) -> None:
    said = Said()
    with beating(systemd, said):
        systemd.hear()
        systemd.socket.close()
        said.wait_for_looks(5)


# --- a real box -------------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_no_answer() -> None:
    has_answered, trouble = probe("0.0.0.0", free_port(), timeout_s=5)
    assert not has_answered
    assert "does not answer" in trouble


def test_one_that_accepts_and_says_nothing_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        has_answered, trouble = probe("127.0.0.1", silent.getsockname()[1], timeout_s=0.2)
    assert not has_answered
    assert "timed out" in trouble


@pytest.fixture
def watched(box: BoxProcess, systemd: Listener) -> BoxProcess:
    """A box whose start was made by `systemd`, which wants to hear from it every 4 s."""
    box.env |= {"NOTIFY_SOCKET": systemd.socket.getsockname(), "WATCHDOG_USEC": "4000000", "EDGEBOX_TEST_HANG": "1"}
    return box.start()


def test_a_box_feeds_the_watchdog_and_says_when_it_stops(watched: BoxProcess, systemd: Listener) -> None:
    assert systemd.hear_until("READY=1")
    for _ in range(3):
        systemd.hear_until("WATCHDOG=1")
    assert watched.stop() == 0
    systemd.hear_until("STOPPING=1")


def test_a_box_whose_server_hangs_does_not_feed_it(watched: BoxProcess, systemd: Listener) -> None:
    """Also though its other threads, the one that feeds among them, go on."""
    systemd.hear_until("WATCHDOG=1")
    os.kill(watched.pid, signal.SIGUSR2)

    wait_until(lambda: systemd.is_silent_for(3), 60, "the watchdog is not fed")
    os.kill(watched.pid, signal.SIGABRT)  # as systemd does then
    wait_until(lambda: not watched.is_running, 30, "the box ends")
    assert "serving.py" in watched.output
    assert "_hang" in watched.output


def test_without_the_tests_variable_that_signal_hangs_nothing(box: BoxProcess) -> None:
    box.start()
    os.kill(box.pid, signal.SIGUSR2)
    wait_until(lambda: not box.is_running, 30, "the signal ends the process, as it ends any")


def test_a_box_that_cannot_write_does_not_feed_it(watched: BoxProcess, systemd: Listener) -> None:
    systemd.hear_until("READY=1")
    with sqlite3.connect(watched.data_dir / DATABASE_NAME, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")  # holds the pen for as long as this test likes
        assert watched.run("staff", "reset", "gate", check=False).returncode == 1
        heard = systemd.hear_until("STATUS=the store cannot be written: database is locked")
        assert "the watchdog is not fed" in watched.output
        assert heard
        assert systemd.is_silent_for(2.5)
        other.execute("ROLLBACK")
    watched.run("staff", "reset", "gate")
    systemd.hear_until("STATUS=Answers and writes.")
