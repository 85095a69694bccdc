"""`edgebox export`: read from the database, beside whatever box runs."""

from __future__ import annotations

import sys

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context


@click.command()
@click.option("--list", "list_id", type=NUMBER, help="Only this list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="csv for spreadsheets, json for programs; both in UTF-8.",
)
@click.option("--counts", is_flag=True, help="Not the journal but what remains of purged lists: counts.")
@pass_context
def export(context: Context, list_id: int | None, form: str, counts: bool) -> None:
    """Write the whole journal of check-ins.

    Those of lists that were removed are in it. In CSV, text that a spreadsheet would take for a formula has an
    apostrophe before it.
    """
    from edgebox.export import COUNT_COLUMNS, JOURNAL_COLUMNS, count_row, journal_row, write_csv
    from edgebox.store.journal import export as exported
    from edgebox.store.purger import remains

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    with context.records() as connection:
        rows = (
            map(count_row, remains(connection, list_id)) if counts else map(journal_row, exported(connection, list_id))
        )
        if form == "json":
            show.stream_json("counts" if counts else "checkins", rows)
            return
        write_csv(sys.stdout, COUNT_COLUMNS if counts else JOURNAL_COLUMNS, rows)
