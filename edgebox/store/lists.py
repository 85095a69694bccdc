"""Sources and check-in lists. Few rows, read on every request: held in memory as of the last commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from edgebox.instants import from_text, to_text
from edgebox.model import (
    Catalog,
    CheckInList,
    Event,
    Item,
    ListTerms,
    Option,
    Question,
    Source,
    SourceKind,
    Subevent,
    Variation,
)
from edgebox.store import names
from edgebox.store.db import Connection, Refused, Row
from edgebox.store.readers import Readers
from edgebox.store.writer import SLICE_ROWS, Writer

_SELECT = (
    "SELECT list.*, source.kind, coalesce(connection.url, source.url) AS url,"
    " coalesce(connection.credential, source.credential) AS credential, source.catalog, source.told, source.last_pull,"
    " source.last_pull_duration_s, source.connection_id FROM list JOIN source ON source.id = list.source_id"
    " LEFT JOIN connection ON connection.id = source.connection_id"
)

PUSHES_WRITTEN_EVERY = timedelta(minutes=1)
EVER_AGO = datetime.min.replace(tzinfo=UTC)

_USED = "SELECT source_id FROM list WHERE removed_at IS NULL"


Export = Callable[[Connection, frozenset[int]], str | None]


@dataclass(frozen=True, slots=True)
class NewList:
    """A list to register. `catalog` None: upstream was not reached yet.

    One of a connection (`connection_id`) shares the source of its event; address and credential are the connection's.
    """

    kind: SourceKind
    url: str
    credential: str = field(repr=False)
    organizer: str
    event: str
    subevent: int | None
    name: str
    catalog: Catalog | None
    connection_id: int | None = None
    upstream_list: int = 0
    terms: ListTerms | None = None


class Lists:
    """The check-in lists of this box, in the order in which they were added."""

    def __init__(self, connection: Connection, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer
        self._by_id: dict[int, CheckInList] = {}
        self._versions: dict[int, int] = {}
        self._push_written: dict[int, datetime] = {}
        self.reload(connection)

    def reload(self, connection: Connection) -> None:
        """Take what is on disk as the truth."""
        rows = connection.execute(f"{_SELECT} WHERE list.removed_at IS NULL ORDER BY list.id")
        before = self._by_id
        self._by_id = {row["id"]: _list(row) for row in rows}
        for list_id, list_ in self._by_id.items():
            known = before.get(list_id)
            if known is not None and known.last_push is not None:  # newer than what is on the disk
                self._by_id[list_id] = replace(list_, last_push=known.last_push)

    def all(self) -> tuple[CheckInList, ...]:
        return tuple(self._by_id.values())

    def removed(self) -> list[CheckInList]:
        """Those that are no longer on the box, and whose journal is; from the disk."""
        with self._readers.reading() as connection:
            rows = connection.execute(f"{_SELECT} WHERE list.removed_at IS NOT NULL ORDER BY list.id").fetchall()
        return [_list(row) for row in rows]

    def of_source(self, source_id: int) -> list[CheckInList]:
        """Those that share a source: lists of one event."""
        return [list_ for list_ in self.all() if list_.source.id == source_id]

    def get(self, list_id: int) -> CheckInList | None:
        """The list, or None when it is unknown or removed."""
        return self._by_id.get(list_id)

    def add(self, new: NewList, at: datetime) -> CheckInList:
        """Register a list; its source is made where it is not there yet."""

        def job(connection: Connection) -> CheckInList:
            list_id = connection.execute(
                "INSERT INTO list (source_id, organizer, event, subevent, name, added_at, upstream_list, terms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _source_for(connection, new),
                    new.organizer,
                    new.event,
                    new.subevent,
                    new.name,
                    to_text(at),
                    new.upstream_list,
                    new.terms and terms_to_json(new.terms),
                ),
            ).lastrowid
            self._reload_after_commit(connection)
            return _list(connection.execute(f"{_SELECT} WHERE list.id = ?", (list_id,)).fetchone())

        return self._writer.write(job)

    def remove(self, list_id: int, at: datetime, *, export: Export | None = None) -> None:
        """Forget a list and its tickets; its journal stays, with the tickets that it names.

        Raises Refused for an unknown list, and while check-ins are pending or parked. With `export` those are dismissed
        instead: it gets their ids, sees that they are kept, and says in what file. Where it is interrupted, the list is
        gone and the next removal takes away what is left of its tickets.
        """

        def job(connection: Connection) -> None:
            require_list(connection, list_id)
            rows = connection.execute(
                "SELECT id FROM checkin WHERE list_id = ? AND state IN ('pending', 'parked')", (list_id,)
            )
            waiting = frozenset(row["id"] for row in rows)
            if waiting and export is None:
                raise Refused(
                    f"list {list_id} has {len(waiting)} check-ins that upstream does not have yet; nothing was removed:"
                    " sync first, retry or dismiss the parked ones (edgebox attention), or have them written to a file"
                    f" and removed with it (edgebox lists remove --force {list_id})"
                )
            kept_in = export(connection, waiting) if export else None
            connection.execute(
                "UPDATE checkin SET state = 'dismissed', closed_reason = coalesce(closed_reason || '; ', '') || ?,"
                " conflict_closed_at = CASE WHEN conflict IS NULL THEN NULL ELSE coalesce(conflict_closed_at, ?) END"
                " WHERE list_id = ? AND state IN ('pending', 'parked')",
                (f"its list was removed; exported to {kept_in}", to_text(at), list_id),
            )
            unused_id = forget(connection, list_id, at)
            for table in ("held", "told_checkin", "barred_secret"):
                connection.execute(f"DELETE FROM {table} WHERE source_id = ?", (unused_id,))
            self._reload_after_commit(connection)

        self._writer.write(job)
        with self._readers.reading() as connection:
            orphans = connection.execute(
                "SELECT id FROM ticket WHERE source_id IN"
                f" (SELECT source_id FROM list WHERE removed_at IS NOT NULL EXCEPT {_USED})"
                " AND NOT EXISTS (SELECT 1 FROM checkin WHERE ticket_id = ticket.id)"
            ).fetchall()
        for start in range(0, len(orphans), SLICE_ROWS):
            piece = [tuple(row) for row in orphans[start : start + SLICE_ROWS]]
            self._writer.write_slice(partial(delete_tickets, ticket_ids=piece))

    def learn(
        self,
        list_: CheckInList,
        catalog: Catalog,
        *,
        name: str | None = None,
        subevent: int | None,
        terms: ListTerms | None = None,
    ) -> None:
        """Keep what upstream tells beside the tickets; a list that was registered unseen gets its name."""
        if (
            list_.catalog == catalog
            and name in (None, list_.name)
            and subevent == list_.subevent
            and terms == list_.terms
        ):
            return

        def job(connection: Connection) -> None:
            connection.execute(
                "UPDATE source SET catalog = ? WHERE id = ?", (catalog_to_json(catalog), list_.source.id)
            )
            connection.execute(
                "UPDATE list SET name = coalesce(?, name), subevent = ?, terms = ? WHERE id = ?",
                (name, subevent, terms and terms_to_json(terms), list_.id),
            )
            self._reload_after_commit(connection)
            # After it: who sees the new version must not find the old catalog. It is that of all lists of the source.
            self.touch_source(list_.source.id)

        self._writer.write(job)

    def pause(self, list_id: int, is_paused: bool) -> None:
        """Stop or go on with the sync of a list."""

        def job(connection: Connection) -> None:
            connection.execute("UPDATE list SET is_paused = ? WHERE id = ?", (is_paused, list_id))
            self._reload_after_commit(connection)

        self._writer.write(job)

    def pushed(self, connection: Connection, list_id: int, at: datetime) -> None:
        """Within a job: note that upstream took a check-in of the list. On the disk it is as of a minute ago at most:
        that would be a page more for each settlement."""
        is_due = abs(at - self._push_written.get(list_id, EVER_AGO)) >= PUSHES_WRITTEN_EVERY
        if is_due:
            connection.execute("UPDATE list SET last_push = ? WHERE id = ?", (to_text(at), list_id))

        def remember() -> None:
            if is_due:
                self._push_written[list_id] = at
            if list_id in self._by_id:
                self._by_id[list_id] = replace(self._by_id[list_id], last_push=at)

        self._writer.after_commit(remember)

    def pulled(self, connection: Connection, source_id: int, told: int, at: datetime, duration_s: float) -> None:
        """Within a job: note that a whole snapshot was taken in."""
        connection.execute(
            "UPDATE source SET told = ?, last_pull = ?, last_pull_duration_s = ? WHERE id = ?",
            (told, to_text(at), duration_s, source_id),
        )
        self._reload_after_commit(connection)

    def is_fresh(self, source_id: int, at: datetime) -> None:
        """Upstream was asked, and what the box holds of a source is what there is; only remembered, not written."""
        for list_ in self.of_source(source_id):
            self._by_id[list_.id] = replace(list_, source=replace(list_.source, last_pull=at))

    def version_of(self, list_id: int) -> int:
        """Rises whenever anything that a scanner can see of the list has changed: for whoever caches it."""
        return self._versions.get(list_id, 0)

    def touch(self, list_id: int) -> None:
        """Within a job: the list's version rises once this is on disk."""

        def rise() -> None:
            self._versions[list_id] = self._versions.get(list_id, 0) + 1

        self._writer.after_commit(rise)

    def touch_source(self, source_id: int) -> None:
        """As `touch`, for every list of a source."""
        for list_ in self.of_source(source_id):
            self.touch(list_.id)

    def have_changed(self) -> None:
        """In the writer: every list's version rises."""
        for list_id in self._by_id:
            self._versions[list_id] = self._versions.get(list_id, 0) + 1

    def _reload_after_commit(self, connection: Connection) -> None:
        self._writer.after_commit(lambda: self.reload(connection))


