"""`edgebox backup` and `edgebox restore`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.control import ActionFailed
from edgebox.datadir import COMMAND, DataDir, InUse

if TYPE_CHECKING:
    from edgebox.store.backups import Backup, Own


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False))
@click.option("--due", is_flag=True, help="Only where the folder is there and something is new; for the timer.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def backup(context: Context, folder: str | None, due: bool, as_json: bool) -> None:
    """Copy the database to a folder or stick.

    Without FOLDER to the one that the setting backup_folder names. Scanning goes on meanwhile. The copy is checked as
    it lies there; older ones make room. It has names, codes and keys in it.
    """
    # The box may have another working directory.
    told = context.call("backup", folder=folder and os.path.abspath(folder), due=due)
    if as_json:
        click.echo(show.as_json(told))
    elif told["path"]:
        click.echo(f"Copied to {show.printable(told['path'])}")
    elif not due:
        click.echo("Nothing was copied.")


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--abandon", is_flag=True, help="Also where another box's check-ins that are only here stay behind.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_context
def restore(context: Context, source: Path, yes: bool, abandon: bool, as_json: bool) -> None:
    """Put a backup in the place of the database.

    The box must not be running. SOURCE is a stick or folder with backups, or one copy. The backup is checked,
    everything is added that was written beside it since, and what it replaces is kept. Where that is the same box's
    database, its check-ins are added, too.
    """
    from edgebox.store import StoreError, backups

    directory = DataDir(context.data_dir)
    try:
        directory.take(COMMAND)
    except InUse as error:
        raise ActionFailed(f"{error}: stop it first (sudo systemctl stop edgebox), then again") from None
    try:
        found = backups.find(source)
        own = backups.own(context.data_dir, found)
        _check(found, own, yes=yes, abandon=abandon, as_json=as_json)
        report = backups.put_in_place(context.data_dir, found, datetime.now(UTC))
    except OSError as error:
        raise ActionFailed(f"the backup could not be put in place ({error.strerror}); nothing was changed") from error
    except StoreError as error:
        raise ActionFailed(str(error)) from error
    finally:
        directory.release()
    if as_json:
        click.echo(show.as_json({"in_words": report.in_words(), "added": report.salvaged,
                                 "known_missing": report.known_missing, "kept_in": report.kept_in}))  # fmt: skip
        return
    click.echo(f"{show.printable(report.in_words())}.")
    click.echo("Start the box: sudo systemctl start edgebox (or edgebox serve).")


def _check(found: Backup, own: Own | None, *, yes: bool, abandon: bool, as_json: bool) -> None:
    """Show what was found and what it would replace, and have it confirmed."""
    if own is not None and not own.is_same_box and own.unsettled and not abandon:
        raise ActionFailed(
            f"the database that is here is another box's, and {show.count(own.unsettled, 'check-in')} of it are not at "
            "the ticket server; nothing was done: start the box and sync first, or say --abandon (they are kept in a "
            "file, and are not pushed)"
        )
    if yes:
        return
    if as_json:
        raise click.UsageError("--json asks nobody: say --yes as well")
    lists = ", ".join(show.printable(name) for name in found.lists) or "no list"
    click.echo(f"{show.printable(str(found.path))}: {lists}; {show.count(found.checkins, 'check-in')}")
    click.echo(f"  complete until {show.moment(found.told_until.isoformat())}")
    if own is None:
        click.echo("There is no database here yet that can be read.")
    elif own.is_same_box:
        click.echo(f"It replaces this box's database, whose {show.count(own.checkins, 'check-in')} are added to it.")
    else:
        click.echo(f"It replaces another box's database, whose {show.count(own.checkins, 'check-in')} stay behind.")
    try:
        is_sure = click.confirm("Put it in place?", default=True)
    except click.Abort:
        is_sure = False
    if not is_sure:
        raise ActionFailed("nothing was done (--yes does not ask)")
