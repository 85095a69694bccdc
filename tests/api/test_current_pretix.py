"""What scanners that speak the old dialect are told of a list of today's pretix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgebox.app import create_app
from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.devices.pretixdroid import download
from edgebox.devices.pretixdroid.telling import MESSAGES, REASONS, verdict_body
from edgebox.model import CheckInList, ListTerms, PastCheckIn, Question, Reason, Redeemed, SourceKind, Ticket, Verdict
from edgebox.store.connections import NewConnection
from edgebox.store.lists import NewList
from tests.store.fair import NEW, a_ticket, an_order, entry
from tests.store.venue import SHIRT, TICKET, a_catalog

KEY = "SCANNERKEY"
NOW = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)

IN_THE_CONTRACT = {"unknown_ticket", "product", "unpaid", "already_redeemed"}


class Door:
    """A box with a list of today's pretix (never asked: nothing listens there), and a scanner at it."""

    def __init__(self, directory: Path, terms: ListTerms) -> None:
        self.now = NOW
        clock = Clock(wall=lambda: self.now.timestamp(), system_synchronised=lambda: True)
        self.box = Box(Config(data_dir=directory), clock)
        connection = self.box.store.connections.add(NEW, NOW)
        new = NewList(
            kind=SourceKind.PRETIX, url="", credential="", organizer="demoorga", event="democon",
            subevent=None, name="Default", catalog=a_catalog(), connection_id=connection.id, upstream_list=1,
            terms=terms,
        )  # fmt: skip
        self.box.store.lists.add(new, NOW)
        self.box.scanners.add("Gate 1", self.list_.id, key=KEY)
        self.client = create_app(self.box).test_client()

    @property
    def list_(self) -> CheckInList:
        return self.box.store.lists.all()[0]

    def tell(self, *tickets: Any) -> None:
        number = self.box.store.numbers.next()
        self.box.store.orders.take(self.list_.source.id, [an_order("A", *tickets)], number=number)

    def get(self, verb: str, **query: str) -> Any:
        answer = self.client.get(f"/pretixdroid/api/demoorga/democon/{verb}/", query_string={"key": KEY, **query})
        assert answer.status_code == 200, answer.text
        return answer.json

    def secrets(self, verb: str = "download", **query: str) -> list[str]:
        return [row["secret"] for row in self.get(verb, **query)["results"]]

    def redeem(self, secret: str) -> Any:
        answer = self.client.post(
            "/pretixdroid/api/demoorga/democon/redeem/", query_string={"key": KEY}, data={"secret": secret}
        )
        assert answer.status_code == 200, answer.text
        return answer.json


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path, ListTerms())
    yield opened
    opened.box.close()


# --- the true reason --------------------------------------------------------------------------------------------------


