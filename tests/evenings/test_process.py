"""The same with a real box, which syncs by itself and is killed and started again: every rule holds."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.evenings.drawing import let_happen
from tests.evenings.plan import DIALECTS, STEPS_WITH_A_PROCESS, make
from tests.evenings.running import Failure, outcome_with_a_process

EVENINGS = 2
MANY = 25


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds(dialect: str, tmp_path: Path) -> None:
    let_happen_in(tmp_path, dialect, EVENINGS)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds_on_many_evenings(dialect: str, tmp_path: Path) -> None:
    let_happen_in(tmp_path, dialect, MANY)


def let_happen_in(home: Path, dialect: str, evenings: int) -> None:
    numbers = itertools.count()

    def outcome(seed: int) -> Failure | None:
        return outcome_with_a_process(make(dialect, seed, STEPS_WITH_A_PROCESS), home / f"data{next(numbers)}")

    let_happen(evenings, outcome)
