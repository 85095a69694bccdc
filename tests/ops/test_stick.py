"""A stick that comes and goes while the sandboxed box runs, and a second machine that takes over from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ops.conftest import Installed
from tests.ops.test_appliance import DATA, INSTALL, is_active, redeem, with_a_list
from tests.support.box import wait_until
from tests.support.debian import Machine

pytestmark = pytest.mark.slow

STICK = "/media/edgebox"
SOON_S = 30
IN_MEMORY = "What=tmpfs\nType=tmpfs\nOptions=\nOptions=uid=edgebox,gid=edgebox,mode=700\n"
A_FOLDER = "What=/srv/stick\nType=none\nOptions=\nOptions=bind\n"


def backup(machine: Machine) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(machine.run("edgebox", "status", "--json"))["backup"]
    return told


def plug_in(machine: Machine, mount: str = IN_MEMORY) -> None:
    """By the box's own unit; only what it mounts is another thing, for these machines have no devices."""
    drop_in = machine.path("/etc/systemd/system/media-edgebox.mount.d/test.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(f"[Mount]\n{mount}")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "media-edgebox.mount")


def pull_out(machine: Machine) -> None:
    """As systemd notices that the device has gone; the box has a file open on it."""
    machine.run("systemctl", "stop", "media-edgebox.mount")
    assert machine.run("systemctl", "is-active", "media-edgebox.mount", check=False).strip() == "inactive"


@pytest.fixture
def second(installed: Installed, tmp_path: Path) -> Iterator[Machine]:
    """Another Pi, installed as the first one, and booted."""
    machine = Machine(tmp_path / "second", installed.layers)
    try:
        machine.boot()
        yield machine
    finally:
        machine.close()


def test_a_stick_comes_and_goes_while_the_box_runs(booted: Machine) -> None:
    with_a_list(booted)
    assert backup(booted)["state"] == "away"
    assert f"No backup: {STICK} is not there, or cannot be written\n" in booted.run("edgebox", "status")

    plug_in(booted)
    wait_until(lambda: backup(booted)["state"] == "follows", SOON_S, "the box writes to the stick")
    assert redeem(booted)["status"] == "ok"

    def trails() -> str:
        return booted.run("sh", "-c", f"cat {STICK}/edgebox-backup/*/*.trail")

    wait_until(lambda: '"checkin"' in trails(), SOON_S, "the entry is on the stick")
    assert f"Backup in {STICK}: has everything up to" in booted.run("edgebox", "status")
    assert booted.run("find", STICK, "-mindepth", "1", "!", "-user", "edgebox") == ""
    booted.run("systemctl", "start", "edgebox-backup.service")  # what the timer starts writes there, too
    assert len(booted.run("sh", "-c", f"ls {STICK}/edgebox-backup/*/*.sqlite3").split()) == 2

    pull_out(booted)
    wait_until(lambda: backup(booted)["state"] == "away", SOON_S, "the box misses the stick")
    assert "; it had everything up to" in booted.run("edgebox", "status")
    assert booted.run("ls", STICK) == "", "it was written where the stick was"

    plug_in(booted)
    wait_until(lambda: backup(booted)["state"] == "follows", SOON_S, "another stick is taken")


def test_a_second_machine_takes_over_from_the_stick(booted: Machine, second: Machine) -> None:
    """The drill of the README, minute by minute."""
    with_a_list(booted)
    booted.run("install", "-d", "-m", "700", "-o", "edgebox", "-g", "edgebox", "/srv/stick")
    plug_in(booted, A_FOLDER)
    wait_until(lambda: backup(booted)["state"] == "follows", SOON_S, "the box writes to the stick")
    assert redeem(booted)["status"] == "ok"
    wait_until(
        lambda: '"checkin"' in booted.run("sh", "-c", "cat /srv/stick/edgebox-backup/*/*.trail"), SOON_S, "it is there"
    )
    pull_out(booted)
    booted.shut_down()

    shutil.copytree(booted.path("/srv/stick"), second.path("/srv/stick"))
    second.run("chown", "-R", "edgebox:edgebox", "/srv/stick")
    plug_in(second, A_FOLDER)
    second.run("systemctl", "stop", "edgebox")
    said = second.run("sh", "-c", f"echo | edgebox restore {STICK}")
    assert "Put it in place? [Y/n]" in said
    assert "1 later check-ins were found and added" in said
    second.run(*INSTALL)

    assert is_active(second)
    assert redeem(second)["reason"] == "already_redeemed"
    wait_until(lambda: backup(second)["state"] == "follows", SOON_S, "the stick is the second one's")
    user = second.run("id", "-u", "edgebox").strip()
    assert {str(path.stat().st_uid) for path in second.path(DATA).rglob("*")} == {user}


def test_the_timers_start_with_the_power(booted: Machine) -> None:
    names = ("edgebox-backup.timer", "edgebox-purge.timer")
    assert booted.run("systemctl", "is-enabled", *names).split() == ["enabled", "enabled"]
    assert booted.run("systemctl", "is-active", *names).split() == ["active", "active"]
    assert booted.run("systemctl", "is-enabled", "media-edgebox.mount").strip() == "enabled"
    for unit in ("edgebox-backup", "edgebox-purge"):
        booted.run("systemctl", "start", f"{unit}.service")  # does its work in its sandbox, and fails where it cannot
