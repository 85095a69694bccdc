"""`edgebox devices`."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlsplit

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.cli.keys import read_key

PRETIXSCAN = "pretixscan"
APPS = {"pretixdroid": "pretixdroid", PRETIXSCAN: "pretixSCAN"}
"""What the box calls an app, and what its makers call it."""


@click.group(invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """Show the scanners; add, renew and revoke them."""
    if context.invoked_subcommand is not None:
        return
    box: Context = context.obj
    rows = box.call("devices")["devices"]
    if not rows:
        click.echo(f"No devices yet in {box.data_dir}. Add one: edgebox devices add NAME --list ID")
        return
    show.table(
        ("NAME", "APP", "LISTS", "LIMITS", "LAST SEEN", "STATE", "PHONE"),
        (
            (
                row["name"],
                _app(row),
                ",".join(map(str, row["lists"])),
                _limits(row),
                show.age(row["last_seen"]),
                _state(row),
                _model(row) or row["user_agent"],
            )
            for row in rows
        ),
    )
    for row in rows:
        if row["foreign_repeats"]:
            entries = "an entry" if row["foreign_repeats"] == 1 else f"{row['foreign_repeats']} entries"
            click.echo(
                f"{show.printable(row['name'])} sends {entries} again and again for tickets that this box does not "
                "know: they are from an earlier event. Reset the app on that phone."
            )


class Numbers(click.ParamType[list[int]]):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        return [NUMBER.convert(part.strip(), parameter, context) for part in value.split(",")]


@devices.command()
@click.argument("name")
@click.option(
    "--app",
    type=click.Choice(list(APPS)),
    default="pretixdroid",
    show_default=True,
    help="The app on the phone: pretixscan is today's one in the stores, pretixdroid the old one.",
)
@click.option(
    "--list", "list_ids", type=Numbers(), required=True, help="The check-in list that it scans for; 1,2 for pretixscan."
)
@click.option("--key", help="pretixdroid: its key, digits and letters; `-` reads it. Without it, a random one is made.")
@click.option("--items", type=Numbers(), help="Only tickets of these items, such as 1,2 (the ticket server's ids).")
@click.option("--no-search", is_flag=True, help="Deny search by name and order.")
@click.option("--no-info", is_flag=True, help="pretixdroid: hide the statistics screen.")
@pass_context
def add(
    context: Context,
    name: str,
    app: str,
    list_ids: list[int],
    key: str | None,
    items: list[int] | None,
    no_search: bool,
    no_info: bool,
) -> None:
    """Add a scanner, and show the QR code that sets it up.

    With pretixscan it may have several lists, of different events too, and its QR code works once (`devices renew`
    makes a fresh one). With pretixdroid it has one list and a key, and its QR code works as often as it is scanned.
    """
    if app == PRETIXSCAN and (key is not None or no_info):
        option = "--key" if key is not None else "--no-info"
        raise click.UsageError(f"{option} is for the pretixdroid app; nothing was added: leave it out")
    added = context.call(
        "devices.add",
        name=name,
        app=app,
        list_ids=list_ids,
        key=read_key(key) if key is not None else None,
        items=items,
        allow_search=not no_search,
        show_info=not no_info,
    )
    _show(added)
    if strange := added["strange_items"]:
        _tell_of_strange_items(added["lists"], strange)


@devices.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON; `qr` is the QR code's text, null once it was used.")
@pass_context
def show_one(context: Context, name: str, as_json: bool) -> None:
    """Show a scanner, and the key or the QR code that sets it up."""
    device = context.call("devices.show", name=name)
    if as_json:
        click.echo(show.as_json(device))
    else:
        _show(device)


@devices.command()
@click.argument("name")
@pass_context
def renew(context: Context, name: str) -> None:
    """Make a fresh QR code for a scanner with the pretixSCAN app.

    For a new phone, an app that was reset, or a code that got into wrong hands: the earlier code ends at once. The
    phone that is set up now works until the fresh code is used.
    """
    device = context.call("devices.renew", name=name)
    click.echo(f"{show.printable(name)} has a fresh QR code.")
    _show(device)


@devices.command()
@click.argument("name")
@click.option(
    "--wipe",
    is_flag=True,
    help="pretixscan: the next time that the app talks to the box, it deletes what it holds: events, lists, tickets,"
    " and what it has not sent, such as check-ins and prints.",
)
@pass_context
def revoke(context: Context, name: str, wipe: bool) -> None:
    """End a scanner's access at once.

    What the phone holds stays on it. A pretixdroid phone that scanned offline may still hold entries; once revoked it
    can no longer hand them over. --wipe lets the pretixSCAN app delete what it holds: that cannot be taken back, and
    cannot be asked for once the scanner is revoked.
    """
    app = context.call("devices.revoke", name=name, wipe=wipe)["app"]
    if wipe:
        rest = "Its app deletes what it holds the next time that it talks to the box."
    elif app == PRETIXSCAN:
        rest = "What its app holds stays on the phone."
    else:
        rest = "Entries that it has not sent yet stay on the phone."
    click.echo(f"{show.printable(name)} is revoked. {rest}")


def _app(device: dict[str, Any]) -> str:
    version = (device["phone"] or {}).get("software_version")
    return f"{device['app']} {version}" if version else str(device["app"])


def _model(device: dict[str, Any]) -> str:
    phone = device["phone"]
    return ", ".join(filter(None, (phone["hardware"], phone["system"]))) if phone else ""


def _state(device: dict[str, Any]) -> str:
    if device["revoked"]:
        return "revoked, to be wiped" if device["wipe"] else "revoked"
    return "not set up yet" if device["app"] == PRETIXSCAN and device["phone"] is None else "in use"


def _limits(device: dict[str, Any]) -> str:
    limits = []
    if device["items"] is not None:
        limits.append("items " + ",".join(map(str, device["items"])))
    if not device["allow_search"]:
        limits.append("no search")
    if not device["show_info"]:
        limits.append("no info")
    return ", ".join(limits) or "-"


def _tell_of_strange_items(list_ids: list[int], strange: dict[str, Any]) -> None:
    numbers = ", ".join(map(str, strange["ids"]))
    known = ", ".join(f"{item_id} {show.printable(item)}" for item_id, item in strange["known"].items())
    if len(list_ids) == 1:
        click.echo(f"List {list_ids[0]} has no item {numbers} now. It has: {known}.", err=True)
    else:
        lists = ",".join(map(str, list_ids))
        click.echo(f"Lists {lists} have no item {numbers} now. They have: {known}.", err=True)


def _show(device: dict[str, Any]) -> None:
    click.echo(f"Device   {show.printable(device['name'])}, list {','.join(map(str, device['lists']))}")
    click.echo(f"App      {APPS[device['app']]}")
    if device["key"] is not None:
        click.echo(f"Key      {device['key']}")
    if device["phone"]:
        click.echo(f"Phone    {_told(device)}")
    if _limits(device) != "-":
        click.echo(f"Limits   {_limits(device)}")
    if device["removed_lists"] == device["lists"]:
        whose = "Its list was" if len(device["lists"]) == 1 else "All its lists were"
        click.echo(f"{whose} removed: there is nothing to scan for.")
    elif device["qr"] is None:
        click.echo(
            "Its QR code was used: it works once. A fresh one, for a new phone or an app that was reset: "
            f"edgebox devices renew {shlex.quote(show.printable(device['name']))}"
        )
    else:
        _show_qr(device)


def _told(device: dict[str, Any]) -> str:
    phone = device["phone"]
    words = (_model(device), f"{phone['software']} {phone['software_version']}".strip())
    return f"{show.printable(', '.join(filter(None, words)) or '-')} (since {show.moment(phone['since'])})"


def _show_qr(device: dict[str, Any]) -> None:
    click.echo(f"Address  {device['address']}")
    if urlsplit(device["address"]).hostname in ("127.0.0.1", "::1", "localhost"):
        click.echo("         Phones cannot reach that: connect the box to their network, or set `address` for the box.")
    if device["app"] == PRETIXSCAN:
        works_until = " The phone that is set up now works until then." if device["phone"] else ""
        click.echo(f"Scan this code with the app; it works once.{works_until}")
    show.qr(device["qr"])
