"""`edgebox lists`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.cli.keys import read_key


@click.group(invoke_without_command=True)
@click.pass_context
def lists(context: click.Context) -> None:
    """Show the check-in lists of this box; add and remove them."""
    if context.invoked_subcommand is None:
        box: Context = context.obj
        rows = box.call("status")["lists"]
        if not rows:
            click.echo("No lists yet. Add one: edgebox lists add URL KEY")
            return
        show.table(
            ("ID", "NAME", "EVENT", "UPSTREAM", "TICKETS", "ADDRESS"),
            (
                (
                    row["id"],
                    row["name"],
                    "/".join(str(p) for p in (row["organizer"], row["event"], row["subevent"]) if p is not None),
                    row["upstream"],
                    row["tickets"],
                    row["url"] or "-",
                )
                for row in rows
            ),
        )


@lists.command()
@click.argument("source")
@click.argument("key", required=False)
@click.option("--name", help="What staff call the list; without it, upstream's name for it.")
@click.option("--separate", is_flag=True, help="Add it even though the box seems to have this very list already.")
@pass_context
def add(box: Context, source: str, key: str | None, name: str | None, separate: bool) -> None:
    """Register a check-in list.

    SOURCE is the list's address at the ticket server (https://HOST/pretixdroid/api/ORGANIZER/EVENT/), with its KEY
    (`-`: asked for, or read from standard input); or the JSON text of a configuration QR, which holds both; or a FILE
    with a saved status/ and download/, for a list without a ticket server.
    """
    if source.lstrip().startswith("{"):
        source, key = _from_qr(source)
    if "://" in source:
        if key is None:
            raise click.UsageError("the list's KEY is missing (`-` to be asked for it)")
        added = box.call("lists.add", url=source, key=read_key(key), name=name, separate=separate)
    else:
        if key is not None:
            raise click.UsageError(f"{source} is no address (https://...), and a file has no key")
        added = box.call("lists.add_saved", content=_saved(source), origin=source, name=name, separate=separate)
    click.echo(f"List {added['id']} ({show.printable(added['name'])}) was added: {added['path']}.")
    if not added["was_reached"]:
        click.echo("Its ticket server cannot be reached now; tickets come with the first pull.")
    click.echo(f"Now add a scanner: edgebox devices add NAME --list {added['id']}")


@lists.command()
@click.argument("list_id", metavar="ID", type=int)
@pass_context
def remove(box: Context, list_id: int) -> None:
    """Forget a list and its tickets; refused while check-ins wait to be pushed.

    The journal stays (edgebox export). Devices of the list are told that the event is unknown.
    """
    box.call("lists.remove", list_id=list_id)
    click.echo(f"List {list_id} was removed; its journal stays.")


def _from_qr(text: str) -> tuple[str, str]:
    try:
        told = json.loads(text)
        return str(told["url"]), str(told["key"])
    except (ValueError, KeyError, TypeError):
        raise click.UsageError('this is not the text of a configuration QR: {"url": ..., "key": ...}') from None


def _saved(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror} (an address begins with https://)") from None
    except ValueError:
        raise click.UsageError(f"{path} is not a saved list (no JSON)") from None
