"""Reading what a scanner sends."""

from __future__ import annotations

import re

from werkzeug.datastructures import MultiDict

from edgebox.instants import parse_client_datetime
from edgebox.model import MAX_NONCE_CHARS, RedeemRequest

MAX_ANSWERS = 200
MAX_ANSWER_CHARS = 10_000

_ANSWER = re.compile(r"answer_([0-9]{1,18})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class BadRequest(ValueError):
    """A field that cannot be used. The text names it and is fit to be shown; it never repeats what was sent."""


def read_redeem(form: MultiDict[str, str]) -> RedeemRequest:
    """The form fields of `redeem/`. Raises BadRequest.

    A secret that is missing, long or odd is no error here: no ticket has it. Fields that nobody knows are ignored.
    """
    nonce = form.get("nonce") or None
    if nonce is not None and (len(nonce) > MAX_NONCE_CHARS or _CONTROL.search(nonce)):
        raise BadRequest(f"nonce: at most {MAX_NONCE_CHARS} characters, none of them a control character")
    at = None
    if "datetime" in form:
        try:
            at = parse_client_datetime(form["datetime"])
        except ValueError as error:
            raise BadRequest(f"datetime: {error}") from None
    return RedeemRequest(
        secret=form.get("secret", ""),
        nonce=nonce,
        datetime=at,
        is_forced=_is_true(form.get("force")),
        ignores_unpaid=_is_true(form.get("ignore_unpaid")),
        questions_supported=bool(form.get("questions_supported")),
        answers=_answers(form),
    )


def _is_true(text: str | None) -> bool:
    return text in ("true", "True")


def _answers(form: MultiDict[str, str]) -> dict[int, str]:
    answers: dict[int, str] = {}
    for field, text in form.items():
        match = _ANSWER.fullmatch(field)
        if match is None:
            continue
        if len(text) > MAX_ANSWER_CHARS or _CONTROL_IN_TEXT.search(text):
            raise BadRequest(f"{field}: at most {MAX_ANSWER_CHARS} characters, none of them a control character")
        answers[int(match[1])] = text
    if len(answers) > MAX_ANSWERS:
        raise BadRequest(f"more than {MAX_ANSWERS} answers")
    return answers
