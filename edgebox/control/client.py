"""A command's side: ask the running box, or do the work in its place where none runs.

Of the box nothing is imported here: loading all of it takes a while on a Pi, and most commands only ask a running one.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebox.config import Config
from edgebox.control import ActionFailed, Report, ignore
from edgebox.datadir import COMMAND, LOCK_NAME, LOOK_AGAIN_S, SOCKET_NAME, DataDir, DataDirError, Holder, InUse

WAIT_S = 30.0
"""For another command to finish, or for a box that is still starting or about to stop."""

FOUNDING = frozenset({"lists.add", "lists.add_saved", "connections.add"})
"""The actions that make a box where there was none. No other one leaves anything behind at a mistyped path."""


def call(
    config: Config,
    action: str,
    arguments: dict[str, Any],
    *,
    report: Report = ignore,
    announce: Callable[[Holder], None] = lambda holder: None,
) -> Any:
    """Do one action on the data directory, in the running box or here; its JSON result.

    Another command that holds the directory is waited for, after `announce` was told. Raises ActionFailed with words
    for staff, and DataDirError when the directory cannot be used or stays in use.
    """
    if action not in FOUNDING and not os.path.exists(config.data_dir / LOCK_NAME):
        with tempfile.TemporaryDirectory(prefix="edgebox-") as nowhere:
            return _here(replace(config, data_dir=Path(nowhere)), action, arguments, report)
    directory = DataDir(config.data_dir)
    give_up_s = time.monotonic() + WAIT_S
    is_announced = False
    while True:
        try:
            directory.take(COMMAND)
        except InUse as error:
            in_use = error
        except DataDirError:
            # On a disk that takes nothing any more a box that runs can still be asked.
            if (connection := _connect(config.data_dir)) is None:
                raise
            return _there(connection, action, arguments, report)
        else:
            try:
                return _here(config, action, arguments, report)
            finally:
                directory.release()
        connection = _connect(config.data_dir)
        if connection is not None:
            return _there(connection, action, arguments, report)
        if time.monotonic() > give_up_s:
            if in_use.is_by_box:
                raise ActionFailed(f"{in_use.holder} holds {config.data_dir} but does not answer; nothing was done")
            raise in_use
        if in_use.holder is not None and not in_use.is_by_box and not is_announced:
            announce(in_use.holder)
            is_announced = True
        time.sleep(LOOK_AGAIN_S)


def _here(config: Config, action: str, arguments: dict[str, Any], report: Report) -> Any:
    from edgebox.control.here import act

    return act(config, action, arguments, report)


def _there(connection: http.client.HTTPConnection, action: str, arguments: dict[str, Any], report: Report) -> Any:
    try:
        connection.request("POST", "/", json.dumps({"action": action, "arguments": arguments}))
        for line in connection.getresponse():
            said = json.loads(line)
            if "progress" in said:
                report(said["progress"])
            elif "error" in said:
                raise ActionFailed(said["error"])
            else:
                return said["result"]
    except (OSError, http.client.HTTPException, ValueError):
        pass  # it ended in the middle of its answer
    finally:
        connection.close()
    raise ActionFailed("the box stopped before it had answered; see how things stand before you try again")


def _connect(data_dir: Path) -> http.client.HTTPConnection | None:
    """A connection to the box; None when it does not listen (yet, or any more). Raises ActionFailed."""
    connection = _UnixConnection(data_dir)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise ActionFailed(f"the box in {data_dir} cannot be asked ({error.strerror}); nothing was done") from None
    return connection


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the box's socket; reached through an open directory, because a socket's address must be short."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("localhost")
        self._data_dir = data_dir

    def connect(self) -> None:
        directory = os.open(self._data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        finally:
            os.close(directory)
