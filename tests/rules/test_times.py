"""Instants in the event's time zone, and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from edgebox.model import Catalog, Event
from edgebox.rules.times import in_words, in_zone, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
LATE = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


def test_the_zone_is_the_events() -> None:
    assert zone_of(Catalog(9, Event("DemoCon", timezone="Europe/Berlin"))) == BERLIN


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe", "\0"])
def test_a_zone_that_nobody_knows_is_utc(name: str) -> None:
    assert zone_of(Catalog(9, Event("DemoCon", timezone=name))) is UTC
    assert zone_of(None) is UTC


def test_words_leave_the_day_out_where_it_is_the_same() -> None:
    assert in_words(LATE, BERLIN) == "2026-11-25 00:30"
    assert in_words(LATE, BERLIN, LATE + timedelta(hours=5)) == "00:30"
    assert in_words(LATE, BERLIN, LATE - timedelta(hours=1)) == "2026-11-25 00:30"


def test_the_edge_of_the_calendar_stays_as_it_is() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert in_zone(first, NEW_YORK) == first
    assert in_zone(last, BERLIN) == last
    assert in_words(first, NEW_YORK) == "0001-01-01 00:00"
