"""The strict app does what pretixSCAN does, and takes every right answer (a fake box gives them)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.pretixscan import (
    Abort,
    App,
    Crash,
    EventOffer,
    ListOffer,
    LoggedOut,
    Question,
    Refused,
    Result,
    Switch,
    Wiped,
)
from tests.support.pretixscan import examples as right
from tests.support.pretixscan.examples import Json, answers_required, page
from tests.support.pretixscan.fake import DATES, GENERATED, LISTS, MODIFIED, TABLES, Asked, FakeBox, Reply, a_day
from tests.support.pretixscan.schemas import ANSWERS, validate
from tests.support.pretixscan.storage import Storage

WIPE = {"detail": "Device access has been revoked."}


@pytest.fixture
def fake() -> Iterator[FakeBox]:
    server = FakeBox()
    yield server
    server.stop()


def test_it_takes_every_right_answer_and_holds_each_against_its_schema(fake: FakeBox) -> None:
    names: set[str] = set()

    def hook(name: str, answer: object) -> None:
        names.add(name)
        validate(name, answer)

    app = App.from_qr(fake.qr, hook=hook, prints_badges=True)
    a_day(app)
    assert app.ignored == []
    assert names == ANSWERS.keys() - {"initialize refused", "version", "orders", "reusablemedia", "error", "question"}


def test_the_first_start_and_the_pickers(fake: FakeBox) -> None:
    fake.spoil("POST device/initialize", "gate", {"id": 3, "name": "Gate A"})
    app = App.from_qr(fake.qr)
    app.first_start()
    assert (app.device.api_token, app.device.device_id, app.name, app.gate) == ("0fK3", 7, "Gate A 1", "Gate A")
    assert set(fake.asked[0].json) == {
        "token", "hardware_brand", "hardware_model", "os_name", "os_version", "software_brand", "software_version",
    }  # fmt: skip
    assert "Authorization" not in fake.asked[0].headers
    gala, date = app.events()
    assert gala == EventOffer("gala", {"en": "Gala"}, datetime(2026, 9, 1, 18, tzinfo=UTC), None, True)
    assert (date.slug, date.subevent, date.is_live) == ("tour", 31, True)
    events, dates = fake.seen("GET events/")[0], fake.seen("GET subevents/")[0]
    assert datetime.fromisoformat(events.query.pop("ends_after")).utcoffset() is not None
    assert (events.query, dates.query["active"]) == ({"ordering": "date_from"}, "true")
    assert events.headers["Authorization"] == "Device 0fK3"
    assert events.headers["User-Agent"] == "okhttp/4.9.3 eu.pretix.pretixscan.droid/3.3.4"
    assert app.check_in_lists("gala") == [ListOffer(12, "Main door", None)]


def seven_pages(address: str) -> Callable[[Asked], Reply]:
    def reply(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        return Reply(200, page(following=f"{address}{number + 1}" if number < 7 else None))

    return reply


def test_the_event_picker_follows_five_pages_and_the_sync_all(fake: FakeBox) -> None:
    app = App.from_qr(fake.qr)
    app.first_start()
    for what in ("events", "subevents"):
        address = f"{fake.url}/api/v1/organizers/acme/{what}/?page="
        fake.hooks[f"GET {what}/"] = seven_pages(address)
    app.events()
    assert len(fake.seen("GET events/")) == 5
    fake.asked.clear()
    app.sync()
    assert [each.query.get("page") for each in fake.seen("GET subevents/")] == [None, "2", "3", "4", "5", "6", "7"]


def test_a_sync_asks_in_the_apps_order_and_then_only_for_what_changed(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    fake.asked.clear()
    app.sync()
    events = [f"GET events/gala/{path}" for path in ("", *(f"{table}/" for table in TABLES), "settings/")]
    assert [each.what for each in fake.asked] == ["GET device/info", "GET subevents/", *events]
    conditions = {each.what: each.headers.get("If-Modified-Since") for each in fake.asked}
    assert {what.split("/")[-2] for what, stamp in conditions.items() if stamp == MODIFIED} == {
        "categories", "items", "questions", "checkinlists",
    }  # fmt: skip
    assert fake.seen("GET subevents/")[0].query == {"ordering": "-last_modified", "modified_since": GENERATED}
    assert fake.seen("GET events/gala/revokedsecrets/")[0].query["created_since"] == right.REVOKED["created"]
    assert app.storage.rows("gala", "items") == [right.ITEM]
    assert app.storage.rows("gala", "revokedsecrets") == [right.REVOKED]


def test_a_change_of_date_forces_the_lists_with_a_text_that_is_no_http_date(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"tour": 12}, DATES)
    app.select({"tour": 12}, {"tour": 32})
    fake.spoil("GET events/tour/checkinlists/", "results.0.name", "Day 2")
    app.sync()
    forced = fake.seen("GET events/tour/checkinlists/")[-1]
    assert datetime.strptime(forced.headers["If-Modified-Since"], "%a %b %d %H:%M:%S CEST %Y")
    assert forced.query["subevent_match"] == "32"
    assert app.storage.rows("tour", "checkinlists")[0]["name"] == "Day 2"
    app.select({"tour": 12}, DATES)
    fake.replies["GET events/tour/checkinlists/"] = Reply(304)
    with pytest.raises(Crash, match="force a reload"):
        app.sync()


def test_the_numbers_of_the_box_open_exit_mode_and_several_events(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    assert (app.knows_exit, app.knows_several_events) == (True, True)
    fake.spoil("GET device/info", "server.version.pretix_numeric", 30090001000)
    app.sync()
    assert (app.knows_exit, app.knows_several_events) == (True, False)
    fake.replies["GET device/info"] = Reply(404, "<h1>Not found</h1>")
    fake.spoil("GET version", "pretix_numeric", 30090000999)
    app.sync()
    assert not app.knows_exit
    fake.replies["GET device/info"] = Reply(404, {"detail": "Not found."})
    fake.replies["GET version"] = Reply(200, right.VERSION)
    app.sync()
    assert not app.knows_exit
    assert [type(error) for error in app.ignored] == [Abort]


def test_an_upgrade_is_told_until_the_box_has_heard_it(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    app.upgrade("3.4.0")
    fake.replies["POST device/update"], heard = Reply(404, "no such page"), fake.replies["POST device/update"]
    app.sync()
    fake.replies["POST device/update"] = heard
    app.sync()
    app.sync()
    first, second = fake.seen("POST device/update")
    assert first.json["software_version"] == second.json["software_version"] == "3.4.0"
    assert first.json["rsa_pubkey"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert len(app.ignored) == 1


def test_the_words_that_wipe_delete_the_data_and_other_401_do_not(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    fake.replies["GET subevents/"] = Reply(401, {"detail": "Invalid token."})
    with pytest.raises(LoggedOut):
        app.sync()
    assert app.storage.events
    fake.replies["GET subevents/"] = Reply(401, WIPE)
    with pytest.raises(Wiped):
        app.sync()
    assert app.storage == Storage(pretix_numeric=20260600000000)


def test_the_results_as_the_app_reads_them(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    assert app.check("used") == Result(
        "USED", ticket="Regular", order_code="AB3CD", position_id=1, event_slug="gala",
        first_scanned=datetime.fromtimestamp(1788372000, UTC),
    )  # fmt: skip
    assert fake.asked[-1].json == {
        "events_and_checkin_lists": {"gala": 12}, "ticketid": "used", "answers": [], "ignore_unpaid": False,
        "with_badge_data": False, "type": "ENTRY", "source_type": "barcode", "allowQuestions": True,
        "useOrderLocale": False, "nonce": None, "exchange_medium_type": None, "exchange_medium_identifier": None,
    }  # fmt: skip
    fake.spoil("TICKET used", "firstScanned", "2026-09-02T18:00:00.5+02:00")
    first_scanned = app.check("used").first_scanned
    assert first_scanned is not None
    assert first_scanned.isoformat() == "2026-09-02T18:00:00.500000+02:00"
    single = app.check_single("gala", 12, "k3p9x7", answers=[{"question": {"server_id": 5}, "value": "x"}])
    assert (single.type, fake.asked[-1].what) == ("VALID", "POST gala/12/check/")
    assert fake.asked[-1].json["type"] == "entry"
    assert app.search_single("gala", 12, "ada")[0].secret == "k3p9x7"


def test_errors_are_cards_and_not_results(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    cards = [
        (Reply(400, right.ERROR), "Check-in list not found"), (Reply(401, {"detail": "Invalid token."}), "?"),
        (Reply(403, "x"), "permission denied"), (Reply(404, "x"), "not found"), (Reply(503, "x"), "server error"),
    ]  # fmt: skip
    for reply, title in cards:
        fake.replies["TICKET card"] = reply
        result = app.check("card")
        assert (result.type, result.is_error_card, result.title, result.status) == ("ERROR", True, title, reply.status)
    fake.replies["POST search/"] = Reply(400, right.ERROR)
    with pytest.raises(Refused, match="Check-in list not found"):
        app.search("x")
    fake.replies["TICKET told"] = Reply(200, {"type": "ERROR", "message": "Unknown list"})
    assert not app.check("told").is_error_card
    fake.stop()
    app.close()
    assert (app.check("k3p9x7").is_error_card, app.check("k3p9x7").status) == (True, None)


def test_the_dialogs_do_what_the_operator_taps(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    assert app.scan("unpaid").type == "UNPAID"
    assert app.scan("unpaid", pays=True).type == "VALID"
    assert fake.asked[-1].json["ignore_unpaid"] is True
    assert app.scan("asks").type == "ANSWERS_REQUIRED"
    assert app.scan("asks", answers_for={5: "L", 6: "Ada"}).type == "VALID"
    large = {"server_id": 52, "position": 1, "identifier": "L", "value": "Large"}
    assert fake.asked[-1].json["answers"] == [
        {"question": {"server_id": 5}, "value": "52", "options": [large]},
        {"question": {"server_id": 6}, "value": "Ada", "options": None},
    ]
    with pytest.raises(AssertionError, match="left open: 'Badge name'"):
        app.scan("asks", answers_for={5: 52})
    fake.replies["TICKET k3p9x7"] = fake.replies["TICKET asks"]
    with pytest.raises(Crash, match="still asks"):
        app.scan("asks", answers_for={6: "Ada"})


def test_a_question_that_depends_on_another_is_only_seen_after_a_fitting_answer(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"gala": 12})
    extras = {**right.SHIRT, "id": 7, "type": "M"}
    why = {**right.BADGE_NAME, "id": 8, "required": False, "dependency_question": 5, "dependency_values": ["L"]}
    sure = {**right.BADGE_NAME, "id": 9, "type": "B", "required": False, "dependency_question": 99}
    fake.replies["TICKET asks"] = Reply(200, answers_required(why, right.SHIRT, extras, sure))
    for shirt, seen in ((51, [5, 7, 9]), (52, [8, 5, 7, 9]), (None, [5, 7, 9])):
        tapped = {5: shirt, 7: ["M", 52], 8: "tall", 9: True}

        def tap(question: Question, tapped: dict[int, Any] = tapped) -> Any:
            return tapped[question.server_id]

        app.scan("asks", answers_for=tap)
        answers = {each["question"]["server_id"]: each for each in fake.asked[-1].json["answers"]}
        assert list(answers) == seen
        assert (answers[7]["value"], answers[9]["value"]) == ("51,52", "True")
        assert (answers[5]["value"], len(answers[5]["options"])) == (str(shirt or ""), 0 if shirt is None else 1)


def test_search_is_one_request_a_keystroke_and_statistics_one_an_event(fake: FakeBox) -> None:
    app = App.ready(fake.qr, LISTS, DATES)
    fake.asked.clear()
    assert [found[0].secret for found in app.type_search("ada")] == ["k3p9x7"] * 3
    assert [each.json["query"] for each in fake.asked] == ["a", "ad", "ada"]
    assert fake.asked[0].json == {"events_and_checkin_lists": LISTS, "query": "a", "page": 1}
    status = app.status()
    assert list(status) == ["gala", "tour"]
    assert status["gala"].items[0].variations[0].checkins == 2
    assert [each.what for each in fake.asked[3:]] == ["GET gala/12/status/", "GET tour/12/status/"]
    fake.spoil("POST device/initialize", "security_profile", "pretixscan_online_kiosk")
    with pytest.raises(AssertionError, match="no search"):
        App.ready(fake.qr, {"gala": 12}).search("a")


def test_event_selection_print_log_and_revoke(fake: FakeBox) -> None:
    app = App.ready(fake.qr, {"tour": 12}, DATES)
    assert app.event_selection() == Switch("gala", "Gala", None, 12)
    assert fake.asked[-1].query == {"current_event": "tour", "current_subevent": "31", "current_checkinlist": "12"}
    for stays in (Reply(304), Reply(404, "nothing")):
        fake.replies["GET device/eventselection"] = stays
        assert app.event_selection() is None
    key = app.print_log("gala", 501)
    assert app.print_log("gala", 501, key) == key
    first, second = fake.seen("POST events/gala/orderpositions/501/printlog/")
    assert first.headers["X-Idempotency-Key"] == second.headers["X-Idempotency-Key"] == key
    assert (first.json["source"], first.json["type"]) == ("pretixSCAN", "badge")
    app.print_log("gala", 502)
    assert len(app.ignored) == 1
    fake.replies["POST device/revoke"] = Reply(500, "x")
    app.revoke()
    assert app.wire.api_token is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"handshake_version": 2}, "too new"), ({"handshake_version": "1"}, "whole number"),
        ({"version": 3}, "legacy"), ({"token": "Qm7x"}, "for a pretix"), ({"url": "box:8080"}, "absolute"),
        ({"url": "http://192.168.4.1:8080/"}, "slash"), ({"url": "http://192.168.4.1/pretix"}, "path"),
        ({"url": None}, "text"),
    ],
)  # fmt: skip
def test_a_qr_code_that_the_app_cannot_use(change: Json, why: str) -> None:
    assert App.from_qr(json.dumps(right.QR)).url == right.QR["url"]
    with pytest.raises(Crash, match=why):
        App.from_qr(json.dumps({**right.QR, **change}))


def test_it_speaks_to_nobody_else(fake: FakeBox) -> None:
    with pytest.raises(AssertionError, match="loopback"):
        App.from_qr(json.dumps(right.QR)).first_start()
    fake.replies["POST device/initialize"] = Reply(400, {"token": ["Unknown."]})
    with pytest.raises(Refused, match="Unknown"):
        App.from_qr(fake.qr).first_start()
