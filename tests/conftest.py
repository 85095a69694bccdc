"""Fixtures that any test may use, and what tests against a real pretix need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pretix.current import PRETIX_CURRENT
from tests.support.box import REPOSITORY, BoxProcess
from tests.support.pretix import PretixStub
from tests.support.upstream import StubUpstream

PRETIX_LEGACY = Path(os.environ.get("EDGEBOX_PRETIX_LEGACY") or REPOSITORY.parent / "shared" / "pretix-legacy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slow`: also the long versions."""
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless they are asked for. (By -m alone it could not be done: the last one counts.)"""
    if config.getoption("--slow") or "slow" in config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip interop tests where the real server is not at hand, unless it has to be."""
    marker = item.get_closest_marker("interop")
    if marker is None:
        return
    version, folder, variable = "3.5.0", PRETIX_LEGACY, "EDGEBOX_PRETIX_LEGACY"
    if marker.args == ("current",):
        version, folder, variable = "2026.8.0", PRETIX_CURRENT, "EDGEBOX_PRETIX_CURRENT"
    if (folder / "run.sh").exists():
        return
    missing = f"no real pretix {version} at {folder} ({variable} names another directory)"
    if os.environ.get("EDGEBOX_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{missing}, and EDGEBOX_REQUIRE_INTEROP=1 does not let these tests be skipped", pytrace=False)
    pytest.skip(missing)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[BoxProcess]:
    """A box on a fresh data directory, not started; whatever state the test leaves it in, it is gone afterwards."""
    process = BoxProcess(tmp_path / "data")
    try:
        yield process
    finally:
        process.kill()
        print(f"--- output of the box ---\n{process.output}")


@pytest.fixture
def stub() -> Iterator[StubUpstream]:
    """A scripted ticket server, listening."""
    server = StubUpstream().start()
    try:
        yield server
    finally:
        server.stop()
    assert not server.errors, f"the stub itself went wrong: {server.errors}"


@pytest.fixture
def pretix() -> Iterator[PretixStub]:
    """A scripted pretix of today, listening."""
    stub = PretixStub()
    try:
        yield stub
    finally:
        stub.stop()
    assert not stub.errors, f"the stub itself went wrong: {stub.errors}"
