"""Reading what the app sends: JSON objects, of which it leaves out what it does not need."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Request

from edgebox.model import MAX_NONCE_CHARS, PRETIXDROID_QUESTIONS, Direction, RedeemRequest

MAX_ANSWERS = 200
MAX_ANSWER_CHARS = 10_000
MIN_QUERY_CHARS = 4
MAX_QUERY_CHARS = 1_000
MAX_ID = 2**63 - 1

QUESTIONS = PRETIXDROID_QUESTIONS | {"CC", "TEL", "EMAIL"}
"""Types that this app can ask; a photo it cannot hand over."""

_NOT_IN_NONCE = re.compile("[\x00-\x1f\x7f\ufffd\ud800-\udfff]")
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")
_CODE_PAGE = re.compile(r"\\0000(01|03|26|27)")
"""How a scanner says in which code page the rest of a barcode is."""


class BadRequest(ValueError):
    """Something that cannot be used. The text is fit to be shown; it never repeats what was sent."""


@dataclass(frozen=True, slots=True)
class Check:
    """A call of `check/`."""

    redeem: RedeemRequest
    wants_exchange: bool
    """A medium is to be given out for the ticket."""


def read_object(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request; empty where there is no body. Raises BadRequest, RequestEntityTooLarge."""
    body = request.get_data(cache=False)
    if not body.strip():
        return {}
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(told, dict):
        raise BadRequest("the body is not a JSON object")
    return told


def read_check(told: Mapping[str, Any]) -> Check:
    """What a check asks for. Raises BadRequest.

    A secret that is missing or odd is no error: no ticket has it.
    """
    nonce = told.get("nonce") or None
    if nonce is not None and (
        not isinstance(nonce, str) or len(nonce) > MAX_NONCE_CHARS or _NOT_IN_NONCE.search(nonce)
    ):
        raise BadRequest(f"nonce: at most {MAX_NONCE_CHARS} characters, none of them a control character")
    return Check(
        RedeemRequest(
            secret=_secret(told),
            nonce=nonce,
            ignores_unpaid=told.get("ignore_unpaid") is True,
            questions_supported=told.get("allowQuestions") is not False,
            question_types=QUESTIONS,
            answers=_answers(told.get("answers") or []),
            direction=_direction(told.get("type")),
        ),
        wants_exchange=bool(told.get("exchange_medium_type") or told.get("exchange_medium_identifier")),
    )


def read_chosen(told: Mapping[str, Any]) -> dict[str, int]:
    """The lists that the phone has chosen, by the slugs of their events. Raises BadRequest."""
    chosen = told.get("events_and_checkin_lists")
    if not isinstance(chosen, dict):
        raise BadRequest("events_and_checkin_lists: an object with a list's number for each event")
    for number in chosen.values():
        if isinstance(number, bool) or not isinstance(number, int):
            raise BadRequest("events_and_checkin_lists: an object with a list's number for each event")
    return chosen


def read_query(told: Mapping[str, Any]) -> str | None:
    """What a search looks for; None where it can find nothing. Raises BadRequest."""
    query, page = told.get("query") or "", told.get("page", 1)
    if not isinstance(query, str) or _NOT_IN_TEXT.search(query):
        raise BadRequest("query: a text without control characters")
    is_useful = MIN_QUERY_CHARS <= len(query) <= MAX_QUERY_CHARS
    return query if is_useful and page in (None, 1) else None


def _secret(told: Mapping[str, Any]) -> str:
    """The scanned code, as pretix cleans it: characters that cannot be seen are replaced, not dropped."""
    secret = told.get("ticketid")
    if not isinstance(secret, str):
        return ""
    if told.get("source_type") in (None, "barcode"):
        secret = _CODE_PAGE.sub("", secret, count=1) if _CODE_PAGE.match(secret) else secret
    if secret.isascii() and secret.isprintable():
        return secret
    return "".join("\ufffd" if unicodedata.category(each)[0] == "C" else each for each in secret)


def _direction(word: object) -> Direction:
    if word is None:
        return Direction.ENTRY
    try:
        return Direction(word.lower() if isinstance(word, str) else "")
    except ValueError:
        raise BadRequest("type: ENTRY or EXIT") from None


def _answers(told: object) -> dict[int, str]:
    if not isinstance(told, list) or len(told) > MAX_ANSWERS:
        raise BadRequest(f"answers: a list of at most {MAX_ANSWERS}")
    return dict(_answer(each) for each in told)


def _answer(told: object) -> tuple[int, str]:
    """Question and answer, which is text; chosen options are told by their numbers."""
    wanted = BadRequest("answers: each with question, value and options as the app sends them")
    if not isinstance(told, dict) or not isinstance(told.get("question"), dict):
        raise wanted
    number, value, options = told["question"].get("server_id"), told.get("value"), told.get("options")
    if not _is_id(number) or not isinstance(value, str | None) or not isinstance(options, list | None):
        raise wanted
    if options:
        numbers = [option.get("server_id") if isinstance(option, dict) else None for option in options]
        if not all(map(_is_id, numbers)):
            raise wanted
        value = ",".join(map(str, numbers))
    text = value or ""
    if len(text) > MAX_ANSWER_CHARS or _NOT_IN_TEXT.search(text):
        raise BadRequest(f"answers: at most {MAX_ANSWER_CHARS} characters each, none of them a control character")
    return number, text


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number <= MAX_ID
