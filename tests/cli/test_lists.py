"""`edgebox lists`."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from edgebox.demo.event import demo_event
from tests.cli.conftest import REFUSED_FOR_GOOD, Desk, HostedBox, on_a_terminal
from tests.support.box import wait_until
from tests.support.upstream import (
    JSON_WITHOUT_KEYS,
    PORTAL_PAGE,
    PORTAL_REDIRECT,
    SERVER_ERROR,
    Response,
    StubUpstream,
    always,
    redirect,
)


def test_a_list_is_registered_by_address_and_key(any_desk: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(3)

    said = any_desk.run("lists", "add", stub.url, stub.key)

    assert "List 1 (Default) was added: demoorga/democon." in said
    assert stub.key not in said
    any_desk.run("sync")
    (entry,) = any_desk.lists()
    assert {key: entry[key] for key in ("id", "organizer", "event", "subevent", "name", "tickets", "url")} == {
        "id": 1, "organizer": "demoorga", "event": "democon", "subevent": None, "name": "Default", "tickets": 3,
        "url": stub.url,
    }  # fmt: skip
    assert "Default" in any_desk.run("lists")


def test_a_list_starts_to_sync_beside_a_running_box(beside: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(3)

    beside.run("lists", "add", stub.url, stub.key)

    wait_until(lambda: beside.lists()[0]["tickets"] == 3, 20, "the running box pulls the new list")


def test_the_key_can_be_read_from_standard_input(desk: Desk, stub: StubUpstream) -> None:
    desk.run("lists", "add", stub.url, "-", input=f" {stub.key}\n")

    assert [request.query["key"] for request in stub.seen("status")] == [stub.key]


def test_the_key_is_asked_for_on_a_terminal_and_not_shown(desk: Desk, stub: StubUpstream) -> None:
    shown = on_a_terminal(desk.data_dir, "lists", "add", stub.url, "-", typed=f"{stub.key}\n")

    assert "Key: " in shown
    assert "List 1 (Default) was added" in shown
    assert stub.key not in shown
    assert [request.query["key"] for request in stub.seen("status")] == [stub.key]


def test_the_text_of_a_configuration_qr_holds_address_and_key(desk: Desk, stub: StubUpstream) -> None:
    desk.run("lists", "add", json.dumps({"version": 3, "url": stub.url, "key": stub.key, "allow_search": True}))

    assert [entry["url"] for entry in desk.lists()] == [stub.url]
    assert stub.seen("status")[0].query["key"] == stub.key


def test_a_saved_list_has_its_tickets_at_once(any_desk: Desk, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(demo_event(date(2026, 11, 25))), "utf-8")

    said = any_desk.run("lists", "add", str(saved), "--name", "Łąka")

    assert "List 1 (Łąka) was added: demoorga/democon." in said
    (entry,) = any_desk.lists()
    assert (entry["upstream"], entry["name"], entry["tickets"] > 400) == ("file", "Łąka", True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["URL"], "KEY is missing"),
        (["{FILE}", "KEY"], "a file has no key"),
        (["{FILE}"], "is not a saved list (no JSON)"),
        (["nowhere.json"], "No such file"),
        (["."], "Is a directory"),
        (["ftp://127.0.0.1/pretixdroid/api/a/b/", "KEY"], "not an upstream address"),
        (["http://127.0.0.1/api/a/b/", "KEY"], "not an upstream address"),
        (["http://127.0.0.1/pretixdroid/api/a/b/?key=X", "KEY"], "not an upstream address"),
        (["URL", ""], "cannot be an upstream's key"),
        (["URL", "two words"], "cannot be an upstream's key"),
        (["URL", "ключ"], "cannot be an upstream's key"),
        (["URL", "KEY", "--name", "  "], "needs a name"),
        (["URL", "KEY", "--name", "a\x1b[2Jb"], "needs a name"),
        (['{"url": "http://127.0.0.1/"'], "not the text of a configuration QR"),
        (['{"url": "nowhere", "key": "KEY"}'], "not the text of a configuration QR"),
        (['{"url": "http://127.0.0.1/pretixdroid/api/a/b/", "key": 7}'], "not the text of a configuration QR"),
        (['{"url": "http://127.0.0.1/pretixdroid/api/a/b/", "key": "KEY"}', "KEY"], "another one is not needed"),
    ],
)
def test_what_cannot_be_a_list_is_refused(
    desk: Desk, stub: StubUpstream, tmp_path: Path, arguments: list[str], told: str
) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(b"\xff no JSON")
    filled_in = [{"URL": stub.url, "{FILE}": str(file)}.get(argument, argument) for argument in arguments]

    assert told in desk.refused("lists", "add", *filled_in)
    assert desk.lists() == []
    assert stub.requests == []


@pytest.mark.parametrize("content", ["[]", "7", '{"status": {}, "download": {}}', '{"status": 1, "download": 2}'])
def test_a_file_that_is_no_saved_list_says_what_one_is(desk: Desk, tmp_path: Path, content: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)

    assert 'it holds {"status": ..., "download": ...}' in desk.refused("lists", "add", str(file))
    assert desk.lists() == []


def test_a_key_that_upstream_refuses_is_refused(any_desk: Desk, stub: StubUpstream) -> None:
    said = any_desk.refused("lists", "add", stub.url, "WRONGKEY")

    assert "upstream refuses this list: Invalid key" in said
    assert "nothing was added" in said
    assert "WRONGKEY" not in said
    assert any_desk.lists() == []


def test_a_list_is_added_unseen_while_upstream_is_gone(any_desk: Desk, stub: StubUpstream) -> None:
    stub.stop()

    done = any_desk.try_("lists", "add", stub.url, stub.key)

    assert done.status == 0
    assert "no connection to upstream" in done.err
    assert [entry["name"] for entry in any_desk.lists()] == ["demoorga/democon"]
    stub.add_tickets(2)
    stub.start()
    any_desk.run("sync")
    assert [(entry["name"], entry["tickets"]) for entry in any_desk.lists()] == [("Default", 2)]


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (PORTAL_PAGE, "login page"),
        (PORTAL_REDIRECT, "redirected elsewhere"),
        (JSON_WITHOUT_KEYS, "lacks what upstream always sends"),
        (SERVER_ERROR, "has trouble (500)"),
        (redirect("https://127.0.0.1/pretixdroid/api/demoorga/democon/status/"), "register the https address"),
        (Response(404, "<html>nginx</html>"), "not upstream's (404)"),
    ],
    ids=["login page", "login redirect", "another JSON", "server error", "https only", "not found"],
)
def test_what_answers_in_upstreams_place_is_told(desk: Desk, stub: StubUpstream, response: Response, told: str) -> None:
    stub.on("status", always(response))

    done = desk.try_("lists", "add", stub.url, stub.key)

    assert done.status == 0
    assert "Its ticket server cannot be asked now" in done.err
    assert told in done.err


def test_a_second_credential_of_a_list_is_refused(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.run("lists", "add", stub.url, stub.key)
    stub.key = "ANOTHERKEY"

    said = any_desk.refused("lists", "add", stub.url, stub.key)

    assert "list 1 (Default)" in said
    assert "edgebox devices add --items" in said
    assert len(any_desk.lists()) == 1


def test_the_same_credential_is_refused_even_unseen(desk: Desk, stub: StubUpstream) -> None:
    stub.stop()
    desk.try_("lists", "add", stub.url, stub.key)

    assert "list 1 (" in desk.refused("lists", "add", stub.url.removesuffix("/"), stub.key)


def test_a_second_credential_is_added_all_the_same_with_separate(desk: Desk, stub: StubUpstream) -> None:
    desk.run("lists", "add", stub.url, stub.key)

    desk.run("lists", "add", stub.url, stub.key, "--separate", "--name", "Again")

    assert [entry["name"] for entry in desk.lists()] == ["Default", "Again"]


def test_another_list_of_the_same_event_is_no_twin(desk: Desk, stub: StubUpstream) -> None:
    desk.run("lists", "add", stub.url, stub.key)
    stub.key, stub.list_name = "ANOTHERKEY", "VIP lounge"

    desk.run("lists", "add", stub.url, stub.key)

    assert [entry["name"] for entry in desk.lists()] == ["Default", "VIP lounge"]


def test_one_file_is_not_added_twice(desk: Desk, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(demo_event(date(2026, 11, 25))), "utf-8")
    desk.run("lists", "add", str(saved))

    assert "list 1 (Default)" in desk.refused("lists", "add", str(saved))


def test_a_removed_list_leaves_its_journal(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1", attendee_name="Ada Lovelace", order="ABCDE")
    beside.add_list(stub)
    key = beside.add_device()
    stub.stop()
    hosted.redeem(key, "guest1")

    assert "1 check-in" in beside.refused("lists", "remove", "1")
    assert len(beside.lists()) == 1

    stub.start()
    beside.run("sync")
    beside.run("lists", "remove", "1")

    assert beside.lists() == []
    assert hosted.redeem(key, "guest1").status_code == 404
    assert [(row["list"], row["order"], row["name"]) for row in beside.checkins()] == [(1, "ABCDE", "Ada Lovelace")]
    assert "there is no list 1" in beside.refused("lists", "remove", "1")


def test_a_list_with_a_parked_check_in_is_removed_once_that_is_dismissed(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    stub.add_ticket("guest1")
    stub.on("redeem", always(REFUSED_FOR_GOOD))
    beside.add_list(stub)
    hosted.redeem(beside.add_device(), "guest1")
    wait_until(lambda: beside.lists()[0]["conflicts"] == 1, 20, "the check-in is parked")

    assert "edgebox attention" in beside.refused("lists", "remove", "1")

    beside.run("attention", "dismiss", "1")
    beside.run("lists", "remove", "1")
    assert [row["state"] for row in beside.checkins()] == ["dismissed"]


def test_a_list_is_removed_by_force_once_what_waits_is_in_a_file(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    stub.add_ticket("guest1", attendee_name="Ada Lovelace", order="ABCDE")
    beside.add_list(stub)
    key = beside.add_device()
    stub.stop()
    assert hosted.redeem(key, "guest1", nonce="nonce1").json()["status"] == "ok"
    assert "edgebox lists remove --force 1" in beside.refused("lists", "remove", "1")

    said = beside.run("lists", "remove", "--force", "1")

    assert "List 1 was removed; its journal stays.\n1 check-in that upstream does not have: " in said
    path = Path(said.strip().rpartition(": ")[2])
    assert path.parent == beside.data_dir / "exports"
    [row] = csv.DictReader(path.read_text("utf-8").splitlines())
    assert [row[name] for name in ("list", "order", "name", "secret", "nonce", "state")] == [
        "1", "ABCDE", "Ada Lovelace", "guest1", "nonce1", "pending",
    ]  # fmt: skip
    assert beside.lists() == []
    [kept] = beside.checkins()
    assert kept == {**kept, "state": "dismissed", "closed_reason": f"its list was removed; exported to {path.name}"}


def test_a_list_of_which_nothing_waits_is_removed_by_force_without_a_file(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)

    assert any_desk.run("lists", "remove", "1", "--force") == "List 1 was removed; its journal stays.\n"
    assert not (any_desk.data_dir / "exports").exists()
    assert "there is no list 1" in any_desk.refused("lists", "remove", "--force", "1")


def test_without_lists_it_says_where_it_looked_and_how_to_add_one(desk: Desk) -> None:
    said = desk.run("lists")

    assert str(desk.data_dir) in said
    assert "edgebox lists add" in said
