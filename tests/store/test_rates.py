"""Check-ins a minute: what the journal has, counted once however often somebody asks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edgebox.clock import Stamp
from edgebox.model import RedeemRequest
from edgebox.store.rates import MinuteCount
from edgebox.store.redeem import Scan
from tests.store.venue import EIGHT, Venue, many

STEPS = 50
"""Of SQLite's machine, between two counts."""


@pytest.fixture(autouse=True)
def tickets(venue: Venue) -> None:
    venue.take_in(many(60))


def per_minute(venue: Venue, since_min: int = -60) -> list[tuple[int, str, int]]:
    """Minutes after eight, name, check-ins."""
    counts = venue.store.rates.per_minute(EIGHT + timedelta(minutes=since_min))
    return [(int((count.minute - EIGHT) / timedelta(minutes=1)), count.device_name, count.checkins) for count in counts]


def scan(venue: Venue, number: int, minute: float) -> None:
    assert venue.redeem(f"s{number:04d}", at=EIGHT + timedelta(minutes=minute)).verdict.is_ok


def test_checkins_are_counted_by_minute_and_device(venue: Venue) -> None:
    for number, minute in enumerate((0, 0.5, 0.99, 1, 5)):
        scan(venue, number, minute)
    venue.device = venue.add_device("Gate 2")
    scan(venue, 10, 1)
    assert per_minute(venue) == [(0, "Gate 1", 3), (1, "Gate 1", 1), (1, "Gate 2", 1), (5, "Gate 1", 1)]
    assert venue.store.rates.per_minute(EIGHT)[0] == MinuteCount(EIGHT, "Gate 1", 3)


def test_before_the_first_there_are_none(venue: Venue) -> None:
    assert per_minute(venue) == []
    assert per_minute(venue) == []
    scan(venue, 1, 0)
    assert per_minute(venue) == [(0, "Gate 1", 1)]


def test_what_comes_between_two_looks_is_added(venue: Venue) -> None:
    scan(venue, 1, 0)
    assert per_minute(venue) == [(0, "Gate 1", 1)]
    scan(venue, 2, 0.1)
    scan(venue, 3, 1)
    assert per_minute(venue) == per_minute(venue) == [(0, "Gate 1", 2), (1, "Gate 1", 1)]


def test_refusals_and_repeats_do_not_count(venue: Venue) -> None:
    venue.redeem("s0001", at=EIGHT, nonce="n")
    venue.redeem("s0001", at=EIGHT, nonce="n")
    venue.redeem("s0001", at=EIGHT)
    assert per_minute(venue) == [(0, "Gate 1", 1)]


def test_an_undone_one_does_not_count(venue: Venue) -> None:
    for number in (1, 2, 3):
        scan(venue, number, 0)
    assert per_minute(venue) == [(0, "Gate 1", 3)]
    venue.store.journal.undo(venue.checkin.id, "Bea", "wrong guest", EIGHT)
    assert per_minute(venue) == [(0, "Gate 1", 2)]
    scan(venue, 4, 0)
    assert per_minute(venue) == [(0, "Gate 1", 3)]


def test_one_by_hand_counts_for_who_made_it(venue: Venue) -> None:
    stamp = Stamp(EIGHT, "this-boot", 1.0, is_trusted=True)
    venue.store.redeemer.redeem(
        Scan(venue.list_id, None, RedeemRequest("s0001"), stamp, is_offline=False, staff_name="Bea")
    )
    assert per_minute(venue) == [(0, "Bea", 1)]


def test_what_is_too_long_ago_is_left_out_and_forgotten(venue: Venue) -> None:
    scan(venue, 1, 0)
    scan(venue, 2, 10)
    assert per_minute(venue, since_min=0) == [(0, "Gate 1", 1), (10, "Gate 1", 1)]
    assert per_minute(venue, since_min=5) == [(10, "Gate 1", 1)]
    assert len(venue.store.rates._counts) == 1
    scan(venue, 3, 10)
    assert per_minute(venue, since_min=5) == [(10, "Gate 1", 2)]


def test_a_clock_that_was_set_back_loses_nothing(venue: Venue) -> None:
    scan(venue, 1, 0)
    scan(venue, 2, 60)
    assert per_minute(venue, since_min=30) == [(60, "Gate 1", 1)]
    assert per_minute(venue, since_min=-30) == [(0, "Gate 1", 1), (60, "Gate 1", 1)]


def test_a_checkin_with_an_earlier_time_than_the_last_counts_too(venue: Venue) -> None:
    """The clock was set back between the two."""
    scan(venue, 1, 10)
    assert per_minute(venue) == [(10, "Gate 1", 1)]
    scan(venue, 2, 3)
    assert per_minute(venue) == [(3, "Gate 1", 1), (10, "Gate 1", 1)]


def test_looking_again_does_not_read_the_evening_again(venue: Venue) -> None:
    for number in range(50):
        scan(venue, number, number / 10)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += STEPS

    reader = venue.store.reading()
    reader.set_progress_handler(count, STEPS)
    try:
        per_minute(venue)
        first, steps = steps, 0
        scan(venue, 50, 5)
        per_minute(venue)
    finally:
        reader.set_progress_handler(None, STEPS)
    assert first > 500
    assert steps < first / 4
