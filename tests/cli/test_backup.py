"""`edgebox backup` and `edgebox restore`: what they say, ask and refuse. The drill itself: tests/test_drill.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebox.store.db import DATABASE_NAME
from tests.cli.conftest import Desk, HostedBox
from tests.support.upstream import StubUpstream


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    path = tmp_path / "stick"
    path.mkdir()
    return path


@pytest.fixture
def backed_up(desk: Desk, stub: StubUpstream, stick: Path) -> Desk:
    stub.add_tickets(5)
    desk.add_list(stub)
    desk.run("sync")
    desk.run("backup", str(stick))
    return desk


def another(desk: Desk) -> Desk:
    return Desk(desk.data_dir.with_name("another"))


def test_a_backup_says_where_it_is(backed_up: Desk, stick: Path) -> None:
    (copy,) = stick.rglob("*.sqlite3")
    told = backed_up.run("backup", str(stick))
    assert told.startswith(f"Copied to {copy.parent}")
    assert len(list(stick.rglob("*.sqlite3"))) == 2


def test_without_a_folder_it_says_what_to_set(desk: Desk) -> None:
    outcome = desk.try_("backup")
    assert outcome.status == 1
    assert "no backup folder is set; nothing was copied" in outcome.err
    assert desk.run("backup", "--due") == ""


def test_a_stick_that_is_away_is_named(desk: Desk, tmp_path: Path) -> None:
    outcome = desk.try_("backup", str(tmp_path / "away"))
    assert outcome.status == 1
    assert "is not there" in outcome.err
    assert desk.run("backup", str(tmp_path / "away"), "--due") == ""


def test_what_is_found_is_shown_and_asked_for(backed_up: Desk, stick: Path) -> None:
    second = another(backed_up)
    outcome = second.try_("restore", str(stick), input="n\n")
    assert outcome.status == 1
    assert "0 check-ins" in outcome.out
    assert "There is no database here yet" in outcome.out
    assert "nothing was done" in outcome.err
    assert not (second.data_dir / DATABASE_NAME).exists()
    outcome = second.try_("restore", str(stick), input="y\n")
    assert outcome.status == 0, outcome.err
    assert "may be missing" in outcome.out
    assert second.json("status", "--json")["lists"][0]["tickets"] == 5
    assert "may be missing" in second.run("attention")


def test_json_asks_nobody(backed_up: Desk, stick: Path) -> None:
    assert another(backed_up).try_("restore", str(stick), "--json").status == 2
    assert another(backed_up).json("restore", str(stick), "--yes", "--json")["known_missing"] == 0


def test_a_running_box_is_left_alone(backed_up: Desk, hosted: HostedBox, stick: Path) -> None:
    hosted.start()
    outcome = backed_up.try_("restore", str(stick), "--yes")
    assert outcome.status == 1
    assert "systemctl stop edgebox" in outcome.err


@pytest.mark.parametrize("is_abandoned", [False, True])
def test_another_box_s_check_ins_are_not_left_behind_unasked(
    backed_up: Desk, stub: StubUpstream, stick: Path, tmp_path: Path, is_abandoned: bool
) -> None:
    second = another(backed_up)
    second.add_list(stub)
    second.run("sync")
    box = HostedBox(second.data_dir)
    key = second.add_device()
    box.start()
    try:
        stub.stop()
        assert box.redeem(key, next(iter(stub.tickets))).json()["status"] == "ok"
    finally:
        box.stop()
    outcome = second.try_("restore", str(stick), "--yes", *(["--abandon"] if is_abandoned else []))
    assert outcome.status == (0 if is_abandoned else 1)
    if not is_abandoned:
        assert "1 check-in of it are not at the ticket server; nothing was done" in outcome.err


@pytest.mark.parametrize("content", ["nothing", "rubbish", "two boxes"])
def test_what_cannot_be_restored_changes_nothing(backed_up: Desk, stick: Path, tmp_path: Path, content: str) -> None:
    if content == "nothing":
        shutil.rmtree(stick / "edgebox-backup")
    elif content == "rubbish":
        (copy,) = stick.rglob("*.sqlite3")
        copy.write_bytes(b"x" * 50_000)
    else:
        third = Desk(tmp_path / "third")
        third.run("backup", str(stick))
    before = backed_up.json("status", "--json")
    outcome = backed_up.try_("restore", str(stick), "--yes")
    assert outcome.status == 1
    assert "nothing was done" in outcome.err
    assert ("several boxes" in outcome.err) == (content == "two boxes")
    assert backed_up.json("status", "--json") | {"clock": None} == before | {"clock": None}
