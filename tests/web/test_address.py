"""The address that QR codes carry: kept when one is shown, and missed on Now when this machine no longer has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebox.model import Phone
from edgebox.store import Refused
from tests.web.conftest import NOW, Browser, House

HERE, ALSO_HERE = "http://127.0.0.1:8000", "http://127.0.0.2:8000"
GONE = "http://203.0.113.7:8000"
"""Of documentation: no machine has it."""

WARNING = "Phones cannot find the box at"


def move(house: House, address: str) -> None:
    """From now on the box has this address."""
    house.box.config = replace(house.box.config, address=address)


def shown(house: House, name: str = "Gate 1") -> str | None:
    return house.box.store.devices.named(name).shown_address


def test_a_code_that_nobody_looked_at_has_no_address(house: House, lead: Browser) -> None:
    move(house, HERE)
    lead.get("/devices")
    assert shown(house) is None


@pytest.mark.parametrize("page", ["/devices/Gate 1/qr", "/lists/1/sheet"])
def test_what_a_page_shows_is_kept(house: House, lead: Browser, page: str) -> None:
    move(house, HERE)
    lead.get(page)
    assert shown(house) == HERE


def test_now_tells_of_an_address_that_is_gone(house: House, lead: Browser) -> None:
    move(house, GONE)
    lead.get("/devices/Gate 1/qr")
    house.box.scanners.add("Gate 2", house.list_.id)
    move(house, HERE)

    page = lead.get("/").text
    assert f"{WARNING} {GONE}" in page
    assert "Gate 1" in page
    assert house.box.lost_addresses() == {GONE: ["Gate 1"]}


def test_a_new_code_ends_that(house: House, lead: Browser) -> None:
    move(house, GONE)
    lead.get("/devices/Gate 1/qr")
    move(house, HERE)
    lead.get("/devices/Gate 1/qr")
    assert WARNING not in lead.get("/").text


def test_revoking_the_device_ends_that(house: House, lead: Browser) -> None:
    move(house, GONE)
    lead.get("/devices/Gate 1/qr")
    move(house, HERE)
    house.box.scanners.revoke("Gate 1")
    assert house.box.lost_addresses() == {}


def test_an_earlier_address_that_this_machine_still_has_will_do(house: House, lead: Browser) -> None:
    move(house, ALSO_HERE)
    lead.get("/devices/Gate 1/qr")
    move(house, HERE)
    assert house.box.lost_addresses() == {}


def test_an_address_in_the_settings_that_this_machine_does_not_have_is_told_before_anybody_scans_it(
    house: House, lead: Browser
) -> None:
    move(house, GONE)
    assert "New QR codes would not work" in lead.get("/").text


def test_a_code_that_was_used_keeps_the_address_that_its_phone_has(house: House, lead: Browser) -> None:
    device = house.box.scanners.add_pretixscan("Gate S", [house.list_.id])
    move(house, GONE)
    lead.get("/devices/Gate S/qr")
    assert device.setup_token is not None
    assert house.box.scanners.set_up(device.setup_token, Phone("Zebra", "Android", "pretixSCAN", "3.3", NOW))
    move(house, HERE)
    lead.get("/devices/Gate S/qr")

    assert shown(house, "Gate S") == GONE
    assert f"{WARNING} {GONE}" in lead.get("/").text


def test_a_disk_that_takes_nothing_does_not_keep_the_code_from_being_shown(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device_id: int, address: str) -> None:
        raise Refused("no room")

    monkeypatch.setattr(house.box.store.devices, "shown", refuse)
    assert 'class="qr"' in lead.get("/devices/Gate 1/qr").text
