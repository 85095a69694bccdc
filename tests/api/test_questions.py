"""Questions at the door: what `incomplete` asks, and which answers suffice."""

from __future__ import annotations

import pytest

from tests.api.conftest import Venue


def test_incomplete_tells_each_question_with_all_its_keys(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(2, "C", [2], options={21: "Fish", 22: "None"})
    venue.event.add_question(1, "S", [2], required=False)
    venue.event.add_question(3, "B", [1])
    venue.open()
    answer = venue.redeem("abc", questions_supported="true")
    assert answer["status"] == "incomplete"
    assert answer["questions"] == [
        {"id": 1, "type": "S", "question": "Question 1?", "required": False, "position": 1, "options": []},
        {
            "id": 2,
            "type": "C",
            "question": "Question 2?",
            "required": True,
            "position": 2,
            "options": [{"id": 21, "answer": "Fish"}, {"id": 22, "answer": "None"}],
        },
    ]
    assert venue.journal == []


@pytest.mark.parametrize("kind", ["F", "TEL", "CC", "?", "s"])
def test_a_question_of_a_type_that_the_app_does_not_know_is_never_asked(venue: Venue, kind: str) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, kind, [2])
    venue.event.add_question(2, "T", [2])
    venue.open()
    answer = venue.redeem("abc", questions_supported="true")
    assert [question["id"] for question in answer["questions"]] == [2]
    assert venue.redeem("abc", questions_supported="true", answer_2="text")["status"] == "ok"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("N", "3.5", "three"),
        ("S", "line", ""),
        ("T", "two\nlines", " "),
        ("B", "True", "False"),
        ("C", "11", "Fish"),
        ("M", "11,12", "11,13"),
        ("D", "2026-11-24", "24.11.2026"),
        ("H", "08:15", "8 o'clock"),
        ("W", "2026-11-24T08:15", "tomorrow"),
    ],
)
def test_each_type_of_question_has_its_own_kind_of_answer(venue: Venue, kind: str, good: str, bad: str) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, kind, [2], options={11: "Fish", 12: "Meat"})
    venue.open()
    for answer in (None, bad):
        told = venue.redeem("abc", questions_supported="1", answer_1=answer)
        assert (told["status"], [question["type"] for question in told["questions"]]) == ("incomplete", [kind])
    assert venue.redeem("abc", questions_supported="1", answer_1=good)["status"] == "ok"
    assert venue.journal[0].checkin.answers == {1: good}


def test_nothing_is_kept_of_an_incomplete_call(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, "S", [2])
    venue.event.add_question(2, "S", [2])
    venue.open()
    venue.redeem("abc", questions_supported="1", answer_1="kept?")
    answer = venue.redeem("abc", questions_supported="1", answer_2="other")
    assert [question["id"] for question in answer["questions"]] == [1]


def test_an_optional_question_is_asked_until_it_was_sent_blank(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, "S", [2], required=False)
    venue.open()
    assert venue.redeem("abc", questions_supported="1")["status"] == "incomplete"
    assert venue.redeem("abc", questions_supported="1", answer_1="")["status"] == "ok"


@pytest.mark.parametrize(("supported", "status"), [(None, "ok"), ("", "ok"), ("0", "incomplete"), ("no", "incomplete")])
def test_any_text_in_questions_supported_counts(venue: Venue, supported: str | None, status: str) -> None:
    venue.event.add_ticket("abc")
    venue.event.add_question(1, "S", [2])
    venue.open()
    assert venue.redeem("abc", questions_supported=supported)["status"] == status


def test_force_needs_no_answers_and_a_used_ticket_is_not_asked(venue: Venue) -> None:
    venue.event.add_tickets(2, "t")
    venue.event.add_question(1, "S", [2])
    venue.open()
    assert venue.redeem("t000000", questions_supported="1", force=True)["status"] == "ok"
    assert venue.redeem("t000000", questions_supported="1")["reason"] == "already_redeemed"
    assert [row.checkin.conflict for row in venue.journal] == [None]