def read(connection: Connection, list_id: int) -> CheckInList:
    """A list that is on the box, from the disk. Raises Refused for another one."""
    row = connection.execute(f"{_SELECT} WHERE list.id = ? AND list.removed_at IS NULL", (list_id,)).fetchone()
    if row is None:
        raise Refused(f"there is no list {list_id} (edgebox lists shows them)")
    return _list(row)


def _source_for(connection: Connection, new: NewList) -> int:
    """The event's source of a connection, or a new one."""
    if new.connection_id is not None:
        row = connection.execute(
            "SELECT id FROM source WHERE connection_id = ? AND event = ?", (new.connection_id, new.event)
        ).fetchone()
        if row is not None:
            return int(row["id"])
    source_id = connection.execute(
        "INSERT INTO source (kind, url, credential, catalog, connection_id, event) VALUES (?, ?, ?, ?, ?, ?)",
        (
            new.kind,
            new.url,
            new.credential,
            new.catalog and catalog_to_json(new.catalog),
            new.connection_id,
            new.event if new.connection_id is not None else None,
        ),
    ).lastrowid
    assert source_id is not None
    return source_id


def require_list(connection: Connection, list_id: int) -> None:
    """Within a job: raises Refused when the list is unknown or was removed (memory may be a batch behind)."""
    if not connection.execute("SELECT 1 FROM list WHERE id = ? AND removed_at IS NULL", (list_id,)).fetchone():
        raise Refused(f"there is no list {list_id} on this box (any more)")


