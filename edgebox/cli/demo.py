"""`edgebox demo`."""

from __future__ import annotations

import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edgebox.cli import show
from edgebox.cli.context import Context
from edgebox.cli.serve import start_logging
from edgebox.config import Config

if TYPE_CHECKING:
    from edgebox.box import Box
    from edgebox.demo.run import TicketServer


@click.command()
@click.option("--port", help="TCP port of the demo's box (default 8000).")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the demo's data in this directory and go on with it the next time; without it they are gone at the end.",
)
@click.pass_context
def demo(context: click.Context, port: str | None, data: Path | None) -> None:
    """Try it out: run a box with a demo event.

    Beside it runs a demo ticket server, in a process of its own, which the box really syncs with.
    """
    box: Context = context.obj
    # A real box's directory, which EDGEBOX_DATA may name, is no place for a demo.
    if data is None and context.find_root().get_parameter_source("data") is ParameterSource.COMMANDLINE:
        data = box.data_dir
    with ExitStack() as stack:
        if data is None:
            data = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="edgebox-demo-", ignore_cleanup_errors=True))
            )
        config = Config.load(data / "box", box.environ, {"port": port})
        start_logging(config)
        from edgebox.demo.run import run_demo

        run_demo(config, data, welcome, say_how_to_start_it_again)


def welcome(box: Box, upstream: TicketServer) -> None:
    """Print what a visitor needs: addresses, keys, and things to try."""
    from edgebox.demo.event import DEMO_EVENT, DEMO_KEY, DEMO_ORGANIZER, NAMED_TICKETS
    from edgebox.demo.run import DEMO_PASSWORDS
    from edgebox.devices import pretixdroid
    from edgebox.lan import WILDCARDS

    assert box.listens_on is not None
    host, port = box.listens_on
    here = f"http://{'127.0.0.1' if host in WILDCARDS else host}:{port}"
    path = f"/pretixdroid/api/{DEMO_ORGANIZER}/{DEMO_EVENT}/"
    click.echo(f"""\
edgebox demo

The box            {here}{path}  key {DEMO_KEY}
for phones         {box.base_url()}{path}
Its ticket server  {upstream.url}{path}  key {upstream.key}

The staff pages    {here}/  password of the lead {DEMO_PASSWORDS["lead"]}, of the gate {DEMO_PASSWORDS["gate"]}

Check somebody in, look somebody up, and see how many are in:
  curl -d secret={NAMED_TICKETS["peter_higgs"]} '{here}{path}redeem/?key={DEMO_KEY}'
  curl '{here}{path}search/?key={DEMO_KEY}&query=Peter'
  curl '{here}{path}status/?key={DEMO_KEY}'

See how the box stands:
  {shlex.join([*upstream.command[: upstream.command.index("--data")], "--data", str(box.config.data_dir)])} status

Pull the plug: stop the ticket server, scan on, and start it again; the check-ins arrive there.
  kill {upstream.process.pid}
  {shlex.join(upstream.command)}
""")
    device = box.store.devices.by_key(DEMO_KEY)
    if device is not None and (list_ := box.store.lists.get(device.list_ids[0])) is not None:
        show.qr(pretixdroid.configuration(device, list_, box.base_url()), only_drawn=True)
    click.echo("Ctrl-C ends the demo.")


def say_how_to_start_it_again(upstream: TicketServer) -> None:
    """Print what a visitor who has stopped the ticket server will look for."""
    click.echo(f"The ticket server has stopped; the box goes on. Start it again:\n  {shlex.join(upstream.command)}")
