"""The record of syncs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edgebox.store import runs as runs_module
from edgebox.store.runs import SyncRun
from tests.store.venue import EIGHT, Venue


def add(venue: Venue, verb: str, text: str, *, is_ok: bool = True, list_id: int = 1) -> None:
    venue.now += timedelta(minutes=1)
    venue.store.runs.add(list_id, verb, venue.now, 0.5, is_ok=is_ok, text=text)


def test_runs_are_kept_newest_first(venue: Venue) -> None:
    add(venue, "pull", "400 tickets")
    add(venue, "push", "12 check-ins")
    newest, oldest = venue.store.runs.newest(10)
    assert newest == SyncRun(
        1, "push", EIGHT + timedelta(minutes=2), EIGHT + timedelta(minutes=2), 1, 0.5, True, "12 check-ins"
    )
    assert (oldest.verb, oldest.text) == ("pull", "400 tickets")
    assert venue.store.runs.newest(1) == [newest]


def test_one_list_can_be_chosen(venue: Venue) -> None:
    add(venue, "pull", "one")
    add(venue, "pull", "two", list_id=2)
    assert [run.text for run in venue.store.runs.newest(10, 2)] == ["two"]
    assert [run.text for run in venue.store.runs.newest(10)] == ["two", "one"]


def test_a_failure_that_repeats_only_raises_a_count(venue: Venue) -> None:
    for _ in range(3):
        add(venue, "push", "no connection", is_ok=False)
        add(venue, "pull", "no connection", is_ok=False)
    pull, push = venue.store.runs.newest(10)
    assert (push.verb, push.count, push.at, push.last_at) == (
        "push", 3, EIGHT + timedelta(minutes=1), EIGHT + timedelta(minutes=5),
    )  # fmt: skip
    assert (pull.verb, pull.count) == ("pull", 3)


def test_another_failure_a_success_and_another_list_are_news(venue: Venue) -> None:
    add(venue, "push", "no connection", is_ok=False)
    add(venue, "push", "a login page", is_ok=False)
    add(venue, "push", "a login page", is_ok=False, list_id=2)
    add(venue, "push", "3 check-ins")
    add(venue, "push", "3 check-ins")
    add(venue, "push", "no connection", is_ok=False)
    assert [run.count for run in venue.store.runs.newest(10)] == [1] * 6


def test_they_are_bounded_in_number(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "KEPT", 5)
    for number in range(9):
        add(venue, "pull", f"{number} tickets")
    assert [run.text for run in venue.store.runs.newest(10)] == [f"{number} tickets" for number in (8, 7, 6, 5, 4)]
