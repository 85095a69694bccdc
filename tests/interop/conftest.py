"""The real servers of the interop tests: one of each for all of them, since each start takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PRETIX_LEGACY
from tests.interop.current_venue import Venue
from tests.interop.gate import Gate, new_gate
from tests.interop.legacy import LegacyPretix
from tests.interop.relay import Relay
from tests.pretix.current import PRETIX_CURRENT, CurrentPretix
from tests.support.box import BoxProcess


@pytest.fixture(scope="session")
def pretix_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LegacyPretix]:
    server = LegacyPretix(PRETIX_LEGACY, tmp_path_factory.mktemp("pretix") / "data")
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def pretix(pretix_server: LegacyPretix) -> LegacyPretix:
    """A running pretix 3.5.0. Its data is shared: each test takes tickets of its own."""
    return pretix_server.as_usual()


@pytest.fixture
def relay(pretix: LegacyPretix) -> Iterator[Relay]:
    """An address of the real server behind which faults can be put in the way."""
    server = Relay(pretix)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert not server.errors, f"the relay itself went wrong: {server.errors}"


@pytest.fixture
def open_gate(box: BoxProcess, pretix: LegacyPretix) -> Callable[..., Gate]:
    """`new_gate` at the test's box and server."""

    def opened(config: str = "full", *device_options: str, url: str = "") -> Gate:
        return new_gate(box, pretix, config, *device_options, url=url)

    return opened


@pytest.fixture(scope="session")
def current_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CurrentPretix]:
    server = CurrentPretix(PRETIX_CURRENT, tmp_path_factory.mktemp("current") / "data")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def server(current_server: CurrentPretix) -> CurrentPretix:
    """A running pretix 2026.8.0. Its data is shared: each test takes tickets of its own."""
    return current_server.as_usual()


@pytest.fixture
def open_venue(server: CurrentPretix, tmp_path: Path) -> Iterator[Callable[[str], Venue]]:
    opened: list[Venue] = []

    def open_one(name: str) -> Venue:
        opened.append(Venue(server, tmp_path / name, name))
        return opened[-1]

    yield open_one
    for venue in opened:
        venue.close()
