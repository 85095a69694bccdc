"""Whatever lies on the road to the ticket server: nothing lost, nothing twice, nobody in who should not be.

An evening (pull, scan, push, pull) is spent again and again, with each fault on each of its requests: once, for a
while, and now and then. Then the road is free, and upstream must have what was answered `ok`, once each, and nothing
else; the box must hold what upstream tells, park nothing, flag nothing but what really happened twice, and be online.
"""

from __future__ import annotations

import pytest

from tests.link.dialects import DIALECTS, Dialect, Yard
from tests.link.road import Obstacle

MAX_S, MAX_MB = 20.0, 120.0
"""For one evening, whatever comes: many times what it takes, and little of what a body without end would take."""

WAYS = ("once", "for a while", "now and then")
CASES = [pytest.param(dialect, name, id=f"{dialect.name}: {name}") for dialect in DIALECTS for name in dialect.faults]


@pytest.fixture(autouse=True)
def trusted(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The box takes the road's good certificate for good."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", yard.certificates().good)


def ways_of(dialect: Dialect, obstacle: Obstacle, at: int) -> dict[str, frozenset[int]]:
    """A fault that takes its time is waited for once only."""
    hits = dialect.hits(at)
    return {"once": hits["once"]} if obstacle.is_slow or obstacle.is_big else hits


def all_ways_of(dialect: Dialect, obstacle: Obstacle, at: int) -> dict[str, frozenset[int]]:
    """Where there are many requests, longer faults begin at each third."""
    ways = ways_of(dialect, obstacle, at)
    return ways if dialect.requests < 10 or at % 3 == 0 else {"once": ways["once"]}


def spend(yard: Yard, dialect: Dialect, obstacle: Obstacle, hits: frozenset[int]) -> None:
    came = yard.spend(dialect, obstacle, hits)
    assert came.hit, "it lay where nobody came along"
    assert came.took_s < MAX_S
    assert came.peak_mb < MAX_MB


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])
def test_an_evening_on_which_nothing_happens(yard: Yard, dialect: Dialect) -> None:
    assert yard.spend(dialect, None).requests == dialect.requests


@pytest.mark.parametrize(("dialect", "fault"), CASES)
def test_a_fault_on_some_request_costs_nothing(yard: Yard, dialect: Dialect, fault: str) -> None:
    """Some of all cases, and over all faults each request and each way."""
    number = list(dialect.faults).index(fault)
    obstacle = dialect.faults[fault]
    ways = ways_of(dialect, obstacle, number % dialect.requests)
    way = WAYS[number % len(WAYS)]
    spend(yard, dialect, obstacle, ways.get(way, ways["once"]))


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "fault"), CASES)
def test_a_fault_on_any_request_costs_nothing(yard: Yard, dialect: Dialect, fault: str) -> None:
    obstacle = dialect.faults[fault]
    failures = []
    for at in range(dialect.requests):
        for way, hits in all_ways_of(dialect, obstacle, at).items():
            try:
                spend(yard, dialect, obstacle, hits)
            except AssertionError as failure:
                failures.append(f"request {at}, {way}: {failure}")
    assert not failures, "\n".join(failures)
