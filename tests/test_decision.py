"""The decision table, row by row, and its order. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import (
    Facts,
    Option,
    PastCheckIn,
    Question,
    Reason,
    RedeemRequest,
    Ticket,
    TicketData,
    Verdict,
)
from edgebox.rules import decide
from edgebox.rules.answers import is_valid, unanswered

EIGHT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
NAME = Question(1, "S", "Nickname?", True, 0, frozenset({10}))


def a_ticket(*, is_paid: bool = True, checkin_allowed: bool = True, is_withdrawn: bool = False) -> Ticket:
    data = TicketData("secret", "CODE", 10, None, "Ada", False, is_paid, checkin_allowed, "")
    return Ticket(1, 1, data, is_withdrawn, told=1)


TICKET = a_ticket()
UNPAID = a_ticket(is_paid=False, checkin_allowed=False)
PENDING = a_ticket(is_paid=False, checkin_allowed=True)
WITHDRAWN = a_ticket(is_withdrawn=True)
ASKED = RedeemRequest("secret")
FORCED = RedeemRequest("secret", is_forced=True)
CAN_ASK = RedeemRequest("secret", questions_supported=True)
USED = (PastCheckIn(EIGHT, "Gate 1"),)


# --- row by row -------------------------------------------------------------------------------------------------------


def test_a_ticket_that_nothing_speaks_against_is_let_in() -> None:
    assert decide(Facts(ASKED, TICKET)) == Verdict()


def test_row_1_a_known_nonce_is_ok_again_and_nothing_is_recorded() -> None:
    verdict = decide(Facts(ASKED, TICKET, is_repeat=True, history=USED))
    assert verdict == Verdict(is_repeat=True)
    assert verdict.is_ok


def test_row_2_no_such_ticket() -> None:
    assert decide(Facts(ASKED, None)) == Verdict(Reason.UNKNOWN_TICKET)


def test_row_3_an_item_that_is_not_the_devices() -> None:
    assert decide(Facts(ASKED, TICKET, item_is_for_device=False)) == Verdict(Reason.PRODUCT)


def test_row_4_a_withdrawn_ticket() -> None:
    assert decide(Facts(ASKED, WITHDRAWN)) == Verdict(Reason.WITHDRAWN)


@pytest.mark.parametrize(
    ("ticket", "ignores_unpaid", "is_let_in"),
    [
        (UNPAID, False, False),
        (UNPAID, True, False),
        (PENDING, False, False),
        (PENDING, True, True),
        (TICKET, False, True),
        (TICKET, True, True),
        (a_ticket(checkin_allowed=False), False, True),
    ],
)
def test_row_9_unpaid_unless_the_door_may_ignore_it_and_does(
    ticket: Ticket, ignores_unpaid: bool, is_let_in: bool
) -> None:
    verdict = decide(Facts(RedeemRequest("secret", ignores_unpaid=ignores_unpaid), ticket))
    assert verdict == (Verdict() if is_let_in else Verdict(Reason.UNPAID))


def test_row_11_a_used_ticket_with_when_and_where() -> None:
    assert decide(Facts(ASKED, TICKET, history=USED)) == Verdict(Reason.ALREADY_REDEEMED, first_use=USED[0])


def test_row_11_names_the_earliest_use_whose_time_is_known() -> None:
    untimed, late, early = PastCheckIn(None), PastCheckIn(EIGHT), PastCheckIn(EIGHT - timedelta(hours=1), "Gate 2")
    assert decide(Facts(ASKED, TICKET, history=(untimed, late, early))).first_use == early
    assert decide(Facts(ASKED, TICKET, history=(untimed,))).first_use == untimed


def test_row_12_questions_without_an_answer() -> None:
    assert decide(Facts(CAN_ASK, TICKET, questions=(NAME,))) == Verdict(Reason.INCOMPLETE, questions=(NAME,))


def test_row_12_only_where_the_device_can_ask() -> None:
    assert decide(Facts(ASKED, TICKET, questions=(NAME,))) == Verdict()


@pytest.mark.parametrize("earlier", [(), ({1: ""},), ({2: "x"},)])
def test_row_12_asks_until_there_is_a_valid_answer(earlier: tuple[Mapping[int, str], ...]) -> None:
    facts = Facts(CAN_ASK, TICKET, questions=(NAME,), earlier_answers=earlier)
    assert decide(facts).reason is Reason.INCOMPLETE
    answered = replace(facts, request=replace(CAN_ASK, answers={1: "Countess"}))
    assert decide(answered) == Verdict()


def test_row_12_takes_a_valid_answer_of_any_earlier_checkin() -> None:
    facts = Facts(CAN_ASK, TICKET, questions=(NAME,), earlier_answers=({1: "Countess"}, {1: ""}))
    assert decide(facts) == Verdict()


def test_row_12_asks_only_what_is_missing_and_in_order() -> None:
    others = tuple(replace(NAME, id=number, position=number) for number in (2, 3, 4))
    facts = Facts(
        replace(CAN_ASK, answers={2: "given"}), TICKET, questions=(NAME, *others), earlier_answers=({3: "earlier"},)
    )
    assert [question.id for question in decide(facts).questions] == [1, 4]


def test_nobody_answers_questions_only_to_be_refused() -> None:
    facts = Facts(CAN_ASK, TICKET, history=USED, questions=(NAME,))
    assert decide(facts).reason is Reason.ALREADY_REDEEMED


# --- force ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "passed"),
    [
        (Facts(FORCED, WITHDRAWN), Reason.WITHDRAWN),
        (Facts(FORCED, UNPAID), Reason.UNPAID),
        (Facts(FORCED, TICKET, history=USED), Reason.ALREADY_REDEEMED),
        (Facts(FORCED, TICKET), None),
        (Facts(replace(FORCED, questions_supported=True), TICKET, questions=(NAME,)), None),
    ],
)
def test_force_passes_what_cannot_be_undone_and_says_what_it_was(facts: Facts, passed: Reason | None) -> None:
    verdict = decide(facts)
    assert verdict.is_ok
    assert not verdict.is_repeat
    assert verdict.passed is passed


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(FORCED, None), Reason.UNKNOWN_TICKET),
        (Facts(FORCED, TICKET, item_is_for_device=False), Reason.PRODUCT),
        (Facts(FORCED, WITHDRAWN, item_is_for_device=False), Reason.PRODUCT),
    ],
)
def test_force_never_passes_an_unknown_ticket_nor_one_for_another_device(facts: Facts, reason: Reason) -> None:
    assert decide(facts) == Verdict(reason)


def test_force_with_a_known_nonce_records_nothing() -> None:
    assert decide(Facts(FORCED, TICKET, is_repeat=True, history=USED)) == Verdict(is_repeat=True)


def test_force_names_the_first_row_that_it_passed_and_the_earlier_checkin() -> None:
    verdict = decide(Facts(FORCED, a_ticket(is_paid=False, is_withdrawn=True), history=USED))
    assert verdict == Verdict(passed=Reason.WITHDRAWN, first_use=USED[0])


# --- the order of the rows --------------------------------------------------------------------------------------------

pasts = st.builds(
    PastCheckIn,
    at=st.none() | st.integers(0, 3).map(lambda hours: EIGHT + timedelta(hours=hours)),
    device_name=st.none() | st.just("Gate 1"),
)
requests = st.builds(
    RedeemRequest,
    secret=st.just("secret"),
    is_forced=st.booleans(),
    ignores_unpaid=st.booleans(),
    questions_supported=st.booleans(),
    answers=st.dictionaries(st.integers(1, 2), st.sampled_from(["", "x"])),
)
tickets = st.none() | st.builds(
    a_ticket, is_paid=st.booleans(), checkin_allowed=st.booleans(), is_withdrawn=st.booleans()
)
questions = st.lists(st.sampled_from([NAME, replace(NAME, id=2, is_required=False), replace(NAME, id=3, type="F")]))
all_facts = st.builds(
    Facts,
    request=requests,
    ticket=tickets,
    item_is_for_device=st.booleans(),
    is_repeat=st.booleans(),
    history=st.lists(pasts, max_size=3).map(tuple),
    questions=questions.map(tuple),
    earlier_answers=st.lists(st.dictionaries(st.integers(1, 2), st.sampled_from(["", "x"])), max_size=2).map(tuple),
)


def as_the_design_says(facts: Facts) -> tuple[str, str | None]:
    """(verdict, what force passed), written down without a look at the product."""
    request, ticket = facts.request, facts.ticket
    if facts.is_repeat:
        return "repeat", None
    if ticket is None:
        return "unknown_ticket", None
    if not facts.item_is_for_device:
        return "product", None
    refusals = []
    if ticket.is_withdrawn:
        refusals.append("withdrawn")
    if not ticket.data.is_paid and not (request.ignores_unpaid and ticket.data.checkin_allowed):
        refusals.append("unpaid")
    if len(facts.history) > 0:
        refusals.append("already_redeemed")
    if request.is_forced:
        return "ok", refusals[0] if refusals else None
    for question in facts.questions:
        told = [answers.get(question.id) for answers in (request.answers, *facts.earlier_answers)]
        is_answered = any(told) or ("" in told and not question.is_required)
        if request.questions_supported and question.type != "F" and not is_answered:
            refusals.append("incomplete")
    return refusals[0] if refusals else "ok", None


@given(all_facts)
def test_the_rows_are_looked_at_in_the_order_of_the_table(facts: Facts) -> None:
    verdict = decide(facts)
    told = "repeat" if verdict.is_repeat else verdict.reason.value if verdict.reason else "ok"
    assert (told, verdict.passed and verdict.passed.value) == as_the_design_says(facts)


@given(all_facts)
def test_a_verdict_carries_what_its_reason_needs_and_nothing_else(facts: Facts) -> None:
    verdict = decide(facts)
    assert bool(verdict.questions) == (verdict.reason is Reason.INCOMPLETE)
    if verdict.reason is Reason.ALREADY_REDEEMED or (verdict.passed and facts.history):
        assert verdict.first_use in facts.history
    else:
        assert verdict.first_use is None
    if verdict.passed:
        assert verdict.is_ok


# --- answers ----------------------------------------------------------------------------------------------------------

OPTIONS = (Option(11, "Vegan"), Option(12, "Fish"))
TOO_MUCH = "".join("9" for _ in range(5000))


def a_question(kind: str, *, is_required: bool = True) -> Question:
    return Question(1, kind, "?", is_required, 0, frozenset({10}), OPTIONS if kind in "CM" else ())


@pytest.mark.parametrize(
    ("kind", "text", "suffices"),
    [
        ("N", "42", True),
        ("N", "-1.50", True),
        ("N", "1,5", True),
        ("N", " 7 ", True),
        ("N", TOO_MUCH, True),
        ("N", "forty", False),
        ("N", "NaN", False),
        ("N", "Infinity", False),
        ("N", "1 000", False),
        ("S", "anything at all", True),
        ("T", "two\nlines", True),
        ("B", "True", True),
        ("B", "true", True),
        ("B", "False", False),
        ("B", "yes", False),
        ("C", "11", True),
        ("C", "13", False),
        ("C", "Vegan", False),
        ("C", "11,12", False),
        ("M", "11", True),
        ("M", "12,11", True),
        ("M", "11,11", False),
        ("M", "11,13", False),
        ("M", "11,", False),
        ("D", "2026-11-24", True),
        ("D", "2026-02-30", False),
        ("D", "24.11.2026", False),
        ("H", "08:15", True),
        ("H", "25:00", False),
        ("H", "8 o'clock", False),
        ("W", "2026-11-24T08:15", True),
        ("W", "2026-11-24T25:15", False),
        ("W", "tomorrow", False),
    ],
)
def test_each_type_of_question_knows_its_answers(kind: str, text: str, suffices: bool) -> None:
    assert is_valid(a_question(kind), text) is suffices


@pytest.mark.parametrize("kind", list("NSTBCMDHW"))
def test_a_blank_answers_what_is_optional_and_nothing_else(kind: str) -> None:
    for blank in ("", "  "):
        assert is_valid(a_question(kind, is_required=False), blank)
        assert not is_valid(a_question(kind), blank)


def test_a_no_answers_an_optional_question_only() -> None:
    assert is_valid(a_question("B", is_required=False), "False")
    assert not is_valid(a_question("B", is_required=False), "maybe")


@pytest.mark.parametrize("kind", ["F", "X", ""])
def test_a_file_and_what_nobody_knows_is_never_asked(kind: str) -> None:
    assert unanswered((a_question(kind),), {}, ()) == ()
    assert unanswered((a_question("S"),), {}, ()) == (a_question("S"),)


@given(st.sampled_from("NSTBCMDHW"), st.booleans(), st.text(max_size=40))
def test_no_text_upsets_the_reading_of_answers(kind: str, is_required: bool, text: str) -> None:
    assert is_valid(a_question(kind, is_required=is_required), text) in (True, False)
