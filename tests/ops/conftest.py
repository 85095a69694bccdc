"""Machines on which the box was installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.debian import STICK, SUITES, Machine, bundle, debian
from tests.support.machine import require


@dataclass(frozen=True)
class Installed:
    """What an installation left, to be laid under any number of machines; and what it said."""

    suite: str
    layers: tuple[Path, ...]
    said: str


@pytest.fixture(scope="module", params=sorted(SUITES))
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A fresh Debian on which scripts/install ran from a stick, without a network and before its first boot."""
    require("unshare", package="util-linux")
    suite: str = request.param
    machine = Machine(tmp_path_factory.mktemp(suite), [debian(suite)])
    try:
        machine.plug_in(bundle())
        said = machine.run("bash", f"{STICK}/scripts/install")
    finally:
        machine.close()
    return Installed(suite, (machine.upper, *machine.lower), said)


@pytest.fixture
def machine(installed: Installed, tmp_path: Path) -> Iterator[Machine]:
    """One with the box on it, not booted."""
    machine = Machine(tmp_path / "machine", installed.layers)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def booted(machine: Machine) -> Machine:
    """The same, booted: the box has started by itself."""
    machine.boot()
    return machine
