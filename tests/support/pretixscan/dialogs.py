"""The app's dialog of questions: what a person taps becomes answers in the form that goes to the box (section 1.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.pretixscan.answers import Option, Question, QuestionAnswer

# A text; for B whether it is ticked; for C an option by its id, identifier or text, for M several; None: left open.
Value = str | int | bool | Sequence[str | int] | None
# The value by question: by its id (what is not in there is left open), or from a function.
AnswersFor = Mapping[int, Value] | Callable[[Question], Value]
# An answer as it is sent.
WireAnswer = dict[str, Any]

CHOICES = ("C", "M")
# What the list of countries stands at when nobody touches it: the phone's own.
OWN_COUNTRY = "DE"


class Dialog:
    """Asks what can be seen: a question that depends on another one of the dialog only after a fitting answer.

    Raises AssertionError where the dialog would not close: a required question is left open, or an option is unknown.
    """

    def __init__(self, asked: Sequence[QuestionAnswer], answers_for: AnswersFor) -> None:
        self._questions = {each.question.server_id: each.question for each in asked}
        self._answers_for = answers_for
        self._filled: dict[int, _Filled] = {}

    def answers(self) -> list[WireAnswer]:
        return [self._fill(question).on_the_wire() for question in self._questions.values() if self._is_seen(question)]

    def _is_seen(self, question: Question) -> bool:
        parent = self._questions.get(question.dependency_question or 0)
        if parent is None:
            return True
        return self._is_seen(parent) and bool(self._fill(parent).identifiers() & set(question.dependency_values))

    def _fill(self, question: Question) -> _Filled:
        if question.server_id not in self._filled:
            by = self._answers_for
            value = by(question) if callable(by) else by.get(question.server_id)
            filled = _fill(question, value)
            assert filled.value or not question.is_required, f"a required question is left open: {question.text!r}"
            self._filled[question.server_id] = filled
        return self._filled[question.server_id]


@dataclass(frozen=True)
class _Filled:
    """`value` is empty where the field was left open."""

    question: Question
    value: str
    chosen: tuple[Option, ...] = ()

    def identifiers(self) -> set[str]:
        """What `dependency_values` of other questions are compared with."""
        if self.question.type == "B":
            return {self.value or "False"}
        return {option.identifier for option in self.chosen}

    def on_the_wire(self) -> WireAnswer:
        """Choices carry their options, also none; other answers have null there."""
        options = [
            {
                "server_id": option.server_id,
                "position": option.position,
                "identifier": option.identifier,
                "value": option.text,
            }
            for option in self.chosen
        ]
        return {
            "question": {"server_id": self.question.server_id},
            "value": self.value,
            "options": options if self.question.type in CHOICES else None,
        }


def _fill(question: Question, value: Value) -> _Filled:
    if question.type in CHOICES:
        several = [] if value is None else [value] if isinstance(value, str | int) else list(value)
        assert question.type == "M" or len(several) < 2, f"only one of {question.text!r} can be chosen"
        chosen = tuple(_option(question, each) for each in several)
        return _Filled(question, ",".join(str(option.server_id) for option in chosen), chosen)
    if question.type == "B":
        return _Filled(question, "True" if value in (True, "True") else "")
    if question.type == "CC":
        return _Filled(question, str(value or OWN_COUNTRY))
    return _Filled(question, "" if value is None else str(value))


def _option(question: Question, value: str | int) -> Option:
    for option in question.options:
        if value in (option.server_id, option.identifier, option.text):
            return option
    raise AssertionError(f"{question.text!r} has no option {value!r}")
