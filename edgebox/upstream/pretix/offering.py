"""What a connection offers: every check-in list of every event that the device may see."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from edgebox.upstream import Closed
from edgebox.upstream.pretix.connection import DeviceRefused, Line, PretixConnection
from edgebox.upstream.pretix.master import all_lists, locale_of
from edgebox.upstream.pretix.paging import everything
from edgebox.upstream.pretix.shapes import in_language

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offered:
    """A check-in list that may be registered. `event` is a slug; `list_id` and `subevent` are pretix's ids."""

    event: str
    event_name: str
    subevent: int | None
    list_id: int
    name: str


def offered(connection: PretixConnection) -> tuple[Offered, ...]:
    """All of them, by event and name. Raises Unreachable, NotUpstream or Closed."""
    line = connection.line()
    try:
        return tuple(sorted(_offered(line), key=lambda each: (each.event, each.name, each.list_id)))
    finally:
        line.close()


def _offered(line: Line) -> Iterator[Offered]:
    events = everything(line, line.of_organizer("events/"), [])
    for event in events.rows if events else ():
        slug = event.get("slug") if isinstance(event, dict) else None
        if not isinstance(slug, str):
            continue
        try:
            lists = all_lists(line, slug)
            names = event.get("name")
            # Only where it matters: it costs a request more an event.
            is_clear = not isinstance(names, dict) or len({str(text) for text in names.values() if text}) <= 1
            name = in_language(names, "en" if is_clear else locale_of(line, slug))
        except DeviceRefused:
            raise
        except Closed as error:  # other events go on
            log.warning("an event's check-in lists are not to be had: %s", error)
            continue
        for list_id, (list_name, terms) in lists.items():
            yield Offered(slug, name or slug, terms.subevent, list_id, list_name)
