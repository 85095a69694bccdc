"""Which questions are asked at the door: of types that the device knows, and only where the answers to others call for
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import PRETIXDROID_QUESTIONS, Facts, Option, Question, Reason, RedeemRequest, Ticket, TicketData
from edgebox.rules import decide
from edgebox.rules.answers import is_beside_the_point, is_valid

ITEMS = frozenset({10})
VEGAN, FISH = Option(11, "Vegan", "VEGAN"), Option(12, "Fish", "FISH")
DINNER = Question(1, "B", "Dinner?", False, 0, ITEMS, identifier="DINNER")
MENU = Question(2, "M", "What?", True, 1, ITEMS, (VEGAN, FISH), "MENU", depends_on=DINNER.id, depends_values=("True",))
BONES = Question(3, "S", "With bones?", True, 2, ITEMS, depends_on=MENU.id, depends_values=("FISH",))
ALL = (DINNER, MENU, BONES)
ALL_TYPES = PRETIXDROID_QUESTIONS | {"CC", "TEL", "EMAIL"}


def a_ticket(*answers: tuple[int, str]) -> Ticket:
    data = TicketData("secret", "CODE", 10, None, "Ada", False, True, False, "", answers=answers)
    return Ticket(1, 1, data, is_withdrawn=False, told=1)


def asked(
    *questions: Question,
    answers: Mapping[int, str] | None = None,
    earlier: tuple[Mapping[int, str], ...] = (),
    told: tuple[tuple[int, str], ...] = (),
    types: frozenset[str] = ALL_TYPES,
) -> list[int]:
    """The ids of the questions that a device would have to ask; none: it is let in."""
    request = RedeemRequest("secret", questions_supported=True, question_types=types, answers=answers or {})
    verdict = decide(Facts(request, a_ticket(*told), questions=questions, earlier_answers=earlier))
    assert verdict.reason is (Reason.INCOMPLETE if verdict.questions else None)
    return [question.id for question in verdict.questions]


# --- that one is asked at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_question_that_was_asked_before_is_not_asked_at_the_door(is_shown: bool) -> None:
    required = replace(DINNER, is_required=True, is_shown=is_shown)
    assert asked(required) == [1]
    assert asked(replace(required, is_asked=False)) == []


@pytest.mark.parametrize("kind", sorted(ALL_TYPES))
def test_a_device_is_asked_for_the_types_that_it_knows(kind: str) -> None:
    question = replace(DINNER, type=kind, is_required=True)
    assert asked(question, types=frozenset({kind})) == [1]
    assert asked(question, types=ALL_TYPES - {kind}) == []
    assert asked(question, types=PRETIXDROID_QUESTIONS) == ([1] if len(kind) == 1 else [])


@pytest.mark.parametrize("kind", ["F", "NEW", ""])
def test_what_nobody_here_can_read_is_asked_of_nobody(kind: str) -> None:
    assert asked(replace(DINNER, type=kind, is_required=True), types=ALL_TYPES | {kind}) == []


def test_a_device_that_says_nothing_else_knows_those_of_the_pretixdroid_app() -> None:
    assert RedeemRequest("secret").question_types == PRETIXDROID_QUESTIONS == set("NSTBCMDHW")


@pytest.mark.parametrize(
    ("kind", "text", "suffices"),
    [
        ("CC", "DE", True), ("CC", "de", True), ("CC", "DEU", False), ("CC", "D1", False), ("CC", "ÄÖ", False),
        ("TEL", "+49 30 123", True), ("TEL", "none", False), ("TEL", "0", True),
        ("EMAIL", "ada@example.org", True), ("EMAIL", "ada", False), ("EMAIL", "@example.org", False),
        ("EMAIL", "ada@", False), ("EMAIL", "a@b@example.org", True),
    ],
)  # fmt: skip
def test_countries_numbers_and_addresses_are_told_from_what_is_none(kind: str, text: str, suffices: bool) -> None:
    question = replace(DINNER, type=kind, is_required=True)
    assert is_valid(question, text) is suffices
    assert asked(question, answers={1: text}) == ([] if suffices else [1])


@given(st.sampled_from(["CC", "TEL", "EMAIL"]), st.booleans(), st.text(max_size=40))
def test_no_text_upsets_them(kind: str, is_required: bool, text: str) -> None:
    assert is_valid(replace(DINNER, type=kind, is_required=is_required), text) in (True, False)


# --- that the answer to another calls for it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "open_"),
    [
        ({}, [1, 2, 3]),  # the app shows those that are called for, and knows so when the others are answered
        ({1: "True"}, [2, 3]),
        ({1: "true"}, [2, 3]),
        ({1: "False"}, []),
        ({1: ""}, []),
        ({1: "True", 2: "11"}, []),
        ({1: "True", 2: "12"}, [3]),
        ({1: "True", 2: "11,12"}, [3]),
        ({1: "True", 2: "12", 3: "no"}, []),
        ({1: "True", 2: "99"}, [2]),
        ({2: "12"}, [1, 3]),
        ({1: "False", 2: "12"}, []),
    ],
)
def test_a_question_is_asked_where_the_answers_to_others_call_for_it(answers: dict[int, str], open_: list[int]) -> None:
    assert asked(*ALL, answers=answers) == open_


def test_wherever_the_other_answer_was_given() -> None:
    assert asked(DINNER, MENU, earlier=({1: "False"},)) == []
    assert asked(DINNER, MENU, told=((1, "False"),)) == []
    assert asked(DINNER, MENU, told=((1, "True"),)) == [2]


def test_where_several_answers_are_on_record_one_that_calls_for_it_is_enough() -> None:
    assert asked(MENU, DINNER, earlier=({1: "True"}, {1: "False"})) == [2]


def test_a_question_whose_other_the_box_does_not_know_is_asked() -> None:
    """As pretix itself asks it."""
    assert asked(MENU) == [2]
    assert asked(MENU, told=((1, "False"),)) == [2]


def test_one_that_is_only_shown_can_call_for_another() -> None:
    shown = replace(DINNER, is_asked=False, is_shown=True)
    assert asked(shown, MENU, told=((1, "False"),)) == []
    assert asked(shown, MENU, told=((1, "True"),)) == [2]
    assert asked(shown, MENU) == [2]


def test_questions_that_call_for_each_other_do_not_go_round_in_circles() -> None:
    first = replace(DINNER, depends_on=2, depends_values=("VEGAN",))
    assert asked(first, MENU) == [1, 2]
    assert asked(first, MENU, answers={1: "False"}) == []
    itself = replace(DINNER, depends_on=1, depends_values=("True",))
    assert asked(itself) == [1]


# --- as pretix has it, written down without a look at the product -----------------------------------------------------


def is_visible(question: Question, known: Mapping[int, Question], given_: Mapping[int, str]) -> bool:
    """pretix's own rule, for questions all of which are known and answered at most once: a question is to be seen where
    the one that it depends on is, and has one of the answers; as long as that one is open, it may yet be."""
    if question.depends_on is None:
        return True
    parent = known[question.depends_on]
    if not is_visible(parent, known, given_):
        return False
    if parent.id not in given_:
        return True
    answer = given_[parent.id]
    if parent.type == "B":
        return ("True" if answer.lower() == "true" else "False") in question.depends_values
    chosen = {option.identifier for option in parent.options if str(option.id) in answer.split(",")}
    return bool(chosen & set(question.depends_values))


@st.composite
def some_questions(draw: st.DrawFn) -> tuple[Question, ...]:
    """Each depends on one before it, or on none."""
    made: list[Question] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        is_choice = draw(st.booleans())
        parent = draw(st.none() | st.sampled_from(made)) if made else None
        values = ["VEGAN", "FISH"] if parent and parent.type == "M" else ["True", "False"]
        made.append(
            Question(
                number, "M" if is_choice else "B", "?", draw(st.booleans()), number, ITEMS,
                (VEGAN, FISH) if is_choice else (), depends_on=parent.id if parent else None,
                depends_values=tuple(draw(st.sets(st.sampled_from(values)))) if parent else (),
            )
        )  # fmt: skip
    return tuple(made)


texts = {"B": ["True", "False", "true", ""], "M": ["11", "12", "11,12", ""]}


@given(some_questions(), st.data())
def test_what_is_beside_the_point_is_what_pretix_would_not_show(
    questions: tuple[Question, ...], data: st.DataObject
) -> None:
    known = {question.id: question for question in questions}
    answered = data.draw(st.sets(st.sampled_from(sorted(known))))
    given_ = {number: data.draw(st.sampled_from(texts[known[number].type])) for number in sorted(answered)}
    for question in questions:
        assert is_beside_the_point(question, known, [given_]) is not is_visible(question, known, given_)


@given(some_questions(), st.data())
def test_whoever_answers_what_is_asked_gets_in(questions: tuple[Question, ...], data: st.DataObject) -> None:
    """As the app does: it shows what is called for, and sends what was entered. It never goes on for ever."""
    known = {question.id: question for question in questions}
    answers: dict[int, str] = {}
    for _ in range(len(questions) + 1):
        open_ = asked(*questions, answers=answers)
        if not open_:
            break
        for number in open_:
            if is_visible(known[number], known, answers):
                options = [text for text in texts[known[number].type] if is_valid(known[number], text)]
                answers[number] = data.draw(st.sampled_from(options))
    assert asked(*questions, answers=answers) == []
    for question in questions:
        if question.is_required and is_visible(question, known, answers):
            assert is_valid(question, answers[question.id]), "nobody gets in without what is required"
