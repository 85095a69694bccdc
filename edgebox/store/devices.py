"""The scanners: few rows, looked up by key on every request, so held in memory as of the last commit."""

from __future__ import annotations

import hmac
import json
import sqlite3
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from edgebox.instants import from_text, to_text
from edgebox.model import App, Device, Phone
from edgebox.store.attempts import Attempts
from edgebox.store.db import Connection, Refused, Row, reading
from edgebox.store.lists import require_list
from edgebox.store.writer import Writer


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to add. `item_ids` None: all items."""

    name: str
    key: str = field(repr=False)
    list_ids: tuple[int, ...]
    item_ids: frozenset[int] | None
    allow_search: bool
    show_info: bool
    app: App = App.PRETIXDROID
    setup_token: str | None = field(default=None, repr=False)


class Devices:
    """The devices of this box, in the order in which they were added; revoked ones stay in the record."""

    def __init__(self, connection: Connection, writer: Writer, attempts: Attempts) -> None:
        self._writer = writer
        self._attempts = attempts
        self._by_id: dict[int, Device] = {}
        self._by_digest: dict[bytes, Device] = {}
        self._by_session: dict[str, Device] = {}
        self._by_token: dict[bytes, Device] = {}
        self.reload(connection)

    def reload(self, connection: Connection) -> None:
        """Take what is on disk as the truth."""
        lists: dict[int, list[int]] = {}
        for row in connection.execute("SELECT device_id, list_id FROM device_list ORDER BY device_id, list_id"):
            lists.setdefault(row["device_id"], []).append(row["list_id"])
        rows = connection.execute("SELECT * FROM device ORDER BY id").fetchall()
        self._by_id = {row["id"]: _device(row, tuple(lists.get(row["id"], ()))) for row in rows}
        in_use = [device for device in self._by_id.values() if device.revoked_at is None]
        self._by_digest = {_digest(device.key): device for device in in_use if device.app is App.PRETIXDROID}
        self._by_token = {_digest(device.setup_token): device for device in in_use if device.setup_token}
        self._by_session = {device.key: device for device in self._by_id.values() if device.app is App.PRETIXSCAN}

    def all(self) -> tuple[Device, ...]:
        """Every device, revoked ones too, with last-seen times as of now."""
        seen = self._attempts.sightings()
        return tuple(
            replace(device, last_seen_at=seen[device.id].at, user_agent=seen[device.id].user_agent or device.user_agent)
            if device.id in seen
            else device
            for device in self._by_id.values()
        )

    def named(self, name: str) -> Device:
        """The device of this name that is in use. Raises Refused when there is none."""
        found = [device for device in self.all() if device.name == name and device.revoked_at is None]
        if not found:
            raise Refused(f"there is no device named '{name}' (edgebox devices shows them)")
        return found[0]

    def by_key(self, key: str) -> Device | None:
        """The pretixdroid device with this key, or None. How long it takes tells nothing about keys: digests are looked
        up."""
        device = self._by_digest.get(_digest(key))
        if device is None or not hmac.compare_digest(device.key.encode(), key.encode("utf-8", "surrogatepass")):
            return None
        return device

    def by_session(self, key: str) -> Device | None:
        """The pretixSCAN device whose session has this key, revoked ones too; None where there is none."""
        return self._by_session.get(session_digest(key))

    def working(self, device_id: int | None) -> Device | None:
        """The device with this id, unless it was revoked."""
        device = self._by_id.get(device_id) if device_id is not None else None
        return device if device is not None and device.revoked_at is None else None

    def add(self, new: NewDevice, at: datetime) -> Device:
        """Add a device. Raises Refused when its name or its key is in use, or a list of it is gone."""

        def job(connection: Connection) -> Device:
            for list_id in new.list_ids:
                require_list(connection, list_id)
            try:
                device_id = connection.execute(
                    "INSERT INTO device (name, key, item_ids, allow_search, show_info, added_at, app, setup_token)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        new.name,
                        new.key,
                        None if new.item_ids is None else json.dumps(sorted(new.item_ids)),
                        new.allow_search,
                        new.show_info,
                        to_text(at),
                        new.app,
                        new.setup_token,
                    ),
                ).lastrowid
            except sqlite3.IntegrityError as error:
                what = "name" if "device.name" in str(error) else "key"
                raise Refused(f"this {what} is in use by a device already; nothing was added: take another") from None
            connection.executemany(
                "INSERT INTO device_list (device_id, list_id) VALUES (?, ?)",
                [(device_id, list_id) for list_id in new.list_ids],
            )
            self._reload_after_commit(connection)
            row = connection.execute("SELECT * FROM device WHERE id = ?", (device_id,)).fetchone()
            return _device(row, new.list_ids)

        return self._writer.write(job)

    def revoke(self, device_id: int, at: datetime, *, wipe: bool = False) -> None:
        """End a device's access at once. What it still holds unsent can no longer be uploaded."""
        self._update(device_id, "revoked_at = ?, is_to_wipe = ?, setup_token = NULL", to_text(at), wipe)

    def begin_session(self, token: str, digest: str, phone: Phone) -> Device | None:
        """Use up a setup token: its device has the session of that digest from now on. None where nobody has it (any
        more)."""
        device = self._by_token.get(_digest(token))
        if device is None:
            return None
        is_first = self._update(
            device.id,
            "key = ?, setup_token = NULL, phone = ?",
            digest,
            _phone_to_json(phone),
            if_="setup_token = ? AND revoked_at IS NULL",
            is_=token,
        )
        return self._by_id[device.id] if is_first else None

    def keep_phone(self, device_id: int, phone: Phone) -> None:
        """Keep what a device told of itself."""
        self._update(device_id, "phone = ?", _phone_to_json(phone))

    def end_session(self, device: Device, digest: str) -> None:
        """The session's key ends; that of `digest`, which nobody must have, takes its place. A session that another
        phone has begun meanwhile goes on."""
        self._update(device.id, "key = ?", digest, if_="key = ?", is_=device.key)

    def renew(self, device_id: int, token: str) -> Device:
        """A fresh setup token; the session goes on until that is used."""
        self._update(device_id, "setup_token = ?", token)
        return self._by_id[device_id]

    def shown(self, device_id: int, address: str) -> None:
        """Keep which address of the box the QR code carried that was shown just now."""
        self._update(device_id, "shown_address = ?", address)

    def _update(self, device_id: int, change: str, *values: object, if_: str = "1", is_: object = None) -> bool:
        """Change a row, if it is as it should be; whether that was so."""

        def job(connection: Connection) -> bool:
            conditions = () if is_ is None else (is_,)
            changed = connection.execute(
                f"UPDATE device SET {change} WHERE id = ? AND {if_}", (*values, device_id, *conditions)
            )
            self._reload_after_commit(connection)
            return changed.rowcount > 0

        return self._writer.write(job)

    def _reload_after_commit(self, connection: Connection) -> None:
        self._writer.after_commit(lambda: self.reload(connection))


