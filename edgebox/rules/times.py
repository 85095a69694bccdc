"""Instants in the event's time zone, and in words. A date at the edge of the calendar never raises here."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edgebox.model import Catalog


def zone_of(catalog: Catalog | None) -> tzinfo:
    """The event's time zone; UTC where nobody knows it."""
    if catalog is None:
        return UTC
    try:
        return ZoneInfo(catalog.event.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """The instant on the wall clock of the zone; unchanged where that would leave the years 1 to 9999."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def in_words(at: datetime, zone: tzinfo, beside: datetime | None = None) -> str:
    """Date and time in the zone; only the time where `beside` is on the same day there."""
    local = in_zone(at, zone)
    if beside is not None and in_zone(beside, zone).date() == local.date():
        return f"{local:%H:%M}"
    return local.replace(tzinfo=None).isoformat(" ", "minutes")
