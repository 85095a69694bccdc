"""Events, dates, items and lists as the app reads them: every field that it needs, with its type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from edgebox.devices.pretixscan.asking import QUESTIONS
from edgebox.instants import parse_client_datetime
from edgebox.model import Catalog, CheckInList, Event, Item, Question, Subevent

NAMED_TYPES = QUESTIONS | {"F"}
"""Of questions; any other is text to the app."""

LONG_AGO = "2000-01-01T00:00:00+00:00"
"""When an event begins of which nobody told when: the app needs a date."""


def event_name(list_: CheckInList) -> str:
    """What the event is called; its address while upstream was never reached."""
    return list_.catalog.event.name if list_.catalog and list_.catalog.event.name else list_.path


def text(list_: CheckInList, words: str) -> dict[str, str]:
    """A text in the event's language."""
    return {list_.catalog.event.locale if list_.catalog else "en": words}


def subevent_of(list_: CheckInList) -> int | None:
    """The date of a series that the list is for; None: all of them, or it is no series."""
    return list_.terms.subevent if list_.terms is not None else list_.subevent


def is_series(lists: list[CheckInList]) -> bool:
    """Whether an event has several dates, as far as one of its lists tells."""
    return any(_event(list_).has_subevents or subevent_of(list_) is not None for list_ in lists)


def is_on(list_: CheckInList, now: datetime) -> bool:
    """Whether the list's event (or date) is under way."""
    begin, end = _begin_and_end(list_)
    return begin is not None and begin <= now and (end is None or now <= end)


def event(lists: list[CheckInList]) -> dict[str, Any]:
    """An event, of which these are the lists."""
    list_ = lists[0]
    about = _event(list_)
    return {
        "name": text(list_, event_name(list_)),
        "slug": list_.event,
        "live": about.is_live,
        "testmode": about.is_test,
        "currency": about.currency or "EUR",
        "date_from": _instant(about.date_from) or LONG_AGO,
        "date_to": _instant(about.date_to),
        "date_admission": _instant(about.date_admission),
        "has_subevents": is_series(lists),
        "timezone": about.timezone,
        "plugins": [],
        "seating_plan": None,
        "seat_category_mapping": {},
        "valid_keys": {},
        "best_availability_state": None,
    }


def dates(lists: list[CheckInList]) -> list[dict[str, Any]]:
    """The dates of a series that these lists of it are for."""
    if not is_series(lists):
        return []
    found: dict[int, dict[str, Any]] = {}
    for list_ in lists:
        wanted = subevent_of(list_)
        known = {date.id: date for date in (list_.catalog.subevents if list_.catalog else ())}
        if wanted is not None and wanted not in known:
            known[wanted] = _only_date(list_, wanted)
        for date in known.values():
            if wanted in (None, date.id):
                found[date.id] = _date(list_, date)
    return list(found.values())


def check_in_list(list_: CheckInList) -> dict[str, Any]:
    """A list; its rules stay here, for the box decides."""
    terms = list_.terms
    return {
        "id": list_.id,
        "name": list_.name,
        "all_products": terms is None or terms.item_ids is None,
        "limit_products": sorted(terms.item_ids) if terms and terms.item_ids is not None else [],
        "subevent": subevent_of(list_),
        "include_pending": terms is not None and terms.include_pending,
        "allow_multiple_entries": terms is not None and terms.allow_multiple_entries,
        "allow_entry_after_exit": terms is not None and terms.allow_entry_after_exit,
        "addon_match": terms is not None and terms.addon_match,
        "rules": {},
    }


def items(lists: list[CheckInList]) -> list[dict[str, Any]]:
    """The event's items."""
    known: dict[int, dict[str, Any]] = {}
    for list_ in lists:
        for position, each in enumerate(_catalog_items(list_)):
            known.setdefault(each.id, _item(list_, each, position))
    return list(known.values())


def questions(lists: list[CheckInList]) -> list[dict[str, Any]]:
    """The questions that the door asks or sees."""
    known: dict[int, dict[str, Any]] = {}
    for list_ in lists:
        for each in list_.catalog.questions if list_.catalog else ():
            known.setdefault(each.id, question(list_, each))
    return list(known.values())


def question(list_: CheckInList, each: Question) -> dict[str, Any]:
    """A question as pretix tells it."""
    return {
        "id": each.id,
        "type": each.type if each.type in NAMED_TYPES else "T",
        "question": text(list_, each.text),
        "identifier": each.identifier or str(each.id),
        "required": each.is_required,
        "position": each.position,
        "items": sorted(each.item_ids),
        "ask_during_checkin": each.is_asked,
        "show_during_checkin": each.is_shown,
        "options": [
            {
                "id": option.id,
                "position": position,
                "identifier": option.identifier or str(option.id),
                "answer": text(list_, option.text),
            }
            for position, option in enumerate(each.options)
        ],
        "dependency_question": each.depends_on,
        "dependency_values": list(each.depends_values),
    }


def selection(list_: CheckInList) -> dict[str, Any]:
    """Which event, date and list a phone should scan for."""
    return {
        "event": {"slug": list_.event, "name": event_name(list_)},
        "subevent": subevent_of(list_),
        "checkinlist": list_.id,
    }


def _item(list_: CheckInList, item: Item, position: int) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": text(list_, item.name),
        "internal_name": None,
        "active": True,
        "admission": item.is_admission,
        "category": None,
        "position": position,
        "checkin_attention": item.attention,
        "checkin_text": item.checkin_text,
        "picture": None,
        "variations": [
            {
                "id": variation.id,
                "value": text(list_, variation.name),
                "active": True,
                "position": place,
                "checkin_attention": variation.attention,
                "checkin_text": variation.checkin_text,
            }
            for place, variation in enumerate(item.variations)
        ],
        "bundles": [],
        "addons": [],
    }


def _date(list_: CheckInList, date: Subevent) -> dict[str, Any]:
    return {
        "id": date.id,
        "event": list_.event,
        "name": text(list_, date.name or event_name(list_)),
        "active": True,
        "date_from": _instant(date.date_from) or LONG_AGO,
        "date_to": _instant(date.date_to),
        "date_admission": _instant(date.date_admission),
        "seating_plan": None,
        "seat_category_mapping": {},
        "item_price_overrides": [],
        "variation_price_overrides": [],
    }


def _only_date(list_: CheckInList, number: int) -> Subevent:
    """The date that a list is for, where upstream tells of that one alone."""
    about = _event(list_)
    return Subevent(number, about.name, about.date_from, about.date_to, about.date_admission)


def _begin_and_end(list_: CheckInList) -> tuple[datetime | None, datetime | None]:
    wanted = subevent_of(list_)
    dates_ = list_.catalog.subevents if list_.catalog else ()
    date: Subevent | Event = next((each for each in dates_ if each.id == wanted), _event(list_))
    begin, end = _instant(date.date_admission or date.date_from), _instant(date.date_to)
    return (datetime.fromisoformat(begin) if begin else None), (datetime.fromisoformat(end) if end else None)


def _event(list_: CheckInList) -> Event:
    return list_.catalog.event if list_.catalog else Event(name=list_.path)


def _catalog_items(list_: CheckInList) -> tuple[Item, ...]:
    catalog: Catalog | None = list_.catalog
    return catalog.items if catalog else ()


def _instant(words: str | None) -> str | None:
    """With an offset, which the app needs. What upstream told and cannot be read is as good as not told."""
    try:
        return parse_client_datetime(words).astimezone(UTC).isoformat() if words else None
    except ValueError:
        return None
