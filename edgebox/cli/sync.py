"""`edgebox sync`."""

from __future__ import annotations

import sys
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context


@click.command()
@click.option("--list", "list_id", type=NUMBER, help="Only this list.")
@click.pass_context
def sync(context: click.Context, list_id: int | None) -> None:
    """Push and pull now.

    The exit status is 0 only if all went well.
    """
    box: Context = context.obj
    line = ProgressLine()
    try:
        outcome = box.call("sync", report=line.show, list_id=list_id)
    finally:
        line.clear()
    if not outcome["lists"]:
        click.echo("There are no lists yet.")
    for synced in outcome["lists"]:
        _show(synced)
    if any(synced["problem"] or synced["parked"] for synced in outcome["lists"]):
        context.exit(1)


def _show(synced: dict[str, Any]) -> None:
    if not synced["has_upstream"]:
        click.echo(f"List {synced['list_id']}: it comes from a file; there is nothing to sync.")
        return
    pushed, pulled = show.count(synced["pushed"], "check-in"), show.count(synced["pulled"], "ticket")
    done = f"{pushed} pushed; {pulled} pulled, {synced['changed']} new or changed"
    if synced["problem"] is None:
        click.echo(f"List {synced['list_id']}: {done}.")
    else:
        problem = show.printable(synced["problem"])
        click.echo(f"List {synced['list_id']}: {problem}. Everything recorded is safe ({done}).", err=True)
    if synced["parked"]:
        click.echo(f"  {show.count(synced['parked'], 'check-in')} parked for you: edgebox attention", err=True)
    if synced["held_tickets"] or synced["held_checkins"]:
        click.echo(
            f"  the pull would withdraw {show.count(synced['held_tickets'], 'ticket')} and undo "
            f"{show.count(synced['held_checkins'], 'check-in')}; this waits for you: edgebox attention",
            err=True,
        )


class ProgressLine:
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
