"""From the QR code to a session, and how a session ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgebox.devices.configuring import configuration_of
from edgebox.model import Phone
from tests.pretixscan.conftest import OpenGate
from tests.pretixscan.gate import NOW, Gate
from tests.support.event import StubEvent
from tests.support.pretixscan import Abort, App, LoggedOut, Refused, Wiped
from tests.support.pretixscan.schemas import validate_whole
from tests.support.pretixscan.wire import WIPE_WORDS


@pytest.fixture
def event() -> StubEvent:
    event = StubEvent()
    event.add_tickets(2, "t")
    return event


def started(qr: str) -> App:
    """A phone that has traded the QR code's token for a session."""
    app = App.from_qr(qr, hook=validate_whole)
    app.first_start()
    return app


def initialize(gate: Gate, **changes: object) -> Any:
    told = {"token": "proxy=x", "hardware_brand": "Zebra", "hardware_model": "TC21", "software_version": "3.3.4"}
    answer = gate.ask("POST", "api/v1/device/initialize", body={**told, **changes})
    return answer.status_code, answer.json()


# --- the token --------------------------------------------------------------------------------------------------------


def test_the_qr_code_begins_a_session_once(gate: Gate, event: StubEvent) -> None:
    list_ = gate.add_saved(event)
    qr = gate.add_device("Gate 1", list_)
    assert json.loads(qr).keys() == {"handshake_version", "url", "token"}
    app = started(qr)
    device = gate.device()
    assert (app.device.organizer, app.device.device_id, app.device.name) == ("demoorga", device.id, "Gate 1")
    assert (app.device.security_profile, app.device.gate, len(app.device.api_token)) == ("full", None, 64)
    assert configuration_of(gate.box, device) is None, "there is nothing left to show"
    with pytest.raises(Refused, match="used already") as second:
        started(qr)
    assert second.value.status == 400
    app.events()


def test_the_token_may_be_typed_in_without_what_marks_a_proxy(gate: Gate, event: StubEvent) -> None:
    token = json.loads(gate.add_device("Gate 1", gate.add_saved(event)))["token"]
    status, told = initialize(gate, token=token.removeprefix("proxy="))
    assert status == 200
    assert gate.ask("GET", "api/v1/device/info", key=told["api_token"]).status_code == 200


def test_a_token_that_nobody_has_is_refused_in_words(gate: Gate, event: StubEvent) -> None:
    gate.add_device("Gate 1", gate.add_saved(event))
    for token in ("proxy=nobodysToken", "proxy=", "", None, 5, ["proxy=x"], "\ud800", "x" * 5000):
        status, told = initialize(gate, token=token)
        assert status == 400, token
        [words] = told["token"]
        assert "fresh one" in words
    assert gate.device().setup_token is not None, "the right one still works"


def test_a_session_needs_a_list_that_is_still_there(gate: Gate, event: StubEvent) -> None:
    list_ = gate.add_saved(event)
    qr = gate.add_device("Gate 1", list_)
    gate.box.remove_list(list_.id)
    with pytest.raises(Refused, match="removed"):
        started(qr)


def test_a_phone_that_may_not_search_is_told_so(gate: Gate, event: StubEvent) -> None:
    app = started(gate.add_device("Gate 1", gate.add_saved(event), allow_search=False))
    assert (app.device.security_profile, app.may_search) == ("pretixscan_online_kiosk", False)


# --- another one ------------------------------------------------------------------------------------------------------


def test_the_old_session_goes_on_until_the_new_token_is_used(gate: Gate, event: StubEvent) -> None:
    old = gate.phone(gate.add_saved(event))
    first = gate.qr(gate.box.scanners.renew("Gate 1"))
    second = gate.qr(gate.box.scanners.renew("Gate 1"))
    old.sync()
    assert old.check("t000000").type == "VALID"
    with pytest.raises(Refused, match="fresh one"):
        started(first)
    old.sync()
    new = started(second)
    with pytest.raises(LoggedOut):
        old.sync()
    assert (old.check("t000001").type, old.check("t000001").status) == ("ERROR", 401)
    new.select({"democon": gate.box.store.lists.all()[0].id})
    new.sync()
    assert new.check("t000001").type == "VALID"
    assert new.device.device_id == gate.device().id


def test_a_phone_that_is_reset_ends_its_session(gate: Gate, event: StubEvent) -> None:
    app = gate.phone(gate.add_saved(event))
    key = app.device.api_token
    app.revoke()
    assert app.ignored == []
    answer = gate.ask("GET", "api/v1/device/info", key=key)
    assert (answer.status_code, answer.json()["detail"] != WIPE_WORDS) == (401, True)
    started(gate.qr(gate.box.scanners.renew("Gate 1"))).events()


# --- revoked ----------------------------------------------------------------------------------------------------------


