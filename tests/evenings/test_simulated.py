"""Whatever happens on an evening, every rule of the model holds: in one process, an evening in a moment."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.evenings.one_thread import one_thread
from tests.evenings.plan import DIALECTS, NEW, OLD, make
from tests.evenings.running import Failure, outcome, shortened
from tests.evenings.simulated import SimulatedEvening

EVENINGS = {OLD: 60, NEW: 40}
MANY = {OLD: 2000, NEW: 1000}


class Failed(AssertionError):
    """With what is to be told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What the box thinks of it all would fill a failure's pages."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds(dialect: str) -> None:
    let_happen(dialect, EVENINGS[dialect])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_rule_holds_on_many_evenings(dialect: str) -> None:
    let_happen(dialect, MANY[dialect])


def let_happen(dialect: str, evenings: int) -> None:
    """Evenings of random seeds. Of one that fails, what is told is its shortest form."""

    @settings(
        max_examples=evenings, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 10**9))
    def happens(seed: int) -> None:
        failure = outcome(make(dialect, seed))
        if failure is not None:
            raise Failed(failure)

    try:
        happens()
    except Failed as failed:
        pytest.fail(str(shortened(failed.failure)), pytrace=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_seed_is_the_same_evening_each_time(dialect: str) -> None:
    first, second = (story(evening_of(dialect, 7)) for _ in range(2))
    assert first == second


def story(evening: SimulatedEvening) -> list[str]:
    """Without the nonces that the box makes up: they are random for good."""
    return [re.sub("[0-9a-f]{32}", "some nonce", line) for line in evening.story]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_much_happens_on_evenings(dialect: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(10):
        for checkin in evening_of(dialect, seed).model.checkins:
            seen.update([checkin.state, checkin.ask.direction, f"taken {checkin.taken}"])
            seen.update(f"refused as {reason}" for reason in checkin.refusals)
            seen.update(name for name in ("is_undone", "is_closed", "is_off") if getattr(checkin, name))
    expected = {"settled", "cancelled", "entry", "exit", "taken plain", "taken forced", "is_undone"}
    expected |= {"is_closed", "is_off", "refused as already_redeemed", "refused as unpaid"}
    assert expected <= seen.keys(), sorted(seen.items())


def evening_of(dialect: str, seed: int) -> SimulatedEvening:
    """An evening that is over."""
    with one_thread():
        evening = SimulatedEvening(make(dialect, seed))
        try:
            evening.happen()
        finally:
            evening.close()
    return evening
