"""Who comes first: a push that tells upstream of a check-in, or an undo that keeps it from doing so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store.claims import Claims
from edgebox.store.db import DATABASE_NAME, Connection, connect
from tests.store.venue import Venue, told


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A database in which an earlier process has recorded three check-ins."""
    venue = Venue(tmp_path)
    venue.pull(told("t1"), told("t2"), told("t3"))
    for secret in ("t1", "t2", "t3"):
        venue.scan(secret)
    venue.close()
    with closing(connect(tmp_path / DATABASE_NAME)) as opened:
        yield opened


def test_what_upstream_may_know_cannot_be_taken_back(connection: Connection) -> None:
    claims = Claims(connection)
    assert not claims.may_be_told(4)
    assert claims.claim(4)
    assert claims.may_be_told(4)
    assert not claims.take_back(4)
    assert claims.claim(4), "a push may try again"


def test_what_was_taken_back_cannot_be_told(connection: Connection) -> None:
    claims = Claims(connection)
    assert claims.take_back(4)
    assert not claims.claim(4)
    assert not claims.claim(4)
    assert not claims.may_be_told(4)


def test_an_undo_that_came_to_nothing_leaves_the_checkin_to_the_push(connection: Connection) -> None:
    claims = Claims(connection)
    claims.take_back(4)
    claims.give_back(4)
    assert claims.claim(4)


def test_what_an_earlier_process_recorded_may_have_been_told(connection: Connection) -> None:
    claims = Claims(connection)
    for checkin_id in (1, 2, 3):
        assert claims.may_be_told(checkin_id)
        assert not claims.take_back(checkin_id)
        assert claims.claim(checkin_id)
    assert claims.take_back(4)


def test_on_an_empty_box_nothing_was_told(tmp_path: Path) -> None:
    Venue(tmp_path).close()
    with closing(connect(tmp_path / DATABASE_NAME)) as connection:
        assert Claims(connection).take_back(1)


def test_what_is_settled_is_no_longer_remembered(connection: Connection) -> None:
    claims = Claims(connection)
    claims.claim(4)
    claims.settled(4)
    assert not claims.may_be_told(4), "its state says the rest"


def test_of_a_claim_and_an_undo_at_once_exactly_one_succeeds(connection: Connection) -> None:
    claims = Claims(connection)
    rounds = range(10, 2010)
    start = threading.Barrier(2)
    told_ids: set[int] = set()
    undone_ids: set[int] = set()

    def push() -> None:
        start.wait()
        told_ids.update(checkin_id for checkin_id in rounds if claims.claim(checkin_id))

    def undo() -> None:
        start.wait()
        undone_ids.update(checkin_id for checkin_id in reversed(rounds) if claims.take_back(checkin_id))

    threads = [threading.Thread(target=push), threading.Thread(target=undo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told_ids | undone_ids == set(rounds)
    assert not told_ids & undone_ids
