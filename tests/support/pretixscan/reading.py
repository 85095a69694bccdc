"""Reading JSON as strictly as the app's strictest reader: what is named has to be there and of its very type."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from tests.support.pretixscan.faults import Abort

T = TypeVar("T")

KINDS = {str: "a text", int: "a whole number", bool: "true or false", list: "an array", dict: "an object"}
# An offset is a must (section 1.2, the row of `events/{e}/`).
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def parsed(where: str, text: str) -> Any:
    """The JSON in `text`, without what only Python takes for JSON (NaN, Infinity)."""

    def refuse(constant: str) -> NoReturn:
        raise Abort(where, f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise Abort(where, f"not JSON ({error}): {text[:100]!r}") from error


def of_kind(where: str, value: object, kind: type[T]) -> T:
    """`value`, if it is of exactly this JSON type: true is not 1, and "1" is not either."""
    if type(value) is not kind:
        raise Abort(where, f"{value!r} is not {KINDS[kind]}")
    return value


def instant(where: str, value: object) -> datetime:
    text = of_kind(where, value, str)
    if not INSTANT.fullmatch(text):
        raise Abort(where, f"{text!r} is not a date and time with an offset")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Abort(where, f"{text!r}: {error}") from error


class Fields:
    """A JSON object as it is read field by field; anything amiss raises `Abort`.

    The methods that end in `_or_none` take a missing field for null, as the app does.
    """

    def __init__(self, where: str, value: object) -> None:
        self.where = where
        self.all: dict[str, Any] = of_kind(where, value, dict)

    def at(self, name: str) -> str:
        return f"{self.where} .{name}"

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self.all.get(name) is not None

    def _there(self, name: str) -> Any:
        if name not in self.all:
            raise Abort(self.where, f"`{name}` is missing")
        return self.all[name]

    def _one(self, name: str, kind: type[T]) -> T:
        return of_kind(self.at(name), self._there(name), kind)

    def _one_or_none(self, name: str, kind: type[T]) -> T | None:
        return self._one(name, kind) if self.has(name) else None

    def text(self, name: str) -> str:
        return self._one(name, str)

    def text_or_none(self, name: str) -> str | None:
        return self._one_or_none(name, str)

    def whole(self, name: str) -> int:
        return self._one(name, int)

    def whole_or_none(self, name: str) -> int | None:
        return self._one_or_none(name, int)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """With a default it may be missing, but even then it may not be null."""
        return default if default is not None and name not in self.all else self._one(name, bool)

    def instant(self, name: str) -> datetime:
        return instant(self.at(name), self._there(name))

    def instant_or_none(self, name: str) -> datetime | None:
        return self.instant(name) if self.has(name) else None

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise Abort(self.at(name), f"{value!r} is unknown")
        return value

    def words(self, name: str) -> dict[str, str]:
        """Text by language."""
        words = self.inner(name)
        return {language: words.text(language) for language in words.all}

    def inner(self, name: str) -> Fields:
        """An object in this one."""
        return Fields(self.at(name), self._there(name))

    def inner_or_none(self, name: str) -> Fields | None:
        return self.inner(name) if self.has(name) else None

    def each(self, name: str) -> list[Fields]:
        """An array of objects."""
        return [Fields(f"{self.at(name)}[{index}]", each) for index, each in enumerate(self._one(name, list))]

    def several(self, name: str, kind: type[T]) -> list[T]:
        """An array of only this JSON type."""
        return [of_kind(f"{self.at(name)}[{index}]", each, kind) for index, each in enumerate(self._one(name, list))]

    def several_or_none(self, name: str, kind: type[T]) -> list[T] | None:
        return self.several(name, kind) if self.has(name) else None
