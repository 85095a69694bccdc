"""What each answer to a check-in means, row by row."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import timedelta, timezone

import pytest

from edgebox.model import Direction
from edgebox.upstream import Accepted, Closed, NotUpstream, Poisonous, Refused, Unreachable, UpstreamError
from edgebox.upstream.pretix import DeviceRefused, PretixConnection, PretixUpstream
from tests.pretix.side import AT, Seconds, a_checkin, connected
from tests.support.pretix import (
    ANSWER_LOST,
    BUSY,
    CUT,
    INVALID_TOKEN,
    LIST_NOT_FOUND,
    NEVER_ARRIVED,
    NO_PERMISSION,
    NO_PROFILE,
    REVOKED,
    PretixStub,
    Response,
    detail,
    order,
    page_of_html,
    position,
    said,
    too_many,
)

REDEEM = "checkinrpc/redeem/"
TOKEN, GUEST, SECRET = "device-token", "Guest 1", "s3cr3t"


@pytest.fixture(autouse=True)
def one_ticket(pretix: PretixStub) -> None:
    pretix.orders = [order("AAAAA", position(1))]


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_check_in_is_sent_with_its_own_nonce_and_time(pretix: PretixStub, upstream: PretixUpstream) -> None:
    berlin = timezone(timedelta(hours=1))
    checkin = a_checkin(datetime=AT.astimezone(berlin), answers={4: "5", 7: "  ", 9: ""}, direction=Direction.EXIT)
    assert upstream.push(checkin, force=False) == Accepted()
    (sent,) = pretix.seen(REDEEM)
    assert sent.json == {
        "lists": [1],
        "secret": "secret1",
        "source_type": "barcode",
        "type": "exit",
        "datetime": "2026-11-24T08:15:30.123456Z",
        "nonce": "nonce-1",
        "force": False,
        "ignore_unpaid": False,
        "questions_supported": False,
        "answers": {"4": "5"},
    }


def test_whole_seconds_are_sent_to_the_microsecond_too(pretix: PretixStub, upstream: PretixUpstream) -> None:
    upstream.push(a_checkin(datetime=AT.replace(microsecond=0)), force=True)
    (sent,) = pretix.seen(REDEEM)
    assert (sent.json["datetime"], sent.json["force"]) == ("2026-11-24T08:15:30.000000Z", True)


def test_what_the_door_said_of_payment_is_sent(pretix: PretixStub, upstream: PretixUpstream) -> None:
    upstream.push(a_checkin(ignores_unpaid=True), force=False)
    assert pretix.seen(REDEEM)[0].json["ignore_unpaid"] is True


def test_a_ticket_goes_by_the_secret_that_it_has_now(pretix: PretixStub, upstream: PretixUpstream) -> None:
    assert upstream.push(a_checkin(secret="before", ticket_secret="secret1"), force=False) == Accepted()


# --- the answers ------------------------------------------------------------------------------------------------------


def test_a_lost_answer_costs_nothing(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on(REDEEM, ANSWER_LOST, times=1)
    with pytest.raises(Unreachable):
        upstream.push(a_checkin(), force=False)
    assert upstream.push(a_checkin(), force=False) == Accepted()
    assert len(pretix.redeemed) == 1


FORCEABLE = (
    "unpaid", "canceled", "unapproved", "blocked", "revoked", "invalid_time", "product", "rules", "already_redeemed",
    "already_exchanged", "a reason of tomorrow",
)  # fmt: skip


@pytest.mark.parametrize("reason", FORCEABLE)
def test_most_refusals_are_overruled_by_force(pretix: PretixStub, upstream: PretixUpstream, reason: str) -> None:
    pretix.on(REDEEM, said({"status": "error", "reason": reason, "reason_explanation": None}, 400))
    assert upstream.push(a_checkin(), force=False) == Refused(reason, True)


@pytest.mark.parametrize("reason", ["ambiguous", "error", "invalid"])
def test_some_refusals_are_not(pretix: PretixStub, upstream: PretixUpstream, reason: str) -> None:
    pretix.on(REDEEM, said({"status": "error", "reason": reason}, 400))
    assert upstream.push(a_checkin(), force=False) == Refused(reason, False)


def test_an_unknown_ticket_is_refused_for_good(pretix: PretixStub, upstream: PretixUpstream) -> None:
    assert upstream.push(a_checkin(secret="nobody's"), force=True) == Refused("invalid", False)


@pytest.mark.parametrize("status", ["incomplete", "exchange"])
def test_what_pretix_wants_to_know_first_is_overruled_by_force(
    pretix: PretixStub, upstream: PretixUpstream, status: str
) -> None:
    pretix.on(REDEEM, said({"status": status, "questions": []}, 400))
    assert upstream.push(a_checkin(), force=False) == Refused(status, True)


@pytest.mark.parametrize("held", [AT.isoformat(), "2026-11-24T09:15:30.123456+01:00"])
def test_a_forced_check_in_that_pretix_held_already_is_no_conflict(
    pretix: PretixStub, upstream: PretixUpstream, held: str
) -> None:
    pretix.orders[0]["positions"][0]["checkins"] = [{"list": 1, "type": "entry", "datetime": held}]
    assert upstream.push(a_checkin(), force=False) == Refused("already_redeemed", True, was_held=True)
    assert upstream.push(a_checkin(), force=True) == Accepted(was_held=True)


def test_a_box_that_did_not_see_the_refusal_goes_by_the_forced_answer(
    pretix: PretixStub, upstream: PretixUpstream
) -> None:
    pretix.orders[0]["positions"][0]["checkins"] = [{"list": 1, "type": "entry", "datetime": AT.isoformat()}]
    assert upstream.push(a_checkin(), force=True) == Accepted(was_held=True)


@pytest.mark.parametrize("reason", ["unpaid", "revoked", "blocked", "canceled", "invalid_time", "product"])
def test_what_a_check_in_cannot_be_the_reason_for_stays_a_conflict(
    pretix: PretixStub, upstream: PretixUpstream, reason: str
) -> None:
    held = position(1, checkins=[{"list": 1, "type": "entry", "datetime": AT.isoformat()}])
    pretix.orders[0]["positions"] = [held]
    pretix.on(REDEEM, said({"status": "error", "reason": reason, "position": held}, 400), times=1)
    assert upstream.push(a_checkin(), force=False) == Refused(reason, True)
    assert upstream.push(a_checkin(), force=True) == Accepted(was_held=False)


@pytest.mark.parametrize(
    "other",
    [
        {"list": 2, "type": "entry", "datetime": AT.isoformat()},
        {"list": 1, "type": "exit", "datetime": AT.isoformat()},
        {"list": 1, "type": "entry", "datetime": (AT + timedelta(microseconds=1)).isoformat()},
        {"list": 1, "type": "entry", "datetime": "yesterday"},
        "nonsense",
    ],
)
def test_another_check_in_that_pretix_held_is_one(pretix: PretixStub, upstream: PretixUpstream, other: object) -> None:
    pretix.orders[0]["positions"][0]["checkins"] = [other]
    assert upstream.push(a_checkin(), force=True) == Accepted(was_held=False)


@pytest.mark.parametrize(
    "answer",
    [
        said({"lists": ['Invalid pk "1" - object does not exist.']}, 400),
        LIST_NOT_FOUND,
        detail("Not found.", 404),
    ],
)
def test_a_deleted_list_stops(pretix: PretixStub, upstream: PretixUpstream, answer: Response) -> None:
    pretix.on(REDEEM, answer)
    with pytest.raises(Closed) as caught:
        upstream.push(a_checkin(), force=False)
    assert not isinstance(caught.value, DeviceRefused)
    assert caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        said({"datetime": ["Datetime has wrong format."]}, 400),
        said({"secret": ["This field may not be blank."]}, 400),
        said(["No check-in list passed."], 400),
        detail("JSON parse error", 400),
        detail("Method not allowed.", 405),
        detail("Unsupported media type.", 415),
    ],
)
def test_what_pretix_does_not_understand_is_put_aside_at_once(
    pretix: PretixStub, upstream: PretixUpstream, answer: Response
) -> None:
    pretix.on(REDEEM, answer)
    outcome = upstream.push(a_checkin(), force=False)
    assert isinstance(outcome, Poisonous)
    assert outcome.is_final
    assert len(pretix.requests) == 1


def test_a_nonce_that_pretix_cannot_keep_is_never_sent(pretix: PretixStub, upstream: PretixUpstream) -> None:
    assert upstream.push(a_checkin(nonce="n" * 190), force=False) == Accepted()
    outcome = upstream.push(a_checkin(nonce="n" * 191), force=False)
    assert isinstance(outcome, Poisonous)
    assert outcome.is_final
    assert len(pretix.seen(REDEEM)) == 1


@pytest.mark.parametrize("answer", [INVALID_TOKEN, REVOKED])
def test_a_refused_device_stops_everything(pretix: PretixStub, upstream: PretixUpstream, answer: Response) -> None:
    pretix.on("", answer)
    for call in (lambda: upstream.push(a_checkin(), force=False), upstream.describe):
        with pytest.raises(DeviceRefused) as caught:
            call()
        assert "connect the box again" in caught.value.hint


@pytest.mark.parametrize(("answer", "words"), [(NO_PERMISSION, "event"), (NO_PROFILE, "security profile")])
def test_a_right_that_was_taken_away_stops_what_needs_it(
    pretix: PretixStub, upstream: PretixUpstream, answer: Response, words: str
) -> None:
    pretix.on(REDEEM, answer)
    with pytest.raises(Closed, match=words) as caught:
        upstream.push(a_checkin(), force=False)
    assert not isinstance(caught.value, DeviceRefused)


@pytest.mark.parametrize(
    ("answer", "after_s"),
    [
        (BUSY, 5.0),
        (detail("Lock timeout", 409), 5.0),
        (said({}, 409, Retry_After="2"), 2.0),
        (too_many(), 60.0),
        (too_many(3), 3.0),
        (page_of_html(503, Retry_After="11"), 11.0),
        (page_of_html(408), None),
    ],
)
def test_a_busy_pretix_is_asked_again_later(
    pretix: PretixStub, upstream: PretixUpstream, answer: Response, after_s: float | None
) -> None:
    pretix.on(REDEEM, answer)
    with pytest.raises(Unreachable) as caught:
        upstream.push(a_checkin(), force=False)
    assert caught.value.retry_after_s == after_s


@pytest.mark.parametrize(
    "answer",
    [
        page_of_html(200),
        page_of_html(201),
        said({"hello": "world"}, 201),
        said([], 201),
        said({"status": "accepted"}, 201),
        said({"status": "ok"}, 200),
        said({"status": "ok", "position": None}, 201),
        said({"status": "error"}, 400),
        said({"status": "error", "reason": ""}, 404),
        said({"status": ["error"], "reason": 7}, 400),
        page_of_html(404),
        page_of_html(403),
        page_of_html(401),
        page_of_html(407),
        page_of_html(511),
        page_of_html(302, Location="http://127.0.0.1:9/login"),
    ],
)
def test_a_login_page_is_not_pretix(pretix: PretixStub, upstream: PretixUpstream, answer: Response) -> None:
    pretix.on(REDEEM, answer)
    with pytest.raises(NotUpstream):
        upstream.push(a_checkin(), force=False)


def test_a_redirect_to_https_says_what_to_do(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on("", page_of_html(301, Location=f"https://127.0.0.1/api/v1/{REDEEM}"))
    with pytest.raises(NotUpstream, match="register the https address"):
        upstream.push(a_checkin(), force=False)


@pytest.mark.parametrize("fault", [NEVER_ARRIVED, CUT])
def test_a_broken_connection_leaves_it_open(pretix: PretixStub, upstream: PretixUpstream, fault: Response) -> None:
    pretix.on(REDEEM, fault)
    with pytest.raises(Unreachable):
        upstream.push(a_checkin(), force=False)


def test_a_passing_500_is_tried_again_at_once(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on(REDEEM, page_of_html(500), times=1)
    assert upstream.push(a_checkin(), force=False) == Accepted()


def test_a_500_to_one_check_in_while_all_else_is_answered_is_its_fault(
    pretix: PretixStub, upstream: PretixUpstream
) -> None:
    pretix.on(REDEEM, page_of_html(500))
    outcome = upstream.push(a_checkin(), force=False)
    assert isinstance(outcome, Poisonous)
    assert not outcome.is_final


def test_a_500_to_everything_is_nobodys_fault(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on("", page_of_html(500))
    with pytest.raises(Unreachable, match="trouble"):
        upstream.push(a_checkin(), force=False)


def test_a_proxy_that_dislikes_one_check_in_does_not_hold_up_the_others(
    pretix: PretixStub, upstream: PretixUpstream
) -> None:
    pretix.on(REDEEM, page_of_html(413))
    outcome = upstream.push(a_checkin(), force=False)
    assert isinstance(outcome, Poisonous)
    assert outcome.is_final
    assert len(pretix.seen(REDEEM)) == 1


# --- the rest of a list -----------------------------------------------------------------------------------------------


def test_a_list_tells_its_name_and_terms_for_one_request(pretix: PretixStub, upstream: PretixUpstream) -> None:
    first = upstream.describe()
    assert (first.organizer, first.event, first.list_name) == ("demoorga", "democon", "Default")
    assert first.terms is not None
    assert first.catalog.event.name == "DemoCon"
    asked = len(pretix.requests)
    upstream.describe()
    assert len(pretix.requests) == asked + 1


def test_a_list_that_is_not_there_any_more_is_closed(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.lists[0]["id"] = 2
    with pytest.raises(Closed, match="deleted"):
        upstream.describe()


def test_a_look_up_finds_that_there_is_such_a_ticket(pretix: PretixStub, upstream: PretixUpstream) -> None:
    known = upstream.describe().catalog
    assert upstream.look_up("secret1", known).is_partial
    asked = len(pretix.requests)
    assert not upstream.look_up("secret", known).is_partial
    assert len(pretix.requests) == asked + 1
    for odd in ("", " ", "a\0b"):
        assert not upstream.look_up(odd, known).is_partial
    assert len(pretix.requests) == asked + 1, "pretix does not understand these"


def test_one_list_is_closed_without_the_others(pretix: PretixStub, seconds: Seconds) -> None:
    from edgebox.upstream.pretix import PretixFeed

    connection = connected(pretix, seconds)
    feed = PretixFeed(connection, "democon")
    one, other = PretixUpstream(connection, feed, 1), PretixUpstream(connection, feed, 1)
    one.close()
    with pytest.raises(Unreachable, match="gives up"):
        one.push(a_checkin(), force=False)
    other.describe()
    connection.close()
    for call in (other.describe, feed.count, lambda: other.push(a_checkin(), force=False)):
        with pytest.raises(Unreachable, match="gives up"):
            call()


# --- refused attempts -------------------------------------------------------------------------------------------------


def test_a_refused_attempt_is_reported(pretix: PretixStub, upstream: PretixUpstream) -> None:
    assert upstream.report_refusal("secret1", "blocked", AT, "n-1", position_id=1)
    assert pretix.reported == [
        {
            "error_reason": "blocked",
            "error_explanation": None,
            "raw_barcode": "secret1",
            "raw_source_type": "barcode",
            "type": "entry",
            "datetime": "2026-11-24T08:15:30.123456Z",
            "nonce": "n-1",
            "position": 1,
        }
    ]


@pytest.mark.parametrize(
    ("reason", "reported"),
    [("unknown_ticket", "invalid"), ("withdrawn", "canceled"), ("test_mode", "error"), ("rules", "rules")],
)
def test_reasons_are_reported_in_pretixs_words(
    pretix: PretixStub, upstream: PretixUpstream, reason: str, reported: str
) -> None:
    upstream.report_refusal("secret1", reason, AT, "n-1")
    assert pretix.reported[0]["error_reason"] == reported


def test_a_report_on_a_position_that_is_gone_goes_by_the_secret(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on("failed_checkins", said({"position": ["Invalid pk"]}, 400), times=1)
    assert upstream.report_refusal("secret1", "blocked", AT, "n-1", position_id=99)
    assert pretix.reported[0]["position"] is None


def test_a_report_that_pretix_does_not_take_is_given_up(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.on("failed_checkins", said({"error_reason": ["not a valid choice"]}, 400))
    assert not upstream.report_refusal("secret1", "blocked", AT, "n-1")
    for odd in ("", "a\0b"):
        assert not upstream.report_refusal(odd, "invalid", AT, "n-2")


def test_a_report_to_a_deleted_list_closes_it(pretix: PretixStub, upstream: PretixUpstream) -> None:
    pretix.lists.clear()
    with pytest.raises(Closed):
        upstream.report_refusal("secret1", "blocked", AT, "n-1")


@pytest.mark.parametrize("answer", [too_many(), BUSY, page_of_html(500), NEVER_ARRIVED])
def test_a_report_can_wait(pretix: PretixStub, upstream: PretixUpstream, answer: Response) -> None:
    pretix.on("failed_checkins", answer)
    with pytest.raises(Unreachable):
        upstream.report_refusal("secret1", "blocked", AT, "n-1")


# --- what nobody gets to see ------------------------------------------------------------------------------------------


def test_no_error_names_token_secret_or_guest(
    pretix: PretixStub, connection: PretixConnection, upstream: PretixUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"secret": SECRET, "name": GUEST, "detail": f"{TOKEN} {GUEST} {SECRET}"}
    texts = []
    for answer in (
        *(said(body, status) for status in (200, 201, 400, 401, 403, 404, 405, 409, 500)),
        *(Response(status, json.dumps(body), "text/html") for status in (302, 418, 429, 502)),
        CUT, ANSWER_LOST, NEVER_ARRIVED,
    ):  # fmt: skip
        pretix.on("", answer)
        for call in (
            lambda: upstream.push(a_checkin(secret=SECRET), force=False),
            upstream.describe,
            lambda: upstream.look_up(SECRET, upstream.feed.catalog()),
            lambda: list(upstream.feed.follow(None)),
        ):
            try:
                texts.append(repr(call()))
            except UpstreamError as error:
                texts.append("".join(traceback.format_exception(error)))
    texts += [repr(connection), caplog.text]
    assert not [text for text in texts for word in (TOKEN, GUEST, SECRET) if word in text]
