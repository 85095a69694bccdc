"""Running a box: the data directory's lock, the box, its control socket and its server, in the right order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgebox.app import serve
from edgebox.box import ActionError, Box
from edgebox.config import Config
from edgebox.control.server import ControlServer
from edgebox.datadir import WAIT_FOR_COMMAND_S, DataDir, Holder

log = logging.getLogger(__name__)


def run_box(config: Config, on_ready: Callable[[str], None], prepare: Callable[[Box], None] = lambda box: None) -> None:
    """Run a box until SIGTERM or SIGINT; `on_ready` gets the address at which scanners reach it.

    `prepare` may act on the box before it serves. Raises DataDirError when another box holds the data directory,
    StoreError when its database cannot be used, ActionError when the address cannot be listened on.
    """

    def wait_for(holder: Holder) -> None:
        log.warning("%s holds the data directory; the box starts when it has finished", holder)

    directory = DataDir(config.data_dir)
    directory.take("box", wait_s=WAIT_FOR_COMMAND_S, announce=wait_for)
    try:
        box = Box(config)
        try:
            prepare(box)
            control = ControlServer(box)
            control.start()
            try:
                serve(box, lambda host, port: on_ready(box.base_url()))
            finally:
                control.close()
        except OSError as error:
            raise ActionError(f"{config.host}:{config.port} cannot be listened on: {error.strerror or error}") from None
        finally:
            box.close()
    finally:
        directory.release()
