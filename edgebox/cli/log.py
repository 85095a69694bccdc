"""`edgebox log`: read from the database, beside whatever box runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context

if TYPE_CHECKING:
    from edgebox.store.log import LogEntry


def _since(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    """A time of day is the last one that has been; what has no offset is this machine's time, as the log shows it."""
    if text is None:
        return None
    now = datetime.now().astimezone()
    for form in ("%H:%M", "%H:%M:%S"):
        try:
            time_of_day = datetime.strptime(text, form).time()
        except ValueError:
            continue
        moment = datetime.combine(now.date(), time_of_day).astimezone()
        return (moment if moment <= now else moment - timedelta(days=1)).astimezone(UTC)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter("a time such as 19:42 or 2026-11-24T19:42, with an offset or without") from None


@click.command()
@click.option("--list", "list_id", type=NUMBER, help="Only this list.")
@click.option("--device", help="Only this device.")
@click.option("--secret", help="Only this ticket; its secret is then shown in full.")
@click.option("--name", help="Only guests whose name contains this; case and accents do not matter.")
@click.option("--since", callback=_since, help="Only from this time on: 19:42, or 2026-11-24T19:42.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with secrets in full.")
@pass_context
def log(
    context: Context,
    list_id: int | None,
    device: str | None,
    secret: str | None,
    name: str | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Show every attempt, accepted or refused.

    Newest last. It tells why a guest was turned away at 19:42.
    """
    from edgebox.export import log_row
    from edgebox.store.log import entries

    with context.records() as connection:
        found = entries(connection, list_id=list_id, device=device, secret=secret, name=name, since=since)
        if as_json:
            show.stream_json("attempts", map(log_row, found))
            return
        is_empty = True
        for entry in found:
            _show(entry, is_secret_shown=secret is not None)
            is_empty = False
        if is_empty:
            click.echo("Nothing is on record that fits.", err=True)


def _show(entry: LogEntry, is_secret_shown: bool) -> None:
    secret = show.printable(entry.secret) if is_secret_shown else show.masked(entry.secret)
    who = ", ".join(show.printable(part) for part in (entry.order_code, entry.attendee_name) if part)
    again = f"  {entry.count} times, last {show.moment(entry.last_at.isoformat())}" if entry.count > 1 else ""
    leaves = " (exit)" if entry.direction == "exit" else ""
    forced = " (forced)" if entry.is_forced else ""
    repeat = " (repeated)" if entry.is_repeat else " (undone)" if entry.is_undone else ""
    click.echo(
        f"{show.moment(entry.at.isoformat())}  {entry.verdict}{leaves}{forced}{repeat}  {secret}  {who or '-'}  "
        f"{show.printable(entry.device_name or '-')}, {show.printable(entry.list_name)}{again}"
    )
