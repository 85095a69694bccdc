"""Whatever goes wrong is one line on stderr and a status that is not 0, never a traceback. With real processes."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from edgebox.cli.main import perform
from edgebox.cli.status import status
from edgebox.store.db import DATABASE_NAME
from tests.cli.conftest import Desk, HostedBox, command_line, environment, failing, heeds_ctrl_c
from tests.support.upstream import Hold, StubUpstream, held


def without_privileges() -> None:
    """Let root be denied what others are."""
    drop_from_bounding_set, capabilities = 24, 41
    for capability in range(capabilities):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "No such command 'frobnicate'. (edgebox --help says more)"),
        (["stauts"], "Did you mean"),
        (["status", "--bogus"], "No such option '--bogus'"),
        (["lists", "bogus"], "No such command 'bogus'. (edgebox lists --help says more)"),
        (["lists", "add"], "Missing argument 'URL|QR|FILE|EVENT/LIST'"),
        (["lists", "remove", "x"], "'x' is not a number"),
        (["lists", "remove", "9" * 40], "is not a number"),
        (["log", "--list", "-1"], "'-1' is not a number"),
        (["attention", "retry", "1.5"], "'1.5' is not a number"),
        (["export", "--format", "xml"], "'xml' is not one of 'csv', 'json'"),
        (["devices", "add", "a", "b", "--list", "1"], "unexpected extra argument"),
        (["log", "--secret", "\udcff"], "not UTF-8 text"),
        (["log"], "holds no box yet: start one (edgebox serve) or add a list (edgebox lists add)"),
    ],
)
def test_a_mistake_is_told_in_one_line(desk: Desk, arguments: list[str], told: str) -> None:
    assert told in desk.refused(*arguments)
    assert not desk.data_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "--port", "70000"], "port = '70000' in --port must be a whole number from 0 to 65535"),
        (["serve", "--host", "a b"], "host = 'a b' in --host must be"),
        (["demo", "--port", "x"], "port = 'x' in --port must be"),
    ],
)
def test_a_flag_that_cannot_be_is_told(desk: Desk, arguments: list[str], told: str) -> None:
    assert told in failing(desk.data_dir, *arguments)
    assert not desk.data_dir.exists()


def test_a_bad_setting_is_told_with_key_and_source(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stub: StubUpstream
) -> None:
    desk.add_list(stub)
    settings = desk.data_dir / "edgebox.toml"
    for content, told in (
        ("thread = 3", f"unknown key 'thread' in {settings} (did you mean threads?)"),
        ('threads = "many"', f"threads = 'many' in {settings} must be"),
        ("threads = ", f"{settings}, line 1:"),
    ):
        settings.write_text(content)
        for arguments in (["status"], ["log"], ["sync"]):
            assert told in desk.refused(*arguments)
    assert told in failing(desk.data_dir, "serve")
    settings.unlink()
    monkeypatch.setenv("EDGEBOX_TREADS", "3")
    assert "'EDGEBOX_TREADS' (did you mean EDGEBOX_THREADS?)" in desk.refused("status")


def test_a_fault_of_the_program_is_one_line_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("of all\nthings")

    monkeypatch.setattr(status, "callback", fail)

    said = desk.refused("status")

    assert "this is a fault of edgebox: ZeroDivisionError in main.py:" in said
    assert "of all things" in said


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    assert perform(["--data", str(file), "status"]) == 2
    assert f"{file}/deeper" in failing(file / "deeper", "lists", "add", "http://127.0.0.1/pretixdroid/api/a/b/", "KEY")


def test_another_users_data_directory_cannot_be_used(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.data_dir.chmod(0)
    try:
        for arguments in (["status"], ["serve"]):
            said = failing(desk.data_dir, *arguments, before=without_privileges)
            assert f"'{desk.data_dir}' is not readable" in said
    finally:
        desk.data_dir.chmod(0o700)


def test_another_users_running_box_cannot_be_asked(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    hosted.start()
    socket = desk.data_dir / "edgebox.sock"
    socket.chmod(0)

    said = failing(desk.data_dir, "status", before=without_privileges)

    assert "cannot be asked (Permission denied); nothing was done" in said


def test_a_directory_that_cannot_be_written_is_told(desk: Desk) -> None:
    desk.data_dir.mkdir(mode=0o500)

    said = failing(
        desk.data_dir, "lists", "add", "http://127.0.0.1:9/pretixdroid/api/a/b/", "KEY", before=without_privileges
    )

    assert f"the data directory {desk.data_dir} cannot be written: Permission denied" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_does_not_write_in_a_directory_of_the_boxs_own_user(
    desk: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    desk.add_list(stub)
    os.chown(desk.data_dir, 12345, -1)

    assert "belongs to the user 12345, and no box is running" in desk.refused("sync")

    hosted.start()
    desk.run("sync")


def test_a_broken_database_is_told_and_left_alone(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    database = desk.data_dir / DATABASE_NAME
    for leftover in desk.data_dir.glob(f"{DATABASE_NAME}-*"):
        leftover.unlink()
    database.write_bytes(b"this is no database " * 1000)
    for arguments in (["status"], ["log"], ["export"], ["lists", "add", stub.url, stub.key]):
        assert "not a database" in desk.refused(*arguments)
    assert "not a database" in failing(desk.data_dir, "serve")
    assert database.read_bytes() == b"this is no database " * 1000


def test_a_full_disk_is_told(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(2_000)
    desk.run("lists", "add", stub.url, stub.key)

    def with_no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    done = subprocess.run(
        command_line(desk.data_dir, "sync"), capture_output=True, text=True, timeout=60, env=environment(),
        preexec_fn=with_no_room,
    )  # fmt: skip

    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done
    assert "List 1: pull: the box cannot write its database" in done.stderr
    desk.run("sync")
    assert desk.lists()[0]["tickets"] == 2_000


def test_output_that_cannot_be_written_is_told(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    for arguments in (["export"], ["export", "--format", "json"], ["status"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command_line(desk.data_dir, *arguments), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                env=environment(),
            )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr == "edgebox: cannot go on: No space left on device\n"


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            command_line(desk.data_dir, "export"), stdout=pipe, stderr=subprocess.PIPE, timeout=60, env=environment()
        )

    assert (done.returncode, done.stderr) == (1, b"")


def test_ctrl_c_ends_a_command_in_one_line(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    hold = Hold()
    stub.on("status", lambda request: held(hold))
    with subprocess.Popen(
        command_line(desk.data_dir, "sync"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
        preexec_fn=heeds_ctrl_c,
    ) as process:  # fmt: skip
        assert hold.reached.wait(30)
        process.send_signal(signal.SIGINT)
        hold.release()
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err.strip()) == (130, b"", b"edgebox: stopped")


def test_old_terminals_get_what_they_can_show(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1", attendee_name="Łukasz")
    desk.add_list(stub)
    key = desk.add_device()
    hosted.start()
    hosted.redeem(key, "guest1")
    western_only = environment(PYTHONIOENCODING="latin-1")

    def shown(*arguments: str) -> bytes:
        done = subprocess.run(
            command_line(desk.data_dir, *arguments), capture_output=True, timeout=60, env=western_only, check=True
        )
        assert done.stderr == b""
        return done.stdout

    assert rb"\u0141ukasz" in shown("log")
    assert "Łukasz".encode() in shown("export")
    assert b"cannot show the QR code; its text is:\n{" in shown("devices", "show", "Gate 1")