def unsettled(connection: Connection, list_id: int) -> int:
    """How many check-ins of a list upstream does not have yet, the parked ones too."""
    count: int = connection.execute(
        "SELECT count(*) FROM checkin WHERE list_id = ? AND state IN ('pending', 'parked')", (list_id,)
    ).fetchone()[0]
    return count


def forget(connection: Connection, list_id: int, at: datetime) -> int | None:
    """Within a job: the list is on the box no longer. The id of its source, if no other list uses it."""
    (source_id,) = connection.execute("SELECT source_id FROM list WHERE id = ?", (list_id,)).fetchone()
    connection.execute("UPDATE list SET removed_at = ? WHERE id = ?", (to_text(at), list_id))
    if connection.execute(f"SELECT 1 WHERE ? IN ({_USED})", (source_id,)).fetchone():
        return None
    # Nor is it the event's any more: whoever registers that again begins anew, with all of its orders.
    connection.execute(
        "UPDATE source SET credential = '', state = NULL, connection_id = NULL, event = NULL WHERE id = ?", (source_id,)
    )
    return int(source_id)


def delete_tickets(connection: Connection, ticket_ids: list[tuple[int]]) -> None:
    """Within a job: tickets without check-ins, their names in the index, and what staff noted of them."""
    marks = ", ".join("?" * len(ticket_ids))
    ids = [ticket_id for (ticket_id,) in ticket_ids]
    connection.execute(f"DELETE FROM note WHERE ticket_id IN ({marks})", ids)
    gone = connection.execute(f"SELECT id, folded_name FROM ticket WHERE id IN ({marks})", ids).fetchall()
    names.remove(connection, [tuple(row) for row in gone])
    connection.executemany("DELETE FROM ticket WHERE id = ?", ticket_ids)


