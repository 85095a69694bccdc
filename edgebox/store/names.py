"""The full-text index of the tickets' names. It holds no text of its own: whoever writes a ticket's `folded_name` says
so here, in the same job."""

from __future__ import annotations

from collections.abc import Sequence

from edgebox.store.db import Connection

Name = tuple[int, str]
"""A ticket's id, and its `folded_name`."""


def add(connection: Connection, names: Sequence[Name]) -> None:
    """Within a job: these tickets are new, or have been removed from the index."""
    connection.executemany("INSERT INTO ticket_name (rowid, folded_name) VALUES (?, ?)", names)


def remove(connection: Connection, names: Sequence[Name]) -> None:
    """Within a job: these tickets are about to go or to be called otherwise; the names as they were."""
    connection.executemany("INSERT INTO ticket_name (ticket_name, rowid, folded_name) VALUES ('delete', ?, ?)", names)
