"""`edgebox connect`, `edgebox connections`, and the lists that they offer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Desk, HostedBox
from tests.support.box import wait_until
from tests.support.pretix import EVENT, PretixStub, check_in_list, order, page_of_html, position

KEYS = {"connection", "event", "event_name", "subevent", "list", "name", "registered"}


@pytest.fixture
def pretix() -> Iterator[PretixStub]:
    """A scripted pretix, listening."""
    stub = PretixStub()
    stub.lists.append(check_in_list(2, "VIP\x1b[31m"))
    stub.orders.append(order("A", position(1), position(2)))
    try:
        yield stub
    finally:
        stub.stop()
    assert not stub.errors, f"the stub itself went wrong: {stub.errors}"


@pytest.fixture
def connected(any_desk: Desk, pretix: PretixStub) -> Desk:
    any_desk.run("connect", pretix.url, pretix.init_token)
    return any_desk


def qr_of(pretix: PretixStub) -> str:
    return json.dumps({"handshake_version": 1, "url": pretix.url, "token": pretix.init_token})


def test_the_box_is_connected_by_the_text_of_the_qr_code(any_desk: Desk, pretix: PretixStub) -> None:
    said = any_desk.run("connect", qr_of(pretix))
    assert "Connection 1: the box is the device box of demoorga, pretix 2026.8.0." in said
    assert pretix.init_token not in said
    assert pretix.api_token not in said


def test_the_token_can_be_read_from_standard_input(desk: Desk, pretix: PretixStub) -> None:
    desk.run("connect", pretix.url, "-", input=f" {pretix.init_token}\n")
    assert pretix.token_was_used


def test_connections_are_shown_with_version_and_state(connected: Desk, pretix: PretixStub) -> None:
    connected.run("lists", "add", f"{EVENT}/1")
    connected.run("sync")
    (row,) = connected.json("connections", "--json")["connections"]
    assert row | {"paired": None, "clock_ahead_s": None} == {
        "id": 1, "url": pretix.url, "organizer": "demoorga", "device": "box", "serial": "SERIAL",
        "security_profile": "pretixscan", "server_version": "2026.8.0", "paired": None, "clock_ahead_s": None,
        "forbidden": None, "lists": row["lists"],
    }  # fmt: skip
    (list_,) = row["lists"]
    assert (list_["id"], list_["name"]) == (1, "Default")
    shown = connected.run("connections")
    for part in ("demoorga", "2026.8.0", "pretixscan", pretix.url):
        assert part in shown
    assert pretix.api_token not in shown + json.dumps(row)


def test_without_connections_it_says_how_to_make_one(desk: Desk) -> None:
    assert "edgebox connect URL TOKEN" in desk.run("connections")
    assert desk.json("connections", "--json") == {"connections": []}
    assert "not connected" in desk.refused("lists", "offered")


def test_what_is_offered_has_exactly_these_keys(connected: Desk, pretix: PretixStub) -> None:
    connected.run("lists", "add", f"{EVENT}/1")
    told = connected.json("lists", "offered", "--json")
    assert told.keys() == {"offered"}
    assert all(row.keys() == KEYS for row in told["offered"])
    assert told["offered"][0] == {
        "connection": 1, "event": EVENT, "event_name": "DemoCon", "subevent": None, "list": 1, "name": "Default",
        "registered": True,
    }  # fmt: skip
    assert [row["registered"] for row in told["offered"]] == [True, False]
    assert connected.json("lists", "offered", "--json", "--connection", "1") == told
    shown = connected.run("lists", "offered")
    assert f"{EVENT}/2" in shown
    assert "\x1b" not in shown, "what a name has in it does not steer the terminal"


def test_an_offered_list_is_registered_and_pulled(connected: Desk, pretix: PretixStub) -> None:
    said = connected.run("lists", "add", f"{EVENT}/1", "--connection", "1", "--name", "Main gate")
    assert "List 1 (Main gate) was added: demoorga/democon." in said
    connected.run("sync")
    (entry,) = connected.lists()
    assert entry["tickets"] == 2
    assert "has as list 1" in connected.refused("lists", "add", f"{EVENT}/1")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("lists", "add", f"{EVENT}/9"), "nothing was added"),
        (("lists", "add", f"{EVENT}/1", "--connection", "7"), "there is no connection 7"),
        (("lists", "add", f"{EVENT}/1", "KEY"), "has no key of its own"),
        (("lists", "add", "https://h/pretixdroid/api/a/b/", "KEY", "--connection", "1"), "--connection is for"),
        (("lists", "offered", "--connection", "7"), "there is no connection 7"),
        (("connections", "remove", "7"), "there is no connection 7"),
    ],
)
def test_what_cannot_be_done_says_why(desk: Desk, pretix: PretixStub, arguments: tuple[str, ...], why: str) -> None:
    desk.run("connect", pretix.url, pretix.init_token)
    assert why in desk.refused(*arguments)
    assert desk.lists() == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("https://h/",), "TOKEN is missing"),
        (("{}", "TOKEN"), "another one is not needed"),
        (("{}",), "not what pretix's QR code holds"),
        (("nonsense", "abc123"), "not the address of a pretix"),
    ],
)
def test_what_is_no_invitation_is_refused(desk: Desk, arguments: tuple[str, ...], why: str) -> None:
    assert why in desk.refused("connect", *arguments)


def test_a_used_token_is_refused_and_nothing_is_lost(connected: Desk, pretix: PretixStub) -> None:
    before = connected.json("connections", "--json")
    said = connected.refused("connect", qr_of(pretix))
    assert "already been used" in said
    assert pretix.init_token not in said
    assert connected.json("connections", "--json") == before


def test_a_narrow_profile_is_told_what_it_lacks(desk: Desk, pretix: PretixStub) -> None:
    pretix.profile = "pretixscan_online_kiosk"
    done = desk.try_("connect", qr_of(pretix))
    assert done.status == 0
    assert "Connection 1" in done.out
    assert "download orders" in done.err
    assert "download orders" in desk.try_("connections").err


def test_pairing_anew_is_refused_while_check_ins_wait(hosted: HostedBox, desk: Desk, pretix: PretixStub) -> None:
    desk.run("connect", qr_of(pretix))
    desk.run("lists", "add", f"{EVENT}/1")
    desk.run("sync")
    key = desk.add_device()
    hosted.start()
    pretix.on("organizers/", page_of_html(502))
    assert hosted.redeem(key, "secret1").json()["status"] == "ok"
    pretix.token_was_used = False
    said = desk.refused("connect", "--renew", "1", qr_of(pretix))
    assert "1 check-ins of this connection" in said
    assert "sync first" in said
    assert not pretix.token_was_used
    pretix.off()
    wait_until(lambda: pretix.redeemed, 30, "it is pushed")
    wait_until(lambda: desk.lists()[0]["pending"] == 0, 20, "it is settled")
    assert "Connection 1" in desk.run("connect", "--renew", "1", qr_of(pretix))
    assert len(desk.json("connections", "--json")["connections"]) == 1


def test_a_connection_is_removed_once_no_list_uses_it(connected: Desk, pretix: PretixStub) -> None:
    connected.run("lists", "add", f"{EVENT}/1")
    assert "serves 1 lists" in connected.refused("connections", "remove", "1")
    connected.run("lists", "remove", "1")
    assert "was removed" in connected.run("connections", "remove", "1")
    assert connected.json("connections", "--json") == {"connections": []}
