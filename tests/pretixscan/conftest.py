"""A served box for each test, and what its lists come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pretixscan.gate import Gate

OpenGate = Callable[..., Gate]


@pytest.fixture
def open_gate(tmp_path: Path) -> Iterator[OpenGate]:
    """Opens boxes with these settings (`at`: on a data directory that is there already); all are closed afterwards."""
    opened: list[Gate] = []

    def open_one(at: Path | None = None, **settings: Any) -> Gate:
        opened.append(Gate(at or tmp_path / f"data{len(opened)}", **settings))
        return opened[-1]

    yield open_one
    for gate in opened:
        gate.close()


@pytest.fixture
def gate(open_gate: OpenGate) -> Gate:
    """One box with the usual settings."""
    return open_gate()