def catalog_to_json(catalog: Catalog) -> str:
    return json.dumps(asdict(catalog), ensure_ascii=False, default=sorted)


def catalog_from_json(text: str) -> Catalog:
    raw: dict[str, Any] = json.loads(text)
    return Catalog(
        version=raw["version"],
        event=Event(**raw["event"]),
        items=tuple(Item(**{**i, "variations": tuple(Variation(**v) for v in i["variations"])}) for i in raw["items"]),
        questions=tuple(
            Question(
                **{
                    **q,
                    "item_ids": frozenset(q["item_ids"]),
                    "options": tuple(Option(**o) for o in q["options"]),
                    "depends_values": tuple(q.get("depends_values", ())),
                }
            )
            for q in raw["questions"]
        ),
        subevents=tuple(Subevent(**s) for s in raw.get("subevents", ())),
        signature_keys=tuple(raw.get("signature_keys", ())),
    )


def terms_to_json(terms: ListTerms) -> str:
    raw = asdict(terms)
    raw["exit_all_at"] = terms.exit_all_at and to_text(terms.exit_all_at)
    raw["item_ids"] = None if terms.item_ids is None else sorted(terms.item_ids)
    return json.dumps(raw, ensure_ascii=False)


def terms_from_json(text: str) -> ListTerms:
    raw: dict[str, Any] = json.loads(text)
    raw["exit_all_at"] = from_text(raw["exit_all_at"]) if raw["exit_all_at"] else None
    raw["item_ids"] = None if raw["item_ids"] is None else frozenset(raw["item_ids"])
    return ListTerms(**raw)


def _list(row: Row) -> CheckInList:
    return CheckInList(
        id=row["id"],
        source=Source(
            id=row["source_id"],
            kind=SourceKind(row["kind"]),
            url=row["url"],
            credential=row["credential"],
            told=row["told"],
            last_pull=from_text(row["last_pull"]) if row["last_pull"] else None,
            last_pull_duration_s=row["last_pull_duration_s"],
            connection_id=row["connection_id"],
        ),
        organizer=row["organizer"],
        event=row["event"],
        subevent=row["subevent"],
        name=row["name"],
        catalog=catalog_from_json(row["catalog"]) if row["catalog"] else None,
        last_push=from_text(row["last_push"]) if row["last_push"] else None,
        is_paused=bool(row["is_paused"]),
        upstream_list=row["upstream_list"],
        terms=terms_from_json(row["terms"]) if row["terms"] else None,
        added_at=from_text(row["added_at"]),
    )
