"""What a test needs of the machine: root, programs. Where it is not to be had, the test says so and is left out; under
CI, where a machine can be given all of it, that is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
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
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run(["apt-get", "-qq", "update"], timeout=300, check=False, **quiet)  # type: ignore[call-overload]
        subprocess.run(
            ["apt-get", "-qq", "install", "-y", "--no-install-recommends", package],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, timeout=600, check=False, **quiet,
        )  # type: ignore[call-overload]  # fmt: skip
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        missing(f"there is no {', '.join(absent)} (Debian's package {package})")
