"""Pretix's orders as the model has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebox.model import Catalog, Direction, TicketData, ToldCheckIn, ToldOrder, ToldTicket
from edgebox.upstream.pretix.shapes import (
    a_flag,
    a_text,
    an_id,
    an_instant,
    an_object,
    an_optional_id,
    an_optional_instant,
    an_optional_text,
    ids,
    objects,
)
from edgebox.upstream.wire import BadShape

PAID, PENDING = "p", "n"
"""Of an order; it may also be expired ("e") or cancelled ("c")."""

_OF_ORDER = (
    "code", "status", "testmode", "datetime", "last_modified", "require_approval", "valid_if_pending",
    "checkin_attention", "checkin_text", "invoice_address.name",
)  # fmt: skip
_OF_POSITION = (
    "id", "positionid", "item", "variation", "attendee_name", "secret", "addon_to", "subevent", "checkins", "answers",
    "seat", "canceled", "valid_from", "valid_until", "blocked",
)  # fmt: skip

FIELDS = [
    # With `include` half the bytes come. It must not meet an `exclude` of a position's field (pretix answers 500 when
    # that one is gone already); one of the order's own fields spares pretix to look for it.
    *(("include", name) for name in _OF_ORDER),
    *(("include", f"positions.{name}") for name in _OF_POSITION),
    *(("exclude", name) for name in ("fees", "payments", "refunds", "customer", "downloads")),
    ("include_canceled_positions", "true"),
]
"""What to ask for."""


def read_order(raw: object, catalog: Catalog) -> ToldOrder:
    """An order with all of its positions. Raises BadShape, whose text tells nothing of the guest's."""
    order = an_object(raw, "an order")
    code, status = a_text(order, "code"), a_text(order, "status")
    positions = [an_object(position, "a position") for position in objects(order, "positions")]
    by_id = {an_id(position, "id"): position for position in positions}
    invoice_name = None
    if order.get("invoice_address") is not None:
        invoice_name = an_optional_text(an_object(order["invoice_address"], "invoice_address"), "name")
    return ToldOrder(
        code,
        tuple(
            ToldTicket(
                _ticket(order, code, status, position, by_id, invoice_name, catalog),
                tuple(sorted(_checkins(position), key=lambda checkin: (checkin.upstream_list, str(checkin.at)))),
            )
            for position in positions
        ),
    )


def item_ids(raws: list[Any]) -> frozenset[int]:
    """The products that some orders are about."""
    positions = (
        position
        for raw in raws
        if isinstance(raw, dict) and isinstance(raw.get("positions"), list)
        for position in raw["positions"]
    )
    return frozenset(
        position["item"]
        for position in positions
        if isinstance(position, dict) and isinstance(position.get("item"), int)
    )


def _ticket(
    order: Mapping[str, Any],
    code: str,
    status: str,
    position: Mapping[str, Any],
    by_id: Mapping[int, Mapping[str, Any]],
    invoice_name: str | None,
    catalog: Catalog,
) -> TicketData:
    addon_to = an_optional_id(position, "addon_to")
    parent = by_id.get(addon_to) if addon_to is not None else None
    # Pretix itself falls back like this wherever it shows a ticket at the door.
    name = an_optional_text(position, "attendee_name")
    name = name or (an_optional_text(parent, "attendee_name") if parent is not None else None) or invoice_name
    return TicketData(
        secret=a_text(position, "secret"),
        order_code=code,
        item_id=an_id(position, "item"),
        variation_id=an_optional_id(position, "variation"),
        attendee_name=name,
        attention=a_flag(order, "checkin_attention", False),
        is_paid=status == PAID,
        checkin_allowed=status == PAID or (status == PENDING and bool(order.get("valid_if_pending"))),
        addons_text=", ".join(_addons(position, by_id, catalog)),
        position_id=an_id(position, "id"),
        number=an_optional_id(position, "positionid"),
        addon_to=addon_to,
        subevent=an_optional_id(position, "subevent"),
        is_cancelled=a_flag(position, "canceled"),
        is_closed=status not in (PAID, PENDING),
        awaits_approval=status == PENDING and a_flag(order, "require_approval", False),
        is_blocked=bool(position.get("blocked")),
        valid_from=an_optional_instant(position, "valid_from"),
        valid_until=an_optional_instant(position, "valid_until"),
        valid_if_pending=a_flag(order, "valid_if_pending", False),
        is_test=a_flag(order, "testmode", False),
        seat=_seat(position),
        checkin_text=an_optional_text(order, "checkin_text"),
        answers=tuple(sorted(_answer(answer) for answer in objects(position, "answers"))),
    )


def _addons(position: Mapping[str, Any], by_id: Mapping[int, Mapping[str, Any]], catalog: Catalog) -> list[str]:
    """The names of a ticket's add-ons, as the pretixdroid API writes them."""
    addons = [each for each in by_id.values() if each.get("addon_to") == position["id"] and not each.get("canceled")]
    names = []
    for addon in addons:
        item = catalog.item(an_id(addon, "item"))
        variation = item.variation(an_optional_id(addon, "variation")) if item else None
        name = item.name if item else "?"
        names.append(f"{name} - {variation.name}" if variation else name)
    return names


def _seat(position: Mapping[str, Any]) -> str | None:
    if position.get("seat") is None:
        return None
    return an_optional_text(an_object(position["seat"], "seat"), "name")


def _answer(raw: object) -> tuple[int, str]:
    """(question id, answer): chosen options by their ids, as they are sent with a check-in."""
    answer = an_object(raw, "an answer")
    options = ids(answer, "options") if answer.get("options") else ()
    text = ",".join(str(option) for option in sorted(options)) or an_optional_text(answer, "answer") or ""
    return an_id(answer, "question"), text


def _checkins(position: Mapping[str, Any]) -> list[ToldCheckIn]:
    """Those on all lists; pretix tells only the ones that let somebody in or out."""
    return [
        ToldCheckIn(an_id(each, "list"), an_instant(each, "datetime"), _direction(each))
        for each in (an_object(raw, "a check-in") for raw in objects(position, "checkins"))
    ]


def _direction(checkin: Mapping[str, Any]) -> Direction:
    try:
        return Direction(checkin.get("type", "entry"))
    except ValueError:
        raise BadShape("a check-in is neither an entry nor an exit") from None
