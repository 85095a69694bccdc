"""The strict app stumbles over every wrong answer: one spoiled field or reply of a fake box at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import ValidationError

from tests.support.pretixscan import App, Crash, Unpromised
from tests.support.pretixscan import examples as right
from tests.support.pretixscan.examples import asked, page
from tests.support.pretixscan.fake import MISSING, FakeBox, Reply, a_day
from tests.support.pretixscan.schemas import validate, validate_whole


@pytest.fixture
def fake() -> Iterator[FakeBox]:
    server = FakeBox()
    yield server
    server.stop()


# What is spoiled, how, and what the app stumbles over: a field, or the words of the rule.
SPOILED: list[tuple[str, str, Any, str]] = [
    ("POST device/initialize", "api_token", MISSING, "api_token"),
    ("POST device/initialize", "device_id", "7", "device_id"),
    ("POST device/initialize", "gate", "Gate A", "gate"),
    ("GET events/", "count", MISSING, "count"),
    ("GET events/", "results", MISSING, "results"),
    ("GET events/", "results.0.slug", MISSING, "slug"),
    ("GET events/", "results.0.name", "Gala", "name"),
    ("GET events/", "results.0.date_from", "2026-09-01T18:00:00", "date_from"),
    ("GET events/", "results.0.date_to", "2026-09-01", "date_to"),
    ("GET events/", "results.0.live", "true", "live"),
    ("GET subevents/", "results.0.event", None, "event"),
    ("GET subevents/", "results.0.id", 31.0, "id"),
    ("GET subevents/", "results.0.item_price_overrides", MISSING, "item_price_overrides"),
    ("GET subevents/", "results.0.seat_category_mapping", [], "seat_category_mapping"),
    *(
        ("GET events/gala/", name, value, name)
        for name in ("slug", "name", "currency", "date_from", "has_subevents", "live", "seat_category_mapping")
        for value in (MISSING, None)
    ),
    ("GET events/gala/", "timezone", 1, "timezone"),
    ("GET events/gala/", "plugins", [1], "plugins"),
    ("GET events/gala/categories/", "results.0.position", MISSING, "position"),
    ("GET events/gala/items/", "results.0.name", "Regular", "name"),
    ("GET events/gala/items/", "results.0.variations", {}, "variations"),
    ("GET events/gala/questions/", "results.0.items", MISSING, "items"),
    ("GET events/gala/badgelayouts/", "results.0.default", MISSING, "default"),
    ("GET events/gala/badgeitems/", "results.0.layout", "2", "layout"),
    ("GET events/gala/checkinlists/", "count", "1", "count"),
    ("GET events/gala/checkinlists/", "next", 2, "next"),
    ("GET events/gala/checkinlists/", "results.0.id", "12", "id"),
    ("GET events/gala/checkinlists/", "results.0.limit_products", None, "limit_products"),
    ("GET events/gala/checkinlists/", "results.0.rules", [], "rules"),
    ("GET events/gala/revokedsecrets/", "results.0.created", MISSING, "created"),
    ("GET events/gala/blockedsecrets/", "results.0.blocked", "true", "blocked"),
    ("GET events/gala/settings/", "reusable_media_type_nfc_uid", 1, "nfc_uid"),
    ("TICKET k3p9x7", "type", MISSING, "type"),
    ("TICKET k3p9x7", "type", "valid", "valid"),
    ("TICKET k3p9x7", "type", "WITHDRAWN", "WITHDRAWN"),
    ("TICKET k3p9x7", "scanType", "entry", "entry"),
    ("TICKET k3p9x7", "positionId", "1", "positionId"),
    ("TICKET k3p9x7", "isCheckinAllowed", None, "isCheckinAllowed"),
    ("TICKET k3p9x7", "checkinTexts", [None], "checkinTexts"),
    ("TICKET k3p9x7", "requiredMediaPolicy", "ALWAYS", "ALWAYS"),
    ("TICKET k3p9x7", "position", "501", "position"),
    ("TICKET k3p9x7", "shownAnswers", [{"question": {"server_id": 5}}], "missing|required"),
    ("TICKET used", "firstScanned", "2026-09-02T18:00:00", "firstScanned"),
    ("TICKET used", "firstScanned", 1788372000.5, "firstScanned"),
    ("TICKET badge", "eventSlug", None, "eventSlug"),
    ("TICKET badge", "position", {"id": 501}, "item"),
    ("TICKET asks", "requiredAnswers", None, "requiredAnswers"),
    ("TICKET asks", "requiredAnswers.0.question.json_data", right.SHIRT, "json_data"),
    ("TICKET asks", "requiredAnswers.0.question.json_data", "{", "json_data"),
    ("TICKET asks", "requiredAnswers.0", asked({**right.SHIRT, "question": "Shirt"}), "question"),
    ("TICKET asks", "requiredAnswers.0", asked({**right.SHIRT, "options": None}), "options"),
    ("TICKET asks", "requiredAnswers.0.question.required", 1, "required"),
    ("POST search/", "0.secret", None, "secret"),
    ("POST search/", "0.status", "paid", "paid"),
    ("GET gala/12/status/", "eventName", MISSING, "eventName"),
    ("GET gala/12/status/", "items", None, "items"),
    ("GET gala/12/status/", "items.0.isAdmission", MISSING, "isAdmission"),
    ("GET gala/12/status/", "items.0.admission", MISSING, "admission"),
    ("GET device/eventselection", "event.slug", MISSING, "slug"),
]


@pytest.mark.parametrize(("what", "place", "value", "why"), SPOILED)
def test_one_spoiled_field_is_noticed_by_the_app_and_by_its_schema(
    fake: FakeBox, what: str, place: str, value: Any, why: str
) -> None:
    fake.spoil(what, place, value)
    with pytest.raises(Crash, match=why) as crash:
        a_day(App.from_qr(fake.qr, hook=None, prints_badges=True))
    assert not isinstance(crash.value, Unpromised)
    with pytest.raises(Unpromised, match=why):
        a_day(App.from_qr(fake.qr, prints_badges=True))


NOT_FOUND, NO_MORE = Reply(404, {"detail": "Not found."}), Reply(429, {"detail": "Slow down."})


@pytest.mark.parametrize(
    ("what", "reply", "why"),
    [
        *((what, NO_MORE, "429") for what in (
            "GET device/info", "POST device/update", "GET events/gala/settings/", "GET events/gala/revokedsecrets/",
            "TICKET k3p9x7", "POST search/", "GET device/eventselection",
        )),
        ("GET events/", Reply(302, "", {"Location": "/login"}), "redirected"),
        ("TICKET k3p9x7", Reply(301, "", {"Location": "/login"}), "redirected"),
        ("TICKET k3p9x7", Reply(200, "<html>"), "not JSON"),
        ("TICKET k3p9x7", Reply(400, "<html>"), "not JSON"),
        ("TICKET k3p9x7", Reply(200, '{"type": NaN}'), "NaN"),
        ("POST search/", Reply(200, {"results": []}), "array"),
        ("GET events/gala/revokedsecrets/", NOT_FOUND, "count"),
        ("GET events/gala/checkinlists/", Reply(404, "not found"), "plain 404"),
        ("GET events/gala/items/", Reply(403, {}), "403"),
        ("GET events/gala/items/", Reply(500, "x"), "500"),
        ("GET events/gala/items/", Reply(304), "304"),
        ("GET events/gala/", Reply(304), "304"),
        ("GET device/eventselection", NOT_FOUND, "404"),
        ("POST device/initialize", NOT_FOUND, "api_token"),
        ("POST device/initialize", Reply(500, "x"), "500"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_a_crash(fake: FakeBox, what: str, reply: Reply, why: str) -> None:
    fake.replies[what] = reply
    with pytest.raises(Crash, match=why):
        a_day(App.from_qr(fake.qr, hook=None))


@pytest.mark.parametrize(
    ("following", "why"),
    [
        ("http://127.0.0.2:8080/api/v1/organizers/acme/subevents/?page=2", "is not on"),
        ("/api/v1/organizers/acme/subevents/?page=2", "not absolute"),
        ("{url}/api/v1/organizers/acme/subevents/", "circle|304"),
    ],
)
def test_a_next_page_that_leads_astray(fake: FakeBox, following: str, why: str) -> None:
    app = App.from_qr(fake.qr)
    app.first_start()
    app.sync()
    fake.hooks["GET subevents/"] = lambda asked: Reply(200, page(following=following.replace("{url}", fake.url)))
    with pytest.raises(Crash, match=why):
        app.sync()


@pytest.mark.parametrize(
    ("what", "place", "value", "why"),
    [
        ("GET events/gala/checkinlists/", "results.0.allow_multiple_entries", MISSING, "allow_multiple_entries"),
        ("GET events/", "results.0.name", {}, "non-empty"),
        ("GET device/info", "server.version.pretix_numeric", "1", "not of type"),
        ("TICKET used", "firstScanned", 1788372000, "firstScanned"),
        ("TICKET badge", "position", {"id": 501}, "item"),
        ("POST search/", "0.isRedeemed", MISSING, "isRedeemed"),
        ("GET gala/12/status/", "currentlyInside", MISSING, "currentlyInside"),
    ],
)
def test_the_box_promises_more_than_the_app_needs(fake: FakeBox, what: str, place: str, value: Any, why: str) -> None:
    fake.spoil(what, place, value)
    a_day(App.from_qr(fake.qr, hook=None))
    with pytest.raises(Unpromised, match=why):
        a_day(App.from_qr(fake.qr))


def test_a_whole_result_has_every_key() -> None:
    names = ("addonText", "reasonExplanation", "locale", "requiredMediaPolicy", "requiredMediaType")
    whole = {**right.VALID, **dict.fromkeys(names)}
    validate_whole("check", whole)
    del whole["seat"]
    validate("check", whole)
    with pytest.raises(ValidationError, match="seat"):
        validate_whole("check", whole)
