"""Fixtures of the tests of sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.upstream import StubUpstream
from tests.sync.venue import SECRET, Venue

OpenVenue = Callable[..., Venue]


@pytest.fixture
def open_venue(tmp_path: Path, stub: StubUpstream) -> Iterator[OpenVenue]:
    """Opens boxes on the stub (`directory`, the settings, and what else `Venue` takes); all are closed afterwards."""
    opened: list[Venue] = []

    def open_one(directory: str = "data", **options: Any) -> Venue:
        opened.append(Venue(tmp_path / directory, stub, **options))
        return opened[-1]

    yield open_one
    for venue in opened:
        venue.close()


@pytest.fixture
def venue(open_venue: OpenVenue) -> Venue:
    """One box on the stub."""
    return open_venue()


@pytest.fixture
def recorded(venue: Venue, stub: StubUpstream) -> Venue:
    """A box with one check-in that is pending, after upstream was heard once."""
    stub.add_tickets(5)
    venue.line.pull()
    assert venue.scan(SECRET).verdict.is_ok
    return venue
