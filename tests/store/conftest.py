"""A venue for each test, closed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.desk import Desk
from tests.store.evening import Evening
from tests.store.parting import Parting
from tests.store.venue import Venue


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    """A store with one list that has an upstream, and one scanner."""
    opened = Venue(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session")
def in_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """An evening of which everything since the copy is still in the log."""
    evening = Evening(tmp_path_factory.mktemp("in-log") / "data")
    yield evening
    evening.close()


@pytest.fixture(scope="session")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """An evening of which everything is in the database itself."""
    evening = Evening(tmp_path_factory.mktemp("moved") / "data", has_moved=True)
    yield evening
    evening.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], Venue]]:
    """Opens what is left of an evening, and closes it afterwards."""
    venues: list[Venue] = []

    def open_(database: Path) -> Venue:
        venues.append(Venue(database.parent))
        return venues[-1]

    yield open_
    for venue in venues:
        venue.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a box that was used for a list that stays and one that leaves; to be copied."""
    data_dir = tmp_path_factory.mktemp("filled") / "data"
    data_dir.mkdir()
    opened = Parting(data_dir)
    opened.fill()
    opened.close()
    return data_dir
