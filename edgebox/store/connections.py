"""Connections: today's pretix servers with which the box is registered as a device. Few rows, held in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from edgebox.instants import from_text, to_text
from edgebox.model import Connection as PretixConnection
from edgebox.store.db import Connection, Refused, Row
from edgebox.store.lists import Lists
from edgebox.store.readers import Readers
from edgebox.store.writer import Writer


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What pairing brings."""

    url: str
    credential: str = field(repr=False)
    organizer: str
    device_name: str
    device_serial: str
    security_profile: str
    gate_id: int | None
    server_version: str = ""


class Connections:
    """The connections of this box, in the order in which they were made."""

    def __init__(self, connection: Connection, readers: Readers, writer: Writer, lists: Lists) -> None:
        self._readers = readers
        self._writer = writer
        self._lists = lists
        self._by_id: dict[int, PretixConnection] = {}
        self.reload(connection)

    def reload(self, connection: Connection) -> None:
        """Take what is on disk as the truth."""
        rows = connection.execute("SELECT * FROM connection WHERE removed_at IS NULL ORDER BY id")
        self._by_id = {row["id"]: _connection(row) for row in rows}

    def all(self) -> tuple[PretixConnection, ...]:
        return tuple(self._by_id.values())

    def get(self, connection_id: int) -> PretixConnection | None:
        """The connection, or None when it is unknown or removed."""
        return self._by_id.get(connection_id)

    def add(self, new: NewConnection, at: datetime) -> PretixConnection:
        """Keep what pairing brought; it is on the disk when this returns."""

        def job(connection: Connection) -> PretixConnection:
            connection_id = connection.execute(
                "INSERT INTO connection (url, credential, organizer, device_name, device_serial, security_profile,"
                " server_version, gate_id, paired_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    new.url, new.credential, new.organizer, new.device_name, new.device_serial, new.security_profile,
                    new.server_version, new.gate_id, to_text(at),
                ),
            ).lastrowid  # fmt: skip
            return self._again(connection, connection_id)

        return self._writer.write(job)

    def renew(self, connection_id: int, new: NewConnection, at: datetime) -> PretixConnection:
        """Pair a connection anew: its lists stay, with another device of the same organizer.

        Raises Refused while check-ins wait: the nonces with which they may have been told already are the old device's.
        """

        def job(connection: Connection) -> PretixConnection:
            require_drained(connection, connection_id)
            connection.execute(
                "UPDATE connection SET url = ?, credential = ?, device_name = ?, device_serial = ?,"
                " security_profile = ?, server_version = ?, gate_id = ?, paired_at = ? WHERE id = ?",
                (
                    new.url, new.credential, new.device_name, new.device_serial, new.security_profile,
                    new.server_version, new.gate_id, to_text(at), connection_id,
                ),
            )  # fmt: skip
            return self._again(connection, connection_id)

        return self._writer.write(job)

    def learn(self, connection_id: int, *, server_version: str, security_profile: str, gate_id: int | None) -> None:
        """Keep what the server says of itself and of this device."""
        known = self._by_id.get(connection_id)
        told = (server_version, security_profile, gate_id)
        if known is None or (known.server_version, known.security_profile, known.gate_id) == told:
            return

        def job(connection: Connection) -> None:
            connection.execute(
                "UPDATE connection SET server_version = ?, security_profile = ?, gate_id = ? WHERE id = ?",
                (*told, connection_id),
            )
            self._again(connection, connection_id)

        self._writer.write(job)

    def require_drained(self, connection_id: int) -> None:
        """Raises Refused while check-ins of its lists wait, or are parked."""
        with self._readers.reading() as connection:
            require_drained(connection, connection_id)

    def remove(self, connection_id: int, at: datetime) -> None:
        """Forget a connection and its credential. Raises Refused while lists use it, and for an unknown one."""

        def job(connection: Connection) -> None:
            if connection_id not in self._by_id:
                raise Refused(f"there is no connection {connection_id} on this box")
            used = [list_ for list_ in self._lists.all() if list_.source.connection_id == connection_id]
            if used:
                raise Refused(
                    f"connection {connection_id} serves {len(used)} lists; nothing was removed: remove those first"
                )
            connection.execute(
                "UPDATE connection SET removed_at = ?, credential = '' WHERE id = ?", (to_text(at), connection_id)
            )
            self._again(connection, connection_id)

        self._writer.write(job)

    def _again(self, connection: Connection, connection_id: int | None) -> PretixConnection:
        def reload() -> None:
            self.reload(connection)
            self._lists.reload(connection)

        self._writer.after_commit(reload)
        return _connection(connection.execute("SELECT * FROM connection WHERE id = ?", (connection_id,)).fetchone())


def require_drained(connection: Connection, connection_id: int) -> None:
    """Within a job or a reading: raises Refused while check-ins of a connection's lists wait, or are parked."""
    waiting = connection.execute(
        "SELECT count(*) FROM checkin JOIN list ON list.id = list_id JOIN source ON source.id = source_id"
        " WHERE source.connection_id = ? AND checkin.state IN ('pending', 'parked')",
        (connection_id,),
    ).fetchone()[0]
    if waiting:
        raise Refused(
            f"{waiting} check-ins of this connection are not at the ticket server yet, and a new device could not tell "
            "which of them are there already; nothing was changed: sync first, retry or dismiss the parked ones, or "
            "export the journal (edgebox export) and remove the lists"
        )


def _connection(row: Row) -> PretixConnection:
    return PretixConnection(
        id=row["id"],
        url=row["url"],
        credential=row["credential"],
        organizer=row["organizer"],
        device_name=row["device_name"],
        device_serial=row["device_serial"],
        security_profile=row["security_profile"],
        server_version=row["server_version"],
        gate_id=row["gate_id"],
        paired_at=from_text(row["paired_at"]),
    )
