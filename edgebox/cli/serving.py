"""`edgebox serve` and `edgebox demo`."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from edgebox.cli.context import Context, pass_context
from edgebox.config import Config, help_for
from edgebox.demo import run_demo
from edgebox.serving import run_box


@click.command()
@click.option("--host", help=help_for("host"))
@click.option("--port", help=help_for("port"))
@pass_context
def serve(box: Context, host: str | None, port: str | None) -> None:
    """Run the box: the API for scanners, and the sync. Stops cleanly on SIGTERM."""
    config = box.config(host=host, port=port)
    start_logging(config)
    run_box(config, lambda url: click.echo(f"edgebox serves at {url}"))


@click.command()
@click.option("--port", help="TCP port of the demo box (default 8000).")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the demo's data in this directory; without it they are gone at the end.",
)
@pass_context
def demo(box: Context, port: str | None, data: Path | None) -> None:
    """Run a box with a demo event, and a demo ticket server beside it that it really syncs with."""
    with ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgebox-demo-")))
        config = Config.load(data / "box", box.environ, {"port": port})
        start_logging(config)
        run_demo(config, data, click.echo)


def start_logging(config: Config) -> None:
    """One line an event on stderr; the time as well where the journal does not add it."""
    when = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr, level=config.log_level.upper(), format=f"{when}%(levelname)s %(name)s: %(message)s"
    )