@dataclass(frozen=True, slots=True)
class Tally:
    """What a device has done so far."""

    checkins: int = 0
    refusals: int = 0


def tallies(connection: Connection) -> dict[int, Tally]:
    """By device: how many check-ins, without those that were undone, and how many refusals are on record."""
    with reading(connection):
        checkins = dict(
            tuple(row)
            for row in connection.execute(
                "SELECT device_id, count(*) FROM checkin WHERE device_id IS NOT NULL GROUP BY device_id"
            )
        )
        undone = connection.execute(
            "SELECT device_id, count(*) FROM cancellation JOIN checkin ON checkin.id = checkin_id"
            " WHERE device_id IS NOT NULL GROUP BY device_id"
        )
        for device_id, count in undone:
            checkins[device_id] -= count
        refusals = dict(
            tuple(row)
            for row in connection.execute(
                "SELECT device_id, sum(count) FROM attempt WHERE verdict <> 'ok' AND device_id IS NOT NULL"
                " GROUP BY device_id"
            )
        )
    return {
        device_id: Tally(checkins.get(device_id, 0), refusals.get(device_id, 0))
        for device_id in checkins.keys() | refusals.keys()
    }


def foreign_repeats(connection: Connection) -> dict[int, int]:
    """By device: entries that it sends again and again although this box does not know the ticket.

    A phone that was reset keeps the queue of an earlier event and re-sends it for ever.
    """
    with reading(connection):
        rows = connection.execute(
            "SELECT device_id, count(*) FROM attempt WHERE verdict = 'unknown_ticket' AND is_forced = 1 AND count > 2"
            " GROUP BY device_id"
        )
        return {row[0]: row[1] for row in rows}


def session_digest(key: str) -> str:
    """What the box keeps of the key of a pretixSCAN device's session."""
    return _digest(key).hex()


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _device(row: Row, list_ids: tuple[int, ...]) -> Device:
    return Device(
        id=row["id"],
        name=row["name"],
        key=row["key"],
        list_ids=list_ids,
        item_ids=None if row["item_ids"] is None else frozenset(json.loads(row["item_ids"])),
        allow_search=bool(row["allow_search"]),
        show_info=bool(row["show_info"]),
        added_at=from_text(row["added_at"]),
        revoked_at=from_text(row["revoked_at"]) if row["revoked_at"] else None,
        last_seen_at=from_text(row["last_seen_at"]) if row["last_seen_at"] else None,
        user_agent=row["user_agent"],
        app=App(row["app"]),
        setup_token=row["setup_token"],
        phone=_phone_from_json(row["phone"]) if row["phone"] else None,
        is_to_wipe=bool(row["is_to_wipe"]),
        shown_address=row["shown_address"],
    )


def _phone_to_json(phone: Phone) -> str:
    return json.dumps({**asdict(phone), "since": to_text(phone.since)}, ensure_ascii=False)


def _phone_from_json(text: str) -> Phone:
    raw = json.loads(text)
    return Phone(**{**raw, "since": from_text(raw["since"])})
