"""`edgebox devices`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.cli.keys import read_key


@click.group(invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """Show the scanners; add and revoke them."""
    if context.invoked_subcommand is not None:
        return
    box: Context = context.obj
    rows = box.call("devices")["devices"]
    if not rows:
        click.echo(f"No devices yet in {box.data_dir}. Add one: edgebox devices add NAME --list ID")
        return
    show.table(
        ("NAME", "LISTS", "LIMITS", "LAST SEEN", "STATE", "USER AGENT"),
        (
            (
                row["name"],
                ",".join(map(str, row["lists"])),
                _limits(row),
                show.age(row["last_seen"]),
                "revoked" if row["revoked"] else "in use",
                row["user_agent"],
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
@click.option("--list", "list_id", type=NUMBER, required=True, help="The check-in list that it scans for.")
@click.option("--key", help="Its key, digits and letters; `-` reads it. Without it, a random one is made.")
@click.option("--items", type=Numbers(), help="Only tickets of these items, such as 1,2 (the ticket server's ids).")
@click.option("--no-search", is_flag=True, help="Deny search by name and order.")
@click.option("--no-info", is_flag=True, help="Hide the statistics screen.")
@pass_context
def add(
    context: Context, name: str, list_id: int, key: str | None, items: list[int] | None, no_search: bool, no_info: bool
) -> None:
    """Add a scanner, and show the key and the QR code that set it up."""
    added = context.call(
        "devices.add",
        name=name,
        list_id=list_id,
        key=read_key(key) if key is not None else None,
        items=items,
        allow_search=not no_search,
        show_info=not no_info,
    )
    _show(added)
    strange = added["strange_items"]
    if strange:
        known = ", ".join(f"{item_id} {show.printable(item)}" for item_id, item in strange["known"].items())
        click.echo(f"List {list_id} has no item {', '.join(map(str, strange['ids']))} now. It has: {known}.", err=True)


@devices.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON; `qr` is the QR code's text.")
@pass_context
def show_one(context: Context, name: str, as_json: bool) -> None:
    """Show a scanner's key and the QR code that sets it up."""
    device = context.call("devices.show", name=name)
    if as_json:
        click.echo(show.as_json(device))
    else:
        _show(device)


@devices.command()
@click.argument("name")
@pass_context
def revoke(context: Context, name: str) -> None:
    """End a scanner's access at once.

    A phone that scanned offline may still hold entries; once revoked it can no longer hand them over.
    """
    context.call("devices.revoke", name=name)
    click.echo(f"{show.printable(name)} is revoked. Entries that it has not sent yet stay on the phone.")


def _limits(device: dict[str, Any]) -> str:
    limits = []
    if device["items"] is not None:
        limits.append("items " + ",".join(map(str, device["items"])))
    if not device["allow_search"]:
        limits.append("no search")
    if not device["show_info"]:
        limits.append("no info")
    return ", ".join(limits) or "-"


def _show(device: dict[str, Any]) -> None:
    click.echo(f"Device   {show.printable(device['name'])}, list {','.join(map(str, device['lists']))}")
    click.echo(f"Key      {device['key']}")
    if _limits(device) != "-":
        click.echo(f"Limits   {_limits(device)}")
    if device["qr"] is None:
        click.echo("Its list was removed: there is nothing to scan for.")
        return
    click.echo(f"Address  {device['address']}")
    if urlsplit(device["address"]).hostname in ("127.0.0.1", "::1", "localhost"):
        click.echo("         Phones cannot reach that: connect the box to their network, or set `address` for the box.")
    show.qr(device["qr"])
