"""`edgebox devices` with the pretixSCAN app: several lists, a code that works once, wiping."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Desk, HostedBox
from tests.support.pretixscan import App, LoggedOut, Refused, Wiped
from tests.support.upstream import StubUpstream


def add_second_list(desk: Desk, organizer: str = "demoorga") -> None:
    """One of another event, from a file."""
    event = {"name": "Crew", "slug": "crew", "organizer": {"slug": organizer}}
    saved = {
        "status": {"event": event, "items": [{"id": 9, "name": "Helper", "admission": True, "variations": []}]},
        "download": {"version": 3, "results": []},
    }
    (desk.data_dir.parent / "crew.json").write_text(json.dumps(saved), "utf-8")
    desk.run("lists", "add", str(desk.data_dir.parent / "crew.json"))


def add_pretixscan(desk: Desk, name: str = "Gate 1", *options: str, lists: str = "1") -> Any:
    """What `devices show` tells of one that was added just now."""
    desk.run("devices", "add", name, "--app", "pretixscan", "--list", lists, *options)
    return desk.json("devices", "show", name, "--json")


def test_a_pretixscan_device_has_its_lists_and_a_code_with_a_token(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)
    add_second_list(any_desk)

    shown = add_pretixscan(any_desk, "Gate Ł", "--items", "2,1", "--no-search", lists="1,2")

    assert {key: shown[key] for key in ("app", "lists", "removed_lists", "key", "items", "allow_search", "phone")} == {
        "app": "pretixscan", "lists": [1, 2], "removed_lists": [], "key": None, "items": [1, 2], "allow_search": False,
        "phone": None,
    }  # fmt: skip
    qr = json.loads(shown["qr"])
    assert qr.keys() == {"handshake_version", "url", "token"}
    assert qr["handshake_version"] == 1
    assert qr["url"] == shown["address"]
    assert qr["token"].startswith("proxy=")
    assert "not set up yet" in any_desk.run("devices")


def test_a_pretixdroid_device_says_so_too(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    key = desk.add_device()

    shown = desk.json("devices", "show", "Gate 1", "--json")

    assert (shown["app"], shown["key"], shown["phone"]) == ("pretixdroid", key, None)
    assert "App      pretixdroid\n" in desk.run("devices", "show", "Gate 1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--list", "1,2"], "a phone with the pretixdroid app scans for one list; nothing was added"),
        (["--list", "1", "--app", "pretixscan", "--key", "-"], "--key is for the pretixdroid app; nothing was added"),
        (["--list", "1", "--app", "pretixscan", "--no-info"], "--no-info is for the pretixdroid app"),
        (["--list", "1,9", "--app", "pretixscan"], "there is no list 9"),
        (["--list", "1,3", "--app", "pretixscan"], "knows one organizer, and these lists are of demoorga and others"),
        (["--list", "1", "--app", "another"], "'another' is not one of 'pretixdroid', 'pretixscan'"),
    ],
)
def test_what_an_app_cannot_do_is_refused(desk: Desk, stub: StubUpstream, arguments: list[str], told: str) -> None:
    desk.add_list(stub)
    add_second_list(desk)
    add_second_list(desk, "others")

    assert told in desk.refused("devices", "add", "Gate 1", *arguments)
    assert "No devices yet" in desk.run("devices")


def test_items_that_none_of_its_lists_has_are_told(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    add_second_list(desk)
    add = ("devices", "add", "Gate 1", "--app", "pretixscan", "--list", "1,2")

    assert "Lists 1,2 have no item 77 now. They have: 1 T-Shirt, 2 Ticket, 9 Helper." in (
        desk.try_(*add, "--items", "2,9,77").err
    )


def test_a_code_works_once_and_a_fresh_one_takes_the_place_of_the_phone(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    beside.add_list(stub)
    old, new = (
        App.from_qr(add_pretixscan(beside)["qr"]),
        App.from_qr(beside.json("devices", "show", "Gate 1", "--json")["qr"]),
    )
    old.first_start()

    used = beside.run("devices", "show", "Gate 1")
    assert beside.json("devices", "show", "Gate 1", "--json")["qr"] is None
    assert "Its QR code was used" in used
    assert "edgebox devices renew 'Gate 1'" in used
    assert "█" not in used
    with pytest.raises(Refused):
        new.first_start()

    said = beside.run("devices", "renew", "Gate 1")

    assert "Gate 1 has a fresh QR code." in said
    assert "The phone that is set up now works until then." in said
    old.sync()
    fresh = App.from_qr(said.splitlines()[-1])
    fresh.first_start()
    fresh.events()
    with pytest.raises(LoggedOut):
        old.events()


def test_what_the_phone_told_is_shown(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    App.from_qr(add_pretixscan(beside)["qr"]).first_start()

    shown = beside.json("devices", "show", "Gate 1", "--json")

    assert shown["phone"].pop("since") >= shown["added"]
    assert shown["phone"] == {
        "hardware": "Zebra TC21", "system": "Android 13", "software": "pretixSCAN Android", "software_version": "3.3.4",
    }  # fmt: skip
    assert "Phone    Zebra TC21, Android 13, pretixSCAN Android 3.3.4 (since " in beside.run(
        "devices", "show", "Gate 1"
    )
    (line,) = [line for line in beside.run("devices").splitlines() if "Gate 1" in line]
    assert "pretixscan 3.3.4" in line
    assert "in use" in line
    assert line.endswith("Zebra TC21, Android 13")


def test_a_pretixdroid_device_needs_no_fresh_code(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()

    assert "whose QR code can be scanned again" in desk.refused("devices", "renew", "Gate 1")
    assert "no device named 'Gate 2'" in desk.refused("devices", "renew", "Gate 2")


@pytest.mark.parametrize(
    ("options", "told", "error", "state"),
    [
        ([], "What its app holds stays on the phone.", LoggedOut, "revoked  "),
        (["--wipe"], "Its app deletes what it holds the next time", Wiped, "revoked, to be wiped"),
    ],
)
def test_only_one_who_was_asked_to_wipes_what_it_holds(
    beside: Desk, hosted: HostedBox, stub: StubUpstream,
    options: list[str], told: str, error: type[Exception], state: str,
) -> None:  # fmt: skip
    beside.add_list(stub)
    app = App.ready(add_pretixscan(beside)["qr"], {"democon": 1})

    assert told in beside.run("devices", "revoke", "Gate 1", *options)

    assert state in beside.run("devices")
    with pytest.raises(error):
        app.sync()


def test_a_pretixdroid_device_cannot_be_wiped(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    key = beside.add_device()

    assert "cannot be wiped from here; nothing was revoked" in beside.refused("devices", "revoke", "Gate 1", "--wipe")

    assert hosted.get(key, "status/").status_code == 200


def test_a_pretixscan_device_without_any_list_left_says_so(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    add_second_list(desk)
    add_pretixscan(desk, lists="1,2")
    desk.run("lists", "remove", "1")

    assert desk.json("devices", "show", "Gate 1", "--json")["removed_lists"] == [1]
    assert "it works once" in desk.run("devices", "show", "Gate 1")
    desk.run("lists", "remove", "2")
    assert "All its lists were removed" in desk.run("devices", "show", "Gate 1")
