"""The scripted ticket server must lie only when told to: its faults really happen, and between them it is honest."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import requests

from tests.support.event import EXPIRED, PENDING, BadDatetime, StubEvent
from tests.support.upstream import (
    ANSWER_LOST,
    BODY_CUT,
    CLOSED,
    INVALID_KEY,
    SERVER_ERROR,
    Hold,
    StubUpstream,
    always,
    held,
    times,
    unavailable,
)


@pytest.fixture
def event() -> StubEvent:
    event = StubEvent()
    event.add_ticket("fresh")
    event.add_ticket("pending", order_status=PENDING)
    event.add_ticket("expired", order_status=EXPIRED)
    return event


@pytest.fixture
def http() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def call(
    http: requests.Session, stub: StubUpstream, verb: str, key: str | None = None, **form: str
) -> requests.Response:
    method = "POST" if verb == "redeem" else "GET"
    params = {"key": stub.key if key is None else key}
    return http.request(method, f"{stub.url}{verb}/", params=params, data=form, timeout=10, allow_redirects=False)


def outcome(event: StubEvent, secret: str, **form: str) -> str:
    answer = event.redeem({"secret": secret, **form})
    return str(answer.get("reason", answer["status"]))


def test_a_nonce_makes_a_retry_harmless_and_only_its_own(event: StubEvent) -> None:
    assert outcome(event, "fresh", nonce="a") == "ok"
    assert outcome(event, "fresh", nonce="a", datetime="2026-11-24T08:15Z") == "ok"
    assert outcome(event, "fresh", nonce="b") == "already_redeemed"
    assert outcome(event, "fresh") == "already_redeemed"
    assert [entry.nonce for entry in event.accepted("fresh")] == ["a"]


def test_force_on_a_ticket_that_is_in_is_logged_but_the_first_check_in_stays(event: StubEvent) -> None:
    assert outcome(event, "fresh", nonce="a", datetime="2026-11-24T08:15Z") == "ok"
    assert outcome(event, "fresh", nonce="b", force="true") == "ok"
    assert outcome(event, "fresh", nonce="b") == "already_redeemed"
    assert (event.checkins["fresh"].nonce, event.checkins["fresh"].datetime) == (
        "a",
        datetime(2026, 11, 24, 8, 15, tzinfo=UTC),
    )
    assert [(entry.nonce, entry.forced, entry.first) for entry in event.accepted("fresh")] == [
        ("a", False, True),
        ("b", True, False),
    ]


def test_unpaid_tickets_come_in_by_force_or_where_the_list_takes_pending_ones(event: StubEvent) -> None:
    assert outcome(event, "pending", ignore_unpaid="true") == "unpaid"
    assert outcome(event, "expired", force="true") == "unpaid"
    event.include_pending = True
    assert outcome(event, "pending") == "unpaid"
    assert outcome(event, "pending", ignore_unpaid="True") == "ok"
    assert not event.accepted("expired")


def test_questions_are_asked_until_answered_and_nothing_of_an_incomplete_call_is_kept(event: StubEvent) -> None:
    event.add_question(1, "C", items=[2], options={7: "Meat", 8: "Vegan"})
    event.add_question(2, "S", items=[2], required=False)
    asked = event.redeem({"secret": "fresh", "questions_supported": "1", "answer_1": "7"})
    assert (asked["status"], [question["id"] for question in asked["questions"]]) == ("incomplete", [2])
    assert outcome(event, "fresh", questions_supported="1", answer_1="99", answer_2="x") == "incomplete"
    assert not event.tickets["fresh"].answers
    assert outcome(event, "fresh", questions_supported="1", answer_1="8", answer_2="") == "ok"
    assert event.tickets["fresh"].answers == {1: "Vegan"}


def test_an_item_outside_key_or_list_is_product_even_with_force(event: StubEvent) -> None:
    event.key_items = {1}
    assert outcome(event, "fresh", force="true") == "product"
    event.key_items, event.list_items = None, {1}
    assert outcome(event, "fresh", force="true") == "product"
    assert event.download()["results"] == []


@pytest.mark.parametrize("text", ["", "tomorrow", "1766122101020", "2026-13-01T00:00Z"])
def test_a_datetime_that_cannot_be_read_is_noticed_before_the_ticket(event: StubEvent, text: str) -> None:
    with pytest.raises(BadDatetime):
        event.redeem({"secret": "nobody", "datetime": text})


def test_the_download_has_who_may_come_in_and_version_2_tells_less(event: StubEvent) -> None:
    assert [ticket["secret"] for ticket in event.download()["results"]] == ["fresh"]
    event.include_pending, event.version = True, 2
    told = event.download()["results"]
    assert [(ticket["secret"], ticket["paid"]) for ticket in told] == [("fresh", True), ("pending", False)]
    assert "item_id" not in told[0]


def test_the_checks_come_in_the_real_order(stub: StubUpstream, http: requests.Session) -> None:
    elsewhere = stub.url.replace(stub.event, "other")
    assert http.get(f"{elsewhere}status/?key=wrong").text == "Unknown event"
    wrong = call(http, stub, "redeem", key="wrong")
    assert (wrong.status_code, wrong.text) == (403, "Invalid key")
    assert http.get(f"{stub.url}redeem/?key={stub.key}").status_code == 405
    assert call(http, stub, "redeem", secret="x", datetime="tomorrow").status_code == 500


def test_a_lost_answer_was_acted_on_and_a_closed_connection_was_not(stub: StubUpstream, http: requests.Session) -> None:
    one, other = stub.add_tickets(2)
    stub.on("redeem", lambda request: ANSWER_LOST if request.secret == one else CLOSED)
    for secret in (one, other):
        with pytest.raises(requests.ConnectionError):
            call(http, stub, "redeem", secret=secret)
    assert list(stub.checkins) == [one]
    assert [request.secret for request in stub.seen("redeem")] == [one, other]


def test_a_cut_body_is_noticed_by_the_client(stub: StubUpstream, http: requests.Session) -> None:
    stub.add_tickets(500)
    stub.on("download", always(BODY_CUT))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        call(http, stub, "download")


def test_a_held_answer_tells_what_was_so_when_it_was_asked_for(stub: StubUpstream, http: requests.Session) -> None:
    (secret,) = stub.add_tickets(1)
    hold, answers = Hold(), []
    stub.on("download", times(1, held(hold, after=0.5)))
    asking = threading.Thread(target=lambda: answers.append(call(http, stub, "download").json()))
    asking.start()
    assert hold.reached.wait(10)
    stub.redeem({"secret": secret})
    assert not answers
    hold.release()
    asking.join(10)
    assert [ticket["redeemed"] for ticket in answers[0]["results"]] == [False]
    assert [ticket["redeemed"] for ticket in call(http, stub, "download").json()["results"]] == [True]


def test_hooks_pick_their_requests_and_the_youngest_goes_first(stub: StubUpstream, http: requests.Session) -> None:
    bad, good = stub.add_tickets(2)
    stub.on("*", always(unavailable("7")))
    stub.on("redeem", always(SERVER_ERROR, secret=bad))
    stub.on("redeem", times(1, INVALID_KEY, when=lambda request: request.secret == good))
    assert [call(http, stub, "redeem", secret=secret).status_code for secret in (good, good, bad)] == [403, 503, 500]
    assert call(http, stub, "status").headers["Retry-After"] == "7"
    stub.off()
    assert call(http, stub, "redeem", secret=bad).json()["status"] == "ok"
    assert list(stub.checkins) == [bad]


def test_stopping_cuts_open_connections_and_starting_again_finds_the_same_server(
    stub: StubUpstream, http: requests.Session
) -> None:
    (secret,) = stub.add_tickets(1)
    assert call(http, stub, "redeem", secret=secret, nonce="a").json()["status"] == "ok"
    stub.stop()
    with pytest.raises(requests.ConnectionError):
        call(http, stub, "status")
    stub.start()
    assert call(http, stub, "redeem", secret=secret, nonce="a").json()["status"] == "ok"
    assert len(stub.accepted(secret)) == 1


def test_the_date_header_is_the_tests_own(stub: StubUpstream, http: requests.Session) -> None:
    stub.date = lambda: datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert call(http, stub, "status").headers["Date"] == "Sat, 03 Feb 2001 04:05:06 GMT"
    stub.date = lambda: None
    assert "Date" not in call(http, stub, "status").headers
