"""Lists in pages, as `/api/v1` tells them (section 1.2, "List format")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from tests.support.pretixscan.faults import Abort, Crash
from tests.support.pretixscan.reading import Fields
from tests.support.pretixscan.wire import Wire

# Before a page is asked for: the address to use, and the headers.
Asking = Callable[[str], tuple[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Page:
    """`number` counts from 1; a page that is unchanged (304) has no rows."""

    number: int
    rows: list[Fields] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_unchanged: bool = False


def plainly(target: str) -> tuple[str, Mapping[str, str]]:
    return target, {}


def pages(wire: Wire, target: str, resource: str, asking: Asking = plainly) -> Iterator[Page]:
    """Page after page until `next` is null or missing; `next` is fetched verbatim.

    Raises Crash where that never ends, where `next` leads elsewhere (in `Wire`), and at a 304 that nobody asked for.
    """
    fetched: set[str] = set()
    following: str | None = target
    for number in count(1):
        if following is None:
            return
        if following in fetched:
            raise Crash(resource, f"the pages go in a circle: {following}")
        fetched.add(following)
        asked, headers = asking(following)
        answer = wire.get(asked, resource, headers)
        if answer.is_unchanged:
            if number > 1 or "If-Modified-Since" not in headers:
                raise Crash(resource, f"304 to page {number}, which was asked for without a condition or after a 200")
            yield Page(number, headers=answer.headers, is_unchanged=True)
            return
        told = Fields(resource, answer.data)
        told.whole("count")
        yield Page(number, told.each("results"), answer.headers)
        following = _following(told)


def _following(told: Fields) -> str | None:
    following = told.text_or_none("next")
    if following is not None and not following.startswith(("http://", "https://")):
        raise Abort(told.at("next"), f"{following!r} is not absolute")
    return following
