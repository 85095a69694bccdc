"""`edgebox hold` and `edgebox check`: what scripts/update needs, and whoever does the same by hand."""

from __future__ import annotations

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.control import ActionFailed


@click.command()
@click.option(
    "--seconds", type=click.IntRange(0, 600), default=60, show_default=True, help="For so long; 0: go on at once."
)
@pass_context
def hold(context: Context, seconds: int) -> None:
    """Let the running box record nothing for a while.

    Scanners are told to scan again. When the command has ended, all that was answered before is on the disk, so that a
    backup made now has everything. The box goes on by itself.
    """
    context.call("hold", seconds=seconds)
    click.echo(f"The box records nothing for {seconds} s." if seconds else "The box records again.")


@click.command()
@pass_context
def check(context: Context) -> None:
    """Is all well with the data, and does this version serve them?

    The box must not be running. The database is brought up to date, as a start would, and looked through; pages and
    lists are asked for. Nothing goes to a ticket server. For a copy of the data, name its directory with --data.
    """
    from edgebox.app import create_app
    from edgebox.serving import open_box

    with open_box(context.config()) as box:
        problem = box.store.soundness.check()
        if problem is not None:
            raise ActionFailed(f"the database is damaged ({problem}); start the box: it restores itself")
        lists = box.status()
        client = create_app(box).test_client()
        for path in ("/healthz", "/login", "/openapi.json"):
            answer = client.get(path)
            if answer.status_code >= 400:
                raise ActionFailed(f"{path} is answered {answer.status_code}: this version cannot serve these data")
    tickets, checkins = sum(each.tickets for each in lists), sum(each.checkins for each in lists)
    click.echo(
        f"All is well: {show.count(len(lists), 'list')}, {show.count(tickets, 'ticket')}, "
        f"{show.count(checkins, 'ticket')} in."
    )
