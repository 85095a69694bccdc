"""`edgebox connect` and `edgebox connections`: today's pretix, with which the box is registered as a device."""

from __future__ import annotations

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.cli.keys import read_key

CLOCK_TOLERANCE_S = 30.0
"""A clock that is further from the server's is shown."""


@click.command()
@click.argument("source", metavar="URL|QR")
@click.argument("token", metavar="TOKEN", required=False)
@click.option("--renew", type=NUMBER, metavar="ID", help="Pair this connection anew; its lists stay.")
@pass_context
def connect(context: Context, source: str, token: str | None, renew: int | None) -> None:
    """Register the box with today's pretix.

    In pretix: Organizer, Devices, Connect a device, with the security profile pretixSCAN. It then shows a QR code and,
    beside it, an address and a TOKEN (`-`: asked for, or read from standard input). QR is the text of that code, which
    holds both. A token works once.
    """
    if source.lstrip().startswith("{"):
        if token is not None:
            raise click.UsageError("the text of pretix's QR code has a token in it; another one is not needed")
    elif token is None:
        raise click.UsageError("the TOKEN is missing (`-` to be asked for it)")
    made = context.call(
        "connections.add", text=source, token=read_key(token, "Token") if token is not None else None, renew=renew
    )
    version = f", pretix {show.printable(made['server_version'])}" if made["server_version"] else ""
    organizer, device = show.printable(made["organizer"]), show.printable(made["device"])
    click.echo(f"Connection {made['id']}: the box is the device {device} of {organizer}{version}.")
    if made["forbidden"]:
        click.echo(show.printable(made["forbidden"]), err=True)
    click.echo("Now see what it offers: edgebox lists offered")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def connections(context: click.Context, as_json: bool) -> None:
    """Show the connections to today's pretix; remove them."""
    if context.invoked_subcommand is not None:
        return
    box: Context = context.obj
    told = box.call("connections")
    if as_json:
        click.echo(show.as_json(told))
        return
    if not told["connections"]:
        click.echo(f"No connections yet in {box.data_dir}. Make one: edgebox connect URL TOKEN")
        return
    show.table(
        ("ID", "ORGANIZER", "DEVICE", "PRETIX", "PROFILE", "LISTS", "ADDRESS"),
        (
            (
                row["id"],
                row["organizer"],
                row["device"],
                row["server_version"] or "-",
                row["security_profile"],
                ", ".join(f"{each['id']} {each['upstream']}" for each in row["lists"]) or "-",
                row["url"],
            )
            for row in told["connections"]
        ),
    )
    for row in told["connections"]:
        if row["forbidden"]:
            click.echo(f"Connection {row['id']}: {show.printable(row['forbidden'])}.", err=True)
        if row["clock_ahead_s"] is not None and abs(row["clock_ahead_s"]) > CLOCK_TOLERANCE_S:
            click.echo(
                f"Connection {row['id']}: the box's clock is {row['clock_ahead_s']:+.0f} s from the server's.", err=True
            )


@connections.command()
@click.argument("connection_id", metavar="ID", type=NUMBER)
@pass_context
def remove(context: Context, connection_id: int) -> None:
    """Forget a connection.

    Refused while lists use it. Then revoke the device in pretix as well.
    """
    context.call("connections.remove", connection_id=connection_id)
    click.echo(f"Connection {connection_id} was removed. Revoke its device in pretix, too.")
