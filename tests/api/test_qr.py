"""The QR code that sets a phone up: what it says opens the list."""

from __future__ import annotations

import json
from typing import Any

from edgebox.devices.pretixdroid import configuration
from tests.api.conftest import KEY, Venue


def qr_of(venue: Venue, name: str, base_url: str = "http://192.168.4.1:8000") -> dict[str, Any]:
    device = venue.box.store.devices.named(name)
    list_ = venue.box.get_list(device.list_ids[0])
    told: dict[str, Any] = json.loads(configuration(device, list_, base_url))
    return told


def test_it_has_what_the_app_reads(venue: Venue) -> None:
    venue.open()
    assert qr_of(venue, "Gate 1") == {
        "version": 3,
        "url": "http://192.168.4.1:8000/pretixdroid/api/demoorga/democon/",
        "key": KEY,
        "allow_search": True,
        "show_info": True,
    }


def test_it_says_3_also_where_upstream_speaks_version_2(venue: Venue) -> None:
    """The app offers its own offline mode from 3 on."""
    venue.event.version = 2
    venue.open()
    assert qr_of(venue, "Gate 1")["version"] == 3


def test_it_tells_the_devices_limits(venue: Venue) -> None:
    list_ = venue.open()
    venue.box.scanners.add("Limited", list_.id, key="LIMITED", allow_search=False, show_info=False)
    told = qr_of(venue, "Limited")
    assert (told["allow_search"], told["show_info"]) == (False, False)


def test_a_phone_that_puts_its_address_together_gets_in(venue: Venue) -> None:
    venue.event.organizer, venue.event.event = "orga.nizer", "Con-2026_b"
    saved = venue.saved()
    saved["status"]["event"]["subevent"] = 7
    venue.open(saved)
    told = qr_of(venue, "Gate 1", base_url="")
    assert told["url"].endswith("/7/")
    # The app does just this, and does not quote the key.
    venue.request("GET", f"{told['url']}status/?key={told['key']}")
