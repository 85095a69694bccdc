"""One box for all attacks of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A box that staff have set up."""
    opened = Target(tmp_path_factory.mktemp("fuzzed"))
    try:
        yield opened
    finally:
        opened.close()
