"""`edgebox staff`."""

from __future__ import annotations

from typing import Any

import click

from edgebox.cli.context import Context, pass_context

ROLES = click.Choice(["lead", "gate"])


@click.group()
def staff() -> None:
    """Let staff log in to the pages: codes for their passwords."""


@staff.command()
@pass_context
def code(context: Context) -> None:
    """Show the code with which the lead's password is set at the first visit.

    It works once, and only while no password is set.
    """
    told = _call(context, "staff.code")
    if told["code"] is None:
        click.echo("The lead's password is set. To set a new one: edgebox staff reset lead")
    else:
        click.echo(told["code"])


@staff.command()
@click.argument("role", type=ROLES)
@pass_context
def reset(context: Context, role: str) -> None:
    """Forget a role's password and end its sessions.

    ROLE is lead or gate. The code with which a new password is set, once, is shown; the lead can also set the gate's
    on the page Box.
    """
    told = _call(context, "staff.reset", role=role)
    page = "first" if role == "lead" else "first/gate"
    click.echo(f"The {role}'s password is forgotten; whoever was logged in has to log in again.")
    click.echo(f"Set a new one at {told['address']}/{page} with this code, which works once: {told['code']}")


def _call(context: Context, action: str, **arguments: Any) -> Any:
    """Do an action; a code for a box that is not there yet would be none."""
    with context.records():
        pass
    return context.call(action, **arguments)
