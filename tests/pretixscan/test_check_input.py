"""What may be sent to `check/` and `search/`, and what may not: that is told in words, and nothing is recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebox.app import MAX_BODY_BYTES
from edgebox.model import CheckInList
from tests.pretixscan.gate import Gate
from tests.support.event import PENDING, StubEvent
from tests.support.pretixscan import App
from tests.support.pretixscan.schemas import validate_whole

CHECK, SEARCH = "proxyapi/v1/rpc/check/", "proxyapi/v1/rpc/search/"


@pytest.fixture
def list_(gate: Gate) -> CheckInList:
    event = StubEvent()
    event.add_ticket("abc")
    event.add_ticket("\ufffdabc")
    event.add_ticket("\\000026abc")
    event.add_ticket("Ł-李")
    event.include_pending = True
    event.add_ticket("unpaid", order_status=PENDING)
    return gate.add_saved(event)


@pytest.fixture
def app(gate: Gate, list_: CheckInList) -> App:
    return gate.phone(list_)


def result_of(gate: Gate, app: App, path: str, **body: object) -> Any:
    """The answer to a check that is sent exactly so."""
    answer = gate.ask("POST", f"proxyapi/v1/rpc/{path}", key=app.device.api_token, body=body)
    assert answer.status_code == 200, answer.text
    validate_whole("check", answer.json())
    return answer.json()


def directions(gate: Gate) -> list[str]:
    return [checkin.direction.value for checkin in gate.checkins()]


# --- what may be left out ---------------------------------------------------------------------------------------------


def test_a_check_needs_its_lists_and_its_ticket_only(gate: Gate, app: App, list_: CheckInList) -> None:
    told = result_of(gate, app, "check/", events_and_checkin_lists={"democon": list_.id}, ticketid="abc")
    assert (told["type"], told["scanType"], told["eventSlug"]) == ("VALID", "ENTRY", "democon")


def test_the_form_of_one_list_needs_its_ticket_only(gate: Gate, app: App, list_: CheckInList) -> None:
    path = f"democon/{list_.id}/check/"
    assert result_of(gate, app, path, ticketid="abc")["type"] == "VALID"
    assert result_of(gate, app, path)["type"] == "INVALID"
    assert gate.ask("POST", f"proxyapi/v1/rpc/{path}", key=app.device.api_token).json()["type"] == "INVALID"
    none = dict.fromkeys(("answers", "ignore_unpaid", "with_badge_data", "type", "source_type", "nonce"))
    assert result_of(gate, app, path, ticketid="abc", **none)["type"] == "USED"


def test_the_type_may_be_written_in_either_case(gate: Gate, app: App, list_: CheckInList) -> None:
    for word in ("entry", "exit", "ENTRY", "EXIT"):
        result = app.check_single("democon", list_.id, "abc", word)
        assert (result.type, result.scan_type) == ("USED" if word == "ENTRY" else "VALID", word.upper())
    assert directions(gate) == ["entry", "exit", "exit"]


def test_only_a_plain_yes_lets_in_unpaid(gate: Gate, app: App, list_: CheckInList) -> None:
    path = f"democon/{list_.id}/check/"
    for odd in ("true", "yes", 1, [True], None):
        assert result_of(gate, app, path, ticketid="unpaid", ignore_unpaid=odd)["type"] == "UNPAID", odd
    assert result_of(gate, app, path, ticketid="unpaid", ignore_unpaid=True)["type"] == "VALID"


def test_what_the_box_does_not_know_is_passed_over(gate: Gate, app: App, list_: CheckInList) -> None:
    odd = {"with_badge_data": "x", "useOrderLocale": [], "allowQuestions": 5, "ignore_unpaid": "yes", "new": {"a": [1]}}
    assert result_of(gate, app, f"democon/{list_.id}/check/", ticketid="abc", **odd)["type"] == "VALID"


# --- the scanned code -------------------------------------------------------------------------------------------------


def test_a_code_is_cleaned_as_pretix_does_and_then_compared_exactly(gate: Gate, app: App) -> None:
    for code in ("ABC", "abc ", " abc", "ab", "\\000099abc", "Ł-", ""):
        assert app.check(code).type == "INVALID", code
    assert app.check("\\000026abc").type == "VALID", "which code page the rest is in"
    assert app.check("\\000003abc").type == "USED"
    assert app.check("\\000026abc", source_type="nfc_uid").type == "VALID", "that is a ticket of its own"
    assert [app.check(f"{control}abc").type for control in ("\x00", "\x1b", "\u200b")] == ["VALID", "USED", "USED"]
    assert app.check("Ł-李").type == "VALID"
    assert [each.secret for each in gate.checkins()] == ["abc", "\\000026abc", "\ufffdabc", "Ł-李"]


def test_halves_of_characters_are_unknown_and_no_fault(gate: Gate, app: App, list_: CheckInList) -> None:
    body = f'{{"events_and_checkin_lists": {{"democon": {list_.id}}}, "ticketid": "x\\ud800"}}'
    answer = gate.ask("POST", CHECK, key=app.device.api_token, data=body)
    assert (answer.status_code, answer.json()["type"]) == (200, "INVALID")
    assert [entry.secret for entry in _logged(gate)] == ["x\ufffd"]


def _logged(gate: Gate) -> list[Any]:
    gate.box.store.lists.pause(gate.box.store.lists.all()[0].id, False)  # a commit, which takes what waits along
    return gate.log()


def test_a_code_that_is_no_text_or_endless_is_unknown(gate: Gate, app: App, list_: CheckInList) -> None:
    for code in (None, 5, True, ["abc"], {"abc": 1}, "x" * 200_000):
        told = result_of(gate, app, f"democon/{list_.id}/check/", ticketid=code)
        assert told["type"] == "INVALID"
    assert gate.checkins() == []


# --- what cannot be used ----------------------------------------------------------------------------------------------

NOT_JSON: list[bytes] = [
    b"{", b"ticketid=abc", b"\xff\xfe{}", b'{"a": "\xff"}', b"null", b"5", b'"abc"', b"[]", b"[" * 100_000,
    b'{"a":' * 40_000, b"{'a': 1}", b'{"ticketid": "abc"} x', b'{"a": ' + b"9" * 10_000 + b"}",
]  # fmt: skip


def test_a_body_that_is_no_json_object_is_refused_in_words(gate: Gate, app: App, list_: CheckInList) -> None:
    for path in (CHECK, SEARCH, f"proxyapi/v1/rpc/democon/{list_.id}/check/", "api/v1/device/initialize"):
        for body in NOT_JSON:
            answer = gate.ask("POST", path, key=app.device.api_token, data=body)
            assert answer.status_code == 400, (path, body[:20], answer.text)
            validate_whole("error", answer.json())
    assert gate.checkins() == gate.log() == []


def test_a_body_that_is_too_large_is_refused_in_words(gate: Gate, app: App) -> None:
    for path in (CHECK, SEARCH, "api/v1/device/update"):
        answer = gate.ask("POST", path, key=app.device.api_token, data=b" " * MAX_BODY_BYTES + b"{}")
        validate_whole("error", answer.json())
        assert answer.status_code == 413
    assert gate.checkins() == gate.log() == []


ASKED = {"question": {"server_id": 7}, "value": "x", "options": None}
WRONG: dict[str, list[Any]] = {
    "events_and_checkin_lists": [
        None, [], "democon", 1, {"democon": None}, {"democon": "1"}, {"democon": True}, {"democon": 1.0},
        {"democon": [1]},
    ],
    "type": ["IN", "", "ENTRY ", 5, True, [], {}, ["ENTRY"]],
    "nonce": [5, True, ["n"], "x" * 191, "a\x00b", "\ufffd", "\ud800"],
    "answers": ["x", 5, {"7": "x"}, [None], ["x"], [{}], [{"question": 7}], [{"question": {}}], [ASKED] * 201],
}  # fmt: skip
WRONG_ANSWERS: dict[str, list[Any]] = {
    "question": [{"server_id": each} for each in ("7", None, True, 0, -7, 7.0, 2**63)],
    "value": [5, True, [], {}, "a\x00b", "x" * 10_001, "\ud800"],
    "options": ["x", 5, {"a": 1}, [None], [{}], [{"server_id": "51"}], [{"server_id": 0}], [51]],
}


def test_a_check_of_the_wrong_types_is_refused_and_leaves_no_trace(gate: Gate, app: App, list_: CheckInList) -> None:
    right = {"events_and_checkin_lists": {"democon": list_.id}, "ticketid": "abc"}
    bodies = [{key: value} for key, values in WRONG.items() for value in values]
    bodies += [{"answers": [{**ASKED, key: value}]} for key, values in WRONG_ANSWERS.items() for value in values]
    for wrong in bodies:
        answer = gate.ask("POST", CHECK, key=app.device.api_token, body={**right, **wrong})
        assert answer.status_code == 400, (wrong, answer.text)
        validate_whole("error", answer.json())
        assert "Nothing was recorded" in answer.json()["title"]
    assert gate.checkins() == gate.log() == []
    assert app.check("abc").type == "VALID"


def test_a_search_of_the_wrong_types_is_refused(gate: Gate, app: App, list_: CheckInList) -> None:
    for query in (5, True, ["abcd"], {"abcd": 1}, "abc\x00d", "abcd\ud800", "abcd\ufffd"):
        body = {"events_and_checkin_lists": {"democon": list_.id}, "query": query}
        answer = gate.ask("POST", SEARCH, key=app.device.api_token, body=body)
        assert answer.status_code == 400, (query, answer.text)
        validate_whole("error", answer.json())


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "events_and_checkin_lists", "ticketid", "answers", "ignore_unpaid", "with_badge_data", "type", "source_type",
    "allowQuestions", "useOrderLocale", "nonce", "exchange_medium_type", "exchange_medium_identifier", "query", "page",
)  # fmt: skip


def test_whatever_is_sent_is_answered_and_is_no_fault(gate: Gate, app: App, list_: CheckInList) -> None:
    answers = st.lists(
        st.fixed_dictionaries(
            {"question": st.just({"server_id": 7}) | ANY_JSON}, optional={"value": ANY_JSON, "options": ANY_JSON}
        ),
        max_size=3,
    )
    chosen = st.just({"democon": list_.id}) | ANY_JSON
    known = {"events_and_checkin_lists": chosen, "ticketid": st.just("abc") | ANY_JSON, "answers": answers | ANY_JSON}
    bodies = st.fixed_dictionaries({}, optional={key: known.get(key, ANY_JSON) for key in KEYS})

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(bodies, st.sampled_from((CHECK, SEARCH, f"proxyapi/v1/rpc/democon/{list_.id}/check/")))
    def is_answered(body: Any, path: str) -> None:
        answer = gate.ask("POST", path, key=app.device.api_token, body=body)
        assert answer.status_code in (200, 400), answer.text
        name = "error" if answer.status_code == 400 else "search" if path == SEARCH else "check"
        validate_whole(name, answer.json())

    is_answered()
    assert gate.box.store.write_failure() is None
    assert len(gate.checkins()) <= 4


# --- what the box cannot do -------------------------------------------------------------------------------------------


def test_giving_out_a_medium_is_refused_in_words_and_lets_nobody_in(gate: Gate, app: App, list_: CheckInList) -> None:
    for extra in ({"exchange_medium_type": "nfc_uid"}, {"exchange_medium_identifier": "04A3"}):
        told = result_of(gate, app, f"democon/{list_.id}/check/", ticketid="abc", **extra)
        assert (told["type"], told["ticket"]) == ("ERROR", None)
        assert "media" in told["reasonExplanation"]
    assert gate.checkins() == []


# --- a nonce, which other clients may send ----------------------------------------------------------------------------


def test_the_same_nonce_again_is_the_same_check_in(gate: Gate, app: App, list_: CheckInList) -> None:
    path = f"democon/{list_.id}/check/"

    def told(**asked: object) -> str:
        return str(result_of(gate, app, path, ticketid="abc", **asked)["type"])

    assert [told(nonce="n" * 190), told(nonce="n" * 190)] == ["VALID", "VALID"]
    assert [told(nonce="other"), told(), told(nonce="")] == ["USED", "USED", "USED"]
    assert [(each.nonce, each.direction.value) for each in gate.checkins()] == [("n" * 190, "entry")]
    assert [told(nonce="n" * 190, type="exit"), told(nonce="n" * 190, type="exit")] == ["VALID", "VALID"]
    assert directions(gate) == ["entry", "exit"]
