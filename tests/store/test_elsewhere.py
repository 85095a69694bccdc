"""Copies of the database: a purged list goes from those, too, and what cannot be looked into is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.model import TicketData
from edgebox.purging import OWN_FILES
from edgebox.store import migrations
from edgebox.store.db import DATABASE_NAME, connect
from edgebox.store.elsewhere import Cleaned, clean_folder
from edgebox.store.purger import remains
from edgebox.store.rows import add_tickets
from tests.store.parting import GUESTS, Parting, traces
from tests.store.venue import EIGHT

IN = GUESTS // 2


@pytest.fixture
def parting(tmp_path: Path, filled: Path) -> Iterator[Parting]:
    """A box, and a stick with a backup of it in a folder."""
    opened = Parting(shutil.copytree(filled, tmp_path / "data"))
    stick = tmp_path / "stick" / "backups"
    stick.mkdir(parents=True)
    opened.store.copy_to(stick / "evening.sqlite3")
    try:
        yield opened
    finally:
        opened.close()


def stick(parting: Parting) -> Path:
    return parting.data_dir.parent / "stick"


def test_a_copy_is_purged_and_whole(parting: Parting) -> None:
    parting.purge()
    copy = stick(parting) / "backups" / "evening.sqlite3"
    assert traces(stick(parting), "leaving")
    cleaned = clean_folder(stick(parting), parting.store.purger.ended(), EIGHT)
    assert (cleaned.done, cleaned.left) == ((copy,), ())
    assert traces(stick(parting), "leaving") == {}
    assert [path.name for path in copy.parent.iterdir()] == ["evening.sqlite3"], "it stands alone"
    with closing(connect(copy, read_only=True)) as connection:
        assert connection.execute("SELECT count(*) FROM checkin").fetchone()[0] == IN
        assert sum(each.count for each in remains(connection) if each.verdict == "ok") == IN
        assert connection.execute("SELECT removed_at FROM list WHERE id = 2").fetchone()[0] is None


def test_once_is_enough(parting: Parting) -> None:
    parting.purge()
    clean_folder(stick(parting), parting.store.purger.ended(), EIGHT)
    before = (stick(parting) / "backups" / "evening.sqlite3").stat()
    cleaned = clean_folder(stick(parting), parting.store.purger.ended(), EIGHT)
    assert (cleaned.done, cleaned.left) == ((), ())
    assert (stick(parting) / "backups" / "evening.sqlite3").stat().st_mtime_ns == before.st_mtime_ns


def test_a_list_of_another_box_with_the_same_number_stays(parting: Parting, tmp_path: Path) -> None:
    parting.purge()
    with closing(connect(stick(parting) / "backups" / "evening.sqlite3")) as other:
        other.execute("UPDATE list SET added_at = '2020-01-01T00:00:00.000000+00:00'")
    cleaned = clean_folder(stick(parting), parting.store.purger.ended(), EIGHT)
    assert (cleaned.done, cleaned.left) == ((), ())
    assert traces(stick(parting), "leaving")


def test_a_copy_as_it_was_in_use_is_purged_with_its_log(parting: Parting) -> None:
    """Somebody copied all files of the data directory."""
    raw = stick(parting) / "raw"
    shutil.copytree(parting.data_dir, raw, ignore=shutil.ignore_patterns("*.sock"))
    parting.purge()
    cleaned = clean_folder(raw, parting.store.purger.ended(), EIGHT)
    assert cleaned.done == (raw / DATABASE_NAME,)
    assert traces(raw, "leaving") == {}


def test_what_cannot_be_looked_into_is_named(parting: Parting) -> None:
    parting.purge()
    folder = stick(parting) / "backups"
    (folder / "journal.csv").write_text("leaving guest")
    (folder / "broken.sqlite3").write_bytes((folder / "evening.sqlite3").read_bytes()[:5000])
    with closing(connect(folder / "older.sqlite3")) as older:
        older.execute("CREATE TABLE list (id)")
    cleaned = clean_folder(folder, parting.store.purger.ended(), EIGHT)
    assert cleaned.done == (folder / "evening.sqlite3",)
    left = {path.name: why for path, why in cleaned.left}
    assert set(left) >= {"journal.csv", "broken.sqlite3", "older.sqlite3"}
    assert "no copy of a database" in left["journal.csv"]
    assert "older edgebox" in left["older.sqlite3"]


def test_a_stick_that_is_away_is_named(parting: Parting) -> None:
    parting.purge()
    cleaned = clean_folder(stick(parting) / "gone", parting.store.purger.ended(), EIGHT)
    assert cleaned.left == ((stick(parting) / "gone", "it is not there now"),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_copy_that_cannot_be_written_is_named(parting: Parting) -> None:
    parting.purge()
    copy = stick(parting) / "backups" / "evening.sqlite3"
    copy.chmod(0o400)
    cleaned = clean_folder(stick(parting), parting.store.purger.ended(), EIGHT)
    assert [path for path, _ in cleaned.left] == [copy]


def test_the_box_s_own_files_are_left_alone(parting: Parting) -> None:
    parting.purge()
    own = [parting.data_dir / name for name in OWN_FILES]
    before = parting.store.purger.look(parting.staying.id)
    cleaned = clean_folder(parting.data_dir, parting.store.purger.ended(), EIGHT, own=own)
    assert (cleaned.done, cleaned.left) == ((), ())
    assert parting.store.purger.look(parting.staying.id) == before


def test_a_copy_of_an_older_edgebox_is_brought_up_to_date(parting: Parting, tmp_path: Path) -> None:
    """As after an update: copies in the data directory and on the stick are still the old version's."""
    older = tmp_path / "older" / "evening.sqlite3"
    older.parent.mkdir()
    with closing(connect(older)) as connection:
        migrations.apply(connection, migrations.all_steps()[:7])
        connection.execute("INSERT INTO source (kind, url, credential) VALUES ('file', '', '')")
        connection.execute("ATTACH ? AS here", (str(parting.data_dir / DATABASE_NAME),))
        copied = (
            "INSERT INTO list (id, source_id, organizer, event, name, added_at) SELECT id, 1, organizer, event, name"
        )
        connection.execute(f"{copied}, added_at FROM here.list WHERE id = ?", (parting.leaving.id,))
        connection.execute("DETACH here")
        guest = TicketData("leaving-code", "AAAAA", 2, None, "leaving", False, True, True, "")
        add_tickets(connection, 1, [guest], told=0)
        connection.execute("PRAGMA journal_mode = DELETE")
    parting.purge()
    keys = parting.store.purger.ended()
    assert [why for _, why in clean_folder(older.parent, keys, EIGHT, keeps_schema=True).left], "it stays as it is"
    assert clean_folder(older.parent, keys, EIGHT).done == (older,)
    assert b"leaving-code" not in older.read_bytes()
    with closing(connect(older, read_only=True)) as connection:
        assert migrations.pending(connection) == []
    assert clean_folder(older.parent, keys, EIGHT) == Cleaned()
