"""`edgebox address`."""

from __future__ import annotations

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context


@click.command()
@click.option("--qr", "with_qr", is_flag=True, help="Also as a QR code: it opens the pages for staff on a phone.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def address(context: Context, with_qr: bool, as_json: bool) -> None:
    """Show where scanners and staff find the box.

    The QR codes of scanners carry this address. Where it is not the one that they can reach: the setting `address`.
    """
    told = context.call("address")
    if as_json:
        click.echo(show.as_json(told))
        return
    if with_qr:
        show.qr(told["address"])
    else:
        click.echo(told["address"])
    for lost, names in told["lost"].items():
        whose = (
            f"the QR codes of {show.printable(', '.join(names))} carry it" if names else "new QR codes would carry it"
        )
        click.echo(f"This machine does not have the address {lost} now, and {whose}.", err=True)