def test_a_revoked_device_is_out_at_once_and_keeps_its_data(gate: Gate, event: StubEvent) -> None:
    list_ = gate.add_saved(event)
    app, unused = gate.phone(list_), gate.add_device("Gate 2", list_)
    for name in ("Gate 1", "Gate 2"):
        gate.box.scanners.revoke(name)
    with pytest.raises(LoggedOut, match="revoked"):
        app.sync()
    with pytest.raises(LoggedOut):
        app.events()
    assert app.storage.events
    assert (app.check("t000000").status, gate.checkins()) == (401, [])
    with pytest.raises(Refused, match="fresh one"):
        started(unused)


def test_a_device_to_wipe_is_told_to_delete_what_it_has(gate: Gate, event: StubEvent) -> None:
    app = gate.phone(gate.add_saved(event))
    gate.box.scanners.revoke("Gate 1", wipe=True)
    assert (app.check("t000000").status, gate.checkins()) == (401, [])
    assert app.storage.events
    with pytest.raises(Wiped):
        app.sync()
    assert not app.storage.events
    with pytest.raises(Wiped):
        app.events()


def test_nobody_else_hears_the_words_that_wipe(gate: Gate, event: StubEvent) -> None:
    list_ = gate.add_saved(event)
    key = gate.phone(list_).device.api_token
    scanner = gate.box.scanners.add("Old app", list_.id)
    gate.phone(list_, name="Gate 2")
    gate.box.scanners.revoke("Gate 2", wipe=True)
    headers = [
        {}, {"Authorization": ""}, {"Authorization": "Device"}, {"Authorization": "Device "},
        {"Authorization": f"Bearer {key}"}, {"Authorization": f"Token {key}"}, {"Authorization": f"device {key}"},
        {"Authorization": key}, {"Authorization": f"Device {key}x"}, {"Authorization": f"Device {scanner.key}"},
    ]  # fmt: skip
    for each in headers:
        for path in ("api/v1/device/info", "api/v1/organizers/demoorga/events/", "proxyapi/v1/rpc/democon/1/status/"):
            answer = gate.ask("GET", path, headers=each)
            assert answer.status_code == 401, (each, path)
            assert WIPE_WORDS not in answer.text
    gate.box.scanners.revoke("Gate 1")
    assert WIPE_WORDS not in gate.ask("GET", "api/v1/device/info", key=key).text


# --- what the phone says of itself ------------------------------------------------------------------------------------


def test_what_a_phone_tells_is_kept(gate: Gate, event: StubEvent) -> None:
    app = gate.phone(gate.add_saved(event))
    assert gate.device().phone == Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.3.4", NOW)
    gate.let_pass(60)
    app.upgrade("3.4.0")
    app.sync()
    assert app.ignored == []
    device = gate.device()
    assert device.phone == Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.4.0", gate.now)
    assert device.user_agent == "okhttp/4.9.3 eu.pretix.pretixscan.droid/3.4.0"
    assert device.last_seen_at == gate.now


def test_what_a_phone_told_is_still_known_after_a_restart(open_gate: OpenGate, event: StubEvent) -> None:
    gate = open_gate()
    app = gate.phone(gate.add_saved(event))
    phone = gate.device().phone
    assert phone is not None
    gate.close()
    again = open_gate(at=gate.data_dir)
    assert again.device().phone == phone
    answer = again.ask("GET", "api/v1/device/info", key=app.device.api_token)
    assert answer.json()["device"]["name"] == "Gate 1"


def test_odd_words_of_a_phone_do_no_harm(gate: Gate, event: StubEvent) -> None:
    key = gate.phone(gate.add_saved(event)).device.api_token
    odd = {
        "hardware_brand": "Z\x00\u202ebra\ud800",
        "hardware_model": 5,
        "os_name": None,
        "software_version": "9" * 999,
    }
    answer = gate.ask("POST", "api/v1/device/update", key=key, body={**odd, "rsa_pubkey": [], "info": "x"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Gate 1")
    phone = gate.device().phone
    assert phone is not None
    assert (phone.hardware, phone.system, phone.software, phone.software_version) == ("Zbra", "", "", "9" * 100)


# --- which pretix the box says to be ----------------------------------------------------------------------------------


def test_the_version_needs_no_key_and_opens_exits_and_several_events(gate: Gate, event: StubEvent) -> None:
    app = gate.phone(gate.add_saved(event))
    assert (app.knows_exit, app.knows_several_events, app.ignored) == (True, True, [])
    answer = gate.ask("GET", "api/v1/version")
    validate_whole("version", answer.json())
    assert answer.json()["pretix_numeric"] == app.storage.pretix_numeric


def test_a_full_sync_ends_at_once_where_the_box_is_gone(gate: Gate, event: StubEvent) -> None:
    app = gate.phone(gate.add_saved(event))
    gate.close()
    app.close()
    with pytest.raises(Abort):
        app.sync()
