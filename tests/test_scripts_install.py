"""scripts/install, scripts/bundle and the command that they put on the PATH: what they refuse, and for whom.

What they do is shown by tests/ops/test_appliance.py, on whole systems.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.box import REPOSITORY
from tests.support.machine import require
from tests.test_scripts import Copy
from tests.test_scripts import copy as copy

SCRIPTS = REPOSITORY / "scripts"


def is_shell(path: Path) -> bool:
    """By its first line, which also says so of what is only sourced."""
    head = path.read_bytes()[:40]
    return head.startswith((b"#!/usr/bin/env bash", b"#!/bin/sh", b"# shellcheck shell=bash"))


ALL_SHELL = sorted(path for path in [*SCRIPTS.rglob("*"), REPOSITORY / ".ci" / "run"] if path.is_file())


@pytest.mark.parametrize("script", ALL_SHELL, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_shellcheck_finds_nothing(script: Path) -> None:
    require("shellcheck", package="shellcheck", root=False)
    assert is_shell(script)
    found = subprocess.run(
        ["shellcheck", "--external-sources", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (0, "")


# --- install ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "This changes the system; nothing was done: sudo"),
        (("--uninstal",), "knows no --uninstal; nothing was done"),
        (("--name", "The Box"), "cannot be a name in the network; nothing was done"),
        (("--name=-box",), "cannot be a name in the network; nothing was done"),
        (("--purge-data",), "--purge-data goes with --uninstall; nothing was done"),
        (("--uninstall", "--even-unpushed"), "--even-unpushed goes with --purge-data; nothing was done"),
    ],
)
def test_what_install_refuses(copy: Copy, arguments: tuple[str, ...], reason: str) -> None:
    copy.be_root(False)
    run = copy.run("install", *arguments)
    assert run.returncode == 1
    assert reason in run.stderr


@pytest.mark.parametrize("script", ["install", "update", "bundle", "hotspot"])
def test_help_is_what_stands_above(copy: Copy, script: str) -> None:
    run = copy.run(script, "--help")
    assert run.returncode == 0
    assert run.stdout.startswith(f"scripts/{script} ")
    assert "--help" in run.stdout


# --- bundle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "Which folder is the bundle to be made in?"),
        (("a", "b"), "One folder at a time"),
        (("--arch", "mips", "a"), "There is no architecture mips; nothing was done"),
        (("--python", "3", "a"), "3 is no version of Python such as 3.11; nothing was done"),
        (("--pythn", "a"), "knows no --pythn; nothing was done"),
        (("letters",), "holds something else than a bundle; nothing was done"),
    ],
)
def test_what_bundle_refuses(copy: Copy, arguments: tuple[str, ...], reason: str) -> None:
    (copy.elsewhere / "letters").mkdir()
    (copy.elsewhere / "letters" / "from.txt").write_text("Dear")
    run = copy.run("bundle", *arguments)
    assert run.returncode == 1
    assert reason in run.stderr
    assert copy.calls() == []
    assert os.listdir(copy.elsewhere) == ["letters"]


def test_a_bundle_is_not_bundled(copy: Copy) -> None:
    (copy.root / "RELEASE").write_text("0.1.0-cafebabe\n")
    run = copy.run("bundle", "a")
    assert run.returncode == 1
    assert "This is a bundle already: copy it as it is" in run.stderr


PYTHON_WITHOUT_WHEELS = """#!/bin/sh
case "$*" in
    "-I -c "*) echo 3.11.2 ready /usr ;;
    "-I -m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    *) exit 1 ;;
