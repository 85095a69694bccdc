"""Now, asked for by everybody again and again: cheap while nothing changes, and never a search through the evening."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgebox.box import Box, ListStatus
from edgebox.store.staff import Role
from edgebox.web import charts
from edgebox.web import now as now_module
from tests.support.upstream import StubUpstream
from tests.web.conftest import Browser, House

STEPS = 1
"""Of SQLite's machine, between two counts."""
EVENING = 240


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
    assert evening.box.status()[0].pending > 100
    assert steps_of(evening, evening.box.status) < 3 * EVENING


def test_once_it_is_pushed_there_is_nothing_left_to_count(evening: House) -> None:
    evening.pull()
    evening.box.status()
    assert evening.box.status()[0].pending == 0
    assert steps_of(evening, evening.box.status) < EVENING / 2


def test_many_pages_look_once_and_what_they_show_is_made_once(evening: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """For everybody who sees the same: the gate, the lead, a wall, a reader of another language."""
    monkeypatch.setattr(now_module, "LOOK_EVERY_S", 3600.0)
    people = {role: [evening.person(role) for _ in range(3)] for role in Role}
    people[Role.LEAD][0].post("/language", language="de")
    looks, drawn = [0], [0]
    status, draw = Box.status, charts.draw

    def counted_status(self: Box) -> list[ListStatus]:
        looks[0] += 1
        return status(self)

    def counted_draw(*args: Any) -> Any:
        drawn[0] += 1
        return draw(*args)

    monkeypatch.setattr(Box, "status", counted_status)
    monkeypatch.setattr(charts, "draw", counted_draw)
    for _ in range(5):
        for browser in [*people[Role.GATE], *people[Role.LEAD]]:
            browser.get("/now/live")
            browser.get("/now/live?wall")
    assert looks[0] == 0, "the page with the language had looked already"
    # Two charts in a window, one on a wall; for the gate, the lead, and the lead in German.
    assert drawn[0] == 3 * (2 + 1)


def test_a_change_shows_with_the_next_look(house: House, gate: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(now_module, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(now_module, "REST_FACTOR", 0)
    before = gate.get("/now/live")
    house.scan("secret-of-ada")
    after = gate.get("/now/live", headers={"If-None-Match": before.headers["ETag"]})
    assert after.headers["ETag"] != before.headers["ETag"]
    assert "1 of 2" in after.text


def test_many_at_once_see_the_same(evening: House) -> None:
    browsers = [evening.person(Role.GATE) for _ in range(8)]
    pages: list[str] = []

    def look(browser: Browser) -> None:
        for _ in range(5):
            pages.append(browser.get("/now/live").text)

    threads = [threading.Thread(target=look, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 40
    assert all(f"{EVENING} of {EVENING + 50}" in page for page in pages)
