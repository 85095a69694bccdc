"""`edgebox devices`."""

from __future__ import annotations

from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.cli.keys import read_key


@click.group(invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """Show the scanners of this box; add and revoke them."""
    if context.invoked_subcommand is None:
        box: Context = context.obj
        rows = box.call("devices")["devices"]
        if not rows:
            click.echo("No devices yet. Add one: edgebox devices add NAME --list ID")
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
                click.echo(
                    f"{show.printable(row['name'])} re-sends {row['foreign_repeats']} entries of tickets that this box "
                    "does not know, again and again: they are from an earlier event; reset the app on that phone."
                )


def _item_ids(context: click.Context, parameter: click.Parameter, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("item ids with commas between them, such as 1,2") from None


@devices.command()
@click.argument("name")
@click.option("--list", "list_id", type=int, required=True, help="The check-in list it scans for.")
@click.option("--key", help="Its key, digits and letters; `-` reads it. Without it, a random one is made.")
@click.option("--items", callback=_item_ids, help="Only tickets of these items, such as 1,2.")
@click.option("--no-search", is_flag=True, help="Deny search by name and order.")
@click.option("--no-info", is_flag=True, help="Hide the statistics screen.")
@pass_context
def add(
    box: Context, name: str, list_id: int, key: str | None, items: list[int] | None, no_search: bool, no_info: bool
) -> None:
    """Add a scanner, and show the key and the QR code that set it up."""
    added = box.call(
        "devices.add",
        name=name,
        list_id=list_id,
        key=read_key(key) if key is not None else None,
        items=items,
        allow_search=not no_search,
        show_info=not no_info,
    )
    _show(added)


@devices.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON; `qr` is the QR code's text.")
@pass_context
def show_one(box: Context, name: str, as_json: bool) -> None:
    """Show a scanner's key and the QR code that sets it up."""
    device = box.call("devices.show", name=name)
    if as_json:
        show.as_json(device)
    else:
        _show(device)


@devices.command()
@click.argument("name")
@pass_context
def revoke(box: Context, name: str) -> None:
    """End a scanner's access at once.

    A phone that scanned offline may still hold entries; once revoked it can no longer hand them over.
    """
    box.call("devices.revoke", name=name)
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
    click.echo(f"Device {show.printable(device['name'])}, list {','.join(map(str, device['lists']))}")
    click.echo(f"Key    {device['key']}")
    if device["qr"] is None:
        click.echo("Its list was removed: there is nothing to scan for.")
        return
    show.qr(device["qr"])
    click.echo(device["qr"])
