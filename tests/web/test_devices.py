"""The page Devices for the pretixSCAN app: several lists, a code that works once, renewing, wiping."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from edgebox.model import App, CheckInList, Device, Phone
from edgebox.store.staff import Role
from tests.web.conftest import NOW, Browser, House

ZEBRA = Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.3.4", NOW)
QR = 'class="qr"'


@pytest.fixture
def crew(house: House) -> CheckInList:
    """A second list, of another event."""
    event = {"name": "Crew", "slug": "crew", "organizer": {"slug": "demoorga"}}
    items = [{"id": 9, "name": "Helper", "admission": True, "variations": []}]
    saved = {"status": {"event": event, "items": items}, "download": {"version": 3, "results": []}}
    return house.box.add_saved(saved, "a file")


@pytest.fixture
def device(house: House) -> Device:
    """One that waits for its phone."""
    return house.box.scanners.add_pretixscan("Gate S", [house.list_.id])


def set_up(house: House, device: Device, phone: Phone = ZEBRA) -> None:
    assert device.setup_token is not None
    assert house.box.scanners.set_up(device.setup_token, phone)


def named(house: House, name: str = "Gate S") -> Device:
    return house.box.store.devices.named(name)


def words(page: str) -> str:
    """What is to be read on a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def add(browser: Browser, app: str, fields: list[tuple[str, str]]) -> None:
    form: dict[str, Any] = {"csrf_token": browser.token(), "back": "web.devices", "name": "Gate S", "app": app}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    browser.send("/devices/add", 302, form)


def test_the_form_says_which_app_is_for_what(house: House, lead: Browser, crew: CheckInList) -> None:
    page = lead.get("/devices").text
    said = words(page)
    assert "Today's app in the stores" in said
    assert "for several lists and events, entry and exit; it scans only while it reaches the box." in said
    assert "The old app, no longer in the stores" in said
    for list_ in (house.list_, crew):
        assert f'name="lists" value="{list_.id}"' in page
        assert f'<option value="{list_.id}">' in page


def test_with_one_list_it_is_chosen_already(house: House, lead: Browser) -> None:
    assert re.search(r'name="lists" value="1" checked', lead.get("/devices").text)


def test_a_pretixscan_device_gets_the_lists_and_limits_that_were_ticked(
    house: House, lead: Browser, crew: CheckInList
) -> None:
    ticked = [("lists", "1"), ("lists", str(crew.id)), ("no_search", "on"), ("item-1", "2"), (f"item-{crew.id}", "9")]
    add(lead, "pretixscan", [*ticked, ("list", "1"), ("no_info", "on")])
    added = named(house)
    assert (added.app, added.list_ids, added.item_ids) == (App.PRETIXSCAN, (1, crew.id), frozenset({2, 9}))
    assert (added.allow_search, added.show_info) == (False, True)
    assert house.deeds()[-1] == ("Lena", "lead", "added a device", "Gate S")
    page = lead.get("/devices/Gate S/qr").text
    assert QR in page
    assert "For Default, Crew. Scan this code with the app pretixSCAN to set it up" in words(page)
    assert "It works once" in page


def test_a_pretixdroid_device_gets_the_one_list_that_was_chosen(house: House, lead: Browser, crew: CheckInList) -> None:
    add(lead, "pretixdroid", [("lists", "1"), ("list", str(crew.id)), ("item-1", "2"), (f"item-{crew.id}", "9")])
    added = named(house)
    assert (added.app, added.list_ids, added.item_ids) == (App.PRETIXDROID, (crew.id,), frozenset({9}))
    assert "Scan this code with the app pretixdroid" in lead.get("/devices/Gate S/qr").text


def test_without_a_list_none_is_added(house: House, lead: Browser) -> None:
    for app in App:
        add(lead, app, [])
        assert "Please choose a list; nothing was added." in lead.get("/devices").text
    assert [each.name for each in house.box.store.devices.all()] == ["Gate 1"]


def test_what_the_phone_told_is_shown_as_text(house: House, lead: Browser, device: Device) -> None:
    assert "not set up yet" in lead.get("/devices").text
    set_up(house, device, Phone("<b>Zebra</b>", "Android 13", "pretixSCAN Android", "3.3.4", NOW))
    for path in ("/devices", "/devices/Gate S/qr"):
        page = lead.get(path).text
        assert "&lt;b&gt;Zebra&lt;/b&gt;" in page
        assert "<b>Zebra" not in page
        assert "not set up yet" not in page
    assert "pretixSCAN 3.3.4 <b>Zebra</b>, Android 13" in words(lead.get("/devices").text)
    assert "App pretixSCAN Android 3.3.4 Since 2026-11-24 18:30:15" in words(lead.get("/devices/Gate S/qr").text)


def test_a_phone_that_tells_nothing_of_itself_is_shown_too(house: House, lead: Browser, device: Device) -> None:
    set_up(house, device, Phone("", "", "", "", NOW))
    assert "Model - System - App - Since" in words(lead.get("/devices/Gate S/qr").text)
    lead.get("/devices")


