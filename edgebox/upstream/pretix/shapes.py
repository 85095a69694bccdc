"""Pieces of pretix's JSON, looked at before they are believed.

Who reads them gets a good value or BadShape, whose text names the field and never its content.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeGuard

from edgebox.instants import parse_client_datetime
from edgebox.upstream.wire import MAX_ID, BadShape


def is_id(value: object) -> TypeGuard[int]:
    """A number that the box's database can hold as an id."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID


def an_object(raw: object, what: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise BadShape(f"{what} is not an object")
    return raw


def an_id(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key)
    if not is_id(value):
        raise BadShape(f"'{key}' is missing or no id")
    return value


def an_optional_id(raw: Mapping[str, Any], key: str) -> int | None:
    return None if raw.get(key) is None else an_id(raw, key)


def ids(raw: Mapping[str, Any], key: str) -> tuple[int, ...]:
    values = objects(raw, key)
    if not all(is_id(value) for value in values):
        raise BadShape(f"'{key}' are not ids")
    return tuple(values)


def objects(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    if not isinstance(value, list):
        raise BadShape(f"'{key}' is not a list")
    return value


def a_text(raw: Mapping[str, Any], key: str) -> str:
    """Text that is there, and that can be stored: JSON may hold halves of characters, which no encoding has."""
    value = raw.get(key)
    if not isinstance(value, str) or not value or storable(value) != value:
        raise BadShape(f"'{key}' is missing or no text")
    return value


def an_optional_text(raw: Mapping[str, Any], key: str) -> str | None:
    """Text, or None where it is missing or empty."""
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise BadShape(f"'{key}' is no text")
    return storable(value) or None if value else None


def a_flag(raw: Mapping[str, Any], key: str, default: bool | None = None) -> bool:
    """A real truth value: the text "false" would count as true. Without `default` it has to be there."""
    value = raw.get(key, default)
    if not isinstance(value, bool):
        raise BadShape(f"'{key}' is neither true nor false")
    return value


def an_instant(raw: Mapping[str, Any], key: str) -> dt.datetime:
    value = raw.get(key)
    try:
        return parse_client_datetime(value if isinstance(value, str) else "")
    except ValueError:
        raise BadShape(f"'{key}' is no date and time") from None


def an_optional_instant(raw: Mapping[str, Any], key: str) -> dt.datetime | None:
    return None if raw.get(key) is None else an_instant(raw, key)


def storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def in_language(value: object, locale: str) -> str:
    """A text that pretix keeps in several languages, in this one; else in its plain form ("de" for "de-informal"), in
    English, in whichever there is. Empty where there is none."""
    if isinstance(value, str):
        return storable(value)
    if not isinstance(value, dict):
        return ""
    texts = {str(name): text for name, text in value.items() if isinstance(text, str) and text}
    base = locale.split("-")[0]
    kin = [name for name in texts if name.split("-")[0] == base]
    chosen = next((name for name in (locale, base, *kin, "en", *texts) if name in texts), None)
    return storable(texts[chosen]) if chosen is not None else ""
