"""`edgebox sync` and `edgebox status`."""

from __future__ import annotations

import sys
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context


@click.command()
@click.option("--list", "list_id", type=int, help="Only this list.")
@pass_context
def sync(box: Context, list_id: int | None) -> None:
    """Push and pull now. The status is 0 only if all went well."""
    line = _ProgressLine()
    outcome = box.call("sync", report=line.show, list_id=list_id)
    line.clear()
    if not outcome["lists"]:
        click.echo("There are no lists yet.")
    for synced in outcome["lists"]:
        if synced["problem"] is None:
            click.echo(
                f"List {synced['list_id']}: {synced['pushed']} check-ins pushed; {synced['pulled']} tickets pulled, "
                f"{synced['changed']} new or changed."
            )
        else:
            click.echo(f"List {synced['list_id']}: {synced['problem']}. Everything recorded is safe.", err=True)
        if synced["parked"]:
            click.echo(f"  {synced['parked']} check-ins were parked: edgebox attention", err=True)
        if synced["held_tickets"] or synced["held_checkins"]:
            click.echo(
                f"  the pull would withdraw {synced['held_tickets']} tickets and undo {synced['held_checkins']} "
                "check-ins; this waits for you: edgebox attention",
                err=True,
            )
    if any(synced["problem"] or synced["parked"] for synced in outcome["lists"]):
        sys.exit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def status(box: Context, as_json: bool) -> None:
    """Show how each list stands."""
    told = box.call("status")
    if as_json:
        show.as_json(told)
        return
    if not told["clock"]["trusted"]:
        click.echo(f"The clock is not trusted; it says {show.moment(told['clock']['now'])}.")
    if not told["lists"]:
        click.echo("No lists yet. Add one: edgebox lists add URL KEY")
    for row in told["lists"]:
        _show_list(row)


def _show_list(row: dict[str, Any]) -> None:
    since = f" since {show.moment(row['upstream_since'])}" if row["upstream_since"] else ""
    click.echo(f"List {row['id']}  {show.printable(row['name'])}  ({row['organizer']}/{row['event']})")
    click.echo(f"  upstream   {row['upstream']}{since}")
    if row["upstream_detail"]:
        click.echo(f"             {show.printable(row['upstream_detail'])}")
    click.echo(f"  tickets    {row['tickets']}, {row['checkins']} checked in; last pull {show.age(row['last_pull'])}")
    oldest = f", the oldest recorded {show.age(row['oldest_pending'])}" if row["pending"] else ""
    click.echo(f"  waiting    {row['pending']} check-ins{oldest}; last push {show.age(row['last_push'])}")
    if row["conflicts"] or row["held_tickets"] or row["held_checkins"]:
        held = row["held_tickets"] + row["held_checkins"]
        waits = f"; a pull that would take away {held} waits" if held else ""
        click.echo(f"  attention  {row['conflicts']} conflicts{waits} (edgebox attention)")


class _ProgressLine:
    """A line at the bottom of a terminal; nothing anywhere else."""

    WIDTH = 30

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def show(self, progress: dict[str, Any]) -> None:
        if not self._is_shown:
            return
        done, total = progress["done"], progress["total"]
        filled = self.WIDTH * done // total if total else 0
        bar = f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total}" if total else str(done)
        click.echo(f"\r\x1b[Klist {progress['list_id']}: {progress['phase']} {bar}", nl=False, err=True)

    def clear(self) -> None:
        if self._is_shown:
            click.echo("\r\x1b[K", nl=False, err=True)