def a_refusal(reason: Reason) -> Verdict:
    if reason is Reason.INCOMPLETE:
        return Verdict(reason, questions=(Question(1, "S", "Why?", True, 0, frozenset({TICKET})),))
    if reason is Reason.ALREADY_REDEEMED:
        return Verdict(reason, first_use=PastCheckIn(NOW, "Gate 7"))
    return Verdict(reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_words_that_a_scanner_knows_and_truly_beside_them(door: Door, reason: Reason) -> None:
    ticket = Ticket(1, 1, a_ticket(1).data, False, 1)
    body = verdict_body(door.list_, Redeemed(a_refusal(reason), ticket, False))
    if reason is Reason.INCOMPLETE:
        assert (body["status"], len(body["questions"])) == ("incomplete", 1)
        return
    assert body["status"] == "error"
    assert body["reason"] in IN_THE_CONTRACT
    assert len(body["message"]) > 20
    assert ("data" in body) == (body["reason"] != "unknown_ticket"), "an app shows whose ticket it is, or crashes"
    if reason is Reason.ALREADY_REDEEMED:
        assert "Gate 7" in body["message"]
        assert "2026-11-24 19:30:00 (Europe/Berlin)" in body["message"]
        return
    assert body["message"] == MESSAGES[reason]
    told = verdict_body(door.list_, Redeemed(Verdict(reason, explanation="Only on Mondays."), ticket, False))
    assert told["message"] == "Only on Mondays.", "what there is more to say than the reason's name"


def test_no_two_reasons_are_told_in_the_same_words() -> None:
    assert len(set(MESSAGES.values())) == len(MESSAGES)
    assert REASONS.keys() == set(Reason) - {Reason.INCOMPLETE}
    assert MESSAGES.keys() == set(Reason) - {Reason.INCOMPLETE, Reason.ALREADY_REDEEMED}


def test_the_door_hears_why(door: Door) -> None:
    door.tell(
        a_ticket(1, is_closed=True),
        a_ticket(2, is_blocked=True),
        a_ticket(3, valid_from=NOW + timedelta(days=1)),
        a_ticket(4, is_paid=False, awaits_approval=True),
        a_ticket(5),
        a_ticket(6, is_cancelled=True),
    )
    told = {number: door.redeem(f"s{number:04d}") for number in range(1, 7)}
    assert {number: answer.get("reason") for number, answer in told.items()} == {
        1: "unpaid", 2: "unknown_ticket", 3: "product", 4: "unpaid", 5: None, 6: "unknown_ticket"
    }  # fmt: skip
    assert "cancelled or has expired" in told[1]["message"]
    assert "blocked" in told[2]["message"]
    assert "valid from" in told[3]["message"]
    assert "approved" in told[4]["message"]


# --- what an offline phone goes by ------------------------------------------------------------------------------------


def test_download_and_search_leave_out_whom_a_scan_would_refuse_for_what_no_phone_knows(door: Door) -> None:
    day = timedelta(days=1)
    door.tell(
        a_ticket(1),
        a_ticket(2, is_blocked=True),
        a_ticket(3, valid_from=NOW + day),
        a_ticket(4, valid_until=NOW - day),
        a_ticket(5, is_paid=False, checkin_allowed=True, awaits_approval=True),
        a_ticket(6, valid_from=NOW - day, valid_until=NOW + day),
        a_ticket(7, is_paid=False, checkin_allowed=True, valid_if_pending=True),
        a_ticket(8, is_paid=False),
        a_ticket(9, is_closed=True),
        a_ticket(10, is_cancelled=True),
    )
    assert door.secrets() == ["s0001", "s0006", "s0007"]
    assert sorted(door.secrets("search", query="guest")) == ["s0001", "s0006", "s0007"]
    rows = {row["secret"]: row for row in door.get("download")["results"]}
    assert (rows["s0007"]["paid"], rows["s0007"]["checkin_allowed"]) == (False, True)
    assert door.get("status")["total"] == 7, "the server counts them all but what is unpaid, closed or cancelled"
    for secret in rows:
        assert door.redeem(secret)["status"] == "ok", secret


def test_the_download_follows_the_time_at_which_tickets_become_valid(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_AGE_S", 0.0)
    monkeypatch.setattr(download, "REST", 0)
    door.tell(a_ticket(1, valid_from=NOW + timedelta(minutes=10)), a_ticket(2, valid_until=NOW + timedelta(minutes=20)))
    assert door.secrets() == ["s0002"]
    door.now += timedelta(minutes=10)
    assert door.secrets() == ["s0001", "s0002"], "although nothing was written"
    door.now += timedelta(minutes=10)
    assert door.secrets() == ["s0001", "s0002"]
    door.now += timedelta(seconds=1)
    assert door.secrets() == ["s0001"]


def test_the_download_follows_the_time_at_which_everybody_is_counted_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_AGE_S", 0.0)
    monkeypatch.setattr(download, "REST", 0)
    door = Door(tmp_path, ListTerms(exit_all_at=NOW + timedelta(hours=1)))
    door.tell(a_ticket(1, entry(NOW)))
    assert [row["redeemed"] for row in door.get("download")["results"]] == [True]
    door.now += timedelta(hours=1)
    assert [row["redeemed"] for row in door.get("download")["results"]] == [False]
    assert door.redeem("s0001")["status"] == "ok"
    door.box.close()


def test_unpaid_tickets_of_a_list_that_takes_them_may_be_let_in(tmp_path: Path) -> None:
    door = Door(tmp_path, ListTerms(include_pending=True, item_ids=frozenset({TICKET})))
    door.tell(a_ticket(1, is_paid=False), a_ticket(2, is_paid=False, item_id=SHIRT))
    (row,) = door.get("download")["results"]
    assert (row["secret"], row["paid"], row["checkin_allowed"]) == ("s0001", False, True)
    assert door.redeem("s0001")["reason"] == "unpaid"
    answer = door.client.post(
        "/pretixdroid/api/demoorga/democon/redeem/",
        query_string={"key": KEY},
        data={"secret": "s0001", "ignore_unpaid": "true"},
    )
    assert answer.json is not None
    assert answer.json["status"] == "ok"
    door.box.close()


def test_a_list_that_lets_in_again_is_never_shown_as_redeemed(tmp_path: Path) -> None:
    door = Door(tmp_path, ListTerms(allow_multiple_entries=True))
    door.tell(a_ticket(1))
    for _ in range(3):
        assert door.redeem("s0001")["status"] == "ok"
    assert [row["redeemed"] for row in door.get("download")["results"]] == [False]
    assert door.get("status")["checkins"] == 1
    door.box.close()


def test_no_credential_of_the_connection_is_told(door: Door) -> None:
    assert isinstance(NEW, NewConnection)
    assert NEW.credential not in repr(replace(NEW))
    assert NEW.credential not in repr(door.list_)
    for verb in ("status", "download"):
        assert NEW.credential not in str(door.get(verb))
