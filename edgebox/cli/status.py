"""`edgebox status`."""

from __future__ import annotations

from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context

NO_COPY = "There is no good copy to restore it from. What can be read of the journal: edgebox export --format json"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def status(context: Context, as_json: bool) -> None:
    """Show how each list stands."""
    told = context.call("status")
    if as_json:
        click.echo(show.as_json(told))
        return
    serves_at = told["serves_at"]
    if serves_at:
        click.echo(f"The box serves at {serves_at}")
        if not told["clock"]["trusted"]:
            click.echo(f"Its clock cannot be trusted; it says {show.moment(told['clock']['now'])}")
    else:
        click.echo(f"No box is running on {context.data_dir} (edgebox serve starts it)")
    if not told["lists"]:
        click.echo("No lists yet. Add one: edgebox lists add URL KEY")
    _show_database(told["database"])
    _show_backup(told["backup"])
    for row in told["lists"]:
        _show_list(row, is_running=bool(serves_at))


def _show_database(row: dict[str, Any]) -> None:
    if row["problem"]:
        click.echo(f"Its database is damaged: {show.printable(row['problem'])}")
        click.echo("  Start the box again: it is restored from its copy." if row["copies"] else f"  {NO_COPY}")
    for restored in row["restored"]:
        click.echo(f"{show.printable(restored['in_words'])} (edgebox attention seen)")
    if row["copy_failure"]:
        click.echo(f"The last copy of the database failed: {show.printable(row['copy_failure'])}")
    if row["copies"]:
        click.echo(f"Copies of the database: {row['copies']}, the last one made {show.age(row['last_copy'])}")


def _show_backup(row: dict[str, Any]) -> None:
    folder = show.printable(row["folder"])
    if row["state"] == "follows":
        click.echo(
            f"Backup in {folder}: has everything up to {show.age(row['told_until'])}, copy {show.age(row['copy'])}"
        )
    elif row["state"] == "fails":
        click.echo(f"The backup in {folder} cannot be written: {show.printable(row['failure'])}")
    elif row["state"] == "away":
        since = f"; it had everything up to {show.age(row['told_until'])}" if row["told_until"] else ""
        click.echo(f"No backup: {folder} is not there, or cannot be written{since}")
    elif row["state"] == "begins":
        click.echo(f"Backup in {folder}: the first copy is being made")


HINDRANCES = {
    "unsettled": "check-ins are not at the ticket server (edgebox attention)",
    "only here": "only this box has the check-ins (edgebox export, then edgebox purge)",
}


def _show_list(row: dict[str, Any], is_running: bool) -> None:
    path = "/".join(str(part) for part in (row["organizer"], row["event"], row["subevent"]) if part is not None)
    click.echo(f"List {row['id']}  {show.printable(row['name'])}  ({show.printable(path)})")
    if is_running or row["upstream"] == "file":
        since = f" since {show.moment(row['upstream_since'])}" if row["upstream_since"] else ""
        click.echo(f"  upstream   {row['upstream']}{since}")
        if row["upstream_detail"]:
            click.echo(f"             {show.printable(row['upstream_detail'])}")
    inside = f", {row['inside']} inside" if row["inside"] != row["checkins"] else ""
    click.echo(
        f"  tickets    {row['tickets']}, {row['checkins']} checked in{inside}; last pull {show.age(row['last_pull'])}"
    )
    oldest = f", the oldest recorded {show.age(row['oldest_pending'])}" if row["pending"] else ""
    click.echo(f"  waiting    {show.count(row['pending'], 'check-in')}{oldest}; last push {show.age(row['last_push'])}")
    if row["conflicts"] or row["held_tickets"] or row["held_checkins"]:
        held = row["held_tickets"] + row["held_checkins"]
        waits = f"; a pull that would take away {held} waits" if held else ""
        click.echo(f"  attention  {show.count(row['conflicts'], 'conflict')}{waits} (edgebox attention)")
    if row["purge_hindrance"]:
        due = f"should have been removed on {show.moment(row['purge_due'])[:10]}"
        click.echo(f"  names      {due}: {HINDRANCES[row['purge_hindrance']]}")
