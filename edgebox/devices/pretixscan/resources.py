"""What the app fetches to show events and lists: GET below `/api/v1/organizers/ORGANIZER/`.

A device sees its own lists and their events. Secrets, orders, badges and media stay here: the app needs none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any
from zlib import crc32

from flask import Request, Response

from edgebox.box import Box
from edgebox.devices.answering import json_answer
from edgebox.devices.pretixscan import describing
from edgebox.devices.pretixscan.access import lists_of_event, lists_of_organizer
from edgebox.model import CheckInList, Device


def events(box: Box, request: Request, device: Device, organizer: str) -> Response:
    """The events of the device's lists; of a series the dates stand in `subevents/` instead."""
    found = [
        lists for lists in _by_event(lists_of_organizer(box, device, organizer)) if not describing.is_series(lists)
    ]
    return _page([describing.event(lists) for lists in found])


def subevents(box: Box, request: Request, device: Device, organizer: str) -> Response:
    """The dates of the device's lists, of all its series."""
    found = _by_event(lists_of_organizer(box, device, organizer))
    return _page([date for lists in found for date in describing.dates(lists)])


def event(box: Box, request: Request, device: Device, organizer: str, event: str) -> Response:
    """One event."""
    return json_answer(describing.event(lists_of_event(box, device, organizer, event)))


def of_event(box: Box, request: Request, device: Device, organizer: str, event: str, what: str) -> Response:
    """What an event has. Raises Closed where the device has no list of it."""
    lists = lists_of_event(box, device, organizer, event)
    if what == "checkinlists":
        match = request.args.get("subevent_match")
        wanted = [list_ for list_ in lists if match is None or _is_for_date(list_, match)]
        return _if_changed(request, [describing.check_in_list(list_) for list_ in wanted])
    if what == "settings":
        return json_answer({})
    rows = _TOLD[what](lists)
    return _if_changed(request, rows) if what in CONDITIONAL else _page(rows)


def print_log(box: Box, request: Request, device: Device, organizer: str, event: str, position: int) -> Response:
    """POST `orderpositions/ID/printlog/`: a badge was printed. Accepted, so that the app forgets it; not forwarded."""
    lists_of_event(box, device, organizer, event)
    return Response(status=204)


def _nothing(lists: list[CheckInList]) -> list[dict[str, Any]]:
    return []


CONDITIONAL = ("categories", "items", "questions")
"""And `checkinlists`: the app asks for these with If-Modified-Since."""

_TOLD: dict[str, Callable[[list[CheckInList]], list[dict[str, Any]]]] = {
    "subevents": describing.dates,
    "items": describing.items,
    "questions": describing.questions,
    "categories": _nothing,
    "badgelayouts": _nothing,
    "badgeitems": _nothing,
    "revokedsecrets": _nothing,
    "blockedsecrets": _nothing,
    "orders": _nothing,
    "reusablemedia": _nothing,
}


WHAT = ("checkinlists", "settings", *_TOLD)
"""What `of_event` can be asked for."""


def _by_event(lists: list[CheckInList]) -> list[list[CheckInList]]:
    return [[each for each in lists if each.event == slug] for slug in dict.fromkeys(list_.event for list_ in lists)]


def _is_for_date(list_: CheckInList, match: str) -> bool:
    date = describing.subevent_of(list_)
    return date is None or str(date) == match


def _page(rows: Sequence[dict[str, Any]]) -> Response:
    """All there is on one page: a device has few lists, and an event few items."""
    return json_answer({"count": len(rows), "next": None, "previous": None, "results": rows})


def _if_changed(request: Request, rows: Sequence[dict[str, Any]]) -> Response:
    """The same, or 304 where the app has it already.

    The app keeps Last-Modified as it stands and shows it again, so it is compared as text; when it wants everything
    anew it sends another date in another form, which werkzeug would take for a later one. The date is no time at all:
    it is made of the content, so it changes with it and is the same after a restart.
    """
    stamp = formatdate(crc32(json.dumps(rows, sort_keys=True).encode()), usegmt=True)
    has_it = request.headers.get("If-Modified-Since") == stamp
    response = Response(status=304) if has_it else _page(rows)
    response.headers["Last-Modified"] = stamp
    return response
