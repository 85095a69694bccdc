"""A venue for each test, closed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.desk import Desk
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
