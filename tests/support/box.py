"""A real box for tests: a process of its own, spoken to as its users do, over HTTP and by its commands."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 60.0
HTTP_TIMEOUT_S = 15.0
POLL_INTERVAL_S = 0.05
# What a test shows of a box's output: enough for a traceback, not a whole evening.
SHOWN_OUTPUT_CHARS = 8000

T = TypeVar("T")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago.

    It lies below the ports that the system gives to outgoing connections: those could take it while a test has its
    server stopped, and a connection to it from itself would even succeed. Each of four test processes has ports of its
    own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 16000 + 4000 * (worker % 4)
    while True:
        port = first + secrets.randbelow(4000)  # random itself is seeded by tests that draw their inputs
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def new_key() -> str:
    """A device key as the scanner app can carry it (letters and digits only)."""
    return "K" + secrets.token_hex(15)


def wait_until(condition: Callable[[], T], timeout_s: float, message: str) -> T:
    """Poll until `condition()` is true, and return what it returned.

    Raises AssertionError with `message` and the last value seen when that takes longer than `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {message} (last seen: {value!r})")
        time.sleep(POLL_INTERVAL_S)


def toml(config: Mapping[str, object]) -> str:
    """The mapping as TOML text: texts, numbers, truth values, lists of these, and tables one level deep."""
    # JSON writes these values just as TOML does; nested mappings need their header.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in config.items()
        if not isinstance(value, Mapping)
    ]
    for name, table in config.items():
        if isinstance(table, Mapping):
            lines += [f"[{name}]", toml(table)]
    return "\n".join(lines) + "\n"


class BoxProcess:
    """One box on one data directory, which may be started, stopped, killed and started again.

    `config` is written to the directory's edgebox.toml, `env` added to the environment of every process of the box.
    Commands (`run`, `json`) work whether or not it is running. The HTTP helpers speak to `event`, which is
    ORGANIZER/EVENT or ORGANIZER/EVENT/SUBEVENT.
    """

    def __init__(
        self,
        data_dir: Path,
        config: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        event: str = "demoorga/democon",
    ) -> None:
        self.data_dir = data_dir
        self.event = event
        self.port = free_port()
        self.env = dict(env or {})
        # Beside the data directory, not in it: the box alone decides what is in there.
        self.output_path = data_dir.with_name(data_dir.name + ".output")
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions = threading.local()
        self._starts = 0
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if config is not None:
            (data_dir / "edgebox.toml").write_text(toml(config), encoding="utf-8")

    # The process

    @property
    def url(self) -> str:
        """The box's own address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running box."""
        assert self._process is not None, "the box is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True while the process that `start` made has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything that the box wrote to stdout and stderr, over all its starts."""
        return self.output_path.read_text(encoding="utf-8", errors="replace") if self.output_path.exists() else ""

    def start(self, *options: str, timeout_s: float = START_TIMEOUT_S) -> BoxProcess:
        """Start `serve` and return once /healthz answers 200.

        Raises AssertionError, with the box's output, when it ends before that or takes longer than `timeout_s`.
        """
        process = self.launch(*options)
        deadline = time.monotonic() + timeout_s
        while not self._is_healthy():
            code = process.poll()
            if code is not None:
                raise AssertionError(f"the box ended with status {code} instead of serving\n{self._shown_output()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the box did not serve within {timeout_s:g} s\n{self._shown_output()}")
            time.sleep(POLL_INTERVAL_S)
        return self

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `serve`, and wait for nothing: one that cannot write never is healthy."""
        assert not self.is_running, "the box is running already"
        command = [*self._command(), "serve", "--host", "127.0.0.1", "--port", str(self.port), *options]
        with self.output_path.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment(),
                cwd=REPOSITORY, start_new_session=True,
            )  # fmt: skip
        self._starts += 1
        return self._process

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask the box to end (SIGTERM), wait for it, and return its exit status.

        Raises AssertionError, and kills it, when it is still there after `timeout_s`.
        """
        assert self._process is not None, "the box is not running"
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"the box did not end within {timeout_s:g} s of SIGTERM\n{self._shown_output()}"
            raise AssertionError(message) from None

    def kill(self) -> None:
        """End the box and all that it started, at once (SIGKILL); no harm where it has ended already."""
        if self._process is None or self._process.poll() is not None:
            return
        # Its group is its own (start_new_session), and still there since the leader was not reaped yet.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _is_healthy(self) -> bool:
        try:
            return self.session.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def _shown_output(self) -> str:
        return f"--- output of the box ---\n{self.output[-SHOWN_OUTPUT_CHARS:]}"

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "edgebox", "--data", str(self.data_dir)]

    def _environment(self) -> dict[str, str]:
        # A tester's own EDGEBOX_* settings and proxies must not reach the box under test.
        env = {name: value for name, value in os.environ.items() if not name.startswith("EDGEBOX_")}
        env |= {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost"}
        env["no_proxy"] = env["NO_PROXY"]
        return env | self.env

    # Its commands

    def run(
        self, *args: str, input: str | None = None, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run one command (`run("lists", "add", URL, KEY)`) on the box's data directory.

        Raises AssertionError when it prints a traceback, and with `check` when it ends with another status than 0.
        """
        done = subprocess.run(
            [*self._command(), *args], input=input if input is not None else "", capture_output=True, text=True,
            encoding="utf-8", timeout=timeout_s, env=self._environment(), cwd=REPOSITORY, check=False,
        )  # fmt: skip
        shown = f"edgebox {' '.join(args)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, shown
        if check:
            assert done.returncode == 0, shown
        return done

    def json(self, *args: str) -> Any:
        """What a command that answers in JSON printed, read."""
        printed = self.run(*args).stdout
        try:
            return json.loads(printed)
        except ValueError as error:
            raise AssertionError(f"edgebox {' '.join(args)} printed no JSON:\n{printed}") from error

    def lists(self) -> list[dict[str, Any]]:
        """The lists as `status --json` tells them, in the order they were added."""
        lists: list[dict[str, Any]] = self.json("status", "--json")["lists"]
        return lists

    def add_list(self, *args: str, input: str | None = None) -> str:
        """Register a list (`lists add ARGS`) and return its id, as text."""
        self.run("lists", "add", *args, input=input)
        return str(self.lists()[-1]["id"])

    def add_device(self, name: str, list_id: str, *options: str, key: str | None = None) -> str:
        """Make a device for the list and return its key (a fresh one unless given)."""
        key = key or new_key()
        self.run("devices", "add", name, "--list", list_id, "--key", "-", *options, input=key + "\n")
        return key

    # Its HTTP, as scanners speak it

    @property
    def session(self) -> requests.Session:
        """A keep-alive session of this thread, a new one after each start of the box."""
        if getattr(self._sessions, "of_start", None) != self._starts:
            session = requests.Session()
            session.trust_env = False
            self._sessions.session, self._sessions.of_start = session, self._starts
        current: requests.Session = self._sessions.session
        return current

    def api(self, endpoint: str) -> str:
        """The URL of `redeem/`, `search/`, `download/` or `status/` of the box's event."""
        return f"{self.url}/pretixdroid/api/{self.event}/{endpoint}"

    def redeem(self, key: str, secret: str | None = None, **form: object) -> requests.Response:
        """POST `redeem/`: True becomes `true`, False `false`, and fields that are None are left out."""
        fields = {"secret": secret, **form}
        url, form_text = self.api("redeem/"), as_form(fields)
        return self.session.post(
            url, params={"key": key}, data=form_text, timeout=HTTP_TIMEOUT_S, allow_redirects=False
        )

    def get(self, key: str, endpoint: str, **params: str) -> requests.Response:
        """GET `search/`, `download/` or `status/`."""
        return self.session.get(
            self.api(endpoint), params={"key": key, **params}, timeout=HTTP_TIMEOUT_S, allow_redirects=False
        )

    def search(self, key: str, query: str) -> list[dict[str, Any]]:
        """The tickets that `search/` finds."""
        results: list[dict[str, Any]] = self.get(key, "search/", query=query).json()["results"]
        return results

    def journal(self, *options: str) -> list[dict[str, Any]]:
        """The check-ins as `export` tells them."""
        checkins: list[dict[str, Any]] = self.json("export", "--format", "json", *options)["checkins"]
        return checkins


def as_form(fields: Mapping[str, object]) -> dict[str, str]:
    """Form fields as text: truth values as the scanner app writes them, None left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def total(lists: Sequence[Mapping[str, Any]], what: str) -> int:
    """The sum of one count (`pending`, `conflicts`, ...) over lists as `status --json` tells them."""
    return sum(int(entry[what]) for entry in lists)
