"""`edgebox purge`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context
from edgebox.control import ActionFailed

HINDRANCES = {
    "unsettled": "due, but check-ins are not at the ticket server (edgebox attention)",
    "only here": "due, but only this box has the check-ins: export them, then purge it by hand",
}


@click.command()
@click.option("--list", "list_id", type=NUMBER, help="Purge this list now, whenever its event was.")
@click.option("--due", is_flag=True, help="Purge the lists whose time has come; for the timer: asks nothing.")
@click.option("--yes", is_flag=True, help="With --list: do not ask.")
@click.option("--abandon", is_flag=True, help="With --list: also check-ins that are not at the ticket server.")
@click.option(
    "--copies",
    type=click.Path(file_okay=False),
    multiple=True,
    help="A folder with backups: purge those, too. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def purge(
    context: Context,
    list_id: int | None,
    due: bool,
    yes: bool,
    abandon: bool,
    copies: tuple[str, ...],
    as_json: bool,
) -> None:
    """Remove names, codes and check-ins of a list; counts remain.

    Without --list and --due it shows what there is and when it goes, and removes nothing. A purged list is on the box
    no longer; its scanners that have no other list are revoked. What goes is shown first.
    """
    if due and (list_id is not None or abandon):
        raise click.UsageError("--due is for all lists whose time has come, and abandons nothing")
    if list_id is None and not due:
        if yes or abandon or copies:
            raise click.UsageError("which list? --list ID names it, or --due all whose time has come")
        _show_all(context.call("purge.look", list_id=None), as_json)
        return
    if list_id is not None:
        _ask(context.call("purge.look", list_id=list_id)["lists"][0], yes, abandon, as_json)
    # The box may have another working directory.
    folders = [os.path.abspath(folder) for folder in copies]
    purged = context.call("purge", _progress(as_json), list_id=list_id, abandon=abandon, folders=folders)
    if as_json:
        click.echo(show.as_json(purged))
    else:
        _tell(purged)
    if purged["problems"]:
        raise ActionFailed("; ".join(purged["problems"]))


def _show_all(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(show.as_json(told))
        return
    if not told["lists"]:
        click.echo("No lists, and nothing to purge.")
        return
    show.table(
        ("ID", "NAME", "EVENT ENDS", "TICKETS", "CHECK-INS", "NAMES AND CODES"),
        (
            (
                row["id"],
                row["name"],
                show.moment(row["event_ends"]),
                row["tickets"],
                row["checkins"],
                _state(row),
            )
            for row in told["lists"]
        ),
    )


def _state(row: dict[str, Any]) -> str:
    if row["purged"]:
        traces = "" if row["rewritten"] else "; traces go once nobody scans (purge --due)"
        return f"removed {show.moment(row['purged'])}{traces}"
    if row["begun"]:
        return "being removed: purge --due goes on with it"
    if row["hindrance"]:
        return HINDRANCES[row["hindrance"]]
    return f"go {show.moment(row['due'])}" if row["due"] else "stay until purge --list"


def _ask(row: dict[str, Any], yes: bool, abandon: bool, as_json: bool) -> None:
    """Show what will go, and have it confirmed."""
    if as_json and not yes:
        raise click.UsageError("--json asks nobody: say --yes as well (edgebox purge --json shows what there is)")
    if yes:
        return
    click.echo(f"List {row['id']}, {show.printable(row['name'])} ({show.printable(row['path'])}):")
    click.echo(
        f"  {show.count(row['tickets'], 'ticket')} with names and codes, {show.count(row['checkins'], 'check-in')},"
        f" {show.count(row['attempts'], 'refused attempt')}, {show.count(row['notes'], 'note')}"
    )
    if row["unsettled"] and abandon:
        click.echo(f"  {row['unsettled']} of the check-ins are NOT at the ticket server and will be lost.")
    if not row["removed"]:
        click.echo("  The list leaves the box: its scanners are told that the event is unknown.")
    click.echo("Only counts remain. This cannot be undone (edgebox export writes the journal).")
    try:
        is_sure = click.confirm("Remove it?", default=False)
    except click.Abort:
        is_sure = False
    if not is_sure:
        raise ActionFailed("nothing was purged (--yes does not ask)")


def _progress(as_json: bool) -> Any:
    """Says how far it is, on a terminal."""
    is_shown = sys.stderr.isatty() and not as_json

    def report(told: dict[str, Any]) -> None:
        if is_shown:
            rows = f": {told['rows']} rows" if told["rows"] else ""
            click.echo(f"\r\033[K{show.printable(told['what'])}{rows}", nl=False, err=True)

    return report


def _tell(purged: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    for each in purged["purged"]:
        click.echo(
            f"List {each['id']} ({show.printable(each['name'])}) was purged: {show.count(each['tickets'], 'ticket')}, "
            f"{show.count(each['checkins'], 'check-in')} and {show.count(each['attempts'], 'refused attempt')} are "
            "gone; counts remain (edgebox export --counts)."
        )
        if each["devices"]:
            names = ", ".join(show.printable(name) for name in each["devices"])
            click.echo(f"Scanners that have no list any more were revoked: {names}.")
    if not purged["purged"]:
        click.echo("No list was purged.")
    if not purged["rewritten"]:
        click.echo(
            "Traces may be left in the database's files: they go once nobody has scanned for a minute, with the next"
            " edgebox purge --due."
        )
    for path in purged["copies"]:
        click.echo(f"Purged in the copy {show.printable(path)}, too.")
    for each in purged["unreached"]:
        click.echo(f"NOT purged: {show.printable(each['path'])}: {show.printable(each['why'])}")
    for text in purged["taken_along"]:
        click.echo(f"NOT purged: a backup that was {show.printable(text)}: delete it where it is.")
