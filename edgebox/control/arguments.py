"""What actions take: whatever else comes over the socket is refused in words, and reaches nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from edgebox.box import ActionError
from edgebox.control import ignore
from edgebox.store.staff import Role

REPORTING = frozenset({"sync", "purge"})
"""Actions that say how far they are."""


def check(action: str, known: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Raises ActionError for arguments that are not the action's, or of another kind."""
    try:
        inspect.signature(known).bind(None, **arguments, **({"report": ignore} if action in REPORTING else {}))
    except TypeError:
        raise ActionError(f"{action} takes other arguments: are command and box of one version?") from None
    parameters = inspect.signature(known).parameters
    for name, value in arguments.items():
        if not _KINDS[name](value) or (value is None and parameters[name].annotation == "str"):
            raise ActionError(f"{action}: the {name} cannot be understood; nothing was done")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not _HALF.search(value)


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_role(value: object) -> bool:
    return isinstance(value, str) and value in set(Role)


def _or_none(kind: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or kind(value)


MAX_NUMBER = 2**63 - 1
"""What the database can hold."""

_HALF = re.compile("[\ud800-\udfff]")
"""Half a character of UTF-16, which is in no text."""

_KINDS: dict[str, Callable[[object], bool]] = {
    "url": _is_text,
    "name": _or_none(_is_text),
    "key": _or_none(_is_text),
    "text": _is_text,
    "token": _or_none(_is_text),
    "renew": _or_none(_is_number),
    "separate": _is_flag,
    "content": lambda value: True,  # whatever stood in the file
    "origin": _is_text,
    "event": _is_text,
    "upstream_list": _is_number,
    "connection_id": _or_none(_is_number),
    "list_id": _or_none(_is_number),
    "list_ids": _are_numbers,
    "items": _or_none(_are_numbers),
    "app": _is_text,
    "allow_search": _is_flag,
    "show_info": _is_flag,
    "wipe": _is_flag,
    "force": _is_flag,
    "checkin_id": _is_number,
    "reason": _or_none(_is_text),
    "role": _is_role,
    "password": _is_text,
    "abandon": _is_flag,
    "folder": _or_none(_is_text),
    "due": _is_flag,
    "seconds": _is_number,
    "folders": lambda value: isinstance(value, list) and all(map(_is_text, value)),
}
"""What each argument is; it is the same for every action."""
