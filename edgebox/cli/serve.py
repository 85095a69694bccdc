"""`edgebox serve`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.config import Config, help_for

if TYPE_CHECKING:
    from edgebox.box import Box


@click.command()
@click.option("--host", help=help_for("host"))
@click.option("--port", help=help_for("port"))
@pass_context
def serve(context: Context, host: str | None, port: str | None) -> None:
    """Run the box: the API for scanners, and the sync.

    SIGTERM and Ctrl-C stop it cleanly.
    """
    config = context.config(host=host, port=port)
    start_logging(config)
    from edgebox.serving import run_box

    run_box(config, _greet)


def _greet(box: Box) -> None:
    """Say where the box is; on a terminal, also the code for the first visit to its pages (no log keeps it)."""
    click.echo(f"edgebox serves at {box.base_url()}")
    if not sys.stdout.isatty():
        return
    from edgebox.store import NotWritable
    from edgebox.store.staff import Role

    # A full disk must not keep the box from serving.
    with contextlib.suppress(NotWritable):
        if (code := box.store.staff.code(Role.LEAD)) is not None:
            click.echo(f"Set the lead's password there with this code, which works once: {code}")


PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""The journal's (sd-daemon(3)): `journalctl -p warning` shows what matters."""


class OneLine(logging.Formatter):
    """One line an event, whatever it is: a fault's traceback too, and what a ticket server or a phone has said."""

    def __init__(self, *, is_journal: bool) -> None:
        # The journal adds the time itself.
        super().__init__(f"{'' if is_journal else '%(asctime)s '}%(levelname)s %(name)s: %(message)s")
        self._is_journal = is_journal

    def format(self, record: logging.LogRecord) -> str:
        # Nor does it steer a terminal.
        lines = [show.printable(line) for line in super().format(record).splitlines() if line.strip()]
        text = " | ".join([lines[0], *(line.strip() for line in lines[1:])]) if lines else ""
        return f"<{PRIORITIES.get(record.levelno, 6)}>{text}" if self._is_journal else text


def start_logging(config: Config) -> None:
    """Log to stderr, from the level on that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(is_journal=_is_the_systems_journal()))
    logging.basicConfig(force=True, handlers=[handler], level=config.log_level.upper())


def _is_the_systems_journal() -> bool:
    """Whether stderr is what systemd connected to its journal; a process that was started from there inherits the
    variable, but may write elsewhere."""
    stderr = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
