"""What an event has beside its orders: names, products, questions, dates, check-in lists, secrets that let nobody in.

Pretix tells of products and questions whether they have changed; the rest is small, or told from a moment on.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edgebox.instants import parse_client_datetime
from edgebox.model import Catalog, Event, Item, ListTerms, Option, Question, Subevent, Variation
from edgebox.upstream import Master, NotUpstream
from edgebox.upstream.pretix.connection import Line
from edgebox.upstream.pretix.paging import everything
from edgebox.upstream.pretix.shapes import (
    a_flag,
    a_text,
    an_id,
    an_object,
    an_optional_id,
    an_optional_instant,
    an_optional_text,
    ids,
    in_language,
    objects,
    storable,
)
from edgebox.upstream.transport import LOGIN_PAGE_HINT
from edgebox.upstream.wire import BadShape

API_VERSION = 3
"""The pretixdroid version that has all of this: ids, questions, pending orders."""

SELDOM_S = 600.0
"""Name, dates, time zone, languages and keys of the event are asked for so often."""

OVERLAP = dt.timedelta(seconds=60)
"""Secrets and dates are asked for from so long before the newest one that is known: a change may be committed late."""

LIST_FIELDS = [("exclude", "checkin_count"), ("exclude", "position_count")]
"""Counting costs pretix more than all the rest of a list."""

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    """What was told before, and when pretix says that it was changed last."""

    raw: list[Any] = field(default_factory=list)
    last_modified: str | None = None


class MasterData:
    """Of one event. Thread-safe."""

    def __init__(self, line: Line, event: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._event = event
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._items, self._questions = _Kept(), _Kept()
        self._about: Mapping[str, Any] = {}
        self._locale = "en"
        self._seldom_at_s = float("-inf")
        self._revoked = _Secrets("revokedsecrets", "created", "created_since")
        self._blocked = _Secrets("blockedsecrets", "updated", "updated_since")
        self._dates: dict[int, Mapping[str, Any]] = {}
        self._dates_since: str | None = None
        self._catalog: Catalog | None = None

    def ask(self) -> Master:
        """Everything, as it is now; only what may have changed is asked for."""
        with self._lock:
            self._ask_seldom()
            self._refresh(self._items, "items/")
            self._refresh(self._questions, "questions/")
            lists = all_lists(self._line, self._event)
            if self._about.get("has_subevents") is True:
                self._ask_dates()
            for secrets in (self._revoked, self._blocked):
                secrets.ask(self._line, self._path(secrets.name + "/"))
            self._catalog = _readable(self._read_catalog)
            return Master(
                catalog=self._catalog,
                lists=lists,
                revoked=frozenset(self._revoked.held),
                blocked=frozenset(self._blocked.held),
            )

    def catalog(self) -> Catalog:
        """What is known of the event; asked for when nothing is."""
        return self._catalog or self.ask().catalog

    def catalog_with(self, item_ids: frozenset[int]) -> Catalog:
        """The same; asked for anew when one of these products is missing."""
        catalog = self.catalog()
        if item_ids <= {item.id for item in catalog.items}:
            return catalog
        with self._lock:
            self._refresh(self._items, "items/")
            self._catalog = _readable(self._read_catalog)
            return self._catalog

    def _path(self, path: str) -> str:
        return self._line.of_event(self._event, path)

    def _ask_seldom(self) -> None:
        """The event and its languages. Pretix does not say whether those have changed."""
        now_s = self._monotonic()
        if now_s - self._seldom_at_s < SELDOM_S:
            return
        about = self._line.get(self._path(""), expects="slug")
        self._locale = locale_of(self._line, self._event)
        self._about = about.body if about else {}
        # All of these anew: dates that were deleted are gone, and of two changes within one second the second one does
        # not show in what pretix says of the last change.
        self._dates_since = self._items.last_modified = self._questions.last_modified = None
        self._seldom_at_s = now_s

    def _refresh(self, kept: _Kept, path: str) -> None:
        told = everything(self._line, self._path(path), [], since=kept.last_modified)
        if told is not None:
            kept.raw, kept.last_modified = told.rows, told.last_modified

    def _ask_dates(self) -> None:
        params = [("modified_since", self._dates_since)] if self._dates_since else []
        told = everything(self._line, self._path("subevents/"), params)
        assert told is not None
        raws: list[Mapping[str, Any]] = [_readable(an_object, raw, "a date") for raw in told.rows]
        dates = {_readable(an_id, raw, "id"): raw for raw in raws}
        self._dates = {**self._dates, **dates} if self._dates_since else dates
        self._dates_since = _before(told.generated) if told.generated else None

    def _read_catalog(self) -> Catalog:
        about, locale = self._about, self._locale
        return Catalog(
            version=API_VERSION,
            event=Event(
                name=in_language(about.get("name"), locale),
                date_from=an_optional_text(about, "date_from"),
                date_to=an_optional_text(about, "date_to"),
                timezone=an_optional_text(about, "timezone") or "UTC",
                url=an_optional_text(about, "public_url"),
                date_admission=an_optional_text(about, "date_admission"),
                locale=locale,
                has_subevents=about.get("has_subevents") is True,
                is_live=about.get("live") is not False,
                is_test=about.get("testmode") is True,
                currency=an_optional_text(about, "currency") or "",
            ),
            items=tuple(_item(raw, locale) for raw in self._items.raw),
            questions=tuple(_questions(self._questions.raw, locale)),
            subevents=tuple(_date(raw, locale) for _, raw in sorted(self._dates.items())),
            signature_keys=_signature_keys(about),
        )


class _Secrets:
    """Secrets that let nobody in: told from the newest known one on, since a large event has many."""

    def __init__(self, name: str, stamp: str, since: str) -> None:
        self.name = name
        self.held: set[str] = set()
        self._stamp, self._since = stamp, since
        self._newest: str | None = None

    def ask(self, line: Line, path: str) -> None:
        params = [(self._since, _before(self._newest))] if self._newest else []
        told = everything(line, path, params)
        assert told is not None
        raws = [_readable(an_object, raw, "a secret") for raw in told.rows]
        rows = [(_readable(an_id, raw, "id"), _readable(a_text, raw, self._stamp), raw) for raw in raws]
        # The last word on a secret counts: it may have been blocked, unblocked and blocked again.
        for _, stamp, raw in sorted(rows, key=lambda row: (_instant(row[1]), row[0])):
            secret = _readable(a_text, raw, "secret")
            if _readable(a_flag, raw, "blocked", True):
                self.held.add(secret)
            else:
                self.held.discard(secret)
            if self._newest is None or _instant(stamp) > _instant(self._newest):
                self._newest = stamp


# --- asking -----------------------------------------------------------------------------------------------------------


def all_lists(line: Line, event: str) -> dict[int, tuple[str, ListTerms]]:
    """The event's check-in lists by their ids: name and terms."""
    told = everything(line, line.of_event(event, "checkinlists/"), LIST_FIELDS)
    assert told is not None
    return dict(_readable(read_list, raw) for raw in told.rows)


