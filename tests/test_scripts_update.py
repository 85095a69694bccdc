"""scripts/update: what it refuses. What it does is shown by tests/ops/test_update.py, on whole systems."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.test_scripts import Copy
from tests.test_scripts import copy as copy


class Installed:
    """A box that seems to be installed, in folders of the test's own."""

    def __init__(self, copy: Copy, folder: Path) -> None:
        self.opt, self.units, self.systemd = folder / "opt", folder / "units", folder / "systemd"
        places = copy.root / "scripts" / "lib" / "box.sh"
        text = places.read_text()
        for there, here in (
            ("/opt/edgebox", self.opt), ("/etc/systemd/system", self.units), ("/run/systemd/system", self.systemd),
        ):  # fmt: skip
            assert text.count(there) == 1
            text = text.replace(there, str(here))
        places.write_text(text)
        (self.opt / "current" / "bin").mkdir(parents=True)
        (self.opt / "current" / "bin" / "edgebox").touch()
        self.units.mkdir()
        (self.units / "edgebox.service").touch()
        self.systemd.mkdir()


@pytest.fixture
def installed(copy: Copy, tmp_path: Path) -> Installed:
    copy.be_root(True)
    return Installed(copy, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "This changes the system; nothing was done: sudo"),
        (("--bak",), "knows no --bak; nothing was done"),
        (("--within", "soon"), "soon is no number of seconds; nothing was done"),
        (("--within=0",), "0 is no number of seconds; nothing was done"),
    ],
)
def test_what_it_refuses(copy: Copy, arguments: tuple[str, ...], reason: str) -> None:
    copy.be_root(False)
    run = copy.run("update", *arguments)
    assert run.returncode == 1
    assert reason in run.stderr


@pytest.mark.parametrize("arguments", [(), ("--back",)])
def test_where_no_box_is_there_is_nothing_to_update(
    copy: Copy, installed: Installed, arguments: tuple[str, ...]
) -> None:
    (installed.units / "edgebox.service").unlink()
    run = copy.run("update", *arguments)
    assert run.returncode == 1
    assert "There is no box on this machine that could be updated; nothing was done: sudo scripts/install" in run.stderr


def test_without_systemd_nothing_starts_the_box(copy: Copy, installed: Installed) -> None:
    installed.systemd.rmdir()
    run = copy.run("update")
    assert run.returncode == 1
    assert "systemd does not run on this machine, so nothing was done" in run.stderr


@pytest.mark.parametrize("script", ["update", "install"])
def test_one_at_a_time(copy: Copy, installed: Installed, script: str) -> None:
    for tool in ("dpkg", "uname"):
        (copy.stubs / tool).symlink_to(shutil.which(tool) or "/nowhere")
    folder = os.open(installed.opt, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        run = copy.run(script)
    finally:
        os.close(folder)
    assert run.returncode == 1
    assert "is being installed or updated by somebody else at this moment; nothing was done" in run.stderr
