"""Rows read out of the pages of a file, without SQLite: the same as it would give, and never more than there is."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store.pages import NotWhole, Pages, Row, record

VALUES = [
    None, 0, 1, -1, 127, -128, 128, 32767, -32768, 8388607, -8388608, 2**31 - 1, -(2**31), 2**47 - 1, -(2**47), 2**62,
    -(2**63), 0.5, -1e300, "", "x", "Łukasz 🎫", "long " * 50, "over " * 3000, b"", b"\x00\xff", bytes(9000),
]  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "some.sqlite3", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, a, b, c)")
        connection.execute("CREATE TABLE pair (one INTEGER, other INTEGER, PRIMARY KEY (one, other)) WITHOUT ROWID")
        yield connection


def read(folder: Path, base: bytes = b"") -> list[Row]:
    (folder / "base").write_bytes(base)
    with closing(Pages(folder / "some.sqlite3", folder / "base")) as pages:
        return [row for row in pages.rows() if len(row.values) == 4]


def fill(database: sqlite3.Connection, count: int, seed: int = 0) -> list[tuple[object, ...]]:
    dice = random.Random(seed)
    rows: list[tuple[object, ...]] = [
        (dice.choice((1, -1)) * (5 + 7 * number**4), *dice.choices(VALUES, k=3)) for number in range(count)
    ]
    database.execute("BEGIN")
    database.executemany("INSERT INTO note VALUES (?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    return rows


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_every_row_is_read_with_every_kind_of_value(tmp_path: Path, page_size: int) -> None:
    with closing(sqlite3.connect(tmp_path / "some.sqlite3", isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size = {page_size}")
        database.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, a, b, c)")
        rows = fill(database, 300)
    assert {(row.id, *row.values[1:]) for row in read(tmp_path)} == set(rows)
    assert {row.values[0] for row in read(tmp_path)} == {None}, "SQLite keeps it as the row's id"


def test_rows_of_a_log_are_read_as_well(tmp_path: Path, database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    rows = fill(database, 50)
    rows += fill(database, 0)
    database.execute("UPDATE note SET a = 'changed' WHERE id = ?", (rows[7][0],))
    found = {row.id: row.values[1:] for row in read(tmp_path)}
    assert found == {row[0]: ("changed", *row[2:]) if row is rows[7] else row[1:] for row in rows}


def test_what_the_base_has_is_not_read_again(tmp_path: Path, database: sqlite3.Connection) -> None:
    rows = fill(database, 400)
    base = (tmp_path / "some.sqlite3").read_bytes()
    assert read(tmp_path, base) == []
    database.execute("UPDATE note SET a = 'changed' WHERE id = ?", (rows[200][0],))
    again = read(tmp_path, base)
    assert 0 < len(again) < 100
    assert "changed" in {row.values[1] for row in again if row.id == rows[200][0]}


def test_a_table_without_row_ids_is_read_from_its_first_page_on(tmp_path: Path, database: sqlite3.Connection) -> None:
    pairs = [(number, number * number) for number in range(3000)]
    database.execute("BEGIN")
    database.executemany("INSERT INTO pair VALUES (?, ?)", pairs)
    database.execute("COMMIT")
    root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'pair'").fetchone()[0]
    (tmp_path / "base").touch()
    with closing(Pages(tmp_path / "some.sqlite3", tmp_path / "base")) as pages:
        assert sorted(pages.entries(root)) == pairs
        assert list(pages.entries(1)) == []
        assert list(pages.entries(10**9)) == []


def test_what_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    (tmp_path / "some.sqlite3").touch()
    assert read(tmp_path) == []


@pytest.mark.parametrize("seed", range(40))
def test_rubbish_is_never_more_than_fewer_rows(tmp_path: Path, database: sqlite3.Connection, seed: int) -> None:
    rows = set(fill(database, 300, seed))
    dice = random.Random(seed)
    content = bytearray((tmp_path / "some.sqlite3").read_bytes())
    for _ in range(20):
        length = dice.choice((64, 512, 4096))
        start = dice.randrange(len(content) - length)
        content[start : start + length] = dice.randbytes(length)
    (tmp_path / "some.sqlite3").write_bytes(content)
    found = {(row.id, *row.values[1:]) for row in read(tmp_path)}
    assert len(found & rows) > 50
    assert all(len(row) == 4 for row in found)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\x05", b"\x02", b"\x02\x01", b"\x02\x0a", b"\x02\x0b", b"\x02\x01\x00\x00", b"\x03\x0f", b"\x02\x0f\xff",
        b"\xff" * 9, b"\x81", b"\x02\x0f\x00", b"\x02\x07\x00",
    ],
)  # fmt: skip
def test_a_record_that_is_not_one_is_refused(payload: bytes) -> None:
    with pytest.raises(NotWhole):
        record(payload)