def one_list(line: Line, event: str, list_id: int) -> tuple[str, ListTerms, int | None] | None:
    """A check-in list's name and terms, and how many tickets pretix counts on it; None where there is no such list.

    (There is no asking for one alone. Counting the tickets costs pretix more than all the rest.)
    """
    told = everything(line, line.of_event(event, "checkinlists/"), [("exclude", "checkin_count")])
    for raw in told.rows if told else ():
        number, (name, terms) = _readable(read_list, raw)
        if number == list_id:
            total = raw.get("position_count")
            return name, terms, total if isinstance(total, int) else None
    return None


def locale_of(line: Line, event: str) -> str:
    """The event's default language."""
    told = line.get(line.of_event(event, "settings/"), expects="locale")
    locale = told.body["locale"] if told else None
    return locale if isinstance(locale, str) and locale else "en"


# --- reading ----------------------------------------------------------------------------------------------------------


def read_list(raw: object) -> tuple[int, tuple[str, ListTerms]]:
    """A check-in list: its id, its name and its terms. Raises BadShape."""
    told = an_object(raw, "a check-in list")
    rules = told.get("rules") or {}
    return an_id(told, "id"), (
        an_optional_text(told, "name") or "?",
        ListTerms(
            item_ids=None if a_flag(told, "all_products") else frozenset(ids(told, "limit_products")),
            subevent=an_optional_id(told, "subevent"),
            include_pending=a_flag(told, "include_pending", False),
            allow_multiple_entries=a_flag(told, "allow_multiple_entries", False),
            allow_entry_after_exit=a_flag(told, "allow_entry_after_exit", True),
            exit_all_at=an_optional_instant(told, "exit_all_at"),
            addon_match=a_flag(told, "addon_match", False),
            rules=an_object(rules, "rules"),
        ),
    )


