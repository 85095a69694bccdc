"""What is done at the gate costs the same at the end of the evening as at its start: each query has its index.

Not timed: SQLite's own steps are counted, on a small venue and on one twenty times as large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebox.model import Direction, Question
from edgebox.store import tickets
from edgebox.store.db import Connection
from edgebox.store.log import entries
from tests.store.venue import LET_IN, Venue, a_catalog, told

SMALL, LARGE = 200, 4_000
STEPS = 5
"""SQLite reports about every so many steps."""


def fill(venue: Venue, count: int) -> None:
    """Tickets of which the first half are in (some told, some settled, some pending), and a long log."""
    venue.store.lists.learn(venue.list_, a_catalog(Question(7, "S", "?", True, 0, frozenset({10}))), subevent=None)
    half = count // 2
    venue.take_in(
        told(f"s{number:05d}", redeemed=number < half and number % 3 == 0, attendee_name=f"Guest {number:05d}")
        for number in range(count)
    )

    def job(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO checkin (list_id, ticket_id, device_id, secret, nonce, datetime, stamp, received_at, boot_id,"
            " boottime_s, is_forced, is_offline, ignores_unpaid, answers, state, settled_number, settled_at)"
            " SELECT 1, id, 1, secret, 'nonce', '2026-11-24T20:00:00.000000+00:00', 'trusted',"
            " '2026-11-24T20:00:00.000000+00:00', 'boot', 0, 0, 0, 0, '{\"7\": \"x\"}',"
            " iif(id % 10, 'settled', 'pending'), iif(id % 10, id, NULL), '2026-11-24T20:00:00.000000+00:00'"
            " FROM ticket WHERE id <= ?",
            (half,),
        )
        connection.execute("UPDATE checkin SET conflict = 'unpaid' WHERE id IN (3, 7)")
        connection.execute(
            "INSERT INTO attempt (list_id, device_id, ticket_id, secret, nonce, verdict, is_forced, at, last_at)"
            " SELECT 1, 1, id, secret, 'nonce', 'unpaid', 0, '2026-11-24T20:00:00.000000+00:00',"
            " '2026-11-24T20:00:00.000000+00:00' FROM ticket"
        )
        connection.execute("UPDATE counter SET value = ?", (count,))
        # In one piece: how many it happens to be in (never more than a few) says nothing about growth.
        connection.execute("INSERT INTO ticket_name (ticket_name) VALUES ('optimize')")

    venue.store._writer.write(job)


@pytest.fixture(scope="module")
def venues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Venue, Venue]]:
    """A small one and a large one."""
    opened = Venue(tmp_path_factory.mktemp("small")), Venue(tmp_path_factory.mktemp("large"))
    for venue, count in zip(opened, (SMALL, LARGE), strict=True):
        fill(venue, count)
    yield opened
    for venue in opened:
        venue.close()


def steps_of(venue: Venue, action: Callable[[Venue], object]) -> int:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += STEPS

    writer, reader = venue.store._writer, venue.store.reading()
    writer.write(lambda connection: connection.set_progress_handler(count, STEPS))
    reader.set_progress_handler(count, STEPS)
    try:
        action(venue)
    finally:
        reader.set_progress_handler(None, STEPS)
        writer.write(lambda connection: connection.set_progress_handler(None, STEPS))
    return steps


def compare(venue: Venue) -> None:
    """With what is told again, unchanged."""
    for number in range(101, 121):
        venue.look_up(told(f"s{number:05d}", attendee_name=f"Guest {number:05d}"))


ACTIONS: dict[str, Callable[[Venue], object]] = {
    "let in": lambda venue: venue.scan("s00150", answers={7: "x"}, questions_supported=True, nonce="a"),
    "the same nonce again": lambda venue: venue.scan("s00150", nonce="a"),
    "let out": lambda venue: venue.scan("s00150", direction=Direction.EXIT),
    "refused": lambda venue: venue.scan("s00002"),
    "forced": lambda venue: venue.scan("s00004", is_forced=True),
    "unknown": lambda venue: venue.scan("nobody", nonce="b"),
    "unknown again": lambda venue: venue.scan("nobody", nonce="b"),
    "asked": lambda venue: venue.scan("s00190", questions_supported=True),
    "looked at": lambda venue: venue.store.tickets.find(venue.list_, "s00005"),
    "searched by name": lambda venue: search(venue, "guest 0017"),
    "searched by secret": lambda venue: search(venue, "s0017"),
    "searched in vain": lambda venue: search(venue, "nobody at all"),
    "pending": lambda venue: venue.store.journal.pending(venue.list_id, after_id=0, limit=5, choked=False),
    "settled": lambda venue: venue.store.journal.settle(
        venue.store.journal.pending(venue.list_id, after_id=0, limit=1, choked=False)[0], venue.now
    ),
    "conflicts": lambda venue: venue.store.journal.open_conflicts(),
    "compared": compare,
    "looked up": lambda venue: venue.look_up(told("s00180", attendee_name="Renamed")),
    "last recorded": lambda venue: venue.store.stamps.last_recorded_at(),
    "log of a secret": lambda venue: venue.log(secret="s00004"),
    "first of the log": lambda venue: next(entries(venue.store.reading())),
}


def search(venue: Venue, query: str) -> None:
    venue.store.tickets.search(venue.list_, query, item_ids=frozenset({10}), by_name=True, limit=25)


@pytest.mark.parametrize("name", ACTIONS)
def test_the_work_at_the_gate_does_not_grow_with_the_evening(venues: tuple[Venue, Venue], name: str) -> None:
    small, large = (steps_of(venue, ACTIONS[name]) for venue in venues)
    assert small > 0, "nothing was counted"
    assert large <= 1.3 * small + 100, f"{small} steps on a small venue, {large} on a large one"


def test_the_count_above_would_see_a_search_through_everything(venues: tuple[Venue, Venue]) -> None:
    def look_through(venue: Venue) -> None:
        venue.store.reading().execute("SELECT count(*) FROM ticket WHERE told = -1").fetchone()

    small, large = (steps_of(venue, look_through) for venue in venues)
    assert large > 5 * small


def test_a_search_for_what_everybody_is_called_sorts_a_part_of_them(
    venues: tuple[Venue, Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MOST_SORTED", 100)
    small, large = (steps_of(venue, lambda venue: search(venue, "guest")) for venue in venues)
    assert large <= 1.3 * small + 100, f"{small} steps on a small venue, {large} on a large one"
    found = venues[1].store.tickets.search(venues[1].list_, "guest", item_ids=None, by_name=True, limit=25)
    names = [each.ticket.data.attendee_name for each in found]
    assert names == sorted(set(names), key=str)
    assert len(names) == 25


def test_counting_does_not_look_at_each_ticket_for_each_checkin(venues: tuple[Venue, Venue]) -> None:
    small, large = (steps_of(venue, lambda venue: venue.store.tickets.counts(venue.list_)) for venue in venues)
    assert large <= 1.5 * small * LARGE / SMALL


def test_a_pull_does_not_look_at_each_checkin_for_each_ticket(venues: tuple[Venue, Venue]) -> None:
    def pull(venue: Venue) -> None:
        count = venue.store.tickets.held(venue.list_)
        venue.take_in(
            told(f"s{number:05d}", redeemed=number < count // 2, attendee_name=f"Guest {number:05d}")
            for number in range(count)
        )

    small, large = (steps_of(venue, pull) for venue in venues)
    assert large <= 1.5 * small * LARGE / SMALL


def test_removing_a_list_does_not_look_at_everything_for_each_ticket(tmp_path: Path) -> None:
    steps = []
    for count in (SMALL, LARGE):
        venue = Venue(tmp_path_of(tmp_path, count))
        fill(venue, count)
        venue.list_id = venue.add_list().id
        venue.take_in(told(f"t{number:05d}", redeemed=True) for number in range(SMALL))
        steps.append(steps_of(venue, lambda venue: venue.store.lists.remove(venue.list_id, venue.now)))
        venue.close()
    assert steps[1] <= 1.5 * steps[0]


def tmp_path_of(tmp_path: Path, count: int) -> Path:
    path = tmp_path / str(count)
    path.mkdir()
    return path


def test_a_scan_needs_few_statements(venues: tuple[Venue, Venue]) -> None:
    """Each costs its share of a millisecond on a Pi; one more is one to think about."""
    statements: list[str] = []
    venue = venues[0]
    venue.store._writer.write(lambda connection: connection.set_trace_callback(statements.append))
    assert venue.scan("s00199", nonce="few", answers={7: "x"}, questions_supported=True) is LET_IN
    venue.store._writer.write(lambda connection: connection.set_trace_callback(None))
    own = [sql for sql in statements if sql.startswith(("SELECT", "INSERT INTO checkin", "UPDATE"))]
    assert len(own) <= 6, own
