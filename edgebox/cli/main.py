"""The command `edgebox`: what all its commands share.

Command modules import what they need of the box only when they run: loading all of it takes a while on a Pi, and most
commands only ask a running box.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from edgebox import __version__
from edgebox.cli import show
from edgebox.cli.address import address
from edgebox.cli.attention import attention
from edgebox.cli.backup import backup, restore
from edgebox.cli.connections import connect, connections
from edgebox.cli.context import Context
from edgebox.cli.demo import demo
from edgebox.cli.devices import devices
from edgebox.cli.export import export
from edgebox.cli.lists import lists
from edgebox.cli.log import log
from edgebox.cli.paper import paper
from edgebox.cli.purge import purge
from edgebox.cli.serve import serve
from edgebox.cli.staff import staff
from edgebox.cli.status import status
from edgebox.cli.sync import sync
from edgebox.cli.update import check, hold
from edgebox.config import ConfigError
from edgebox.control import ActionFailed
from edgebox.datadir import DataDirError

HOME = "~/.local/share/edgebox"
INTERRUPTED = 130
"""The status of what Ctrl-C ended."""


@click.group(name="edgebox", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="EDGEBOX_DATA",
    help=f"The data directory (or EDGEBOX_DATA); without it {HOME}.",
)
@click.version_option(__version__, prog_name="edgebox", help="Show the version.")
@click.pass_context
def edgebox(context: click.Context, data: Path | None) -> None:
    """A check-in box that keeps the doors moving when the internet does not.

    Commands work beside a running box on the same data directory and take effect in it at once.
    """
    context.obj = Context(data or _home(), dict(os.environ))


for command in (
    serve,
    demo,
    connect,
    connections,
    lists,
    devices,
    attention,
    sync,
    status,
    address,
    log,
    export,
    paper,
    backup,
    restore,
    hold,
    check,
    purge,
    staff,
):
    edgebox.add_command(command)


def _home() -> Path:
    try:
        return Path(HOME).expanduser()
    except RuntimeError:
        raise click.UsageError("there is no home directory for the data: name a directory with --data") from None


def run() -> NoReturn:
    """Run the command line of this process."""
    # Whatever this makes is for nobody else to read.
    os.umask(0o077)
    # What the box logs is for its own log; a command says itself what matters.
    logging.getLogger().addHandler(logging.NullHandler())
    # A name that an old terminal cannot show is no reason to stop.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = perform(sys.argv[1:])
    if status:
        # What could not be written must not be tried once more on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def perform(arguments: list[str]) -> int:
    """Do what a command line says; its exit status. An error is one line on stderr, whatever it is."""
    try:
        _refuse_garbled(arguments)
        # Returns a status where a command ends itself (--help does).
        status = edgebox.main(arguments, prog_name="edgebox", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "edgebox"
        return _failed(f"{error.format_message()} ({command} --help says more)", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _failed("stopped", INTERRUPTED)
    except BrokenPipeError:
        return 1  # whoever read the output has seen enough
    except (ActionFailed, ConfigError, DataDirError, click.ClickException) as error:
        return _failed(str(error), 1)
    except OSError as error:
        return _failed(f"{error.filename or 'cannot go on'}: {error.strerror or error}", 1)
    except Exception as error:
        return _failed(f"this is a fault of edgebox: {type(error).__name__} in {_place(error)}: {error}", 1)
    return int(status or 0)


def _place(error: Exception) -> str:
    """Where it happened: the last place in edgebox itself."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path(__file__).parents[1])]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"


def _refuse_garbled(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"not UTF-8 text: {argument!r}") from None


def _failed(message: str, status: int) -> int:
    click.echo(f"edgebox: {show.printable(' '.join(message.split()))}", err=True)
    return status
