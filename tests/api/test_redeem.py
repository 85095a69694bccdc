"""`redeem/`: every verdict as a scanner is told it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edgebox.demo.event import demo_event
from tests.api.conftest import NOW, Venue
from tests.support.event import CANCELED, PENDING

DATA_TYPES: dict[str, tuple[type, ...]] = {
    "secret": (str,),
    "order": (str,),
    "item": (str,),
    "item_id": (int,),
    "variation": (str, type(None)),
    "variation_id": (int, type(None)),
    "attendee_name": (str, type(None)),
    "attention": (bool,),
    "redeemed": (bool,),
    "paid": (bool,),
    "checkin_allowed": (bool,),
    "addons_text": (str,),
}


def test_a_valid_ticket_is_ok_and_recorded_once(venue: Venue) -> None:
    venue.event.add_ticket("abc123")
    venue.open()
    answer = venue.redeem("abc123")
    assert (answer["status"], answer["version"]) == ("ok", 3)
    [row] = venue.journal
    assert (row.checkin.secret, row.checkin.device_name, row.checkin.datetime) == ("abc123", "Gate 1", NOW)


def test_data_has_every_field_of_version_3_in_its_type(venue: Venue) -> None:
    venue.event.add_ticket("plain", attendee_name=None)
    venue.event.add_ticket(
        "full", item_id=1, variation_id=2, attendee_name="Łukasz 李雷", attention=True, addons_text="Workshop - Morning"
    )
    venue.open()
    plain, full = venue.redeem("plain")["data"], venue.redeem("full")["data"]
    for data in (plain, full):
        assert data.keys() == DATA_TYPES.keys()
        for field, types in DATA_TYPES.items():
            assert type(data[field]) in types, field
    assert (plain["item"], plain["variation"], plain["variation_id"], plain["attendee_name"]) == (
        "Ticket",
        None,
        None,
        None,
    )
    assert full == {
        "secret": "full",
        "order": "AAAAA",
        "item": "T-Shirt",
        "item_id": 1,
        "variation": "Blue",
        "variation_id": 2,
        "attendee_name": "Łukasz 李雷",
        "attention": True,
        "redeemed": True,
        "paid": True,
        "checkin_allowed": True,
        "addons_text": "Workshop - Morning",
    }


def test_an_unknown_ticket_is_the_only_refusal_without_data(venue: Venue) -> None:
    venue.event.add_ticket("in")
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.include_pending = True
    venue.event.add_ticket("shirt", item_id=1)
    venue.event.add_ticket("gone")
    venue.event.add_ticket("asked")
    venue.event.add_question(7, "S", [2])
    list_ = venue.open()
    venue.box.scanners.add("Tickets only", list_.id, key="TICKETSONLY", item_ids=frozenset({2}))
    del venue.event.tickets["gone"]
    venue.tell(list_)
    venue.redeem("in")
    answers = {
        "unknown_ticket": venue.redeem("nobody-has-this"),
        "already_redeemed": venue.redeem("in"),
        "unpaid": venue.redeem("pending"),
        "withdrawn": venue.redeem("gone"),
        "product": venue.redeem("shirt", key="TICKETSONLY"),
        "incomplete": venue.redeem("asked", questions_supported=True),
    }
    assert [name for name, answer in answers.items() if "data" not in answer] == ["unknown_ticket"]
    assert all(answer["version"] == 3 for answer in answers.values())
    told = {name: (answer["status"], answer.get("reason")) for name, answer in answers.items()}
    assert told == {
        "unknown_ticket": ("error", "unknown_ticket"),
        "already_redeemed": ("error", "already_redeemed"),
        "unpaid": ("error", "unpaid"),
        "withdrawn": ("error", "unpaid"),
        "product": ("error", "product"),
        "incomplete": ("incomplete", None),
    }
    messages = [answer["message"] for answer in answers.values() if answer["status"] == "error"]
    assert len(set(messages)) == len(messages)


def test_a_secret_is_compared_exactly(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    for secret in ("ABC", "abc ", " abc", "abc\n", "ab", "abcd", "äbc", "abc\u0000", "a%62c"):
        assert venue.redeem(secret)["reason"] == "unknown_ticket", secret
    assert venue.redeem("abc")["status"] == "ok"


# --- used already -----------------------------------------------------------------------------------------------------


def test_already_redeemed_says_when_in_the_events_zone_and_at_which_device(venue: Venue) -> None:
    venue.event.timezone = "Europe/Berlin"
    venue.event.add_ticket("abc")
    list_ = venue.open()
    venue.box.scanners.add("Gate 2", list_.id, key="SECONDGATE")
    venue.redeem("abc")
    venue.now += timedelta(minutes=5)
    venue.redeem("abc", force=True, key="SECONDGATE")
    answer = venue.redeem("abc", key="SECONDGATE")
    assert answer["reason"] == "already_redeemed"
    assert "2026-11-24 19:30:15 (Europe/Berlin) at Gate 1" in answer["message"]
    assert answer["data"]["redeemed"] is True


def test_a_check_in_that_only_upstream_knows_has_no_time_to_tell(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.event.redeem({"secret": "abc"})
    venue.open()
    answer = venue.redeem("abc")
    assert answer["reason"] == "already_redeemed"
    assert "does not tell when" in answer["message"]


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "Europe", "../UTC", "", "x" * 400, "\u0000"])
def test_an_unusable_zone_of_the_event_becomes_utc(venue: Venue, zone: str) -> None:
    venue.event.timezone = zone
    venue.event.add_ticket("abc")
    venue.open()
    venue.redeem("abc")
    assert "2026-11-24 18:30:15 (UTC) at Gate 1" in venue.redeem("abc")["message"]


@pytest.mark.parametrize(
    ("zone", "sent", "told"),
    [
        ("America/New_York", "0001-01-01T00:00Z", "0001-01-01 00:00:00 (UTC)"),
        ("Asia/Tokyo", "9999-12-31T23:59Z", "9999-12-31 23:59:00 (UTC)"),
    ],
)
def test_a_time_at_the_edge_of_the_calendar_is_told_too(venue: Venue, zone: str, sent: str, told: str) -> None:
    venue.event.timezone = zone
    venue.event.add_ticket("abc")
    venue.open()
    assert venue.redeem("abc", datetime=sent)["status"] == "ok"
    assert told in venue.redeem("abc")["message"]


# --- nonce ------------------------------------------------------------------------------------------------------------


def test_a_repeated_nonce_is_ok_again_and_changes_nothing(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    venue.redeem("abc", nonce="n1", datetime="2026-11-24T08:15Z")
    answer = venue.redeem("abc", nonce="n1", datetime="2026-11-24T09:30Z")
    assert (answer["status"], answer["data"]["redeemed"]) == ("ok", True)
    [row] = venue.journal
    assert (row.checkin.nonce, row.checkin.datetime) == ("n1", datetime(2026, 11, 24, 8, 15, tzinfo=UTC))


@pytest.mark.parametrize("nonce", [None, ""])
def test_without_a_nonce_the_second_call_is_already_redeemed(venue: Venue, nonce: str | None) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    assert venue.redeem("abc", nonce=nonce)["status"] == "ok"
    assert venue.redeem("abc", nonce=nonce)["reason"] == "already_redeemed"
    assert len(venue.journal) == 1


def test_one_nonce_on_two_tickets_is_two_check_ins(venue: Venue) -> None:
    venue.event.add_tickets(2, "t")
    venue.open()
    assert venue.redeem("t000000", nonce="n")["status"] == "ok"
    assert venue.redeem("t000001", nonce="n")["status"] == "ok"
    assert len(venue.journal) == 2


def test_a_nonce_has_up_to_190_characters(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    nonce = "é" * 190
    assert venue.redeem("abc", nonce=nonce + "x", check=400)["reason"] == "bad_request"
    assert venue.journal == []
    assert venue.redeem("abc", nonce=nonce)["status"] == "ok"
    assert venue.journal[0].checkin.nonce == nonce


# --- force, ignore_unpaid ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", ["true", "True"])
def test_force_lets_a_used_ticket_in_again_and_keeps_both(venue: Venue, force: str) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    venue.redeem("abc")
    assert venue.redeem("abc", force=force)["status"] == "ok"
    first, second = venue.journal
    assert (first.checkin.is_forced, second.checkin.is_forced) == (False, True)


def test_nothing_but_true_is_force(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    venue.redeem("abc")
    for force in ("false", "", "1", "TRUE", "yes", "on", " true", "true "):
        assert venue.redeem("abc", force=force)["reason"] == "already_redeemed", force
    assert len(venue.journal) == 1


def test_force_passes_unpaid_and_withdrawn_but_not_unknown_and_product(venue: Venue) -> None:
    venue.event.include_pending = True
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.add_ticket("gone")
    venue.event.add_ticket("shirt", item_id=1)
    list_ = venue.open()
    venue.box.scanners.add("Tickets only", list_.id, key="TICKETSONLY", item_ids=frozenset({2}))
    venue.event.tickets["gone"].order_status = CANCELED
    venue.tell(list_)
    assert venue.redeem("pending", force=True)["status"] == "ok"
    assert venue.redeem("gone", force=True)["status"] == "ok"
    assert venue.redeem("nobody", force=True)["reason"] == "unknown_ticket"
    assert venue.redeem("shirt", force=True, key="TICKETSONLY")["reason"] == "product"
    assert [row.checkin.secret for row in venue.journal] == ["pending", "gone"]
    assert [row.checkin.conflict for row in venue.journal] == ["unpaid", "withdrawn"]


def test_ignore_unpaid_helps_only_where_check_in_is_allowed(venue: Venue) -> None:
    venue.event.add_ticket("allowed", order_status=PENDING)
    venue.event.add_ticket("not-allowed", order_status=PENDING)
    venue.event.include_pending = True
    saved = venue.saved()
    saved["download"]["results"][1]["checkin_allowed"] = False
    venue.open(saved)
    for ignored in (None, "false", "1"):
        assert venue.redeem("allowed", ignore_unpaid=ignored)["reason"] == "unpaid"
    refused = venue.redeem("not-allowed", ignore_unpaid="true")
    assert (refused["reason"], refused["data"]["paid"], refused["data"]["checkin_allowed"]) == ("unpaid", False, False)
    assert venue.redeem("allowed", ignore_unpaid="True")["status"] == "ok"
    assert [row.checkin.secret for row in venue.journal] == ["allowed"]


def test_redeemed_is_the_real_state_whatever_the_verdict(venue: Venue) -> None:
    """An old server says "paid or forced" here; an app shows it."""
    venue.event.include_pending = True
    venue.event.add_ticket("shirt", item_id=1)
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.add_ticket("asked")
    venue.event.add_question(7, "S", [2])
    list_ = venue.open()
    venue.box.scanners.add("Tickets only", list_.id, key="TICKETSONLY", item_ids=frozenset({2}))

    def redeemed(secret: str, **form: Any) -> object:
        return venue.redeem(secret, **form)["data"]["redeemed"]

    assert redeemed("shirt", key="TICKETSONLY") is False
    assert redeemed("pending") is False
    assert redeemed("asked", questions_supported=1) is False
    assert redeemed("shirt") is True
    assert redeemed("shirt", key="TICKETSONLY") is True
    assert redeemed("pending", force=True) is True
    assert redeemed("pending") is True


# --- datetime ---------------------------------------------------------------------------------------------------------


def test_the_clients_time_is_recorded_as_sent(venue: Venue) -> None:
    times = {
        "2026-11-24T08:15Z": "2026-11-24T08:15:00+00:00",
        "2026-11-24T08:15": "2026-11-24T08:15:00+00:00",
        "2026-11-24 08:15": "2026-11-24T08:15:00+00:00",
        "2026-11-24 08:15:30": "2026-11-24T08:15:30+00:00",
        "2026-11-24T08:15:30.5Z": "2026-11-24T08:15:30.500000+00:00",
        "2026-11-24T08:15:30.123456789+01:00": "2026-11-24T07:15:30.123456+00:00",
        "2026-11-24T08:15:00+0530": "2026-11-24T02:45:00+00:00",
        "2026-11-24T08:15:00-08": "2026-11-24T16:15:00+00:00",
    }
    secrets = venue.event.add_tickets(len(times))
    venue.open()
    for secret, sent in zip(secrets, times, strict=True):
        assert venue.redeem(secret, datetime=sent)["status"] == "ok"
    assert [row.checkin.datetime.isoformat() for row in venue.journal] == list(times.values())


# --- what kind of body ------------------------------------------------------------------------------------------------


def test_a_multipart_form_is_read_like_any_other(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    data = {"secret": "abc", "nonce": "nönce", "datetime": "2026-11-24T08:15Z"}
    path = f"{venue.path}/redeem/?key=SCANNERKEY"
    answer = venue.request("POST", path, data=data, content_type="multipart/form-data").get_json()
    assert answer["status"] == "ok"
    assert venue.journal[0].checkin.nonce == "nönce"


def test_a_version_2_list_tells_ids_all_the_same(venue: Venue) -> None:
    """Its server told names only, and an app fails on an item_id of 0 and on an item of null."""
    venue.event.version = 2
    venue.event.add_ticket("abc", item_id=1, variation_id=1)
    saved = venue.saved()
    saved["download"]["results"].append(
        {**saved["download"]["results"][0], "secret": "odd", "item": None, "variation": None}
    )
    venue.open(saved)
    known, odd = venue.redeem("abc"), venue.redeem("odd")
    assert known["version"] == odd["version"] == 2
    assert (known["data"]["item"], known["data"]["item_id"], known["data"]["variation_id"]) == ("T-Shirt", 1, 1)
    assert isinstance(odd["data"]["item"], str)
    assert odd["data"]["item_id"] > 0
    assert (odd["data"]["variation"], odd["data"]["variation_id"]) == (None, None)


def test_an_item_that_upstream_lists_no_more_goes_by_its_number(venue: Venue) -> None:
    """An app that is told no item crashes."""
    venue.event.add_ticket("abc", item_id=1, variation_id=2)
    list_ = venue.open()
    assert list_.catalog is not None
    venue.box.store.lists.learn(list_, replace(list_.catalog, items=()), subevent=None)
    data = venue.redeem("abc")["data"]
    assert (data["item"], data["item_id"], data["variation"], data["variation_id"]) == ("#1", 1, "#2", 2)


def test_the_demo_event_can_be_scanned_from_end_to_end(venue: Venue) -> None:
    """Every ticket of it gets a decision, and the count of those that are in fits."""
    saved = demo_event(NOW.date())
    venue.open(saved)
    results = saved["download"]["results"]
    told = [venue.redeem(row["secret"]) for row in results]
    assert {answer["status"] for answer in told} == {"ok", "error"}
    assert {answer.get("reason") for answer in told} == {None, "already_redeemed", "unpaid"}
    in_now = [row for row in results if row["paid"]]
    assert venue.get("status")["checkins"] == len(in_now)
