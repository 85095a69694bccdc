"""`edgebox demo`: a demo ticket server in a process of its own, and a box beside it that really syncs with it."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edgebox.box import ActionError, Box
from edgebox.config import FILE_NAME, Config
from edgebox.datadir import DataDir
from edgebox.demo.event import DEMO_EVENT, DEMO_KEY, DEMO_ORGANIZER, NAMED_TICKETS, demo_event
from edgebox.serving import run_box

UPSTREAM_STARTS_WITHIN_S = 30.0
UPSTREAM_DEVICE = "demo box"
SCANNER = "demo scanner"


def run_demo(config: Config, directory: Path, say: Callable[[str], None]) -> None:
    """Run both until SIGTERM or SIGINT; `say` prints what a visitor needs. `config` is the box's, below `directory`.

    What the ticket server was told stays in `directory/upstream`. Raises ActionError when it does not start.
    """
    upstream_dir = directory / "upstream"
    key, port = _set_up_upstream(upstream_dir)
    command = [sys.executable, "-m", "edgebox", "--data", str(upstream_dir), "serve", "--host", "127.0.0.1"]
    upstream = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait_for(upstream, base)

        def prepare(box: Box) -> None:
            if not box.store.lists.all():
                list_ = box.add_list(f"{base}/pretixdroid/api/{DEMO_ORGANIZER}/{DEMO_EVENT}/", key)
                box.add_device(SCANNER, list_.id, key=DEMO_KEY)

        run_box(config, lambda url: say(_welcome(url, base, upstream.pid, command)), prepare)
    finally:
        upstream.send_signal(signal.SIGTERM)
        upstream.wait()


def _set_up_upstream(directory: Path) -> tuple[str, int]:
    """A box with a list from a file; (key, port), the same ones each time for a directory that is kept."""
    lock = DataDir(directory)
    lock.take("command")
    try:
        settings = directory / FILE_NAME
        if not settings.exists():
            settings.write_text(f"port = {_free_port()}\n", encoding="utf-8")
        config = Config.load(directory, {}, {})
        box = Box(config)
        try:
            if not box.store.lists.all():
                list_ = box.add_saved(demo_event(datetime.now(UTC).date()), "the demo event")
                box.add_device(UPSTREAM_DEVICE, list_.id)
            return box.store.devices.named(UPSTREAM_DEVICE).key, config.port
        finally:
            box.close()
    finally:
        lock.release()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(upstream: subprocess.Popen[bytes], base: str) -> None:
    give_up_s = time.monotonic() + UPSTREAM_STARTS_WITHIN_S
    while time.monotonic() < give_up_s and upstream.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/healthz", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.05)
    raise ActionError("the demo ticket server did not start; what it said stands above")


def _welcome(url: str, upstream: str, pid: int, command: list[str]) -> str:
    api = f"{url}/pretixdroid/api/{DEMO_ORGANIZER}/{DEMO_EVENT}"
    secret = NAMED_TICKETS["peter_higgs"]
    return f"""\
edgebox demo
  the box          {api}/   key {DEMO_KEY}
  its ticket server {upstream}   (process {pid})

Check somebody in, and see what is known of them:
  curl -d secret={secret} '{api}/redeem/?key={DEMO_KEY}'
  curl '{api}/search/?key={DEMO_KEY}&query=Peter'
  curl '{api}/status/?key={DEMO_KEY}'

Pull the plug: stop the ticket server, scan on, and start it again; the check-ins arrive there.
  kill {pid}
  {shlex.join(command)}

Ctrl-C ends the demo."""
