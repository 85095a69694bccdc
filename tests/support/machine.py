"""What a test needs of the machine: root, programs. Where it is not to be had, the test says so and is left out; under
CI, where a machine can be given all of it, that is a failure."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Leave the test out, in words; under CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI does not let this test be left out", pytrace=False)
    pytest.skip(what)


def require(*programs: str, package: str, root: bool = True) -> None:
    """These programs, which a Debian package has (root on Debian gets it installed); with `root`, root itself."""
    is_root = os.geteuid() == 0
    if root and not is_root:
        missing("only root can do this")
    if all(map(shutil.which, programs)):
        return
    if is_root and shutil.which("apt-get"):
        with (Path(tempfile.gettempdir()) / "edgebox-tests-apt.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be at it, and apt does not wait for itself
            if not all(map(shutil.which, programs)):
                _install(package)
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        missing(f"there is no {', '.join(absent)} (Debian's package {package})")


def _install(package: str) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", package]):
        subprocess.run(
            ["apt-get", "-qq", *words], env=environ, timeout=600, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
