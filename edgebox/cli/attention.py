"""`edgebox attention`."""

from __future__ import annotations

from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context

WHAT_HAPPENED = {
    "already_redeemed": "the ticket had been used already",
    "unpaid": "the ticket was not paid for",
    "withdrawn": "the ticket had been cancelled or refunded",
    "refused": "the ticket server refuses this check-in",
    "poisonous": "the ticket server fails on this check-in again and again",
    "clock_untrusted": "its time may be wrong",
    "datetime_implausible": "the scanner's clock is more than a day off",
}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def attention(context: click.Context, as_json: bool) -> None:
    """Show what needs staff.

    Conflicts, parked check-ins, what a pull would take away and therefore waits, and a database that was restored.
    """
    if context.invoked_subcommand is None:
        box: Context = context.obj
        told = box.call("attention")
        if as_json:
            click.echo(show.as_json(told))
        else:
            _show(told)


@attention.command()
@click.argument("checkin_id", metavar="ID", type=NUMBER)
@pass_context
def retry(context: Context, checkin_id: int) -> None:
    """Try a parked check-in again."""
    context.call("attention.retry", checkin_id=checkin_id)
    click.echo(f"Check-in {checkin_id} will be pushed again.")


@attention.command()
@click.argument("checkin_id", metavar="ID", type=NUMBER)
@click.option("--reason", help="Why; kept with the check-in.")
@pass_context
def dismiss(context: Context, checkin_id: int, reason: str | None) -> None:
    """Close a conflict.

    A parked check-in is not pushed any more then; it stays in the journal.
    """
    context.call("attention.dismiss", checkin_id=checkin_id, reason=reason)
    click.echo(f"Check-in {checkin_id} needs no attention any more.")


@attention.command()
@click.argument("list_id", metavar="LIST", type=NUMBER)
@pass_context
def accept(context: Context, list_id: int) -> None:
    """Let the pull take away what waits: upstream is right."""
    taken = context.call("attention.accept", list_id=list_id)
    click.echo(
        f"Withdrawn: {show.count(taken['tickets'], 'ticket')}. Undone: {show.count(taken['checkins'], 'check-in')}."
    )


@attention.command()
@click.argument("list_id", metavar="LIST", type=NUMBER)
@pass_context
def reject(context: Context, list_id: int) -> None:
    """Keep what the pull would take away: upstream is wrong.

    It stays until upstream tells it again.
    """
    kept = context.call("attention.reject", list_id=list_id)
    click.echo(f"Kept: {show.count(kept['tickets'], 'ticket')} and {show.count(kept['checkins'], 'check-in')}.")


@attention.command()
@pass_context
def seen(context: Context) -> None:
    """Everybody knows that the database was restored.

    The pages and the status do not tell of it any more; the damaged files stay where they are.
    """
    context.call("attention.seen")
    click.echo("It needs no attention any more.")


def _show(told: dict[str, Any]) -> None:
    if not told["conflicts"] and not told["held"] and not told["restored"]:
        click.echo("Nothing needs attention.")
    for restored in told["restored"]:
        click.echo(f"{show.printable(restored['in_words'])}.")
        click.echo("  edgebox attention seen")
    for held in told["held"]:
        click.echo(
            f"List {held['list']} ({show.printable(held['name'])}): a pull would withdraw "
            f"{show.count(held['tickets'], 'ticket')} and undo {show.count(held['checkins'], 'check-in')}. "
            "This is so much that it waits for you:"
        )
        for example in held["examples"]:
            who = example["attendee_name"] or "no name"
            click.echo(f"  {example['kind']}: {show.printable(example['order_code'])}, {show.printable(who)}")
        if more := held["tickets"] + held["checkins"] - len(held["examples"]):
            click.echo(f"  and {more} more")
        click.echo(f"  edgebox attention accept {held['list']}   or   edgebox attention reject {held['list']}")
    for conflict in told["conflicts"]:
        who = f"{conflict['order']}, {conflict['name'] or 'no name'}"
        what = WHAT_HAPPENED.get(conflict["conflict"], conflict["conflict"])
        click.echo(
            f"{conflict['id']}  {show.moment(conflict['datetime'])}  {show.printable(conflict['list_name'])}, "
            f"{show.printable(conflict['device'] or '-')}: {show.printable(who)}: {show.printable(what)}"
        )
        for note in dict.fromkeys((conflict["conflict_note"], conflict["push_note"])):
            if note:
                click.echo(f"    {show.printable(note)}")
        ways = [f"edgebox attention dismiss {conflict['id']} --reason ..."]
        if conflict["state"] == "parked":
            ways.insert(0, f"edgebox attention retry {conflict['id']}")
        click.echo(f"    {'   or   '.join(ways)}")
