"""`edgebox export`: the journal for others."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli.conftest import REFUSED_FOR_GOOD, Desk, HostedBox
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream, always

DOCUMENTED = {
    "list", "secret", "order", "name", "item", "direction", "datetime", "received", "nonce", "forced", "offline",
    "device", "answers", "settled", "conflict",
}  # fmt: skip


@pytest.fixture
def journal(desk: Desk, hosted: HostedBox, stub: StubUpstream) -> Desk:
    """One check-in that upstream has, one that waits, and a forced double entry."""
    stub.add_ticket("guest1", attendee_name='Zoë "Ж" O’Neil, DJ', order="AAAA1")
    stub.add_ticket("guest2", attendee_name="=1+1", order="AAAA2", item_id=1, variation_id=1)
    stub.add_question(7, "S", [2], required=False)
    desk.add_list(stub)
    key = desk.add_device("@Gate")
    hosted.start()
    wait_until(lambda: desk.lists()[0]["upstream"] == "online", 20, "upstream is heard")
    hosted.redeem(
        key, "guest1", nonce="n1", datetime="2026-11-24T20:15+01:00", questions_supported=True, answer_7="Łosoś"
    )
    wait_until(lambda: desk.lists()[0]["last_push"], 20, "the first check-in is pushed")
    stub.stop()
    desk.try_("sync")
    hosted.redeem(key, "guest2", nonce="-n2")
    hosted.redeem(key, "guest2", nonce="n3", force=True)
    return desk


def test_json_has_all_of_each_check_in(journal: Desk) -> None:
    first, second, third = journal.checkins()

    assert first.keys() >= DOCUMENTED
    received = datetime.fromisoformat(first.pop("received"))
    assert 0 <= (datetime.now(UTC) - received).total_seconds() < 120
    known: dict[str, Any] = {
        "id": 1, "list": 1, "list_name": "Default", "secret": "guest1", "order": "AAAA1", "name": 'Zoë "Ж" O’Neil, DJ',
        "item": "Ticket", "datetime": "2026-11-24T19:15:00+00:00", "nonce": "n1", "forced": False, "offline": False,
        "device": "@Gate", "answers": {"7": "Łosoś"}, "state": "settled", "settled": True,
    }  # fmt: skip
    assert {key: first[key] for key in known} == known
    assert (second["item"], second["settled"], second["offline"], second["conflict"]) == ("T-Shirt", False, True, None)
    assert (third["forced"], third["conflict"]) == (True, "already_redeemed")


def test_csv_has_the_same_in_rows(journal: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(journal.run("export"), newline="")))

    assert [row["secret"] for row in rows] == ["guest1", "guest2", "guest2"]
    assert rows[0]["name"] == 'Zoë "Ж" O’Neil, DJ'
    assert json.loads(rows[0]["answers"]) == {"7": "Łosoś"}
    assert (rows[0]["settled"], rows[1]["settled"], rows[1]["answers"]) == ("True", "False", "")
    assert rows[2]["conflict"] == "already_redeemed"
    assert rows[0].keys() == journal.checkins()[0].keys()


def test_csv_holds_no_formula(journal: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(journal.run("export", "--format", "csv"), newline="")))

    assert (rows[1]["name"], rows[1]["nonce"], rows[1]["device"]) == ("'=1+1", "'-n2", "'@Gate")
    assert (journal.checkins()[1]["name"], journal.checkins()[1]["nonce"]) == ("=1+1", "-n2")


def test_one_list_can_be_chosen(journal: Desk) -> None:
    assert len(journal.json("export", "--format", "json", "--list", "1")["checkins"]) == 3
    assert journal.json("export", "--format", "json", "--list", "2") == {"checkins": []}


def test_a_conflict_comes_with_its_reason(beside: Desk, hosted: HostedBox, stub: StubUpstream) -> None:
    stub.add_ticket("guest1")
    stub.on("redeem", always(REFUSED_FOR_GOOD))
    beside.add_list(stub)
    hosted.redeem(beside.add_device(), "guest1")
    wait_until(lambda: beside.lists()[0]["conflicts"] == 1, 20, "the check-in is parked")

    (row,) = beside.checkins()

    assert (row["state"], row["settled"], row["conflict"]) == ("parked", False, "refused")
    assert "product" in row["conflict_note"]
    assert row["conflict_closed"] is None


def test_an_empty_journal_is_an_empty_export(desk: Desk, stub: StubUpstream) -> None:
    desk.add_list(stub)

    assert desk.json("export", "--format", "json") == {"checkins": []}
    assert desk.run("export").count("\n") == 1
