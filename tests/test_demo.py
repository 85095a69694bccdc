"""`edgebox demo`, as a visitor meets it: two processes, and lines to type."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.box import REPOSITORY, free_port, wait_until

PETER, FIONA = "az9u4mymhqktrbupmwkvv6xmgds5dk3", "pcp2hxpzahpbj44rychb67qx7he4usa7"


class Demo:
    """A demo that was started by its command, with what it printed."""

    def __init__(self, output: Path, *options: str) -> None:
        self.port = free_port()
        self._output = output
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("EDGEBOX_")}
        self.env |= {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        # The directory of a real box is not the demo's, nor are its settings those of the demo's ticket server.
        self.env |= {"EDGEBOX_DATA": str(output.parent / "real-box"), "EDGEBOX_PORT": "1"}
        command = [sys.executable, "-m", "edgebox", "demo", "--port", str(self.port), *options]
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self.env, start_new_session=True
            )
        self._successors: list[subprocess.Popen[bytes]] = []

    @property
    def said(self) -> str:
        return self._output.read_text("utf-8")

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.said
            return "Ctrl-C ends the demo." in self.said

        wait_until(is_ready, 60, "the demo is ready")

    def printed(self, pattern: str) -> str:
        """The one line that looks so."""
        (line,) = dict.fromkeys(re.findall(pattern, self.said, re.MULTILINE))
        assert isinstance(line, str)
        return line.strip()

    @property
    def upstream_pid(self) -> int:
        return int(self.printed(r"^  kill (\d+)$"))

    @property
    def upstream_url(self) -> str:
        return self.printed(r"^Its ticket server  (\S+)")

    def type(self, line: str) -> str:
        """What a line that was printed shows, typed into a shell."""
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, env=self.env, check=True)  # noqa: S602
        return done.stdout

    def start_upstream_again(self) -> subprocess.Popen[bytes]:
        command = shlex.split(self.printed(r"^  (\S+ .*serve --host.*)$"))
        self._successors.append(subprocess.Popen(command, env=self.env, stderr=subprocess.DEVNULL))
        return self._successors[-1]

    def curl(self, path: str) -> Any:
        """What a curl line that was printed answers."""
        return json.loads(self.type(f"{self.printed(rf'^  (curl .*{re.escape(path)}.*)$')} --silent --noproxy '*'"))

    def redeem(self, secret: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/pretixdroid/api/demoorga/democon/redeem/?key=ABCDEF"
        return requests.post(url, data={"secret": secret}, timeout=15).json()

    def upstream_journal(self, data: Path) -> list[str]:
        command = [sys.executable, "-m", "edgebox", "--data", str(data / "upstream"), "export", "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.env, check=True)
        return [row["secret"] for row in json.loads(done.stdout)["checkins"]]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def clean_up(self) -> None:
        for process in (self.process, *self._successors):
            process.kill()
            process.wait()


StartDemo = Callable[..., Demo]


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[StartDemo]:
    started: list[Demo] = []

    def start(*options: str) -> Demo:
        started.append(Demo(tmp_path / f"said-{len(started)}", *options))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for demo in started:
        demo.clean_up()
        print(demo.said)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_visitor_pulls_the_plug_and_finds_everything_again(start_demo: StartDemo, tmp_path: Path) -> None:
    data = tmp_path / "demo"
    demo = start_demo("--data", str(data))
    upstream_pid, upstream_url = demo.upstream_pid, demo.upstream_url

    # The lines work word for word, at once.
    redeemed = demo.curl("redeem/")
    assert (redeemed["status"], redeemed["data"]["attendee_name"], redeemed["data"]["order"]) == (
        "ok", "Peter Higgs", "ABCE6",
    )  # fmt: skip
    assert "Peter Higgs" in [found["attendee_name"] for found in demo.curl("search/")["results"]]
    assert demo.curl("status/")["total"] > 300
    assert "410, 41 checked in" in demo.type(demo.printed(r"^  (\S+ .* status)$"))
    assert f"http://127.0.0.1:{demo.port}/pretixdroid/api/demoorga/democon/  key ABCDEF" in demo.said
    wait_until(lambda: demo.upstream_journal(data) == [PETER], 30, "the check-in is pushed")

    # Pull the plug.
    demo.type(f"kill {upstream_pid}")
    wait_until(lambda: "The ticket server has stopped; the box goes on." in demo.said, 30, "it says what happened")
    assert demo.redeem(FIONA)["status"] == "ok"
    assert demo.upstream_journal(data) == [PETER]
    successor = demo.start_upstream_again()
    wait_until(lambda: demo.upstream_journal(data) == [PETER, FIONA], 30, "the check-in arrives there")

    # The end takes all with it, also what the visitor started; the next time goes on from there.
    assert demo.end() == 0
    assert successor.wait(30) == 0
    assert "Traceback" not in demo.said
    again = start_demo("--data", str(data))
    assert again.upstream_url == upstream_url
    assert again.redeem(PETER)["reason"] == again.redeem(FIONA)["reason"] == "already_redeemed"
    assert again.upstream_journal(data) == [PETER, FIONA]
    assert again.end(signal.SIGTERM) == 0
    assert not is_running(again.upstream_pid)


def test_demos_run_side_by_side_but_not_on_the_same_data(
    start_demo: StartDemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, kept = tmp_path / "tmp", tmp_path / "demo"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    first, second = start_demo("--data", str(kept)), start_demo()
    assert first.redeem(PETER)["status"] == second.redeem(PETER)["status"] == "ok"

    third = Demo(tmp_path / "third", "--data", str(kept))
    try:
        assert third.process.wait(30) == 1
    finally:
        third.clean_up()
    said = rf"edgebox: {kept}/upstream is in use by a box \(process {first.upstream_pid}\); nothing was done\n"
    assert re.fullmatch(said, third.said)
    assert first.redeem(FIONA)["status"] == "ok"

    # Without a place of their own, its data are gone at the end.
    assert [path.name.startswith("edgebox-demo-") for path in temporary.iterdir()] == [True]
    assert second.end() == 0
    assert list(temporary.iterdir()) == []
    assert not is_running(second.upstream_pid)

    # Nothing stays behind, however a demo ends.
    assert not (tmp_path / "real-box").exists()
    assert is_running(first.upstream_pid)
    first.process.kill()
    first.process.wait()
    wait_until(lambda: not is_running(first.upstream_pid), 30, "the ticket server ends too")
