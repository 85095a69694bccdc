"""Fresh Debian systems for tests: made with debootstrap once, kept in the user's cache folder, and never changed.

A `Machine` is such a system under an overlay of its own, as a Pi is after its first start: it has the box's bundle on a
stick, no network but its own, and is run by systemd-nspawn, for one command or booted.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.box import REPOSITORY, wait_until
from tests.support.machine import missing, require

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian 12 and 13, and their Pythons."""

PACKAGES = (
    "avahi-daemon", "avahi-utils", "dbus", "iproute2", "libnss-mdns", "procps", "python3", "systemd",
    "systemd-sysv",
)  # fmt: skip
"""What Raspberry Pi OS Lite has, of what the box has to do with; and avahi-utils, to look for it as a laptop does."""

STICK = Path("/media/stick")
MINUTE_S = 60.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebox-tests"

# The machine's own init, once the sandbox allows what a Pi allows: reading the state of its clock.
_NSPAWN = (
    "systemd-nspawn", "--quiet", "--private-network", "--register=no", "--keep-unit", "--link-journal=no",
    "--system-call-filter=adjtimex clock_adjtime clock_adjtime64", "--hostname=pi",
)  # fmt: skip


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process of all that test on this machine makes what this name stands for."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian(suite: str) -> Path:
    """The folder with a fresh Debian of this name; makes it where it is not there yet, which takes minutes."""
    require("debootstrap", package="debootstrap")
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    made_from = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    root = CACHE / f"{suite}-{arch}-{made_from}"
    with locked(root.name):
        if root.exists():
            return root
        half = root.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(half), _mirror()],
            capture_output=True, text=True, timeout=30 * MINUTE_S, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            shutil.rmtree(half, ignore_errors=True)
            told = f"debootstrap could not make Debian {suite}: {(made.stdout + made.stderr)[-500:]}"
            if suite != _own_suite():
                pytest.skip(told)  # this machine's mirror need not have it
            missing(told)
        half.rename(root)
        return root


def bundle() -> Path:
    """A bundle of the code as it is now, made by scripts/bundle for the Pythons of both Debians."""
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    folder = CACHE / "bundle"
    with locked("bundle"):
        now = _digest_of_the_code()
        mark = CACHE / "bundle.of"
        if not folder.exists() or not mark.exists() or mark.read_text() != now:
            mark.unlink(missing_ok=True)
            made = subprocess.run(
                [REPOSITORY / "scripts" / "bundle", "--arch", arch, "--python", ",".join(SUITES.values()), folder],
                capture_output=True, text=True, timeout=30 * MINUTE_S, env={**os.environ, "PYTHON": sys.executable},
                check=False,
            )  # fmt: skip
            if made.returncode != 0:
                missing(f"scripts/bundle made none: {made.stderr[-800:]}")
            mark.write_text(now)
    return folder


def release(folder: Path, suite: str, version: str, change: Callable[[Path], None]) -> Path:
    """A bundle of another version for one Debian: the code as it is now, in a copy in which `change` may change more.

    Its parts come from the bundle above, so that nothing is downloaded twice.
    """
    parts, code = bundle(), folder / "code"
    names = ("edgebox", "scripts", "systemd", "setup.cfg", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")
    for name in names:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / name, code / name)
    (code / "edgebox" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    change(code)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{parts / 'wheels'} {_packers()}"}
    made = subprocess.run(
        [code / "scripts" / "bundle", "--python", SUITES[suite], folder / "bundle"], capture_output=True, text=True,
        timeout=10 * MINUTE_S, env={**os.environ, "PYTHON": sys.executable, **offline}, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-800:]
    return folder / "bundle"


def _packers() -> Path:
    """The folder with what packs the code into a wheel."""
    folder = CACHE / "packers"
    with locked("packers"):
        if not folder.exists():
            half = folder.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            made = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", half, "setuptools>=77"],
                capture_output=True, text=True, timeout=10 * MINUTE_S, check=False,
            )  # fmt: skip
            if made.returncode != 0:
                missing(f"setuptools could not be downloaded: {made.stderr[-800:]}")
            half.rename(folder)
    return folder


