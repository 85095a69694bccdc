"""Hostile values in each field that the app sends: an answer as described, and nothing recorded or changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from edgebox.store.journal import export
from tests.fuzz.target import Target
from tests.support import hostile
from tests.support.pretixscan.schemas import validate, validate_whole

ODD: list[Any] = [
    *hostile.ALL, "\ud800", "\udfff\ud800", None, True, 0, -1, 2**63, 2**70, 1.5, float("nan"), float("inf"), "", [],
    [[]], ["x"], [None], {}, {"a": 1}, [{}], [{"question": {}}], [{"question": {"server_id": 1}, "value": {}}],
    [{"question": {"server_id": 2**70}, "value": "x"}], [{"question": {"server_id": 1}, "value": "x", "options": [1]}],
]  # fmt: skip
CHECK = ("ticketid", "answers", "ignore_unpaid", "with_badge_data", "type", "source_type", "allowQuestions", "nonce",
         "useOrderLocale", "exchange_medium_type", "exchange_medium_identifier",
         "events_and_checkin_lists")  # fmt: skip
PHONE = ("hardware_brand", "hardware_model", "os_name", "os_version", "software_brand", "software_version",
         "rsa_pubkey", "info")  # fmt: skip
CHOSEN = {"events_and_checkin_lists": {"democon": 1}}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    opened = Target(tmp_path_factory.mktemp("odd"))
    before = opened.configuration()
    try:
        yield opened
        assert opened.configuration() == before
        assert list(export(opened.box.store.reading())) == []
    finally:
        opened.close()


def post(target: Target, path: str, body: object, key: str | None = None) -> TestResponse:
    headers = {"Authorization": f"Device {key or target.scan_key}"}
    return target.app.test_client().post(path, json=body, headers=headers)


@pytest.mark.parametrize("field", CHECK)
def test_a_check(target: Target, field: str) -> None:
    for value in ODD:
        # A code that nobody has: whatever else is odd, nothing may come of it.
        response = post(target, "/proxyapi/v1/rpc/check/", {**CHOSEN, "ticketid": "nobody", field: value})
        assert response.status_code in (200, 400), (value, response.text)
        if response.status_code == 200:
            validate_whole("check", response.get_json())
            assert response.get_json()["type"] in ("INVALID", "ERROR"), value
        else:
            validate("error", response.get_json())


@pytest.mark.parametrize("field", ["query", "page", "events_and_checkin_lists"])
def test_a_search(target: Target, field: str) -> None:
    for value in ODD:
        response = post(target, "/proxyapi/v1/rpc/search/", {**CHOSEN, "query": "nobody at all", field: value})
        assert response.status_code in (200, 400), (value, response.text)
        validate("search" if response.status_code == 200 else "error", response.get_json())
        if response.status_code == 200:
            assert response.get_json() == []


@pytest.mark.parametrize("field", PHONE)
def test_what_a_phone_says_of_itself(target: Target, field: str) -> None:
    for value in ODD:
        response = post(target, "/api/v1/device/update", {field: value})
        assert response.status_code == 200, (value, response.text)
    phone = target.box.store.devices.named("Gate 2").phone
    assert phone is not None
    for told in (phone.hardware, phone.system, phone.software, phone.software_version):
        assert told.isprintable()
        assert len(told) <= 250


def test_a_setup_token(target: Target) -> None:
    for value in ODD:
        for prefix in ("", "proxy="):
            token = f"{prefix}{value}" if isinstance(value, str) else value
            response = post(target, "/api/v1/device/initialize", {"token": token})
            assert response.status_code == 400
            validate("initialize refused", response.get_json())


def test_a_key(target: Target) -> None:
    for value in hostile.ALL:
        if value.isascii() and value.isprintable():
            for scheme in ("Device ", "Bearer ", "Token ", "device ", ""):
                headers = {"Authorization": f"{scheme}{value}"}
                assert target.app.test_client().get("/api/v1/device/info", headers=headers).status_code == 401


@pytest.mark.parametrize("name", ["current_event", "current_subevent", "current_checkinlist"])
def test_which_event_a_phone_is_at(target: Target, name: str) -> None:
    for value in hostile.ALL:
        response = target.app.test_client().get(
            "/api/v1/device/eventselection",
            query_string={name: value},
            headers={"Authorization": f"Device {target.scan_key}"},
        )
        assert response.status_code == 200
        validate("eventselection", response.get_json())


@pytest.mark.parametrize("place", ["{}/events/", "demoorga/events/{}/", "demoorga/events/{}/items/"])
def test_an_address(target: Target, place: str) -> None:
    for value in hostile.ALL:
        if "/" in value or not value.strip("."):
            continue
        response = target.app.test_client().get(
            f"/api/v1/organizers/{place.format(quote(value, safe=''))}",
            headers={"Authorization": f"Device {target.scan_key}"},
        )
        assert response.status_code == 404
        assert response.mimetype == "text/plain"
        assert value not in response.text or len(value) < 2
