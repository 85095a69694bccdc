"""Data to measure with: tickets without end, always the same, and databases that hold them, quickly built."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from edgebox.model import App, Catalog, Event, Item, SourceKind, TicketData, Variation
from edgebox.store import Store
from edgebox.store.db import DATABASE_NAME
from edgebox.store.devices import NewDevice, session_digest
from edgebox.store.lists import NewList
from edgebox.store.rows import columns_of

PATH = "/pretixdroid/api/bench/evening"
AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)

_FIRST = (
    "Anna", "Ben", "Clara", "David", "Emil", "Frieda", "Greta", "Hannes", "Ida", "Jonas", "Katharina", "Łukasz",
    "Mia", "Noah", "Olivia", "Paul", "René", "Søren",
)  # fmt: skip
_COMMON = (
    "Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz", "Hoffmann", "Nowak",
    "Smith", "Johnson", "Martin",
)  # fmt: skip
_SYLLABLES = (
    "ba", "bel", "der", "di", "dro", "el", "fan", "gar", "har", "is", "ja", "ker", "lo", "man", "mer", "nau", "or",
    "pe", "ro", "sen", "ta", "ul", "vo", "wil", "xa", "zer",
)  # fmt: skip
_CODE = "ABCDEFGHJKLMNPQRSTUVWXYZ3789"

CATALOG = Catalog(
    version=3,
    event=Event(name="Evening", list_name="Default", timezone="Europe/Berlin", organizer_name="Bench"),
    items=(
        Item(1, "Standing", True),
        Item(2, "Seated", True, (Variation(21, "Block A"), Variation(22, "Block B"))),
        Item(3, "Cloakroom", False),
    ),
)


def secret(number: int) -> str:
    """The secret of a ticket."""
    return blake2b(str(number).encode(), digest_size=16).hexdigest()


def order_code(number: int) -> str:
    text, rest = "", number * 7919
    for _ in range(5):
        rest, digit = divmod(rest, len(_CODE))
        text += _CODE[digit]
    return text


def name(number: int) -> str:
    """A guest's name: one in ten has a common family name, the others have rare ones."""
    dice = blake2b(number.to_bytes(8), digest_size=8, key=b"name").digest()
    family = _COMMON[dice[1] % len(_COMMON)] if dice[0] < 26 else _syllables(dice[1:4])
    return f"{_FIRST[dice[7] % len(_FIRST)]} {family}"


def _syllables(dice: bytes) -> str:
    return "".join(_SYLLABLES[each % len(_SYLLABLES)] for each in dice).title()