def test_a_code_that_was_used_is_gone_until_it_is_renewed(house: House, lead: Browser, device: Device) -> None:
    set_up(house, device)
    page = lead.get("/devices/Gate S/qr").text
    assert QR not in page
    assert "Its QR code was used: it works once." in page

    response = lead.post("/devices/renew", name="Gate S")

    assert response.headers["Location"] == "/devices/Gate%20S/qr"
    assert house.deeds()[-1] == ("Lena", "lead", "renewed a device", "Gate S")
    page = lead.get("/devices/Gate S/qr").text
    assert QR in page
    assert "The phone that is set up now works until then." in page
    assert named(house).setup_token not in (None, device.setup_token)


def test_what_cannot_be_renewed_is_said_and_not_on_record(house: House, lead: Browser) -> None:
    before = house.deeds()
    for name, told in (("Gate 1", "whose QR code can be scanned again"), ("Gate 9", "there is no device named")):
        lead.post("/devices/renew", name=name, back="web.devices")
        assert told in words(lead.get("/devices").text)
    assert house.deeds() == before


def test_an_open_page_learns_that_its_code_was_used_or_renewed(house: House, lead: Browser, device: Device) -> None:
    def seen() -> tuple[str, ...]:
        shown = re.search(r'data-rows="([^"]*)"', lead.get("/devices/Gate S/qr").text)
        fresh = re.search(r'data-rows="([^"]*)"', lead.get("/devices/Gate S/live").text)
        assert shown
        assert fresh
        return shown[1], fresh[1]

    unused = seen()
    set_up(house, device)
    used = seen()
    house.box.scanners.renew("Gate S")
    renewed = seen()
    for shown, fresh in (unused, used, renewed):
        assert shown == fresh
    assert len({unused, used, renewed}) == 3
    assert lead.get("/devices/Gate S/live").headers["ETag"]


def test_no_page_tells_the_token_or_what_the_box_keeps_of_the_key(house: House, lead: Browser, device: Device) -> None:
    for path in ("/devices", "/devices/Gate S/qr", "/devices/Gate S/live", "/lists/1/sheet", "/log?show=deeds"):
        page = lead.get(path).text
        for secret in (device.key, device.setup_token):
            assert secret is not None
            assert secret not in page, path


def test_the_sheet_has_the_codes_that_can_still_be_used(house: House, lead: Browser, device: Device) -> None:
    page = lead.get("/lists/1/sheet").text
    assert page.count(QR) == 2
    assert "Gate 1 pretixdroid Gate S pretixSCAN" in words(page)
    set_up(house, device)
    page = lead.get("/lists/1/sheet").text
    assert page.count(QR) == 1
    assert "Not among them, as their QR codes were used: Gate S." in page


def test_a_device_whose_lists_were_removed_says_so(house: House, lead: Browser, device: Device) -> None:
    house.box.remove_list(1)
    for name in ("Gate 1", "Gate S"):
        page = lead.get(f"/devices/{name}/qr").text
        assert QR not in page
        assert "Its list was removed: there is nothing to scan for." in page


@pytest.mark.parametrize(
    ("fields", "deed", "told", "is_to_wipe"),
    [
        ({}, "revoked a device", "What its app holds stays on the phone.", False),
        ({"wipe": "1"}, "revoked and wiped a device", "Its app deletes what it holds the next time", True),
    ],
)
def test_revoking_and_wiping_are_told_apart_before_and_after(
    house: House, lead: Browser, device: Device, fields: dict[str, str], deed: str, told: str, is_to_wipe: bool
) -> None:
    said = words(lead.get("/devices/Gate S/revoke").text)
    assert "From then on the box refuses whatever this device sends." in said
    assert "what its app holds stays on the phone" in said
    assert "the app deletes all of that the next time that it talks to the box" in said
    assert "This cannot be taken back" in said

    lead.post("/devices/revoke", form=fields, name="Gate S")

    revoked = house.box.store.devices.all()[-1]
    assert revoked.revoked_at is not None
    assert revoked.is_to_wipe is is_to_wipe
    assert house.deeds()[-1] == ("Lena", "lead", deed, "Gate S")
    page = lead.get("/devices").text
    assert told in page
    assert ("to be wiped" in page) is is_to_wipe


def test_a_pretixdroid_device_is_not_offered_wiping_nor_wiped(house: House, lead: Browser) -> None:
    assert 'name="wipe"' not in lead.get("/devices/Gate 1/revoke").text
    lead.post("/devices/revoke", name="Gate 1", wipe="1", back="web.devices")
    assert "cannot be wiped from here; nothing was revoked" in words(lead.get("/devices").text)
    assert house.box.store.devices.named("Gate 1")


def test_the_gate_can_neither_renew_nor_wipe(house: House, gate: Browser, device: Device) -> None:
    gate.post("/devices/renew", 403, name="Gate S")
    gate.post("/devices/revoke", 403, name="Gate S", wipe="1")
    gate.get("/devices/Gate S/live", 403)
    assert named(house) == device
    assert [deed for deed in house.deeds() if deed[1] != Role.GATE] == []
