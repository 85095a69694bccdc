"""Now, asked for by everybody again and again: cheap while nothing changes, and never a search through the evening."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebox.store.staff import Role
from tests.support.upstream import StubUpstream
from tests.web.conftest import Browser, House

STEPS = 50
"""Of SQLite's machine, between two counts."""
EVENING = 600


@pytest.fixture
def evening(tmp_path: Path, stub: StubUpstream) -> Iterator[House]:
    """A box with a journal: some of it settled, some pending."""
    stub.add_tickets(EVENING + 50)
    (tmp_path / "data").mkdir()
    house = House(tmp_path / "data", stub)
    for number in range(EVENING):
        house.scan(f"secret{number:06d}")
        if number == EVENING // 2:
            house.pull()
    yield house
    house.close()


def steps_of(house: House, action: object, repeat: int = 1) -> int:
    """How much SQLite has to do for it, in this thread."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += STEPS

    reader = house.box.store.reading()
    reader.set_progress_handler(count, STEPS)
    try:
        for _ in range(repeat):
            action()  # type: ignore[operator]
    finally:
        reader.set_progress_handler(None, STEPS)
    return steps


def test_while_nothing_changes_nothing_is_sent(house: House, gate: Browser) -> None:
    first = gate.get("/now/live")
    etag = first.headers["ETag"]
    again = gate.get("/now/live", 304, headers={"If-None-Match": etag})
    assert again.data == b""
    assert again.headers["ETag"] == etag
    assert again.headers["Cache-Control"] == "no-cache"


def test_what_the_gate_and_the_lead_get_is_not_the_same(house: House, gate: Browser, lead: Browser) -> None:
    house.scan("secret-of-ada")
    house.scan("secret-of-ada", is_forced=True)
    for_gate, for_lead = gate.get("/now/live"), lead.get("/now/live")
    assert 'href="/attention"' in for_lead.text
    assert 'href="/attention"' not in for_gate.text
    assert for_gate.headers["ETag"] != for_lead.headers["ETag"]


def test_looking_does_not_write(house: House, gate: Browser) -> None:
    gate.get("/now/live")
    wal = house.box.config.data_dir / "edgebox.sqlite3-wal"
    before = wal.read_bytes()
    for _ in range(10):
        gate.get("/now/live")
    assert wal.read_bytes() == before


def test_how_things_stand_is_known_without_a_search_through_the_journal(evening: House) -> None:
    """While nothing changes: not by the tickets, nor by what is settled. What is pending is counted in its index."""
    evening.box.status()
    assert evening.box.status()[0].pending > 200
    assert steps_of(evening, evening.box.status) < 3 * EVENING


def test_once_it_is_pushed_there_is_nothing_left_to_count(evening: House) -> None:
    evening.pull()
    evening.box.status()
    assert evening.box.status()[0].pending == 0
    assert steps_of(evening, evening.box.status) < EVENING / 2


def test_twenty_pages_cost_little_more_than_one(evening: House) -> None:
    browsers = [evening.person(Role.GATE) for _ in range(20)]
    for browser in browsers:
        browser.get("/now/live")
    one = steps_of(evening, lambda: browsers[0].get("/now/live"))
    twenty = steps_of(evening, lambda: [browser.get("/now/live") for browser in browsers])
    # Each asks who he is; all else is looked at once for all.
    assert twenty < 20 * max(one, 200) + 3 * EVENING
    assert twenty < 10 * EVENING