esac
"""


def test_a_part_that_no_registry_has_ready_made_is_told(copy: Copy) -> None:
    """As for armhf. (The stand-in for Python downloads nothing, and here not even that.)"""
    for tool in ("mktemp", "tr"):
        (copy.stubs / tool).symlink_to(shutil.which(tool) or "/nowhere")
    copy.stub("python3", PYTHON_WITHOUT_WHEELS)
    run = copy.run("bundle", "--arch", "armhf", "--python", "3.11", "stick")
    assert run.returncode == 1
    assert "for armhf with Python 3.11; no bundle was made" in run.stderr
    assert "run scripts/bundle FOLDER on such a machine, which compiles it" in run.stderr
    assert not (copy.elsewhere / "stick").exists()


# --- the command ------------------------------------------------------------------------------------------------------


class Command:
    """The command of an installation, with stand-ins for what it calls; `said` is what was called in the end."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.data = folder / "the data"
        self.bin.mkdir()
        self.data.mkdir()
        text = (SCRIPTS / "lib" / "edgebox-command").read_text()
        assert text.count("/opt/edgebox/current/bin/edgebox") == 1
        self.path = self.bin / "edgebox-command"
        self.path.write_text(text.replace("/opt/edgebox/current/bin/edgebox", str(self.bin / "program")))
        self.path.chmod(0o755)
        self.stub("program", 'echo "program $*"')
        self.stub("setpriv", 'echo "setpriv $*"')
        self.stub("stat", f'case "$*" in *%U*) echo edgebox ;; *"{self.data}") echo 997 ;; *) exit 1 ;; esac')
        self.be(1000)

    def stub(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def be(self, user: int) -> None:
        self.stub("id", f'case "$1" in -un) echo pi ;; *) echo {user} ;; esac')

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *arguments], env={"PATH": str(self.bin), "EDGEBOX_DATA": str(self.data)} | environ,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def said(self, *arguments: str, **environ: str) -> str:
        return self.run(*arguments, **environ).stdout.strip()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_the_owner_just_runs_it(command: Command) -> None:
    command.be(997)
    assert command.said("status", "--json") == f"program --data {command.data} status --json"


def test_root_becomes_the_owner(command: Command) -> None:
    command.be(0)
    expected = f"--reuid=997 --regid=997 --clear-groups -- {command.bin}/program --data {command.data} status"
    assert command.said("status") == f"setpriv {expected}"


def test_who_may_become_the_owner_without_a_password_does(command: Command) -> None:
    command.stub("sudo", 'case "$*" in *" true") ;; *) echo "sudo $*" ;; esac')
    assert command.said("status") == f"sudo -n -u #997 -- {command.bin}/program --data {command.data} status"


@pytest.mark.parametrize("has_sudo", [True, False])
def test_who_may_not_is_told_and_nothing_is_touched(command: Command, has_sudo: bool) -> None:
    if has_sudo:
        command.stub("sudo", "exit 1")
    run = command.run("status")
    assert (run.returncode, run.stdout) == (1, "")
    assert f"edgebox: {command.data} belongs to the user edgebox, and pi may not become that user" in run.stderr
    assert "nothing was done: sudo edgebox ..." in run.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("lists", "add", "--help"), ("--version",), ("-h",)])
def test_help_is_for_everybody(command: Command, arguments: tuple[str, ...]) -> None:
    assert command.said(*arguments) == f"program {' '.join(arguments)}"


@pytest.mark.parametrize("way", ["two words", "one word"])
def test_the_data_directory_may_be_named(command: Command, way: str) -> None:
    command.be(0)
    named = ("--data", str(command.data)) if way == "two words" else (f"--data={command.data}",)
    assert "--reuid=997" in command.said(*named, "status", EDGEBOX_DATA="/elsewhere")


def test_one_that_is_not_there_yet_is_made_by_who_asks(command: Command) -> None:
    assert command.said("--data", "/elsewhere", "serve") == "program --data /elsewhere --data /elsewhere serve"


def test_what_looks_like_it_behind_the_command_is_not_it(command: Command) -> None:
    command.be(997)
    assert "--data /elsewhere" in command.said("export", "--data", "/elsewhere")
    assert f"program --data {command.data} export" in command.said("export", "--data", "/elsewhere")
