"""The objects of the pretixdroid API as the model has them. Shared by the server dialect and by saved files.

A field is used when it is there, whatever `version` says: version 2 tells no ids of items, no questions and no
`checkin_allowed`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, TypeGuard

from edgebox.model import Catalog, Event, Item, Option, Question, TicketData, ToldCheckIn, ToldTicket, Variation

MAX_ID = 2**63 - 1
"""The largest number that the box's database holds."""


class BadShape(ValueError):
    """An object that is not as the API has it. The text names the field and never its content."""


def read_status(body: Mapping[str, Any]) -> Catalog:
    """What `status/` tells beside its numbers. Raises BadShape."""
    event = _need(body, "event", dict)
    organizer = event.get("organizer")
    subevent = event.get("subevent")
    return Catalog(
        version=read_version(body.get("version")),
        event=Event(
            name=_text(event.get("name")) or "",
            list_name=_text(event.get("list")),
            subevent=subevent if _is_id(subevent) else _text(subevent),
            date_from=_text(event.get("date_from")),
            date_to=_text(event.get("date_to")),
            timezone=_text(event.get("timezone")) or "UTC",
            url=_text(event.get("url")),
            organizer_name=_text(organizer.get("name")) if isinstance(organizer, dict) else None,
        ),
        items=tuple(_item(raw) for raw in _need(body, "items", list)),
    )


def read_ticket(raw: object, names: Names) -> ToldTicket:
    """One ticket of `download/` or `search/`. Raises BadShape."""
    if not isinstance(raw, dict):
        raise BadShape("a ticket is not an object")
    item_id, variation_id = names.ids(raw)
    is_paid = _flag(raw, "paid", True)
    return ToldTicket(
        TicketData(
            secret=_need(raw, "secret", str),
            order_code=_told(raw, "order"),
            item_id=item_id,
            variation_id=variation_id,
            attendee_name=_told(raw, "attendee_name") or None,
            attention=_flag(raw, "attention", False),
            is_paid=is_paid,
            checkin_allowed=_flag(raw, "checkin_allowed", is_paid),
            addons_text=_told(raw, "addons_text"),
        ),
        (ToldCheckIn(),) if _flag(raw, "redeemed", False) else (),
    )


def is_whole(raw: Mapping[str, Any]) -> bool:
    """Whether a ticket has all that a download tells of it."""
    return {"secret", "order", "item_id", "variation_id", "redeemed", "paid", "checkin_allowed"} <= raw.keys()


def read_question(raw: object) -> Question:
    """One question of `download/`. Raises BadShape."""
    if not isinstance(raw, dict):
        raise BadShape("a question is not an object")
    items = raw.get("items", [])
    options = raw.get("options", [])
    if not isinstance(items, list) or not isinstance(options, list):
        raise BadShape("a question's items or options are not lists")
    return Question(
        id=_need(raw, "id", int),
        type=_need(raw, "type", str),
        text=_text(raw.get("question")) or "",
        is_required=bool(raw.get("required", False)),
        position=position if isinstance(position := raw.get("position", 0), int) else 0,
        item_ids=frozenset(item for item in items if _is_id(item)),
        options=tuple(
            Option(_need(o, "id", int), _text(o.get("answer")) or "") for o in options if isinstance(o, dict)
        ),
    )


class Names:
    """Finds the ids of items and variations, and collects those that `status/` did not list."""

    def __init__(self, catalog: Catalog) -> None:
        self._items = {item.id: item for item in catalog.items}
        self._by_name = {item.name: item.id for item in catalog.items}

    def ids(self, ticket: Mapping[str, Any]) -> tuple[int, int | None]:
        """(item id, variation id) of a ticket. Version 2 tells names only; one that nobody has listed gets an id that
        stays the same for this name."""
        name = _text(ticket.get("item")) or "?"
        item_id = ticket.get("item_id")
        if not _is_id(item_id):
            item_id = self._by_name.get(name, _made_up(name))
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = Item(item_id, name, is_admission=True)
        variation_name, variation_id = _text(ticket.get("variation")), ticket.get("variation_id")
        if not _is_id(variation_id):
            if not variation_name:
                return item_id, None
            known = {variation.name: variation.id for variation in item.variations}
            variation_id = known.get(variation_name, _made_up(f"{name}/{variation_name}"))
        if variation_name and all(variation.id != variation_id for variation in item.variations):
            added = Variation(variation_id, variation_name)
            self._items[item_id] = Item(item.id, item.name, item.is_admission, (*item.variations, added))
        return item_id, variation_id

    def items(self) -> tuple[Item, ...]:
        """All items that are known by now."""
        return tuple(self._items.values())


def _made_up(name: str) -> int:
    # Far from upstream's own ids, and never 0: apps take 0 for "no id".
    return 1_000_000_000 + zlib.crc32(name.encode()) % 1_000_000_000


def _item(raw: object) -> Item:
    if not isinstance(raw, dict):
        raise BadShape("an item is not an object")
    variations = raw.get("variations", [])
    if not isinstance(variations, list):
        raise BadShape("an item's variations are not a list")
    return Item(
        id=_need(raw, "id", int),
        name=_text(raw.get("name")) or "?",
        is_admission=bool(raw.get("admission", False)),
        variations=tuple(
            Variation(_need(v, "id", int), _text(v.get("name")) or "?") for v in variations if isinstance(v, dict)
        ),
    )


def read_version(value: object) -> int:
    """The API version; 2, the oldest that the box knows of, where upstream does not tell a good one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID else 2


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID


def _text(value: object) -> str | None:
    """Text that can be stored: JSON may hold halves of characters, which no encoding has."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _told(raw: Mapping[str, Any], key: str) -> str:
    """Text of a ticket; empty where there is none."""
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise BadShape(f"'{key}' is not what it should be")
    return _text(value) or ""


def _flag(raw: Mapping[str, Any], key: str, default: bool) -> bool:
    """A real truth value: the text "false" would count as true."""
    value = raw.get(key, default)
    if not isinstance(value, bool):
        raise BadShape(f"'{key}' is not what it should be")
    return value


def _need(raw: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = raw.get(key)
    is_good = _is_id(value) if kind is int else isinstance(value, kind) and value != ""
    if not is_good or (isinstance(value, str) and _text(value) != value):
        raise BadShape(f"'{key}' is missing or not what it should be")
    return value
