"""The units, as systemd reads them: the one that starts the box with the power (tests/ops/test_booted.py runs it), and
those that work at night."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.support.box import REPOSITORY
from tests.support.machine import require

UNITS = REPOSITORY / "systemd"
UNIT = UNITS / "edgebox.service"
PURGE = UNITS / "edgebox-purge.service"
BACKUP = UNITS / "edgebox-backup.service"
PROGRAM = "/opt/edgebox/current/bin/edgebox"
MAX_EXPOSURE = 1.5


def settings(unit: Path = UNIT) -> dict[str, list[str]]:
    """The unit's values by key; what is said twice has two."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    require("systemd-analyze", package="systemd", root=False)
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_all_are_clean_for_systemd(tmp_path: Path) -> None:
    # The program need not be installed where the tests run, and systemd complains when it is not there.
    program = tmp_path / "edgebox"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for unit in sorted(path for path in UNITS.iterdir() if path.is_file()):
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace(PROGRAM, str(program)))
        copies.append(str(copy))

    # recursive-errors: what other units of this machine say about themselves is not about ours.
    verify = analyze("verify", "--recursive-errors=no", *copies)

    assert (verify.returncode, verify.stdout + verify.stderr) == (0, "")


@pytest.mark.parametrize("unit", [UNIT, PURGE, BACKUP], ids=lambda unit: unit.name)
def test_systemd_rates_it_as_hardened(unit: Path) -> None:
    rated = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE * 10:.0f}", "--no-pager", str(unit))
    assert rated.returncode == 0, rated.stdout + rated.stderr
    assert "Overall exposure level" in rated.stdout


def test_whatever_it_leaves_open_is_explained() -> None:
    rated = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    open_ = {line.split()[1].rstrip("=") for line in rated.stdout.splitlines() if line.startswith("✗")}
    comments = " ".join(line.removeprefix("#") for line in UNIT.read_text().splitlines() if line.startswith("#"))
    for directive in open_:
        name = directive.partition("=")[0]
        if name == "SystemCallFilter":
            assert "adjtimex" in comments
        else:
            assert f" {name}=" in comments, f"{name}= is left open, and the unit does not say why"


def test_it_serves_the_private_data_directory_as_a_user_of_its_own() -> None:
    unit = settings()

    assert unit["ExecStart"] == [f"{PROGRAM} serve"]
    assert unit["User"] == ["edgebox"]
    assert unit["UMask"] == ["0077"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert f"EDGEBOX_DATA=/var/lib/{unit['StateDirectory'][0]}" in unit["Environment"]


def test_it_starts_without_a_network_and_always_again() -> None:
    unit = settings()

    awaited = [value for key in ("After", "Wants", "Requires", "BindsTo") for value in unit.get(key, [])]
    assert not [value for value in awaited if "network" in value]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_a_box_that_hangs_is_found_within_a_minute_and_one_that_is_busy_is_not() -> None:
    from edgebox.ops.heartbeat import BEATS, PROBE_TIMEOUT_S
    from edgebox.store import PROBE_AFTER_FAILURE_S

    unit = settings()
    (watchdog_s,) = map(float, unit["WatchdogSec"])
    assert unit["Type"] == ["notify"]
    assert watchdog_s <= 60
    # One probe that was lost leaves time for another; and a failed commit is looked at again within it.
    assert 2 * (watchdog_s / BEATS + PROBE_TIMEOUT_S) <= watchdog_s
    assert PROBE_AFTER_FAILURE_S + watchdog_s / BEATS < watchdog_s


@pytest.mark.parametrize("hook", ["EDGEBOX_TEST_HANG"])
def test_the_tests_hook_is_not_in_it(hook: str) -> None:
    assert hook not in UNIT.read_text()


def test_avahi_is_told_a_service_that_it_understands() -> None:
    text = (REPOSITORY / "systemd" / "avahi" / "edgebox.service").read_text()
    group = ElementTree.fromstring(text.replace("@PORT@", "8000"))

    assert text.count("@PORT@") == 2
    assert [name.text for name in group.iter("type")] == ["_edgebox._tcp", "_http._tcp"]
    assert {port.text for port in group.iter("port")} == {"8000"}


@pytest.mark.parametrize("path", [PURGE, BACKUP], ids=lambda path: path.name)
def test_what_a_timer_starts_runs_as_the_box_does(path: Path) -> None:
    unit = settings(path)

    assert unit["Type"] == ["oneshot"]
    for key in ("User", "UMask", "StateDirectory", "StateDirectoryMode", "NoNewPrivileges", "ProtectSystem"):
        assert unit[key] == settings()[key], key
    assert set(unit["Environment"]) <= set(settings()["Environment"])


def test_names_are_removed_at_night() -> None:
    timer = settings(UNITS / "edgebox-purge.timer")

    assert settings(PURGE)["ExecStart"] == [f"{PROGRAM} purge --due"]
    assert timer["OnCalendar"] == ["*-*-* 05:00:00"]
    assert timer["OnBootSec"], "a box that is off at night"


def test_the_stick_is_mounted_for_the_box_alone_where_it_looks_for_it() -> None:
    mount = settings(UNITS / "media-edgebox.mount")

    (where,) = mount["Where"]
    assert f"EDGEBOX_BACKUP_FOLDER={where}" in settings()["Environment"]
    for unit in (UNIT, BACKUP):
        assert settings(unit)["ReadWritePaths"] == [f"-{where}"]
    (options,) = mount["Options"]
    assert {"uid=edgebox", "fmask=0177", "dmask=0077", "noexec"} <= set(options.split(","))
    assert settings(BACKUP)["ExecStart"] == [f"{PROGRAM} backup --due"]
    assert settings(UNITS / "edgebox-backup.timer")["OnUnitActiveSec"] == ["15min"]
