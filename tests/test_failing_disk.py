"""A real box on a disk that is full, read-only or failing: it says so, refuses scans in words, and recovers by itself.

The full disks are real ones, small and in memory (mounting them takes root). One that turns read-only or fails under a
running box is made by a library that is preloaded into it (`tests/support/disk.c`): every call that would change a file
then fails, and nothing else does.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from edgebox.store import reserve
from edgebox.store.db import DATABASE_NAME
from tests.api.conftest import KEY, assert_refuses
from tests.support import disk
from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import StubUpstream
from tests.test_damaged_database import TICKETS, prepare

MB = 1_000_000


class SmallDisk:
    """A file system of its own, with as much room as a test gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "somebody-elses"

    def fill(self, leaving_bytes: int = 0) -> None:
        """Somebody else takes the room that is left, or almost all of it."""
        for piece in (65536, 4096, 1):
            with self._filler.open("ab", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(piece))
        os.truncate(self._filler, max(0, self._filler.stat().st_size - leaving_bytes))

    def free(self) -> None:
        self._filler.unlink()

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", path], capture_output=True)
    if done.returncode:
        pytest.skip("no disk can be mounted here: that takes root")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def box_on_it(small_disk: SmallDisk, tmp_path: Path) -> Iterator[BoxProcess]:
    process = BoxProcess(small_disk.path / "data")
    process.output_path = tmp_path / "output"
    try:
        yield process
    finally:
        process.kill()
        print(f"--- output of the box ---\n{process.output}")


def answers(box: BoxProcess) -> bool:
    with suppress(requests.RequestException):
        return healthz(box) > 0
    return False


def healthz(box: BoxProcess) -> int:
    return box.session.get(f"{box.url}/healthz", timeout=15).status_code


def scan_until_refused(box: BoxProcess) -> list[str]:
    """Let guests in until the box says that it cannot write; who came in."""
    let_in: list[str] = []
    for number in range(TICKETS):
        answer = box.redeem(KEY, f"t{number:06d}", nonce=f"n{number}")
        if answer.status_code == 503:
            assert_refuses(answer.json())
            assert answer.json()["reason"] == "unavailable"
            assert "not recorded" in answer.json()["message"] or "nothing was recorded" in answer.json()["message"]
            return let_in
        assert answer.json()["status"] == "ok"
        let_in.append(f"t{number:06d}")
    raise AssertionError("there was always room")


def assert_reads(box: BoxProcess, let_in: list[str]) -> None:
    """All that only reads goes on, also in threads that have not read yet."""
    assert {row["secret"] for row in box.search(KEY, "t0000") if row["redeemed"]} == set(let_in[:25])
    assert box.get(KEY, "status/").json()["checkins"] == len(let_in)
    assert len(json.loads(box.get(KEY, "download/").content)["results"]) == TICKETS
    for _ in range(8):
        answer = requests.get(f"{box.api('search/')}?key={KEY}&query=t0002", timeout=15)
        assert answer.json()["results"][0]["secret"].startswith("t0002")
    assert healthz(box) == 503
    assert box.json("status", "--json")["lists"][0]["checkins"] == len(let_in)


def assert_recovers(box: BoxProcess, let_in: list[str]) -> None:
    """Without anybody's help, and with nothing lost or doubled."""
    secret = f"t{len(let_in):06d}"
    wait_until(lambda: box.redeem(KEY, secret, nonce=f"n{len(let_in)}").status_code == 200, 30, "it writes again")
    assert healthz(box) == 200
    assert box.redeem(KEY, "t000000").json()["reason"] == "already_redeemed"
    assert box.stop() == 0
    assert [row["secret"] for row in box.journal()] == [*let_in, secret]


# --- full -------------------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_while_scanning(small_disk: SmallDisk, box_on_it: BoxProcess) -> None:
    prepare(box_on_it, copies=0)
    box_on_it.start()
    assert box_on_it.redeem(KEY, "t000000", nonce="n0").json()["status"] == "ok"
    small_disk.fill()
    let_in = scan_until_refused(box_on_it)
    assert "the database cannot be written: database or disk is full" in box_on_it.output
    assert_reads(box_on_it, let_in)
    small_disk.free()
    assert_recovers(box_on_it, let_in)


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_disk_that_is_full_at_the_start(small_disk: SmallDisk, box_on_it: BoxProcess, end: str) -> None:
    """After a clean stop SQLite has to make two files before it can read anything: room is kept for them."""
    prepare(box_on_it, copies=0)
    box_on_it.start()
    assert box_on_it.redeem(KEY, "t000000", nonce="n0").json()["status"] == "ok"
    if end == "stopped":
        box_on_it.stop()
    else:
        box_on_it.kill()
    assert (box_on_it.data_dir / reserve.NAME).stat().st_size == reserve.SIZE_BYTES
    small_disk.fill()
    box_on_it.launch()
    wait_until(lambda: answers(box_on_it), 30, "it answers")
    small_disk.fill()
    let_in = scan_until_refused(box_on_it)
    assert_reads(box_on_it, let_in)
    small_disk.free()
    assert_recovers(box_on_it, let_in)


