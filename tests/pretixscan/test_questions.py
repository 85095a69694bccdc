"""Questions at the door: who is asked what, what is answered, and what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pretixscan.gate import Gate, a_ticket, sell
from tests.pretixscan.test_result_types import question
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, Result
from tests.support.upstream import StubUpstream

SHIRTS = [
    {"id": 51, "identifier": "M", "answer": {"en": "Medium", "de": "Mittel"}, "position": 0},
    {"id": 52, "identifier": "L", "answer": {"en": "Large", "de": "Weit"}, "position": 1},
]


@pytest.fixture
def fair(pretix: PretixStub) -> PretixStub:
    for code in ("ADA", "BOB", "CEM"):
        sell(pretix, code)
    return pretix


def opened(gate: Gate, pretix: PretixStub, *questions: dict[str, Any]) -> App:
    pretix.questions = list(questions)
    return gate.phone(*gate.add_current(pretix))


def asked(result: Result) -> list[int]:
    """The questions that the dialog would show."""
    assert result.type == "ANSWERS_REQUIRED"
    assert result.is_checkin_allowed
    return [each.question.server_id for each in result.required_answers or ()]


def shown(result: Result) -> dict[int, str | None]:
    return {each.question.server_id: each.current_value for each in result.shown_answers or ()}


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_a_required_question_keeps_out_until_it_is_answered(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question(7, required=True), question(8, required=False))
    assert asked(app.check("ada")) == [7, 8]
    assert asked(app.check("ada", answers=[{"question": {"server_id": 8}, "value": "x", "options": None}])) == [7]
    assert gate.checkins() == []
    result = app.scan("ada", answers_for={7: "Because", 8: "x"})
    assert (result.type, shown(result)) == ("VALID", {}), "what is asked is not shown unless that is wanted"
    assert [checkin.answers for checkin in gate.checkins()] == [{7: "Because", 8: "x"}]
    gate.sync()
    assert fair.redeemed[0]["answers"] == {"7": "Because", "8": "x"}


def test_an_optional_question_is_asked_until_it_was_left_open(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question(7, required=False))
    assert asked(app.check("ada")) == [7]
    assert app.scan("ada", answers_for={}).type == "VALID"


def test_questions_come_in_the_organizers_order_and_for_their_products_only(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question(7, position=2), question(8, position=1), question(9, items=[2]))
    assert asked(app.check("ada")) == [8, 7]


def test_a_phone_that_cannot_ask_is_not_made_to(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question())
    assert app.check("ada", allow_questions=False).type == "VALID"


def test_nobody_is_asked_who_leaves_or_is_refused(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question())
    assert app.check("ada", "EXIT").type == "VALID"
    assert app.scan("ada", answers_for={7: "x"}).type == "VALID"
    assert app.check("ada").type == "USED"


def test_a_photo_or_what_only_a_newer_pretix_knows_is_not_asked_for(gate: Gate, fair: PretixStub) -> None:
    sell(fair, "DAN", a_ticket("dan", answers=[{"question": 8, "answer": "x", "options": []}]))
    app = opened(gate, fair, question(7, type="F"), question(8, type="XYZ", show_during_checkin=True))
    assert app.check("ada").type == "VALID"
    [told] = app.check("dan").shown_answers or ()
    assert (told.question.type, told.current_value) == ("T", "x")


# --- every type -------------------------------------------------------------------------------------------------------

TYPES: dict[str, tuple[object, str, str | None]] = {
    "N": ("17", "17", "many"), "S": ("a line", "a line", None), "T": ("a\nb", "a\nb", None), "B": (True, "True", None),
    "C": ("L", "52", "99"), "M": (["M", "L"], "51,52", "51,99"), "D": ("2026-11-24", "2026-11-24", "tomorrow"),
    "H": ("19:30", "19:30", "late"), "W": ("2026-11-24T19:30", "2026-11-24T19:30", "now"), "CC": ("CH", "CH", "ABC"),
    "TEL": ("+41 44 123 45 67", "+41 44 123 45 67", "no"), "EMAIL": ("ada@example.org", "ada@example.org", "ada"),
}  # fmt: skip
"""What somebody taps, what is kept of it, and what would not do."""
NUMBERS = {kind: number for number, kind in enumerate(TYPES, start=61)}


def of_every_type(**told: Any) -> list[dict[str, Any]]:
    return [
        question(NUMBERS[kind], type=kind, position=NUMBERS[kind], options=SHIRTS if kind in "CM" else [], **told)
        for kind in TYPES
    ]


def test_questions_of_every_type_are_asked_answered_and_pushed(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, *of_every_type())
    first = app.check("ada")
    assert asked(first) == list(NUMBERS.values())
    assert {each.question.type for each in first.required_answers or ()} == TYPES.keys()
    taps: Any = {NUMBERS[kind]: tapped for kind, (tapped, _, _) in TYPES.items()}
    assert app.scan("ada", answers_for=taps).type == "VALID"
    kept = {NUMBERS[kind]: kept for kind, (_, kept, _) in TYPES.items()}
    assert gate.checkins()[0].answers == kept
    gate.sync()
    assert fair.redeemed[0]["answers"] == {str(number): text for number, text in kept.items()}


def test_an_answer_that_will_not_do_is_asked_for_again_and_still_stands_in_its_field(
    gate: Gate, fair: PretixStub
) -> None:
    app = opened(gate, fair, *of_every_type(required=False))
    bad = {NUMBERS[kind]: text for kind, (_, _, text) in TYPES.items() if text is not None}
    answers = [
        {"question": {"server_id": number}, "value": bad.get(number, ""), "options": None}
        for number in NUMBERS.values()
    ]
    again = app.check("ada", answers=answers)
    assert asked(again) == list(bad)
    assert {each.question.server_id: each.current_value for each in again.required_answers or ()} == bad


def test_chosen_options_count_whatever_stands_beside_them(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question(7, type="M", options=SHIRTS))
    chosen = [{"server_id": each["id"], "position": 0, "identifier": "", "value": "x"} for each in SHIRTS]
    answer = {"question": {"server_id": 7}, "value": "Medium, Large", "options": chosen}
    assert app.check("ada", answers=[answer]).type == "VALID"
    assert gate.checkins()[0].answers == {7: "51,52"}


def test_a_required_yes_wants_a_yes(gate: Gate, fair: PretixStub) -> None:
    app = opened(gate, fair, question(7, type="B"))
    no = [{"question": {"server_id": 7}, "value": "False", "options": None}]
    assert asked(app.check("ada", answers=no)) == [7]


def test_questions_and_options_are_in_the_events_language(gate: Gate, fair: PretixStub) -> None:
    fair.locale = "de"
    text = {"en": "Shirt?", "de": "Hemd?"}
    app = opened(gate, fair, question(7, type="C", question=text, options=SHIRTS, show_during_checkin=True))
    [wanted] = app.check("ada").required_answers or ()
    assert (wanted.question.text, wanted.question.identifier) == ("Hemd?", "Q7")
    assert [(each.server_id, each.identifier, each.text) for each in wanted.question.options] == [
        (51, "M", "Mittel"), (52, "L", "Weit")
    ]  # fmt: skip
    assert shown(app.scan("ada", answers_for={7: "L"})) == {7: "Weit"}
    [row] = app.storage.rows("democon", "questions")
    assert (row["question"], [each["answer"] for each in row["options"]]) == (
        {"de": "Hemd?"}, [{"de": "Mittel"}, {"de": "Weit"}]
    )  # fmt: skip


# --- questions that depend on others ----------------------------------------------------------------------------------


def test_a_question_that_depends_on_another_is_asked_only_if_it_matters(gate: Gate, fair: PretixStub) -> None:
    app = opened(
        gate, fair,
        question(7, type="C", options=SHIRTS, position=0),
        question(8, position=1, dependency_question=7, dependency_values=["L"]),
        question(9, type="B", required=False, position=2),
        question(10, position=3, dependency_question=9, dependency_values=["True"]),
    )  # fmt: skip
    assert asked(app.check("ada")) == [7, 8, 9, 10], "nothing is answered yet: the phone hides what does not matter"
    assert app.scan("ada", answers_for={7: "M", 9: False}).type == "VALID"
    assert gate.checkins()[0].answers == {7: "51", 9: ""}
    large = {"question": {"server_id": 7}, "value": "52", "options": None}
    assert asked(app.check("bob", answers=[large])) == [8, 9, 10]
    assert app.scan("bob", answers_for={7: "L", 8: "tall", 9: True, 10: "why not"}).type == "VALID"
    assert gate.checkins()[1].answers == {7: "52", 8: "tall", 9: "True", 10: "why not"}


def test_an_answer_from_before_the_event_decides_as_well(gate: Gate, fair: PretixStub) -> None:
    for code, option in (("DAN", 51), ("EVE", 52)):
        sell(fair, code, a_ticket(code.lower(), answers=[{"question": 7, "answer": "x", "options": [option]}]))
    app = opened(
        gate, fair,
        question(7, type="C", options=SHIRTS, ask_during_checkin=False, show_during_checkin=True),
        question(8, position=1, dependency_question=7, dependency_values=["L"]),
    )  # fmt: skip
    assert app.check("dan").type == "VALID"
    assert asked(app.check("eve")) == [8]


# --- answers that are there already -----------------------------------------------------------------------------------


def test_what_was_answered_before_the_event_is_not_asked_again_and_shown_where_wanted(
    gate: Gate, fair: PretixStub
) -> None:
    answers = [
        {"question": 7, "answer": "Ada", "options": []}, {"question": 8, "answer": "Large", "options": [52]},
        {"question": 9, "answer": "secret", "options": []},
    ]  # fmt: skip
    sell(fair, "DAN", a_ticket("dan", answers=answers))
    app = opened(
        gate, fair, question(7, show_during_checkin=True),
        question(8, type="C", options=SHIRTS, ask_during_checkin=False, show_during_checkin=True),
        question(9, ask_during_checkin=False), question(10, show_during_checkin=True),
    )  # fmt: skip
    first = app.check("dan")
    assert (asked(first), shown(first)) == ([10], {7: "Ada", 8: "Large"})
    result = app.scan("dan", answers_for={10: "fine"})
    assert (result.type, shown(result)) == ("VALID", {7: "Ada", 8: "Large", 10: "fine"})
    again = app.check("dan")
    assert (again.type, shown(again)) == ("USED", {7: "Ada", 8: "Large", 10: "fine"})
    other = app.check("ada")
    assert (asked(other), shown(other)) == ([7, 10], {}), "nobody answered for this one"


def test_what_was_answered_at_one_list_is_not_asked_at_the_next(gate: Gate, fair: PretixStub) -> None:
    fair.questions = [question(7, show_during_checkin=True)]
    fair.lists.append(check_in_list(2, "Backstage"))
    first, second = gate.add_current(fair, 1, 2)
    assert gate.phone(first).scan("ada", answers_for={7: "Because"}).type == "VALID"
    app = gate.phone(second, name="Gate 2")
    result = app.check("ada")
    assert (result.type, shown(result)) == ("VALID", {7: "Because"})
    assert asked(app.check("bob")) == [7]


# --- the old dialect --------------------------------------------------------------------------------------------------


def test_questions_of_the_old_dialect_are_asked_and_their_answers_pushed(gate: Gate, stub: StubUpstream) -> None:
    stub.add_tickets(2, "t")
    stub.add_question(7, "S", [2])
    stub.add_question(8, "M", [2], required=False, options={51: "Medium", 52: "Large"})
    app = gate.phone(gate.add_old(stub))
    result = app.check("t000000")
    assert asked(result) == [7, 8]
    assert [each.question.text for each in result.required_answers or ()] == ["Question 7?", "Question 8?"]
    assert app.scan("t000000", answers_for={7: "x", 8: ["Medium", "Large"]}).type == "VALID"
    gate.sync()
    assert stub.tickets["t000000"].answers == {7: "x", 8: "Medium, Large"}
    assert asked(app.check("t000001")) == [7, 8]
