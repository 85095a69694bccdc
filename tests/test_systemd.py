"""The unit that starts the box with the power."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "systemd" / "edgebox.service"
PROGRAM = "/opt/edgebox/bin/edgebox"


def settings() -> dict[str, list[str]]:
    """The unit's values by key; what is said twice has two."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_it_is_clean_for_systemd(tmp_path: Path) -> None:
    # The program need not be installed where the tests run, and systemd complains when it is not there.
    program = tmp_path / "edgebox"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UNIT.read_text()
    assert text.count(PROGRAM) == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(PROGRAM, str(program)))

    # recursive-errors: what other units of this machine say about themselves is not about ours.
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(copy)], capture_output=True, text=True, timeout=60
    )

    assert (verify.returncode, verify.stdout + verify.stderr) == (0, "")


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
