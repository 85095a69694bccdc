"""`edgebox serve`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

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


def start_logging(config: Config) -> None:
    """One line an event on stderr; the time as well where the journal does not add it."""
    when = "" if _is_the_systems_journal() else "%(asctime)s "
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(f"{when}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(force=True, level=config.log_level.upper(), handlers=[handler])


class _Printable(logging.Formatter):
    """One event is one line, and steers no terminal: what upstream or a device said may stand in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return show.printable(super().formatMessage(record))

    def formatException(self, exc_info: Any) -> str:
        return "\n".join(map(show.printable, super().formatException(exc_info).splitlines()))


def _is_the_systems_journal() -> bool:
    """Whether stderr is what systemd connected to its journal; a process that was started from there inherits the
    variable, but may write elsewhere."""
    stderr = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"
