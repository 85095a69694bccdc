"""A real box whose database is damaged, while it runs and before it starts: what the gates, staff and commands see."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgebox.box import Box
from edgebox.config import Config
from edgebox.store.damage import NOTICE
from edgebox.store.db import DATABASE_NAME
from tests.api.conftest import KEY
from tests.store.evening import spoil
from tests.support.box import BoxProcess, wait_until
from tests.support.event import StubEvent

TICKETS = 300


def prepare(box: BoxProcess, *, copies: int) -> Path:
    """A box with a list from a file, a scanner, and as many copies; its database."""
    event = StubEvent()
    event.add_tickets(TICKETS, "t")
    made = Box(Config(data_dir=box.data_dir))
    list_ = made.add_saved({"status": event.status(), "download": event.download()}, "the test's event")
    made.scanners.add("Gate 1", list_.id, key=KEY)
    for _ in range(copies):
        made.store.copies.make(datetime.now(UTC), keep=3)
    made.close()
    return box.data_dir / DATABASE_NAME


def pages_of(database: Path, name: str) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,))]


def test_a_box_whose_database_breaks_restores_it_by_itself(box: BoxProcess) -> None:
    database = prepare(box, copies=1)
    broken = pages_of(database, "ticket_secret")
    box.start()
    spoil(database, *broken)
    refused = box.redeem(KEY, "t000000", nonce="n")
    assert refused.status_code == 503
    assert refused.json()["reason"] == "unavailable"
    wait_until(lambda: "the box starts again" in box.output, 30, "it found out what it is")
    wait_until(box._is_healthy, 30, "it serves again")
    assert box.redeem(KEY, "t000000", nonce="n").json()["status"] == "ok"
    assert box.redeem(KEY, "t000000").json()["reason"] == "already_redeemed"

    told = box.json("status", "--json")["database"]
    assert told["problem"] is None
    (restored,) = told["restored"]
    assert (restored["salvaged"], restored["known_missing"]) == (0, 0)
    assert (box.data_dir / restored["kept_in"] / DATABASE_NAME).exists()
    assert "The database was damaged" in box.run("status").stdout
    assert "edgebox attention seen" in box.run("attention").stdout
    assert box.run("attention", "seen").returncode == 0
    assert box.json("status", "--json")["database"]["restored"] == []
    assert box.run("attention").stdout == "Nothing needs attention.\n"
    assert "nothing to dismiss" in box.run("attention", "seen", check=False).stderr
    assert box.stop() == 0


def test_without_a_copy_it_goes_on_as_far_as_it_can_and_says_so(box: BoxProcess) -> None:
    database = prepare(box, copies=0)
    broken = pages_of(database, "ticket_folded_code")
    box.start()
    spoil(database, *broken)
    assert box.get(KEY, "search/", query="ORDER").status_code == 503
    wait_until(lambda: (box.data_dir / NOTICE).exists(), 30, "it is written down for the next start")
    assert box.redeem(KEY, "t000000").json()["status"] == "ok"
    told = box.json("status", "--json")["database"]
    assert told["problem"]
    assert told["copies"] == 0
    assert "There is no good copy" in box.run("status").stdout
    box.kill()
    box.start()
    assert box.json("status", "--json")["database"]["problem"] == told["problem"]
    assert box.redeem(KEY, "t000001").json()["status"] == "ok"


@pytest.mark.parametrize("copies", [0, 1])
def test_a_box_that_starts_with_a_damaged_database(box: BoxProcess, copies: int) -> None:
    database = prepare(box, copies=copies)
    box.start()
    for number in range(20):
        assert box.redeem(KEY, f"t{number:06d}").json()["status"] == "ok"
    box.stop()
    spoil(database, 1)
    if copies:
        box.start()
        assert [row["secret"] for row in box.journal()] == [f"t{number:06d}" for number in range(20)]
        assert box.redeem(KEY, "t000007").json()["reason"] == "already_redeemed"
        assert "20 check-ins were salvaged" in box.output
        return
    with pytest.raises(AssertionError, match="ended with status 1"):
        box.start()
    assert "no good copy" in box.output
    assert "To begin anew" in box.output
    assert "Traceback" not in box.output
    for command in ("status", "log", "export"):
        done = box.run(command, check=False)
        assert done.returncode == 1
        assert "not a database" in done.stderr
