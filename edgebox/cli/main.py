"""The command `edgebox`: what all its commands share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from edgebox import __version__
from edgebox.box import ActionError
from edgebox.cli.attention import attention
from edgebox.cli.context import Context
from edgebox.cli.devices import devices
from edgebox.cli.lists import lists
from edgebox.cli.records import export, log
from edgebox.cli.serving import demo, serve
from edgebox.cli.syncing import status, sync
from edgebox.config import ConfigError
from edgebox.datadir import DataDirError
from edgebox.store import StoreError
from edgebox.upstream import UpstreamError

SPEAKABLE = (ActionError, ConfigError, DataDirError, StoreError, UpstreamError)


@click.group(name="edgebox", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="EDGEBOX_DATA",
    help="The data directory (or EDGEBOX_DATA); without it ~/.local/share/edgebox.",
)
@click.version_option(__version__, prog_name="edgebox")
@click.pass_context
def edgebox(context: click.Context, data: Path | None) -> None:
    """edgebox: a check-in box that keeps the doors moving when the internet does not.

    Commands work beside a running box on the same data directory and take effect in it at once.
    """
    context.obj = Context(data or Path("~/.local/share/edgebox").expanduser(), dict(os.environ))


for command in (serve, demo, lists, devices, attention, sync, status, log, export):
    edgebox.add_command(command)


def main() -> None:
    """Run the command line; errors are one line on stderr and a status that is not 0."""
    try:
        # Returns a status where a command ends itself (--help does).
        sys.exit(edgebox.main(prog_name="edgebox", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "edgebox"
        hint = f" ({command} --help says more)" if isinstance(error, click.UsageError) else ""
        fail(f"{error.format_message()}{hint}", error.exit_code)
    except click.Abort:
        fail("stopped", 130)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be flushed into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SPEAKABLE as error:
        fail(str(error), 1)


def fail(message: str, status: int) -> None:
    """End with one line on stderr."""
    click.echo(f"edgebox: {' '.join(message.split())}", err=True)
    sys.exit(status)
