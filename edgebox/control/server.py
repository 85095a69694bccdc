"""The running box's side: a small waitress on a UNIX socket that only the box's own user can open."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import waitress
from waitress.channel import ClientDisconnected

from edgebox.box import ActionError, Box
from edgebox.control import actions
from edgebox.datadir import SOCKET_NAME

log = logging.getLogger(__name__)

THREADS = 2
FINISH_WITHIN_S = 5
"""How long a box that stops waits for the actions it is at."""


class ControlServer:
    """Serves actions until `close()`. Raises OSError when its socket cannot be made."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._directory = box.config.data_dir
        self._is_closing = False
        self._server = waitress.create_server(
            self._answer, sockets=[_listening_socket(self._directory)], threads=THREADS, ident=None
        )
        self._thread = threading.Thread(target=self._server.run, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish what is being done, answer it, and take the socket away. Commands that come meanwhile wait."""
        self._is_closing = True
        (self._directory / SOCKET_NAME).unlink(missing_ok=True)
        self._server.task_dispatcher.shutdown(timeout=FINISH_WITHIN_S)
        # In its own thread, which may be waiting at the very sockets that this closes.
        self._server.trigger.pull_trigger(self._server.close)
        self._thread.join(FINISH_WITHIN_S)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One action: lines of JSON, `{"progress": ...}` as often as there is any, then `{"result"}` or `{"error"}`."""
        write = start_response("200 OK", [("Content-Type", "application/x-ndjson")])

        def say(line: dict[str, Any]) -> None:
            # A command that was interrupted does not take back what it asked for.
            with contextlib.suppress(ClientDisconnected):
                write(json.dumps(line).encode() + b"\n")

        try:
            action, arguments = _read(environ["wsgi.input"].read())
            result = actions.run(self._box, action, arguments, lambda progress: say({"progress": progress}))
        except actions.KNOWN_ERRORS as error:
            say({"error": str(error)})
        except Exception:
            if self._is_closing:
                log.warning("the box stopped in the middle of a command")
            else:
                log.exception("a command failed")
            say({"error": "the box has a fault; its log says which"})
        else:
            say({"result": result})
        return []


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    """Action and arguments. Raises ActionError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if isinstance(asked, dict) and isinstance(asked.get("action"), str) and isinstance(asked.get("arguments"), dict):
        return asked["action"], asked["arguments"]
    raise ActionError("this is no action: are command and box of one version?")


def _listening_socket(directory: Path) -> socket.socket:
    """A bound socket with mode 0600 before anybody can connect.

    Bound relative to the directory: a socket's address is limited to about a hundred bytes, a path is not.
    """
    (directory / SOCKET_NAME).unlink(missing_ok=True)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(f"/proc/self/fd/{handle}/{SOCKET_NAME}")
        os.chmod(SOCKET_NAME, 0o600, dir_fd=handle)
    finally:
        os.close(handle)
    return control
