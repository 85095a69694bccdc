"""Running a box: the data directory's lock, the box, its control socket and its server, in the right order."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from edgebox.app import serve
from edgebox.box import Box
from edgebox.config import Config
from edgebox.control import ActionFailed
from edgebox.control.actions import KNOWN_ERRORS
from edgebox.control.server import ControlServer
from edgebox.datadir import BOX, WAIT_FOR_COMMAND_S, DataDir, Holder
from edgebox.ops.heartbeat import Heartbeat, probe
from edgebox.ops.notify import Supervisor

log = logging.getLogger(__name__)

HANG_VARIABLE = "EDGEBOX_TEST_HANG"
"""For tests of the watchdog alone: set to 1, it lets SIGUSR2 hang the box. Whoever can set it and send that signal
could as well kill the box; nothing that comes by the network can do either."""


def run_box(config: Config, on_ready: Callable[[Box], None]) -> None:
    """Run a box until SIGTERM or SIGINT; `on_ready` gets it once it serves.

    Where its database is damaged meanwhile, it starts anew once and is restored. Raises DataDirError when another box
    holds the data directory, ActionFailed when the database cannot be used or the address cannot be listened on.
    """
    if _run_once(config, on_ready, may_restart=True):
        log.warning("the box starts again, so that its database is restored")
        _run_once(config, on_ready, may_restart=False)


def _run_once(config: Config, on_ready: Callable[[Box], None], *, may_restart: bool) -> bool:
    """Run a box until it is to stop; whether it is to start again."""
    stop_on_signals()
    # A watchdog that loses its patience sends SIGABRT: then the log tells where each thread stood (places, no values).
    faulthandler.enable()
    if os.environ.get(HANG_VARIABLE) == "1":
        signal.signal(signal.SIGUSR2, _hang)
    with open_box(config) as box:
        box.caretaker.may_restart = may_restart
        try:
            _serve(box, on_ready)
            if not box.caretaker.wants_restart:
                log.info("the box stops")
        finally:
            if box.caretaker.wants_restart:
                stop_on_signals()
            else:
                _stop_only_once()
    return box.caretaker.wants_restart


@contextmanager
def open_box(config: Config) -> Iterator[Box]:
    """A box that holds its data directory and takes the actions of commands; it does not serve scanners yet.

    A command that holds the directory is waited for. Raises DataDirError, ActionFailed.
    """
    with ExitStack() as stack:
        directory = DataDir(config.data_dir)
        directory.take(BOX, wait_s=WAIT_FOR_COMMAND_S, announce=_say_who_is_waited_for)
        stack.callback(directory.release)
        try:
            box = Box(config)
        except KNOWN_ERRORS as error:
            raise ActionFailed(str(error)) from error
        stack.callback(box.close)
        control = ControlServer(box)
        control.start()
        stack.callback(control.close)
        yield box


def stop_on_signals() -> None:
    """SIGTERM and SIGINT raise SystemExit with status 0 from now on."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _hang(number: int, frame: FrameType | None) -> None:
    """Never return to what was interrupted: the thread that accepts connections and reads requests."""
    while True:
        signal.pause()


def _stop_only_once() -> None:
    """Nothing interrupts the stopping but a second Ctrl-C, by which nothing is lost that was answered."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _serve(box: Box, on_ready: Callable[[Box], None]) -> None:
    is_ready = False
    heartbeat: Heartbeat | None = None

    def ready(host: str, port: int) -> None:
        nonlocal is_ready, heartbeat
        is_ready = True
        heartbeat = Heartbeat(Supervisor(), lambda timeout_s: probe(host, port, timeout_s))
        heartbeat.start()
        on_ready(box)

    try:
        serve(box, ready)
    except OSError as error:
        if is_ready:
            raise
        host = f"[{box.config.host}]" if ":" in box.config.host else box.config.host
        reason = f"{host}:{box.config.port} cannot be listened on ({error.strerror or error})"
        raise ActionFailed(f"{reason}: choose another --host or --port") from error
    finally:
        if heartbeat is not None:
            heartbeat.close()


def _say_who_is_waited_for(holder: Holder) -> None:
    log.warning("%s holds the data directory; the box starts when it has finished", holder)
