"""Whatever happens on an evening, every rule of the model holds: in one process, an evening in a moment."""

from __future__ import annotations

import re

import pytest

from tests.evenings.drawing import let_happen
from tests.evenings.one_thread import one_thread
from tests.evenings.plan import DIALECTS, NEW, OLD, make
from tests.evenings.running import outcome, shortened
from tests.evenings.simulated import SimulatedEvening

EVENINGS = {OLD: 60, NEW: 40}
MANY = {OLD: 2000, NEW: 1000}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds(dialect: str) -> None:
    let_happen(EVENINGS[dialect], lambda seed: outcome(make(dialect, seed)), shortened=shortened)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds_on_many_evenings(dialect: str) -> None:
    let_happen(MANY[dialect], lambda seed: outcome(make(dialect, seed)), shortened=shortened)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_seed_is_the_same_evening_each_time(dialect: str) -> None:
    first, second = (story(evening_of(dialect, 7)) for _ in range(2))
    assert first == second


def story(evening: SimulatedEvening) -> list[str]:
    """Without the nonces that the box makes up: they are random for good."""
    return [re.sub("[0-9a-f]{32}", "some nonce", line) for line in evening.story]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_much_happens_on_evenings(dialect: str) -> None:
    missing = {"settled", "cancelled", "entry", "exit", "taken plain", "taken forced", "no answer", "is_undone"}
    missing |= {"is_closed", "is_off", "refused as already_redeemed", "refused as unpaid"}
    for seed in range(EVENINGS[dialect]):
        evening = evening_of(dialect, seed)
        seen = {"no answer" for line in evening.story if "no answer" in line}
        for checkin in evening.model.checkins:
            seen.update([checkin.state, checkin.ask.direction, f"taken {checkin.taken}"])
            seen.update(f"refused as {reason}" for reason in checkin.refusals)
            seen.update(name for name in ("is_undone", "is_closed", "is_off") if getattr(checkin, name))
        missing -= seen
        if not missing:
            return
    pytest.fail(f"none of the evenings had {sorted(missing)}")


def evening_of(dialect: str, seed: int) -> SimulatedEvening:
    """An evening that is over."""
    with one_thread():
        evening = SimulatedEvening(make(dialect, seed))
        try:
            evening.happen()
        finally:
            evening.close()
    return evening
