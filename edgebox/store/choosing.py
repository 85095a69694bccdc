"""Which of several lists a scan is for: a phone that has lists of several events leaves that to the ticket."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebox.model import CheckInList, TicketData
from edgebox.store import history
from edgebox.store.db import Connection, reading

SEVERAL_EVENTS = "Tickets of several events have this code: choose one event on the phone, and scan it again."

Verify = Callable[[str, tuple[str, ...]], TicketData | None]


def choose(
    connection: Connection, lists: Sequence[CheckInList], secret: str, verify: Verify
) -> tuple[CheckInList, str | None]:
    """The list that knows the secret, and why it cannot be said which one is meant, if so.

    A ticket that is gone gives way to one that is not. A secret that is no ticket's belongs where it is barred or
    signed, else to the first list. `lists` has at least one.
    """
    if len(lists) == 1:
        return lists[0], None
    by_source = {list_.source.id: list_ for list_ in reversed(lists)}
    marks = ", ".join("?" * len(by_source))
    with reading(connection):
        rows = connection.execute(
            f"SELECT source_id, is_withdrawn OR is_cancelled FROM ticket WHERE secret = ? AND source_id IN ({marks})",
            (secret, *by_source),
        ).fetchall()
        here = {source_id for source_id, is_gone in rows if not is_gone} or {source_id for source_id, _ in rows}
        if not here:
            here = {source for source in by_source if history.barred(connection, source, secret)}
    known = [list_ for list_ in by_source.values() if list_.source.id in here] or [
        list_
        for list_ in by_source.values()
        if list_.catalog and list_.catalog.signature_keys and verify(secret, list_.catalog.signature_keys)
    ]
    if not known:
        return lists[0], None
    first = min(known, key=lists.index)
    return first, SEVERAL_EVENTS if len(known) > 1 and rows else None
