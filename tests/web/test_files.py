"""Backups and CSV: finished first, then handed over, so that a slow reader holds no thread of the scanners."""

from __future__ import annotations

import csv
import io
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import requests

from edgebox.app import WAITRESS
from edgebox.store import Store
from edgebox.store.staff import Role
from tests.api.conftest import served
from tests.support.upstream import StubUpstream
from tests.web.conftest import DEVICE_KEY, Browser, House

BIG = 3000
"""Tickets with so long a text that no buffer of the system holds a file of them."""


def test_a_backup_is_a_whole_database(house: House, lead: Browser, tmp_path: Path) -> None:
    house.scan("secret-of-ada")
    response = lead.post("/box/backup", 200)
    assert response.headers["Content-Disposition"] == 'attachment; filename="edgebox-20261124-183015.sqlite3"'
    assert response.headers["Cache-Control"] == "no-store"
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "edgebox.sqlite3").write_bytes(response.data)
    with closing(sqlite3.connect(tmp_path / "copy" / "edgebox.sqlite3")) as copy:
        assert copy.execute("SELECT secret FROM checkin").fetchall() == [("secret-of-ada",)]
    Store(tmp_path / "copy").close()


def test_nothing_of_it_stays_behind(house: House, lead: Browser) -> None:
    before = sorted(path.name for path in house.box.config.data_dir.iterdir())
    lead.post("/box/backup", 200)
    assert sorted(path.name for path in house.box.config.data_dir.iterdir()) == before


def test_with_the_session_of_a_backup_nobody_gets_in(house: House, lead: Browser) -> None:
    secret = house.box.store.staff.session_secret()
    assert secret.encode() not in lead.post("/box/backup", 200).data


def rows_of(response: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.removeprefix("\ufeff"), newline="")))


def test_the_log_as_csv_has_what_the_filters_let_through(house: House, lead: Browser) -> None:
    house.scan("secret-of-ada")
    house.scan("secret-of-bob")
    house.box.desk.undo(house.checkins()[0].id, "Lena", "wrong guest")
    response = lead.get("/log.csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="log.csv"'
    assert [(row["secret"], row["undone"]) for row in rows_of(response.text)] == [
        ("secret-of-ada", "True"), ("secret-of-bob", "False"),
    ]  # fmt: skip
    assert [row["secret"] for row in rows_of(lead.get("/log.csv?secret=secret-of-bob").text)] == ["secret-of-bob"]


def test_syncs_and_what_staff_did_as_csv(house: House, lead: Browser) -> None:
    house.box.sync_now()
    lead.post("/devices/add", name="=Gate 2", list="1")
    pull = next(row for row in rows_of(lead.get("/syncs.csv").text) if row["what"] == "pull")
    assert pull["ok"] == "True"
    assert pull["outcome"].startswith(f"{len(house.stub.tickets)} tickets")
    assert rows_of(lead.get("/syncs.csv?list=99").text) == []
    done = rows_of(lead.get("/staff.csv").text)
    assert [row["what"] for row in done] == ["logged in", "added a device"]
    assert done[-1]["about"].startswith("'=Gate 2")


def test_the_journal_as_csv_shows_what_was_undone_and_by_whom(house: House, lead: Browser) -> None:
    house.scan("secret-of-ada")
    house.box.desk.undo(house.checkins()[0].id, "Lena", "=wrong guest")
    (row,) = rows_of(lead.get("/journal.csv").text)
    assert (row["state"], row["undone_by"], row["undone_reason"]) == ("cancelled", "Lena", "'=wrong guest")


def test_a_slow_reader_holds_no_thread(tmp_path: Path, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The box has one thread in this test, and goes on scanning while somebody takes a file at a crawl."""
    # So much the server holds for a slow reader before a thread has to wait for him; of its own it is 16 MB.
    monkeypatch.setitem(WAITRESS, "outbuf_high_watermark", 65_536)
    for number in range(BIG):
        stub.add_ticket(f"secret{number:06d}", attendee_name="x" * 400)
    (tmp_path / "data").mkdir()
    house = House(tmp_path / "data", stub, threads=1)
    lead = house.person(Role.LEAD)
    for number in range(BIG):
        house.scan(f"secret{number:06d}")
    cookie = lead.client.get_cookie("edgebox")
    assert cookie is not None
    head = f"Host: box\r\nCookie: edgebox={cookie.value}\r\n"
    form = f"csrf_token={lead.token()}"
    posted = f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}"
    with served(house.box) as url:
        take_slowly(url, f"GET /journal.csv HTTP/1.1\r\n{head}\r\n")
        take_slowly(url, f"GET /log.csv HTTP/1.1\r\n{head}\r\n")
        take_slowly(url, f"POST /box/backup HTTP/1.1\r\n{posted}")
    house.close()


def take_slowly(url: str, request: str) -> None:
    """Ask for a file and take nothing but its head until others were served; then all of it."""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(60)
        slow.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        slow.sendall(request.encode())
        stream = slow.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
        size = int(headers["Content-Length"])
        assert size > 1_000_000, "no buffer of the system holds it"
        for number in range(5):
            answer = requests.post(
                f"{url}/pretixdroid/api/demoorga/democon/redeem/",
                params={"key": DEVICE_KEY},
                data={"secret": f"secret{number:06d}"},
                timeout=60,
            )
            assert answer.json()["reason"] == "already_redeemed"
        assert len(stream.read(size)) == size