def test_a_disk_that_is_full_at_the_start_with_no_room_kept(small_disk: SmallDisk, box_on_it: BoxProcess) -> None:
    prepare(box_on_it, copies=0)
    box_on_it.start().stop()
    (box_on_it.data_dir / reserve.NAME).unlink()
    small_disk.fill()
    with pytest.raises(AssertionError, match="ended with status 1"):
        box_on_it.start()
    assert "the disk is full; nothing is lost: free some room" in box_on_it.output
    assert "Traceback" not in box_on_it.output
    small_disk.free()
    box_on_it.start()
    assert box_on_it.redeem(KEY, "t000000").json()["status"] == "ok"
    assert (box_on_it.data_dir / reserve.NAME).exists()


def test_a_disk_that_fills_up_while_pulling(small_disk: SmallDisk, box_on_it: BoxProcess, stub: StubUpstream) -> None:
    """What was pulled stays, and the pull is tried again once there is room."""
    few = stub.add_tickets(50)
    list_id = box_on_it.add_list(stub.url, stub.key)
    key = box_on_it.add_device("Gate", list_id)
    box_on_it.run("sync")
    for number in range(12000):
        stub.add_ticket(f"more{number:06d}", attendee_name=f"Guest {number} with a rather long name")
    small_disk.fill(leaving_bytes=MB)
    box_on_it.start()
    failed = box_on_it.run("sync", check=False)
    assert failed.returncode == 1
    assert "full" in failed.stdout + failed.stderr
    tickets = box_on_it.lists()[0]["tickets"]
    assert 50 <= tickets < 12050
    assert box_on_it.redeem(key, few[0], nonce="n").status_code in (200, 503)
    assert [row["secret"] for row in box_on_it.search(key, few[1])] == [few[1]]
    small_disk.remount("size=64m")
    wait_until(lambda: box_on_it.redeem(key, few[0], nonce="n").status_code == 200, 30, "scans are taken again")
    box_on_it.run("sync")
    assert box_on_it.lists()[0]["tickets"] == 12050
    assert [row["secret"] for row in box_on_it.journal()] == [few[0]]


# --- read-only, failing -----------------------------------------------------------------------------------------------


def test_a_disk_that_is_read_only_at_the_start(small_disk: SmallDisk, box_on_it: BoxProcess) -> None:
    prepare(box_on_it, copies=0)
    box_on_it.start().stop()
    small_disk.remount("ro")
    try:
        with pytest.raises(AssertionError, match="ended with status 1"):
            box_on_it.start()
        assert "cannot be written: Read-only file system" in box_on_it.output
        assert "Traceback" not in box_on_it.output
        assert "Read-only file system" in box_on_it.run("status", check=False).stderr
    finally:
        small_disk.remount("rw")
    box_on_it.start()
    assert box_on_it.redeem(KEY, "t000000").json()["status"] == "ok"
    assert box_on_it.json("status", "--json")["database"]["restored"] == []


@pytest.mark.skipif(not disk.compiler() and not os.environ.get("CI"), reason="there is no C compiler")
@pytest.mark.parametrize("fault", [errno.EROFS, errno.EIO, errno.ENOSPC])
def test_a_disk_that_takes_nothing_any_more(tmp_path: Path, fault: int) -> None:
    library = disk.compile_library(Path(disk.__file__).with_suffix(".c"), tmp_path / "disk.so")
    data_dir, control = tmp_path / "data", tmp_path / "fault"
    box = BoxProcess(data_dir, env=disk.environment(library, data_dir, fault=control))
    prepare(box, copies=1)
    try:
        box.start()
        assert box.redeem(KEY, "t000000", nonce="n0").json()["status"] == "ok"
        control.write_text(str(fault))
        let_in = ["t000000"]
        refused = box.redeem(KEY, "t000001", nonce="n1")
        assert refused.status_code == 503
        assert_refuses(refused.json())
        assert_reads(box, let_in)
        control.write_text("")
        assert_recovers(box, let_in)
        assert not (data_dir / "replaced").exists(), "a disk that fails to write has damaged nothing"
        assert (data_dir / DATABASE_NAME).exists()
    finally:
        box.kill()
        print(f"--- output of the box ---\n{box.output}")
