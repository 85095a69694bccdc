"""A command line for tests: the commands as `python -m edgebox` runs them, but in the test's own process.

That saves a second each. What only a process can show (signals, pipes, terminals, locales) is tested with real ones.
"""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgebox.app import Server
from edgebox.cli.main import perform
from edgebox.config import Config
from edgebox.serving import open_box
from tests.support.box import REPOSITORY, BoxProcess, new_key
from tests.support.upstream import StubUpstream, json_answer

REFUSED_FOR_GOOD = json_answer({"version": 3, "status": "error", "reason": "product"})
"""What upstream answers to a check-in that even force would not get in."""


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    status: int
    out: str
    err: str


class Desk:
    """Commands on one data directory, whether or not a box runs on it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def try_(self, *arguments: str, input: str = "") -> Outcome:
        """Run a command, whatever comes of it."""
        runs_a_box = arguments[:1] in [("serve",), ("demo",)] and not {"-h", "--help"} & set(arguments)
        assert not runs_a_box, "it handles signals: give it a process of its own"
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline=""), io.TextIOWrapper(io.BytesIO(), "utf-8")
        typed, sys.stdin = sys.stdin, io.StringIO(input)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                status = perform(["--data", str(self.data_dir), *arguments])
        finally:
            sys.stdin = typed
        return Outcome(status, _read(out), _read(err))

    def run(self, *arguments: str, input: str = "") -> str:
        """What a command printed that has to succeed without complaint."""
        done = self.try_(*arguments, input=input)
        assert (done.status, done.err) == (0, ""), done
        return done.out

    def json(self, *arguments: str) -> Any:
        """What a command printed, read as JSON."""
        return json.loads(self.run(*arguments))

    def refused(self, *arguments: str, input: str = "") -> str:
        """The one line with which a command has to fail."""
        done = self.try_(*arguments, input=input)
        assert done.status != 0, done
        assert done.out == "", done
        assert done.err.startswith("edgebox: "), done
        assert done.err.count("\n") == 1, done
        return done.err

    def lists(self) -> list[dict[str, Any]]:
        """The lists as `status --json` tells them."""
        lists: list[dict[str, Any]] = self.json("status", "--json")["lists"]
        return lists

    def checkins(self) -> list[dict[str, Any]]:
        """The journal as `export --format json` tells it."""
        checkins: list[dict[str, Any]] = self.json("export", "--format", "json")["checkins"]
        return checkins

    def add_list(self, stub: StubUpstream) -> None:
        """Register the stub's list and pull it."""
        self.run("lists", "add", stub.url, stub.key)
        self.run("sync")

    def add_device(self, name: str = "Gate 1", *options: str, list_id: int = 1) -> str:
        """Add a scanner; its key."""
        key = new_key()
        self.run("devices", "add", name, "--list", str(list_id), "--key", "-", *options, input=f"{key}\n")
        return key


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def command_line(data_dir: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgebox", "--data", str(data_dir), *arguments]


def environment(**variables: str) -> dict[str, str]:
    foreign = ("EDGEBOX_", "LC_", "LANG", "PYTHON", "COLUMNS", "LINES")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return mine | {"PYTHONPATH": str(REPOSITORY)} | variables


def heeds_ctrl_c() -> None:
    """In a child: one that is started in the background of a shell's script would ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def failing(
    data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, before: Callable[[], None] | None = None
) -> str:
    """The one line that a process said that failed."""
    done = subprocess.run(
        command_line(data_dir, *arguments), capture_output=True, text=True, timeout=60, env=env or environment(),
        stdin=subprocess.DEVNULL, preexec_fn=before,
    )  # fmt: skip
    assert done.returncode != 0, done
    assert done.stdout == "", done
    assert done.stderr.startswith("edgebox: "), done
    assert done.stderr.count("\n") == 1, done
    return done.stderr


def on_a_terminal(data_dir: Path, *arguments: str, columns: int = 80, typed: str = "") -> str:
    """What a command shows on a terminal, of a process that has to succeed; `typed` is typed once it asks."""
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, columns))
    try:
        with subprocess.Popen(
            command_line(data_dir, *arguments),
            stdin=end,
            stdout=end,
            stderr=end,
            env=environment(),
            start_new_session=True,
        ) as process:
            os.close(end)
            shown = b""
            while chunk := _next(terminal):
                shown += chunk
                if typed and shown.endswith(b": "):
                    os.write(terminal, typed.encode())
                    typed = ""
        assert process.returncode == 0, shown
    finally:
        os.close(terminal)
    return shown.decode()


def _next(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last writer has closed its end
        return b""


class HostedBox(BoxProcess):
    """A box that runs in the test's own process, with all that commands and scanners meet of it."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._running = ExitStack()

    @property
    def is_running(self) -> bool:
        return self._server is not None

    _server: Server | None = None

    def start(self, *options: str, timeout_s: float = 0.0) -> HostedBox:
        assert not options, "a hosted box takes its settings from the file"
        config = Config.load(self.data_dir, {}, {"host": "127.0.0.1", "port": self.port})
        box = self._running.enter_context(open_box(config))
        self._server = Server(box)
        box.listens_on = self._server.address
        thread = threading.Thread(target=self._server.run)
        self._running.callback(thread.join)
        self._running.callback(self._server.stop)
        thread.start()
        box.sync.start()
        return self

    def stop(self, timeout_s: float = 0.0) -> int:
        self._running.close()
        self._server = None
        return 0

    def kill(self) -> None:
        self.stop()


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[HostedBox]:
    """A box, not started."""
    box = HostedBox(tmp_path / "data")
    yield box
    box.kill()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Commands on a data directory that nobody has used yet, which is also that of `hosted` and `box`."""
    for name in [name for name in os.environ if name.startswith("EDGEBOX_")]:
        monkeypatch.delenv(name)
    return Desk(tmp_path / "data")


@pytest.fixture
def beside(hosted: HostedBox, desk: Desk) -> Desk:
    """Commands beside a box that runs."""
    hosted.start()
    return desk


@pytest.fixture(params=["without a box", "beside a box"])
def any_desk(request: pytest.FixtureRequest) -> Desk:
    """Commands with and without a box that runs: they must not differ."""
    chosen: Desk = request.getfixturevalue("desk" if request.param == "without a box" else "beside")
    return chosen
