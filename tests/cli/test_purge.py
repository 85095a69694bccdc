"""`edgebox purge`: what is there and when it goes, and making it go."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Desk, HostedBox, on_a_terminal
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream


@pytest.fixture
def used(any_desk: Desk, hosted: HostedBox, stub: StubUpstream) -> Desk:
    """A list with two tickets, one of which came; upstream knows. With and without a box that runs."""
    stub.add_ticket("leavingsecret1", attendee_name="Leaving Guest", order="LEAVE1")
    stub.add_ticket("leavingsecret2", attendee_name="Leaving Too", order="LEAVE2", item_id=1, variation_id=2)
    any_desk.add_list(stub)
    key = any_desk.add_device("Gate of Ada")
    was_running = hosted.is_running
    if not was_running:
        hosted.start()
    hosted.redeem(key, "leavingsecret1", questions_supported=True)
    wait_until(lambda: any_desk.lists()[0]["last_push"], 20, "the check-in is pushed")
    if not was_running:
        hosted.stop()
    # In a hosted box the test can be the quiet minute.
    any_desk.run("status")
    return any_desk


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to have been silent for a minute."""
    monkeypatch.setattr("edgebox.store.rewriting.Rewriting.is_quiet", lambda self: True)


def traces(data_dir: Path) -> list[str]:
    return [p.name for p in data_dir.rglob("*") if p.is_file() and b"eaving" in p.read_bytes()]


def test_it_shows_what_there_is_and_removes_nothing(used: Desk) -> None:
    (row,) = used.json("purge", "--json")["lists"]
    known = {"id": 1, "name": "Default", "tickets": 2, "checkins": 1, "unsettled": 0, "removed": False, "begun": False,
             "purged": None, "hindrance": None, "event_ends": "2016-12-30T18:00:00+00:00"}  # fmt: skip
    assert {key: row[key] for key in known} == known
    assert row["due"] is not None
    said = used.run("purge")
    assert "Default" in said
    assert "go 20" in said
    assert len(used.lists()) == 1


def test_it_shows_what_will_go_and_asks(used: Desk) -> None:
    done = used.try_("purge", "--list", "1", input="n\n")
    assert done.status == 1
    assert "2 tickets with names and codes, 1 check-in, 0 refused attempts, 0 notes" in done.out
    assert "cannot be undone" in done.out
    assert "nothing was purged" in done.err
    assert len(used.lists()) == 1
    assert traces(used.data_dir)


def test_whoever_says_yes_gets_it_done(used: Desk) -> None:
    said = used.run("purge", "--list", "1", input="y\n")
    assert "List 1 (Default) was purged: 2 tickets, 1 check-in and 0 refused attempts are gone" in said
    assert "Scanners that have no list any more were revoked: Gate of Ada." in said
    assert "Traces" not in said
    assert used.lists() == []
    assert traces(used.data_dir) == []
    assert "removed 20" in used.run("purge")


def test_nobody_is_asked_with_yes(used: Desk, tmp_path: Path) -> None:
    told = used.json("purge", "--list", "1", "--yes", "--json", "--copies", str(tmp_path / "stick"))
    assert told["purged"] == [
        {"id": 1, "name": "Default", "tickets": 2, "checkins": 1, "attempts": 0, "devices": ["Gate of Ada"]}
    ]
    assert (told["rewritten"], told["copies"], told["problems"]) == (True, [], [])
    assert told["unreached"] == [{"path": str(tmp_path / "stick"), "why": "it is not there now"}]


def test_counts_are_what_remains(used: Desk) -> None:
    assert used.json("export", "--counts", "--format", "json")["counts"] == []
    used.run("purge", "--list", "1", "--yes")
    (count,) = used.json("export", "--counts", "--format", "json")["counts"]
    minute = count.pop("minute")
    assert minute.endswith(":00+00:00")
    assert count == {"list": 1, "list_name": "Default", "item": "Ticket", "variation": None, "direction": "entry",
                     "verdict": "ok", "count": 1}  # fmt: skip
    (row,) = csv.DictReader(io.StringIO(used.run("export", "--counts", "--list", "1")))
    assert (row["item"], row["count"]) == ("Ticket", "1")
    assert used.checkins() == []


def test_nothing_is_due_today(used: Desk) -> None:
    assert used.run("purge", "--due") == "No list was purged.\n"
    assert len(used.lists()) == 1


def test_what_waits_is_not_purged_unless_it_is_abandoned(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("leavingsecret1", attendee_name="Leaving Guest")
    desk.add_list(stub)
    key = desk.add_device()
    hosted.start()
    stub.stop()
    hosted.redeem(key, "leavingsecret1")
    done = desk.try_("purge", "--list", "1", "--yes")
    assert (done.status, done.out) == (1, "")
    assert "1 check-ins of list 1 are not at the ticket server; nothing was purged" in done.err
    assert len(desk.lists()) == 1
    done = desk.try_("purge", "--list", "1", "--abandon", input="y\n")
    assert "1 of the check-ins are NOT at the ticket server and will be lost." in done.out
    assert done.status == 0
    assert desk.lists() == []


def test_a_copy_that_somebody_took_along_is_told_of(used: Desk, hosted: HostedBox) -> None:
    from edgebox.config import Config
    from edgebox.serving import open_box

    hosted.stop()
    with open_box(Config.load(used.data_dir, {}, {})) as box:
        box.did("Lena", "lead", "downloaded a backup", "")
    assert "UTC by Lena: delete it where it is." in used.run("purge", "--list", "1", "--yes")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--list", "7", "--yes"), "there is no list 7"),
        (("--yes",), "which list?"),
        (("--abandon",), "which list?"),
        (("--due", "--list", "1"), "--due is for all lists"),
        (("--due", "--abandon"), "--due is for all lists"),
        (("--list", "1", "--json"), "--json asks nobody"),
    ],
)
def test_what_makes_no_sense_is_refused(used: Desk, arguments: tuple[str, ...], why: str) -> None:
    assert why in used.refused("purge", *arguments)
    assert len(used.lists()) == 1


def test_there_is_nothing_to_purge_where_there_is_no_box(desk: Desk) -> None:
    assert desk.run("purge") == "No lists, and nothing to purge.\n"
    assert not desk.data_dir.exists()


def test_it_asks_on_a_terminal_and_shows_how_far_it_is(desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    desk.add_list(stub)
    shown = on_a_terminal(desk.data_dir, "purge", "--list", "1", typed="y\n")
    assert "Remove it? [y/N]: " in shown
    assert re.search(r"list 1: \d+ rows", shown)
    assert "was purged: 5 tickets" in shown
