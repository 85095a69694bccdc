"""Trying passwords: slow for whoever guesses, at once for everybody else, and never many at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edgebox.web.guard import FORGET_AFTER_S, FREE_TRIES, IN_LINE, MAX_DELAY_S, Guard, Later
from tests.support.box import wait_until


@contextmanager
def suppress_later() -> Iterator[list[float]]:
    """Collects for how long somebody was sent away."""
    waits: list[float] = []
    try:
        yield waits
    except Later as later:
        waits.append(later.wait_s or 0.0)


class Tried:
    """A guard with a time of its own, and how often it let anybody check."""

    def __init__(self) -> None:
        self.now_s = 500.0
        self.guard = Guard(lambda: self.now_s)
        self.checked = 0

    def attempt(self, who: str, is_right: bool = False) -> bool:
        def check() -> bool:
            self.checked += 1
            return is_right

        return self.guard.attempt(who, check)

    def wait_s(self, who: str) -> float:
        """How long somebody has to wait; 0 when he may try."""
        before = self.checked
        with suppress_later() as caught:
            self.attempt(who)
        assert caught or self.checked == before + 1
        assert not caught or self.checked == before, "nothing was checked"
        return caught[0] if caught else 0.0


@pytest.fixture
def tried() -> Tried:
    return Tried()


def fail(tried: Tried, who: str, count: int) -> None:
    """So many wrong tries, each as soon as it may be."""
    for _ in range(count):
        tried.now_s += MAX_DELAY_S
        assert not tried.attempt(who)


def test_the_first_few_tries_are_free(tried: Tried) -> None:
    assert [tried.attempt("a") for _ in range(FREE_TRIES)] == [False] * FREE_TRIES
    assert tried.wait_s("a") > 0


def test_then_the_wait_doubles_up_to_a_bound(tried: Tried) -> None:
    fail(tried, "a", FREE_TRIES)
    waits = []
    for _ in range(8):
        waits.append(tried.wait_s("a"))
        tried.now_s += waits[-1]
        tried.attempt("a")
    assert waits == [1, 2, 4, 8, 16, MAX_DELAY_S, MAX_DELAY_S, MAX_DELAY_S]


def test_trying_while_one_has_to_wait_does_not_make_it_longer(tried: Tried) -> None:
    fail(tried, "a", FREE_TRIES + 3)
    first = tried.wait_s("a")
    for _ in range(100):
        assert tried.wait_s("a") == first
    tried.now_s += first / 2
    assert tried.wait_s("a") == first / 2


def test_nobody_is_ever_locked_out(tried: Tried) -> None:
    fail(tried, "a", 3000)
    assert tried.wait_s("a") == MAX_DELAY_S
    tried.now_s += MAX_DELAY_S
    assert tried.attempt("a", is_right=True)


def test_others_do_not_wait_for_who_guesses(tried: Tried) -> None:
    fail(tried, "a", 20)
    assert tried.wait_s("a") > 0
    assert tried.attempt("b", is_right=True)


def test_who_was_right_begins_anew(tried: Tried) -> None:
    fail(tried, "a", FREE_TRIES)
    tried.now_s += MAX_DELAY_S
    assert tried.attempt("a", is_right=True)
    assert [tried.attempt("a") for _ in range(FREE_TRIES)] == [False] * FREE_TRIES


def test_what_was_long_ago_is_forgotten(tried: Tried) -> None:
    fail(tried, "a", 20)
    tried.now_s += FORGET_AFTER_S + 1
    assert [tried.attempt("a") for _ in range(FREE_TRIES)] == [False] * FREE_TRIES
    assert tried.wait_s("a") == 1


def test_what_is_remembered_is_bounded(tried: Tried) -> None:
    for number in range(10_050):
        tried.attempt(f"address {number}")
    assert len(tried.guard._failures) == 10_000
    assert "address 10049" in tried.guard._failures


class Slow:
    """Checks that take until they are let go; how many run at once."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        with self._lock:
            self.running -= 1
        return False


def run(calls: list[Callable[[], object]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_one_check_runs_at_a_time_and_few_wait_in_line() -> None:
    guard, slow = Guard(), Slow()
    outcomes: list[float | bool | None] = []

    def attempt(who: str) -> None:
        try:
            outcomes.append(guard.attempt(who, slow))
        except Later as later:
            outcomes.append(later.wait_s)

    threads = run([lambda number=number: attempt(f"address {number}") for number in range(20)])  # type: ignore[misc]
    assert slow.begun.acquire(timeout=60)
    wait_until(lambda: len(outcomes) >= 20 - IN_LINE, 60, "all beyond the line are sent away, and hold no thread")
    assert outcomes == [None] * (20 - IN_LINE)
    for _ in range(IN_LINE):
        slow.go_on.release()
    for thread in threads:
        thread.join(60)
    assert slow.most == 1
    assert outcomes[20 - IN_LINE :] == [False] * IN_LINE


def test_guesses_of_one_that_stand_in_line_are_not_free(tried: Tried) -> None:
    """All have come before the first of them was found wrong."""
    slow = Slow()
    outcomes: list[float | bool | None] = []

    def guess() -> None:
        try:
            outcomes.append(tried.guard.attempt("a", slow))
        except Later as later:
            outcomes.append(later.wait_s)

    threads = run([guess] * IN_LINE)
    wait_until(lambda: tried.guard._line._value == 0, 60, "all stand in line")
    for _ in range(IN_LINE):
        slow.go_on.release()
    for thread in threads:
        thread.join(60)
    assert outcomes == [False] * FREE_TRIES + [1.0] * (IN_LINE - FREE_TRIES)


def test_a_check_that_fails_frees_the_line(tried: Tried) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    for _ in range(IN_LINE + 1):
        with pytest.raises(ZeroDivisionError):
            tried.guard.attempt("a", broken)
    assert tried.attempt("a", is_right=True)
