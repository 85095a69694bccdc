"""Keys, codes and secrets are seen by whom they are for, and by nobody else."""

from __future__ import annotations

import base64
import logging
import zlib

import pytest

from edgebox.store.staff import Role
from tests.web.conftest import DEVICE_KEY, PASSWORDS, Browser, House

GATE_PAGES = ["/", "/now/live", "/?wall", "/now/live?wall", "/find?query=Lovelace", "/find?query=secret-of", "/scan"]
LEAD_PAGES = ["/attention", "/devices", "/lists", "/log", "/log?show=syncs", "/log?show=deeds", "/box"]


@pytest.fixture
def trouble(house: House) -> House:
    """Everything that may put an address or a key into a page: failures, conflicts, deeds, unknown codes."""
    house.scan("secret-of-ada")
    house.scan("secret-of-ada", is_forced=True)
    house.scan("unknown-secret-of-eve", is_forced=True, nonce="n")
    house.stub.stop()
    house.box.sync.now(house.list_.id)
    house.stub.start()
    return house


def secrets_of(house: House) -> list[str]:
    """What no page shows, nor any log."""
    hashes = filter(None, (house.box.store.staff.credential(role).password_hash for role in Role))
    return [house.stub.key, DEVICE_KEY, house.box.store.staff.session_secret(), *hashes, *PASSWORDS.values()]


def test_the_gate_sees_no_key_at_all(trouble: House, gate: Browser) -> None:
    ticket = trouble.ticket_id("secret-of-ada")
    for path in [*GATE_PAGES, f"/tickets/{ticket}"]:
        page = gate.get(path).text
        for secret in [*secrets_of(trouble), "secret-of-ada", "unknown-secret-of-eve"]:
            assert secret not in page, (path, secret)


def test_the_lead_sees_the_keys_of_devices_where_they_are_set_up_alone(trouble: House, lead: Browser) -> None:
    ticket = trouble.ticket_id("secret-of-ada")
    for path in [*GATE_PAGES, *LEAD_PAGES, f"/tickets/{ticket}"]:
        page = lead.get(path).text
        for secret in [*secrets_of(trouble), "secret-of-ada", "unknown-secret-of-eve"]:
            assert secret not in page, (path, secret)


def test_nothing_secret_is_in_the_audit_log_or_the_log_of_the_box(
    house: House, lead: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lead.post("/devices/add", name="Gate 2", list="1")
    lead.post("/password", role="gate", password="a-new-password", again="a-new-password")
    lead.post("/lists/add", url=house.stub.url, key="WRONGUPSTREAMKEY")
    lead.post("/box/backup", 200)
    key = house.box.store.devices.named("Gate 2").key
    house.person(Role.LEAD).post("/scan/device", key=key)
    code = house.box.reset_password(Role.GATE)
    said = repr(house.deeds()) + caplog.text
    for secret in [*secrets_of(house), key, code, "WRONGUPSTREAMKEY", "a-new-password"]:
        assert secret not in said


def test_a_csv_of_the_log_is_for_the_lead(house: House, gate: Browser) -> None:
    for path in ("/log.csv", "/journal.csv", "/syncs.csv", "/staff.csv"):
        assert "secret-of" not in gate.get(path, 403).text


def test_the_cookie_of_the_scan_page_holds_no_key(house: House, gate: Browser) -> None:
    gate.post("/scan/device", key=DEVICE_KEY)
    cookie = gate.client.get_cookie("edgebox")
    assert cookie is not None
    value = cookie.value.lstrip(".").split(".")[0]
    told = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    told = zlib.decompress(told) if cookie.value.startswith(".") else told
    assert b"scan_device" in told
    assert DEVICE_KEY.encode() not in told
