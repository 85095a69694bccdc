"""One process at a time writes a data directory: a running box for all commands, else one command. Real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgebox.config import Config
from edgebox.control import ActionFailed, actions
from edgebox.control.client import call
from edgebox.datadir import BOX, COMMAND, LOCK_NAME, SOCKET_NAME, DataDir, InUse
from edgebox.store import reserve
from edgebox.store.db import DATABASE_NAME
from tests.cli.conftest import Desk, HostedBox, failing, heeds_ctrl_c
from tests.support.box import REPOSITORY, BoxProcess, wait_until
from tests.support.upstream import Hold, StubUpstream, held


@contextmanager
def background(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs meanwhile."""
    command = [sys.executable, "-m", "edgebox", "--data", str(data_dir), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=REPOSITORY,
        preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_beside_a_box_in_another_process_takes_effect_at_once(
    box: BoxProcess, desk: Desk, stub: StubUpstream
) -> None:
    stub.add_ticket("guest1")
    box.start()
    box.run("lists", "add", stub.url, "-", input=f"{stub.key}\n")
    box.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")
    desk.run("sync")

    assert box.redeem("GATE1KEY", "guest1").json()["status"] == "ok"

    assert len(desk.checkins()) == 1
    desk.run("devices", "revoke", "Gate 1")
    assert box.redeem("GATE1KEY", "guest1").status_code == 403
    assert box.stop() == 0
    assert "Traceback" not in box.output


def test_only_its_user_can_open_what_a_box_keeps(hosted: HostedBox, desk: Desk, stub: StubUpstream) -> None:
    desk.data_dir.rmdir()
    umask = os.umask(0)
    try:
        hosted.start()
        desk.run("lists", "add", stub.url, stub.key)
    finally:
        os.umask(umask)

    assert mode(desk.data_dir) == 0o700
    modes = {path.name: mode(path) for path in desk.data_dir.iterdir()}
    kept = {LOCK_NAME, SOCKET_NAME, reserve.NAME, DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"}
    assert modes == dict.fromkeys(kept, 0o600)


def test_a_second_box_is_refused_with_the_process_of_the_first(hosted: HostedBox, desk: Desk) -> None:
    hosted.start()

    said = failing(desk.data_dir, "serve", "--port", "0")

    assert said == f"edgebox: {desk.data_dir} is in use by a box (process {os.getpid()}); nothing was done\n"
    assert desk.run("status")


def test_a_socket_that_a_killed_box_left_is_no_obstacle(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    box.start()
    box.kill()
    assert (box.data_dir / SOCKET_NAME).exists()

    desk.run("lists", "add", stub.url, stub.key)
    box.start()

    assert len(desk.lists()) == 1
    assert desk.json("status", "--json")["serves_at"] == box.url


def test_a_path_may_be_longer_than_the_address_of_a_socket(tmp_path: Path, stub: StubUpstream) -> None:
    box = HostedBox(tmp_path / ("long " * 40) / "Ünïcode?#%20")
    desk = Desk(box.data_dir)
    assert len(str(box.data_dir)) > 200
    desk.run("lists", "add", stub.url, stub.key)
    box.start()
    try:
        desk.run("sync")
        assert desk.json("status", "--json")["serves_at"] == box.url
    finally:
        box.stop()


def test_a_command_waits_for_another_one_and_says_so(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    with background(desk.data_dir, "sync") as first:
        assert hold.reached.wait(30)
        with background(desk.data_dir, "status") as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            hold.release()
            assert second.wait(30) == 0
        assert first.wait(30) == 0

    assert waiting == f"edgebox: waiting for a command (process {first.pid}) that works on {desk.data_dir}\n"


def test_a_box_that_starts_waits_for_a_command_and_says_so(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    with background(desk.data_dir, "sync") as command:
        assert hold.reached.wait(30)
        starting = threading.Thread(target=box.start)
        starting.start()
        wait_until(lambda: "holds the data directory" in box.output, 30, "the box says that it waits")
        assert f"a command (process {command.pid}) holds the data directory" in box.output
        assert "serves at" not in box.output
        hold.release()
        assert command.wait(30) == 0
        starting.join()

    assert box.is_running


def test_a_command_that_was_killed_holds_nothing_up(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    with background(desk.data_dir, "sync") as command:
        assert hold.reached.wait(30)
        command.kill()
        command.wait()
    hold.release()
    stub.off()

    desk.run("sync")


def test_a_command_is_told_when_the_box_is_killed_under_it(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    box.start()
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    with background(desk.data_dir, "lists", "add", stub.url, stub.key) as command:
        assert hold.reached.wait(30)
        box.kill()
        out, err = command.communicate(timeout=30)

    assert (command.returncode, out) == (1, "")
    assert err == "edgebox: the box stopped before it had answered; see how things stand before you try again\n"


def test_a_command_that_is_interrupted_leaves_the_box_to_finish(
    hosted: HostedBox, desk: Desk, stub: StubUpstream, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.add_tickets(300)
    desk.add_list(stub)
    hosted.start()
    desk.run("sync")
    caplog.set_level("DEBUG", logger="edgebox")
    asked, hold = threading.Event(), Hold()
    run = actions.run

    def watched(*arguments: Any) -> Any:
        stub.on("download", lambda request: held(hold))
        asked.set()
        return run(*arguments)

    monkeypatch.setattr(actions, "run", watched)
    with background(desk.data_dir, "sync") as command:
        assert asked.wait(30)
        assert hold.reached.wait(30)
        command.send_signal(signal.SIGINT)
        assert command.wait(30) == 130
    caplog.clear()
    hold.release()
    hosted.stop()  # which lets the action finish

    assert "list 1: pulled 300 tickets, 0 new or changed" in caplog.messages
    assert not [record for record in caplog.records if record.exc_info]


def test_a_command_from_another_version_is_told_so(desk: Desk, hosted: HostedBox) -> None:
    hosted.start()

    with pytest.raises(ActionFailed, match="does not know the action dance"):
        call(Config.load(desk.data_dir, {}, {}), "dance", {})


def test_what_a_dead_holder_wrote_says_nothing(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / LOCK_NAME).write_text(json.dumps({"pid": int(ended.stdout), "role": BOX}).ljust(64))
    holder, seeker = DataDir(tmp_path), DataDir(tmp_path)
    holder.take(COMMAND)
    (tmp_path / LOCK_NAME).write_text(json.dumps({"pid": int(ended.stdout), "role": BOX}).ljust(64))

    with pytest.raises(InUse, match="in use by another process") as refusal:
        seeker.take(BOX, wait_s=0.2)

    assert not refusal.value.is_by_box
    holder.release()
    seeker.take(BOX)


def test_a_box_is_not_waited_for_and_a_command_is(tmp_path: Path) -> None:
    holder, seeker = DataDir(tmp_path), DataDir(tmp_path)
    holder.take(BOX)
    with pytest.raises(InUse, match=rf"a box \(process {os.getpid()}\)") as refusal:
        seeker.take(COMMAND, wait_s=60)
    assert refusal.value.is_by_box
    holder.release()

    holder.take(COMMAND)
    told: list[str] = []

    def announce(who: object) -> None:
        told.append(str(who))
        holder.release()

    seeker.take(BOX, wait_s=60, announce=announce)
    assert told == [f"a command (process {os.getpid()})"]
