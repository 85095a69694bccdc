"""`edgebox hold` and `edgebox check`, with which a box is updated. The script itself: tests/ops/test_update.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgebox.store.db import DATABASE_NAME
from tests.cli.conftest import Desk, HostedBox
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream


@pytest.fixture
def evening(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> tuple[Desk, HostedBox, str, list[str]]:
    secrets = stub.add_tickets(5)
    desk.add_list(stub)
    desk.run("sync")
    key = desk.add_device()
    hosted.start()
    return desk, hosted, key, secrets


def test_on_hold_nothing_is_recorded_and_what_was_is_in_a_backup(
    evening: tuple[Desk, HostedBox, str, list[str]], tmp_path: Path
) -> None:
    desk, box, key, (first, second, *_) = evening
    assert box.redeem(key, first, nonce="once").json()["status"] == "ok"
    desk.run("hold", "--seconds", "600")
    for secret, nonce in ((second, "two"), (first, "once")):
        answer = box.redeem(key, secret, nonce=nonce)
        assert answer.status_code == 503
        assert "scan again" in answer.text
    assert box.get(key, "search/", query=first[:8]).status_code == 200
    (tmp_path / "stick").mkdir()
    desk.run("backup", str(tmp_path / "stick"))
    (copy,) = (tmp_path / "stick").rglob("*.sqlite3")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT nonce FROM checkin").fetchall() == [("once",)]
    desk.run("hold", "--seconds", "0")
    assert box.redeem(key, second, nonce="two").json()["status"] == "ok"
    assert len(box.journal()) == 2


def test_it_goes_on_by_itself(evening: tuple[Desk, HostedBox, str, list[str]]) -> None:
    desk, box, key, secrets = evening
    desk.run("hold", "--seconds", "1")
    wait_until(lambda: box.redeem(key, secrets[0], nonce="n").status_code == 200, 30, "the hold is over")


def test_a_box_is_checked_without_asking_upstream(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    desk.add_list(stub)
    desk.run("sync")
    stub.stop()
    assert desk.run("check") == "All is well: 1 list, 5 tickets, 0 tickets in.\n"


def test_a_running_box_is_left_alone(evening: tuple[Desk, HostedBox, str, list[str]]) -> None:
    outcome = evening[0].try_("check")
    assert outcome.status == 1
    assert "in use" in outcome.err


def test_damage_is_found(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(500)
    desk.add_list(stub)
    desk.run("sync")
    with closing(sqlite3.connect(desk.data_dir / DATABASE_NAME)) as connection:
        (page,) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'ticket' AND path <> '/' LIMIT 1"
        ).fetchone()
    with (desk.data_dir / DATABASE_NAME).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    outcome = desk.try_("check")
    assert outcome.status == 1
    assert "damaged" in outcome.err
