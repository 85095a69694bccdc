"""What makes the box fast, as facts that can be counted: statements, commits, indexes, pages. Nothing here is timed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebox.devices.naming import ItemNames
from edgebox.devices.pretixdroid.telling import TICKET_KEYS
from edgebox.model import Direction, Question
from edgebox.store.choosing import choose
from edgebox.store.db import Connection
from edgebox.store.tickets import Counts
from tests.store.venue import (
    DEADLINE_S,
    LET_IN,
    HeldWriter,
    Venue,
    a_catalog,
    commits_in_wal,
    frames_in_wal,
    many,
    told,
)

LARGE = frozenset({"ticket", "checkin", "own", "told_checkin", "attempt", "ticket_name"})
"""Tables (and what queries call them) that grow with the event or the evening."""


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    opened = Venue(tmp_path)
    opened.store.lists.learn(opened.list_, a_catalog(Question(7, "S", "?", False, 0, frozenset({10}))), subevent=None)
    opened.pull(*many(60, redeemed=lambda number: number % 7 == 0))
    yield opened
    opened.close()


def statements(venue: Venue, action: Callable[[], object]) -> list[str]:
    """What writer and reader run meanwhile, values filled in."""
    seen: list[str] = []
    writer, reader = venue.store._writer, venue.store.reading()
    writer.write(lambda connection: connection.set_trace_callback(seen.append))
    reader.set_trace_callback(seen.append)
    try:
        action()
    finally:
        reader.set_trace_callback(None)
        writer.write(lambda connection: connection.set_trace_callback(None))
    return seen


def of_tables(seen: list[str]) -> list[str]:
    """Without what only begins and ends transactions."""
    return [each for each in seen if re.match(r"(SELECT|INSERT|UPDATE|DELETE)\b", each)]


def search(venue: Venue, query: str) -> None:
    venue.store.tickets.search(venue.list_, query, item_ids=frozenset({10}), by_name=True, limit=25)


def download(venue: Venue) -> list[str]:
    return list(venue.store.encoded.counted(venue.list_, None, TICKET_KEYS, ItemNames(venue.list_).of))


def choose_a_list(venue: Venue) -> None:
    lists = (venue.list_, venue.add_list(event="another"))
    choose(venue.store.reading(), lists, "s0003", lambda secret, keys: None)
    choose(venue.store.reading(), lists, "nobody", lambda secret, keys: None)


AT_THE_GATE: dict[str, Callable[[Venue], object]] = {
    "let in": lambda venue: venue.scan("s0001", answers={7: "x"}, questions_supported=True, nonce="a"),
    "refused": lambda venue: venue.scan("s0007"),
    "forced": lambda venue: venue.scan("s0014", is_forced=True),
    "unknown": lambda venue: venue.scan("nobody", nonce="b"),
    "search by name": lambda venue: search(venue, "guest"),
    "search by secret": lambda venue: search(venue, "s000"),
    "on its way out": lambda venue: venue.scan("s0007", direction=Direction.EXIT),
    "one of several lists": choose_a_list,
    "status": lambda venue: venue.store.tickets.counts(venue.list_),
    "download": lambda venue: download(venue),
    "a look at one ticket": lambda venue: venue.store.tickets.find(venue.list_, "s0003"),
}


@pytest.mark.parametrize("name", AT_THE_GATE)
def test_each_query_at_the_gate_has_its_index(venue: Venue, name: str) -> None:
    seen = of_tables(statements(venue, lambda: AT_THE_GATE[name](venue)))
    assert seen, "nothing was asked"
    for statement in seen:
        plan = [row["detail"] for row in venue.store.reading().execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not looks_through_a_table(plan), (statement, plan)


def looks_through_a_table(plan: list[str]) -> bool:
    """Whether SQLite goes through all rows of a large table without an index (of which it may need the whole)."""
    scans = (re.match(r"SCAN (\w+)(.*)", detail) for detail in plan)
    return any(scan[1] in LARGE and "INDEX" not in scan[2] for scan in scans if scan)


def test_a_lists_numbers_are_one_look_at_its_tickets_however_many_have_left(venue: Venue) -> None:
    for number in range(1, 30):
        venue.scan(f"s{number:04d}")
        venue.scan(f"s{number:04d}", direction=Direction.EXIT)
    counted: list[Counts] = []
    seen = of_tables(statements(venue, lambda: counted.append(venue.store.tickets.counts(venue.list_))))
    assert (counted[0].all.total, counted[0].all.checkins, counted[0].all.inside) == (60, 34, 5)
    numbers = [each for each in seen if "count(*)" in each]
    assert len(numbers) == 1
    assert len(seen) <= 2, "and one for when the source was told last"
    plan = [row["detail"] for row in venue.store.reading().execute(f"EXPLAIN QUERY PLAN {numbers[0]}")]
    assert not looks_through_a_table(plan), plan
    assert [each for each in plan if "ticket_counted" in each] == [
        "SEARCH ticket USING INDEX ticket_counted (source_id=?)"
    ]
    assert any("checkin_exit" in each for each in plan), "only who has left is looked at for it"


def test_a_query_without_an_index_would_be_seen(venue: Venue) -> None:
    rows = venue.store.reading().execute("EXPLAIN QUERY PLAN SELECT * FROM ticket WHERE addons_text = 'x'")
    assert looks_through_a_table([row["detail"] for row in rows])


@pytest.mark.parametrize("scans", [1, 16])
def test_scans_that_wait_at_once_share_commit_and_statements(venue: Venue, scans: int) -> None:
    venue.store.lists.learn(venue.list_, a_catalog(), subevent=None)  # a question needs a look of its own
    before = commits_in_wal(venue.data_dir)
    asked: list[object] = []
    secrets = [f"s{number:04d}" for number in range(1, 60) if number % 7][:scans]

    def all_at_once() -> None:
        with ThreadPoolExecutor(scans) as phones:
            held = HeldWriter(venue.store._writer)
            waiting = [phones.submit(venue.scan, secret) for secret in secrets]
            held.wait_for(redeems=scans)
            held.release()
            asked.extend(future.result(DEADLINE_S) for future in waiting)

    seen = of_tables(statements(venue, all_at_once))
    assert asked == [LET_IN] * scans
    assert commits_in_wal(venue.data_dir) - before == 1
    assert [re.split(r" ticket\.| \(", each)[0] for each in seen] == ["SELECT", "INSERT INTO checkin"]


def test_a_download_is_put_together_by_sqlite_many_tickets_in_a_statement(venue: Venue) -> None:
    venue.pull(*many(1200))
    pieces: list[str] = []
    seen = of_tables(statements(venue, lambda: pieces.extend(download(venue))))
    assert len(json.loads(f"[{','.join(pieces)}]")) == 1200
    assert len(pieces) == 3
    assert len(seen) <= 6


def test_an_unchanged_snapshot_writes_next_to_nothing(venue: Venue) -> None:
    tickets = many(60, redeemed=lambda number: number % 7 == 0)
    before, pages = commits_in_wal(venue.data_dir), frames_in_wal(venue.data_dir)
    venue.pull(*tickets)
    assert commits_in_wal(venue.data_dir) - before == 1, "that it was whole is kept, and nothing else"
    assert frames_in_wal(venue.data_dir) - pages <= 3


def test_the_index_of_names_is_whole_although_nothing_but_the_store_keeps_it(venue: Venue) -> None:
    venue.pull(*(told(f"s{number:04d}", attendee_name=f"Guest {number}") for number in range(50)))
    venue.pull(*(told(f"s{number:04d}", attendee_name=f"Renamed {number}") for number in range(49)))
    search(venue, "renamed")

    def check(connection: Connection) -> None:
        connection.execute("INSERT INTO ticket_name (ticket_name, rank) VALUES ('integrity-check', 1)")

    venue.store._writer.write(check)
    venue.store.lists.remove(venue.list_id, venue.now)
    venue.store._writer.write(check)
    triggers = venue.store.reading().execute("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'").fetchone()[0]
    assert triggers == 0, "each ticket's name would become a piece of the index of its own, on disk at once"
