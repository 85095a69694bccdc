"""`edgebox paper`: read from the database, beside whatever box runs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.control import ActionFailed


@click.command()
@click.option("--list", "list_id", type=NUMBER, required=True, help="The list.")
@pass_context
def paper(context: Context, list_id: int) -> None:
    """Write a list as a page to print and tick by hand.

    For the case that the box dies. HTML that stands alone, with every ticket by name and order and whether it came
    already: edgebox paper --list 1 > list.html
    """
    from edgebox.paper import sheet, style
    from edgebox.store import Refused, lists
    from edgebox.store.tickets import by_name

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    with context.records() as connection:
        try:
            list_ = lists.read(connection, list_id)
        except Refused as error:
            raise ActionFailed(str(error)) from error
        now = datetime.now(UTC)
        for piece in sheet(list_, by_name(connection, list_, now), now, head=f"<style>{style()}</style>"):
            click.echo(piece, nl=False)
