"""What the app reads of an event and of each row of a list (section 1.2, "Fields read")."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from tests.support.pretixscan.faults import Crash
from tests.support.pretixscan.reading import Fields


def read_event(told: Fields, slug: str) -> None:
    """What the sync and then the scan screen need; without it the app crashes at every start."""
    if told.text("slug") != slug:
        raise Crash(told.at("slug"), f"{told.text('slug')!r} instead of {slug!r}")
    told.words("name")
    told.text("currency")
    told.instant("date_from")
    told.instant_or_none("date_to")
    told.flag("has_subevents")
    told.flag("live")
    told.inner("seat_category_mapping")
    told.inner_or_none("valid_keys")
    told.several_or_none("plugins", str)
    told.flag("testmode", False)
    zone = told.text_or_none("timezone")
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError) as error:
            raise Crash(told.at("timezone"), f"{zone!r} is no time zone") from error


def read_selected_date(row: Fields) -> None:
    row.inner("seat_category_mapping")
    row.each("item_price_overrides")
    row.each("variation_price_overrides")


def _subevent(row: Fields) -> None:
    row.words("name")
    row.text("event")
    row.instant("date_from")
    row.instant_or_none("date_to")
    row.flag("active")


def _category(row: Fields) -> None:
    row.whole("position")


def _item(row: Fields) -> None:
    row.whole("position")
    row.words("name")
    row.flag("active", True)
    row.flag("admission", True)
    row.whole_or_none("category")
    row.text_or_none("internal_name")
    row.text_or_none("picture")
    for name in ("variations", "bundles", "addons"):
        row.several_or_none(name, dict)


def _question(row: Fields) -> None:
    row.whole("position")
    row.several("items", int)


def _badge_layout(row: Fields) -> None:
    row.flag("default")
    row.text_or_none("background")
    row.several_or_none("layout", dict)


def _badge_item(row: Fields) -> None:
    row.whole("item")
    row.whole_or_none("layout")


def _check_in_list(row: Fields) -> None:
    row.several("limit_products", int)
    row.text_or_none("name")
    row.whole_or_none("subevent")
    row.inner_or_none("rules")
    for name in ("all_products", "include_pending", "allow_multiple_entries", "allow_entry_after_exit", "addon_match"):
        row.flag(name, False)


def _revoked(row: Fields) -> None:
    row.text("secret")
    row.instant("created")


def _blocked(row: Fields) -> None:
    row.text("secret")
    row.instant("updated")
    row.flag("blocked")


READERS: dict[str, Callable[[Fields], None]] = {
    "subevents": _subevent,
    "categories": _category,
    "items": _item,
    "questions": _question,
    "badgelayouts": _badge_layout,
    "badgeitems": _badge_item,
    "checkinlists": _check_in_list,
    "revokedsecrets": _revoked,
    "blockedsecrets": _blocked,
}
