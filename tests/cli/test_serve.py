"""`edgebox serve`: a process that starts, says what goes on, and ends when it is asked to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from edgebox.datadir import SOCKET_NAME
from tests.cli.conftest import Desk, failing
from tests.support.box import REPOSITORY, BoxProcess, wait_until
from tests.support.upstream import Hold, StubUpstream, held


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(box: BoxProcess, desk: Desk, number: signal.Signals) -> None:
    box.start()

    os.kill(box.pid, number)

    assert box.stop() == 0  # which asks once more
    assert not (box.data_dir / SOCKET_NAME).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", box.port))
    desk.run("status")
    assert "the box stops" in box.output
    assert "Traceback" not in box.output


def test_it_ends_cleanly_while_it_waits_for_a_command(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "edgebox", "--data", str(desk.data_dir)]
    with (
        subprocess.Popen([*command, "sync"], env=environment, stdout=subprocess.DEVNULL) as other,
        subprocess.Popen([*command, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE) as serve,
    ):
        try:
            assert hold.reached.wait(30)
            assert serve.stderr is not None
            assert b"holds the data directory" in serve.stderr.readline()
            serve.terminate()
            assert serve.wait(30) == 0
        finally:
            hold.release()
            other.wait(30)


def test_it_answers_what_it_has_begun_before_it_ends(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    box.start()
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    command = [sys.executable, "-m", "edgebox", "--data", str(desk.data_dir), "lists", "add", stub.url, stub.key]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as adding:
        assert hold.reached.wait(30)
        os.kill(box.pid, signal.SIGTERM)
        wait_until(lambda: not (box.data_dir / SOCKET_NAME).exists(), 30, "the box takes no more commands")
        hold.release()
        out, _ = adding.communicate(timeout=30)

    assert adding.returncode == 0
    assert "List 1 (Default) was added" in out
    assert box.stop() == 0
    assert "list 1 was added" in box.output
    assert "Traceback" not in box.output


def test_a_port_in_use_is_told_in_one_line(desk: Desk) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        said = failing(desk.data_dir, "serve", "--host", "127.0.0.1", "--port", str(port))

    assert f"127.0.0.1:{port} cannot be listened on (Address already in use): choose another --host or --port" in said
    desk.run("status")


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_this_machine_does_not_have_is_told(desk: Desk, host: str) -> None:
    assert f"{host}:8000 cannot be listened on (" in failing(desk.data_dir, "serve", "--host", host)


def test_port_0_takes_a_free_one_and_says_which(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgebox", "--data", str(tmp_path / "data"), "serve", "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", "0"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = re.fullmatch(r"edgebox serves at (http://127\.0\.0\.1:[1-9]\d*)\n", process.stdout.readline())
            assert address is not None
            assert requests.get(f"{address[1]}/healthz", timeout=10).json() == {"status": "ok"}
        finally:
            process.terminate()
    assert process.returncode == 0


def test_it_logs_a_line_an_event_and_no_keys_or_names(box: BoxProcess, desk: Desk, stub: StubUpstream) -> None:
    stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace")
    box.start("--port", str(box.port))
    desk.run("lists", "add", stub.url, stub.key)
    desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")
    desk.run("sync")
    box.redeem("GATE1KEY", "secret-of-ada")
    box.redeem("WRONGKEY", "secret-of-ada")
    wait_until(lambda: stub.accepted("secret-of-ada"), 20, "the check-in is pushed")
    stub.stop()
    desk.try_("sync")
    desk.run("devices", "revoke", "Gate 1")
    assert box.stop() == 0

    told = box.output
    for line in told.splitlines()[1:]:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING) edgebox\.[\w.]+: ", line), line
    for part in ("list 1 was added", "list 1: pulled 1 tickets", "list 1: 1 check-ins pushed", "was revoked"):
        assert part in told
    for part in (stub.key, "GATE1KEY", "WRONGKEY", "secret-of-ada", "Ada", "Lovelace"):
        assert part not in told


def test_the_journal_of_the_system_adds_the_time_itself_and_is_told_how_much_it_matters(
    box: BoxProcess, desk: Desk
) -> None:
    box.output_path.touch()
    stderr = box.output_path.stat()
    box.env["JOURNAL_STREAM"] = f"{stderr.st_dev}:{stderr.st_ino}"
    box.start()
    assert box.stop() == 0

    assert "\n<6>INFO edgebox.serving: the box stops\n" in box.output