def _item(raw: object, locale: str) -> Item:
    told = an_object(raw, "an item")
    return Item(
        id=an_id(told, "id"),
        name=in_language(told.get("name"), locale) or "?",
        is_admission=a_flag(told, "admission", False),
        variations=tuple(
            Variation(
                id=an_id(variation, "id"),
                name=in_language(variation.get("value"), locale) or "?",
                attention=a_flag(variation, "checkin_attention", False),
                checkin_text=an_optional_text(variation, "checkin_text"),
            )
            for variation in (an_object(each, "a variation") for each in objects(told, "variations"))
        ),
        attention=a_flag(told, "checkin_attention", False),
        checkin_text=an_optional_text(told, "checkin_text"),
    )


def _questions(raws: list[Any], locale: str) -> Iterator[Question]:
    """Those that are asked at the door, or shown there with their answer."""
    for raw in raws:
        told = an_object(raw, "a question")
        is_asked, is_shown = (a_flag(told, f"{verb}_during_checkin", False) for verb in ("ask", "show"))
        if not (is_asked or is_shown):
            continue
        position, values = told.get("position", 0), told.get("dependency_values")
        options = sorted(
            (an_object(option, "an option") for option in objects(told, "options")),
            key=lambda option: position if isinstance(position := option.get("position", 0), int) else 0,
        )
        yield Question(
            id=an_id(told, "id"),
            type=a_text(told, "type"),
            text=in_language(told.get("question"), locale),
            is_required=a_flag(told, "required", False),
            position=position if isinstance(position, int) else 0,
            item_ids=frozenset(ids(told, "items")),
            options=tuple(
                Option(
                    id=an_id(each, "id"),
                    text=in_language(each.get("answer"), locale),
                    identifier=an_optional_text(each, "identifier") or "",
                )
                for each in options
            ),
            identifier=an_optional_text(told, "identifier") or "",
            is_asked=is_asked,
            is_shown=is_shown,
            depends_on=an_optional_id(told, "dependency_question"),
            depends_values=tuple(storable(str(each)) for each in values) if isinstance(values, list) else (),
        )


def _date(raw: Mapping[str, Any], locale: str) -> Subevent:
    return Subevent(
        id=an_id(raw, "id"),
        name=in_language(raw.get("name"), locale),
        date_from=an_optional_text(raw, "date_from"),
        date_to=an_optional_text(raw, "date_to"),
        date_admission=an_optional_text(raw, "date_admission"),
    )


def _signature_keys(about: Mapping[str, Any]) -> tuple[str, ...]:
    """PEM texts; pretix wraps them in base64 once more."""
    keys = about.get("valid_keys")
    sig1 = keys.get("pretix_sig1") if isinstance(keys, dict) else None
    found = []
    for key in sig1 if isinstance(sig1, list) else ():
        try:
            found.append(base64.b64decode(key, validate=True).decode("ascii"))
        except (binascii.Error, ValueError, TypeError):
            continue
    return tuple(found)


def _before(stamp: str) -> str:
    return (_instant(stamp) - OVERLAP).isoformat()


def _instant(text: str) -> dt.datetime:
    return _readable(parse_client_datetime, text)


def _readable(read: Callable[..., T], *arguments: Any) -> T:
    """What a reader makes of it. Raises NotUpstream where it is not as pretix has it."""
    try:
        return read(*arguments)
    except ValueError as error:  # BadShape is one; none of them repeats what was told
        what = str(error) if isinstance(error, BadShape) else "a date is none"
        raise NotUpstream(f"what pretix tells of the event cannot be read: {what}", LOGIN_PAGE_HINT) from None
