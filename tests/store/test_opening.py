"""Opening the database: the schema step by step, whose it is, and who may read it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebox.model import Reason
from edgebox.store import NotWritable, StoreError, migrations, open_for_reading, reserve
from edgebox.store.db import DATABASE_NAME, Connection, connect
from edgebox.store.readers import Readers
from tests.store.venue import DEADLINE_S, LET_IN, Venue, told


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return connect(tmp_path / DATABASE_NAME)


def schema(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")]


# --- migrations -------------------------------------------------------------------------------------------------------


def test_an_empty_database_gets_every_step_once(connection: Connection) -> None:
    names = [name for _, name, _ in migrations.all_steps()]
    assert [step[1] for step in migrations.pending(connection)] == names
    assert schema(connection) == [], "asking changes nothing"
    assert migrations.apply(connection) == names
    assert migrations.applied(connection) == migrations.all_steps()[-1][0]
    after = schema(connection)
    assert migrations.pending(connection) == []
    assert migrations.apply(connection) == []
    assert schema(connection) == after


def test_steps_are_numbered_in_order_and_each_number_is_used_once() -> None:
    numbers = [number for number, _, _ in migrations.all_steps()]
    assert numbers == list(range(1, len(numbers) + 1))


ONE = (1, "0001_one", "CREATE TABLE a (x);\n-- A comment; with a semicolon.\nINSERT INTO a VALUES (1);")
TWO = (
    2,
    "0002_two",
    "CREATE TABLE b (x);\nCREATE TRIGGER t AFTER INSERT ON b\nBEGIN\n    DELETE FROM a;\n    DELETE FROM b;\nEND;",
)
BROKEN = (2, "0002_two", "CREATE TABLE b (x);\nINSERT INTO a VALUES (2);\nINSERT INTO nowhere VALUES (1);")


def test_a_later_step_is_applied_to_what_is_there(connection: Connection) -> None:
    assert migrations.apply(connection, [ONE]) == ["0001_one"]
    assert migrations.apply(connection, [ONE, TWO]) == ["0002_two"]
    connection.execute("INSERT INTO b VALUES (1)")
    assert connection.execute("SELECT count(*) FROM a").fetchone()[0] == 0


def test_a_step_that_fails_leaves_the_schema_before_it_and_can_be_tried_again(connection: Connection) -> None:
    migrations.apply(connection, [ONE])
    before = schema(connection)
    with pytest.raises(sqlite3.Error):
        migrations.apply(connection, [ONE, BROKEN])
    assert (schema(connection), migrations.applied(connection)) == (before, 1)
    assert not connection.in_transaction
    assert [row[0] for row in connection.execute("SELECT x FROM a")] == [1]
    assert migrations.apply(connection, [ONE, TWO]) == ["0002_two"]


def test_a_step_without_its_last_semicolon_is_not_half_applied(connection: Connection) -> None:
    with pytest.raises(ValueError, match="not complete"):
        migrations.apply(connection, [(1, "0001_cut", "CREATE TABLE a (x);\nCREATE TABLE b (x)")])
    assert schema(connection) == []


def test_a_step_that_is_killed_half_way_leaves_the_schema_before_it(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    child = os.fork()
    if child == 0:
        connection = connect(path)
        connection.create_function("die", 0, lambda: os._exit(9))
        migrations.apply(connection, [ONE])
        migrations.apply(connection, [ONE, (2, "0002_two", "CREATE TABLE b (x);\nSELECT die();")])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    connection = connect(path)
    assert migrations.applied(connection) == 1
    assert schema(connection) == ["CREATE TABLE a (x)"]
    connection.close()


# --- whose database it is ---------------------------------------------------------------------------------------------


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    Venue(tmp_path).close()
    connection = connect(tmp_path / DATABASE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = hashlib.sha256((tmp_path / DATABASE_NAME).read_bytes()).digest()
    with pytest.raises(StoreError, match="newer edgebox"):
        Venue(tmp_path)
    with pytest.raises(StoreError, match="newer edgebox"):
        open_for_reading(tmp_path)
    assert hashlib.sha256((tmp_path / DATABASE_NAME).read_bytes()).digest() == before


def test_reading_beside_the_box_needs_a_database_of_this_edgebox(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no box yet"):
        open_for_reading(tmp_path)
    connect(tmp_path / DATABASE_NAME).close()
    with pytest.raises(StoreError, match="older than this edgebox"):
        open_for_reading(tmp_path)
    (tmp_path / DATABASE_NAME).unlink()
    Venue(tmp_path).close()
    reader = open_for_reading(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM checkin")
    reader.close()


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("notes of the evening, and nothing that SQLite knows" * 100)
    for opens in (Venue, open_for_reading):
        with pytest.raises(StoreError, match="not a database"):
            opens(tmp_path)
    assert (tmp_path / DATABASE_NAME).read_text().startswith("notes of the evening")


def test_a_damaged_database_gives_errors_of_the_store_and_the_writer_lives(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    venue.take_in([told(f"s{number:05d}", attendee_name=f"Guest {number}") for number in range(500)])
    venue.close()
    venue = Venue(tmp_path)
    damage(tmp_path / DATABASE_NAME, "ticket", "checkin", "attempt")
    for asks in (
        lambda: venue.scan("s00001"),
        lambda: list(venue.store.tickets.counted(venue.list_, None)),
        lambda: venue.store.tickets.search(venue.list_, "guest", item_ids=None, by_name=True, limit=25),
        lambda: venue.pull(told("new")),
        lambda: venue.journal,
        lambda: venue.log(),
        lambda: venue.scan("s00001"),
    ):
        with pytest.raises(StoreError):
            asks()
        assert not venue.store.reading().in_transaction
    assert venue.add_list(event="another") in venue.store.lists.all(), "what can be written is written"
    assert venue.store.soundness.is_suspected.is_set()
    venue.close()


def damage(path: Path, *tables: str) -> None:
    """Turn the first page of these tables and of each of their indexes into rubbish."""
    connection = connect(path)
    page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    marks = ", ".join("?" * len(tables))
    roots = connection.execute(f"SELECT rootpage FROM sqlite_schema WHERE tbl_name IN ({marks})", tables).fetchall()
    connection.close()
    content = bytearray(path.read_bytes())
    for (number,) in roots:
        content[(number - 1) * page_size : number * page_size] = b"\xa5" * page_size
    path.write_bytes(content)


def test_a_place_where_no_database_can_be_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).mkdir()
    with pytest.raises(NotWritable, match="cannot be opened"):
        Venue(tmp_path)


def test_odd_characters_in_the_path_are_no_trouble(tmp_path: Path) -> None:
    odd = tmp_path / "50% of #1? yes & no é"
    odd.mkdir()
    venue = Venue(odd)
    venue.pull(told())
    assert venue.scan() is LET_IN
    venue.close()
    assert sorted(entry.name for entry in odd.iterdir()) == [reserve.NAME, DATABASE_NAME]


# --- who may read it --------------------------------------------------------------------------------------------------


def test_nobody_else_may_read_the_database_nor_what_lies_beside_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        Venue(tmp_path).close()
        (tmp_path / DATABASE_NAME).chmod(0o666)
        venue = Venue(tmp_path)
        venue.pull(told())
        venue.scan()
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
    finally:
        os.umask(mask)
    venue.close()
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


# --- readers ----------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_really_on_the_disk(tmp_path: Path) -> None:
    connection = connect(tmp_path / DATABASE_NAME)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    connection.close()


def test_a_reader_in_the_past_holds_up_no_scan(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    download = venue.store.tickets.counted(venue.list_, None)
    next(download)
    assert venue.scan("t1") is LET_IN
    assert venue.scan("t1") is Reason.ALREADY_REDEEMED
    download.close()  # type: ignore[attr-defined]


def test_each_thread_reads_with_a_connection_of_its_own(venue: Venue) -> None:
    together = threading.Barrier(4)

    def look() -> Connection:
        together.wait(DEADLINE_S)
        assert venue.store.reading() is venue.store.reading()
        return venue.store.reading()

    with ThreadPoolExecutor(4) as pool:
        connections = [future.result(DEADLINE_S) for future in [pool.submit(look) for _ in range(4)]]
    assert len(set(map(id, connections))) == 4


def test_a_reader_sees_one_state_from_its_first_look_to_its_last(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    counting = "SELECT count(*) FROM checkin"
    with venue.store._readers.reading() as connection:
        before = connection.execute(counting).fetchone()[0]
        venue.scan("t1")
        with venue.store._readers.reading() as inner:
            assert inner.execute(counting).fetchone()[0] == before
        venue.scan("t2")
        assert connection.execute(counting).fetchone()[0] == before
    with venue.store._readers.reading() as connection:
        assert connection.execute(counting).fetchone()[0] == before + 2


def test_a_query_that_is_wrong_in_itself_looks_like_the_bug_it_is_and_leaves_no_transaction(tmp_path: Path) -> None:
    connect(tmp_path / DATABASE_NAME).close()
    readers = Readers(tmp_path / DATABASE_NAME)

    def look() -> None:
        with readers.reading() as connection, readers.reading():
            connection.execute("SELECT * FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        look()
    assert not readers.get().in_transaction
    readers.close()
