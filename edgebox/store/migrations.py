"""The schema, as numbered steps. Each is applied once, in one transaction together with the record of it.

A step that has been released is never edited: what must change is a new step.
"""

from __future__ import annotations

import sqlite3
from importlib import resources

from edgebox.store.db import Connection, StoreError, transaction

Step = tuple[int, str, str]
"""Number, name, SQL."""


def all_steps() -> list[Step]:
    """The steps in order; from the `NNNN_name.sql` files beside this module."""
    folder = resources.files("edgebox.store") / "schema"
    files = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name.split("_", 1)[0]), name.removesuffix(".sql"), entry.read_text("utf-8")) for name, entry in files]


def applied(connection: Connection) -> int:
    """Number of the newest step that this database has; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def pending(connection: Connection, steps: list[Step] | None = None) -> list[Step]:
    """The steps that this database still needs; changes nothing.

    Raises StoreError for a database that a newer edgebox has written.
    """
    steps = all_steps() if steps is None else steps
    have = applied(connection)
    if steps and have > steps[-1][0]:
        raise StoreError(
            f"this database was written by a newer edgebox (schema {have}, this one knows {steps[-1][0]}); "
            "nothing was changed: install that version again"
        )
    return [step for step in steps if step[0] > have]


def apply(connection: Connection, steps: list[Step] | None = None) -> list[str]:
    """Bring the schema up to date; the names of the steps that were applied. Raises StoreError as `pending` does."""
    done = []
    for number, name, sql in pending(connection, steps):
        with transaction(connection):
            for statement in _statements(sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        done.append(name)
    return done


def _statements(sql: str) -> list[str]:
    """The single statements of a script: executescript would commit the transaction that they belong to."""
    statements, current = [], ""
    for line in sql.splitlines():
        if line.startswith("--"):
            continue
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    if current.strip():
        raise ValueError("the last statement of a step is not complete")
    return statements
