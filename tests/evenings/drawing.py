"""Evenings of seeds that Hypothesis draws."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.evenings.running import Failure


def let_happen(
    evenings: int,
    outcome: Callable[[int], Failure | None],
    *,
    shortened: Callable[[Failure], Failure] = lambda failure: failure,
) -> None:
    """Let so many happen; fails with the story of the first that goes wrong. `outcome` is the one of a seed."""
    failures: list[Failure] = []

    # The same seeds each time: new ones are looked for by hand (python -m tests.evenings), not by whoever runs the
    # tests for something else. A smaller seed is no simpler evening: Hypothesis has nothing to shrink.
    @settings(
        max_examples=evenings, deadline=None, database=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 10**9))
    def happens(seed: int) -> None:
        if not failures:  # one that failed is asked for again, and need not be the same with a real process
            failures.extend(filter(None, [outcome(seed)]))
        assert not failures

    logging.disable()  # what the box thinks of it all
    try:
        happens()
    except AssertionError:
        if not failures:
            raise
        pytest.fail(str(shortened(failures[0])), pytrace=False)
    finally:
        logging.disable(logging.NOTSET)
