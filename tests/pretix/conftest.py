"""The box's side of a scripted pretix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgebox.upstream.pretix import PretixConnection, PretixFeed, PretixUpstream
from tests.pretix.side import Seconds, connected
from tests.support.pretix import EVENT, PretixStub


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def connection(pretix: PretixStub, seconds: Seconds) -> Iterator[PretixConnection]:
    """The box, registered with the scripted pretix."""
    connection = connected(pretix, seconds)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def feed(connection: PretixConnection, seconds: Seconds) -> PretixFeed:
    return PretixFeed(connection, EVENT, monotonic=seconds)


@pytest.fixture
def upstream(connection: PretixConnection, feed: PretixFeed) -> PretixUpstream:
    """The list "Default" of the scripted pretix."""
    return PretixUpstream(connection, feed, 1)
