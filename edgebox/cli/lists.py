"""`edgebox lists`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.cli.keys import read_key
from edgebox.control import ActionFailed

_OFFERED = re.compile(r"(?P<event>[A-Za-z0-9.][A-Za-z0-9.-]*)/(?P<list>[0-9]{1,15})")
"""What a connection offers: an event's slug and pretix's id of the list."""


@click.group(invoke_without_command=True)
@click.pass_context
def lists(context: click.Context) -> None:
    """Show the check-in lists; add and remove them."""
    if context.invoked_subcommand is not None:
        return
    box: Context = context.obj
    rows = box.call("status")["lists"]
    if not rows:
        click.echo(f"No lists yet in {box.data_dir}. Add one: edgebox lists add URL KEY")
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
@click.argument("source", metavar="URL|QR|FILE|EVENT/LIST")
@click.argument("key", metavar="KEY", required=False)
@click.option("--name", help="What staff call the list; without it, upstream's name for it.")
@click.option("--separate", is_flag=True, help="Add it even though the box seems to have this very list already.")
@click.option("--connection", type=NUMBER, help="For EVENT/LIST: the connection, where several offer it.")
@pass_context
def add(
    context: Context, source: str, key: str | None, name: str | None, separate: bool, connection: int | None
) -> None:
    """Register a check-in list.

    URL is the list's address at the ticket server (https://HOST/pretixdroid/api/ORGANIZER/EVENT/), with its KEY
    (`-`: asked for, or read from standard input). QR is the text of a configuration QR, which holds both. FILE has a
    saved status/ and download/ in one JSON object ({"status": ..., "download": ...}), for a list without a ticket
    server. EVENT/LIST is one that a connection to today's pretix offers (edgebox lists offered shows them).
    """
    if offered := _OFFERED.fullmatch(source):
        if key is not None or separate:
            raise click.UsageError(
                f"{source} is a list of a connection: it has no key of its own, and is never separate"
            )
        event, upstream_list = offered["event"], int(offered["list"])
        _say_added(
            context.call(
                "lists.add_offered", event=event, upstream_list=upstream_list, connection_id=connection, name=name
            )
        )
        return
    if connection is not None:
        raise click.UsageError("--connection is for a list that a connection offers (EVENT/LIST)")
    if source.lstrip().startswith("{"):
        if key is not None:
            raise click.UsageError("the text of a configuration QR has a key in it; another one is not needed")
        source, key = _from_qr(source)
    if "://" in source:
        if key is None:
            raise click.UsageError("the list's KEY is missing (`-` to be asked for it)")
        added = context.call("lists.add", url=source, key=read_key(key), name=name, separate=separate)
    else:
        if key is not None:
            raise click.UsageError(f"{source} is no address (https://...), and a file has no key")
        added = context.call("lists.add_saved", content=_saved(source), origin=source, name=name, separate=separate)
    _say_added(added)


def _say_added(added: dict[str, Any]) -> None:
    click.echo(f"List {added['id']} ({show.printable(added['name'])}) was added: {show.printable(added['path'])}.")
    if added["problem"]:
        click.echo(f"Its ticket server cannot be asked now: {show.printable(added['problem'])}.", err=True)
        click.echo("It may all the same be right: its tickets come with the first pull.", err=True)
    click.echo(f"Now add a scanner: edgebox devices add NAME --list {added['id']}")


@lists.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--connection", type=NUMBER, help="Of this connection only.")
@pass_context
def offered(context: Context, as_json: bool, connection: int | None) -> None:
    """Show the check-in lists that connections to today's pretix offer."""
    told = context.call("lists.offered", connection_id=connection)
    if as_json:
        click.echo(show.as_json(told))
        return
    if not told["offered"]:
        click.echo("Nothing is offered: give the device access to an event with a check-in list in pretix.")
        return
    show.table(
        ("LIST", "NAME", "EVENT", "CONNECTION", "ON THE BOX"),
        (
            (
                f"{row['event']}/{row['list']}",
                row["name"],
                row["event_name"],
                row["connection"],
                "yes" if row["registered"] else "no",
            )
            for row in told["offered"]
        ),
    )


@lists.command()
@click.argument("list_id", metavar="ID", type=NUMBER)
@click.option("--force", is_flag=True, help="Also while check-ins wait; they are written to a file before.")
@pass_context
def remove(context: Context, list_id: int, force: bool) -> None:
    """Forget a list and its tickets.

    Refused while check-ins wait to be pushed. With --force those are written to a CSV file in the data directory's
    exports/ before, and are not pushed any more. The journal stays (edgebox export). Devices of the list are told that
    the event is unknown.
    """
    removed = context.call("lists.remove", list_id=list_id, force=force)
    click.echo(f"List {list_id} was removed; its journal stays.")
    if removed["path"]:
        what = show.count(removed["exported"], "check-in")
        click.echo(f"{what} that upstream does not have: {show.printable(removed['path'])}")


def _from_qr(text: str) -> tuple[str, str]:
    try:
        told = json.loads(text)
        url, key = told["url"], told["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        url = key = None
    if not isinstance(url, str) or not isinstance(key, str) or "://" not in url:
        raise click.UsageError('this is not the text of a configuration QR: {"url": "https://...", "key": "..."}')
    return url, key


def _saved(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror} (an address begins with https://)") from None
    except (ValueError, RecursionError):
        raise ActionFailed(f"{path} is not a saved list (no JSON); nothing was added") from None
