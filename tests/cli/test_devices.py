"""`edgebox devices`."""

from __future__ import annotations

import json
import string

import pytest
import segno

from edgebox.lan import lan_address
from tests.cli.conftest import Desk, HostedBox, on_a_terminal
from tests.support.box import toml, wait_until
from tests.support.upstream import StubUpstream

KEY_CHARACTERS = set(string.digits + string.ascii_letters)


def test_a_scanners_key_opens_the_list_at_once(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    assert hosted.get("GATE1KEY", "status/").status_code == 403

    said = beside.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")

    assert "Gate 1" in said
    assert "GATE1KEY" in said
    assert hosted.get("GATE1KEY", "status/").status_code == 200
    assert hosted.get(stub.key, "status/").status_code == 403


def test_a_revoked_scanner_is_out_at_once(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    key = beside.add_device("Gate 1")
    assert hosted.get(key, "status/").status_code == 200

    beside.run("devices", "revoke", "Gate 1")

    assert hosted.get(key, "status/").status_code == 403
    assert "revoked" in beside.run("devices")
    assert "no device named 'Gate 1'" in beside.refused("devices", "show", "Gate 1")
    assert "no device named 'Gate 1'" in beside.refused("devices", "revoke", "Gate 1")


def test_a_revoked_scanners_name_and_key_are_free_again(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")
    desk.run("devices", "revoke", "Gate 1")

    desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")

    assert desk.json("devices", "show", "Gate 1", "--json")["revoked"] is None


def test_json_tells_name_lists_key_and_the_text_of_the_qr(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)
    any_desk.run("devices", "add", "Gate Ł", "--list", "1", "--key", "GATE1KEY")

    shown = any_desk.json("devices", "show", "Gate Ł", "--json")

    assert {key: shown[key] for key in ("name", "lists", "key", "items", "allow_search", "show_info")} == {
        "name": "Gate Ł", "lists": [1], "key": "GATE1KEY", "items": None, "allow_search": True, "show_info": True,
    }  # fmt: skip
    qr = json.loads(shown["qr"])
    assert qr.pop("url").endswith("/pretixdroid/api/demoorga/democon/")
    assert qr == {"version": 3, "key": "GATE1KEY", "allow_search": True, "show_info": True}


def test_limits_are_kept_and_shown(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)

    desk.add_device("Gate 1", "--items", "2,1", "--no-search", "--no-info")

    shown = desk.json("devices", "show", "Gate 1", "--json")
    assert (shown["items"], shown["allow_search"], shown["show_info"]) == ([1, 2], False, False)
    assert {"allow_search": False, "show_info": False}.items() <= json.loads(shown["qr"]).items()
    assert "items 1,2, no search, no info" in desk.run("devices")


def test_items_that_the_list_does_not_have_are_told(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)

    done = desk.try_("devices", "add", "Gate 1", "--list", "1", "--items", "2,77")

    assert done.status == 0
    assert "no item 77 now. It has: 1 T-Shirt, 2 Ticket." in done.err


def test_without_a_key_each_scanner_gets_a_random_one(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    for name in ("Gate 1", "Gate 2"):
        desk.run("devices", "add", name, "--list", "1")

    keys = [desk.json("devices", "show", name, "--json")["key"] for name in ("Gate 1", "Gate 2")]

    assert keys[0] != keys[1]
    assert all(len(key) == 32 and set(key) <= KEY_CHARACTERS for key in keys)


def test_a_key_from_standard_input_is_taken_without_its_blanks(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)

    desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "-", input="  GATE1KEY \nnot this\n")

    assert desk.json("devices", "show", "Gate 1", "--json")["key"] == "GATE1KEY"


@pytest.mark.parametrize(
    "key", ["", "short", "with blank", "plus+sign", "Schlüssel", "١٢٣٤٥٦٧٨", "x" * 191, "a\nbcdefg"]
)
def test_a_key_that_the_app_cannot_send_is_refused(desk: Desk, stub: StubUpstream, key: str) -> None:
    desk.add_list(stub)

    said = desk.refused("devices", "add", "Gate 1", "--list", "1", "--key", key)

    assert "6 to 190 digits and letters" in said
    assert "No devices yet" in desk.run("devices")


def test_a_key_or_name_in_use_is_refused(any_desk: Desk, stub: StubUpstream) -> None:
    any_desk.add_list(stub)
    any_desk.run("devices", "add", "Gate 1", "--list", "1", "--key", "GATE1KEY")

    assert "this key is in use" in any_desk.refused("devices", "add", "Gate 2", "--list", "1", "--key", "GATE1KEY")
    assert "this name is in use" in any_desk.refused("devices", "add", "Gate 1", "--list", "1", "--key", "GATE2KEY")
    assert any_desk.run("devices").count("Gate") == 1


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x1b[31mb", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_refused(desk: Desk, stub: StubUpstream, name: str) -> None:
    desk.add_list(stub)

    assert "needs a name" in desk.refused("devices", "add", name, "--list", "1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--list", "2"], "there is no list 2"),
        (["--list", "one"], "'one' is not a number"),
        (["--list", "9" * 30], "is not a number"),
        ([], "Missing option '--list'"),
        (["--list", "1", "--items", ""], "is not a number"),
        (["--list", "1", "--items", "1,,2"], "is not a number"),
        (["--list", "1", "--items", "Ticket"], "is not a number"),
        (["--list", "1", "--items", "-1"], "is not a number"),
    ],
)
def test_a_list_or_item_that_cannot_be_is_refused(
    desk: Desk, stub: StubUpstream, arguments: list[str], told: str
) -> None:
    desk.add_list(stub)

    assert told in desk.refused("devices", "add", "Gate 1", *arguments)
    assert "No devices yet" in desk.run("devices")


def address_of(desk: Desk) -> str:
    address: str = json.loads(desk.json("devices", "show", "Gate 1", "--json")["qr"])["url"]
    return address.removesuffix("/pretixdroid/api/demoorga/democon/")


def test_the_qr_has_the_address_that_the_box_listens_on(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    beside.add_device()

    assert address_of(beside) == f"http://127.0.0.1:{hosted.port}"


def test_the_qr_has_the_configured_address_before_any_other(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()
    for settings, address in (
        ({}, f"http://{lan_address()}:8000"),
        ({"port": 8123}, f"http://{lan_address()}:8123"),
        ({"host": "192.0.2.7", "port": 80}, "http://192.0.2.7"),
        ({"host": "192.0.2.7", "address": "192.168.4.1:8000"}, "http://192.168.4.1:8000"),
        ({"address": "https://edgebox.local"}, "https://edgebox.local"),
    ):
        (desk.data_dir / "edgebox.toml").write_text(toml(settings))
        assert address_of(desk) == address


def test_the_drawn_qr_is_that_of_its_text(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()
    text = desk.json("devices", "show", "Gate 1", "--json")["qr"]

    lines = desk.run("devices", "show", "Gate 1").splitlines()

    assert lines[-1] == text
    drawing = [line for line in lines if set(line) <= set(" ▀▄█")]
    rows = [[character in both for character in line] for line in drawing for both in ("▀█", "▄█")]
    quiet = 2
    matrix = [[bool(module) for module in row] for row in segno.make(text, error="l", micro=False).matrix]
    assert [row[quiet:-quiet] for row in rows[quiet : quiet + len(matrix)]] == matrix
    around = rows[:quiet] + rows[quiet + len(matrix) :] + [row[:quiet] + row[-quiet:] for row in rows]
    assert not any(any(row) for row in around)


def test_a_narrow_terminal_gets_the_text_of_the_qr(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()

    narrow = on_a_terminal(desk.data_dir, "devices", "show", "Gate 1", columns=40)
    wide = on_a_terminal(desk.data_dir, "devices", "show", "Gate 1", columns=80)

    assert "too narrow for the QR code (40 of " in narrow
    assert "█" not in narrow
    assert '{"version": 3' in narrow
    # Dark on light, whatever the terminal's own colours are.
    assert "\x1b[30m\x1b[107m" in wide
    assert "█" in wide


def test_a_loopback_address_is_told_to_be_of_no_use_to_phones(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    beside.add_list(stub)
    beside.add_device()

    said = beside.run("devices", "show", "Gate 1")

    assert f"Address  {hosted.url}\n" in said
    assert "Phones cannot reach that" in said
    beside.data_dir.joinpath("edgebox.toml").write_text('host = "192.0.2.7"')
    hosted.stop()
    assert "Phones cannot reach that" not in beside.run("devices", "show", "Gate 1")


def test_a_scanner_whose_list_was_removed_says_so(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)
    desk.add_device()
    desk.run("lists", "remove", "1")

    assert "Its list was removed" in desk.run("devices", "show", "Gate 1")
    assert desk.json("devices", "show", "Gate 1", "--json")["qr"] is None
    assert "Gate 1" in desk.run("devices")


def test_entries_of_an_earlier_event_that_come_again_and_again_are_told(
    beside: Desk, hosted: HostedBox, stub: StubUpstream
) -> None:
    beside.add_list(stub)
    key = beside.add_device("Gate 1")
    quiet = beside.add_device("Gate 2")
    hosted.redeem(quiet, "unknown", force=True, nonce="once")
    for _ in range(4):
        hosted.redeem(key, "of-last-year", force=True, nonce="for-ever", datetime="2025-11-25T19:00Z")

    wait_until(lambda: "again and again" in beside.run("devices"), 20, "it is told")

    told = beside.run("devices")
    assert "Gate 1 sends an entry again and again" in told
    assert "Gate 2 sends" not in told


def test_devices_tell_when_they_were_last_seen(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    beside.add_list(stub)
    key = beside.add_device("Gate 1")
    assert "never" in beside.run("devices")
    hosted.session.headers["User-Agent"] = "scanner/7"

    hosted.get(key, "status/")

    (line,) = [line for line in beside.run("devices").splitlines() if "Gate 1" in line]
    assert "s ago" in line
    assert "scanner/7" in line


def test_without_devices_it_says_where_it_looked_and_how_to_add_one(desk: Desk) -> None:
    said = desk.run("devices")

    assert str(desk.data_dir) in said
    assert "edgebox devices add" in said
