"""Whether the answers to a ticket's questions suffice.

Answers come as text: N a number, S a line, T text, B `True`/`False`, C an option id, M option ids joined by commas,
D `yyyy-mm-dd`, H `HH:MM`, W `yyyy-mm-ddTHH:MM`, CC a country's two letters, TEL and EMAIL what looks like one. Optional
questions are asked too, until they were answered or sent blank; a required one that is blank or invalid is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

from edgebox.model import Question


def unanswered(
    questions: tuple[Question, ...], given: Mapping[int, str], earlier: Sequence[Mapping[int, str]]
) -> tuple[Question, ...]:
    """The questions that neither this request nor an earlier check-in answers validly.

    A question of a type that nobody here can read, and a file question, is never asked.
    """
    return tuple(
        question
        for question in questions
        if question.type in _READERS
        and not any(
            question.id in answers and is_valid(question, answers[question.id]) for answers in (given, *earlier)
        )
    )


def is_beside_the_point(
    question: Question, known: Mapping[int, Question], answers: Sequence[Mapping[int, str]]
) -> bool:
    """Whether a question that this one depends on, directly or through others, has an answer that makes it needless.

    `known`: the questions of the ticket's item by their ids.
    """
    looked_at = {question.id}
    while (asked_on := known.get(question.depends_on or 0)) is not None and asked_on.id not in looked_at:
        looked_at.add(asked_on.id)
        given = [texts[asked_on.id] for texts in answers if asked_on.id in texts]
        if given and not any(_chosen(asked_on, text) & set(question.depends_values) for text in given):
            return True
        question = asked_on
    return False


def _chosen(question: Question, text: str) -> set[str]:
    """What was answered, as `depends_values` has it."""
    if question.type == "B":
        return {"True" if text in ("True", "true") else "False"}
    identifiers = {str(option.id): option.identifier for option in question.options}
    return {identifiers.get(part, part) for part in text.split(",")}


def is_valid(question: Question, text: str) -> bool:
    """Whether `text` answers the question. Blank answers an optional question; a required yes/no wants a yes."""
    text = text.strip()
    if not text:
        return not question.is_required
    return _READERS[question.type](question, text)


def _is_number(question: Question, text: str) -> bool:
    try:
        return Decimal(text.replace(",", ".")).is_finite()
    except InvalidOperation:
        return False


def _is_text(question: Question, text: str) -> bool:
    return True


def _is_country(question: Question, text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isalpha()


def _is_phone_number(question: Question, text: str) -> bool:
    return any(character.isdigit() for character in text)


def _is_email_address(question: Question, text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain)


def _is_yes_or_no(question: Question, text: str) -> bool:
    return text in ("True", "true") or (text in ("False", "false") and not question.is_required)


def _is_option(question: Question, text: str) -> bool:
    return any(text == str(option.id) for option in question.options)


def _are_options(question: Question, text: str) -> bool:
    chosen = text.split(",")
    return len(set(chosen)) == len(chosen) and all(_is_option(question, part) for part in chosen)


def _parses(parse: Callable[[str], object]) -> Callable[[Question, str], bool]:
    def reads(question: Question, text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return reads


_READERS: Mapping[str, Callable[[Question, str], bool]] = {
    "N": _is_number,
    "S": _is_text,
    "T": _is_text,
    "B": _is_yes_or_no,
    "C": _is_option,
    "M": _are_options,
    "D": _parses(date.fromisoformat),
    "H": _parses(time.fromisoformat),
    "W": _parses(datetime.fromisoformat),
    "CC": _is_country,
    "TEL": _is_phone_number,
    "EMAIL": _is_email_address,
}
"""How each type is read. Only these are asked."""
