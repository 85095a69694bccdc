"""A command's side: ask the running box, or do the work in its place where none runs."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from edgebox.box import ActionError, Box
from edgebox.config import Config
from edgebox.control import actions
from edgebox.control.server import SOCKET_NAME
from edgebox.datadir import WAIT_FOR_COMMAND_S, DataDir, DataDirError

BOX_STARTS_WITHIN_S = 15.0


def call(
    config: Config, action: str, arguments: dict[str, Any] | None = None, report: actions.Report = lambda progress: None
) -> Any:
    """Do one action on the data directory, in the running box or here; its JSON result.

    Raises ActionError, StoreError or UpstreamError (as a running box's words: ActionError), and DataDirError when
    another command holds the directory for too long.
    """
    directory = DataDir(config.data_dir)
    holder = directory.holder()
    if holder is None or holder.role != "box":
        try:
            directory.take("command", wait_s=WAIT_FOR_COMMAND_S)
        except DataDirError:
            holder = directory.holder()
            if holder is None or holder.role != "box":
                raise
        else:
            return _here(config, directory, action, arguments or {}, report)
    return _there(config.data_dir, action, arguments or {}, report)


def _here(config: Config, directory: DataDir, action: str, arguments: dict[str, Any], report: actions.Report) -> Any:
    try:
        box = Box(config)
        try:
            return actions.run(box, action, arguments, report)
        finally:
            box.close()
    finally:
        directory.release()


def _there(data_dir: Path, action: str, arguments: dict[str, Any], report: actions.Report) -> Any:
    connection = _UnixConnection(data_dir)
    give_up_s = time.monotonic() + BOX_STARTS_WITHIN_S
    while True:
        try:
            connection.connect()
            break
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if time.monotonic() > give_up_s:
                raise ActionError("a box holds the data directory but does not answer; nothing was done") from error
            time.sleep(0.1)
        except PermissionError:
            raise ActionError(f"the box in {data_dir} belongs to another user: run this as that user") from None
    try:
        connection.request("POST", "/", json.dumps({"action": action, "arguments": arguments}))
        for line in connection.getresponse():
            said = json.loads(line)
            if "progress" in said:
                report(said["progress"])
            elif "error" in said:
                raise ActionError(said["error"])
            else:
                return said["result"]
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    raise ActionError("the box stopped before it had answered; look at its state (edgebox status) before trying again")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the box's socket; reached through an open directory, because a socket's address must be short."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("localhost")
        self._data_dir = data_dir

    def connect(self) -> None:
        handle = os.open(self._data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(f"/proc/self/fd/{handle}/{SOCKET_NAME}")
        finally:
            os.close(handle)