class Machine:
    """A Debian that may be changed: `lower` folders, the first one on top, under a fresh one."""

    def __init__(self, folder: Path, lower: Sequence[Path]) -> None:
        require("systemd-nspawn", package="systemd-container")
        self.upper, self.root = folder / "upper", folder / "root"
        self.lower = list(lower)
        for each in (self.upper, folder / "work", self.root):
            each.mkdir(parents=True)
        layers = ":".join(map(str, self.lower))
        own = f"upperdir={self.upper},workdir={folder / 'work'}"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", str(self.root), "-o", f"lowerdir={layers},{own}"],
            capture_output=True, text=True, timeout=MINUTE_S, check=False,
        )  # fmt: skip
        if mounted.returncode != 0:
            missing(f"this machine cannot lay one file system over another: {mounted.stderr.strip()}")
        self._init: int | None = None
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.console = folder / "console"

    def plug_in(self, bundle: Path, there: Path = STICK) -> None:
        """Put a copy of the bundle where a USB stick would be."""
        shutil.copytree(bundle, self.path(there), symlinks=True, dirs_exist_ok=True)

    def path(self, there: str | Path) -> Path:
        """Where a path of that machine is for the test."""
        return self.root / Path(there).relative_to("/")

    def close(self) -> None:
        """End it and all that runs on it."""
        try:
            self.shut_down()
        finally:
            subprocess.run(["umount", "--lazy", self.root], timeout=MINUTE_S, check=True)

    def run(self, *command: str, check: bool = True, timeout_s: float = 10 * MINUTE_S) -> str:
        """What a command says as root there, in the booted system or in one that only runs this."""
        if self._init is None:
            done = _run([*_WITH_FRESH_RUN, *_NSPAWN, "--pipe", f"--directory={self.root}", *command], timeout_s)
        else:
            done = _run(
                ["nsenter", f"--target={self._init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--", *command],
                timeout_s,
            )
        self.status = done.returncode
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{said}"
        return said

    def boot(self) -> None:
        """Start systemd there, as the power does."""
        with self.console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*_WITH_FRESH_RUN, *_NSPAWN, "--boot", "--console=pipe", f"--directory={self.root}"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                # A systemd of today no longer starts in what this machine may still have.
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")

        def init() -> int | None:
            assert self._nspawn is not None
            assert self._nspawn.poll() is None, (
                f"the system did not boot:\n{self.console.read_text('utf-8', 'replace')}"
            )
            found = children.read_text().split()
            # Before it is systemd, it is a copy of what starts it, and others come and go.
            return next((int(pid) for pid in found if _name_of(pid) == "systemd"), None)

        self._init = wait_until(init, MINUTE_S, "the system has an init")
        wait_until(
            lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"),
            2 * MINUTE_S, "the system has booted",
        )  # fmt: skip

    def shut_down(self) -> None:
        """As a Pi that is told to."""
        if self._nspawn is None or self._init is None:
            return
        os.kill(self._init, signal.SIGRTMIN + 4)  # systemd's word for "power off"
        try:
            self._nspawn.wait(MINUTE_S)
        except subprocess.TimeoutExpired:
            os.kill(self._init, signal.SIGKILL)
            self._nspawn.wait(MINUTE_S)
        self._init = self._nspawn = None


# Nothing that the host runs is seen there, and nothing of it is left behind.
_WITH_FRESH_RUN = (
    "unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && mount -t tmpfs tmpfs /run && exec "$@"', "sh",
)  # fmt: skip


def _name_of(pid: str) -> str:
    """Of a process; empty where it has gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _run(command: Sequence[str | Path], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _mirror() -> str:
    """Where this machine has its own packages from."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=False
    )
    for address in told.stdout.split():
        if address.rstrip("/").endswith("/debian"):
            return address
    missing("apt knows no mirror of Debian")


def _own_suite() -> str:
    for line in Path("/etc/os-release").read_text("utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return ""


def _digest_of_the_code() -> str:
    digest = hashlib.sha256()
    folders = ("edgebox", "scripts", "systemd")
    files = [path for name in folders for path in (REPOSITORY / name).rglob("*") if "__pycache__" not in path.parts]
    for path in sorted([*files, REPOSITORY / "setup.cfg", REPOSITORY / "requirements.txt"]):
        if path.is_file():
            digest.update(f"{path.relative_to(REPOSITORY)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
