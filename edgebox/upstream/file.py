"""A list from a file: what a server's `status/` and `download/` once answered, saved in one JSON file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from edgebox.model import ToldTicket
from edgebox.upstream import BadAddress, Description
from edgebox.upstream.wire import BadShape, Names, read_question, read_status, read_ticket

_SLUG = re.compile(r"[0-9A-Za-z._~-]+")

HINT = 'it holds {"status": ..., "download": ...}: the answers of a server\'s status/ and download/'


@dataclass(frozen=True, slots=True)
class SavedList:
    """All that a file tells."""

    description: Description
    tickets: tuple[ToldTicket, ...]


def read(body: Any, origin: str) -> SavedList:
    """Read a saved list from its JSON; `origin` names it in errors. Raises BadAddress when it is not one."""
    try:
        status, download = body["status"], body["download"]
        catalog = read_status(status)
        event = status["event"]
        organizer_slug, event_slug = event["organizer"]["slug"], event["slug"]
        names = Names(catalog)
        tickets = tuple(read_ticket(raw, names) for raw in download["results"])
        questions = tuple(read_question(raw) for raw in download.get("questions", []))
    except (BadShape, KeyError, TypeError, AttributeError) as error:
        raise BadAddress(f"{origin} is not a saved list ({error})", HINT) from None
    if not all(isinstance(slug, str) and _SLUG.fullmatch(slug) for slug in (organizer_slug, event_slug)):
        raise BadAddress(f"{origin} is not a saved list (organizer and event need slugs that fit an address)", HINT)
    subevent = catalog.event.subevent if isinstance(catalog.event.subevent, int) else None
    catalog = replace(catalog, items=names.items(), questions=questions)
    return SavedList(Description(organizer_slug, event_slug, subevent, catalog), tickets)
