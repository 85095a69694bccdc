"""The warnings that a scanner fell silent or that the rate dropped; and when there is nothing to warn of."""

from __future__ import annotations

import threading

import pytest

from edgebox.activity import Activity, ActivityMeter


class Evening:
    """Gates that scan steadily; `stop` makes some of them silent."""

    def __init__(self) -> None:
        self.now_s = 5000.0
        self.meter = ActivityMeter(lambda: self.now_s)

    def go_on(self, minutes: float, **scans_per_minute: float) -> Activity:
        """Let time pass, at so many scans a minute of each device."""
        step_s = 1.0
        due = dict.fromkeys(scans_per_minute, 0.0)
        for _ in range(int(minutes * 60 / step_s)):
            self.now_s += step_s
            for name, rate in scans_per_minute.items():
                due[name] += rate * step_s / 60
                while due[name] >= 1:
                    due[name] -= 1
                    self.meter.scanned(name)
        return self.meter.look()


@pytest.fixture
def evening() -> Evening:
    return Evening()


def test_at_first_there_is_nothing_to_say(evening: Evening) -> None:
    assert evening.meter.look() == Activity((), False, 0.0)


def test_while_all_scan_all_is_well(evening: Evening) -> None:
    activity = evening.go_on(30, a=12, b=6)
    assert (activity.silent, activity.has_dropped) == ((), False)
    assert activity.per_minute == pytest.approx(18, abs=1)


# --- a scanner falls silent -------------------------------------------------------------------------------------------


def test_a_scanner_that_was_scanning_and_stops_is_named(evening: Evening) -> None:
    evening.go_on(15, a=12, b=12)
    assert evening.go_on(4, a=12).silent == ()
    (silent,) = evening.go_on(3, a=12).silent
    assert silent.name == "b"
    assert silent.silent_for_s == pytest.approx(7 * 60, abs=5)


def test_it_is_no_longer_named_once_it_scans_again(evening: Evening) -> None:
    evening.go_on(15, a=12, b=12)
    assert evening.go_on(7, a=12).silent
    evening.meter.scanned("b")
    assert evening.meter.look().silent == ()


def test_when_everybody_is_silent_the_doors_are_closed(evening: Evening) -> None:
    evening.go_on(15, a=12, b=12)
    evening.go_on(1, a=1)
    assert evening.go_on(10).silent == ()


def test_a_scanner_that_only_scanned_now_and_then_is_not_missed(evening: Evening) -> None:
    evening.go_on(30, a=12, b=0.2)
    assert evening.go_on(10, a=12).silent == ()


def test_a_scanner_with_a_handful_of_scans_is_not_missed(evening: Evening) -> None:
    evening.go_on(15, a=12)
    for _ in range(4):
        evening.meter.scanned("b")
    assert evening.go_on(10, a=12).silent == ()


def test_a_scanner_that_was_put_away_is_forgotten_after_an_hour(evening: Evening) -> None:
    evening.go_on(15, a=12, b=12)
    assert evening.go_on(55, a=12).silent
    assert evening.go_on(10, a=12).silent == ()


def test_a_scanner_that_was_revoked_is_forgotten_at_once(evening: Evening) -> None:
    evening.go_on(15, a=12, b=12)
    assert evening.go_on(7, a=12).silent
    evening.meter.forget("b")
    evening.meter.forget("never seen")
    assert evening.meter.look().silent == ()


# --- the rate drops ---------------------------------------------------------------------------------------------------


def test_a_sharp_drop_is_told_and_ends_when_the_rate_is_back(evening: Evening) -> None:
    evening.go_on(15, a=30, b=30)
    assert evening.go_on(3, a=4).has_dropped
    assert not evening.go_on(3, a=30, b=30).has_dropped


def test_a_slow_decline_is_how_an_evening_goes(evening: Evening) -> None:
    rate = 60.0
    while rate > 1:
        assert not evening.go_on(4, a=rate).has_dropped
        rate *= 0.7


def test_a_small_rate_may_come_to_nothing(evening: Evening) -> None:
    evening.go_on(20, a=8)
    assert not evening.go_on(3).has_dropped


def test_when_all_stop_at_once_it_is_told_and_after_five_minutes_the_doors_are_closed(evening: Evening) -> None:
    evening.go_on(15, a=30, b=30)
    assert evening.go_on(2.5).has_dropped
    assert not evening.go_on(2.6).has_dropped


# --- cheap ------------------------------------------------------------------------------------------------------------


def test_what_is_remembered_does_not_grow_with_the_evening(evening: Evening) -> None:
    evening.go_on(60, a=60)
    assert len(evening.meter._scans) <= 12 * 60 + 1
    assert len(evening.meter._latest["a"]) == 5


def test_scans_are_counted_from_many_threads() -> None:
    meter = ActivityMeter(lambda: 5000.0)

    def scan(name: str) -> None:
        for _ in range(500):
            meter.scanned(name)
            meter.look()

    threads = [threading.Thread(target=scan, args=(f"gate {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.look().per_minute == 1000
