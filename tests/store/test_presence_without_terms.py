"""Lists whose upstream tells no terms, no times and no exits: who is inside follows from the box's own journal.

The SQL over a whole list says what the rule for one ticket says, whatever was scanned, told, pushed and undone before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgebox.model import ConflictReason, Direction, SourceKind
from edgebox.rules import is_inside
from edgebox.store import history
from edgebox.store.presence import ENTERED, parameters
from tests.store.venue import EIGHT, LET_IN, Venue, told

TICKETS = ("t1", "t2")
ENTRY, EXIT = Direction

tickets = st.sampled_from(TICKETS)
steps = st.lists(
    st.one_of(
        # When the phone says that it was, in minutes after eight; None: the box's own time.
        st.tuples(st.just("scan"), tickets, st.sampled_from(Direction), st.booleans(), st.none() | st.integers(-9, 9)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("park")),
        st.tuples(st.just("undo")),
        st.tuples(st.just("pull"), st.sets(tickets), st.sets(tickets)),  # who is there, and of these who is in
    ),
    max_size=16,
)


@pytest.fixture(scope="module")
def directories() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for each in made:
        shutil.rmtree(each, ignore_errors=True)


def do(venue: Venue, verb: str, *what: object) -> None:
    if verb == "scan":
        secret, direction, is_forced, minutes = what
        at = EIGHT + timedelta(minutes=minutes) if isinstance(minutes, int) else None
        venue.redeem(str(secret), direction=direction, is_forced=is_forced, datetime=at)
    elif verb == "settle":
        venue.settle()
    elif verb == "park":
        for checkin in venue.pending()[:1]:
            venue.store.journal.park(checkin, ConflictReason.REFUSED, "no", venue.now)
    elif verb == "undo":
        undoable = [row.checkin for row in venue.journal if venue.store.journal.is_undoable(row.checkin)]
        if undoable:
            venue.store.journal.undo(undoable[-1].id, "Bea", "wrong guest", venue.now)
    else:
        there, redeemed = what
        assert isinstance(there, set)
        assert isinstance(redeemed, set)
        venue.pull(*(told(secret, redeemed=secret in redeemed) for secret in TICKETS if secret in there))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(kind=st.sampled_from([SourceKind.PRETIXDROID, SourceKind.FILE]), steps=steps)
# Forced back in after an exit, and then upstream has it all.
@example(
    kind=SourceKind.PRETIXDROID,
    steps=[
        ("scan", "t1", ENTRY, False, None), ("scan", "t1", EXIT, False, None), ("scan", "t1", ENTRY, True, None),
        ("settle",), ("pull", {"t1"}, {"t1"}),
    ],
)  # fmt: skip
# The exit that was told last was before that.
@example(
    kind=SourceKind.PRETIXDROID,
    steps=[
        ("scan", "t1", ENTRY, False, 0), ("scan", "t1", ENTRY, True, 5), ("settle",), ("pull", {"t1"}, {"t1"}),
        ("scan", "t1", EXIT, False, 3),
    ],
)  # fmt: skip
# An entry that was undone upstream is no longer a reason to be inside.
@example(
    kind=SourceKind.PRETIXDROID,
    steps=[
        ("scan", "t1", EXIT, False, None), ("scan", "t1", ENTRY, False, None), ("settle",), ("pull", {"t1"}, set()),
        ("scan", "t1", ENTRY, False, -9),
    ],
)  # fmt: skip
def test_many_tickets_at_a_time_are_counted_as_each_by_itself(
    directories: list[Path], kind: SourceKind, steps: list[tuple[object, ...]]
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="presence-"))
    directories.append(directory)
    venue = Venue(directory, kind=kind)
    try:
        venue.pull(*map(told, TICKETS))
        for verb, *what in steps:
            do(venue, str(verb), *what)
        agrees(venue)
    finally:
        venue.close()


def agrees(venue: Venue) -> None:
    connection, inside = venue.store.reading(), venue.inside()
    values = parameters(connection, venue.list_)
    entered = {row[0] for row in connection.execute(ENTERED, values)}
    for secret in TICKETS:
        held = history.find(connection, venue.list_, secret)
        assert held is not None
        has_entered = any(past.direction is ENTRY for past in held.history)
        assert (held.ticket.id in entered) == has_entered == venue.is_in(secret)
        assert (secret in inside) == is_inside(held.history)


# --- the cases that matter most, by name ------------------------------------------------------------------------------


@pytest.fixture
def guest(venue: Venue) -> Venue:
    """One of two tickets has come in."""
    venue.pull(told("t1"), told("t2"))
    assert venue.scan() is LET_IN
    assert venue.inside() == {"t1"}
    return venue


def counts(venue: Venue) -> tuple[int, int, int]:
    of = venue.store.tickets.counts(venue.list_).all
    return of.total, of.checkins, of.inside


def test_who_leaves_was_there_and_is_not_inside(guest: Venue) -> None:
    assert guest.scan(direction=EXIT) is LET_IN
    assert guest.inside() == set()
    assert counts(guest) == (2, 1, 0)


def test_who_leaves_without_having_come_is_not_inside(guest: Venue) -> None:
    guest.scan("t2", direction=EXIT)
    assert counts(guest) == (2, 1, 1)


def test_who_leaves_twice_has_left(guest: Venue) -> None:
    guest.scan(direction=EXIT)
    guest.scan(direction=EXIT)
    assert counts(guest) == (2, 1, 0)


def test_who_is_forced_in_again_is_inside_whatever_upstream_knows(guest: Venue) -> None:
    guest.scan(direction=EXIT)
    guest.scan(is_forced=True)
    assert guest.inside() == {"t1"}
    guest.settle()
    assert guest.inside() == {"t1"}, "upstream has it"
    guest.pull(told("t1", redeemed=True), told("t2"))
    assert guest.inside() == {"t1"}, "and tells of it"
    guest.scan(direction=EXIT)
    assert guest.inside() == set()


def test_who_came_in_elsewhere_is_inside_until_the_box_sees_them_leave(venue: Venue) -> None:
    venue.pull(told("t1", redeemed=True), told("t2"))
    assert venue.inside() == {"t1"}
    venue.scan(direction=EXIT)
    assert venue.inside() == set()
    assert counts(venue) == (2, 1, 0)


def test_whose_entry_is_undone_upstream_is_not_inside(guest: Venue) -> None:
    guest.settle()
    guest.pull(told("t1"), told("t2"))
    assert counts(guest) == (2, 0, 0)
    guest.scan(direction=EXIT)
    assert counts(guest) == (2, 0, 0)


def test_of_an_exit_that_is_undone_nothing_is_left(guest: Venue) -> None:
    guest.scan(direction=EXIT)
    guest.store.journal.undo(guest.checkin.id, "Bea", "only looked out", guest.now)
    assert guest.inside() == {"t1"}


def test_it_goes_by_when_it_was_not_by_when_it_was_told(guest: Venue) -> None:
    """A phone that was offline hands in an exit of before the entry."""
    guest.scan(direction=EXIT, datetime=EIGHT - timedelta(minutes=5))
    assert guest.inside() == {"t1"}
    guest.scan(direction=EXIT, datetime=EIGHT + timedelta(minutes=5))
    assert guest.inside() == set()


def test_of_two_at_the_same_instant_the_later_on_record_counts(guest: Venue) -> None:
    guest.scan(direction=EXIT, datetime=guest.now)
    assert guest.inside() == set()
    guest.scan("t2", direction=EXIT, datetime=EIGHT)
    guest.scan("t2", datetime=EIGHT)
    assert guest.inside() == {"t2"}


def test_counts_are_of_each_item(guest: Venue) -> None:
    guest.pull(told("t1"), told("t2", item_id=20, variation_id=7))
    guest.scan("t2")
    guest.scan("t2", direction=EXIT)
    of = guest.store.tickets.counts(guest.list_)
    assert {item: (n.total, n.checkins, n.inside) for item, n in of.by_item.items()} == {10: (1, 1, 1), 20: (1, 1, 0)}
    assert {kind: (n.total, n.checkins, n.inside) for kind, n in of.by_variation.items()} == {(20, 7): (1, 1, 0)}


def test_another_lists_exits_are_its_own(guest: Venue) -> None:
    """The same ticket on a second list of the box, with a source of its own."""
    first = guest.list_id
    guest.list_id = guest.add_list().id
    guest.pull(told("t1"), told("t2"))
    guest.scan(direction=EXIT)
    assert counts(guest) == (2, 0, 0)
    guest.list_id = first
    assert guest.inside() == {"t1"}
