"""The event picker (section 1.2, rows `events/` and `subevents/`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from urllib.parse import quote_plus

from tests.support.pretixscan.faults import Abort
from tests.support.pretixscan.paging import pages
from tests.support.pretixscan.reading import Fields
from tests.support.pretixscan.wire import Wire

MAX_PAGES = 5
SHOWN_AFTER_END = timedelta(hours=24)
# The phone's time zone.
CEST = timezone(timedelta(hours=2), "CEST")


@dataclass(frozen=True)
class EventOffer:
    """A row of the picker: an event, or one date (`subevent`) of a series."""

    slug: str
    name: dict[str, str]
    date_from: datetime
    date_to: datetime | None
    is_live: bool
    subevent: int | None = None


def event_offers(wire: Wire, organizer: str) -> list[EventOffer]:
    """All events, then all dates; whether a date's series is live is looked up once a series."""
    since = (datetime.now(UTC) - SHOWN_AFTER_END).astimezone(CEST).isoformat(timespec="milliseconds")
    query = f"?ends_after={quote_plus(since)}&ordering=date_from"
    series: dict[str, bool] = {}

    def is_live(slug: str) -> bool:
        if slug not in series:
            series[slug] = _is_series_live(wire, organizer, slug)
        return series[slug]

    offers = [_event(row) for row in _rows(wire, f"organizers/{organizer}/events/{query}", "events")]
    dates = _rows(wire, f"organizers/{organizer}/subevents/{query}&active=true", "subevents")
    offers += [_date(row, is_live) for row in dates]
    return sorted(offers, key=lambda offer: offer.date_from)


def _rows(wire: Wire, target: str, resource: str) -> list[Fields]:
    return [row for page in islice(pages(wire, target, resource), MAX_PAGES) for row in page.rows]


def _event(row: Fields) -> EventOffer:
    row.whole_or_none("best_availability_state")
    return EventOffer(
        slug=row.text("slug"),
        name=row.words("name"),
        date_from=row.instant("date_from"),
        date_to=row.instant_or_none("date_to"),
        is_live=row.flag("live"),
    )


def _date(row: Fields, is_live: Callable[[str], bool]) -> EventOffer:
    return EventOffer(
        slug=row.text("event"),
        name=row.words("name"),
        date_from=row.instant("date_from"),
        date_to=row.instant_or_none("date_to"),
        is_live=is_live(row.text("event")) and row.flag("active"),
        subevent=row.whole("id"),
    )


def _is_series_live(wire: Wire, organizer: str, slug: str) -> bool:
    answer = wire.get(f"organizers/{organizer}/events/{slug}/", "event")
    if answer.status != 200:
        raise Abort(f"events/{slug}", f"status {answer.status}")
    return Fields(f"events/{slug}", answer.data).flag("live")
