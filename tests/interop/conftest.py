"""The real server of the interop tests: one for all of them, since each start takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import PRETIX_LEGACY
from tests.interop.gate import Gate
from tests.interop.legacy import LegacyPretix
from tests.interop.relay import Relay
from tests.support.box import BoxProcess


@pytest.fixture(scope="session")
def _pretix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LegacyPretix]:
    server = LegacyPretix(PRETIX_LEGACY, tmp_path_factory.mktemp("pretix") / "data")
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def pretix(_pretix: LegacyPretix) -> LegacyPretix:
    """A running pretix 3.5.0. Its data is shared: each test uses tickets of its own (`take`, named cases)."""
    if not _pretix.is_running or _pretix.has_plain_begin:
        _pretix.kill()
        _pretix.start()
    return _pretix


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
    """Make the box a list of the server (by the named key), a device for it, start it, and pull once.

    `url` is another address of the same server.
    """

    def opened(config: str = "full", *device_options: str, url: str = "") -> Gate:
        list_id = box.add_list(url or pretix.url, "-", input=pretix.key(config) + "\n")
        key = box.add_device(f"gate {config}", list_id, *device_options)
        if not box.is_running:
            box.start()
        # Now, so that the schedule has no reason to pull while the test looks the other way.
        box.run("sync")
        return Gate(box, pretix, config, list_id, key)

    return opened
