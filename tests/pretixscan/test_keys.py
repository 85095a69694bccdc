"""What the keys of a phone open, and where they are not to be found."""

from __future__ import annotations

import json
import logging

import pytest

from edgebox.box import Box
from tests.pretixscan.gate import Gate
from tests.support.event import StubEvent
from tests.support.pretixscan import App, Refused


def test_a_session_key_is_in_no_log_and_not_in_the_database(
    gate: Gate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    event = StubEvent()
    event.add_ticket("abc")
    list_ = gate.add_saved(event)
    qr = gate.add_device("Gate 1", list_)
    app = App.ready(qr, {"democon": list_.id})
    key, token = app.device.api_token, json.loads(qr)["token"].removeprefix("proxy=")
    assert app.check("abc").type == "VALID"
    app.upgrade("3.4.0")
    app.sync()

    def fault(self: Box, list_: object) -> None:
        raise RuntimeError("a fault of the box")

    with monkeypatch.context() as faulty:
        faulty.setattr(Box, "counts", fault)
        with pytest.raises(Refused) as refused:
            app.status()
    assert refused.value.status == 500
    gate.box.scanners.revoke("Gate 1")
    app.check("abc")
    gate.close()
    assert "a fault of the box" in caplog.text
    assert "was set up" in caplog.text
    files = [file for file in gate.data_dir.iterdir() if file.is_file()]
    assert "edgebox.sqlite3" in {file.name for file in files}
    assert any(b"Zebra TC21" in file.read_bytes() for file in files), "it is the file that holds devices"
    for secret in (key, token):
        assert secret not in caplog.text
    for file in files:
        assert key.encode() not in file.read_bytes(), file


def test_each_key_opens_its_own_dialect_only(gate: Gate) -> None:
    event = StubEvent()
    event.add_ticket("abc")
    list_ = gate.add_saved(event)
    scanner = gate.box.scanners.add("Old app", list_.id)
    key = gate.phone(list_).device.api_token
    token = gate.box.scanners.add_pretixscan("Gate 2", [list_.id]).setup_token
    assert token is not None

    def old(key: str) -> int:
        return gate.ask("GET", f"pretixdroid/api/demoorga/democon/status/?key={key}").status_code

    def new(key: str) -> int:
        return gate.ask("GET", f"proxyapi/v1/rpc/democon/{list_.id}/status/", key=key).status_code

    kept = gate.device().key
    assert (old(scanner.key), new(key)) == (200, 200)
    assert [old(each) for each in (key, kept, token)] == [403, 403, 403]
    assert [new(each) for each in (scanner.key, kept, token)] == [401, 401, 401], "nor does what the box keeps of it"


def test_the_app_of_the_other_dialect_is_no_pretixscan_device(gate: Gate) -> None:
    """Its key set up as a token, and its QR code, begin no session."""
    list_ = gate.add_saved(StubEvent())
    scanner = gate.box.scanners.add("Old app", list_.id)
    told = {"token": f"proxy={scanner.key}", "hardware_brand": "Zebra"}
    assert gate.ask("POST", "api/v1/device/initialize", body=told).status_code == 400
    assert gate.box.store.devices.by_key(scanner.key) is not None
