"""A demo ticket server in a process of its own, and a box beside it that really syncs with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edgebox.box import Box
from edgebox.config import FILE_NAME, PREFIX, Config
from edgebox.control import ActionFailed
from edgebox.control.client import call
from edgebox.datadir import COMMAND, LOOK_AGAIN_S, DataDir, InUse
from edgebox.demo.event import DEMO_EVENT, DEMO_KEY, DEMO_ORGANIZER, demo_event
from edgebox.model import App
from edgebox.serving import run_box, stop_on_signals

SCANNER = "demo scanner"
DEMO_PASSWORDS = {"lead": "demo-lead", "gate": "demo-gate"}
UPSTREAM_DEVICE = "demo box"
UPSTREAM_STARTS_WITHIN_S = 30.0
UPSTREAM_STOPS_WITHIN_S = 10.0
BACKOFF_MAX_S = 5.0
"""The demo's ticket server is on this machine: asking often whether it is back costs nobody anything."""


@dataclass(frozen=True, slots=True)
class TicketServer:
    """The demo ticket server: where it listens, the key that the box has there, what starts it, and its process."""

    url: str
    key: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes]


def run_demo(
    config: Config,
    directory: Path,
    on_ready: Callable[[Box, TicketServer], None],
    on_upstream_stopped: Callable[[TicketServer], None],
) -> None:
    """Run both until SIGTERM or SIGINT. `config` is the box's, whose data lies below `directory`.

    What the ticket server was told stays in `directory/upstream`, also when it is started anew while the demo runs.
    Raises ActionFailed, ConfigError, DataDirError.
    """
    stop_on_signals()
    config = replace(config, backoff_max_s=min(config.backoff_max_s, BACKOFF_MAX_S))
    with _ticket_server(directory / "upstream", config.port + 1, on_upstream_stopped) as upstream:
        _set_up_box(config, upstream)
        run_box(config, lambda box: on_ready(box, upstream))


def _set_up_box(config: Config, upstream: TicketServer) -> None:
    """The first time: the list and a scanner. Each time: a sync, so that the first scan finds its ticket."""
    if not call(config, "status", {})["lists"]:
        url = f"{upstream.url}/pretixdroid/api/{DEMO_ORGANIZER}/{DEMO_EVENT}/"
        call(config, "lists.add", {"url": url, "key": upstream.key, "name": None, "separate": False})
    if not call(config, "devices", {})["devices"]:
        _add_device(config, SCANNER, DEMO_KEY)
    for role, password in DEMO_PASSWORDS.items():
        call(config, "staff.set_password", {"role": role, "password": password})
    call(config, "sync", {"list_id": None})


def _set_up_upstream(directory: Path, first_port: int) -> tuple[str, int]:
    """A box with a list from a file; its key and port, the same ones each time for a directory that is kept."""
    lock = DataDir(directory)
    lock.take(COMMAND)  # refused at once where another demo runs on the same data
    lock.release()
    settings = directory / FILE_NAME
    if not settings.exists():
        settings.write_text(f"port = {_free_port(first_port)}\n", encoding="utf-8")
    config = Config.load(directory, {}, {})
    if not call(config, "status", {})["lists"]:
        event = demo_event(datetime.now(UTC).date())
        saved = {"content": event, "origin": "the demo event", "name": None, "separate": False}
        call(config, "lists.add_saved", saved)
    if not call(config, "devices", {})["devices"]:
        _add_device(config, UPSTREAM_DEVICE, None)
    return call(config, "devices.show", {"name": UPSTREAM_DEVICE})["key"], config.port


def _add_device(config: Config, name: str, key: str | None) -> None:
    list_id = call(config, "status", {})["lists"][0]["id"]
    device = {"name": name, "app": App.PRETIXDROID, "list_ids": [list_id], "key": key, "items": None}
    call(config, "devices.add", device | {"allow_search": True, "show_info": True})


@contextmanager
def _ticket_server(
    directory: Path, first_port: int, on_stopped: Callable[[TicketServer], None]
) -> Iterator[TicketServer]:
    """The ticket server's process; at the end none is left, nor one that a visitor has started in its place."""
    key, port = _set_up_upstream(directory, first_port)
    # -P: a folder called edgebox where somebody types this is not ours.
    python = [sys.executable, *(["-P"] if sys.flags.safe_path else [])]
    command = [*python, "-m", "edgebox", "--data", str(directory.absolute()), "serve"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    # Its log would mix with the box's.
    environment = {**os.environ, f"{PREFIX}LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True, preexec_fn=_end_with_parent
    )
    server = TicketServer(f"http://127.0.0.1:{port}", key, tuple(command), process)
    is_ending = threading.Event()

    def watch() -> None:
        process.wait()
        if not is_ending.is_set():
            on_stopped(server)

    try:
        _wait_for(server)
        threading.Thread(target=watch, name="ticket-server-watch", daemon=True).start()
        yield server
    finally:
        is_ending.set()
        _end(process)
        _end_successor(directory)


def _end_with_parent() -> None:
    """In the child: also when the demo is killed, its ticket server does not stay behind."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(UPSTREAM_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_successor(directory: Path) -> None:
    """End the ticket server that a visitor started, and wait for it: the directory may be gone next."""
    lock = DataDir(directory)
    give_up_s = time.monotonic() + UPSTREAM_STOPS_WITHIN_S
    while time.monotonic() < give_up_s:
        try:
            lock.take(COMMAND)
        except InUse as error:
            if error.holder is not None and error.is_by_box:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(error.holder.pid, signal.SIGTERM)
            time.sleep(LOOK_AGAIN_S)
        else:
            lock.release()
            return


def _free_port(first: int) -> int:
    """The first port from here on that nobody listens on; any free one where there is none within reach."""
    for port in (*range(first, min(first + 100, 65536)), 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ActionFailed("there is no free port for the demo's ticket server")


def _wait_for(server: TicketServer) -> None:
    give_up_s = time.monotonic() + UPSTREAM_STARTS_WITHIN_S
    while time.monotonic() < give_up_s:
        if server.process.poll() is not None:
            raise ActionFailed("the demo's ticket server ended at once; what it said stands above")
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(LOOK_AGAIN_S)
    raise ActionFailed(f"the demo's ticket server did not start within {UPSTREAM_STARTS_WITHIN_S:.0f} s")