def ticket(number: int) -> TicketData:
    item_id = (1, 1, 2, 2, 3)[number % 5]
    return TicketData(
        secret=secret(number),
        order_code=order_code(number // 2),
        item_id=item_id,
        variation_id=21 + number % 2 if item_id == 2 else None,
        attendee_name=name(number),
        attention=number % 50 == 0,
        is_paid=True,
        checkin_allowed=True,
        addons_text="",
    )


def searches(count: int, tickets: int) -> Iterator[str]:
    """What is typed at a gate: parts of family names, common ones among them, and starts of orders and secrets."""
    dice = random.Random(4711)
    for turn in range(count):
        number = dice.randrange(tickets)
        family = name(number).split()[-1]
        yield (family, family[:4], order_code(number // 2), secret(number)[:8], dice.choice(_COMMON))[turn % 5]


# --- what an upstream says --------------------------------------------------------------------------------------------


def write_upstream(folder: Path, tickets: int) -> None:
    """The bodies of an upstream that has so many tickets, for the responder."""
    items = [
        {"id": i.id, "name": i.name, "checkins": 0, "admission": i.is_admission, "total": tickets,
         "variations": [{"id": v.id, "name": v.name, "checkins": 0, "total": tickets} for v in i.variations]}
        for i in CATALOG.items
    ]  # fmt: skip
    event = {
        "name": CATALOG.event.name, "list": CATALOG.event.list_name, "slug": "evening", "subevent": None,
        "date_from": None, "date_to": None, "timezone": CATALOG.event.timezone, "url": None,
        "organizer": {"name": "Bench", "slug": "bench"},
    }  # fmt: skip
    status = {"checkins": 0, "total": tickets, "version": 3, "event": event, "items": items}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text(json.dumps(status))
    (folder / "redeem").write_text(json.dumps({"status": "ok", "version": 3}))
    (folder / "search").write_text(json.dumps({"results": [], "version": 3}))
    names = {item.id: item.name for item in CATALOG.items}
    variations = {v.id: v.name for item in CATALOG.items for v in item.variations}
    with (folder / "download").open("w", encoding="utf-8") as body:
        body.write('{"version": 3, "questions": [], "results": [')
        for number in range(tickets):
            body.write((", " if number else "") + json.dumps(_told(ticket(number), names, variations)))
        body.write("]}")


def _told(data: TicketData, names: dict[int, str], variations: dict[int, str]) -> dict[str, Any]:
    return {
        "secret": data.secret,
        "order": data.order_code,
        "item": names[data.item_id],
        "item_id": data.item_id,
        "variation": variations[data.variation_id] if data.variation_id else None,
        "variation_id": data.variation_id,
        "attendee_name": data.attendee_name,
        "attention": data.attention,
        "redeemed": False,
        "paid": data.is_paid,
        "checkin_allowed": data.checkin_allowed,
        "addons_text": data.addons_text,
    }


# --- what a box holds -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """A data directory that is ready to be served, with the keys of its devices."""

    data_dir: Path
    keys: tuple[str, ...]


def build(
    data_dir: Path, *, tickets: int, devices: int, upstream_port: int, journal: int = 0, pending: int = 0
) -> Built:
    """A box with one list: so many tickets, settled check-ins of the last ones of these, pending check-ins before them.
    Each key opens it for a device of either dialect.

    Written straight into the database and without waiting for the disk.
    """
    data_dir.mkdir(mode=0o700, parents=True)
    store = Store(data_dir)
    list_ = store.lists.add(
        NewList(
            kind=SourceKind.PRETIXDROID,
            url=f"http://127.0.0.1:{upstream_port}{PATH}/",
            credential="upstream",
            organizer="bench",
            event="evening",
            subevent=None,
            name="Default",
            catalog=CATALOG,
        ),
        AT,
    )
    keys = tuple(f"key{number:05d}" for number in range(devices))
    for key in keys:
        store.devices.add(NewDevice(f"Gate {key}", key, (list_.id,), None, True, True), AT)
        session = session_digest(key)
        store.devices.add(NewDevice(f"Phone {key}", session, (list_.id,), None, True, True, App.PRETIXSCAN), AT)
    store.close()
    connection = sqlite3.connect(data_dir / DATABASE_NAME, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -500000")
    connection.execute("BEGIN")
    _insert_tickets(connection, list_.source.id, tickets)
    _insert_checkins(connection, list_.id, tickets - journal, journal, is_settled=True)
    _insert_checkins(connection, list_.id, tickets - journal - pending, pending, is_settled=False)
    connection.execute("UPDATE counter SET value = ?", (journal + 1,))
    connection.execute("COMMIT")
    connection.close()
    return Built(data_dir, keys)


def _insert_tickets(connection: sqlite3.Connection, source_id: int, count: int) -> None:
    """All rows first, then what is found by them: that is many times faster."""
    aside = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = 'ticket' AND type IN ('index', 'trigger')"
        " AND sql IS NOT NULL"
    ).fetchall()
    for kind, called, _ in aside:
        connection.execute(f"DROP {kind} {called}")
    rows = ({**columns_of(ticket(number)), "source_id": source_id, "told": 0} for number in range(count))
    columns = [*columns_of(ticket(0)), "source_id", "told"]
    marks = ", ".join(f":{column}" for column in columns)
    connection.executemany(f"INSERT INTO ticket ({', '.join(columns)}) VALUES ({marks})", rows)
    connection.execute("INSERT INTO ticket_name (ticket_name) VALUES ('rebuild')")
    for _, _, sql in aside:
        connection.execute(sql)


def _insert_checkins(connection: sqlite3.Connection, list_id: int, first: int, count: int, is_settled: bool) -> None:
    at = AT.isoformat(timespec="microseconds")
    state = "settled" if is_settled else "pending"
    rows = (
        (list_id, number + 1, 1 + number % 8, secret(number), f"n{number:031x}", at, at, state,
         number if is_settled else None, at if is_settled else None)
        for number in range(first, first + count)
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO checkin (list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at, boot_id,"
        " boottime_s, is_forced, is_offline, ignores_unpaid, answers, state, settled_number, settled_at)"
        " VALUES (?, ?, ?, ?, ?, ?, 'trusted', ?, 'bench', 1.0, 0, 1, 0, '{}', ?, ?, ?)",
        rows,
    )
